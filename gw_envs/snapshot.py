"""The snapshot that `get_state` returns: everything an environment's next steps depend on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gw_envs.errors import InputError
from gw_envs.goals import Goals
from gw_envs.state import BatchState


@dataclass(frozen=True, eq=False)
class Snapshot:
    """N scenes in the middle of their episodes; `snapshot[row]` is one of them.

    Later steps of the environment do not change it. It can be pickled, and restored any number of
    times, in any environment of the same scene and layout.
    """

    scenes: BatchState
    """The N scenes."""
    elapsed: NDArray[np.int64]
    """(N,) steps since each episode began."""
    done: NDArray[np.bool_]
    """(N,) whether the row's episode has ended, so that a vector environment resets it next."""
    generators: Sequence[Mapping[str, Any]]
    """The states, as NumPy stores them, of the N random generators that draw the next episodes."""
    contacts: Sequence[Any]
    """The contacts that each scene's physics carries over from earlier steps; None if none."""
    goals: Goals | None = None
    """The N goals; None if the environment has none."""

    @property
    def goal(self) -> str | None:
        """The modality of the goals; None if there are none."""
        return None if self.goals is None else self.goals.modality

    def __len__(self) -> int:
        return len(self.elapsed)

    def __getitem__(self, rows: Any) -> Self:
        """Return the rows of an index, slice, mask or index array, as a snapshot."""
        numbers = np.arange(len(self))[rows].reshape(-1)
        return type(self)(
            self.scenes[numbers],
            self.elapsed[numbers],
            self.done[numbers],
            [self.generators[number] for number in numbers],
            [self.contacts[number] for number in numbers],
            None if self.goals is None else self.goals[numbers],
        )

    def with_rows(self, rows: NDArray[np.int64], other: Self) -> Self:
        """Return a copy in which `rows` are replaced by the rows of `other`, or by its only one.

        Raises InputError if the goals of the two are not shown in one modality.
        """
        if self.goal != other.goal:
            raise InputError(
                f"rows of a snapshot with goal={other.goal!r} do not fit into one with "
                f"goal={self.goal!r}"
            )
        sources = np.broadcast_to(np.arange(len(other)), len(rows))
        elapsed, done = self.elapsed.copy(), self.done.copy()
        elapsed[rows], done[rows] = other.elapsed, other.done
        generators, contacts = list(self.generators), list(self.contacts)
        for row, source in zip(rows, sources, strict=True):
            generators[row], contacts[row] = other.generators[source], other.contacts[source]
        scenes, goals = self.scenes.with_rows(rows, other.scenes), self.goals
        if goals is not None and other.goals is not None:
            goals = goals.with_rows(rows, other.goals)
        return type(self)(scenes, elapsed, done, generators, contacts, goals)
