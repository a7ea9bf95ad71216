"""The task of every scene, as pure functions of batches of poses: bring an object to a goal pose.

A pose is an array (..., 3): x and y in the scene's unit of length (pixels or meters), and the
rotation in radians.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gw_envs.compiled import compiled

ACTIONS = ("up", "down", "left", "right", "turn left", "turn right")
"""The six discrete actions, in the order of their index."""

UNIT_ACTIONS = np.array(
    [(0, 1, 0), (0, -1, 0), (-1, 0, 0), (1, 0, 0), (0, 0, 1), (0, 0, -1)], dtype=np.float64
)
"""The discrete actions as continuous ones, (6, 3): fractions of full speed along x, along y and
counter-clockwise."""

ROUNDING = 1e-9
"""Margin by which rounded distances and angles may exceed their tolerances."""

Distances = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Distance to the goal in the unit of length, and absolute angle to it in radians."""


class Standing(NamedTuple):
    """How far N scenes are from their goals, and what they have reached: arrays of shape (N,)."""

    distances: Distances
    """The distances and angles that the reward counts."""
    success: NDArray[np.bool_] | None = None
    """Whether the goal is reached; None if the tolerances of the task alone decide."""
    pose_reached: NDArray[np.bool_] | None = None
    """Whether the goal's pose is reached within tolerance; None if episodes have no goals."""
    claims_true: NDArray[np.bool_] | None = None
    """Whether the goal's claims about place and direction are true; None without goals."""


_BY_TOLERANCE = np.zeros(0, np.bool_)
"""No given successes: `_outcomes` compares distances and angles with the tolerances."""


@dataclass(frozen=True)
class Task:
    """A goal, its reward and its success.

    Let d be the distance to the goal in the scene's unit of length, and a the absolute angle to it
    in radians. A step from (d, a) to (d', a') earns

        (d - d') / step + angle_weight (a - a') - step_cost + success_bonus s

    where s is 1 if d' <= tolerance and a' <= angle_tolerance, else 0.
    """

    goal: tuple[float, float, float]
    """The x, y and rotation to reach."""
    tolerance: float
    """Largest distance that counts as success, in the unit of length."""
    angle_tolerance: float
    """Largest absolute angle that counts as success, in radians."""
    step: float
    """Distance that one action moves at full speed, in the unit of length."""
    turn: float
    """Radians that one action turns at full speed."""
    angle_weight: float = 10.0 / np.pi
    """Reward for one radian of progress."""
    step_cost: float = 0.05
    """Price of every step."""
    success_bonus: float = 5.0
    """Reward for reaching the goal."""

    def distances(
        self, pose: NDArray[np.float64], goals: NDArray[np.float64] | None = None
    ) -> Distances:
        """Measure poses (..., 3) against the task's own goal, or against `goals` (..., 3).

        Returns:
            The distance to the goal (...,) and the absolute angle to it in [0, pi] (...,).
        """
        goals = self._own_goal if goals is None else goals
        if pose.ndim == 2:
            return _distances(pose, goals)
        distance, angle = _distances(pose.reshape(-1, 3), goals.reshape(-1, 3))
        return distance.reshape(pose.shape[:-1]), angle.reshape(pose.shape[:-1])

    def success(
        self, distance: NDArray[np.float64], angle: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Return (...,) whether distances and angles are within tolerance, up to rounding."""
        return self.outcomes((distance, angle), (distance, angle))[1]

    def reward(self, before: Distances, after: Distances) -> NDArray[np.float64]:
        """Return the rewards (...,) of steps, from distances and angles before and after each."""
        return self.outcomes(before, after)[0]

    def outcomes(
        self, before: Distances, after: Distances, success: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the rewards and successes (...,) of steps.

        Args:
            before: distances and angles (...,) before each step.
            after: the same after it.
            success: whether each step succeeds; by default, whether it ends within tolerance.
        """
        given = _BY_TOLERANCE if success is None else success
        if after[0].ndim == 1:
            return _outcomes(*before, *after, self._numbers, given)
        flat = [array.reshape(-1) for array in (*before, *after)]
        rewards, reached = _outcomes(*flat, self._numbers, given.reshape(-1))
        return rewards.reshape(after[0].shape), reached.reshape(after[0].shape)

    @cached_property
    def _own_goal(self) -> NDArray[np.float64]:
        """The task's goal as a batch of one pose, (1, 3)."""
        return np.array([self.goal], np.float64)

    @cached_property
    def _numbers(self) -> NDArray[np.float64]:
        """The task's constants as the array that `_outcomes` takes."""
        tolerances = self.tolerance, self.angle_tolerance
        return np.array(
            (*tolerances, self.step, self.angle_weight, self.step_cost, self.success_bonus)
        )


@compiled(error_model="numpy")
def _distances(poses, goals):  # pragma: no cover - compiled
    """Return the distances (N,) and the angles (N,) of poses (N, 3) to goals (N, 3) or (1, 3)."""
    distance, angle = np.empty(len(poses)), np.empty(len(poses))
    for n in range(len(poses)):
        g = n if len(goals) > 1 else 0
        distance[n] = math.hypot(poses[n, 0] - goals[g, 0], poses[n, 1] - goals[g, 1])
        turn = (poses[n, 2] - goals[g, 2] + np.pi) % (2 * np.pi) - np.pi
        angle[n] = abs(turn)
    return distance, angle


@compiled(error_model="numpy")
def _outcomes(
    distance_before, angle_before, distance, angle, numbers, given
):  # pragma: no cover - compiled
    """Return the rewards and successes (N,) of steps between distances and angles (N,).

    `given` holds the successes (N,), or nothing if the tolerances decide.
    """
    tolerance, angle_tolerance, step, angle_weight, step_cost, success_bonus = numbers
    rewards, success = np.empty(len(distance)), np.empty(len(distance), np.bool_)
    for n in range(len(distance)):
        near = distance[n] <= tolerance + ROUNDING
        success[n] = near and angle[n] <= angle_tolerance + ROUNDING
        if len(given) > 0:
            success[n] = given[n]
        progress = (distance_before[n] - distance[n]) / step
        progress += angle_weight * (angle_before[n] - angle[n])
        rewards[n] = progress - step_cost + success_bonus * success[n]
    return rewards, success
