"""Fusion: how much each modality says about each component of the workspace vector.

The weight of a modality says how far it is trusted in one observation; its precision, learned with
the workspace, says how much it can know of a component at all. A caption tells the rotation to 22
degrees and a picture to two, so the fused z should take the rotation from the picture.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gw_envs.errors import InputError

LARGEST = 8.0
"""Largest distance of a log precision from its mean over the modalities: a factor of 3,000."""

SMALLEST_SUM = 1e-30
"""Stands in for the sum of shares where no modality has a weight."""


def precisions(log_precision: Tensor, rows: Sequence[int]) -> Tensor:
    """Return the precisions of some modalities from the logarithms of all.

    Args:
        log_precision: (..., D, Z); only differences between modalities matter.
        rows: of the modalities wanted, K of them.

    Returns:
        (..., K, Z), all above 0.
    """
    centred = log_precision - log_precision.mean(-2, keepdim=True)
    return centred[..., list(rows), :].clamp(-LARGEST, LARGEST).exp()


def component_shares(weights: Tensor, precision: Tensor) -> Tensor:
    """Return the share of each modality in each component of z.

    Args:
        weights: (..., B, K) fusion weights, 0 for what must not enter.
        precision: (..., K, Z).

    Returns:
        (..., B, K, Z) weight times precision, over the sum of these; all 0 in a row whose weights
        are all 0. A modality alone has the share 1, whatever its weight and precision.
    """
    products = weights.unsqueeze(-1) * precision.unsqueeze(-3)
    return products / products.sum(-2, keepdim=True).clamp(min=SMALLEST_SUM)


def check_log_precision(log_precision: Tensor) -> None:
    """Raise InputError unless every log precision is finite: then no precision is 0."""
    if not bool(torch.isfinite(log_precision).all()):
        raise InputError(
            "a precision of the workspace is 0, infinite or NaN: their logarithms must be finite"
        )
