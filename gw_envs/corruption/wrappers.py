"""Wrappers that make the sensors of environments fail.

The environment itself is unchanged: its states, rewards, infos (the true `caption` among them) and
its generator are the same as without the wrapper.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from gw_envs.corruption.sensors import Corruption, Faults
from gw_envs.errors import InputError, check_keys, describe

_ARGUMENTS = ("severity", "every", "at_once", "seed", "others")
"""The arguments of `Corruption` that the wrappers take."""


class CorruptObservation(gym.ObservationWrapper, RecordConstructorArgs):
    """One environment whose sensors fail.

    `reset(seed=s)` begins the same corruption in every wrapper with the same arguments, whatever
    happened before. The attribute `corruption` says which sensors fail at present.
    """

    def __init__(self, env: gym.Env, faults: Faults, **arguments: Any) -> None:
        """Wrap an environment with Dict observations.

        Args:
            env: the environment.
            faults: as for `Corruption`.
            arguments: `severity`, `every`, `at_once`, `seed` and `others`, as for `Corruption`.
                Environments of `gw_envs` draw the other scenes of "other_scene" themselves unless
                `others` is given.
        """
        if not isinstance(env, gym.Env):
            raise InputError(f"env is {describe(env)}: give an environment")
        check_keys("the arguments of CorruptObservation", arguments, _ARGUMENTS)
        core = getattr(env.unwrapped, "core", None)
        corruption = Corruption(env.observation_space, faults, core=core, **arguments)
        RecordConstructorArgs.__init__(self, faults=faults, **arguments)
        gym.ObservationWrapper.__init__(self, env)
        self.corruption = corruption

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode and its corruption; a seed determines both."""
        self.corruption.reset(seed)
        return super().reset(seed=seed, options=options)

    def observation(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """Return an observation as the failing sensors show it."""
        batch = {name: observation[name][None] for name in self.corruption.modalities}
        faulty = self.corruption(batch)
        return {**observation, **{name: rows[0] for name, rows in faulty.items()}}


class CorruptVectorObservation(VectorWrapper):
    """N environments whose sensors fail.

    Row i equals a `CorruptObservation` with the same seed, to the bit.
    """

    def __init__(self, env: VectorEnv, faults: Faults, **arguments: Any) -> None:
        """Wrap a vector environment whose autoreset mode is NEXT_STEP or SAME_STEP.

        Args:
            env: one of `gw_envs` or of Gymnasium, with Dict observations.
            faults: as for `Corruption`.
            arguments: as for `CorruptObservation`; Gymnasium's vector environments need `others`
                for the kind "other_scene".
        """
        if not isinstance(env, VectorEnv):
            raise InputError(f"env is {describe(env)}: give a vector environment")
        check_keys("the arguments of CorruptVectorObservation", arguments, _ARGUMENTS)
        super().__init__(env)
        self._same_step = env.metadata.get("autoreset_mode") is AutoresetMode.SAME_STEP
        if env.metadata.get("autoreset_mode") is AutoresetMode.DISABLED:
            raise InputError(
                "autoreset_mode DISABLED is not offered: choose NEXT_STEP or SAME_STEP"
            )
        space, core = env.single_observation_space, getattr(env.unwrapped, "core", None)
        self.corruption = Corruption(space, faults, core=core, num_rows=env.num_envs, **arguments)
        self._done = np.zeros(env.num_envs, np.bool_)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode in every row, or in those of `options["reset_mask"]`.

        An int `seed` gives row i the seed `seed + i`; a list has one for each row.
        """
        # read before the reset, as some environments remove the mask from `options`
        mask = options.get("reset_mask") if isinstance(options, Mapping) else None
        observations, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        if mask is None:
            self.corruption.reset(seed)
            self._done[:] = False
            return self.corruption(observations), info
        rows = np.flatnonzero(mask)
        self.corruption.reset(seed, rows)
        self._done[rows] = False
        return self.corruption.some(observations, rows), info

    def step(
        self, actions: Any
    ) -> tuple[dict[str, Any], NDArray, NDArray, NDArray, dict[str, Any]]:
        """Act in every row; `info["final_obs"]`, the last of each episode, is corrupted too."""
        observations, reward, terminated, truncated, info = self.env.step(actions)
        done = terminated | truncated
        if self._same_step and done.any():
            info = {**info, "final_obs": self.corruption.last(info["final_obs"], done)}
        self.corruption.begin(done if self._same_step else self._done)
        self._done = done
        return self.corruption(observations), reward, terminated, truncated, info
