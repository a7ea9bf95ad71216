"""What several test files share: seeded random rollouts, and digests that only what is equal to the bit shares."""

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
    """A short name for values; equal if and only if they are."""
    sha = hashlib.sha256()
    feed(sha, things)
    return sha.hexdigest()[:16]


def rollout(env: gym.Env, steps: int, seed: int) -> list[str]:
    """The digests of every reset and step of a seeded random policy; episodes that end are followed by others."""
    rng = np.random.default_rng(seed)
    found = [digest(*env.reset(seed=seed))]
    for _ in range(steps):
        outcome = env.step(random_action(env, rng))
        found.append(digest(*outcome))
        if outcome[2] or outcome[3]:
            found.append(digest(*env.reset()))
    return found


def vector_rollout(env: gym.vector.VectorEnv, steps: int, seed: int) -> list[str]:
    """The same for a vector environment."""
    rng = np.random.default_rng(seed)
    found = [digest(*env.reset(seed=seed))]
    for _ in range(steps):
        found.append(digest(*env.step(random_action(env, rng))))
    return found


def random_action(env: Any, rng: np.random.Generator) -> Any:
    """An action for every environment, from a generator of the test's own."""
    space = env.action_space
    if np.issubdtype(space.dtype, np.integer):
        return rng.integers(6, size=space.shape) if space.shape else int(rng.integers(6))
    return rng.uniform(-1, 1, space.shape).astype(np.float32)


def rollout_of(env_id: str, steps: int, seed: int, **arguments: Any) -> list[str]:
    """`rollout` in an environment of its own: for other processes, which import this."""
    assert env_id in gw_envs.ENV_IDS
    env = gym.make(env_id, **arguments)
    try:
        return rollout(env, steps, seed)
    finally:
        env.close()


def corrupted_rollout_of(env_id: str, steps: int, seed: int, **corruption: Any) -> list[str]:
    """`rollout` in an environment of its own whose sensors fail."""
    env = CorruptObservation(gym.make(env_id), **corruption)
    try:
        return rollout(env, steps, seed)
    finally:
        env.close()
