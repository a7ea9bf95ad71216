"""The Global Workspace: per modality an encoder into and a decoder out of one shared vector."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gw_agents.domains.base import mlp


@dataclass(frozen=True)
class GWConfig:
    """The shape of a workspace."""

    latents: Mapping[str, int]
    """Width of each modality's latent."""
    width: int = 12
    """Z, numbers in the shared vector; 12 as published."""
    hidden: int = 128
    """Width of the hidden layers of encoders and decoders (32 in the paper)."""
    layers: int = 3
    """Hidden layers of encoders and decoders; 3 as published."""


Codes = dict[str, Tensor]
"""By modality, what its encoder proposes for the workspace, before fusion and tanh: (B, Z)."""


class Workspace(nn.Module):
    """encode -> fuse -> broadcast, on standardised latents of frozen domain modules."""

    def __init__(self, config: GWConfig) -> None:
        """Build the encoders and decoders that `config` describes."""
        super().__init__()
        self.config = config
        hidden = [config.hidden] * config.layers
        self.encoders = nn.ModuleDict(
            {name: mlp([wide, *hidden, config.width]) for name, wide in config.latents.items()}
        )
        self.decoders = nn.ModuleDict(
            {name: mlp([config.width, *hidden, wide]) for name, wide in config.latents.items()}
        )
        self.log_scale = nn.Parameter(torch.tensor(2.6593))  # log(1 / 0.07), as CLIP begins

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that have an encoder and a decoder."""
        return tuple(self.config.latents)

    def encode(self, latents: Mapping[str, Tensor]) -> Codes:
        """{modality: (B, L_d)} -> {modality: (B, Z)} codes, not yet fused; any subset of the modalities."""
        return {name: self.encoders[name](latent) for name, latent in latents.items()}

    def fuse(self, codes: Codes, weights: Tensor | None = None) -> Tensor:
        """z = tanh(sum over d of weight_d times code_d).

        Args:
            codes: {modality: (B, Z)}, D of them.
            weights: (B, D) or (D,) in the order of `codes`, summing to 1; None for the even mean.

        Returns:
            (B, Z) in (-1, 1).
        """
        stacked = torch.stack(list(codes.values()), 1)  # (B, D, Z)
        if weights is None:
            return stacked.mean(1).tanh()
        return (stacked * weights.unsqueeze(-1)).sum(1).tanh()

    def broadcast(self, z: Tensor, modalities: Iterable[str] | None = None) -> dict[str, Tensor]:
        """(B, Z) -> {modality: (B, L_d)} predicted latents of all modalities, or of those named."""
        return {name: self.decoders[name](z) for name in (self.modalities if modalities is None else modalities)}

    def translate(self, latents: Mapping[str, Tensor], target: str) -> Tensor:
        """The even fusion of the latents given -> (B, L_target) predicted latent of the target."""
        return self.broadcast(self.fuse(self.encode(latents)), [target])[target]
