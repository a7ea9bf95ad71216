"""The methods that each scene implements; `gw_envs.core.Core` adds those that all share."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from gw_envs.goal_task import Task
from gw_envs.scenes import Scene
from gw_envs.state import BatchState

State = TypeVar("State", bound=BatchState)


class SceneMethods(ABC, Generic[State]):
    """How scenes of one kind are drawn at random, moved, observed and shown to people."""

    scene: ClassVar[Scene]
    task: ClassVar[Task]
    layouts: ClassVar[tuple[str, ...]] = ("fixed",)
    image_sizes: ClassVar[tuple[int, int]]
    """Smallest and largest side of an image in pixels."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, count: int = 1) -> State:
        """Return `count` scenes drawn from `rng`."""

    @abstractmethod
    def _set_rows(self, rows: NDArray[np.int64], scenes: State) -> None:
        """Replace `rows` of the state by the rows of `scenes`, at rest."""

    @abstractmethod
    def _move(
        self, commands: NDArray[np.float64], rows: NDArray[np.int64] | None
    ) -> NDArray[np.bool_]:
        """Move all scenes, or `rows` alone, by (N, 3) commands in [-1, 1].

        Returns:
            (N,) whether an edge or an obstacle stopped each object.
        """

    @abstractmethod
    def images(self, state: State) -> NDArray[np.uint8]:
        """Draw a batch of states. Returns (N, S, S, 3)."""

    @abstractmethod
    def attributes(self, state: State) -> NDArray[np.float32]:
        """Return the (N, A) attribute vectors of a batch of states."""

    @abstractmethod
    def portrait(
        self, state: State, size: int, goals: NDArray[np.float64] | None = None
    ) -> NDArray[np.uint8]:
        """Draw one state, a batch of 1, for people. Returns (size, size, 3).

        Args:
            state: the state.
            size: side of the picture in pixels.
            goals: (G, 3) poses to mark as goals; the task's own by default.
        """

    @abstractmethod
    def poses_from_uniform(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn (M, 3) uniform numbers in [0, 1) into poses (M, 3), distributed as sampled ones.

        Obstacles are ignored, see `is_reachable`.
        """

    @abstractmethod
    def is_reachable(self, scenes: State) -> NDArray[np.bool_]:
        """Return (M,) whether sampled scenes can have these poses among their landmarks."""

    @classmethod
    def is_free(
        cls, poses: NDArray[np.float64], attributes: NDArray[np.floating]
    ) -> NDArray[np.bool_]:
        """Return (N, P) whether nothing is in the way of poses (N, P, 3) in N scenes.

        `attributes` are the (N, A) attribute vectors of the scenes.
        """
        return np.ones(poses.shape[:2], np.bool_)

    def jitter(self, state: State, rng: np.random.Generator) -> State:
        """Move half of the states off the grid that sampled states lie on, if there is one."""
        return state

    def check_installed(self) -> None:
        """Raise MissingPackageError if a package that simulates the scene is missing."""

    def extra_attributes(self) -> int:
        """Return how many numbers the layout appends to the attribute vector."""
        return 0

    def check_scenes(self, scenes: State, what: str = "state") -> None:
        """Raise InputError if scenes from the user, called `what`, cannot be simulated."""

    def _contacts(self, row: int) -> Any:
        """Return the contacts that a row's physics carries over between steps; None if none."""
        return None

    def _set_contacts(self, row: int, contacts: Any) -> None:
        """Restore the contacts that `_contacts` returned to a row's physics."""
