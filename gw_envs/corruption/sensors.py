"""Draw which sensors of running environments fail, and corrupt their observations."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.core import Core
from gw_envs.corruption.kinds import (
    Kind,
    apply_kind,
    check_others,
    check_rows,
    check_severity,
    choose_other,
    get_kind,
    pick,
)
from gw_envs.errors import (
    InputError,
    check_array,
    check_choice,
    check_seeds,
    check_whole,
    describe,
    is_whole,
)
from gw_envs.observation import check_modalities

Faults = Mapping[str, str | Sequence[str]]
"""The ways to fail: {modality: kind}, or {modality: kinds} to draw one from."""

MAX_ROWS = 2**16
"""Largest number of rows of a `Corruption`, and of other scenes."""

OTHER_SCENES = 128
"""Number of other scenes that `other_scenes` draws by default."""

_STREAM = 0xC0
"""Part of every seed drawn here: an environment and its corruption share no random number."""


def other_scenes(
    core: Core | None, modalities: Sequence[str], count: int = OTHER_SCENES
) -> dict[str, NDArray]:
    """Observe `count` scenes like those of `core`, always the same: {modality: (count, ...)}."""
    if not isinstance(core, Core):
        raise InputError(
            "the kind 'other_scene' needs `others` here: give {modality: (M, ...)} from other "
            "scenes"
        )
    count = check_whole("count", count, 1, MAX_ROWS)
    return core.observe(core.sample(np.random.default_rng(_STREAM), count), modalities)


class Corruption:
    """The sensors of N rows. Draws which fail, how and how badly, and corrupts their output.

    Row i is a function of its own seed and observations alone, so that N rows seeded `s`, `s + 1`,
    ... equal N single ones to the bit. Severity 0 changes nothing; with a range, each row has a
    severity of its own for each modality.
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
        """Check the arguments; the first observation begins an episode in every row.

        Args:
            space: the Dict space of a single observation.
            faults: {modality: kind} or {modality: kinds}; of several kinds, one is drawn, all
                equally likely.
            severity: in [0, 1], or a range (low, high) from which it is drawn uniformly.
            every: "episode" draws the failure and its noise once for a whole episode; "step" draws
                them for each observation.
            at_once: how many of the modalities in `faults` fail at the same time, each equally
                likely; None for all of them.
            seed: different seeds corrupt the same episodes differently. Until a `reset` with a
                seed, every run draws other failures, as an environment draws other episodes.
            others: {modality: (M, ...)} observations of other scenes, needed for "other_scene".
            core: the source of other scenes if `others` is None, see `other_scenes`.
            num_rows: N.

        Raises:
            InputError: a modality is unknown or not observed, a kind unknown, severity NaN or
                outside [0, 1], or another argument invalid.
        """
        if not isinstance(faults, Mapping) or not faults:
            raise InputError(
                f"faults is {describe(faults)}: give modalities with their kinds, as in "
                "{'image': 'blur'}"
            )
        self.modalities = check_modalities(faults)
        self.kinds = {name: _kind_names(faults[name]) for name in self.modalities}
        self._low, self._high = _bounds(severity)
        self.every = check_choice("rhythm of `every`", every, ("episode", "step"))
        self.at_once = len(faults)
        if at_once is not None:
            self.at_once = _check_at_once(at_once, len(faults))
        self._seed = check_whole("seed", seed)
        self.num_rows = check_whole("num_rows", num_rows, 1, MAX_ROWS)
        self._rngs = [np.random.default_rng() for _ in range(self.num_rows)]
        self._starts = np.ones(self.num_rows, np.bool_)
        # each row and modality draws its place in the order of failing, its kind and its severity
        self._uniform = np.zeros((self.num_rows, len(faults), 3), np.float32)
        self.severity: dict[str, NDArray[np.float32]] = {}
        """The severity of the present failures, {modality: (N,)}; 0 where nothing fails."""
        self._entries, self._previous, self._noise, self._kind_numbers = {}, {}, {}, {}
        for name, kinds in self.kinds.items():
            entries = [get_kind(name, kind) for kind in kinds]
            blank = _blank_observations(space, name, self.num_rows)
            self._entries[name], self._previous[name] = entries, blank
            self._noise[name] = [kind.noise.empty(blank.shape) for kind in entries]
            self._kind_numbers[name] = np.zeros(self.num_rows, np.int64)
            self.severity[name] = np.zeros(self.num_rows, np.float32)
        self._others = self._find_others(others, core)

    def _find_others(self, others: Any, core: Core | None) -> Mapping[str, NDArray]:
        """Return the observations of other scenes that the kinds need."""
        if others is not None and not isinstance(others, Mapping):
            raise InputError(f"others is {describe(others)}: give {{modality: (M, ...)}}")
        needing = [name for name, kinds in self._entries.items() if _needs_others(kinds)]
        if not needing:
            return {}
        scenes = other_scenes(core, needing) if others is None else others
        for name in needing:
            if name not in scenes:
                raise InputError(
                    f"`others` has no {name}, which the kind 'other_scene' needs: give (M, ...) of "
                    "them"
                )
        return {
            name: check_others(name, scenes[name], self._previous[name].shape[1:])
            for name in needing
        }

    def reset(
        self, seed: int | Sequence[int | None] | None = None, rows: ArrayLike | None = None
    ) -> None:
        """Begin an episode in every row, or in `rows` alone (indices).

        An int `seed` gives row i the seed `seed + i`; a list has one for each row, None for none.
        """
        seeds = check_seeds(seed, self.num_rows)
        started = np.arange(self.num_rows) if rows is None else np.asarray(rows)
        for row in started:
            row_seed = seeds[row]
            if row_seed is not None:
                self._rngs[row] = np.random.default_rng((_STREAM, self._seed, row_seed))
        self._starts[started] = True

    def begin(self, rows: NDArray) -> None:
        """Take the next observation of `rows`, indices or a mask, as the first of an episode."""
        self._starts[rows] = True

    def last(self, observations: Any, done: NDArray[np.bool_]) -> NDArray:
        """Corrupt the last observations of episodes.

        Args:
            observations: N dicts; only those of rows that are `done` are read.
            done: (N,) whether an episode ended.

        Returns:
            (N,) objects: the corrupted observations, None where no episode ended.
        """
        corrupted = np.full(len(done), None, dtype=object)
        rows = np.flatnonzero(done)
        if not len(rows):
            return corrupted
        ended = [observations[row] for row in rows]
        batch = {}
        for name in self.modalities:
            batch[name] = np.stack([observation[name] for observation in ended])
        faulty = self(batch, rows)
        for place, row in enumerate(rows):
            changed = {name: values[place] for name, values in faulty.items()}
            corrupted[row] = {**observations[row], **changed}
        return corrupted

    def failing(self) -> dict[str, NDArray[np.str_]]:
        """Return {modality: (N,)} the kinds of the present failures, "" where nothing fails."""
        return {
            name: np.where(self.severity[name] > 0, np.array(kinds)[self._kind_numbers[name]], "")
            for name, kinds in self.kinds.items()
        }

    def __call__(
        self, observation: Mapping[str, Any], rows: NDArray[np.int64] | None = None
    ) -> dict[str, Any]:
        """Corrupt one observation of each row, or of each of `rows`: {modality: (len(rows), ...)}.

        Keys that are not in `faults` are passed on; the given arrays are not changed.
        """
        if not isinstance(observation, Mapping) or not self.kinds.keys() <= observation.keys():
            raise InputError(
                f"observation is {describe(observation)}: give a dict with "
                f"{', '.join(self.modalities)}"
            )
        rows = np.arange(self.num_rows) if rows is None else rows
        starts = self._starts[rows]
        self._draw(rows if self.every == "step" else rows[starts])
        corrupted = dict(observation)
        for name in self.modalities:
            values = self._checked_copy(name, observation[name], len(rows))
            shape = (-1, *[1] * (values.ndim - 1))
            previous = np.where(starts.reshape(shape), values, self._previous[name][rows])
            self._corrupt(name, values, rows, previous)
            self._previous[name][rows] = corrupted[name] = values
        self._starts[rows] = False
        return corrupted

    def some(self, observation: Mapping[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Corrupt `rows` of an observation of all rows; the others repeat their last output."""
        self({name: np.asarray(observation[name])[rows] for name in self.modalities}, rows)
        return {**observation, **{name: rows.copy() for name, rows in self._previous.items()}}

    def _checked_copy(self, name: str, rows: Any, count: int) -> NDArray:
        """Return a copy of `count` observations; InputError unless they fit the space."""
        values, blank = np.array(check_array(name, rows)), self._previous[name]
        if values.shape != (count, *blank.shape[1:]) or values.dtype != blank.dtype:
            raise InputError(
                f"{name} is {describe(values)}: give {count} rows as in the observation space, "
                f"{blank.dtype} of shape {blank.shape[1:]}"
            )
        return values

    def _draw(self, rows: NDArray[np.int64]) -> None:
        """Draw the failures of `rows`, each from its own generator."""
        for row in rows:
            self._rngs[row].random(dtype=np.float32, out=self._uniform[row])
        order, kinds, severity = np.moveaxis(self._uniform[rows], -1, 0)  # (rows, modalities) each
        fails = order.argsort(1).argsort(1) < self.at_once
        severity = np.clip(self._low + (self._high - self._low) * severity, self._low, self._high)
        for column, name in enumerate(self.modalities):
            chosen = pick(kinds[:, column], len(self.kinds[name]))
            self._kind_numbers[name][rows] = chosen
            self.severity[name][rows] = fails[:, column] * severity[:, column]
            for number, kind in enumerate(self._entries[name]):
                if kind.noise.numbers:
                    for row in rows[fails[:, column] & (chosen == number)]:
                        kind.noise.fill(self._rngs[row], self._noise[name][number][row])

    def _corrupt(
        self, name: str, values: NDArray, rows: NDArray[np.int64], previous: NDArray
    ) -> None:
        """Change `values`, the observations of `rows`, in place."""
        severity, chosen = self.severity[name][rows], self._kind_numbers[name][rows]
        for number, kind in enumerate(self._entries[name]):
            here = np.flatnonzero((chosen == number) & (severity > 0))
            if not len(here):
                continue
            noise = self._noise[name][number][rows[here]]
            other = previous[here] if kind.other == "previous" else None
            if kind.other == "others":
                other = choose_other(noise, self._others[name])
            values[here] = apply_kind(kind, values[here], severity[here], noise, other)


def _kind_names(kinds: Any) -> tuple[str, ...]:
    """Return the names of one or several kinds; InputError if there are none."""
    names = (kinds,) if isinstance(kinds, str) or not np.iterable(kinds) else tuple(kinds)
    if not names:
        raise InputError(
            "a modality of faults has no kind: name at least one, or leave the modality out"
        )
    return names


def _needs_others(kinds: Sequence[Kind]) -> bool:
    """Return whether one of several kinds shows other scenes."""
    return any(kind.other == "others" for kind in kinds)


def _check_at_once(at_once: Any, most: int) -> int:
    """Return `at_once` as an int; InputError unless it is a whole number from 1 to `most`."""
    if not is_whole(at_once) or not 1 <= at_once <= most:
        raise InputError(
            f"at_once is {describe(at_once)}: it must be a whole number from 1 to {most}, or None"
        )
    return int(at_once)


def _bounds(severity: Any) -> tuple[np.float32, np.float32]:
    """Return the smallest and the largest severity."""
    is_range = isinstance(severity, tuple | list) and len(severity) == 2
    low, high = severity if is_range else (severity, severity)
    bounds = check_severity(low), check_severity(high)
    if bounds[0].ndim or bounds[1].ndim:
        raise InputError(f"severity is {describe(severity)}: give one number, or two, (low, high)")
    if bounds[0] > bounds[1]:
        raise InputError(f"severity is {describe(severity)}: the range runs from low to high")
    return np.float32(bounds[0]), np.float32(bounds[1])


def _blank_observations(space: Any, modality: str, num_rows: int) -> NDArray:
    """Return zeros for the observations of N rows; InputError if the space can't be corrupted."""
    if not isinstance(space, gym.spaces.Dict) or modality not in space.spaces:
        names = f"a {type(space).__name__}"
        if isinstance(space, gym.spaces.Dict):
            names = ", ".join(space.spaces)
        raise InputError(
            f"{modality} cannot be corrupted, as it is not observed: the observation holds {names}"
        )
    box = space[modality]
    if isinstance(box, gym.spaces.Text):
        raise InputError(
            'language is observed as text: make the environment with language="tokens" to corrupt '
            "it"
        )
    return check_rows(modality, np.zeros((num_rows, *(box.shape or ())), box.dtype))
