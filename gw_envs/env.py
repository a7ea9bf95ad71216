"""`GWEnv`, a core as a Gymnasium environment, and the base that it shares with `GWVectorEnv`."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from gw_envs.annotated_frames import with_caption
from gw_envs.core import Core
from gw_envs.display import has_display, opencv
from gw_envs.errors import (
    InputError,
    check_arguments,
    check_choice,
    check_keys,
    check_seed,
    check_whole,
)
from gw_envs.goals import Goals
from gw_envs.keyboard import keys_to_action
from gw_envs.language import CaptionDecoder, sentences
from gw_envs.observation import MODALITIES
from gw_envs.reading import GivenGoals
from gw_envs.snapshot import Snapshot

RENDER_SIZES = (64, 2048)
"""Smallest and largest side of a rendered frame in pixels."""

Observation = dict[str, Any]
Info = dict[str, Any]


class SceneEnv:
    """The common base of `GWEnv` and `GWVectorEnv`: a core, its observations and its window."""

    core_type: ClassVar[type[Core]]
    metadata: dict[str, Any]
    core: Core
    render_mode: str | None
    _spec: EnvSpec | None = None
    _window: bool | None = None
    """Whether frames are shown in a window; None until the first frame."""

    def _open(self, render_mode: str | None, render_size: int, **core_arguments: Any) -> None:
        """Check the rendering arguments and make the core."""
        if render_mode is not None:
            check_choice("render_mode", render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        self.render_size = check_whole("render_size", render_size, *RENDER_SIZES)
        self.core = self.core_type(**core_arguments)
        self._decode, self._decode_goals = CaptionDecoder(), CaptionDecoder()
        self.core.check_installed()

    @property
    def spec(self) -> EnvSpec | None:
        """The specification from which `gymnasium.make` made the environment."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        """Store a specification with its values converted to JSON types."""
        self._spec = spec if spec is None else replace(spec, kwargs=_plain(spec.kwargs))

    @property
    def state(self) -> Any:
        """The current scenes as a batch, which has one row in a single environment."""
        return self.core.current()

    @property
    def goals(self) -> Goals | None:
        """The goals of the running episodes; None if the environment has none."""
        self.core.current()
        return self.core.goals

    def _observations_and_captions(self) -> tuple[Observation, list[str] | None]:
        """Observe all rows. Returns their captions too if language is observed, else None."""
        observations, captions = self.core.observe(), None
        if "language" in observations:
            captions = self._decode(observations["language"])
            if self.core.language == "text":
                observations["language"] = tuple(captions)
        if self.core.goal is not None:
            observations["goal"] = self.core.observe_goals()
            if self.core.goal == "language" and self.core.language == "text":
                observations["goal"] = tuple(self._decode_goals(observations["goal"]))
        return observations, captions

    def _criteria(self) -> dict[str, NDArray[np.bool_]]:
        """Return (N,) which rows meet each criterion of a goal now; none without goals."""
        if self.core.goal is None:
            return {}
        _, _, pose_reached, claims_true = self.core.standing()
        assert pose_reached is not None
        assert claims_true is not None
        return {"pose_reached": pose_reached, "claims_true": claims_true}

    def _options(self, options: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
        """Return the options of a reset; InputError naming the known ones if one is unknown."""
        if options is None:
            return {}
        check_keys("options", options, known)
        return options

    def _scene_and_goals(
        self, options: Mapping[str, Any]
    ) -> tuple[dict[str, NDArray] | None, GivenGoals | None]:
        """Read the options `state` and `goal` of a reset; None where one is not given."""
        values = self.core.read_state(options["state"]) if "state" in options else None
        return values, self.core.read_goals(options["goal"]) if "goal" in options else None

    def _frame(self, row: int) -> NDArray[np.uint8]:
        """Draw one row with goal and caption. Returns (render_size, render_size, 3)."""
        state, texts = self.core.current()[row : row + 1], []
        if self.core.goal == "language":
            texts = [f"Goal: {self._decode_goals(self.core.observe_goals())[row]}"]
        picture = self.core.portrait(state, self.render_size, self.core.marks(row))
        return with_caption(picture, *sentences(state), *texts)

    def _show_window(self, frame: NDArray[np.uint8]) -> None:
        """Show a frame in a window; where there is no display, warn once and show nothing."""
        if self._window is None:
            self._window = has_display()
            if not self._window:
                warnings.warn(
                    "there is no display to open a window on: human rendering shows nothing",
                    stacklevel=3,
                )
        if self._window:
            opencv().imshow(self.core.scene.name, frame[..., ::-1])
            opencv().waitKey(1000 // self.metadata["render_fps"])

    def _free(self) -> None:
        """Close the window, if any, and free the simulators."""
        if self._window:
            opencv().destroyAllWindows()  # other environments reopen theirs with the next frame
        self._window = None
        if hasattr(self, "core"):
            self.core.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to copy or pickle; a copy opens a window of its own."""
        return {**vars(self), "_window": None}


