"""Environments of others: which keys get a domain module, and observations of random actions."""

from collections.abc import Iterable, Sequence

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from gw_agents.domains.base import check_key
from gw_agents.learning.recipes import Recipe, space_recipe
from gw_envs.errors import InputError, check_whole
from gw_envs.observation import check_modalities


def make_environment(env_id: str) -> gym.Env:
    """Make the environment of a registered id, or of "module:ID", which imports the module first.

    Raises InputError if there is no such id or its observation is no Dict.
    """
    try:
        env = gym.make(env_id)
    except (gym.error.Error, ImportError) as error:
        raise InputError(
            f"no environment {env_id!r} ({error}): give a registered id, or MODULE:ID to import the"
            " module that registers it"
        ) from error
    if not isinstance(env.observation_space, gym.spaces.Dict):
        kind = type(env.observation_space).__name__
        env.close()
        raise InputError(
            f"the observation of {env_id} is a {kind}: a workspace joins the keys of a Dict, so"
            " wrap the environment to show one"
        )
    return env


def key_recipes(space: gym.spaces.Dict) -> tuple[dict[str, Recipe], dict[str, str]]:
    """Find the keys of an observation space that can have a domain module.

    Returns:
        {key: how its domain module is built and trained} and {key: why it can't have one}.
    """
    usable: dict[str, Recipe] = {}
    refused: dict[str, str] = {}
    for key, own in space.spaces.items():
        try:
            usable[check_key(key)] = space_recipe(own)
        except InputError as error:
            refused[key] = str(error)
    return usable, refused


def find_recipes(
    env_id: str, keys: Sequence[str] | None = None
) -> tuple[dict[str, Recipe], dict[str, str]]:
    """Find how the domain modules of an environment's observation are built and trained.

    Args:
        env_id: as for `make_environment`.
        keys: the keys that must have a domain module; None for all that can.

    Returns:
        {key: recipe} and {key: why it is left out}.

    Raises:
        InputError: no key can have a domain module, or one of `keys` can't.
    """
    env = make_environment(env_id)
    usable, refused = key_recipes(env.observation_space)  # type: ignore[arg-type]
    env.close()
    if keys is not None:
        refused = {key: why for key, why in refused.items() if key in keys}
    if not usable or (refused and keys is not None):
        reasons = "; ".join(f"{key} ({why})" for key, why in refused.items())
        raise InputError(f"no domain fits these keys of {env_id}: {reasons or 'there are none'}")
    asked = check_modalities(tuple(usable) if keys is None else keys, tuple(usable))
    return {key: usable[key] for key in asked}, refused


def random_observations(
    env_id: str, keys: Iterable[str], count: int, seed: int
) -> dict[str, NDArray]:
    """Gather observations from episodes of random actions.

    Args:
        env_id: as for `make_environment`.
        keys: the keys of the observation to keep.
        count: how many observations, those of resets included.
        seed: of the environment's first reset and of the actions; the same seed gives the same
            rows, if the environment keeps Gymnasium's promise.

    Returns:
        {key: (count, ...)} uint8 or float32; row i of each is of the same moment.

    Raises:
        InputError: fewer than two observations, or one that is not in the space or not finite.
    """
    check_whole("the number of observations", count, 2)
    env = make_environment(env_id)
    assert isinstance(env.observation_space, gym.spaces.Dict)
    spaces = {key: env.observation_space[key] for key in keys}
    rows: dict[str, NDArray] = {
        key: np.empty((count, *(space.shape or ())), space.dtype) for key, space in spaces.items()
    }
    env.action_space.seed(seed)
    observation, done = env.reset(seed=seed)[0], False
    for index in tqdm(range(count), desc=f"acting at random in {env_id}", mininterval=2.0):
        if index and done:
            observation, done = env.reset()[0], False
        elif index:
            observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
            done = terminated or truncated
        for key, own in rows.items():
            _check_value(env_id, key, observation[key], own.shape[1:])
            own[index] = observation[key]
    env.close()
    return {
        key: own if own.dtype == np.uint8 else own.astype(np.float32) for key, own in rows.items()
    }


def _check_value(env_id: str, key: str, value: NDArray, shape: tuple[int, ...]) -> None:
    """Raise InputError unless a value is finite and of the shape that its space promises."""
    if np.shape(value) != shape or not np.isfinite(value).all():
        raise InputError(
            f"{env_id} showed {key} of shape {np.shape(value)}, which must be finite and of shape"
            f" {shape}, as its space says: mend the environment, or leave {key} out"
        )
