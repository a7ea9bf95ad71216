"""Environments with goals, and rollouts in which an expert pursues them."""

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
from rollouts import digest, random_action

from gw_envs import ENV_IDS, MODALITIES
from gw_envs.expert import expert_actions, expert_goals

every_id = pytest.mark.parametrize("env_id", ENV_IDS)
every_goal = pytest.mark.parametrize("goal", MODALITIES)
FREE = {"GWSimpleShapes-v0": (10.0, 20.0, 2.0), "GWFactory-v0": (0.3, -0.6, 2.0)}
"""Poses at which nothing is in the way."""
SENTENCES = {
    "GWSimpleShapes-v0": "A large red egg at the top left, pointing north.",
    "GWFactory-v0": "A red table close to the cones, pointing west.",
}


def make(env_id: str, goal: str | None, **arguments) -> gym.Env:
    return gym.make(env_id, goal=goal, **{"modalities": ("attributes",), **arguments}).unwrapped


def batch(env_id: str, goal: str | None, count: int = 3, **arguments) -> gym.vector.VectorEnv:
    arguments = {"modalities": ("attributes",), **arguments}
    return gym.make_vec(env_id, num_envs=count, goal=goal, **arguments)


def layouts(env_id: str) -> tuple[str, ...]:
    return ("fixed", "random") if env_id == "GWFactory-v0" else ("fixed",)


def appearance(state: Any) -> dict[str, Any]:
    """Return the arrays of a state that no action changes."""
    arrays = state.arrays()
    return {name: arrays[name] for name in arrays if name in ("shape", "size", "rgb", "landmarks")}


class Followed(NamedTuple):
    """The digests of a rollout, and the number of episodes that succeeded."""

    trace: list[str]
    successes: int


def follow_expert(env: gym.vector.VectorEnv, steps: int, seed: int) -> Followed:
    """Roll out the expert, which random actions delay, in a native batch or in single ones."""
    native = getattr(env, "core", None)
    cores = [native] if native else [single.unwrapped.core for single in env.envs]
    scene, rng = cores[0].scene.name, np.random.default_rng(seed)
    observations, info = env.reset(seed=seed)
    trace, successes = [digest(observations, info)], 0
    for _ in range(steps):
        chance = random_action(env, rng)
        goals = np.concatenate([expert_goals(core) for core in cores])
        expert = expert_actions(scene, observations["attributes"], cores[0].actions, goals)
        acts = rng.random(env.num_envs) < 0.8
        actions = np.where(acts.reshape(-1, *[1] * (expert.ndim - 1)), expert, chance)
        observations, *rest, info = env.step(actions.astype(chance.dtype))
        successes += int(rest[1].sum())
        trace.append(digest(observations, *rest, info))
    return Followed(trace, successes)
