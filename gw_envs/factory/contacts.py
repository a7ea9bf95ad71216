"""Restore Bullet's contacts by repeating the steps that made them.

Bullet carries contacts over from one step to the next, and its results depend on them, but they can
neither be read nor written. A table that stands clear of every obstacle has none. So a new world
that repeats all steps since then equals the first one to the bit.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from gw_envs.factory.layout import box_gaps
from gw_envs.factory.sim import FactorySimulation
from gw_envs.factory.state import FactoryState

Moves = list[tuple[NDArray[np.float64], NDArray[np.float64]]]
"""The steps of one table: the pose (3,) in which each began, and its velocity (3,)."""

CLEAR = 0.1
"""Meters between bounding boxes beyond which Bullet has no contact; its margins are 4 cm."""

MOST_STEPS = 512
"""Number of steps after which a history drops those it no longer needs."""


class ContactHistory:
    """The steps of N tables on which their contacts depend."""

    def __init__(self, rows: int) -> None:
        """Begin with `rows` tables that have made no step."""
        self._older: list[Moves] = [[] for _ in range(rows)]
        self._steps: list[tuple[FactoryState, NDArray, NDArray | None]] = []
        self._first = [0] * rows
        """For each row, the first of `_steps` that belongs to it."""

    def restart(self, row: int, moves: Iterable = ()) -> None:
        """Replace the history of a row by other moves."""
        self._older[row] = list(moves)
        self._first[row] = len(self._steps)

    def add(self, state: FactoryState, velocities: NDArray, rows: NDArray | None) -> None:
        """Add a step from `state` with (N, 3) velocities, of all rows or of `rows`."""
        if len(self._steps) >= MOST_STEPS:
            for row in range(len(self._first)):
                pose = np.array([state.x[row], state.y[row], state.rotation[row]])
                self.restart(row, self.moves(row, pose, state.landmarks[row]))
            self._steps, self._first = [], [0] * len(self._first)
        self._steps.append((state, velocities, rows))

    def moves(self, row: int, pose: NDArray[np.float64], landmarks: NDArray[np.float64]) -> Moves:
        """Return the moves of a row since its table last stood clear of everything.

        Args:
            row: the number of the row.
            pose: (3,) where its table is now; if it is clear, there are no moves to return.
            landmarks: (4, 2) centers of the landmarks.
        """
        moves = list(self._older[row])
        for state, velocities, rows in self._steps[self._first[row] :]:
            if rows is None or row in rows:
                start = np.array([state.x[row], state.y[row], state.rotation[row]])
                moves.append((start, velocities[row]))
        gaps = box_gaps(np.stack([*(start for start, _ in moves), pose]), landmarks)
        clear = np.flatnonzero(gaps > CLEAR)
        return moves[clear[-1] :] if len(clear) else moves


def repeat(simulation: FactorySimulation, pose: NDArray, landmarks: NDArray, moves: Moves) -> None:
    """Rebuild the world in which the table stands at `pose` (3,) after `moves`."""
    simulation.reset(moves[0][0] if moves else pose, landmarks)
    for _, velocity in moves:
        simulation.step(velocity)
