"""A core as a Gymnasium vector environment."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gw_envs.annotated_frames import tiled
from gw_envs.core import Step
from gw_envs.env import GWEnv, Info, Observation, SceneEnv
from gw_envs.errors import InputError, check_arguments, check_array, check_choice, check_seeds
from gw_envs.observation import MODALITIES
from gw_envs.reading import GivenGoals
from gw_envs.snapshot import Snapshot


class GWVectorEnv(SceneEnv, VectorEnv[Observation, Any, Any]):
    """N scenes as one Gymnasium vector environment, moved and observed as arrays.

    Equal to the bit to N single environments seeded `seed`, `seed + 1`, ... Autoreset is NEXT_STEP
    unless `autoreset_mode` says SAME_STEP (the last observation is then in `info["final_obs"]`).
    """

    def __init__(
        self,
        num_envs: int = 1,
        render_mode: str | None = None,
        render_size: int = 480,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        modalities: Iterable[str] = MODALITIES,
        actions: str = "discrete",
        image_size: int | None = None,
        language: str = "tokens",
        layout: str = "fixed",
        max_episode_steps: int | None = None,
        goal: str | None = None,
        **unknown: Any,
    ) -> None:
        """Make the environments.

        Args:
            num_envs: number of scenes N.
            render_mode: None, "rgb_array" or "human".
            render_size: side of rendered frames in pixels, 64 to 2048.
            autoreset_mode: when rows whose episode ended are reset, "NextStep" or "SameStep".
            modalities: the modalities to observe.
            actions: "discrete" or "continuous".
            image_size: side of the `image` in pixels.
            language: "tokens" or "text".
            layout: how landmarks are placed.
            max_episode_steps: steps after which an episode is truncated; None for never.
            goal: the modality in which goals are shown; None for the task's one goal.
            unknown: other keyword arguments, which are refused.

        Raises:
            InputError: an argument is unknown or out of its range.
        """
        check_arguments(GWVectorEnv.__init__, unknown)
        self._open(
            render_mode,
            render_size,
            num_envs=num_envs,
            modalities=modalities,
            actions=actions,
            image_size=image_size,
            language=language,
            layout=layout,
            max_episode_steps=max_episode_steps,
            goal=goal,
        )
        self.num_envs = self.core.num_envs
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.single_observation_space = self.core.observation_space
        self.single_action_space = self.core.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._rngs: list[np.random.Generator] = []
        self._done = np.zeros(self.num_envs, np.bool_)

    @staticmethod
    def metadata_for(single: type[GWEnv]) -> dict[str, Any]:
        """Return the vector environment's metadata, from the single one's."""
        return {**single.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Begin an episode in every row, or in some.

        Args:
            seed: a whole number s gives row i the seed s + i; a list or an array has a seed or
                None for each row.
            options: "state" and "goal" as in `GWEnv`, with one row for all or one for each;
                "reset_mask", (N,) bool, true where an episode begins. The other rows stay as they
                are.

        Returns:
            The observations of all rows, and the info, whose masks are true where an episode began.

        Raises:
            InputError: the seeds or an option are invalid.
            ResetNeeded: the mask leaves out a row that has no episode yet.
        """
        options_given = self._options(options, ("state", "goal", "reset_mask"))
        seeds = check_seeds(seed, self.num_envs)
        rows = self._rows_to_reset(options_given)
        values, goals = self._scene_and_goals(options_given)
        self._seed(rows, seeds)
        self.closed = False
        self._done[rows] = False
        self._start(rows, values, goals)
        nothing = np.zeros(self.num_envs, np.bool_)
        begun = np.zeros(self.num_envs, np.bool_)
        begun[rows] = True
        return self._observe_with_info(nothing, nothing, begun)

    def _rows_to_reset(self, options: Mapping[str, Any]) -> NDArray[np.int64]:
        """Return the numbers of the rows that `reset_mask` selects; all rows if there is none."""
        if "reset_mask" not in options:
            return np.arange(self.num_envs)
        mask = check_array("reset_mask", options["reset_mask"], "b", (self.num_envs,))
        if not mask.any():
            raise InputError("reset_mask is false everywhere: name at least one row to reset")
        if not mask.all():
            self.core.current()  # raises ResetNeeded if the other rows have no episode
        return np.flatnonzero(mask)

    def _seed(self, rows: NDArray[np.int64], seeds: list[int | None]) -> None:
        """Give each of `rows` that has a seed, or no generator yet, a new generator."""
        if not self._rngs:
            self._rngs = [seeding.np_random()[0] for _ in seeds]
        for row in rows:
            if seeds[row] is not None:
                self._rngs[row] = seeding.np_random(seeds[row])[0]

    def step(self, actions: Any) -> tuple[Observation, NDArray, NDArray, NDArray, Info]:
        """Act in every row; with NEXT_STEP a row that ended is reset instead of acting."""
        (ended,) = self._done.nonzero()  # always empty with SAME_STEP
        step = self.core.step(actions, np.flatnonzero(~self._done) if len(ended) else None)
        if len(ended):
            self._start(ended)
            for outcome in step:
                outcome[ended] = 0
        done = step.terminated | step.truncated
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            self._done = done
        elif done.any():
            observations, info = self._reset_in_step(step, done)
            return observations, step.reward, step.terminated, step.truncated, info
        observations, info = self._observe_with_info(step.terminated, step.collided)
        return observations, step.reward, step.terminated, step.truncated, info

    def _start(
        self,
        rows: NDArray[np.int64],
        values: Mapping[str, NDArray] | None = None,
        goals: GivenGoals | None = None,
    ) -> None:
        """Start an episode in each of `rows` from its own generator."""
        self.core.start_episodes(rows, [self._rngs[row] for row in rows], values, goals)

    def _observe_with_info(
        self,
        success: NDArray[np.bool_],
        collided: NDArray[np.bool_],
        known: NDArray[np.bool_] | None = None,
    ) -> tuple[Observation, Info]:
        """Return the observations and the info, whose masks are `known`, and update the window."""
        observations, captions = self._observations_and_captions()
        mask = np.ones(self.num_envs, np.bool_) if known is None else known
        info: Info = {
            "is_success": success,
            "_is_success": mask,
            "collision": collided,
            "_collision": mask,
        }
        for name, met in self._criteria().items():
            info |= {name: met & mask, f"_{name}": mask}
        if captions is not None:
            texts = np.array(captions, dtype=object)
            texts[~mask] = None
            info |= {"caption": texts, "_caption": mask}
        if self.render_mode == "human":
            self.render()
        return observations, info

    def _reset_in_step(self, step: Step, done: NDArray[np.bool_]) -> tuple[Observation, Info]:
        """Reset the rows that are done: SAME_STEP.

        Returns:
            The observations and the info of the new episodes; the last observations and infos of
            the old ones are in `info["final_obs"]` and `info["final_info"]`.
        """
        last, last_info = self._observe_with_info(step.terminated, step.collided)
        self._start(np.flatnonzero(done))
        observations, info = self._observe_with_info(step.terminated & ~done, step.collided & ~done)
        final_obs = np.full(self.num_envs, None, dtype=object)
        for row in np.flatnonzero(done):
            final_obs[row] = {name: rows[row] for name, rows in last.items()}
        final_info: Info = {}
        for name in ("is_success", "collision", "pose_reached", "claims_true", "caption"):
            if name in last_info:
                nothing = None if name == "caption" else False
                final_info[name] = np.where(done, last_info[name], nothing)
                final_info[f"_{name}"] = done
        info |= {
            "final_obs": final_obs,
            "_final_obs": done,
            "final_info": final_info,
            "_final_info": done,
        }
        return observations, info

    def get_state(self) -> Snapshot:
        """Return a snapshot from which `set_state` continues all rows, equal to the bit.

        It holds the scenes, the goals, the steps since each episode began, which rows the next step
        resets, the random generators, and the contacts of the Factory's physics. `snapshot[row]` is
        the snapshot of one row, which a `GWEnv` takes too.
        """
        self.core.current()
        return self.core.snapshot(self._done, self._rngs)

    def set_state(self, state: Any) -> None:
        """Return to a snapshot, or change the scenes of the running episodes.

        Args:
            state: a snapshot of N rows, or of one, from which all rows continue. Or a state, or a
                dict of some of its values; these do not change the goals, the numbers of steps or
                the random generators.

        Raises:
            InputError: the state is invalid, or of another scene, layout or goal modality.
            ResetNeeded: a dict or a state was given, and no episode is running.
        """
        if not isinstance(state, Snapshot):
            self.core.set_values(self.core.read_state(state))
            return
        if len(state) not in (1, self.num_envs):
            raise InputError(
                f"the snapshot holds {len(state)} scenes: give one, or {self.num_envs}"
            )
        if len(state) < self.num_envs:
            state = state[np.zeros(self.num_envs, np.int64)]
        self.core.restore(state)
        self.closed = False
        self._done = state.done.copy()
        self._rngs = [seeding.np_random()[0] for _ in state.generators]
        for rng, saved in zip(self._rngs, state.generators, strict=True):
            rng.bit_generator.state = saved

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draw every row with goal and caption.

        Returns:
            N frames (render_size, render_size, 3) uint8; None in "human" mode, which shows all in
            one window, and without a render mode.
        """
        if self.render_mode is None:
            return None
        frames = tuple(self._frame(row) for row in range(self.num_envs))
        if self.render_mode == "rgb_array":
            return frames
        self._show_window(tiled(frames))
        return None

    def close(self, **kwargs: Any) -> None:
        """Close the window, if any, and free the simulators; safe to call twice."""
        self._free()
        self.closed = True


def _autoreset_mode(mode: Any) -> AutoresetMode:
    """Return the `AutoresetMode` of a mode or its value; InputError if it is not supported."""
    value = mode.value if isinstance(mode, AutoresetMode) else mode
    offered = (AutoresetMode.NEXT_STEP.value, AutoresetMode.SAME_STEP.value)
    if isinstance(value, str) and value == AutoresetMode.DISABLED.value:
        raise InputError("autoreset_mode DISABLED is not offered: choose NEXT_STEP or SAME_STEP")
    return AutoresetMode(check_choice("autoreset_mode", value, offered))
