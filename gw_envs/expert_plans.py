"""Choose how the expert goes to a goal, by looking along each way for obstacles.

Every plan stays valid while it is followed, so that the expert can choose anew at each step and
needs no memory.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gw_envs.core import Core
from gw_envs.goal_task import Task


class Plan(NamedTuple):
    """The next part of the way to the goals of N scenes."""

    targets: NDArray[np.float64]
    """(N, 2) places to move to next."""
    moves_first: NDArray[np.bool_]
    """(N,) whether to turn only at the target."""
    turns_first: NDArray[np.bool_]
    """(N,) whether to move only when the rotation is that of the goal."""
    goes_by_middle: NDArray[np.bool_]
    """(N,) whether the target is the middle of the scene, where there is room to turn."""


def plan(
    kind: type[Core],
    attributes: NDArray,
    poses: NDArray[np.float64],
    goals: NDArray[np.float64],
    actions: str,
) -> Plan:
    """Return plans from poses (N, 3) to goals (N, 3), the shortest for which nothing is in the way.

    Args:
        kind: the class of the scene's core.
        attributes: (N, A) attribute vectors of the scenes.
        poses: where the objects are.
        goals: where they should be.
        actions: "discrete" or "continuous"; only continuous actions move and turn at once.
    """
    task = kind.task
    shift = goals[:, :2] - poses[:, :2]
    turn = (goals[:, 2] - poses[:, 2] + np.pi) % (2 * np.pi) - np.pi
    if actions == "discrete":  # whole steps end near the goal, not at it
        shift = np.round(shift / task.step) * task.step
        turn = np.round(turn / task.turn) * task.turn
    moving, turning = _steps_of(shift, task, actions), np.ceil(np.abs(turn) / task.turn)
    times = np.arange(int((moving + turning).max(initial=0)) + 1)

    def is_free(wait_to_move: NDArray, wait_to_turn: NDArray) -> NDArray[np.bool_]:
        way = np.empty((len(poses), len(times), 3))
        moved = np.maximum(times - wait_to_move[:, None], 0)
        turned = np.maximum(times - wait_to_turn[:, None], 0) * task.turn
        way[..., :2] = poses[:, None, :2] + _shifts(shift, moved * task.step, actions)
        way[..., 2] = poses[:, None, 2] + np.clip(turn[:, None], -turned, turned)
        return np.all(kind.is_free(way, attributes), axis=1)

    none = np.zeros(len(poses))
    at_once = is_free(none, none) if actions == "continuous" else np.zeros(len(poses), np.bool_)
    moves_first = ~at_once & is_free(none, moving)
    turns_first = ~at_once & ~moves_first & is_free(turning, none)
    middle = np.broadcast_to(np.array(task.goal[:2]), shift.shape)
    at_middle = np.abs(middle - poses[:, :2]).max(-1) <= task.step
    by_middle = ~at_once & ~moves_first & ~turns_first & ~at_middle
    turns_first |= ~at_once & ~moves_first & ~by_middle
    targets = np.where(by_middle[:, None], middle, goals[:, :2])
    return Plan(targets, moves_first | by_middle, turns_first, by_middle)


def _steps_of(shift: NDArray[np.float64], task: Task, actions: str) -> NDArray[np.float64]:
    """Return how many steps (N,) it takes to move by shifts (N, 2)."""
    lengths = np.abs(shift)
    total = lengths.max(-1) if actions == "continuous" else lengths.sum(-1)
    return np.ceil(total / task.step)


def _shifts(
    shift: NDArray[np.float64], traveled: NDArray[np.float64], actions: str
) -> NDArray[np.float64]:
    """Return how far objects that travel along shifts (N, 2) are after lengths (N, T): (N, T, 2).

    Continuous actions move along both axes at once. Discrete ones move along the axis on which the
    goal is farther away, and then along both in turns.
    """
    lengths = np.abs(shift)[:, None]
    done = np.broadcast_to(traveled[..., None], (*traveled.shape, 2))
    if actions == "discrete":
        excess = lengths - lengths[..., ::-1]
        straight = np.minimum(done, np.abs(excess))
        both = (done - straight) / 2
        done = both + straight * (excess > 0)
    return np.sign(shift)[:, None] * np.minimum(done, lengths)
