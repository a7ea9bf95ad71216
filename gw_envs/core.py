"""A batch of scenes of one kind. `GWEnv` and `GWVectorEnv` are thin adapters around it.

A core holds N scenes as arrays, moves them and observes them. The adapters own the random
generators and decide when to reset, so that single and vector environments agree to the bit.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

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
from gw_envs.goal_draws import begin_goals
from gw_envs.goal_task import ACTIONS, Standing
from gw_envs.goals import Goals
from gw_envs.language import VOCABULARY, tokens
from gw_envs.observation import MODALITIES, check_modalities, observation_space
from gw_envs.reading import GivenGoals, read_actions, read_goals, read_state
from gw_envs.scene_methods import SceneMethods, State
from gw_envs.scenes import get_scene
from gw_envs.snapshot import Snapshot


class Step(NamedTuple):
    """The outcome of one step for each of N scenes: arrays of shape (N,)."""

    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    collided: NDArray[np.bool_]


class Core(SceneMethods[State]):
    """N scenes side by side: they start episodes by rows, and are moved and observed together."""

    state: State | None = None
    """The N scenes; None before the first episodes start and after `close`."""
    goals: Goals | None = None
    """Their goals; None as long as there are no scenes, and if episodes have no goals."""

    def __init__(
        self,
        num_envs: int = 1,
        modalities: Iterable[str] = MODALITIES,
        actions: str = "discrete",
        image_size: int | None = None,
        language: str = "tokens",
        layout: str = "fixed",
        max_episode_steps: int | None = None,
        goal: str | None = None,
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
            goal: the modality in which every episode shows a goal of its own; None for the task's
                one goal.
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
        self.goal = None if goal is None else check_choice("goal modality", goal, MODALITIES)
        self.observation_space = observation_space(
            self.scene,
            self.modalities,
            self.image_size,
            self.extra_attributes(),
            self.language,
            len(VOCABULARY) if "language" in (*self.modalities, self.goal) else 1,
            self.goal,
        )
        self.action_space: spaces.Space = spaces.Box(-1.0, 1.0, (3,), np.float32)
        if actions == "discrete":
            self.action_space = spaces.Discrete(len(ACTIONS))
        self.elapsed = np.zeros(self.num_envs, np.int64)
        self._measured: tuple[State, Standing] | None = None
        self._goal_view: NDArray = np.zeros(0)

    def close(self) -> None:
        """Drop the scenes and free their simulators; the next episode opens new ones."""
        self.state = self.goals = None

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

    def standing(self) -> Standing:
        """Return how far the scenes are from their goals, computed once for each state."""
        state = self.current()
        if self._measured is None or self._measured[0] is not state:
            poses = self.poses()
            if self.goals is None:
                standing = Standing(self.task.distances(poses))
            else:
                standing = self.goals.standing(self.task, state, poses)
            self._measured = (state, standing)
        return self._measured[1]

    def start_episodes(
        self,
        rows: NDArray[np.int64],
        rngs: Sequence[np.random.Generator],
        values: Mapping[str, NDArray] | None = None,
        given: GivenGoals | None = None,
    ) -> None:
        """Start an episode in each of `rows`, drawn from that row's own generator.

        Args:
            rows: K distinct row numbers in rising order; all N rows the first time.
            rngs: K generators.
            values: values that replace the drawn ones, as `read_state` returns them.
            given: goals that replace the drawn ones, as `read_goals` returns them.

        Raises:
            InputError: the values do not fit the scene that was drawn, or a goal can't be reached.
        """
        scenes = self.sample_each(rngs)
        if values:
            scenes = scenes.with_values({name: array[rows] for name, array in values.items()})
            self.check_scenes(scenes)
        goals = None
        if self.goal is not None:
            given = None if given is None else given.rows(rows)
            goals = begin_goals(self, self.goal, scenes, rngs, given)
        if len(rows) < self.num_envs:
            self.current()
        self._set_rows(rows, scenes)
        if goals is not None:
            self._set_goals(rows, goals)
        self.elapsed[rows] = 0

    def _set_goals(self, rows: NDArray[np.int64], goals: Goals) -> None:
        """Replace the goals of `rows` by K goals, and observe these once for the whole episode."""
        view = goals.tokens
        if view is None:
            view = self.observe(goals.scenes, (goals.modality,))[goals.modality]
        if self.goals is not None and len(rows) < self.num_envs:
            goals = self.goals.with_rows(rows, goals)
            views = self._goal_view.copy()
            views[rows] = view
            view = views
        self.goals, self._goal_view = goals, view

    def sample_each(self, rngs: Sequence[np.random.Generator]) -> State:
        """Draw one state from each generator. Returns them as a batch."""
        states = [self.sample(rng) for rng in rngs]
        return type(states[0]).concatenate(states)

    def read_state(self, given: Any) -> dict[str, NDArray]:
        """Read a state that the user gives, full or partial; see `gw_envs.reading.read_state`."""
        return read_state(self.scene, given, self.num_envs)

    def read_goals(self, given: Any) -> GivenGoals:
        """Read goals that the user gives; see `gw_envs.reading.read_goals`."""
        return read_goals(self.scene, self.goal, given, self.num_envs)

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
            self.goals,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a snapshot of N scenes.

        Raises InputError if it is of another scene, layout or goal modality.
        """
        kind = self.scene.state_type()
        if not isinstance(snapshot.scenes, kind):
            raise InputError(
                f"the snapshot holds a {type(snapshot.scenes).__name__}: "
                f"these environments take a {kind.__name__}"
            )
        if snapshot.goal != self.goal:
            raise InputError(
                f"the snapshot is of an environment with goal={snapshot.goal!r}: "
                f"these environments have goal={self.goal!r}"
            )
        self.check_scenes(snapshot.scenes)
        rows = np.arange(self.num_envs)
        self._set_rows(rows, snapshot.scenes.copy())
        if snapshot.goals is not None:
            self._set_goals(rows, snapshot.goals)
        for row, contacts in enumerate(snapshot.contacts):
            self._set_contacts(row, contacts)
        self.elapsed = snapshot.elapsed.copy()

    def step(self, actions: Any, rows: NDArray[np.int64] | None = None) -> Step:
        """Move every scene, or only `rows`; the outcomes of the other rows are meaningless."""
        self.current()
        commands = read_actions(self.actions, actions, self.num_envs)
        before = self.standing()
        collided = self._move(commands, rows)
        after = self.standing()
        self.elapsed += 1
        reward, success = self.task.outcomes(before.distances, after.distances, after.success)
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

    def observe_goals(self) -> NDArray:
        """Return the goals as their modality shows them: (N, ...), one row for each scene."""
        self.current()
        return self._goal_view.copy()

    def marks(self, row: int) -> NDArray[np.float64]:
        """Return the goal poses (G, 3) to mark in a row's portrait; none for a goal in language."""
        if self.goals is None:
            return np.array([self.task.goal])
        return self.goals.poses[row : row + (self.goal != "language")]


def core_type(scene: str) -> type[Core]:
    """Return the class of a scene's core; InputError if there is no such scene."""
    known = get_scene(scene)
    return known.load("env", f"{known.class_prefix}Core")


def make_core(scene: str, **arguments: Any) -> Core:
    """Make the core of a scene without an environment around it; arguments as for `Core`."""
    return core_type(scene)(**arguments)
