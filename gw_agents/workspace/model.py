"""The Global Workspace: per modality an encoder into and a decoder out of one shared vector."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gw_agents.domains.base import check_key, mlp, normalised_mlp

PAIRED_LOSSES = frozenset({"translation", "contrastive", "broadcast"})
"""The losses that need matched scenes."""
LOSSES = PAIRED_LOSSES | {"demi_cycle", "cycle", "back_translation"}
"""Every loss by name; formulas in `gw_agents.workspace.losses`."""

PRESETS: dict[str, dict[str, float]] = {
    "tr": {"translation": 1.0},
    "tr+cont": {"translation": 1.0, "contrastive": 0.1},
    "tr+cy": {"translation": 1.0, "cycle": 1.0},
    "tr+cont+dcy+cy": {"translation": 1.0, "contrastive": 0.1, "demi_cycle": 1.0, "cycle": 1.0},
    "cont": {"contrastive": 0.1},
    "tr+dcy": {"translation": 1.0, "demi_cycle": 1.0},
    "broad+cont": {"broadcast": 1.0, "contrastive": 0.1},
    # Fusion with unpaired data too: what is broadcast of an unpaired item alone is its demi-cycle and its cycles.
    "fusion": {"broadcast": 1.0, "contrastive": 0.1, "demi_cycle": 0.5, "cycle": 0.5},
    # The four losses with stop-gradient back-translation in the place of cycles.
    "tr+cont+dcy+bt": {
        "translation": 1.0,
        "contrastive": 0.1,
        "demi_cycle": 0.1,
        "back_translation": 1.0,
    },
}
"""Weights of each model's losses: the six of arXiv 2306.15711 as published, fusion on pairs and on all, and ours."""


def preset_called(name: str) -> dict[str, float]:
    """The losses of a preset; ValueError naming the known ones if there is none of that name."""
    if name not in PRESETS:
        raise ValueError(f"unknown model {name!r}: the presets are {', '.join(PRESETS)}")
    return PRESETS[name]


def check_losses(losses: Mapping[str, float]) -> None:
    """ValueError unless there is a loss, every name is known and every weight is positive."""
    unknown = [name for name in losses if name not in LOSSES]
    if unknown or not losses:
        what = f"unknown loss {', '.join(map(repr, unknown))}" if unknown else "no loss at all"
        raise ValueError(f"{what}: name some of {', '.join(sorted(LOSSES))}")
    wrong = [name for name, weight in losses.items() if not 0.0 < weight < math.inf]
    if wrong:
        raise ValueError(
            f"the weight of {wrong[0]} is {losses[wrong[0]]}: weights are positive; leave a loss out instead"
        )


@dataclass(frozen=True)
class GWConfig:
    """The shape of a workspace, and what it is trained by."""

    latents: Mapping[str, int]
    """Width of each modality's latent."""
    width: int = 12
    """Z, numbers in the shared vector; 12 as published."""
    hidden: int = 128
    """Width of the hidden layers of encoders and decoders (32 in the paper)."""
    layers: int = 3
    """Hidden layers of encoders and decoders; 3 as published."""
    layer_norm: bool = True
    """Whether a hidden layer is Linear, LayerNorm, SiLU, which learns faster, or Linear, ReLU as published."""
    losses: Mapping[str, float] = field(default_factory=lambda: PRESETS["fusion"])
    """Weight of each loss, by its name in `LOSSES`."""

    def __post_init__(self) -> None:
        """Raises ValueError on an unknown loss, a weight that is not positive or a key that can't be a modality's."""
        for name in self.latents:
            check_key(name)
        check_losses(self.losses)


Codes = dict[str, Tensor]
"""By modality, what its encoder proposes for the workspace, before fusion and tanh: (B, Z)."""


class Workspace(nn.Module):
    """encode -> fuse -> broadcast, on standardised latents of frozen domain modules."""

    def __init__(self, config: GWConfig) -> None:
        """Build the encoders and decoders that `config` describes."""
        super().__init__()
        self.config = config
        hidden, build = (
            [config.hidden] * config.layers,
            normalised_mlp if config.layer_norm else mlp,
        )
        self.encoders = nn.ModuleDict(
            {name: build([wide, *hidden, config.width]) for name, wide in config.latents.items()}
        )
        self.decoders = nn.ModuleDict(
            {name: build([config.width, *hidden, wide]) for name, wide in config.latents.items()}
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

    def enter(self, name: str, latents: Tensor) -> Tensor:
        """One modality alone into the workspace: (B, L_d) -> (B, Z)."""
        return self.encoders[name](latents).tanh()

    def broadcast(self, z: Tensor, modalities: Iterable[str] | None = None) -> dict[str, Tensor]:
        """(B, Z) -> {modality: (B, L_d)} predicted latents of all modalities, or of those named."""
        return {
            name: self.decoders[name](z)
            for name in (self.modalities if modalities is None else modalities)
        }

    def translate(self, latents: Mapping[str, Tensor], target: str) -> Tensor:
        """The even fusion of the latents given -> (B, L_target) predicted latent of the target."""
        return self.broadcast(self.fuse(self.encode(latents)), [target])[target]
