"""Feature extractors for the policies of Stable-Baselines3."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.preprocessing import is_image_space_channels_first
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from gw_agents.acting.spaces import check_attention, fits, readable_modalities
from gw_agents.domains.base import Domain
from gw_agents.global_workspace import GlobalWorkspace, usable_modalities
from gw_envs.errors import InputError, check_choice
from gw_envs.language import VOCABULARY

TRAINED = ("nothing", "encoders", "everything")
"""Parts of a workspace that can be trained with a policy."""


class GWFeaturesExtractor(BaseFeaturesExtractor):
    """The workspace inside the policy: computes z from a Dict observation, and learns with the
    policy.

    Learning from images takes about five times as long as with `GWVecObservation` if nothing is
    trained (with equal results), and about ten times as long if everything is (`throughput/ppo`
    among the benchmarks). Stable-Baselines3 does two things to a policy's networks that would undo
    the pretraining; this class prevents both: `ortho_init` overwrites every layer, and
    `set_training_mode` turns on dropout and batch norm.
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
            observation_space: space of the environment, with or without SB3's transposed images.
            gw: the workspace; a copy is trained, and it does not change.
            modalities: those to encode; all that are observed by default.
            attention: the name of an attention module, or None for equal weights.
            trained: what learns with the policy: nothing; the workspace's encoders and the
                attention; or the domain modules' encoders too.
        """
        check_choice("trained", trained, TRAINED)
        names = usable_modalities(observation_space, gw, modalities)
        readable_modalities(_channels_last(observation_space, gw, names), gw, names)
        check_attention(gw, attention, names)
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
        """Compute (B, Z) workspace vectors from {modality: (B, ...)} as SB3 prepares them."""
        tensors = {
            name: as_observed(self.gw.domain_modules[name], observations[name])
            for name in self.modalities
        }
        return self.gw.fuse_latents(self.gw.encode_domains(tensors), self.attention)[0]

    def apply(self, fn: Any) -> "GWFeaturesExtractor":
        """Leave the layers unchanged: SB3's `ortho_init` would overwrite them here."""
        return self

    def train(self, mode: bool = True) -> "GWFeaturesExtractor":
        """Stay in evaluation mode, in which the domain modules were frozen."""
        return super().train(False)


def _channels_last(
    space: gym.spaces.Dict, gw: GlobalWorkspace, names: Sequence[str]
) -> gym.spaces.Dict:
    """Return the space of `names` with the color axis of transposed images moved back to the
    end."""
    spaces = {}
    for name in names:
        own, domain = space[name], gw.domain_modules[name]
        shape = own.shape or ()
        if len(shape) == 3 and not fits(shape, domain) and fits((*shape[1:], shape[0]), domain):
            own = gym.spaces.Box(0, 255, (*shape[1:], shape[0]), np.uint8)
        spaces[name] = own
    return gym.spaces.Dict(spaces)


def as_observed(domain: Domain, rows: torch.Tensor) -> torch.Tensor:
    """Undo SB3's preprocessing of (B, ...) rows: return them as the environment gave them.

    SB3 scales images to 0..1 and moves the color axis to the front.
    """
    if domain.dtype is np.uint8 and len(domain.shape) == 3:
        image = rows.permute(0, 2, 3, 1) if rows.shape[1] == 3 else rows
        return (image * 255.0).round().to(torch.uint8)
    return rows.to(getattr(torch, domain.dtype.__name__))


class TokenExtractor(BaseFeaturesExtractor):
    """Features of raw language: embeds the token ids, which SB3 would treat as quantities, and
    averages them.

    Works on a Dict observation with a `language` key; other keys are flattened and appended (images
    scaled to 0..1).
    """

    def __init__(
        self, observation_space: gym.spaces.Dict, embedding: int = 32, features: int = 64
    ) -> None:
        """Build the embedding, and the layer that turns it into `features` numbers."""
        others = [name for name in observation_space.spaces if name != "language"]
        if "language" not in observation_space.spaces:
            raise InputError(
                f"the observation has no language: it holds {', '.join(observation_space.spaces)}"
            )
        rest = sum(gym.spaces.flatdim(observation_space[name]) for name in others)
        super().__init__(observation_space, features + rest)
        self.others = others
        self.words = nn.Embedding(len(VOCABULARY), embedding, padding_idx=0)
        self.mix = nn.Sequential(nn.Linear(embedding, features), nn.ReLU())

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """Compute (B, features + others) from {modality: (B, ...)}; unknown ids count as padding.

        Raises InputError if the ids are not whole, as under VecNormalize.
        """
        ids = observations["language"]
        tokens = ids.long()  # (B, T)
        if ids.is_floating_point() and not torch.equal(tokens.to(ids.dtype), ids):
            raise InputError(
                "language holds numbers that are not token ids: leave it out of VecNormalize"
                " (norm_obs_keys=[...])"
            )
        tokens = tokens.masked_fill((tokens < 0) | (tokens >= self.words.num_embeddings), 0)
        count = (tokens != 0).sum(1, keepdim=True).clamp(min=1)
        parts = [self.mix(self.words(tokens).sum(1) / count)]
        parts += [observations[name].flatten(1).to(parts[0].dtype) for name in self.others]
        return torch.cat(parts, 1)


class RawExtractor(BaseFeaturesExtractor):
    """End-to-end features of raw observations: a small CNN, an MLP and a token embedding,
    concatenated.

    Frames stacked by VecFrameStack count as additional channels, numbers and words.
    """

    def __init__(self, observation_space: gym.spaces.Dict, features: int = 64) -> None:
        """Build a network of `features` outputs for each observed modality."""
        super().__init__(observation_space, features * len(observation_space.spaces))
        self.parts = nn.ModuleDict()
        self.channels_last = False
        for name, space in observation_space.spaces.items():
            if name == "image":
                self.parts[name] = self._image_network(space, features)
            elif name == "language":
                self.parts[name] = TokenExtractor(gym.spaces.Dict({name: space}), features=features)
            else:
                width = gym.spaces.flatdim(space)
                self.parts[name] = nn.Sequential(nn.Linear(width, features), nn.ReLU())

    def _image_network(self, space: gym.Space, features: int) -> nn.Sequential:
        shape = space.shape or ()
        if len(shape) != 3:
            raise InputError(f"image has the shape {shape}: give pictures with three axes")
        if not is_image_space_channels_first(space):  # type: ignore[arg-type]
            self.channels_last = True
            shape = (shape[2], *shape[:2])
        layers: list[nn.Module] = []
        for inputs, outputs in ((shape[0], 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.ReLU()]
        places = (shape[1] // 8) * (shape[2] // 8)
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * places, features), nn.ReLU())

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """Compute (B, features x modalities) from {modality: (B, ...)}, images scaled to 0..1."""
        features = []
        for name, part in self.parts.items():
            rows = observations[name]
            if name == "language":
                features.append(part({name: rows}))
            elif name == "image":
                features.append(part(rows.movedim(-1, 1) if self.channels_last else rows))
            else:
                features.append(part(rows.flatten(1)))
        return torch.cat(features, 1)
