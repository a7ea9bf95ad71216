"""The form of hindsight experience replay: rewards and ends follow from two poses alone."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from rollouts import digest, random_action

from gw_envs import ENV_IDS
from gw_envs.errors import InputError
from gw_envs.hindsight import HindsightGoals

every_id = pytest.mark.parametrize("env_id", ENV_IDS)
every_reward = pytest.mark.parametrize("reward", ["sparse", "dense"])


def make(env_id: str, reward: str = "sparse", modality: str = "attributes", **arguments):
    arguments = {"goal": "attributes", "modalities": (modality,), **arguments}
    return HindsightGoals(gym.make(env_id, **arguments), modality, reward)


@every_id
@every_reward
def test_the_contract_of_goal_environments(env_id, reward):
    env = make(env_id, reward, actions="continuous")
    rng, observations, rewards, ends = np.random.default_rng(0), [], [], []
    observation, info = env.reset(seed=1)
    for _ in range(12):
        assert env.observation_space.contains(observation)
        observation, earned, terminated, truncated, info = env.step(random_action(env, rng))
        goals = observation["achieved_goal"], observation["desired_goal"]
        assert earned == env.compute_reward(*goals, info)
        assert terminated == env.compute_terminated(*goals, info) == info["is_success"]
        assert truncated == env.compute_truncated(*goals, info)
        observations.append(goals)
        rewards.append(earned)
        ends.append(terminated)
    achieved, desired = (np.stack(rows) for rows in zip(*observations, strict=True))
    before = digest(achieved, desired)
    for _ in range(2):  # a pure function of a batch
        assert env.compute_reward(achieved, desired, [{}] * 12).tolist() == rewards
        assert env.compute_terminated(achieved, desired, None).tolist() == ends
        assert not env.compute_truncated(achieved, desired, None).any()
    assert digest(achieved, desired) == before
    hindsight = env.compute_reward(achieved, achieved, {})
    assert (hindsight == 0).all()
    assert env.compute_terminated(achieved, achieved, {}).all()
    env.close()


@every_id
def test_poses_and_rewards_by_hand(env_id):
    sparse, dense = make(env_id), make(env_id, "dense")
    task, scene = dense.unwrapped.core.task, dense.unwrapped.core.scene
    x, y, rotation = task.goal
    options = {
        "goal": (x, y, rotation),
        "state": {"x": x - 5 * task.step, "y": y, "rotation": rotation + 1.0},
    }
    for env, expected in ((sparse, -1.0), (dense, -(4 + 10 / np.pi))):
        env.reset(seed=0, options=options)
        observation, earned, *_ = env.step(3)
        assert earned == pytest.approx(expected, abs=1e-2)
        low, high = scene.range_of("x")
        wanted = [2 * (x - low) / (high - low) - 1, 2 * (y - low) / (high - low) - 1, 1.0, 0.0]
        assert observation["desired_goal"] == pytest.approx(wanted)
        assert observation["achieved_goal"][2:] == pytest.approx([np.cos(1), np.sin(1)], abs=1e-5)
        env.close()


@every_id
def test_success_is_that_of_the_environment(env_id):
    env = make(env_id)
    x, y, rotation = env.unwrapped.core.task.goal
    step = env.unwrapped.core.task.step
    state = {"x": x - 3 * step, "y": y, "rotation": rotation}
    env.reset(seed=0, options={"goal": (x, y, rotation), "state": state})
    ends = []
    for _ in range(3):
        _, earned, terminated, _, info = env.step(3)
        assert terminated == info["pose_reached"] == (earned == 0)
        ends.append(terminated)
    assert ends[0] is False
    assert ends[-1] is True
    env.close()


@pytest.mark.filterwarnings("ignore:.*different from the unwrapped version")
def test_gymnasium_checker_and_pictures():
    env = make("GWSimpleShapes-v0", modality="image", goal="image")
    check_env(env, skip_render_check=True)
    assert env.reset(seed=0)[0]["observation"].shape == (32, 32, 3)
    env.close()


def test_wrong_use():
    for goal in (None, "language"):
        with pytest.raises(InputError, match="made with goal='attributes' or goal='image'"):
            make("GWSimpleShapes-v0", goal=goal)
    for env in (gym.make("CartPole-v1"), None):
        with pytest.raises(InputError, match="give an environment of gw_envs"):
            HindsightGoals(env)
    with pytest.raises(InputError, match="unknown reward 'rich'"):
        make("GWSimpleShapes-v0", "rich")
    with pytest.raises(InputError, match="unknown observed modality 'image'"):
        HindsightGoals(
            gym.make("GWSimpleShapes-v0", goal="image", modalities=("attributes",)), "image"
        )
    env = make("GWSimpleShapes-v0")
    for goals in (np.zeros((2, 3)), np.full((2, 4), np.nan), np.full((2, 4), 9.0), "home", 1.0):
        with pytest.raises(InputError, match="a goal"):
            env.compute_reward(goals, goals, {})
    with pytest.raises(InputError, match=r"\(2, 4\) do not fit desired ones of shape \(3, 4\)"):
        env.compute_reward(np.zeros((2, 4)), np.zeros((3, 4)), {})
    env.close()


@pytest.mark.torch
def test_sac_trains_with_hindsight():
    from stable_baselines3 import SAC, HerReplayBuffer

    env = make("GWSimpleShapes-v0", actions="continuous", max_episode_steps=15)
    model = SAC(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        learning_starts=40,
        batch_size=16,
        buffer_size=200,
        policy_kwargs={"net_arch": [16]},
        seed=0,
        device="cpu",
    )
    before = [weights.clone() for weights in model.actor.parameters()]
    model.learn(80)
    assert any(
        (weights != old).any()
        for weights, old in zip(model.actor.parameters(), before, strict=True)
    )
    assert model.replay_buffer.size() == 80
    samples = model.replay_buffer.sample(64)
    reached = samples.rewards == 0  # hindsight turns failures into successes
    assert reached.any()
    assert not reached.all()
    env.close()
