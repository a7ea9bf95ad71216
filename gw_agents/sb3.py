"""The one seam to Stable-Baselines3: our environments as its VecEnv, workspace vectors as its observations.

venv = GWVecObservation(make_vec("GWFactory-v0", n_envs=16), gw, modalities=("image", "language"), attention="best")
PPO("MlpPolicy", venv).learn(200_000)
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch import nn

import gw_envs
from gw_agents.domains.base import Domain
from gw_agents.encoder import AttentionChoice, GlobalWorkspace, usable_modalities
from gw_agents.representations import Representation, WorkspaceVectors
from gw_envs.corruption import Corruption, Faults
from gw_envs.language import VOCABULARY


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
        if core is not None and core.scene.name != self.gw.scene.name:
            raise ValueError(
                f"the workspace knows the scene {self.gw.scene.name!r}, and the environments show {core.scene.name!r}:"
                " give the workspace of their scene"
            )
        self.modalities = usable_modalities(venv.observation_space, self.gw, modalities)
        super().__init__(venv, WorkspaceVectors(self.gw, self.modalities, attention))


class GWFeaturesExtractor(BaseFeaturesExtractor):
    """The encoder inside the policy, Dict observation -> z, for training it on with the policy.

    Learning from images is about five times slower than with `GWVecObservation` where nothing is trained, though equal,
    and about ten times where everything is (`throughput/ppo` among the benchmarks). Stable-Baselines3 does two things
    to a policy's networks that would undo the pretraining, and neither gets through: `ortho_init` overwrites every
    layer, and `set_training_mode` wakes dropout and batch norm.
    """

    def __init__(
        self,
        observation_space: gym.spaces.Dict,
        gw: GlobalWorkspace,
        modalities: Sequence[str] | None = None,
        attention: str | None = None,
        trained: Literal["nothing", "encoders", "everything"] = "encoders",
    ) -> None:
        """Copy the workspace into the policy.

        Args:
            observation_space: that of the environment, with or without SB3's transposed images.
            gw: the workspace; it stays as it is, a copy is trained.
            modalities: those to encode; all that are observed by default.
            attention: the name of an attention module, or None for the even mean.
            trained: what learns with the policy: nothing, the workspace's encoders and the attention, or the domain
                modules' encoders too.
        """
        names = usable_modalities(observation_space, gw, modalities)
        super().__init__(observation_space, gw.width)
        self.gw, self.modalities, self.attention = deepcopy(gw), names, attention
        parts: list[nn.Module] = []
        if trained != "nothing":
            parts += [self.gw.workspace.encoders[name] for name in names]
            parts += [] if attention is None else [self.gw.attention_called(attention)]
        if trained == "everything":
            parts += [self.gw.domain_modules[name] for name in names]
        for part in parts:
            part.requires_grad_(True)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """{modality: (B, ...)} as SB3 prepares them -> (B, Z)."""
        tensors = {
            name: as_observed(self.gw.domain_modules[name], observations[name])
            for name in self.modalities
        }
        return self.gw.fuse_latents(self.gw.encode_domains(tensors), self.attention)[0]

    def apply(self, fn: Any) -> "GWFeaturesExtractor":
        """Leave every layer as it was trained: this is how SB3's `ortho_init` would overwrite them."""
        return self

    def train(self, mode: bool = True) -> "GWFeaturesExtractor":
        """Stay in evaluation mode, as the domain modules were frozen."""
        return super().train(False)


def as_observed(domain: Domain, rows: torch.Tensor) -> torch.Tensor:
    """(B, ...) rows as SB3 prepares them for a policy -> (B, ...) as the environment gave them."""
    if (
        domain.dtype is np.uint8 and len(domain.shape) == 3
    ):  # SB3 scaled it to 0..1 and moved the colors to the front
        image = rows.permute(0, 2, 3, 1) if rows.shape[1] == 3 else rows
        return (image * 255.0).round().to(torch.uint8)
    return rows.to(getattr(torch, domain.dtype.__name__))


class TokenExtractor(BaseFeaturesExtractor):
    """Raw language for Stable-Baselines3: embeds token ids, which it would take for numbers, and averages them.

    Works on a Dict observation with a `language` key; other keys are flattened and appended (images scaled to 0..1).
    """

    def __init__(
        self, observation_space: gym.spaces.Dict, embedding: int = 32, features: int = 64
    ) -> None:
        """Build the embedding; `features` is the width of what comes out of it."""
        others = [name for name in observation_space.spaces if name != "language"]
        if "language" not in observation_space.spaces:
            raise ValueError(
                f"the observation has no language: it holds {', '.join(observation_space.spaces)}"
            )
        rest = sum(gym.spaces.flatdim(observation_space[name]) for name in others)
        super().__init__(observation_space, features + rest)
        self.others = others
        self.words = nn.Embedding(len(VOCABULARY), embedding, padding_idx=0)
        self.mix = nn.Sequential(nn.Linear(embedding, features), nn.ReLU())

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """{modality: (B, ...)} -> (B, features)."""
        tokens = observations["language"].long()  # (B, T)
        count = (tokens != 0).sum(1, keepdim=True).clamp(min=1)
        parts = [self.mix(self.words(tokens).sum(1) / count)]
        parts += [observations[name].flatten(1).float() for name in self.others]
        return torch.cat(parts, 1)


class RawExtractor(BaseFeaturesExtractor):
    """End-to-end features of raw observations, side by side: a small CNN, an MLP and an embedding of tokens."""

    def __init__(self, observation_space: gym.spaces.Dict, features: int = 64) -> None:
        """Build a network for each modality that is observed; each gives `features` numbers."""
        super().__init__(observation_space, features * len(observation_space.spaces))
        self.parts = nn.ModuleDict()
        for name, space in observation_space.spaces.items():
            if name == "image":
                layers: list[nn.Module] = []
                for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
                    layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.ReLU()]
                side = max(space.shape or ()) // 8
                self.parts[name] = nn.Sequential(
                    *layers, nn.Flatten(), nn.Linear(64 * side**2, features), nn.ReLU()
                )
            elif name == "language":
                self.parts[name] = TokenExtractor(gym.spaces.Dict({name: space}), features=features)
            else:
                width = gym.spaces.flatdim(space)
                self.parts[name] = nn.Sequential(nn.Linear(width, features), nn.ReLU())

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """{modality: (B, ...)}, images scaled to 0..1 with the colors in front -> (B, features a modality)."""
        found = []
        for name, part in self.parts.items():
            own = observations[name]
            found.append(part({name: own} if name == "language" else own))
        return torch.cat(found, 1)
