"""Seeded random rollouts, and digests that are equal only for values equal to the bit."""

import hashlib
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

import gw_envs
from gw_envs.corruption import CorruptObservation


def feed(sha: Any, thing: Any) -> None:
    """Put a value of any kind that environments return into a hash, with its dtype and shape."""
    if isinstance(thing, Mapping):
        for key in sorted(thing):
            sha.update(key.encode())
            feed(sha, thing[key])
    elif isinstance(thing, np.ndarray) and thing.dtype != object:
        sha.update(f"{thing.dtype}{thing.shape}".encode())
        sha.update(np.ascontiguousarray(thing).tobytes())
    elif isinstance(thing, list | tuple | np.ndarray):
        sha.update(f"[{len(thing)}".encode())
        for entry in thing:
            feed(sha, entry)
    else:
        sha.update(repr(thing.item() if isinstance(thing, np.generic) else thing).encode())


def digest(*things: Any) -> str:
    """Return a short hash of values, equal if and only if they are."""
    sha = hashlib.sha256()
    feed(sha, things)
    return sha.hexdigest()[:16]


def rollout(env: gym.Env, steps: int, seed: int) -> list[str]:
    """Return the digests of all resets and steps of a seeded random policy, over episodes."""
    rng = np.random.default_rng(seed)
    trace = [digest(*env.reset(seed=seed))]
    for _ in range(steps):
        outcome = env.step(random_action(env, rng))
        trace.append(digest(*outcome))
        if outcome[2] or outcome[3]:
            trace.append(digest(*env.reset()))
    return trace


def vector_rollout(env: gym.vector.VectorEnv, steps: int, seed: int) -> list[str]:
    """Return the digests of a reset and of all steps of a seeded random policy in a batch."""
    rng = np.random.default_rng(seed)
    trace = [digest(*env.reset(seed=seed))]
    for _ in range(steps):
        trace.append(digest(*env.step(random_action(env, rng))))
    return trace


def random_action(env: Any, rng: np.random.Generator) -> Any:
    """Draw an action for every environment from the test's own generator."""
    space = env.action_space
    if np.issubdtype(space.dtype, np.integer):
        return rng.integers(6, size=space.shape) if space.shape else int(rng.integers(6))
    return rng.uniform(-1, 1, space.shape).astype(np.float32)


def rollout_of(env_id: str, steps: int, seed: int, **arguments: Any) -> list[str]:
    """Return the `rollout` of a new environment; other processes import this."""
    assert env_id in gw_envs.ENV_IDS
    env = gym.make(env_id, **arguments)
    try:
        return rollout(env, steps, seed)
    finally:
        env.close()


def corrupted_rollout_of(env_id: str, steps: int, seed: int, **corruption: Any) -> list[str]:
    """Return the `rollout` of a new environment whose sensors fail."""
    env = CorruptObservation(gym.make(env_id), **corruption)
    try:
        return rollout(env, steps, seed)
    finally:
        env.close()
