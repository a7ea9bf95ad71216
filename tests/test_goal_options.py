"""Goals in batches, snapshots, specifications and pictures, and goals that users give."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from goal_episodes import (
    FREE,
    SENTENCES,
    appearance,
    batch,
    every_goal,
    every_id,
    follow_expert,
    layouts,
    make,
)
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from rollouts import digest, random_action

from gw_envs import MODALITIES
from gw_envs.errors import InputError
from gw_envs.language import VOCABULARY, caption_truth, sentences

# Single and vector environments.


@every_id
@every_goal
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_batches_equal_single_environments(env_id, goal, mode):
    arguments = {
        "goal": goal,
        "modalities": ("attributes",),
        "actions": "continuous" if mode is AutoresetMode.SAME_STEP else "discrete",
        "language": "text" if mode is AutoresetMode.SAME_STEP else "tokens",
        "layout": layouts(env_id)[-1],
        "max_episode_steps": 45,
    }
    native = gym.make_vec(env_id, num_envs=3, autoreset_mode=mode, **arguments)
    singles = SyncVectorEnv([lambda: gym.make(env_id, **arguments)] * 3, autoreset_mode=mode)
    ours, theirs = (follow_expert(env, 90, seed=4) for env in (native, singles))
    assert ours == theirs
    assert ours.successes > 2  # rows began new episodes at different times
    native.close()
    singles.close()


@every_id
def test_the_specification_keeps_the_goal(env_id):
    env = gym.make(env_id, goal="language", modalities=("attributes",))
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert digest(*again.reset(seed=1)) == digest(*env.reset(seed=1))
    env.close()
    again.close()


# Restoring goals.


@every_id
@every_goal
def test_snapshots_and_copies_keep_the_goal(env_id, goal):
    env = make(env_id, goal, actions="continuous")
    env.reset(seed=6)
    actions = [random_action(env, np.random.default_rng(number)) for number in range(6)]
    env.step(actions[0])
    snapshot = pickle.loads(pickle.dumps(env.get_state()))
    twins = [copy.deepcopy(env), pickle.loads(pickle.dumps(env)), make(env_id, goal)]
    twins[2] = make(env_id, goal, actions="continuous")
    twins[2].set_state(snapshot)
    first = [digest(*env.step(action)) for action in actions] + [digest(*env.reset())]
    env.set_state(snapshot)
    for one in (*twins, env):
        assert [digest(*one.step(action)) for action in actions] + [digest(*one.reset())] == first
        one.close()


@every_id
def test_rows_of_snapshots_bring_their_goals(env_id):
    env, single = batch(env_id, "language"), make(env_id, "language")
    goals = env.reset(seed=0)[0]["goal"]
    snapshot = env.get_state()
    single.set_state(snapshot[2])
    assert np.array_equal(single.step(0)[0]["goal"], goals[2])
    env.set_state(snapshot.with_rows(np.array([0]), snapshot[1]))
    assert np.array_equal(env.step(np.zeros(3, np.int64))[0]["goal"], goals[[1, 1, 2]])
    for other, named in ((None, "goal=None"), ("image", "goal='image'")):
        wrong = make(env_id, other)
        wrong.reset(seed=0)
        with pytest.raises(InputError, match=f"with goal='language'.*{named}"):
            wrong.set_state(snapshot[0])
        with pytest.raises(InputError, match=f"{named} do not fit"):
            snapshot.with_rows(np.array([0]), wrong.get_state())
        wrong.close()
    env.close()
    single.close()


@pytest.mark.torch
def test_snapshots_of_rows_in_a_vec_env_bring_their_goals():
    from gw_agents.sb3 import make_vec

    venv = make_vec("GWSimpleShapes-v0", n_envs=3, goal="attributes", modalities=("attributes",))
    venv.seed(0)
    goals = venv.reset()["goal"]
    (state,) = venv.env_method("get_state", indices=[2])
    venv.env_method("set_state", state, indices=[0])
    assert np.array_equal(venv.step(np.zeros(3, np.int64))[0]["goal"], goals[[2, 1, 2]])
    venv.close()


# Goals that the user gives.


@every_id
@every_goal
def test_a_goal_can_be_given_as_a_pose(env_id, goal):
    env = make(env_id, goal)
    drawn = env.reset(seed=3)[0]
    start, wording = env.state, env.goals.scenes.wording_seed
    for pose in (FREE[env_id], [FREE[env_id]], np.array(FREE[env_id], np.float32)):
        observation = env.reset(seed=3, options={"goal": pose})[0]
        assert env.goals.poses[0] == pytest.approx(np.ravel(pose))
        assert env.state == start
        assert env.goals.scenes.wording_seed == wording
        assert not np.array_equal(observation["goal"], drawn["goal"])
        assert np.array_equal(
            observation["goal"], env.core.observe(env.goals.scenes, (goal,))[goal][0]
        )
    env.close()


@every_id
def test_a_goal_can_be_given_as_a_sentence(env_id):
    env = make(env_id, "language")
    for seed in range(3):
        observation = env.reset(seed=seed, options={"goal": SENTENCES[env_id].upper()})[0]
        assert VOCABULARY.decode(observation["goal"]) == SENTENCES[env_id]
        truth = caption_truth(SENTENCES[env_id], env.goals.scenes)
        assert truth["place"]
        assert truth["direction"]
        assert env.core.is_reachable(env.goals.scenes).all()
        assert digest(appearance(env.goals.scenes)) == digest(appearance(env.state))
    env.close()


@every_id
def test_goals_of_some_rows(env_id):
    env = batch(env_id, "language")
    first = env.reset(seed=0)[0]["goal"]
    x, y, rotation = FREE[env_id]
    poses = [(x, y, rotation + row) for row in range(3)]
    options = {"reset_mask": np.array([False, True, True]), "goal": poses}
    second = env.reset(options=options)[0]["goal"]
    assert np.array_equal(first[0], second[0])
    assert env.goals.poses[1:].tolist() == [list(pose) for pose in poses[1:]]
    several = [SENTENCES[env_id], sentences(env.goals.scenes[1:2])[0], SENTENCES[env_id]]
    env.reset(options={"goal": several})
    assert VOCABULARY.decode_rows(env.step(np.zeros(3, np.int64))[0]["goal"]) == several
    env.close()


@every_id
def test_a_goal_that_is_reached_already_ends_the_episode_with_the_first_step_in_it(env_id):
    env = make(env_id, "attributes")
    x, y, rotation = FREE[env_id]
    state = {"x": x, "y": y, "rotation": rotation}
    info = env.reset(options={"goal": FREE[env_id], "state": state})[1]
    assert info["pose_reached"]
    assert not info["is_success"]
    assert env.step(0)[2]
    env.close()


WRONG_GOALS = {
    "no number": (None, "the goal is"),
    "two numbers": ((1.0, 2.0), "give .*a pose of 3 numbers"),
    "two poses": (np.zeros((2, 3)), "give .*a pose of 3 numbers"),
    "a dict": ({"x": 1.0}, "the goal is"),
    "bytes": (b"home", "the goal is"),
    "NaN": ((np.nan, 0.0, 0.0), "x of the goal is nan"),
    "outside": ((0.0, 99.0, 0.0), "y of the goal is 99"),
    "turned too far": ((10.0, 10.0, np.inf), "x of the goal|the rotation of the goal is inf"),
    "ragged": ([(1.0, 2.0, 3.0), (1.0,)], "rows must have one length"),
}


@every_id
@every_goal
@pytest.mark.parametrize("name", WRONG_GOALS)
def test_wrong_goals(env_id, goal, name):
    given, message = WRONG_GOALS[name]
    if name == "outside":
        given = (FREE[env_id][0], 99.0, 0.0)
    env, several = make(env_id, goal), batch(env_id, goal)
    for one in (env, several):
        one.reset(seed=0)
        before = digest(one.goals.poses, one.state.arrays())
        with pytest.raises(InputError, match=message) as caught:
            one.reset(options={"goal": given})
        assert "\n" not in str(caught.value)
        assert digest(one.goals.poses, one.state.arrays()) == before
        one.close()


@every_id
def test_sentences_that_are_no_goals(env_id):
    env = make(env_id, "language")
    env.reset(seed=0)
    with pytest.raises(InputError, match=r"not a caption of .*understood up to"):
        env.reset(options={"goal": SENTENCES[env_id].replace("pointing", "pondering")})
    with pytest.raises(InputError, match=r"not a caption of .*it is empty"):
        env.reset(options={"goal": ""})
    with pytest.raises(InputError, match="2 goals are given: give one, or 1"):
        env.reset(options={"goal": [SENTENCES[env_id]] * 2})
    other = make(env_id, "image")
    with pytest.raises(InputError, match="the goal is a sentence, and goals are shown as image"):
        other.reset(options={"goal": SENTENCES[env_id]})
    plain = make(env_id, None)
    with pytest.raises(InputError, match="the environment has none: make it with goal="):
        plain.reset(options={"goal": FREE[env_id]})
    for one in (env, other, plain):
        one.close()


def test_goals_that_the_table_cannot_reach():
    env = make("GWFactory-v0", "language")
    env.reset(seed=0)
    before = digest(env.goals.poses, env.state.arrays())
    with pytest.raises(InputError, match=r"the table of the goal stands .* deep in a wall"):
        env.reset(options={"goal": (-1.0, 1.8, 0.0)})
    with pytest.raises(InputError, match="can't be reached: no pose where the object stands free"):
        env.reset(options={"goal": "A red table behind the shelves, pointing north."})
    assert digest(env.goals.poses, env.state.arrays()) == before
    env.close()


@every_id
@pytest.mark.parametrize("goal", ["smell", 1, True, (), ["image"], np.array("image"), "Image"])
def test_unknown_goal_modalities(env_id, goal):
    for create in (make, batch):
        with pytest.raises(InputError, match=r"unknown goal modality .*choose 'image'"):
            create(env_id, goal)


# Rendering.


@every_id
def test_rendering_marks_the_goal_or_writes_it(env_id):
    frames = {}
    for goal in (None, *MODALITIES):
        env = make(env_id, goal, render_mode="rgb_array", render_size=240)
        env.reset(seed=1, options={"goal": FREE[env_id]} if goal else None)
        frames[goal] = env.render().astype(int)
        env.close()
    assert np.array_equal(frames["image"], frames["attributes"])
    assert np.abs(frames["image"] - frames[None])[:180].max() > 100  # the ring is elsewhere
    written = np.abs(frames["language"] - frames["image"]).max(-1) > 60
    assert written[180:].sum() > 100
    env = make(env_id, "attributes", render_mode="rgb_array", render_size=240)
    x, y, rotation = env.core.task.goal
    env.reset(seed=1, options={"goal": (x, y, rotation)})
    assert np.array_equal(env.render(), frames[None])
    env.close()
