"""A batch of scenes of one kind: the one thing of which every environment class is a face.

A core holds N scene states as arrays, moves them, and shows them. It owns no random generator and no autoreset: the
faces in `gw_envs.env` bring those, so that all of them agree to the bit.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from gw_envs.errors import check_choice, describe, is_whole
from gw_envs.goal_task import ACTIONS, UNIT_ACTIONS, Distances, Task
from gw_envs.language import tokens
from gw_envs.observation import MODALITIES, check_modalities, observation_space
from gw_envs.scenes import Scene, get_scene


class Step(NamedTuple):
    """What one step brought to each of N scenes: arrays of shape (N,)."""

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    collided: NDArray[np.bool_]


class Core(ABC):
    """N scenes side by side: place rows, step all, observe."""

    scene: ClassVar[Scene]
    task: ClassVar[Task]
    layouts: ClassVar[tuple[str, ...]] = ("fixed",)
    image_sizes: ClassVar[tuple[int, int]]
    """Smallest and largest side of an image in pixels."""

    state: Any = None
    """The N scenes, a `BatchState`; None before the first `place` and once closed."""

    def __init__(
        self,
        num_envs: int = 1,
        modalities: Iterable[str] = MODALITIES,
        actions: str = "discrete",
        image_size: int | None = None,
        language: str = "tokens",
        layout: str = "fixed",
        max_episode_steps: int | None = None,
    ) -> None:
        """Check the arguments and lay out the spaces; nothing is sampled before the first `place`.

        Args:
            num_envs: how many scenes.
            modalities: what is observed; nothing else is computed.
            actions: "discrete" (six) or "continuous" (Box of 3).
            image_size: side of the `image` in pixels; the scene's own by default.
            language: "tokens" for (MAX_TOKENS,) int64, "text" for the sentence.
            layout: where landmarks stand, one of the core's `layouts`.
            max_episode_steps: steps after which an episode is truncated; None for never.
        """
        if not is_whole(num_envs) or num_envs < 1:
            raise ValueError(f"num_envs is {num_envs!r}: it must be a whole number of at least 1")
        self.num_envs = int(num_envs)
        self.modalities = check_modalities(modalities)
        self.actions = check_choice("action mode", actions, ("discrete", "continuous"))
        self.language = check_choice("language form", language, ("tokens", "text"))
        self.layout = check_choice("layout", layout, self.layouts)
        size = self.scene.image_size if image_size is None else image_size
        low, high = self.image_sizes
        if not is_whole(size) or not low <= size <= high:
            raise ValueError(
                f"image_size is {size!r}: {self.scene.name} draws images of {low} to {high} pixels"
            )
        self.image_size = int(size)
        self.observation_space = observation_space(
            self.scene, self.modalities, self.image_size, self.extra_attributes(), self.language
        )
        self.action_space: spaces.Space = (
            spaces.Discrete(len(ACTIONS))
            if actions == "discrete"
            else spaces.Box(-1.0, 1.0, (3,), np.float32)
        )
        if max_episode_steps is not None and (
            not is_whole(max_episode_steps) or max_episode_steps < 1
        ):
            raise ValueError(
                f"max_episode_steps is {max_episode_steps!r}: it must be a whole number of at least 1"
            )
        self.max_episode_steps = max_episode_steps
        self.elapsed = np.zeros(self.num_envs, np.int64)
        self._measured: tuple[Any, Distances] | None = None

    # What a scene brings.

    @abstractmethod
    def sample(self, rng: np.random.Generator, count: int = 1) -> Any:
        """`count` scene states drawn from `rng`."""

    @abstractmethod
    def _place(self, rows: NDArray[np.int64], fresh: Any) -> None:
        """Put `fresh` states into `rows` of `state`."""

    @abstractmethod
    def _move(
        self, commands: NDArray[np.float64], rows: NDArray[np.int64] | None
    ) -> NDArray[np.bool_]:
        """Move the scenes (all, or `rows` alone) by (N, 3) commands in [-1, 1]; (N,) whether each was stopped."""

    @abstractmethod
    def images(self, state: Any) -> NDArray[np.uint8]:
        """(N, S, S, 3) pictures of a batch of states."""

    @abstractmethod
    def attributes(self, state: Any) -> NDArray[np.float32]:
        """(N, A) attribute vectors of a batch of states."""

    @abstractmethod
    def portrait(self, state: Any, size: int) -> NDArray[np.uint8]:
        """(size, size, 3) picture of a batch of one state for people, the goal drawn on it."""

    def jitter(self, state: Any, rng: np.random.Generator) -> Any:
        """A batch of states, half of them moved off any grid on which sampled states lie."""
        return state

    def check_installed(self) -> None:  # noqa: B027 - most scenes need no package of their own
        """Raise MissingPackageError if a package is missing that moves the scene."""

    def extra_attributes(self) -> int:
        """Numbers that the layout appends to the attribute vector."""
        return 0

    def close(self) -> None:
        """Free what the core holds outside Python's memory; the next `place` opens it again."""
        self.state = None

    # What every face uses.

    def current(self) -> Any:
        """The N scenes; ResetNeeded if there are none yet, or no more."""
        if self.state is None:
            raise ResetNeeded(
                "there is no scene yet, or the environment was closed: call reset() first"
            )
        return self.state

    def poses(self) -> NDArray[np.float64]:
        """(N, 3) x, y and rotation of every scene."""
        poses = np.empty((len(self.state.x), 3))
        poses[:, 0], poses[:, 1], poses[:, 2] = self.state.x, self.state.y, self.state.rotation
        return poses

    def _distances(self) -> Distances:
        """How far every scene is from the goal; what was found after one step is not computed again before the next."""
        if self._measured is None or self._measured[0] is not self.state:
            self._measured = (self.state, self.task.distances(self.poses()))
        return self._measured[1]

    def place(self, rows: NDArray[np.int64], rngs: Sequence[np.random.Generator]) -> None:
        """Begin a new episode in each of `rows`, drawn from that row's own generator."""
        self._place(rows, self.sample_each(rngs))
        self.elapsed[rows] = 0

    def sample_each(self, rngs: Sequence[np.random.Generator]) -> Any:
        """One state from each generator, as a batch."""
        states = [self.sample(rng) for rng in rngs]
        return type(states[0]).concatenate(states)

    def commands(self, actions: Any) -> NDArray[np.float64]:
        """(N,) discrete or (N, 3) continuous actions -> (N, 3) fractions of full speed; ValueError if unfit."""
        array = np.asarray(actions)
        if self.actions == "discrete":
            if array.shape != (self.num_envs,) or array.dtype.kind not in "iu":
                raise ValueError(
                    f"actions are {describe(array)}: give {self.num_envs} whole number(s) in 0..5"
                )
            wrong = (array < 0) | (array >= len(ACTIONS))
            if np.count_nonzero(wrong):
                raise ValueError(f"action {array[wrong][0]} is not one of 0..5")
            return UNIT_ACTIONS.take(array, axis=0)
        if array.shape != (self.num_envs, 3) or array.dtype.kind not in "iuf":
            raise ValueError(
                f"actions are {describe(array)}: give {self.num_envs} x 3 numbers in [-1, 1]"
            )
        if not np.abs(array).max() <= 1.0 + 1e-6:  # so written that NaN is caught
            raise ValueError("a continuous action has an entry that is NaN or outside [-1, 1]")
        return np.clip(array.astype(np.float64), -1.0, 1.0)

    def step(self, actions: Any, rows: NDArray[np.int64] | None = None) -> Step:
        """Move every scene, or only `rows` of them; the outcome of the others means nothing."""
        self.current()
        commands = self.commands(actions)
        before = self._distances()
        collided = self._move(commands, rows)
        after = self._distances()
        self.elapsed += 1
        success = self.task.success(*after)
        late = self.elapsed >= (self.max_episode_steps or np.inf)
        return Step(self.task.reward(before, after, success), success, late, collided)

    def observe(self, state: Any = None, modalities: Iterable[str] | None = None) -> dict[str, Any]:
        """A batch of states as a dict of arrays, only the modalities asked for: a pure function of the state."""
        state = self.current() if state is None else state
        asked = self.modalities if modalities is None else check_modalities(modalities)
        views = {"image": self.images, "attributes": self.attributes, "language": tokens}
        return {modality: views[modality](state) for modality in asked}


def core_type(scene: str) -> type[Core]:
    """The class of a scene's core."""
    known = get_scene(scene)
    return known.load("env", f"{known.class_prefix}Core")


def make_core(scene: str, **arguments: Any) -> Core:
    """Make N states of a scene side by side, without an environment around them; arguments as for `Core`."""
    return core_type(scene)(**arguments)
