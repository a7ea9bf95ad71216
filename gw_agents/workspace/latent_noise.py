"""Noise on unimodal latents, as published, and latents of failing sensors.

The noise is o_d + k C, added before the workspace's encoders, with k ~ N(0, sigma^2). The direction
C ~ N(0, I) is drawn once for each modality, or again for every sample. Latents are standardized, so
sigma is in standard deviations of a latent's components. The publication corrupts one modality at a
time.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Corrupted(NamedTuple):
    """A batch of latents of which some are corrupted."""

    latents: dict[str, Tensor]
    """{modality: (B, L_d)}."""
    is_corrupted: Tensor
    """(B, D) true where a modality is corrupted, in the order of `latents`."""
    noise_scale: Tensor
    """(B, D) absolute value of k where noise was added, else 0."""


def draw_directions(latents: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Draw one fixed direction C ~ N(0, I) for each modality: {modality: (1, L_d)}."""
    return {
        name: torch.randn(1, rows.shape[1], generator=generator) for name, rows in latents.items()
    }


def pick_modalities(
    count: int, modalities: int, at_once: Tensor | int, generator: torch.Generator
) -> Tensor:
    """Pick `at_once`, () or (count,), of the modalities of each row at random; (count, modalities)
    true for those."""
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
        generator: draws the modalities, k and random directions.
        directions: the fixed C of each modality, or None to draw C again for every row.
        at_once: () or (B,) how many modalities of a row are corrupted.
    """
    count = len(next(iter(latents.values())))
    is_corrupted = pick_modalities(count, len(latents), at_once, generator)
    scale = torch.as_tensor(sigma).reshape(-1, 1)
    k = torch.randn(count, len(latents), generator=generator) * scale
    noisy = {}
    for index, (name, rows) in enumerate(latents.items()):
        fixed = None if directions is None else directions[name]
        direction = torch.randn(rows.shape, generator=generator) if fixed is None else fixed
        noisy[name] = rows + (is_corrupted[:, index] * k[:, index]).unsqueeze(1) * direction
    return Corrupted(noisy, is_corrupted, k.abs() * is_corrupted)


def replace_rows(
    clean: Mapping[str, Tensor], failed: Mapping[str, Tensor], is_corrupted: Tensor
) -> dict[str, Tensor]:
    """Take the `failed` rows where (B, D) `is_corrupted` says so, else the clean ones; {modality:
    (B, L_d)} each."""
    return {
        name: torch.where(is_corrupted[:, index : index + 1], failed[name], rows)
        for index, (name, rows) in enumerate(clean.items())
    }
