"""The faces of a core: one environment as Gymnasium's `Env`, N of them as its `VectorEnv`."""

import warnings
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gw_envs.annotated_frames import tiled, with_caption
from gw_envs.core import Core, Step
from gw_envs.display import has_display, opencv
from gw_envs.errors import check_choice, is_whole
from gw_envs.language import CaptionDecoder, sentences

RENDER_SIZES = (64, 2048)
"""Smallest and largest side of a rendered frame in pixels."""


class _Face:
    """What both faces share: a core, its spaces, what it shows and tells."""

    core_type: ClassVar[type[Core]]
    metadata: dict[str, Any]
    core: Core
    render_mode: str | None
    _window: bool | None = None
    """Whether there is a window; None before the first picture for one."""

    def _open(
        self, render_mode: str | None, render_size: int, core_arguments: dict[str, Any]
    ) -> None:
        if render_mode is not None:
            check_choice("render_mode", render_mode, self.metadata["render_modes"])
        low, high = RENDER_SIZES
        if not is_whole(render_size) or not low <= render_size <= high:
            raise ValueError(
                f"render_size is {render_size!r}: it must be a whole number of {low} to {high} pixels"
            )
        self.render_mode, self.render_size = render_mode, int(render_size)
        self.core = self.core_type(**core_arguments)
        self._decode = CaptionDecoder()
        self.core.check_installed()

    @property
    def state(self) -> Any:
        """The scenes as they are, a batch (of one in a single environment): what `caption_truth` judges."""
        return self.core.current()

    def _views(self) -> tuple[dict[str, Any], list[str] | None]:
        """The observations of all rows, and their sentences where language is observed."""
        shown = self.core.observe()
        if "language" not in shown:
            return shown, None
        captions = self._decode(shown["language"])
        if self.core.language == "text":
            shown["language"] = tuple(captions)
        return shown, captions

    def _frame(self, row: int) -> NDArray[np.uint8]:
        """(render_size, render_size, 3) picture of one row, goal and caption drawn on it."""
        state = self.core.current()[row : row + 1]
        return with_caption(self.core.portrait(state, self.render_size), sentences(state)[0])

    def _show(self, frame: NDArray[np.uint8]) -> None:
        """Show a frame in a window; where there is no display, warn once and show nothing."""
        if self._window is None:
            self._window = has_display()
            if not self._window:
                warnings.warn(
                    "no display is there to open a window on: human rendering shows nothing",
                    stacklevel=3,
                )
        if self._window:
            opencv().imshow(self.core.scene.name, frame[..., ::-1])
            opencv().waitKey(1000 // self.metadata["render_fps"])

    def close(self) -> None:
        """Close the window, if any, and free the simulator; safe to call twice."""
        if self._window:
            opencv().destroyAllWindows()  # those of others come back with their next frames
        self._window = None
        if hasattr(self, "core"):
            self.core.close()


class GWEnv(_Face, gym.Env[dict[str, Any], Any]):
    """One scene as a Gymnasium environment. The scenes' own classes carry the cards."""

    def __init__(
        self, render_mode: str | None = None, render_size: int = 480, **core_arguments: Any
    ) -> None:
        """Make the environment.

        Args:
            render_mode: None, "rgb_array" or "human".
            render_size: side of rendered frames in pixels, 64 to 2048.
            core_arguments: `modalities`, `actions`, `image_size`, `language`, `layout`, `max_episode_steps`, as
                for `Core`.
        """
        self._open(render_mode, render_size, {**core_arguments, "num_envs": 1})
        self.observation_space = self.core.observation_space
        self.action_space = self.core.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode. The same seed gives the same episode, whatever happened before."""
        super().reset(seed=seed)
        self.core.place(np.zeros(1, np.int64), [self.np_random])
        return self._tell(False, False)

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Act: a discrete index 0 to 5, or three numbers in [-1, 1]."""
        step = self.core.step(np.asarray(action)[None])
        shown, info = self._tell(bool(step.terminated[0]), bool(step.collided[0]))
        return shown, float(step.reward[0]), bool(step.terminated[0]), bool(step.truncated[0]), info

    def _tell(self, success: bool, collided: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        shown, captions = self._views()
        info: dict[str, Any] = {"is_success": success, "collision": collided}
        if captions is not None:
            info["caption"] = captions[0]
        if self.render_mode == "human":
            self.render()
        return {name: rows[0] for name, rows in shown.items()}, info

    def render(self) -> NDArray[np.uint8] | None:
        """(render_size, render_size, 3) uint8 in "rgb_array" mode; shows a window and returns None in "human" mode."""
        if self.render_mode is None:
            gym.logger.warn(
                'render() does nothing without a render_mode: pass render_mode="rgb_array" to gym.make'
            )
            return None
        frame = self._frame(0)
        if self.render_mode == "rgb_array":
            return frame
        self._show(frame)
        return None


class GWVectorEnv(_Face, VectorEnv[dict[str, Any], Any, Any]):
    """N scenes as one Gymnasium vector environment: state, reward, attributes, captions and pictures are arrays.

    Equal to the bit to N single environments seeded `seed`, `seed + 1`, ... Autoreset is NEXT_STEP unless
    `autoreset_mode` says SAME_STEP (the last observation is then in `info["final_obs"]`).
    """

    def __init__(
        self,
        num_envs: int = 1,
        render_mode: str | None = None,
        render_size: int = 480,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **core_arguments: Any,
    ) -> None:
        """Make the environments; `core_arguments` as in `GWEnv`."""
        self._open(render_mode, render_size, {**core_arguments, "num_envs": num_envs})
        self.num_envs = self.core.num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        if self.autoreset_mode is AutoresetMode.DISABLED:
            raise ValueError(
                "autoreset_mode DISABLED is not offered: choose NEXT_STEP or SAME_STEP"
            )
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self.core.observation_space
        self.single_action_space = self.core.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._rngs: list[np.random.Generator] = []
        self._over = np.zeros(self.num_envs, np.bool_)

    @staticmethod
    def metadata_for(single: type[GWEnv]) -> dict[str, Any]:
        """The vector environment's metadata, from the single one's."""
        return {**single.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode in every row; an int `seed` gives row i the seed `seed + i`, a list one each."""
        if seed is None or isinstance(seed, int):
            seeds = [None if seed is None else seed + row for row in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds were given for {self.num_envs} environments")
        if not self._rngs:
            self._rngs = [seeding.np_random(row_seed)[0] for row_seed in seeds]
        else:
            kept = zip(seeds, self._rngs, strict=True)
            self._rngs = [
                rng if row_seed is None else seeding.np_random(row_seed)[0]
                for row_seed, rng in kept
            ]
        self._over[:] = False
        self._place(np.arange(self.num_envs))
        nothing = np.zeros(self.num_envs, np.bool_)
        return self._tell(nothing, nothing)

    def step(
        self, actions: Any
    ) -> tuple[dict[str, Any], NDArray, NDArray, NDArray, dict[str, Any]]:
        """Act in every row. With NEXT_STEP a row that ended is reset instead, and its action ignored."""
        (fresh,) = self._over.nonzero()  # always empty with SAME_STEP
        step = self.core.step(actions, np.flatnonzero(~self._over) if len(fresh) else None)
        if len(fresh):
            self._place(fresh)
            for outcome in step:
                outcome[fresh] = 0
        over = step.terminated | step.truncated
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            self._over = over
            shown, info = self._tell(step.terminated, step.collided)
        else:
            shown, info = self._tell_and_reset(step, over)
        return shown, step.reward, step.terminated, step.truncated, info

    def _place(self, rows: NDArray[np.int64]) -> None:
        self.core.place(rows, [self._rngs[row] for row in rows])

    def _tell(
        self, success: NDArray[np.bool_], collided: NDArray[np.bool_]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        shown, captions = self._views()
        told = np.ones(self.num_envs, np.bool_)
        info: dict[str, Any] = {
            "is_success": success,
            "_is_success": told,
            "collision": collided,
            "_collision": told,
        }
        if captions is not None:
            info |= {"caption": np.array(captions, dtype=object), "_caption": told}
        if self.render_mode == "human":
            self.render()
        return shown, info

    def _tell_and_reset(
        self, step: Step, over: NDArray[np.bool_]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """SAME_STEP: the observation is the new episode's, the old one's last is in the info."""
        if not over.any():
            return self._tell(step.terminated, step.collided)
        last, last_info = self._tell(step.terminated, step.collided)
        self._place(np.flatnonzero(over))
        shown, info = self._tell(step.terminated & ~over, step.collided & ~over)
        final_obs = np.full(self.num_envs, None, dtype=object)
        for row in np.flatnonzero(over):
            final_obs[row] = {name: rows[row] for name, rows in last.items()}
        final_info: dict[str, Any] = {}
        for name, nothing in (("is_success", False), ("collision", False), ("caption", None)):
            if name in last_info:
                final_info |= {name: np.where(over, last_info[name], nothing), f"_{name}": over}
        info |= {
            "final_obs": final_obs,
            "_final_obs": over,
            "final_info": final_info,
            "_final_info": over,
        }
        return shown, info

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """One (render_size, render_size, 3) uint8 frame for each row; "human" mode shows all in one window instead."""
        if self.render_mode is None:
            return None
        frames = tuple(self._frame(row) for row in range(self.num_envs))
        if self.render_mode == "rgb_array":
            return frames
        self._show(tiled(frames))
        return None

    def close_extras(self, **kwargs: Any) -> None:
        """Close the window, if any, and free the simulators."""
        super().close()

    close = VectorEnv.close
