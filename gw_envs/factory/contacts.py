"""Bring Bullet's memory of contacts to where it was, by repeating the steps that made it.

Bullet keeps contacts from one step to the next, and what it solves depends on them; they can
neither be read nor written. A table that stands clear of every obstacle has none. So a world in
which the last steps since then are repeated is equal to the bit to the one that made them first.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gw_envs.factory.layout import box_gaps
from gw_envs.factory.sim import FactorySimulation

Moves = list[tuple[NDArray[np.float64], NDArray[np.float64]]]
"""The steps of one table: the pose (3,) in which each began, and its velocity (3,)."""

CLEAR = 0.1
"""Metres between bounding boxes from which on Bullet keeps no pair of bodies; its margins add up to 4 cm."""

MOST_MOVES = 512
"""Steps after which those that are not needed are forgotten."""


def remember(
    moves: Moves, pose: NDArray, velocity: NDArray, reached: NDArray, landmarks: NDArray
) -> None:
    """Append a step from `pose` to `reached`, and now and then forget those not needed any more."""
    moves.append((pose, velocity))
    if len(moves) % MOST_MOVES == 0:
        moves[:] = moves_since_clear(moves, reached, landmarks)


def moves_since_clear(
    moves: Moves, pose: NDArray[np.float64], landmarks: NDArray[np.float64]
) -> Moves:
    """Return the last moves, from the one on that began clear of everything; all if none did.

    Args:
        moves: the steps of a table since its world was made.
        pose: (3,) where they led, which is clear too if no move is needed.
        landmarks: (4, 2) their centers.
    """
    gaps = box_gaps(np.stack([*(begun for begun, _ in moves), pose]), landmarks)
    clear = np.flatnonzero(gaps > CLEAR)
    return moves[clear[-1] :] if len(clear) else list(moves)


def repeat(
    simulation: FactorySimulation, pose: NDArray, landmarks: NDArray, moves: Sequence
) -> None:
    """Rebuild a world in which a table stands at `pose` (3,) after `moves`."""
    simulation.reset(moves[0][0] if moves else pose, landmarks)
    for _, velocity in moves:
        simulation.step(velocity)
