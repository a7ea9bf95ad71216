"""Solve episodes with a policy that reads the attributes, moves to the goal and turns there.

Without goals of their own, episodes are solved in a straight line. With goals, the expert looks
ahead for obstacles: it moves and then turns, turns and then moves, or goes by the middle.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.core import Core, core_type
from gw_envs.errors import InputError, check_array, check_choice, describe
from gw_envs.expert_plans import plan
from gw_envs.goals import Goals, claims_hold, first_columns, sector_counts
from gw_envs.language.registry import grammar_of_state
from gw_envs.observation import check_attributes, values_from_attributes

MARGIN = 0.98
"""Fraction of the tolerance within which the expert stops: attributes are rounded to float32."""

FARTHEST = 1000.0
"""Largest number in a goal: a coordinate, or a rotation in radians."""

REACH = 3
"""Half actions along x and along y within which a place is searched that makes claims true."""


def expert_actions(
    scene: str, attributes: ArrayLike, actions: str = "discrete", goals: ArrayLike | None = None
) -> NDArray[Any]:
    """Return the expert's next actions.

    Args:
        scene: a name in `gw_envs.scenes.SCENES`.
        attributes: (N, A) attribute vectors, or (A,) a single one.
        actions: the environment's action mode, "discrete" or "continuous".
        goals: (N, 3) poses to reach, or (3,), as `expert_goals` returns them; None for the task's
            one goal.

    Returns:
        (N,) int64 indices of actions or (N, 3) float32 in [-1, 1]; without the batch axis for a
        single vector.

    Raises:
        InputError: an argument is invalid, or the number of goals is not that of the vectors.
    """
    check_choice("action mode", actions, ("discrete", "continuous"))
    kind = core_type(scene)
    vectors = check_attributes(scene, attributes)
    values = values_from_attributes(scene, vectors)
    poses = np.stack([values["x"], values["y"], values["rotation"]], -1)
    if goals is None:
        return _straight(kind, poses, actions)
    wanted = check_array("goals", goals, low=-FARTHEST, high=FARTHEST).astype(np.float64)
    if wanted.shape != poses.shape:
        raise InputError(f"goals are {describe(wanted)}: give poses of shape {poses.shape}")
    batch = np.atleast_2d(vectors), np.atleast_2d(poses), np.atleast_2d(wanted)
    chosen = _planned(kind, *batch, actions)
    return chosen if poses.ndim == 2 else chosen[0]


def _straight(kind: type[Core], poses: NDArray[np.float64], actions: str) -> NDArray[Any]:
    """Return actions that move poses (..., 3) to the task's own goal and turn them there."""
    task = kind.task
    across, along = task.goal[0] - poses[..., 0], task.goal[1] - poses[..., 1]
    turn = (task.goal[2] - poses[..., 2] + np.pi) % (2 * np.pi) - np.pi
    if actions == "continuous":
        wanted = np.stack([across / task.step, along / task.step, turn / task.turn], -1)
        return np.clip(wanted, -1.0, 1.0).astype(np.float32)
    far = np.hypot(across, along) > MARGIN * task.tolerance
    return np.where(far, _move(across, along), _turn(turn))


def _planned(
    kind: type[Core],
    attributes: NDArray,
    poses: NDArray[np.float64],
    goals: NDArray[np.float64],
    actions: str,
) -> NDArray[Any]:
    """Return the next actions (N, ...) of plans from poses (N, 3) to goals (N, 3)."""
    task = kind.task
    chosen = plan(kind, attributes, poses, goals, actions)
    across, along = (chosen.targets - poses[:, :2]).T
    turn = (goals[:, 2] - poses[:, 2] + np.pi) % (2 * np.pi) - np.pi
    arrived = np.maximum(np.abs(across), np.abs(along)) <= task.step / 2
    aligned = np.abs(turn) <= task.turn / 2
    may_move, may_turn = ~chosen.turns_first | aligned, ~chosen.moves_first | arrived
    if actions == "continuous":
        wanted = np.stack([across / task.step, along / task.step, turn / task.turn], -1)
        wanted[:, :2] *= may_move[:, None]
        wanted[:, 2] *= may_turn
        return np.clip(wanted, -1.0, 1.0).astype(np.float32)
    near = arrived
    turns = ~aligned & np.where(chosen.turns_first, True, near & ~chosen.goes_by_middle)
    return np.where(turns, _turn(turn), _move(across, along))


def _move(across: NDArray[np.float64], along: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the discrete moves along the axes on which the goals are farther away."""
    horizontal, vertical = np.where(across > 0, 3, 2), np.where(along > 0, 0, 1)
    return np.where(np.abs(across) >= np.abs(along), horizontal, vertical)


def _turn(turn: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the discrete turns to the nearer side."""
    return np.where(turn > 0, 4, 5)


def expert_goals(core: Core) -> NDArray[np.float64] | None:
    """Return the poses (N, 3) that the expert should reach in a core's running episodes.

    They are the poses of the goals; where sentences are the goals, poses near them at which the
    claims stay true within half an action. None if episodes have no goals of their own.
    """
    core.current()
    goals = core.goals
    if goals is None or goals.modality != "language":
        return None if goals is None else goals.poses
    return _steady_poses(core, goals)


def _steady_poses(core: Core, goals: Goals) -> NDArray[np.float64]:
    """Return poses (N, 3) near goals whose claims hold at them, and half an action to each side.

    A goal without such a pose nearby is returned as it is.
    """
    half = core.task.step / 2
    steps = np.arange(-REACH, REACH + 1)
    offsets = half * np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    offsets = offsets[np.argsort(np.hypot(*offsets.T), kind="stable")]  # the nearest first
    corners = half * np.array([(0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)])
    poses = np.empty((len(goals), len(offsets), len(corners), 3))
    poses[..., :2] = goals.poses[:, None, None, :2] + offsets[:, None] + corners
    poses[..., 2] = _sector_centers(goals)[:, None, None]
    rows = np.repeat(np.arange(len(goals)), len(offsets) * len(corners))
    scenes = goals.scenes[rows].with_poses(*np.ascontiguousarray(poses.reshape(-1, 3).T))
    hold = np.all(claims_hold(scenes, goals.columns[rows], goals.meanings[rows]), axis=1)
    is_reachable = core.is_reachable(scenes).reshape(poses.shape[:3])[:, :, 0]
    steady = np.all(hold.reshape(poses.shape[:3]), axis=2) & is_reachable
    found = steady.any(1)
    chosen = goals.poses.copy()
    chosen[found] = poses[np.flatnonzero(found), steady[found].argmax(1), 0]
    return chosen


def _sector_centers(goals: Goals) -> NDArray[np.float64]:
    """Return the rotations (N,) in the middle of the claimed directions, in radians."""
    grammar = grammar_of_state(goals.scenes)
    granularity = goals.columns[:, 1] - first_columns(grammar)[1]
    return goals.meanings[:, 1] * (2 * np.pi / sector_counts(grammar)[granularity])