class GWEnv(SceneEnv, gym.Env[Observation, Any]):
    """One scene as a Gymnasium environment. Its subclasses describe the tasks."""

    def __init__(
        self,
        render_mode: str | None = None,
        render_size: int = 480,
        modalities: Iterable[str] = MODALITIES,
        actions: str = "discrete",
        image_size: int | None = None,
        language: str = "tokens",
        layout: str = "fixed",
        max_episode_steps: int | None = None,
        goal: str | None = None,
        **unknown: Any,
    ) -> None:
        """Make the environment.

        Args:
            render_mode: None, "rgb_array" or "human".
            render_size: side of rendered frames in pixels, 64 to 2048.
            modalities: the modalities to observe: "image", "attributes", "language".
            actions: "discrete" (six) or "continuous" (Box of 3).
            image_size: side of the `image` in pixels; the scene's own by default.
            language: "tokens" for (MAX_TOKENS,) int64, "text" for the sentence.
            layout: how landmarks are placed: "fixed", or "random" in the Factory.
            max_episode_steps: steps after which an episode is truncated; None for never.
            goal: the modality in which every episode shows a goal of its own: "image",
                "attributes" or "language"; None for the one goal of the published task.
            unknown: other keyword arguments, which are refused.

        Raises:
            InputError: an argument is unknown or out of its range.
        """
        check_arguments(GWEnv.__init__, unknown)
        self._open(
            render_mode,
            render_size,
            modalities=modalities,
            actions=actions,
            image_size=image_size,
            language=language,
            layout=layout,
            max_episode_steps=max_episode_steps,
            goal=goal,
        )
        self.observation_space = self.core.observation_space
        self.action_space = self.core.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Begin an episode. The same seed gives the same episode, whatever happened before.

        Args:
            seed: a whole number from 0; None to continue with the present generator.
            options: {"state": ...} begins in a scene of your choice. Give a state of the scene's
                class, a snapshot of `get_state`, or a dict of some of the state's values in their
                own units, such as {"x": 10.0}; the rest is drawn at random. {"goal": ...} sets the
                goal of an environment that has goals: a pose (x, y and rotation), or for goals in
                language a sentence, whose claims about place and direction are the goal.

        Returns:
            The observation and the info.

        Raises:
            InputError: the seed or an option is invalid, or the goal can't be reached.
        """
        seed = check_seed(seed)
        values, goals = self._scene_and_goals(self._options(options, ("state", "goal")))
        super().reset(seed=seed)
        self.core.start_episodes(np.zeros(1, np.int64), [self.np_random], values, goals)
        return self._observe_with_info(False, False)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, Info]:
        """Take one action: an index from 0 to 5, or three numbers in [-1, 1]."""
        step = self.core.step([action])
        terminated, truncated = bool(step.terminated[0]), bool(step.truncated[0])
        observation, info = self._observe_with_info(terminated, bool(step.collided[0]))
        return observation, float(step.reward[0]), terminated, truncated, info

    def _observe_with_info(self, success: bool, collided: bool) -> tuple[Observation, Info]:
        """Return the observation and the info; in "human" mode, update the window."""
        observations, captions = self._observations_and_captions()
        info: Info = {"is_success": success, "collision": collided}
        info |= {name: bool(rows[0]) for name, rows in self._criteria().items()}
        if captions is not None:
            info["caption"] = captions[0]
        if self.render_mode == "human":
            self.render()
        return {name: rows[0] for name, rows in observations.items()}, info

    def get_state(self) -> Snapshot:
        """Return a snapshot from which `set_state` continues the episode, equal to the bit.

        It holds the scene, the goal, the steps since the episode began, the random generator that
        draws the next episode, and the contacts of the Factory's physics. Wrappers such as
        `TimeLimit` keep counts of their own: to branch with them, copy the wrapped environment with
        `copy.deepcopy`.
        """
        return self.core.snapshot(np.zeros(1, np.bool_), [self.np_random])

    def set_state(self, state: Any) -> None:
        """Return to a snapshot, or change the scene of the running episode.

        Args:
            state: a snapshot of one scene. Or a state, or a dict of some of its values; these do
                not change the goal, the number of steps or the random generator.

        Raises:
            InputError: the state is invalid, or of another scene, layout or goal modality.
            ResetNeeded: a dict or a state was given, and no episode is running.
        """
        if not isinstance(state, Snapshot):
            self.core.set_values(self.core.read_state(state))
            return
        if len(state) != 1:
            raise InputError(f"the snapshot holds {len(state)} scenes: give one, snapshot[row]")
        self.core.restore(state)
        self.np_random.bit_generator.state = state.generators[0]

    def get_keys_to_action(self) -> dict[tuple[int, ...], Any]:
        """Return the keys for `gymnasium.utils.play`: w, s, a and d move, q and e turn.

        Every discrete action moves the scene, so with discrete actions call
        `play(env, wait_on_player=True)`, which acts only while a key is held; with continuous ones
        `play(env, noop=env.unwrapped.noop)`.
        """
        return keys_to_action(self.core.actions)

    @property
    def noop(self) -> NDArray[np.float32] | None:
        """The continuous action that does nothing, (3,) zeros; None with discrete actions."""
        return np.zeros(3, np.float32) if self.core.actions == "continuous" else None

    def render(self) -> NDArray[np.uint8] | None:
        """Draw the scene with goal and caption.

        Returns:
            (render_size, render_size, 3) uint8 in "rgb_array" mode; None in "human" mode, which
            shows a window.
        """
        if self.render_mode is None:
            gym.logger.warn(
                "render() does nothing without a render_mode: "
                'pass render_mode="rgb_array" to gym.make'
            )
            return None
        frame = self._frame(0)
        if self.render_mode == "rgb_array":
            return frame
        self._show_window(frame)
        return None

    def close(self) -> None:
        """Close the window, if any, and free the simulator; safe to call twice."""
        self._free()


def _plain(value: Any) -> Any:
    """Convert the enums, sets, and NumPy numbers and arrays in a value to JSON types."""
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        entries = [_plain(entry) for entry in value]
        return tuple(entries) if isinstance(value, tuple) else entries
    if isinstance(value, Enum):
        return value.value
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value
