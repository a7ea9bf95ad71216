"""Environments in the form that hindsight experience replay needs, with poses as goals.

The form is that of Gymnasium-Robotics' `GoalEnv`, which Stable-Baselines3's `HerReplayBuffer`
reads: after an episode, what was achieved can stand in for what was desired, and `compute_reward`
tells the reward that the agent would have earned.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import ArrayLike, NDArray

from gw_envs.env import GWEnv
from gw_envs.errors import InputError, check_array, check_choice, describe
from gw_envs.goal_task import Distances

GOAL_WIDTH = 4
"""Numbers of a goal: x, y, and the cosine and sine of the rotation, scaled as in `attributes`."""

ROUNDING = 1e-6
"""Fraction of the range of x and y, and radians, by which rounding to float32 may exceed a
tolerance."""


class HindsightGoals(gym.Wrapper[dict[str, Any], Any, dict[str, Any], Any], RecordConstructorArgs):
    """One environment with goals, whose observation is a Dict of three entries.

    - `observation`: what one modality shows of the scene;
    - `achieved_goal`: (4,) float32 in [-1, 1], the pose of the object: x and y, scaled as in the
      attributes, cosine and sine of the rotation;
    - `desired_goal`: the pose to reach, in the same form.

    With `reward="sparse"` a step earns 0 if it ends within the tolerances of the desired pose, and
    -1 otherwise. With `reward="dense"` it earns minus the distance to that pose, in the units of
    the environment's own reward: -(d / step + 10/pi a). The rewards are functions of the two poses
    alone, so that `compute_reward(achieved_goal, desired_goal, info)` repeats them.
    """

    def __init__(self, env: gym.Env, modality: str = "attributes", reward: str = "sparse") -> None:
        """Wrap an environment of `gw_envs` made with `goal="attributes"` or `goal="image"`.

        Args:
            env: the environment.
            modality: the modality that `observation` holds, one of those that `env` observes.
            reward: "sparse" or "dense".

        Raises:
            InputError: the environment has no such goals, or an argument is invalid.
        """
        inner = getattr(env, "unwrapped", None)
        if not isinstance(inner, GWEnv) or inner.core.goal not in ("attributes", "image"):
            raise InputError(
                f"env is {describe(env)}: give an environment of gw_envs made with "
                "goal='attributes' or goal='image'"
            )
        RecordConstructorArgs.__init__(self, modality=modality, reward=reward)
        gym.Wrapper.__init__(self, env)
        self._core = inner.core
        self.modality = check_choice("observed modality", modality, self._core.modalities)
        self.reward = check_choice("reward", reward, ("sparse", "dense"))
        shown = self._core.observation_space[self.modality]
        pose = spaces.Box(-1.0, 1.0, (GOAL_WIDTH,), np.float32)
        self.observation_space = spaces.Dict(
            {"observation": shown, "achieved_goal": pose, "desired_goal": pose}
        )
        ranges = np.array([self._core.scene.range_of(name) for name in ("x", "y")])
        self._low, self._span = ranges[:, 0], ranges[:, 1] - ranges[:, 0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode; arguments as for the wrapped environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._with_goals(observation), info

    def step(self, action: Any) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """Take one action; the reward and the end of the episode are those of `compute_...`."""
        shown, _, _, truncated, info = self.env.step(action)
        observation = self._with_goals(shown)
        goals = observation["achieved_goal"], observation["desired_goal"]
        terminated = bool(self.compute_terminated(*goals, info))
        truncated = truncated or bool(self.compute_truncated(*goals, info))
        info = {**info, "is_success": terminated}
        return observation, float(self.compute_reward(*goals, info)), terminated, truncated, info

    def compute_reward(
        self, achieved_goal: ArrayLike, desired_goal: ArrayLike, info: Any
    ) -> NDArray[np.float64]:
        """Return the rewards (...,) of steps that end at achieved goals, from these alone.

        Args:
            achieved_goal: (..., 4) poses of the object after each step.
            desired_goal: (..., 4) poses to reach.
            info: not used.

        Raises:
            InputError: the goals have other shapes, or hold numbers far outside of [-1, 1].
        """
        if self.reward == "sparse":
            reached = self.compute_terminated(achieved_goal, desired_goal, info)
            return reached.astype(np.float64) - 1.0
        distance, angle = self._distances(achieved_goal, desired_goal)
        task = self._core.task
        return -(distance / task.step + task.angle_weight * angle)

    def compute_terminated(
        self, achieved_goal: ArrayLike, desired_goal: ArrayLike, info: Any
    ) -> NDArray[np.bool_]:
        """Return (...,) whether the goals are reached, which ends an episode."""
        distance, angle = self._distances(achieved_goal, desired_goal)
        slack = ROUNDING * self._span.max()
        return self._core.task.success(distance - slack, angle - ROUNDING)

    def compute_truncated(
        self, achieved_goal: ArrayLike, desired_goal: ArrayLike, info: Any
    ) -> NDArray[np.bool_]:
        """Return (...,) False: no pose truncates an episode, only its length does."""
        return np.zeros(np.shape(achieved_goal)[:-1], np.bool_)

    def _with_goals(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Return the three entries of an observation."""
        goals = self._core.goals
        assert goals is not None
        return {
            "observation": observation[self.modality],
            "achieved_goal": self._vectors(self._core.poses())[0],
            "desired_goal": self._vectors(goals.poses)[0],
        }

    def _vectors(self, poses: NDArray[np.float64]) -> NDArray[np.float32]:
        """Write poses (N, 3) as goals (N, 4)."""
        places = 2.0 * (poses[:, :2] - self._low) / self._span - 1.0
        turns = np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], -1)
        return np.clip(np.concatenate([places, turns], -1), -1.0, 1.0).astype(np.float32)

    def _distances(self, achieved_goal: ArrayLike, desired_goal: ArrayLike) -> Distances:
        """Return the distances (...,) and angles (...,) between goals (..., 4)."""
        achieved, desired = self._poses(achieved_goal), self._poses(desired_goal)
        if achieved.shape != desired.shape:
            raise InputError(
                f"achieved goals of shape {np.shape(achieved_goal)} do not fit desired ones of "
                f"shape {np.shape(desired_goal)}"
            )
        return self._core.task.distances(achieved, desired)

    def _poses(self, goals: ArrayLike) -> NDArray[np.float64]:
        """Read goals (..., 4) as poses (..., 3)."""
        array = check_array("a goal", goals, low=-2.0, high=2.0).astype(np.float64)
        if array.ndim == 0 or array.shape[-1] != GOAL_WIDTH:
            raise InputError(f"a goal is {describe(array)}: give {GOAL_WIDTH} numbers for each")
        places = 0.5 * (array[..., :2] + 1.0) * self._span + self._low
        turns = np.arctan2(array[..., 3], array[..., 2])
        return np.concatenate([places, turns[..., None]], -1)
