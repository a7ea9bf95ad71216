"""Compute the loss terms of one workspace: batches of latents in, named terms out."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from gw_agents.workspace.losses import LOSSES, PRESETS
from gw_agents.workspace.model import Codes, Workspace
from gw_envs.errors import InputError, check_choice, check_number

Latents = Mapping[str, Tensor]
"""Latents by modality: {modality: (B, L_d)}."""

Terms = dict[str, Tensor]
"""Unweighted loss terms by the names in `LOSSES`: () each."""


def preset_called(name: str) -> dict[str, float]:
    """Look up the loss weights of a preset; InputError naming the known ones if there is none of
    that name."""
    return PRESETS[check_choice("model", name, PRESETS)]


def check_losses(losses: Mapping[str, float]) -> None:
    """Raise InputError unless there is a loss, every name is in `LOSSES` and every weight is
    positive."""
    unknown = [name for name in losses if name not in LOSSES]
    if unknown or not losses:
        what = f"unknown loss {', '.join(map(repr, unknown))}" if unknown else "no loss at all"
        raise InputError(f"{what}: name some of {', '.join(sorted(LOSSES))}")
    for name, weight in losses.items():
        if not 0.0 < check_number(f"the weight of {name}", weight) < math.inf:
            raise InputError(
                f"the weight of {name} is {weight}: weights are positive; leave a loss out instead"
            )


P_LEFT_OUT = 1 / 3
"""How often each modality is left out of a mixed fusion, where some modality is vague."""


def random_weights(
    count: int, modalities: int, concentration: float = 0.5, leave_out: bool = False
) -> Tensor:
    """Draw (count, modalities) fusion weights: half from a Dirichlet distribution, half on one
    modality alone.

    With `leave_out`, each modality of a mixed row has the weight 0 with probability `P_LEFT_OUT`.
    """
    gamma = (
        torch.distributions.Gamma(torch.full((modalities,), concentration), 1.0)
        .sample((count,))
        .clamp(min=1e-12)
    )
    if leave_out:
        gamma = left_out(gamma, torch.rand(count, modalities))
    one = torch.eye(modalities)[torch.randint(modalities, (count,))]
    return torch.where(
        torch.arange(count).unsqueeze(1) % 2 == 0, gamma / gamma.sum(1, keepdim=True), one
    )


def left_out(weights: Tensor, uniform: Tensor) -> Tensor:
    """Set weights (..., D) to 0 where a number (..., D), even in [0, 1), is below `P_LEFT_OUT`; the
    largest number of a row always stays."""
    stays = (uniform >= P_LEFT_OUT) | (uniform == uniform.amax(-1, keepdim=True))
    return weights * stays


@dataclass(frozen=True)
class Batch:
    """What a step learns from; B rows of latents each."""

    paired: Latents
    """{modality: (B, L_d)}, row i of each from one scene; {} leaves out the terms that need pairs.
    """
    unpaired: Latents
    """{modality: (B, L_d)}, each modality's rows from scenes of its own; {} leaves out the terms
    that need none."""
    weights: Tensor
    """(B, D) fusion weights for the broadcast of the paired rows."""


class Broadcaster(Protocol):
    """What losses need of a workspace, or of several side by side (see `Workspace`)."""

    @property
    def log_scale(self) -> Tensor: ...

    def encode(self, latents: Latents) -> Codes: ...

    def fuse(self, codes: Codes, weights: Tensor) -> Tensor: ...

    def enter(self, name: str, latents: Tensor) -> Tensor: ...

    def broadcast(
        self, z: Tensor, modalities: Iterable[str] | None = None
    ) -> dict[str, Tensor]: ...


class BatchViews:
    """One batch as one workspace sees it (see `gw_agents.workspace.losses.Views`); each view is
    computed once."""

    def __init__(
        self,
        workspace: Broadcaster,
        paired: Latents,
        unpaired: Latents,
        weights: Tensor,
        pseudo_targets: Mapping[str, Latents],
        vague: Collection[str] = (),
    ) -> None:
        self.workspace, self.weights, self.vague = workspace, weights, vague
        self.paired, self.unpaired, self.pseudo_targets = paired, unpaired, pseudo_targets
        self.log_scale: Tensor = workspace.log_scale
        self.codes: Codes = workspace.encode(paired)
        self.exclusive: Latents = {name: code.tanh() for name, code in self.codes.items()}

    @cached_property
    def translations(self) -> Mapping[str, Latents]:
        """{a: {b: (B, L_b)}} the paired rows of a decoded as every other modality b."""
        return {
            a: self.workspace.broadcast(z, [b for b in self.paired if b != a])
            for a, z in self.exclusive.items()
        }

    @cached_property
    def fusions(self) -> Latents:
        """{b: (B, L_b)} every modality decoded from the fusion of the paired rows with the batch's
        weights."""
        return self.workspace.broadcast(self.workspace.fuse(self.codes, self.weights))

    def left_out(self, name: str) -> Tensor:
        """(B,) true in the paired rows whose fusion holds nothing of a modality."""
        return self.weights[..., list(self.paired).index(name)] == 0.0

    @cached_property
    def unpaired_codes(self) -> Latents:
        """{modality: (B, Z)} workspace vectors of the unpaired rows, from each modality alone."""
        return {name: self.workspace.enter(name, rows) for name, rows in self.unpaired.items()}

    def unpaired_translation(self, a: str, b: str) -> Tensor:
        """Decode the unpaired rows of a as modality b, which may be a itself: (B, L_b)."""
        return self.workspace.broadcast(self.unpaired_codes[a], [b])[b]

    def back(self, visited: str, latents: Tensor, origin: str) -> Tensor:
        """Translate (B, L) latents of `visited` into `origin`."""
        return self.workspace.broadcast(self.workspace.enter(visited, latents), [origin])[origin]


class Objective(nn.Module):
    """The terms of the losses that one workspace is trained on."""

    def __init__(
        self, workspace: Workspace, losses: Mapping[str, float], vague: Collection[str] = ()
    ) -> None:
        """Hold a workspace, the {name: weight} of its losses and the names of its vague modalities;
        InputError if the losses make no sense."""
        super().__init__()
        check_losses(losses)
        self.workspace, self.vague = workspace, vague
        self.losses = dict(losses)

    def forward(
        self,
        paired: Latents,
        unpaired: Latents,
        weights: Tensor,
        pseudo_targets: Mapping[str, Latents],
    ) -> Terms:
        """Compute every unweighted term that the batch has data for.

        Args:
            paired: as in `Batch`.
            unpaired: as in `Batch`.
            weights: as in `Batch`.
            pseudo_targets: {a: {b: (B, L_b)}} translations of the unpaired rows of `a` into b by a
                teacher.
        """
        views = BatchViews(self.workspace, paired, unpaired, weights, pseudo_targets, self.vague)
        return compute_terms(views, self.losses)


def compute_terms(views: BatchViews, losses: Iterable[str]) -> Terms:
    """Compute the unweighted terms of the named losses that the batch has data for."""
    terms = {}
    for name, loss in LOSSES.items():
        if name in losses and getattr(views, loss.reads):
            terms[name] = loss.term(views)
    return terms
