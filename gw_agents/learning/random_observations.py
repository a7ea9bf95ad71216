"""Anybody's environment: which keys of its observation get a domain module, and observations gathered by chance."""

from collections.abc import Mapping

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from gw_agents.domains.base import check_key
from gw_agents.learning.recipes import Recipe, space_recipe


def make_environment(env_id: str) -> gym.Env:
    """The environment of a registered id, or of "module:ID", which imports the module first.

    Raises ValueError if there is no such id or its observation is no Dict.
    """
    try:
        env = gym.make(env_id)
    except (gym.error.Error, ImportError) as error:
        raise ValueError(
            f"no environment {env_id!r} ({error}): give a registered id, or MODULE:ID to import the module that"
            " registers it"
        ) from error
    if not isinstance(env.observation_space, gym.spaces.Dict):
        kind = type(env.observation_space).__name__
        env.close()
        raise ValueError(
            f"the observation of {env_id} is a {kind}: a workspace joins the keys of a Dict, so wrap the environment"
            " to show one"
        )
    return env


def key_recipes(space: gym.spaces.Dict) -> tuple[dict[str, Recipe], dict[str, str]]:
    """{key: how its domain module is built and trained} and {key: why it can't have one}, of an observation space."""
    usable: dict[str, Recipe] = {}
    refused: dict[str, str] = {}
    for key, own in space.spaces.items():
        try:
            usable[check_key(key)] = space_recipe(own)
        except ValueError as error:
            refused[key] = str(error)
    return usable, refused


def random_observations(
    env_id: str, recipes: Mapping[str, Recipe], count: int, seed: int
) -> dict[str, NDArray]:
    """What is seen in episodes of random actions: {key: (count, ...)}, row i of each at the same moment.

    Args:
        env_id: as for `make_environment`.
        recipes: the keys to keep, with their recipes.
        count: how many observations, those of resets included.
        seed: of the environment's first reset and of the actions; the same seed brings the same rows, if the
            environment keeps Gymnasium's promise.

    Raises:
        ValueError: fewer than two observations, or one that is not in the space or not finite.
    """
    if count < 2:
        raise ValueError(
            f"{count} observations were asked for: gather at least 2, and better thousands"
        )
    env = make_environment(env_id)
    assert isinstance(env.observation_space, gym.spaces.Dict)
    spaces = {key: env.observation_space[key] for key in recipes}
    rows: dict[str, NDArray] = {
        key: np.empty((count, *(space.shape or ())), space.dtype) for key, space in spaces.items()
    }
    env.action_space.seed(seed)
    shown, over = env.reset(seed=seed)[0], False
    for index in tqdm(range(count), desc=f"acting by chance in {env_id}", mininterval=2.0):
        if index:
            if over:
                shown, over = env.reset()[0], False
            else:
                shown, _, terminated, truncated, _ = env.step(env.action_space.sample())
                over = terminated or truncated
        for key, own in rows.items():
            if np.shape(shown[key]) != own.shape[1:] or not np.isfinite(shown[key]).all():
                raise ValueError(
                    f"{env_id} showed {key} of shape {np.shape(shown[key])}, which must be finite and of shape"
                    f" {own.shape[1:]}, as its space says: mend the environment, or leave {key} out"
                )
            own[index] = shown[key]
    env.close()
    return {
        key: own if own.dtype == np.uint8 else own.astype(np.float32) for key, own in rows.items()
    }
