"""What `get_state` returns: everything on which the future of an environment depends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gw_envs.state import BatchState


@dataclass(frozen=True, eq=False)
class Snapshot:
    """N scenes in the middle of their episodes; `snapshot[row]` is one of them.

    A snapshot stays as it is while its environment goes on. It can be pickled, given to any
    environment of the same scene and layout, and used as often as needed.
    """

    scenes: BatchState
    """The N scenes."""
    elapsed: NDArray[np.int64]
    """(N,) steps since each episode began."""
    done: NDArray[np.bool_]
    """(N,) whether the next step of a batch resets the row, because its episode has ended."""
    generators: Sequence[Mapping[str, Any]]
    """The states of the N random generators, as NumPy writes them, which draw the next episodes."""
    contacts: Sequence[Any]
    """What each scene's physics remembers of earlier steps; None where there is nothing."""

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
