"""Noise on unimodal latents, as published: o_d + k C on one side at a time, before the workspace's encoders.

With a fixed direction C is drawn once for each modality; with a random one anew for every sample. k ~ N(0, sigma^2).
Latents are standardised and C ~ N(0, I), so sigma is in standard deviations of a latent's components.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Corrupted(NamedTuple):
    """A batch of latents of which each row has exactly one corrupted modality."""

    latents: dict[str, Tensor]
    """{modality: (B, L_d)}."""
    victim: Tensor
    """(B,) index of the corrupted modality, in the order of `latents`."""
    level: Tensor
    """(B,) absolute value of k."""


def draw_directions(latents: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """One fixed direction C ~ N(0, I) for each modality: {modality: (1, L_d)}."""
    return {name: torch.randn(1, rows.shape[1], generator=generator) for name, rows in latents.items()}


def corrupt(
    latents: Mapping[str, Tensor],
    sigma: Tensor | float,
    generator: torch.Generator,
    directions: Mapping[str, Tensor] | None = None,
) -> Corrupted:
    """Corrupt one modality, picked at random, of every row.

    Args:
        latents: {modality: (B, L_d)}.
        sigma: () or (B,) standard deviation of k.
        generator: where the victims, k and random directions come from.
        directions: the fixed C of each modality, or None to draw C anew for every row.
    """
    count = len(next(iter(latents.values())))
    victim = torch.randint(len(latents), (count,), generator=generator)
    k = torch.randn(count, generator=generator) * sigma
    noisy = {}
    for index, (name, rows) in enumerate(latents.items()):
        fixed = None if directions is None else directions[name]
        direction = torch.randn(rows.shape, generator=generator) if fixed is None else fixed
        noisy[name] = rows + ((victim == index) * k).unsqueeze(1) * direction
    return Corrupted(noisy, victim, k.abs())
