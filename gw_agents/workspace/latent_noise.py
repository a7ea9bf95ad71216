"""Noise on unimodal latents, as published: o_d + k C before the workspace's encoders; and latents of failing sensors.

With a fixed direction C is drawn once for each modality; with a random one anew for every sample. k ~ N(0, sigma^2).
Latents are standardised and C ~ N(0, I), so sigma is in standard deviations of a latent's components. Published is one
corrupted modality at a time.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Corrupted(NamedTuple):
    """A batch of latents of which some are corrupted."""

    latents: dict[str, Tensor]
    """{modality: (B, L_d)}."""
    hit: Tensor
    """(B, D) which modalities are corrupted, in the order of `latents`."""
    level: Tensor
    """(B, D) absolute value of k where noise was added."""


def draw_directions(latents: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """One fixed direction C ~ N(0, I) for each modality: {modality: (1, L_d)}."""
    return {
        name: torch.randn(1, rows.shape[1], generator=generator) for name, rows in latents.items()
    }


def victims(
    count: int, modalities: int, at_once: Tensor | int, generator: torch.Generator
) -> Tensor:
    """(count, modalities) true for `at_once`, () or (count,), of the modalities of each row, picked at random."""
    order = torch.rand(count, modalities, generator=generator).argsort(1).argsort(1)
    return order < torch.as_tensor(at_once).expand(count).unsqueeze(1)


def corrupt(
    latents: Mapping[str, Tensor],
    sigma: Tensor | float,
    generator: torch.Generator,
    directions: Mapping[str, Tensor] | None = None,
    at_once: Tensor | int = 1,
) -> Corrupted:
    """Add noise to some modalities of every row.

    Args:
        latents: {modality: (B, L_d)}.
        sigma: () or (B,) standard deviation of k.
        generator: where the victims, k and random directions come from.
        directions: the fixed C of each modality, or None to draw C anew for every row.
        at_once: () or (B,) how many modalities of a row are corrupted.
    """
    count = len(next(iter(latents.values())))
    hit = victims(count, len(latents), at_once, generator)
    k = torch.randn(count, len(latents), generator=generator) * torch.as_tensor(sigma).reshape(
        -1, 1
    )
    noisy = {}
    for index, (name, rows) in enumerate(latents.items()):
        fixed = None if directions is None else directions[name]
        direction = torch.randn(rows.shape, generator=generator) if fixed is None else fixed
        noisy[name] = rows + (hit[:, index] * k[:, index]).unsqueeze(1) * direction
    return Corrupted(noisy, hit, k.abs() * hit)


def replace(
    clean: Mapping[str, Tensor], failed: Mapping[str, Tensor], hit: Tensor
) -> dict[str, Tensor]:
    """{modality: (B, L_d)} twice: the failed rows where (B, D) `hit` says so, else the clean ones."""
    return {
        name: torch.where(hit[:, index : index + 1], failed[name], rows)
        for index, (name, rows) in enumerate(clean.items())
    }
