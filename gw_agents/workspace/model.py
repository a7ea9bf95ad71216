"""The networks of the Global Workspace: for each modality an encoder into and a decoder out of one
shared vector."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gw_agents.domains.base import check_key, mlp, normalized_mlp
from gw_agents.workspace.fusion import component_shares, precisions
from gw_agents.workspace.grouped import Prepared, few_rows
from gw_envs.errors import check_choice, check_whole

MAX_LAYERS = 100
"""Most hidden layers of an encoder or a decoder."""


@dataclass(frozen=True)
class GWConfig:
    """The shape of a workspace."""

    latent_widths: Mapping[str, int]
    """Width L_d of each modality's latent."""
    z_width: int = 12
    """Z, numbers in the workspace vector; 12 as published."""
    hidden: int = 128
    """Width of the hidden layers of encoders and decoders (32 in the paper)."""
    layers: int = 3
    """Hidden layers of encoders and decoders; 3 as published."""
    layer_norm: bool = True
    """Whether a hidden layer is Linear, LayerNorm, SiLU, which learns faster, or Linear, ReLU as
    published."""
    fusion: Literal["even", "precision"] = "precision"
    """Whether each modality has a learned precision for each component of z, or all count alike as
    published."""

    def __post_init__(self) -> None:
        """Raise InputError on a width that is no number above 0 or a key that can't be a
        modality's."""
        for name, width in self.latent_widths.items():
            check_whole(f"the width of the {check_key(name)} latent", width, 1)
        check_whole("z_width", self.z_width, 1)
        check_whole("hidden", self.hidden, 1)
        check_whole("layers", self.layers, 0, MAX_LAYERS)
        check_choice("layer_norm", self.layer_norm, (True, False))
        check_choice("fusion", self.fusion, ("even", "precision"))


Codes = dict[str, Tensor]
"""{modality: (B, Z)} what each encoder proposes for the workspace, before fusion and tanh."""


class Workspace(nn.Module):
    """encode -> fuse -> broadcast, on standardised latents of frozen domain modules."""

    log_precision: nn.Parameter | None
    """(D, Z) logarithms of the precisions; None if the fusion is even."""

    def __init__(self, config: GWConfig) -> None:
        """Build the encoders and decoders that `config` describes."""
        super().__init__()
        self.config = config
        hidden = [config.hidden] * config.layers
        build = normalized_mlp if config.layer_norm else mlp
        widths, z_width = config.latent_widths, config.z_width
        self.encoders = nn.ModuleDict(
            {name: build([wide, *hidden, z_width]) for name, wide in widths.items()}
        )
        self.decoders = nn.ModuleDict(
            {name: build([z_width, *hidden, wide]) for name, wide in widths.items()}
        )
        self.log_scale = nn.Parameter(torch.tensor(2.6593))  # log(1 / 0.07), where CLIP starts
        precision = None
        if config.fusion == "precision":
            precision = nn.Parameter(torch.zeros(len(widths), z_width))
        self.register_parameter("log_precision", precision)
        self._prepared = Prepared()

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that have an encoder and a decoder."""
        return tuple(self.config.latent_widths)

    def encode(self, latents: Mapping[str, Tensor]) -> Codes:
        """Encode {modality: (B, L_d)}, any subset of the modalities, into {modality: (B, Z)} codes,
        not yet fused."""
        names = tuple(latents)
        group = None
        if len(names) > 1:
            group = self._prepared.group(self.encoders, names, len(latents[names[0]]))
        if group is None:
            return {name: self.encoders[name](latent) for name, latent in latents.items()}
        codes = group(torch.cat(list(latents.values()), 1)).split(group.widths, 1)
        return dict(zip(names, codes, strict=True))

    def fuse(self, codes: Codes, weights: Tensor | None = None) -> Tensor:
        """Fuse codes into z = tanh(sum over d of share_d times code_d), component by component.

        With even fusion the shares are the weights; with learned precisions they are
        weight_d precision_d over the sum of these.

        Args:
            codes: {modality: (B, Z)}, D of them.
            weights: (B, D) or (D,) in the order of `codes`, summing to 1; None for equal weights.

        Returns:
            (B, Z) in (-1, 1); 0 where all weights are 0.
        """
        stacked = torch.stack(list(codes.values()), 1)  # (B, D, Z)
        precision = self._precision(tuple(codes), len(stacked))
        if precision is None:
            if weights is None:
                return stacked.mean(1).tanh()
            return (stacked * weights.unsqueeze(-1)).sum(1).tanh()
        if weights is None:
            weights = stacked.new_ones(len(codes))
        return (stacked * component_shares(weights, precision)).sum(1).tanh()

    def shares(self, names: tuple[str, ...], weights: Tensor) -> Tensor:
        """Average over the components of z how much each modality has in it.

        Args:
            names: D modalities.
            weights: (B, D) fusion weights.

        Returns:
            (B, D), which sum to 1, or are all 0 in a row whose weights are.
        """
        precision = self._precision(names, len(weights))
        if precision is None:
            return weights
        return component_shares(weights, precision).mean(-1)

    def _precision(self, names: tuple[str, ...], rows: int) -> Tensor | None:
        """Return the (D, Z) precisions of modalities; None if the fusion is even."""
        every = self.log_precision
        if every is None:
            return None
        places = [self.modalities.index(name) for name in names]
        if few_rows(rows):
            kept = self._prepared.get(
                ("precision", names), [every], lambda: precisions(every, places)
            )
            if kept is not None:
                return kept
        return precisions(every, places)

    def enter(self, name: str, latents: Tensor) -> Tensor:
        """Encode one modality alone into the workspace: (B, L_d) -> (B, Z)."""
        return self.encoders[name](latents).tanh()

    def broadcast(self, z: Tensor, modalities: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Predict the latents of all modalities, or of those named, from z: (B, Z) -> {modality:
        (B, L_d)}."""
        return {
            name: self.decoders[name](z)
            for name in (self.modalities if modalities is None else modalities)
        }

    def errors(self, latents: Mapping[str, Tensor], codes: Codes) -> Tensor:
        """Compute (D, B, D) mean squared errors: [a, :, b] of b's latent reconstructed from a's
        code alone."""
        names, count = tuple(latents), len(next(iter(latents.values())))
        group = self._prepared.group(self.decoders, names, count, shared=True)
        if group is not None:
            z = torch.cat([codes[name] for name in names]).tanh()
            decoded = group(z).view(len(names), count, -1)
            return (decoded - torch.cat(list(latents.values()), 1)).square() @ group.means
        z = torch.cat([codes[name].tanh() for name in names])  # (D * B, Z)
        errors = []
        for name, rows in self.broadcast(z, names).items():
            differences = rows.view(len(names), count, -1) - latents[name]
            errors.append(differences.square().mean(-1))  # (D, B)
        return torch.stack(errors, 2)

    def translate(self, latents: Mapping[str, Tensor], target: str) -> Tensor:
        """Predict the (B, L_target) latents of `target` from the fusion of the latents given, with
        equal weights."""
        return self.broadcast(self.fuse(self.encode(latents)), [target])[target]
