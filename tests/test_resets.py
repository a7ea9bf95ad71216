"""Resets: seeds of every kind, scenes of one's choice, and some rows of a batch alone."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv
from rollouts import digest

from gw_envs import ENV_IDS
from gw_envs.errors import InputError
from gw_envs.observation import values_from_attributes

every_id = pytest.mark.parametrize("env_id", ENV_IDS)
FREE = {"x": 0.0, "y": 0.0, "rotation": 1.0}
"""A pose of the Factory's table in which it touches nothing."""


def make(env_id: str, **arguments) -> gym.Env:
    return gym.make(env_id, modalities=("attributes", "language"), **arguments)


def batch(env_id: str, count: int = 3, **arguments) -> gym.vector.VectorEnv:
    return gym.make_vec(env_id, num_envs=count, modalities=("attributes", "language"), **arguments)


def pose_of(env_id: str, x: float) -> dict[str, float]:
    """A pose that is free in both scenes; x from 0 to 1."""
    return {**FREE, "x": x} if env_id == "GWFactory-v0" else {"x": 10.0 + x, "y": 12.0}


# Seeds.


@every_id
def test_whole_numbers_of_numpy_are_seeds(env_id):
    env, several = make(env_id), batch(env_id)
    assert digest(*env.reset(seed=np.uint8(3))) == digest(*env.reset(seed=3))
    first = digest(*several.reset(seed=3))
    for seed in (np.int64(3), np.arange(3, 6), [3, np.int32(4), 5], (3, 4, 5), range(3, 6)):
        assert digest(*several.reset(seed=seed)) == first
    env.close()
    several.close()


@every_id
def test_seeds_that_are_none(env_id):
    env, several = make(env_id), batch(env_id)
    env.reset(seed=0)
    several.reset(seed=0)
    before = digest(env.unwrapped.get_state().scenes.arrays())
    for seed in (1.0, "a", -1, True, np.nan, [1], np.array(1.0)):
        with pytest.raises(InputError, match="seed is"):
            env.unwrapped.reset(seed=seed)
    wrong = (1.0, "abc", -1, True, {0: 1}, [1, 2, -1], [1, 2, "a"], np.ones(3), np.ones((3, 1)))
    for seed in wrong:
        with pytest.raises(InputError, match="seed is"):
            several.reset(seed=seed)
    for seed in ([1, 2], np.arange(4), []):
        with pytest.raises(InputError, match="seeds were given for 3 environments"):
            several.reset(seed=seed)
    assert digest(env.unwrapped.get_state().scenes.arrays()) == before
    env.close()
    several.close()


# A scene of one's choice.


@every_id
def test_an_episode_begins_in_a_given_scene(env_id):
    env = make(env_id)
    first, first_info = env.reset(seed=0)
    snapshot = env.unwrapped.get_state()
    env.step(0)
    for state in (snapshot, snapshot.scenes, snapshot.scenes[0], snapshot.scenes.arrays()):
        again, info = env.reset(seed=5, options={"state": state})
        assert digest(again, info) == digest(first, first_info)
    assert env.unwrapped.core.elapsed.tolist() == [0]
    env.close()


@every_id
def test_values_that_are_not_given_are_drawn_as_always(env_id):
    env = make(env_id).unwrapped
    env.reset(seed=3)
    drawn = env.state
    env.reset(seed=3, options={"state": pose_of(env_id, 0.25)})
    expected = {**drawn.arrays(), **pose_of(env_id, 0.25)}
    for name, values in env.state.arrays().items():
        assert np.array_equal(values[0], np.asarray(expected[name]).reshape(values[0].shape))
    env.reset(options={"state": {"rgb": [1, 2, 3]}})
    assert env.state.rgb.tolist() == [[1, 2, 3]]
    env.reset(seed=3, options={"state": {}})
    assert env.state == drawn
    env.close()


@every_id
def test_values_read_from_attributes_are_a_state(env_id):
    env = make(env_id)
    observation, _ = env.reset(seed=8)
    scene = env.unwrapped.core.scene.name
    values = values_from_attributes(scene, observation["attributes"])
    again, _ = env.reset(seed=1, options={"state": values})
    assert again["attributes"] == pytest.approx(observation["attributes"], abs=1e-6)
    env.close()


@every_id
def test_one_row_for_all_or_one_for_each(env_id):
    env = batch(env_id)
    env.reset(seed=0, options={"state": pose_of(env_id, 0.5)})
    assert np.ptp(env.state.x) == 0
    rows = [pose_of(env_id, x)["x"] for x in (0.0, 0.25, 0.5)]
    env.reset(seed=0, options={"state": {**pose_of(env_id, 0.0), "x": rows}})
    assert env.state.x.tolist() == rows
    given = env.get_state()
    env.reset(seed=1, options={"state": given})
    assert env.state == given.scenes
    env.reset(seed=1, options={"state": given.scenes[2]})
    assert env.state.x.tolist() == [rows[2]] * 3
    env.close()


