"""Feature extractors for the policies of Stable-Baselines3."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from gw_agents.domains.base import Domain
from gw_agents.global_workspace import GlobalWorkspace, usable_modalities
from gw_envs.language import VOCABULARY


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
