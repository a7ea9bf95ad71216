"""What a policy is given of an observation: a workspace vector, frozen unimodal latents, or the observation itself."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from torch import nn

from gw_agents.checkpoint import modules_fingerprint
from gw_agents.global_workspace import (
    AttentionChoice,
    GlobalWorkspace,
    known_modalities,
    usable_modalities,
)


class Representation(ABC):
    """A frozen function of observations, one or a batch, that reads some of the modalities."""

    modalities: tuple[str, ...]
    """What it reads, in canonical order."""
    space: gym.Space
    """Where its values lie."""

    @abstractmethod
    def __call__(self, observation: Mapping[str, Any]) -> Any:
        """What the policy is given; `observation` may hold more modalities than are read."""

    def modules(self) -> dict[str, nn.Module]:
        """The frozen networks that it is made of, by name."""
        return {}

    def fingerprint(self) -> str | None:
        """Sixteen hexadecimal digits that change with any weight it depends on; None if it has no weights."""
        modules = self.modules()
        return modules_fingerprint(modules) if modules else None

    def _read(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        return {name: observation[name] for name in self.modalities}


class WorkspaceVectors(Representation):
    """z: Box(-1, 1, (Z,)), of the same width whatever is read, which is why policies carry over between modalities."""

    def __init__(
        self, gw: GlobalWorkspace, modalities: Sequence[str], attention: AttentionChoice = None
    ) -> None:
        """Read `modalities` through the workspace, fused as `attention` says (see `GlobalWorkspace.encode`)."""
        self.gw, self.attention = gw, attention
        self.modalities = known_modalities(gw, modalities)
        if isinstance(attention, str):
            gw.attention_called(attention)
        self.space = gym.spaces.Box(-1.0, 1.0, (gw.width,), np.float32)
        self.weights: dict[str, NDArray[np.float32]] = {}
        """Fusion weights of what was encoded last, by modality: () or (B,)."""

    def __call__(self, observation: Mapping[str, Any]) -> NDArray[np.float32]:
        """(Z,) or (B, Z)."""
        z, self.weights = self.gw.encode_with_weights(self._read(observation), self.attention)
        return z

    def modules(self) -> dict[str, nn.Module]:
        """All domain modules, the workspace, and the attention module if one is used."""
        used: dict[str, nn.Module] = {**self.gw.domain_modules, "workspace": self.gw.workspace}
        if isinstance(self.attention, str):
            used["attention"] = self.gw.attention_called(self.attention)
        return used


class FrozenLatents(Representation):
    """The latents of the domain modules, side by side."""

    def __init__(
        self, gw: GlobalWorkspace, modalities: Sequence[str], slots: Sequence[str] | None = None
    ) -> None:
        """Read `modalities`; those of `slots` that are not read are filled with zeros, the latents' mean."""
        self.gw = gw
        self.modalities = known_modalities(gw, modalities)
        self.slots = known_modalities(gw, slots or modalities)
        strange = [name for name in self.modalities if name not in self.slots]
        if strange:
            raise ValueError(
                f"latents of {', '.join(self.slots)} have no place for those of {strange[0]}"
            )
        self.widths = {name: gw.domain_modules[name].latent_width for name in self.slots}
        self.space = gym.spaces.Box(-np.inf, np.inf, (sum(self.widths.values()),), np.float32)

    def __call__(self, observation: Mapping[str, Any]) -> NDArray[np.float32]:
        """(L,) or (B, L), L being the sum of the latents' widths."""
        latents = self.gw.latents(self._read(observation))
        batch = next(iter(latents.values())).shape[:-1]
        zeros = {name: np.zeros((*batch, width), np.float32) for name, width in self.widths.items()}
        return np.concatenate([latents.get(name, zeros[name]) for name in self.slots], -1)

    def modules(self) -> dict[str, nn.Module]:
        """The domain modules of the slots."""
        return {name: self.gw.domain_modules[name] for name in self.slots}


class RawObservation(Representation):
    """The observation itself."""

    def __init__(self, space: gym.spaces.Dict) -> None:
        """Pass on what is in `space`."""
        self.modalities = tuple(space.spaces)
        self.space = space

    def __call__(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """{modality: array}."""
        return self._read(observation)


class GWObservation(gym.ObservationWrapper):
    """Shows an agent the workspace vector instead of the observation: Box(-1, 1, (Z,)), float32."""

    def __init__(
        self,
        env: gym.Env,
        gw: GlobalWorkspace,
        modalities: Sequence[str] | None = None,
        attention: AttentionChoice = None,
    ) -> None:
        """Wrap an environment; `modalities` are those to encode (all that are observed), `attention` as in `encode`."""
        super().__init__(env)
        self.gw, self.attention = gw, attention
        self.modalities = usable_modalities(env.observation_space, gw, modalities)
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (gw.width,), np.float32)

    def observation(self, observation: Mapping[str, Any]) -> NDArray[np.float32]:
        """One observation -> (Z,) float32."""
        return self.gw.encode({name: observation[name] for name in self.modalities}, self.attention)
