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

    def __getitem__(self, row: int) -> Self:
        """Return one row as a snapshot of one scene."""
        rows = np.arange(len(self))[row].reshape(1)
        return self.rows(rows)

    def rows(self, rows: NDArray[np.int64]) -> Self:
        """Return the rows of an index array, which may repeat rows."""
        return type(self)(
            self.scenes[rows],
            self.elapsed[rows],
            self.done[rows],
            [self.generators[row] for row in rows],
            [self.contacts[row] for row in rows],
        )
