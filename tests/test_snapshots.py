"""Snapshots and copies of environments in the middle of episodes: they go on equal to the bit."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from rollouts import digest, random_action

from gw_envs import ENV_IDS
from gw_envs.errors import InputError
from gw_envs.factory.contacts import CLEAR, MOST_STEPS
from gw_envs.factory.layout import FIXED_LAYOUT, box_gaps
from gw_envs.snapshot import Snapshot

every_id = pytest.mark.parametrize("env_id", ENV_IDS)


def pushing(rng: np.random.Generator, steps: int, rows: int) -> np.ndarray:
    """(steps, rows, 3) continuous actions in directions that last a while: they run into things."""
    directions = rng.integers(-1, 2, (steps // 8 + 1, rows, 3)).astype(float)
    return np.repeat(directions, 8, 0)[:steps]


def follow(env: gym.Env, actions) -> list[str]:
    return [digest(*env.step(action)) for action in actions]


@every_id
def test_a_single_environment_goes_back(env_id):
    env = gym.make(env_id).unwrapped
    env.reset(seed=4)
    snapshot = env.get_state()
    first = follow(env, (0, 2, 4, 0))
    env.set_state(snapshot)
    assert follow(env, (0, 2, 4, 0)) == first
    other = gym.make(env_id).unwrapped
    other.set_state(pickle.loads(pickle.dumps(snapshot)))
    assert follow(other, (0, 2, 4, 0)) == first
    assert digest(*other.reset()) == digest(*env.reset())  # from the same random generator
    env.close()
    other.close()


@pytest.mark.parametrize("layout", ["fixed", "random"])
def test_the_factory_goes_back_in_contact(layout):
    arguments = {
        "num_envs": 6,
        "actions": "continuous",
        "layout": layout,
        "modalities": ("attributes",),
        "max_episode_steps": 50,
    }
    ours, theirs = (gym.make_vec("GWFactory-v0", **arguments) for _ in range(2))
    rng, collisions = np.random.default_rng(1), 0
    for seed in range(4):
        ours.reset(seed=seed)
        actions = pushing(rng, 45, 6)
        follow(ours, actions[:25])
        snapshot = ours.get_state()
        future = [ours.step(action) for action in actions[25:]]
        theirs.set_state(snapshot)
        again = [theirs.step(action) for action in actions[25:]]
        assert digest(*future) == digest(*again)
        assert ours.state == theirs.state
        collisions += sum(outcome[4]["collision"].sum() for outcome in future)
    assert collisions > 100
    ours.close()
    theirs.close()


def test_looking_does_not_touch_what_follows():
    looked, plain = (gym.make("GWFactory-v0", actions="continuous").unwrapped for _ in range(2))
    for env in (looked, plain):
        env.reset(seed=3)
    for action in pushing(np.random.default_rng(0), 40, 1)[:, 0]:
        looked.get_state()
        assert digest(*looked.step(action)) == digest(*plain.step(action))
    looked.close()
    plain.close()


def test_only_the_steps_since_nothing_was_near_are_repeated():
    env = gym.make("GWFactory-v0", actions="continuous").unwrapped
    env.reset(seed=0, options={"state": {"x": 0.0, "y": 0.0, "rotation": 0.0}})
    assert list(env.get_state().contacts[0]) == []
    follow(env, [np.array([0.0, -1.0, 0.0])] * 30)  # to the front wall, and against it
    moves = env.get_state().contacts[0]
    assert 10 < len(moves) < 20
    gaps = box_gaps(np.stack([pose for pose, _ in moves]), FIXED_LAYOUT)
    assert gaps[0] > CLEAR
    assert (gaps[1:] <= CLEAR).all()
    env.close()


def test_long_episodes_forget_what_is_not_needed():
    env = gym.make("GWFactory-v0", modalities=("attributes",)).unwrapped
    env.reset(seed=0, options={"state": {"x": 0.0, "y": 0.0, "rotation": 0.0}})
    for step in range(MOST_STEPS + 10):
        env.step(step % 2)
    assert len(env.core._history._steps) == 10
    snapshot = env.get_state()
    first = follow(env, (2, 2, 2))
    env.set_state(snapshot)
    assert follow(env, (2, 2, 2)) == first
    env.close()


@every_id
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_go_on_as_the_original(env_id, duplicate):
    env = gym.make(env_id, max_episode_steps=30, actions="continuous")
    assert digest(*duplicate(env).reset(seed=2)) == digest(*env.reset(seed=2))
    actions = pushing(np.random.default_rng(2), 45, 1)[:, 0]
    follow(env, actions[:20])
    twin = duplicate(env)
    for action in actions[20:]:
        ours, theirs = env.step(action), twin.step(action)
        assert digest(*ours) == digest(*theirs)
        if ours[2] or ours[3]:
            assert digest(*env.reset()) == digest(*twin.reset())
    env.close()
    twin.close()


@every_id
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_batches_go_back_and_are_copied_with_their_pending_resets(env_id, mode):
    env = gym.make_vec(env_id, num_envs=3, max_episode_steps=6, autoreset_mode=mode)
    rng = np.random.default_rng(0)
    env.reset(seed=7)
    actions = [random_action(env, rng) for _ in range(16)]
    follow(env, actions[:6])  # every row has just ended
    snapshot, twin = env.get_state(), copy.deepcopy(env)
    assert snapshot.done.all() == (mode is AutoresetMode.NEXT_STEP)
    first = follow(env, actions[6:])
    assert follow(twin, actions[6:]) == first
    env.set_state(snapshot)
    assert follow(env, actions[6:]) == first
    env.close()
    twin.close()


@every_id
def test_one_row_of_a_batch_is_a_snapshot_of_its_own(env_id):
    batch = gym.make_vec(env_id, num_envs=3, modalities=("attributes",))
    single = gym.make(env_id, modalities=("attributes",)).unwrapped
    batch.reset(seed=1)
    follow(batch, np.zeros((5, 3), np.int64))
    snapshot = batch.get_state()
    assert isinstance(snapshot[2], Snapshot)
    assert len(snapshot) == 3
    assert len(snapshot[2]) == 1
    single.set_state(snapshot[2])
    batch.set_state(snapshot[2])  # every row goes on from it
    for action in (0, 1, 2, 4):
        attributes = single.step(action)[0]["attributes"]
        rows = batch.step(np.full(3, action))[0]["attributes"]
        assert np.array_equal(rows, np.stack([attributes] * 3))
    mixed = snapshot.with_rows(np.array([0, 1]), snapshot[2])
    assert [digest(mixed[row].scenes.arrays()) for row in range(3)] == [
        digest(snapshot[2].scenes.arrays())
    ] * 3
    assert mixed.generators[0] == snapshot.generators[2] != snapshot.generators[0]
    batch.close()
    single.close()


@every_id
def test_a_scene_can_be_moved_in_the_middle_of_an_episode(env_id):
    env = gym.make(env_id, max_episode_steps=None).unwrapped
    env.reset(seed=0)
    follow(env, (0, 0, 0))
    env.set_state({"rotation": 1.5})
    assert env.state.rotation.tolist() == [1.5]
    assert env.core.elapsed.tolist() == [3]
    env.step(4)
    assert env.state.rotation[0] == pytest.approx(1.5 + env.core.task.turn)
    env.close()


@every_id
def test_snapshots_that_do_not_fit(env_id):
    single, batch = gym.make(env_id).unwrapped, gym.make_vec(env_id, num_envs=3)
    with pytest.raises(gym.error.ResetNeeded):
        single.get_state()
    with pytest.raises(gym.error.ResetNeeded):
        batch.get_state()
    with pytest.raises(gym.error.ResetNeeded):
        single.set_state({"rotation": 0.0})
    batch.reset(seed=0)
    pair = batch.get_state()[:2]
    for env in (single, batch):
        with pytest.raises(InputError, match="the snapshot holds 2 scenes"):
            env.set_state(pair)
        with pytest.raises(InputError, match="the state is"):
            env.set_state("home")
    (other_id,) = set(ENV_IDS) - {env_id}
    other = gym.make(other_id).unwrapped
    with pytest.raises(InputError, match="these environments take a"):
        other.set_state(batch.get_state()[0])
    for env in (single, batch, other):
        env.close()


def test_a_random_layout_does_not_go_into_an_environment_of_the_fixed_one():
    fixed, random = (
        gym.make("GWFactory-v0", layout=name).unwrapped for name in ("fixed", "random")
    )
    random.reset(seed=0)
    with pytest.raises(InputError, match="layout='random'"):
        fixed.set_state(random.get_state())
    fixed.close()
    random.close()