WRONG_STATES = [
    ({"color": 1}, "unknown key 'color'.*the keys are"),
    ({"rotations": 1}, "did you mean 'rotation'"),
    (None, "the state is None"),
    ("home", "the state is 'home'"),
    ({"x": "left"}, "x of a state is"),
    ({"x": None}, "x of a state is"),
    ({"x": [1.0, 2.0]}, "x of the state has 2 rows: give one row or"),
    ({"x": np.nan}, "a state is no scene: x is nan"),
    ({"x": 30.0}, "x of the state is 30 .*shows"),
    ({"rgb": [0.5, 0.5, 0.5]}, "rgb of a state is"),
    ({"rgb": 7}, "rgb of a state is"),
    ({"rgb": [0, 0, 300]}, "rgb is 300, and must lie between 0 and 255"),
]


@every_id
@pytest.mark.parametrize(("state", "message"), WRONG_STATES)
def test_states_that_are_none(env_id, state, message):
    env, several = make(env_id), batch(env_id)
    for made in (env, several):
        with pytest.raises(InputError, match=message) as caught:
            made.reset(seed=0, options={"state": state})
        assert len(str(caught.value)) < 200
        made.close()


def test_a_table_inside_an_obstacle_is_refused():
    env = make("GWFactory-v0")
    for place in ({"x": -1.0, "y": 1.8}, {"x": 1.9, "y": 0.0}):
        with pytest.raises(InputError, match=r"stands \d\.\d\d m deep in a wall or a landmark"):
            env.reset(seed=0, options={"state": {**place, "rotation": 0.0}})
    with pytest.raises(InputError, match="layout='random'"):
        env.reset(seed=0, options={"state": {**FREE, "landmarks": np.zeros((4, 2))}})
    env.close()


@every_id
def test_a_state_of_another_scene_is_refused(env_id):
    (other,) = set(ENV_IDS) - {env_id}
    env, stranger = make(env_id), make(other)
    stranger.reset(seed=0)
    for state in (stranger.unwrapped.state, stranger.unwrapped.get_state()):
        with pytest.raises(InputError, match="these environments take a"):
            env.reset(seed=0, options={"state": state})
    env.close()
    stranger.close()


@every_id
def test_unknown_options_are_named(env_id):
    env, several = make(env_id), batch(env_id)
    for made, known in ((env, "state, goal"), (several, "state, goal, reset_mask")):
        with pytest.raises(InputError, match=f"'no_such'.*the keys are {known}"):
            made.reset(seed=0, options={"no_such": 1})
        with pytest.raises(InputError, match="options is 3"):
            made.reset(seed=0, options=3)
        made.reset(seed=0, options={})
        made.close()


# Some rows of a batch.


@every_id
def test_rows_outside_of_the_mask_stay_as_they_are(env_id):
    ours = batch(env_id, max_episode_steps=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        single = lambda: make(env_id, max_episode_steps=5)  # noqa: E731 - as Gymnasium takes it
        theirs = SyncVectorEnv([single] * 3)
    assert digest(*ours.reset(seed=0)) == digest(*theirs.reset(seed=0))
    rng = np.random.default_rng(0)
    masks = ([False, True, False], [True, False, True], [True, True, True])
    for step in range(14):
        actions = rng.integers(6, size=3)
        assert digest(*ours.step(actions)) == digest(*theirs.step(actions))
        if step % 4 == 3:
            mask = np.array(masks[step // 4])
            seed = None if step < 5 else step
            here = ours.reset(seed=seed, options={"reset_mask": mask})
            there = theirs.reset(seed=seed, options={"reset_mask": mask.copy()})
            assert digest(*here) == digest(*there)
    ours.close()
    theirs.close()


@every_id
def test_a_mask_and_a_state_go_together(env_id):
    env = batch(env_id)
    env.reset(seed=0)
    before = env.state
    options = {"reset_mask": np.array([False, False, True]), "state": pose_of(env_id, 0.5)}
    _, info = env.reset(options=options)
    assert env.state[:2] == before[:2]
    assert env.state.x[2] == pose_of(env_id, 0.5)["x"]
    assert info["_is_success"].tolist() == [False, False, True]
    assert info["caption"][0] is None
    assert set(options) == {"reset_mask", "state"}
    env.close()


@every_id
def test_wrong_masks(env_id):
    env = batch(env_id)
    with pytest.raises(gym.error.ResetNeeded):
        env.reset(seed=0, options={"reset_mask": np.array([True, False, True])})
    env.reset(seed=0)
    before = env.state
    for mask in (None, np.zeros(3), np.ones(2, np.bool_), np.ones((3, 1), np.bool_), "all", 1):
        with pytest.raises(InputError, match="reset_mask is"):
            env.reset(options={"reset_mask": mask})
    with pytest.raises(InputError, match="false everywhere"):
        env.reset(options={"reset_mask": np.zeros(3, np.bool_)})
    assert env.state == before
    env.close()
