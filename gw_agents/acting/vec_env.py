"""The one seam to Stable-Baselines3: our environments as its VecEnv, workspace vectors as its observations.

venv = GWVecObservation(make_vec("GWFactory-v0", n_envs=16), gw, modalities=("image", "language"), attention="best")
PPO("MlpPolicy", venv).learn(200_000)
"""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

import gw_envs
from gw_agents.acting.policy_inputs import Representation, WorkspaceVectors
from gw_agents.global_workspace import AttentionChoice, GlobalWorkspace, usable_modalities
from gw_envs.corruption import Corruption, Faults


class GWVecEnv(VecEnv):
    """A native batch of scenes as Stable-Baselines3 wants it: reset in the step that ends an episode."""

    def __init__(self, batch: VectorEnv) -> None:
        """Wrap a vector environment of `gw_envs` made with `autoreset_mode=SAME_STEP`."""
        if batch.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            raise ValueError(
                "GWVecEnv needs a vector environment with autoreset_mode=AutoresetMode.SAME_STEP"
            )
        self.batch = batch
        self.render_mode = batch.render_mode
        super().__init__(batch.num_envs, batch.single_observation_space, batch.single_action_space)
        self._actions: NDArray = np.zeros(0)
        self._waiting_seed: int | None = None

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Row i is seeded `seed + i` at the next reset."""
        self._waiting_seed = seed
        return super().seed(seed)

    def reset(self) -> Any:
        """Begin an episode in every row."""
        seed, self._waiting_seed = self._waiting_seed, None
        self._reset_seeds()
        shown, info = self.batch.reset(seed=seed)
        self.reset_infos = rows_of(info, self.num_envs)
        return shown

    def step_async(self, actions: NDArray) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step every row; where an episode ended, the info holds its last observation."""
        shown, reward, terminated, truncated, info = self.batch.step(self._actions)
        over = terminated | truncated
        last = info.pop("final_obs", None)
        infos = rows_of(info, self.num_envs)
        for told, late in zip(infos, (truncated & ~terminated).tolist(), strict=True):
            told["TimeLimit.truncated"] = late
        for row in np.flatnonzero(over):
            infos[row] |= {
                name: rows[row] for name, rows in info["final_info"].items() if name[0] != "_"
            }
            infos[row]["terminal_observation"] = last[row]
        return shown, reward.astype(np.float32), over, infos

    def close(self) -> None:
        """Free the simulators."""
        self.batch.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """One frame for each row."""
        frames: Any = self.batch.render()
        return frames if frames is not None else [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The batch's attribute, once for each row asked for."""
        return [getattr(self.batch, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the batch: rows have none of their own."""
        setattr(self.batch, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the batch, once; its result for each row asked for."""
        result = getattr(self.batch, method_name)(*args, **kwargs)
        return [result] * len(list(self._get_indices(indices)))

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Rows are not wrapped."""
        return [False] * len(list(self._get_indices(indices)))


def rows_of(info: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """A vector environment's info -> one dict a row."""
    names = [name for name in info if f"_{name}" in info and name != "final_info"]
    return [{name: info[name][row] for name in names} for row in range(count)]


def make_vec(env_id: str, n_envs: int = 1, seed: int | None = None, **arguments: Any) -> GWVecEnv:
    """A Stable-Baselines3 VecEnv on the native batch of an environment of ours.

    Args:
        env_id: an id in `gw_envs.ENV_IDS`.
        n_envs: how many rows.
        seed: row i is seeded `seed + i`.
        arguments: as for `gymnasium.make`.
    """
    if env_id not in gw_envs.ENV_IDS:
        raise ValueError(
            f"unknown environment {env_id!r}: make_vec makes {', '.join(gw_envs.ENV_IDS)}"
        )
    arguments = {"autoreset_mode": AutoresetMode.SAME_STEP, **arguments}
    venv = GWVecEnv(
        gym.make_vec(env_id, num_envs=n_envs, vectorization_mode="vector_entry_point", **arguments)
    )
    venv.seed(seed)
    return venv


def core_of(venv: VecEnv) -> Any:
    """The core of our environments, of the first row where there are several; None if it is elsewhere or they aren't.

    Elsewhere is where environments are in processes of their own.
    """
    near = not hasattr(venv.unwrapped, "remotes") and venv.has_attr("core")
    return venv.get_attr("core", 0)[0] if near else None


class CorruptVecObservation(VecEnvWrapper):
    """Failing sensors around a VecEnv: row i as `gw_envs.corruption.CorruptObservation` seeded like it, to the bit."""

    def __init__(self, venv: VecEnv, faults: Faults, **arguments: Any) -> None:
        """Wrap a VecEnv with Dict observations, before workspace vectors are made of them.

        Args:
            venv: made by `make_vec`, or by SB3's own `make_vec_env`.
            faults: {modality: kind} or {modality: kinds}.
            arguments: as for `gw_envs.corruption.Corruption`. The kind "other_scene" needs `others` where the
                environments are in processes of their own.
        """
        super().__init__(venv)
        core = core_of(venv)
        self.corruption = Corruption(
            venv.observation_space, faults, core=core, num_rows=venv.num_envs, **arguments
        )

    def reset(self) -> dict[str, NDArray]:
        """The first observations, corrupted; seeded as the environments are."""
        self.corruption.reset(list(self.venv.unwrapped._seeds))  # forgotten by the reset itself
        shown: Any = self.venv.reset()
        return self.corruption(shown)

    def step_wait(self) -> VecEnvStepReturn:
        """As the wrapped VecEnv, with every observation, also the last ones of episodes, corrupted."""
        shown, reward, over, infos = self.venv.step_wait()
        if over.any():
            last = self.corruption.last([info.get("terminal_observation") for info in infos], over)
            for row in np.flatnonzero(over):
                infos[row]["terminal_observation"] = last[row]
        self.corruption.begin(over)
        corrupted: Any = self.corruption(shown)  # type: ignore[arg-type]
        return corrupted, reward, over, infos


class RepresentedVecEnv(VecEnvWrapper):
    """Shows the agent what a frozen representation makes of every observation: it runs once a step for all rows."""

    def __init__(self, venv: VecEnv, representation: Representation) -> None:
        """Wrap a VecEnv with Dict observations that hold the modalities the representation reads."""
        self.representation = representation
        super().__init__(venv, representation.space)

    def reset(self) -> NDArray[np.float32]:
        """(n_envs, ...) representations of the first observations."""
        shown: Any = self.venv.reset()
        return self.representation(shown)

    def step_wait(self) -> VecEnvStepReturn:
        """As the wrapped VecEnv, with every observation, also the last ones of episodes, represented."""
        shown: Any
        shown, reward, over, infos = self.venv.step_wait()
        ended = [row for row, info in enumerate(infos) if "terminal_observation" in info]
        if not ended:
            return self.representation(shown), reward, over, infos
        last = [infos[row]["terminal_observation"] for row in ended]
        rows = {
            name: np.concatenate([shown[name], [one[name] for one in last]])
            for name in self.representation.modalities
        }
        represented = self.representation(
            rows
        )  # once for all of them: a few rows alone would cost as much as many
        for row, vector in zip(ended, represented[self.num_envs :], strict=True):
            infos[row]["terminal_observation"] = vector
        return represented[: self.num_envs], reward, over, infos


class GWVecObservation(RepresentedVecEnv):
    """Shows the agent workspace vectors, Box(-1, 1, (Z,))."""

    def __init__(
        self,
        venv: VecEnv,
        gw: GlobalWorkspace | str,
        modalities: Sequence[str] | None = None,
        attention: AttentionChoice = None,
    ) -> None:
        """Wrap a VecEnv with Dict observations.

        Args:
            venv: made by `make_vec`, or by SB3's own `make_vec_env`.
            gw: the workspace; or the name of a scene, or a folder of weights, to load it from, as configuration files
                can say it.
            modalities: those to encode; all that are observed by default. Leaving one out of the environment's own
                `modalities` too saves its rendering.
            attention: as in `GlobalWorkspace.encode`.
        """
        self.gw, self.attention = (
            GlobalWorkspace.from_pretrained(gw) if isinstance(gw, str) else gw,
            attention,
        )
        core = core_of(venv)
        if core is not None and core.scene.name != self.gw.scene_name:
            raise ValueError(
                f"the workspace knows the scene {self.gw.scene_name!r}, and the environments show {core.scene.name!r}:"
                " give the workspace of their scene"
            )
        self.modalities = usable_modalities(venv.observation_space, self.gw, modalities)
        super().__init__(venv, WorkspaceVectors(self.gw, self.modalities, attention))
