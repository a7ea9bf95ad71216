"""The loss terms of one workspace: batches of latents in, named terms out."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, permutations

import torch
from torch import Tensor, nn

from gw_agents.workspace import losses
from gw_agents.workspace.model import Workspace

Latents = Mapping[str, Tensor]
"""Latents by modality: {modality: (B, L_d)}."""


Terms = dict[str, Tensor]
"""Unweighted loss terms by the paper's names."""


def random_weights(count: int, modalities: int, concentration: float = 0.5) -> Tensor:
    """(count, modalities) fusion weights: half drawn from a Dirichlet distribution, half on one modality alone."""
    gamma = (
        torch.distributions.Gamma(torch.full((modalities,), concentration), 1.0)
        .sample((count,))
        .clamp(min=1e-12)
    )
    alone = torch.eye(modalities)[torch.randint(modalities, (count,))]
    return torch.where(
        torch.arange(count).unsqueeze(1) % 2 == 0, gamma / gamma.sum(1, keepdim=True), alone
    )


@dataclass(frozen=True)
class Batch:
    """What a step learns from; B rows of latents each."""

    paired: Latents
    """{modality: (B, L_d)}, row i of each from one scene; {} leaves out the terms that need pairs."""
    unpaired: Latents
    """{modality: (B, L_d)}, each modality's rows from scenes of its own; {} leaves out the terms that need none."""
    weights: Tensor
    """(B, D) fusion weights for the broadcast of the paired rows."""


class Objective(nn.Module):
    """The loss terms that a workspace's configuration names."""

    def __init__(self, workspace: Workspace) -> None:
        """Of one workspace."""
        super().__init__()
        self.workspace = workspace

    def forward(
        self, paired: Latents, unpaired: Latents, weights: Tensor, made_up: Mapping[str, Latents]
    ) -> Terms:
        """Every term, unweighted.

        Args:
            paired: as in `Batch`.
            unpaired: as in `Batch`.
            weights: as in `Batch`.
            made_up: {a: {b: (B, L_b)}} what the teacher makes of the unpaired rows of `a` in modality b.
        """
        return self._paired(paired, weights) | self._unpaired(unpaired, made_up)

    def _paired(self, paired: Latents, weights: Tensor) -> Terms:
        gw, terms = self.workspace, {}
        wanted = gw.config.losses.keys() if paired else ()
        codes = gw.encode(paired)
        alone = {name: code.tanh() for name, code in codes.items()}
        if "translation" in wanted:
            there = {a: gw.broadcast(z, [b for b in paired if b != a]) for a, z in alone.items()}
            errors = [
                losses.translation(there[a][b], paired[b]) for a, b in permutations(paired, 2)
            ]
            terms["translation"] = torch.stack(errors).mean()
        if "broadcast" in wanted:
            terms["broadcast"] = losses.broadcast(
                gw.broadcast(gw.fuse(codes, weights)), dict(paired)
            )
        if "contrastive" in wanted:
            errors = [
                losses.contrastive(alone[a], alone[b], gw.log_scale)
                for a, b in combinations(paired, 2)
            ]
            terms["contrastive"] = torch.stack(errors).mean()
        return terms

    def _unpaired(self, unpaired: Latents, made_up: Mapping[str, Latents]) -> Terms:
        terms, wanted = {}, self.workspace.config.losses.keys() if unpaired else ()
        there: dict[str, dict[str, Tensor]] = {}
        if {"demi_cycle", "cycle"} & set(wanted):
            there = {
                a: self.workspace.broadcast(self.workspace.enter(a, rows))
                for a, rows in unpaired.items()
            }
        if "demi_cycle" in wanted:
            terms["demi_cycle"] = torch.stack(
                [losses.demi_cycle(there[a][a], unpaired[a]) for a in there]
            ).mean()
        if "cycle" in wanted:
            errors = [self._back(a, b, there[a][b], unpaired[a]) for a, b in permutations(there, 2)]
            terms["cycle"] = torch.stack(errors).mean()
        if "back_translation" in wanted and made_up:
            errors = [
                self._back(a, b, rows, unpaired[a])
                for a, made in made_up.items()
                for b, rows in made.items()
            ]
            terms["back_translation"] = torch.stack(errors).mean()
        return terms

    def _back(self, origin: str, visited: str, latents: Tensor, began: Tensor) -> Tensor:
        """From `visited` back to `origin`, against what it began with."""
        returned = self.workspace.broadcast(self.workspace.enter(visited, latents), [origin])[
            origin
        ]
        return losses.cycle(returned, began)


class _Translator(nn.Module):
    """Every translation of single modalities: {a: (B, L_a)} -> {a: {b: (B, L_b)}}."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace

    def forward(self, latents: Latents) -> dict[str, dict[str, Tensor]]:
        gw = self.workspace
        return {
            a: gw.broadcast(gw.enter(a, rows), [b for b in latents if b != a])
            for a, rows in latents.items()
        }
