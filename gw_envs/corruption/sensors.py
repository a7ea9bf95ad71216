"""Sensors that fail while environments run: what is drawn when, and the wrappers around one and around N of them.

The environment itself notices nothing: its states, rewards, infos (the true `caption` among them) and its generator
are as without the wrapper.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from gw_envs.core import Core
from gw_envs.corruption.kinds import (
    apply_kind,
    check_others,
    check_rows,
    check_severity,
    choose_other,
    get_kind,
    pick,
)
from gw_envs.errors import check_choice
from gw_envs.observation import check_modalities

Faults = Mapping[str, str | Sequence[str]]
"""What can happen: {modality: kind}, or {modality: kinds} of which one is drawn."""

OTHER_SCENES = 128
"""How many other scenes `other_scenes` brings unless told otherwise."""

_STREAM = 0xC0
"""Part of every seed drawn from here: an environment seeded alike shares no random number with its corruption."""


def other_scenes(
    core: Core | None, modalities: Sequence[str], count: int = OTHER_SCENES
) -> dict[str, NDArray]:
    """Observations of `count` scenes like those of `core`, always the same: {modality: (count, ...)}."""
    if core is None:
        raise ValueError(
            "the kind 'other_scene' needs `others` here: give {modality: (M, ...)} from other scenes"
        )
    return core.observe(core.sample(np.random.default_rng(_STREAM), count), modalities)


class Corruption:
    """The sensors of N rows: which of them fail, how and how badly, and what they show instead.

    Row i is a function of its own seed and observations alone, so that N rows seeded `s`, `s + 1`, ... equal N single
    ones to the bit. Severity 0 changes nothing; with a range, each row has a severity of its own for each modality.
    """

    def __init__(
        self,
        space: gym.Space,
        faults: Faults,
        severity: float | tuple[float, float] = 1.0,
        every: str = "episode",
        at_once: int | None = None,
        seed: int = 0,
        others: Mapping[str, NDArray] | None = None,
        core: Core | None = None,
        num_rows: int = 1,
    ) -> None:
        """Check the arguments; the first observation shown begins an episode in every row.

        Args:
            space: the Dict space of a single observation.
            faults: {modality: kind} or {modality: kinds}; of several kinds one is drawn, all equally likely.
            severity: in [0, 1], or a range (low, high) from which it is drawn evenly.
            every: "episode" draws once for a whole episode, what happens and the chance in it: a fault that stays.
                "step" draws anew for each observation.
            at_once: how many of the modalities in `faults` fail at the same time, drawn evenly; None for all of them.
            seed: other seeds bring other corruption to the same episodes. Before a `reset` with a seed, chance differs
                from run to run, as an environment's does.
            others: {modality: (M, ...)} observations of other scenes, for the kind "other_scene" alone.
            core: where those come from if they are not given, see `other_scenes`.
            num_rows: N.

        Raises:
            ValueError: a modality unknown or not observed, an unknown kind, severity NaN or outside [0, 1], ...
        """
        if not isinstance(faults, Mapping) or not faults:
            raise ValueError(
                f"faults is {faults!r}: give modalities with their kinds, as in {{'image': 'blur'}}"
            )
        self.modalities = check_modalities(faults)
        self.kinds = {name: _names(faults[name]) for name in self.modalities}
        self._entries = {
            name: [get_kind(name, kind) for kind in self.kinds[name]] for name in self.modalities
        }
        self._low, self._high = _bounds(severity)
        self.every = check_choice("rhythm of `every`", every, ("episode", "step"))
        if at_once is not None and (
            isinstance(at_once, bool) or at_once not in range(1, len(faults) + 1)
        ):
            raise ValueError(
                f"at_once is {at_once!r}: it must be a whole number from 1 to {len(faults)}, or None"
            )
        self.at_once = len(faults) if at_once is None else int(at_once)
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"seed is {seed!r}: it must be a whole number of at least 0")
        self._seed, self.num_rows = int(seed), num_rows
        self._shown = {name: _room(space, name, num_rows) for name in self.modalities}
        self._others = self._find_others(others, core)
        self._rngs = [np.random.default_rng() for _ in range(num_rows)]
        self._fresh = np.ones(num_rows, np.bool_)
        self._header = np.zeros(
            (num_rows, len(faults), 3), np.float32
        )  # who fails, with which kind, how badly
        self._chosen = {name: np.zeros(num_rows, np.int64) for name in self.modalities}
        self.severity = {name: np.zeros(num_rows, np.float32) for name in self.modalities}
        """{modality: (N,)} severity of what happens now; 0 where nothing does."""
        self._draws = {
            name: [kind.draws.empty(shown.shape) for kind in self._entries[name]]
            for name, shown in self._shown.items()
        }

    def _find_others(
        self, others: Mapping[str, NDArray] | None, core: Core | None
    ) -> Mapping[str, NDArray]:
        """The observations of other scenes that the kinds need."""
        needing = [
            name
            for name, kinds in self._entries.items()
            if any(kind.other == "others" for kind in kinds)
        ]
        if not needing:
            return {}
        found = other_scenes(core, needing) if others is None else others
        for name in needing:
            if name not in found:
                raise ValueError(
                    f"`others` has no {name}, which the kind 'other_scene' needs: give (M, ...) of them"
                )
            check_others(name, found[name], self._shown[name].shape[1:])
        return found

    def reset(self, seed: int | Sequence[int | None] | None = None) -> None:
        """Begin an episode in every row; an int `seed` gives row i the seed `seed + i`, a list one each, None none."""
        if seed is None or isinstance(seed, int | np.integer):
            seed = [None if seed is None else int(seed) + row for row in range(self.num_rows)]
        for row, row_seed in enumerate(seed):
            if row_seed is not None:
                self._rngs[row] = np.random.default_rng((_STREAM, self._seed, row_seed))
        self._fresh[:] = True

    def begin(self, rows: NDArray) -> None:
        """The next observation of `rows`, indices or a mask, is the first of an episode."""
        self._fresh[rows] = True

    def last(self, observations: Any, over: NDArray[np.bool_]) -> NDArray:
        """The last observations of episodes: N dicts, looked at where `over` alone -> (N,) object, None elsewhere."""
        rows = np.flatnonzero(over)
        stacked = {
            name: np.stack([observations[row][name] for row in rows]) for name in self.modalities
        }
        faulty = self(stacked, rows)
        found = np.full(len(over), None, dtype=object)
        for place, row in enumerate(rows):
            found[row] = {
                **observations[row],
                **{name: values[place] for name, values in faulty.items()},
            }
        return found

    def failing(self) -> dict[str, NDArray[np.str_]]:
        """{modality: (N,)} names of the kinds that happen now, "" where none does."""
        return {
            name: np.where(self.severity[name] > 0, np.array(kinds)[self._chosen[name]], "")
            for name, kinds in self.kinds.items()
        }

    def __call__(
        self, observation: Mapping[str, Any], rows: NDArray[np.int64] | None = None
    ) -> dict[str, Any]:
        """What the sensors show of one observation of each row, or of each of `rows`: {modality: (len(rows), ...)}.

        What is not in `faults` is passed on as it is; nothing given is changed.
        """
        rows = np.arange(self.num_rows) if rows is None else rows
        fresh = self._fresh[rows]
        self._draw(rows if self.every == "step" else rows[fresh])
        shown = dict(observation)
        for name in self.modalities:
            values = np.array(observation[name])
            if values.shape != (len(rows), *self._shown[name].shape[1:]):
                raise ValueError(
                    f"{name} has shape {values.shape}: give {len(rows)} rows as in the observation space"
                )
            previous = np.where(
                fresh.reshape(-1, *[1] * (values.ndim - 1)), values, self._shown[name][rows]
            )
            self._corrupt(name, values, rows, previous)
            self._shown[name][rows] = shown[name] = values
        self._fresh[rows] = False
        return shown

    def _draw(self, rows: NDArray[np.int64]) -> None:
        """Draw what happens to `rows`, each from its own generator."""
        for row in rows:
            self._rngs[row].random(dtype=np.float32, out=self._header[row])
        order, kinds, severity = np.moveaxis(self._header[rows], -1, 0)  # (rows, modalities) each
        fails = order.argsort(1).argsort(1) < self.at_once
        severity = np.clip(self._low + (self._high - self._low) * severity, self._low, self._high)
        for column, name in enumerate(self.modalities):
            chosen = pick(kinds[:, column], len(self.kinds[name]))
            self._chosen[name][rows] = chosen
            self.severity[name][rows] = fails[:, column] * severity[:, column]
            for number, kind in enumerate(self._entries[name]):
                for row in (
                    rows[fails[:, column] & (chosen == number)] if kind.draws.numbers else ()
                ):
                    kind.draws.fill(self._rngs[row], self._draws[name][number][row])

    def _corrupt(
        self, name: str, values: NDArray, rows: NDArray[np.int64], previous: NDArray
    ) -> None:
        """Change `values`, the observations of `rows`, in place."""
        severity, chosen = self.severity[name][rows], self._chosen[name][rows]
        for number, kind in enumerate(self._entries[name]):
            here = np.flatnonzero((chosen == number) & (severity > 0))
            if not len(here):
                continue
            draws = self._draws[name][number][rows[here]]
            other = previous[here] if kind.other == "previous" else None
            if kind.other == "others":
                other = choose_other(draws, self._others[name])
            values[here] = apply_kind(kind, values[here], severity[here], draws, other)


class CorruptObservation(gym.ObservationWrapper, RecordConstructorArgs):
    """Failing sensors around one environment.

    `reset(seed=s)` begins the same corruption as any other wrapper with the same arguments, whatever happened before.
    What happens can be asked of `corruption`.
    """

    def __init__(self, env: gym.Env, faults: Faults, **arguments: Any) -> None:
        """Wrap an environment with Dict observations; `faults` and `arguments` as for `Corruption`.

        The other scenes of the kind "other_scene" are drawn by an environment of ours itself unless `others` is given.
        """
        RecordConstructorArgs.__init__(self, faults=faults, **arguments)
        gym.ObservationWrapper.__init__(self, env)
        core = getattr(env.unwrapped, "core", None)
        self.corruption = Corruption(env.observation_space, faults, core=core, **arguments)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode and what happens in it; the same seed gives the same of both."""
        self.corruption.reset(seed)
        return super().reset(seed=seed, options=options)

    def observation(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """One observation as the sensors show it."""
        faulty = self.corruption(
            {name: observation[name][None] for name in self.corruption.modalities}
        )
        return {**observation, **{name: rows[0] for name, rows in faulty.items()}}


class CorruptVectorObservation(VectorWrapper):
    """Failing sensors around a vector environment: row i as `CorruptObservation` seeded like it, to the bit."""

    def __init__(self, env: VectorEnv, faults: Faults, **arguments: Any) -> None:
        """Wrap a vector environment, whether it resets in the step that ends an episode or in the next one.

        Args:
            env: a native one, or Gymnasium's own, with Dict observations.
            faults: as for `Corruption`.
            arguments: as for `CorruptObservation`; Gymnasium's own need `others` for the kind "other_scene".
        """
        super().__init__(env)
        self._same_step = env.metadata.get("autoreset_mode") is AutoresetMode.SAME_STEP
        if env.metadata.get("autoreset_mode") is AutoresetMode.DISABLED:
            raise ValueError(
                "autoreset_mode DISABLED is not offered: choose NEXT_STEP or SAME_STEP"
            )
        space, core = env.single_observation_space, getattr(env.unwrapped, "core", None)
        self.corruption = Corruption(space, faults, core=core, num_rows=env.num_envs, **arguments)
        self._over = np.zeros(env.num_envs, np.bool_)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode in every row; an int `seed` gives row i the seed `seed + i`, a list one each."""
        shown, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        self.corruption.reset(seed)
        self._over[:] = False
        return self.corruption(shown), info

    def step(
        self, actions: Any
    ) -> tuple[dict[str, Any], NDArray, NDArray, NDArray, dict[str, Any]]:
        """Act in every row; the last observations of episodes in `info["final_obs"]` are corrupted too."""
        shown, reward, terminated, truncated, info = self.env.step(actions)
        over = terminated | truncated
        if self._same_step and over.any():
            info = {**info, "final_obs": self.corruption.last(info["final_obs"], over)}
        self.corruption.begin(over if self._same_step else self._over)
        self._over = over
        return self.corruption(shown), reward, terminated, truncated, info


def _names(kinds: str | Sequence[str]) -> tuple[str, ...]:
    names = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if not names:
        raise ValueError(
            "a modality of faults has no kind: name at least one, or leave the modality out"
        )
    return names


def _bounds(severity: Any) -> tuple[np.float32, np.float32]:
    """The smallest and the largest severity."""
    low, high = (
        severity
        if isinstance(severity, tuple | list) and len(severity) == 2
        else (severity, severity)
    )
    if np.ndim(low) or np.ndim(high):
        raise ValueError(f"severity is {severity!r}: give one number, or two, (low, high)")
    bounds = check_severity(low), check_severity(high)
    if bounds[0] > bounds[1]:
        raise ValueError(f"severity is {severity!r}: the range runs from low to high")
    return np.float32(bounds[0]), np.float32(bounds[1])


def _room(space: gym.Space, modality: str, num_rows: int) -> NDArray:
    """Room for the observations of N rows; ValueError if they are not in the space, or not as `gw_envs` has them."""
    if not isinstance(space, gym.spaces.Dict) or modality not in space.spaces:
        held = (
            ", ".join(space.spaces)
            if isinstance(space, gym.spaces.Dict)
            else f"a {type(space).__name__}"
        )
        raise ValueError(
            f"{modality} cannot be corrupted, as it is not observed: the observation holds {held}"
        )
    box = space[modality]
    if isinstance(box, gym.spaces.Text):
        raise ValueError(
            'language is observed as text: make the environment with language="tokens" to corrupt it'
        )
    room = np.zeros((num_rows, *(box.shape or ())), box.dtype)
    check_rows(modality, room)
    return room
