"""A batch of scenes of one kind. `GWEnv` and `GWVectorEnv` are thin adapters around it.

A core holds N scenes as arrays, moves them and observes them. The adapters own the random
generators and decide when to reset, so that single and vector environments agree to the bit.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from gw_envs.errors import (
    InputError,
    check_arguments,
    check_choice,
    check_whole,
    describe,
    is_whole,
)
from gw_envs.goal_task import ACTIONS, UNIT_ACTIONS, Distances, Task
from gw_envs.language import VOCABULARY, tokens
from gw_envs.observation import MODALITIES, check_modalities, observation_space
from gw_envs.scenes import Scene, get_scene
from gw_envs.snapshot import Snapshot
from gw_envs.state import BatchState, read_values

RANGE_TOLERANCE = 1e-5
"""Fraction of a field's range by which a user's state may exceed it: attributes are float32."""

State = TypeVar("State", bound=BatchState)


class Step(NamedTuple):
    """The outcome of one step for each of N scenes: arrays of shape (N,)."""

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    collided: NDArray[np.bool_]


class Core(ABC, Generic[State]):
    """N scenes side by side: they start episodes by rows, and are moved and observed together."""

    scene: ClassVar[Scene]
    task: ClassVar[Task]
    layouts: ClassVar[tuple[str, ...]] = ("fixed",)
    image_sizes: ClassVar[tuple[int, int]]
    """Smallest and largest side of an image in pixels."""

    state: State | None = None
    """The N scenes; None before the first episodes start and after `close`."""

    def __init__(
        self,
        num_envs: int = 1,
        modalities: Iterable[str] = MODALITIES,
        actions: str = "discrete",
        image_size: int | None = None,
        language: str = "tokens",
        layout: str = "fixed",
        max_episode_steps: int | None = None,
        **unknown: Any,
    ) -> None:
        """Check the arguments and make the spaces; nothing is sampled before an episode starts.

        Args:
            num_envs: number of scenes N.
            modalities: the modalities to observe; no others are computed.
            actions: "discrete" (six) or "continuous" (Box of 3).
            image_size: side of the `image` in pixels; the scene's own by default.
            language: "tokens" for (MAX_TOKENS,) int64, "text" for the sentence.
            layout: how landmarks are placed, one of the core's `layouts`.
            max_episode_steps: steps after which an episode is truncated; None for never.
            unknown: other keyword arguments, which are refused.

        Raises:
            InputError: an argument is unknown or out of its range.
        """
        check_arguments(Core.__init__, unknown)
        if not is_whole(num_envs) or num_envs < 1:
            raise InputError(
                f"num_envs is {describe(num_envs)}: it must be a whole number of at least 1"
            )
        self.num_envs = int(num_envs)
        self.modalities = check_modalities(modalities)
        self.actions = check_choice("action mode", actions, ("discrete", "continuous"))
        self.language = check_choice("language form", language, ("tokens", "text"))
        self.layout = check_choice("layout", layout, self.layouts)
        size = self.scene.image_size if image_size is None else image_size
        self.image_size = check_whole("image_size", size, *self.image_sizes)
        self.max_episode_steps = max_episode_steps
        if max_episode_steps is not None:
            self.max_episode_steps = check_whole("max_episode_steps", max_episode_steps, 1)
        self.observation_space = observation_space(
            self.scene,
            self.modalities,
            self.image_size,
            self.extra_attributes(),
            self.language,
            len(VOCABULARY) if "language" in self.modalities else 1,
        )
        self.action_space: spaces.Space = spaces.Box(-1.0, 1.0, (3,), np.float32)
        if actions == "discrete":
            self.action_space = spaces.Discrete(len(ACTIONS))
        self.elapsed = np.zeros(self.num_envs, np.int64)
        self._measured: tuple[State, Distances] | None = None

    # Each scene implements these methods.

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
    def portrait(self, state: State, size: int) -> NDArray[np.uint8]:
        """Draw one state, a batch of 1, with its goal for people. Returns (size, size, 3)."""

    def jitter(self, state: State, rng: np.random.Generator) -> State:
        """Move half of the states off the grid that sampled states lie on, if there is one."""
        return state

    def check_installed(self) -> None:
        """Raise MissingPackageError if a package that simulates the scene is missing."""

    def extra_attributes(self) -> int:
        """Return how many numbers the layout appends to the attribute vector."""
        return 0

    def check_scenes(self, scenes: State) -> None:
        """Raise InputError if scenes from the user cannot be simulated."""

    def _contacts(self, row: int) -> Any:
        """Return the contacts that a row's physics carries over between steps; None if none."""
        return None

    def _set_contacts(self, row: int, contacts: Any) -> None:
        """Restore the contacts that `_contacts` returned to a row's physics."""

    def close(self) -> None:
        """Drop the scenes and free their simulators; the next episode opens new ones."""
        self.state = None

    # All scenes share these methods.

    def current(self) -> State:
        """Return the N scenes. Raises ResetNeeded before the first episode and after `close`."""
        if self.state is None:
            raise ResetNeeded(
                "there is no scene yet, or the environment was closed: call reset() first"
            )
        return self.state

    def poses(self) -> NDArray[np.float64]:
        """Return (N, 3) x, y and rotation of the scenes."""
        state = self.current()
        poses = np.empty((len(state.x), 3))
        poses[:, 0], poses[:, 1], poses[:, 2] = state.x, state.y, state.rotation
        return poses

    def _distances(self) -> Distances:
        """Return how far the scenes are from the goal, computed once for each state."""
        state = self.current()
        if self._measured is None or self._measured[0] is not state:
            self._measured = (state, self.task.distances(self.poses()))
        return self._measured[1]

    def start_episodes(
        self,
        rows: NDArray[np.int64],
        rngs: Sequence[np.random.Generator],
        values: Mapping[str, NDArray] | None = None,
    ) -> None:
        """Start an episode in each of `rows`, drawn from that row's own generator.

        Args:
            rows: K distinct row numbers in rising order; all N rows the first time.
            rngs: K generators.
            values: values that replace the drawn ones, as `read_state` returns them.

        Raises:
            InputError: the values do not fit the scene that was drawn.
        """
        scenes = self.sample_each(rngs)
        if values:
            scenes = scenes.with_values({name: array[rows] for name, array in values.items()})
            self.check_scenes(scenes)
        if len(rows) < self.num_envs:
            self.current()
        self._set_rows(rows, scenes)
        self.elapsed[rows] = 0

    def sample_each(self, rngs: Sequence[np.random.Generator]) -> State:
        """Draw one state from each generator. Returns them as a batch."""
        states = [self.sample(rng) for rng in rngs]
        return type(states[0]).concatenate(states)

    def read_state(self, given: Any) -> dict[str, NDArray]:
        """Read a full or partial state from the user.

        Args:
            given: a state of this scene, a snapshot, or a dict of named values in their own units;
                one row for all scenes or one for each.

        Returns:
            {name: (N, ...) array}.

        Raises:
            InputError: a name is unknown, or a value has a wrong type or shape or is out of range.
        """
        given = given.scenes if isinstance(given, Snapshot) else given
        values = read_values(self.scene.state_type(), given, self.num_envs)
        for field in self.scene.fields:
            if field.kind != "linear" or field.name not in values:
                continue
            array, slack = values[field.name], RANGE_TOLERANCE * (field.high - field.low)
            outside = (array < field.low - slack) | (array > field.high + slack)
            if outside.any():
                raise InputError(
                    f"{field.name} of the state is {array[outside][0]:g} {field.unit}: "
                    f"{self.scene.name} shows {field.low:g} to {field.high:g}"
                )
            values[field.name] = np.clip(array, field.low, field.high).astype(array.dtype)
        return values

    def set_values(self, values: Mapping[str, NDArray]) -> None:
        """Overwrite parts of the running scenes with values that `read_state` returned.

        Raises ResetNeeded if there is no episode, InputError if the values do not fit the scenes.
        """
        scenes = self.current().with_values(values)
        self.check_scenes(scenes)
        self._set_rows(np.arange(self.num_envs), scenes)

    def snapshot(
        self, done: NDArray[np.bool_], generators: Sequence[np.random.Generator]
    ) -> Snapshot:
        """Return a copy of the scenes and of everything else their next steps depend on."""
        return Snapshot(
            self.current().copy(),
            self.elapsed.copy(),
            done.copy(),
            [rng.bit_generator.state for rng in generators],
            [self._contacts(row) for row in range(self.num_envs)],
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a snapshot of N scenes; InputError if it is of another scene or layout."""
        kind = self.scene.state_type()
        if not isinstance(snapshot.scenes, kind):
            raise InputError(
                f"the snapshot holds a {type(snapshot.scenes).__name__}: "
                f"these environments take a {kind.__name__}"
            )
        self.check_scenes(snapshot.scenes)
        rows = np.arange(self.num_envs)
        self._set_rows(rows, snapshot.scenes.copy())
        for row, contacts in enumerate(snapshot.contacts):
            self._set_contacts(row, contacts)
        self.elapsed = snapshot.elapsed.copy()

    def commands(self, actions: Any) -> NDArray[np.float64]:
        """Convert (N,) discrete or (N, 3) continuous actions to (N, 3) fractions of full speed.

        Raises InputError if their number is wrong or one of them is invalid.
        """
        try:
            array = np.asarray(actions)
        except ValueError as error:
            raise InputError("the actions have different shapes: give one for each row") from error
        if self.actions == "discrete":
            if array.shape != (self.num_envs,) or array.dtype.kind not in "iu":
                raise InputError(
                    f"actions are {describe(array)}: give {self.num_envs} whole number(s) in 0..5"
                )
            wrong = (array < 0) | (array >= len(ACTIONS))
            if np.count_nonzero(wrong):
                raise InputError(f"action {array[wrong][0]} is not one of 0..5")
            return UNIT_ACTIONS.take(array, axis=0)
        if array.shape != (self.num_envs, 3) or array.dtype.kind not in "iuf":
            raise InputError(
                f"actions are {describe(array)}: give {self.num_envs} x 3 numbers in [-1, 1]"
            )
        if not np.abs(array).max() <= 1.0 + 1e-6:  # `not <=` refuses NaN too
            raise InputError("a continuous action has an entry that is NaN or outside [-1, 1]")
        return np.clip(array.astype(np.float64), -1.0, 1.0)

    def step(self, actions: Any, rows: NDArray[np.int64] | None = None) -> Step:
        """Move every scene, or only `rows`; the outcomes of the other rows are meaningless."""
        self.current()
        commands = self.commands(actions)
        before = self._distances()
        collided = self._move(commands, rows)
        after = self._distances()
        self.elapsed += 1
        reward, success = self.task.outcomes(before, after)
        late = self.elapsed >= (self.max_episode_steps or np.inf)
        return Step(reward, success, late, collided)

    def observe(
        self, state: State | None = None, modalities: Iterable[str] | None = None
    ) -> dict[str, Any]:
        """Observe the scenes, or another batch of states; a pure function of the states.

        Returns:
            {modality: array with one row for each scene}, by default for the core's modalities.
        """
        state = self.current() if state is None else state
        wanted = self.modalities if modalities is None else check_modalities(modalities)
        observers = {"image": self.images, "attributes": self.attributes, "language": tokens}
        return {modality: observers[modality](state) for modality in wanted}


def core_type(scene: str) -> type[Core]:
    """Return the class of a scene's core; InputError if there is no such scene."""
    known = get_scene(scene)
    return known.load("env", f"{known.class_prefix}Core")


def make_core(scene: str, **arguments: Any) -> Core:
    """Make the core of a scene without an environment around it; arguments as for `Core`."""
    return core_type(scene)(**arguments)
