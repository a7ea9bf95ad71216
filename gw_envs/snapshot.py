"""The snapshot that `get_state` returns: everything an environment's next steps depend on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

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
        )

    def with_rows(self, rows: NDArray[np.int64], other: Self) -> Self:
        """Return a copy in which `rows` are replaced by the rows of `other`, or by its only one."""
        sources = np.broadcast_to(np.arange(len(other)), len(rows))
        elapsed, done = self.elapsed.copy(), self.done.copy()
        elapsed[rows], done[rows] = other.elapsed, other.done
        generators, contacts = list(self.generators), list(self.contacts)
        for row, source in zip(rows, sources, strict=True):
            generators[row], contacts[row] = other.generators[source], other.contacts[source]
        scenes = self.scenes.with_rows(rows, other.scenes)
        return type(self)(scenes, elapsed, done, generators, contacts)
