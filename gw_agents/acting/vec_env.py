"""Our environments as Stable-Baselines3's VecEnv, and wrappers that corrupt or encode observations.

Example:
    venv = make_vec("GWFactory-v0", n_envs=16, modalities=("image", "language"))
    PPO("MlpPolicy", GWVecObservation(venv, gw, attention="best")).learn(200_000)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

import gw_envs  # noqa: F401 - registers the environments
from gw_agents.acting.policy_inputs import Representation, WorkspaceVectors
from gw_agents.acting.spaces import check_scene, core_of, load_workspace, scene_of_env
from gw_agents.global_workspace import AttentionChoice, GlobalWorkspace
from gw_envs.corruption import Corruption, Faults
from gw_envs.errors import InputError
from gw_envs.scenes import get_scene


class GWVecEnv(VecEnv):
    """A native batch of scenes as Stable-Baselines3's VecEnv: a row resets as soon as its episode
    ends."""

    def __init__(self, batch: VectorEnv) -> None:
        """Wrap a vector environment of `gw_envs` made with `autoreset_mode=SAME_STEP`."""
        if batch.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            raise InputError(
                "GWVecEnv needs a vector environment with autoreset_mode=AutoresetMode.SAME_STEP"
            )
        self.batch = batch
        self.render_mode = batch.render_mode
        super().__init__(batch.num_envs, batch.single_observation_space, batch.single_action_space)
        self._actions: NDArray = np.zeros(0)
        self._next_seed: int | None = None

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed row i with `seed + i` at the next reset."""
        self._next_seed = seed
        return super().seed(seed)

    def reset(self) -> Any:
        """Begin an episode in every row."""
        seed, self._next_seed = self._next_seed, None
        options = self._options[0]
        if any(row_options is not options for row_options in self._options) and any(self._options):
            raise InputError("set_options was given options for each row: give one dict for all")
        self._reset_seeds()
        self._reset_options()
        observations, info = self.batch.reset(seed=seed, options=options or None)
        self.reset_infos = rows_of(info, self.num_envs)
        return observations

    def step_async(self, actions: NDArray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step every row; the info of a row whose episode ended holds its last observation."""
        observations, reward, terminated, truncated, info = self.batch.step(self._actions)
        done = terminated | truncated
        final = info.pop("final_obs", None)
        infos = rows_of(info, self.num_envs)
        for row_info, timed_out in zip(infos, (truncated & ~terminated).tolist(), strict=True):
            row_info["TimeLimit.truncated"] = timed_out
        for row in np.flatnonzero(done):
            infos[row] |= {
                name: rows[row] for name, rows in info["final_info"].items() if name[0] != "_"
            }
            infos[row]["terminal_observation"] = final[row]
        return observations, reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Free the simulators."""
        self.batch.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return one frame for each row."""
        frames: Any = self.batch.render()
        return frames if frames is not None else [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute for each requested row: the row's own `state`, or else the batch's
        value."""
        value = getattr(self.batch, attr_name)
        rows = list(self._get_indices(indices))
        if attr_name == "state":
            return [value[row : row + 1] for row in rows]
        return [value] * len(rows)

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the batch; InputError if `indices` leaves out rows, which have
        none."""
        self._refuse_some_rows(f"the attribute {attr_name!r}", indices)
        setattr(self.batch, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method for each requested row, and return the results.

        `reset`, `render`, `get_state` and `set_state` act on those rows alone. Any other method is
        called once, on the whole batch; InputError if `indices` leaves out rows.
        """
        rows = list(self._get_indices(indices))
        method = getattr(self, f"_{method_name}_rows", None)
        if method is not None:
            return method(rows, *args, **kwargs)
        self._refuse_some_rows(f"the method {method_name!r}", indices)
        result = getattr(self.batch, method_name)(*args, **kwargs)
        return [result] * len(rows)

    def _refuse_some_rows(self, what: str, indices: Any) -> None:
        if len(set(self._get_indices(indices))) < self.num_envs:
            raise InputError(f"{what} belongs to all rows together: leave out indices")

    def _reset_rows(
        self, rows: list[int], *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> list[Any]:
        """Begin an episode in some rows, and return (observation, info) of each."""
        mask = np.isin(np.arange(self.num_envs), rows)
        seeds = [seed if chosen else None for chosen in mask]
        observations, info = self.batch.reset(
            seed=None if seed is None else seeds,  # type: ignore[arg-type]
            options={**(options or {}), "reset_mask": mask},
        )
        infos = rows_of(info, self.num_envs)
        return [(_take(observations, row), infos[row]) for row in rows]

    def _get_state_rows(self, rows: list[int]) -> list[Any]:
        """Return a snapshot of each row."""
        snapshot = self.batch.get_state()  # type: ignore[attr-defined]
        return [snapshot[row] for row in rows]

    def _set_state_rows(self, rows: list[int], state: Any) -> list[None]:
        """Restore some rows from a snapshot of one scene, or all rows from any state the batch
        accepts."""
        batch: Any = self.batch
        if len(set(rows)) == self.num_envs:
            batch.set_state(state)
            return [None] * len(rows)
        snapshot = batch.get_state()
        if not isinstance(state, type(snapshot)) or len(state) != 1:
            raise InputError("give a snapshot of one scene for some rows: get_state returns them")
        batch.set_state(snapshot.with_rows(np.array(rows), state))
        return [None] * len(rows)

    def _render_rows(self, rows: list[int]) -> list[Any]:
        frames = self.get_images()
        return [frames[row] for row in rows]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Return False for each row asked for: rows have no wrappers of their own."""
        return [False] * len(list(self._get_indices(indices)))


def rows_of(info: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Split a vector environment's info into one dict for each row."""
    names = [name for name in info if f"_{name}" in info and name != "final_info"]
    return [{name: info[name][row] for name in names} for row in range(count)]


def make_vec(env_id: str, n_envs: int = 1, seed: int | None = None, **arguments: Any) -> VecMonitor:
    """Make a Stable-Baselines3 VecEnv from a native batch of built-in scenes, with episode
    statistics.

    Args:
        env_id: a scene's name ("factory") or id ("GWFactory-v0", "gw_envs:GWFactory-v0").
        n_envs: number of rows.
        seed: row i is seeded `seed + i`.
        arguments: as for `gymnasium.make`.

    Returns:
        A `GWVecEnv` in a `VecMonitor`, so that infos hold "episode" and algorithms log mean
        returns.
    """
    scene = get_scene(env_id)
    arguments = {"autoreset_mode": AutoresetMode.SAME_STEP, **arguments}
    venv = GWVecEnv(
        gym.make_vec(
            scene.env_id, num_envs=n_envs, vectorization_mode="vector_entry_point", **arguments
        )
    )
    venv.seed(seed)
    return VecMonitor(venv)


class CorruptVecObservation(VecEnvWrapper):
    """Makes the sensors of a VecEnv fail: row i equals `gw_envs.corruption.CorruptObservation` with
    its seed.

    Put it inside `GWVecObservation`, so that the workspace encodes the corrupted observations.
    """

    def __init__(self, venv: VecEnv, faults: Faults, **arguments: Any) -> None:
        """Wrap a VecEnv with Dict observations.

        Args:
            venv: made by `make_vec`, or by SB3's own `make_vec_env`.
            faults: {modality: kind} or {modality: kinds}.
            arguments: as for `gw_envs.corruption.Corruption`. The kind "other_scene" needs `others`
                if each environment runs in its own process.
        """
        super().__init__(venv)
        core = core_of(venv)
        self.corruption = Corruption(
            venv.observation_space, faults, core=core, num_rows=venv.num_envs, **arguments
        )

    def reset(self) -> dict[str, NDArray]:
        """Begin an episode in every row; the first observations are corrupted by the environments'
        seeds."""
        self.corruption.reset(list(self.venv.unwrapped._seeds))  # resetting clears them
        observations: Any = self.venv.reset()
        return self.corruption(observations)

    def step_wait(self) -> VecEnvStepReturn:
        """Step the wrapped VecEnv and corrupt every observation, also the last one of an
        episode."""
        observations, reward, done, infos = self.venv.step_wait()
        if done.any():
            last = self.corruption.last([info.get("terminal_observation") for info in infos], done)
            for row in np.flatnonzero(done):
                infos[row]["terminal_observation"] = last[row]
        self.corruption.begin(done)
        corrupted: Any = self.corruption(observations)  # type: ignore[arg-type]
        return corrupted, reward, done, infos


class RepresentedVecEnv(VecEnvWrapper):
    """Applies a frozen representation to every observation, all rows of a step at once."""

    def __init__(self, venv: VecEnv, representation: Representation) -> None:
        """Wrap a VecEnv with Dict observations that hold the modalities the representation
        reads."""
        self.representation = representation
        super().__init__(venv, representation.space)

    def reset(self) -> Any:
        """Begin an episode in every row: (n_envs, ...) represented observations."""
        observations: Any = self.venv.reset()
        return self.representation(observations)

    def step_wait(self) -> VecEnvStepReturn:
        """Step the wrapped VecEnv and represent every observation, also the last one of an
        episode."""
        observations: Any
        observations, reward, done, infos = self.venv.step_wait()
        ended = [row for row, info in enumerate(infos) if "terminal_observation" in info]
        if not ended:
            return self.representation(observations), reward, done, infos
        last = [infos[row]["terminal_observation"] for row in ended]
        rows = {}
        for name in (*self.representation.modalities, *self.representation.keep):
            rows[name] = np.concatenate([observations[name], [one[name] for one in last]])
        represented = self.representation(rows)  # one call, as few rows cost as much as many
        for number, row in enumerate(ended, self.num_envs):
            infos[row]["terminal_observation"] = _take(represented, number)
        return _take(represented, slice(self.num_envs)), reward, done, infos


def _take(rows: Any, index: Any) -> Any:
    """Return some rows of an array or of a dict of arrays."""
    if isinstance(rows, dict):
        return {name: values[index] for name, values in rows.items()}
    return rows[index]


class GWVecObservation(RepresentedVecEnv):
    """Replaces observations by workspace vectors: Box(-1, 1, (Z,)), or with `keep` a Dict of `z`
    and the kept keys."""

    def __init__(
        self,
        venv: VecEnv,
        gw: GlobalWorkspace | str | Path,
        modalities: Sequence[str] | None = None,
        attention: AttentionChoice = None,
        keep: Sequence[str] = (),
    ) -> None:
        """Wrap a VecEnv with Dict observations.

        Args:
            venv: made by `make_vec`, or by SB3's own `make_vec_env`.
            gw: the workspace, or (for configuration files) the name of a scene or a folder of
                weights to load it from.
            modalities: those to encode; all that are observed by default. To save the rendering of
                a modality, leave it out of the environment's own `modalities` too.
            attention: as in `GlobalWorkspace.encode`.
            keep: other keys of the observation to pass on beside z, for example ("time",).
        """
        self.gw, self.attention = load_workspace(gw), attention
        check_scene(self.gw, scene_of_env(venv))
        super().__init__(
            venv,
            WorkspaceVectors(
                self.gw, modalities, attention, space=venv.observation_space, keep=keep
            ),
        )
        self.modalities = self.representation.modalities
