"""The native vector environments: equal to the bit to single ones in every autoreset mode."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from rollouts import digest, random_action, vector_rollout

from gw_envs import ENV_IDS, MAX_EPISODE_STEPS
from gw_envs.expert import expert_actions

SIZES = {"GWSimpleShapes-v0": (5, 1000), "GWFactory-v0": (2, 1000)}
"""Rows and steps of the comparisons."""

every_id = pytest.mark.parametrize("env_id", ENV_IDS)


def mixed_rollout(env: gym.vector.VectorEnv, steps: int, seed: int) -> list[dict]:
    """Return the trace of a policy that is often the expert: rows end at different times."""
    rng = np.random.default_rng(seed)
    observations, info = env.reset(seed=seed)
    trace = [{"observations": observations, "info": info}]
    scene = "simple_shapes" if observations["attributes"].shape[1] == 11 else "factory"
    for _ in range(steps):
        chance, expert = random_action(env, rng), expert_actions(scene, observations["attributes"])
        actions = np.where(rng.random(env.num_envs) < 0.85, expert, chance)
        observations, reward, terminated, truncated, info = env.step(actions)
        trace.append(
            {
                "observations": observations,
                "reward": reward,
                "terminated": terminated,
                "truncated": truncated,
                "info": info,
            }
        )
    return trace


@every_id
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_equal_to_single_environments(env_id, mode):
    count, steps = SIZES[env_id]
    native = gym.make_vec(env_id, num_envs=count, autoreset_mode=mode)
    singles = SyncVectorEnv([lambda: gym.make(env_id)] * count, autoreset_mode=mode)
    assert native.metadata["autoreset_mode"] is mode
    ours, theirs = (mixed_rollout(env, steps, seed=3) for env in (native, singles))
    for step, (here, there) in enumerate(zip(ours, theirs, strict=True)):
        for key in here:
            if key == "info":
                assert set(here[key]) == set(there[key]), step
                for name in here[key]:
                    assert digest(here[key][name]) == digest(there[key][name]), (step, name)
            else:
                assert digest(here[key]) == digest(there[key]), (step, key)
    assert (
        sum(step["terminated"].sum() for step in ours[1:]) > count
    )  # there was something to compare
    native.close()
    singles.close()


@every_id
def test_equal_in_random_steps(env_id):
    count, steps = SIZES[env_id]
    native = gym.make_vec(env_id, num_envs=count, actions="continuous")
    singles = gym.make_vec(env_id, num_envs=count, vectorization_mode="sync", actions="continuous")
    assert vector_rollout(native, steps, seed=5) == vector_rollout(singles, steps, seed=5)
    assert vector_rollout(native, 20, seed=5) == vector_rollout(singles, 20, seed=5)
    native.close()
    singles.close()


@every_id
@pytest.mark.parametrize("context", [None, "spawn"])
def test_async_vector_environments(env_id, context):
    native = gym.make_vec(env_id, num_envs=2)
    workers = gym.make_vec(
        f"gw_envs:{env_id}",
        num_envs=2,
        vectorization_mode="async",
        vector_kwargs={"context": context},
    )
    assert vector_rollout(workers, 12, seed=1) == vector_rollout(native, 12, seed=1)
    native.close()
    workers.close()


@every_id
def test_sentences_from_other_processes(env_id):
    arguments = {"num_envs": 2, "language": "text", "modalities": ("language",)}
    pipes = {
        "shared_memory": False
    }  # in shared memory Gymnasium reads sentences once, before they are there
    native, workers = (
        gym.make_vec(env_id, **arguments),
        gym.make_vec(
            f"gw_envs:{env_id}", vectorization_mode="async", vector_kwargs=pipes, **arguments
        ),
    )
    assert vector_rollout(workers, 12, seed=1) == vector_rollout(native, 12, seed=1)
    native.close()
    workers.close()


@every_id
def test_batches_of_one_and_lists_of_seeds(env_id):
    one, three = gym.make_vec(env_id, num_envs=1), gym.make_vec(env_id, num_envs=3)
    single = gym.make(env_id)
    observations, info = one.reset(seed=4)
    alone, alone_info = single.reset(seed=4)
    assert digest({name: rows[0] for name, rows in observations.items()}) == digest(alone)
    assert info["caption"][0] == alone_info["caption"]
    seeded = three.reset(seed=[9, 4, None])[0]
    assert digest({name: rows[1] for name, rows in seeded.items()}) == digest(alone)
    with pytest.raises(ValueError, match="2 seeds were given for 3 environments"):
        three.reset(seed=[1, 2])
    for env in (one, three, single):
        env.close()


@every_id
def test_spaces_and_truncation(env_id):
    for arguments, length in (({}, MAX_EPISODE_STEPS), ({"max_episode_steps": 7}, 7)):
        env = gym.make_vec(
            env_id, num_envs=2, modalities=("attributes", "language"), language="text", **arguments
        )
        observations, _ = env.reset(seed=0)
        assert env.observation_space.contains(observations)
        ends = [env.step(np.full(2, step % 2))[2:4] for step in range(length + 1)]
        truncated = [bool(late.all()) for _, late in ends]
        assert truncated == [False] * (length - 1) + [True, False]
        env.close()


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_recorded_statistics_count_every_step_of_an_episode(mode):
    env = gym.make_vec(
        ENV_IDS[0],
        num_envs=2,
        modalities=("attributes",),
        max_episode_steps=5,
        autoreset_mode=mode,
    )
    recorded = gym.wrappers.vector.RecordEpisodeStatistics(env)
    recorded.reset(seed=0)
    lengths = []
    for step in range(18):
        info = recorded.step(np.full(2, step % 2))[-1]
        if "episode" in info:
            lengths.append(info["episode"]["l"].tolist())
    assert lengths == [[5, 5]] * 3
    recorded.close()


@every_id
def test_rows_do_not_depend_on_one_another(env_id):
    few, many = (
        gym.make_vec(env_id, num_envs=count, modalities=("attributes",)) for count in (2, 5)
    )
    few.reset(seed=0)
    many.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(40):
        actions = rng.integers(6, size=5)
        ours, theirs = few.step(actions[:2]), many.step(actions)
        assert np.array_equal(ours[0]["attributes"], theirs[0]["attributes"][:2])
        assert np.array_equal(ours[1], theirs[1][:2])
    few.close()
    many.close()


@every_id
def test_rendering(env_id):
    env = gym.make_vec(env_id, num_envs=2, render_mode="rgb_array", render_size=64)
    env.reset(seed=0)
    frames = env.render()
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * 2
    assert not np.array_equal(*frames)
    env.close()
    env.close()


@every_id
def test_wrong_use(env_id):
    env = gym.make_vec(env_id, num_envs=2, modalities=("attributes",))
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.zeros(2, np.int64))
    env.reset(seed=0)
    for actions in (0, np.zeros(3, np.int64), np.zeros(2), np.array([0, 6]), [0, None]):
        with pytest.raises(ValueError, match="action"):
            env.step(actions)
    with pytest.raises(ValueError, match="DISABLED is not offered"):
        gym.make_vec(env_id, autoreset_mode=AutoresetMode.DISABLED)
    env.close()
