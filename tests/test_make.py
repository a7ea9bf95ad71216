"""Making environments: specifications, wrong arguments, spaces, and keys to play with."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from rollouts import digest, rollout, vector_rollout

from gw_envs import ENV_IDS
from gw_envs.core import make_core
from gw_envs.errors import InputError
from gw_envs.goal_task import ACTIONS
from gw_envs.language import VOCABULARY
from gw_envs.scenes import get_scene

every_id = pytest.mark.parametrize("env_id", ENV_IDS)


@every_id
def test_a_batch_is_made_again_from_its_specification_in_json(env_id):
    arguments = {
        "num_envs": 2,
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "modalities": np.array(["attributes"]),
        "image_size": np.int64(48),
        "max_episode_steps": 4,
    }
    env = gym.make_vec(env_id, **arguments)
    again = gym.make_vec(EnvSpec.from_json(env.spec.to_json()))
    assert again.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert again.unwrapped.core.image_size == 48
    assert vector_rollout(again, 6, seed=0) == vector_rollout(env, 6, seed=0)
    env.close()
    again.close()


@every_id
def test_a_single_environment_is_made_again_from_its_specification_in_json(env_id):
    env = gym.make(f"gw_envs:{env_id}", modalities={"attributes"}, image_size=np.int64(48))
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert rollout(again, 3, seed=0) == rollout(env, 3, seed=0)
    env.close()
    again.close()


@every_id
@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_unknown_arguments_are_refused_with_the_known_ones(env_id, make):
    with pytest.raises(InputError, match=r"'modalitys' \(did you mean 'modalities'\?\)") as caught:
        make(env_id, modalitys="image")
    for name in ("render_mode", "render_size", "modalities", "actions", "image_size", "layout"):
        assert name in str(caught.value)


def test_unknown_arguments_of_a_core():
    for scene in ("simple_shapes", "factory"):
        with pytest.raises(InputError, match=r"unknown argument 'no_such': .*num_envs, modalities"):
            make_core(scene, no_such=1)


@pytest.mark.parametrize("mode", ["SAME_STEP_PLEASE", "", None, 1, True])
def test_unknown_autoreset_modes(mode):
    with pytest.raises(InputError, match="choose 'NextStep' or 'SameStep'"):
        gym.make_vec(ENV_IDS[0], autoreset_mode=mode)
    env = gym.make_vec(ENV_IDS[0], autoreset_mode="SameStep")
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    env.close()


WRONG_VALUES = {
    "modalities": [5, True, object(), b"image", [["image"]], [np.array([1, 2])], np.array("image")],
    "render_size": [None, True, "480", np.nan, np.inf, [480], np.zeros((2, 2)), 10**30],
    "image_size": [True, "64", np.nan, np.inf, (64,), np.float32(64)],
    "actions": [None, 0, ["discrete"], np.array(["discrete"])],
    "language": [None, True, {}],
    "layout": [None, 1, ["fixed"]],
    "max_episode_steps": [0, -1, True, 1.5, np.nan, "100", [100]],
}


@pytest.mark.parametrize("name", WRONG_VALUES)
def test_wrong_values_of_arguments(name):
    for scene in ("simple_shapes", "factory"):
        make = get_scene(scene).load("env", f"{get_scene(scene).class_prefix}Env")
        for value in WRONG_VALUES[name]:
            with pytest.raises(InputError) as caught:
                make(**{name: value})
            assert len(str(caught.value)) < 200
            assert "\n" not in str(caught.value)


@every_id
def test_sampled_token_ids_are_words(env_id):
    env = gym.make(env_id, modalities=("language",))
    space = env.observation_space["language"]
    assert space.low.max() == 0
    assert set(space.high.tolist()) == {len(VOCABULARY) - 1}
    env.close()


@every_id
def test_keys_to_play_with(env_id):
    discrete, continuous = (
        gym.make(env_id, actions=actions).unwrapped for actions in ("discrete", "continuous")
    )
    keys = discrete.get_keys_to_action()
    assert [keys[(ord(key),)] for key in "wsadqe"] == list(range(len(ACTIONS)))
    assert len(keys) == 63  # every combination of six keys that can be held
    for held, action in keys.items():
        assert held == tuple(sorted(held))
        assert action in discrete.action_space
        assert (ord("wsadqe"[action])) in held
    keys = continuous.get_keys_to_action()
    assert all(action in continuous.action_space for action in keys.values())
    assert keys[(ord("w"),)].tolist() == [0, 1, 0]
    assert keys[tuple(sorted(map(ord, "wae")))].tolist() == [-1, 1, -1]
    assert keys[tuple(sorted(map(ord, "wsq")))].tolist() == [0, 0, 1]
    assert discrete.noop is None
    continuous.reset(seed=0)
    before = digest(continuous.state.arrays())
    continuous.step(continuous.noop)
    assert digest(continuous.state.arrays()) == before
    for env in (discrete, continuous):
        env.close()


@every_id
def test_use_before_the_first_reset_and_after_the_end(env_id):
    env = gym.make(env_id, render_mode="rgb_array").unwrapped
    batch = gym.make_vec(env_id, num_envs=2, render_mode="rgb_array")
    for _ in range(2):
        for use in (lambda: env.step(0), env.render, env.get_state, lambda: env.state):
            with pytest.raises(gym.error.ResetNeeded):
                use()
        for use in (lambda: batch.step(np.zeros(2, np.int64)), batch.render, batch.get_state):
            with pytest.raises(gym.error.ResetNeeded):
                use()
        env.reset(seed=0)
        batch.reset(seed=0)
        assert not batch.closed
        batch.step(np.zeros(2, np.int64))
        env.close()
        batch.close()
        assert batch.closed
    assert getattr(batch.core, "_simulations", []) == []
