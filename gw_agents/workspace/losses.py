"""The losses of the Global Workspace: one table of names, formulas and functions of tensors.

Names and formulas: Devillers, Maytié and VanRullen, "Semi-supervised Multimodal Representation
Learning through a Global Workspace" (arXiv 2306.15711). o_a is the latent of modality a, e_a its
encoder into the workspace and d_a its decoder out of it; both apply tanh where they meet the
workspace vector. Latents are standardized, so a model that always predicts the mean has an error of
1.

The latent of a *vague* modality holds things that the scene does not determine: a caption has a
wording and a granularity of its own. If z is rewarded for carrying them, a fused z differs from
that of every other sense, and policies fail on it. So a vague modality is scored only where it did
not enter: the broadcast counts its error in the rows from which it was left out, and its demi-cycle
and its cycles count 0.

To add a loss, add its function and its entry in `LOSSES`.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

MAX_LOG_SCALE = math.log(100.0)
"""Upper bound of the logarithm of the inverse temperature, as in CLIP."""


class Views(Protocol):
    """What one batch looks like to one workspace: everything a loss term may read, computed
    once."""

    paired: Mapping[str, Tensor]
    """{modality: (B, L_d)} latents, row i of each from the same scene."""
    unpaired: Mapping[str, Tensor]
    """{modality: (B, L_d)} latents, each modality from scenes of its own."""
    pseudo_targets: Mapping[str, Mapping[str, Tensor]]
    """{a: {b: (B, L_b)}} translations of the unpaired rows of a into b by a teacher, without
    gradient."""

    @property
    def log_scale(self) -> Tensor:
        """() logarithm of the inverse temperature of the contrastive loss."""

    @property
    def exclusive(self) -> Mapping[str, Tensor]:
        """{modality: (B, Z)} workspace vectors of the paired rows, from each modality alone."""

    @property
    def translations(self) -> Mapping[str, Mapping[str, Tensor]]:
        """{a: {b: (B, L_b)}} the paired rows of a decoded as every other modality b."""

    @property
    def fusions(self) -> Mapping[str, Tensor]:
        """{b: (B, L_b)} every modality decoded from the fusion of the paired rows with random
        weights."""

    @property
    def vague(self) -> Collection[str]:
        """Modalities whose latents hold things that the scene does not determine."""

    def left_out(self, name: str) -> Tensor:
        """(B,) true in the paired rows whose fusion holds nothing of a modality."""

    def unpaired_translation(self, a: str, b: str) -> Tensor:
        """(B, L_b) the unpaired rows of a decoded as modality b, which may be a itself."""

    def back(self, visited: str, latents: Tensor, origin: str) -> Tensor:
        """Translate (B, L) latents of `visited` into `origin`."""


def squared_error(predicted: Tensor, target: Tensor, rows: Tensor | None = None) -> Tensor:
    """Compute the mean squared error over batch and components, in squared standard deviations.

    Leading axes, of models trained side by side, stay: (..., B, L), (..., B, L) -> (...).

    Args:
        predicted: (..., B, L) latents.
        target: (..., B, L) latents.
        rows: (..., B) true where a row counts; all by default. If none does, the error is 0.
    """
    if predicted.shape != target.shape or predicted.ndim < 2:
        raise ValueError(
            f"latents of shapes {tuple(predicted.shape)} and {tuple(target.shape)}: both must be"
            " (B, L)"
        )
    squares = (predicted - target).square()
    if rows is None:
        return squares.mean((-2, -1))
    counts = rows.sum(-1).clamp(min=1)
    return (squares.mean(-1) * rows).sum(-1) / counts


def contrastive(codes_a: Tensor, codes_b: Tensor, log_scale: Tensor) -> Tensor:
    """Compute the symmetric InfoNCE between matched codes (Radford et al., arXiv 2103.00020).

    Args:
        codes_a: (..., B, Z) codes of one modality.
        codes_b: (..., B, Z) codes of another; row i belongs to row i of `codes_a`.
        log_scale: (...) logarithm of the inverse temperature; values above log 100 count as that.

    Returns:
        (...) the mean of the cross-entropies of finding b among all b given a, and a among all a
        given b.
    """
    if codes_a.shape != codes_b.shape or codes_a.ndim < 2:
        raise ValueError(
            f"codes of shapes {tuple(codes_a.shape)} and {tuple(codes_b.shape)}: both must be"
            " (B, Z)"
        )
    scale = log_scale.clamp(max=MAX_LOG_SCALE).exp()[..., None, None]
    a, b = normalize(codes_a, dim=-1) * scale, normalize(codes_b, dim=-1)
    given_a, given_b = (a @ b.mT).log_softmax(-1), (b @ a.mT).log_softmax(-1)  # (..., B, B)
    right = given_a.diagonal(dim1=-2, dim2=-1) + given_b.diagonal(dim1=-2, dim2=-1)
    return -0.5 * right.mean(-1)


def broadcast(
    predicted: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    rows: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Average the squared errors of all modalities; {modality: (B, L_d)} twice -> ().

    `rows` are {modality: (B,) true where a row counts}, for modalities of which not all do.
    """
    if predicted.keys() != targets.keys() or not predicted:
        raise ValueError(
            f"modalities {sorted(predicted)} were decoded where {sorted(targets)} are known"
        )
    counted = rows or {}
    errors = [
        squared_error(predicted[name], targets[name], counted.get(name)) for name in predicted
    ]
    return torch.stack(errors).mean(0)


def _translation_term(views: Views) -> Tensor:
    made, targets = views.translations, views.paired
    errors = [squared_error(made[a][b], targets[b]) for a, b in permutations(targets, 2)]
    return torch.stack(errors).mean(0)


def _broadcast_term(views: Views) -> Tensor:
    rows = {name: views.left_out(name) for name in views.vague if name in views.paired}
    return broadcast(views.fusions, views.paired, rows)


def _contrastive_term(views: Views) -> Tensor:
    codes = views.exclusive
    errors = [contrastive(codes[a], codes[b], views.log_scale) for a, b in combinations(codes, 2)]
    return torch.stack(errors).mean(0)


def _demi_cycle_term(views: Views) -> Tensor:
    errors = [
        squared_error(views.unpaired_translation(a, a), rows)
        for a, rows in views.unpaired.items()
        if a not in views.vague
    ]
    return _sum(errors, views) / len(views.unpaired)


def _cycle_term(views: Views) -> Tensor:
    pairs = list(permutations(views.unpaired, 2))
    errors = [
        squared_error(views.back(b, views.unpaired_translation(a, b), a), views.unpaired[a])
        for a, b in pairs
        if a not in views.vague
    ]
    return _sum(errors, views) / len(pairs)


def _sum(errors: list[Tensor], views: Views) -> Tensor:
    """Add up errors, of which there may be none."""
    return torch.stack(errors).sum(0) if errors else torch.zeros_like(views.log_scale)


def _back_translation_term(views: Views) -> Tensor:
    errors = [
        squared_error(views.back(b, rows, a), views.unpaired[a])
        for a, translations in views.pseudo_targets.items()
        for b, rows in translations.items()
    ]
    return torch.stack(errors).mean(0)


@dataclass(frozen=True)
class Loss:
    """One loss of the workspace."""

    name: str
    """The paper's name for it."""
    formula: str
    """What is compared with what."""
    reads: Literal["paired", "unpaired", "pseudo_targets"]
    """The part of a batch without which the loss has no term."""
    term: Callable[[Views], Tensor]
    """Compute the unweighted term of a batch: () float32."""

    @property
    def needs_pairs(self) -> bool:
        """Whether the loss needs matched scenes."""
        return self.reads == "paired"


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("translation", "d_b(e_a(o_a)) against o_b", "paired", _translation_term),
        Loss(
            "broadcast",
            "d_b(random fusion) against o_b, every b; a vague b only where it did not enter",
            "paired",
            _broadcast_term,
        ),
        Loss("contrastive", "e_a(o_a) against e_b(o_b)", "paired", _contrastive_term),
        Loss("demi_cycle", "d_a(e_a(o_a)) against o_a, no vague a", "unpaired", _demi_cycle_term),
        Loss("cycle", "a -> z -> b -> z -> a against o_a, no vague a", "unpaired", _cycle_term),
        Loss(
            "back_translation",
            "as cycle, the way out made by a moving average of the weights, without gradient",
            "pseudo_targets",
            _back_translation_term,
        ),
    )
}
"""Every loss by name, in the order in which their terms are added up."""

PAIRED_LOSSES = frozenset(name for name, loss in LOSSES.items() if loss.needs_pairs)
"""The names of the losses that need matched scenes."""

PRESETS: dict[str, dict[str, float]] = {
    "tr": {"translation": 1.0},
    "tr+cont": {"translation": 1.0, "contrastive": 0.1},
    "tr+cy": {"translation": 1.0, "cycle": 1.0},
    "tr+cont+dcy+cy": {"translation": 1.0, "contrastive": 0.1, "demi_cycle": 1.0, "cycle": 1.0},
    "cont": {"contrastive": 0.1},
    "tr+dcy": {"translation": 1.0, "demi_cycle": 1.0},
    "broad+cont": {"broadcast": 1.0, "contrastive": 0.1},
    # Fusion that also learns from unpaired data: an unpaired item can only be broadcast from its
    # own modality, which gives its demi-cycle and its cycles.
    "fusion": {"broadcast": 1.0, "contrastive": 0.1, "demi_cycle": 0.5, "cycle": 0.5},
    # The four losses of the paper, with stop-gradient back-translation instead of cycles.
    "tr+cont+dcy+bt": {
        "translation": 1.0,
        "contrastive": 0.1,
        "demi_cycle": 0.1,
        "back_translation": 1.0,
    },
}
"""Weights of each model's losses: the six models of arXiv 2306.15711, fusion on pairs, fusion on
all data, and ours."""
