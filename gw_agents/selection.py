"""Teaching attention which modality to trust: a frozen workspace, a frozen classifier, and noise on one side at a time.

The classifier is trained first, on clean workspace vectors under random fusion weights; then attention is trained to
keep its accuracy while one modality of every sample is corrupted (the slides' two stages).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gw_agents.domains.base import mlp
from gw_agents.fitting import FitConfig, fit, seed_torch
from gw_agents.objective import random_weights
from gw_agents.workspace.attention import PRESETS, Attention, AttentionConfig
from gw_agents.workspace.corruption import corrupt
from gw_agents.workspace.model import Workspace

Latents = Mapping[str, Tensor]


@dataclass(frozen=True)
class SelectionConfig:
    """How the classifier and the attention are trained."""

    steps: int = 800
    """Optimiser steps of each."""
    batch_size: int = 512
    """Samples a step."""
    learning_rate: float = 5e-3
    """Peak learning rate of each."""
    low_sigma: float = 0.3
    """Smallest noise of training; each sample's sigma is drawn log-uniformly between this and `high_sigma`."""
    high_sigma: float = 100.0
    """Largest noise of training."""


def _fit(module: nn.Module, loss, config: SelectionConfig, seed: int) -> None:
    plan = FitConfig(config.steps, config.batch_size, config.learning_rate, warmup=0.05, seed=seed)
    fit(module, loss, plan)
    module.requires_grad_(False).eval()


def train_classifier(
    workspace: Workspace, latents: Latents, labels: Tensor, seed: int, config: SelectionConfig
) -> nn.Sequential:
    """A classifier of clean z, frozen.

    Args:
        workspace: frozen.
        latents: {modality: (N, L_d)} of clean scenes.
        labels: (N,) class indices.
        seed: of weights and batches.
        config: how to train.
    """
    seed_torch(seed, 1)
    classifier = mlp([workspace.config.width, 64, int(labels.max()) + 1])
    with torch.no_grad():
        codes = workspace.encode(latents)

    def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = torch.randint(len(labels), (config.batch_size,))
        z = workspace.fuse({name: code[rows] for name, code in codes.items()}, random_weights(len(rows), len(codes)))
        error = cross_entropy(classifier(z), labels[rows])
        return error, {"cross_entropy": error}

    _fit(classifier, loss, config, seed)
    return classifier


def train_attention(
    preset: str,
    workspace: Workspace,
    classifier: nn.Module,
    latents: Latents,
    labels: Tensor,
    seed: int,
    config: SelectionConfig,
    directions: Latents | None = None,
    subsets: Sequence[tuple[str, ...]] | None = None,
) -> Attention:
    """An attention module that keeps the frozen classifier right under noise.

    Args:
        preset: a name in `gw_agents.workspace.attention.PRESETS`.
        workspace: frozen.
        classifier: frozen, of z.
        latents: {modality: (N, L_d)} of clean scenes.
        labels: (N,) class indices.
        seed: of weights, batches and noise.
        config: how to train.
        directions: fixed noise directions, or None for random ones.
        subsets: which modalities are present, one subset picked at each step; all of them by default.
    """
    if preset not in PRESETS:
        raise ValueError(f"unknown attention preset {preset!r}: the presets are {', '.join(PRESETS)}")
    seed_torch(seed, 2)
    widths = {name: rows.shape[1] for name, rows in latents.items()}
    attention = Attention(AttentionConfig(widths, workspace.config.width, **PRESETS[preset]))
    choices = list(subsets or [tuple(latents)])

    def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = torch.randint(len(labels), (config.batch_size,))
        present = choices[int(torch.randint(len(choices), ()))]
        span = torch.rand(len(rows))
        sigma = config.low_sigma * (config.high_sigma / config.low_sigma) ** span
        batch = corrupt(
            {name: latents[name][rows] for name in present}, sigma, torch.default_generator, directions
        ).latents
        with torch.no_grad():
            codes = workspace.encode(batch)
        z = workspace.fuse(codes, attention(batch, codes, workspace))
        error = cross_entropy(classifier(z), labels[rows])
        return error, {"cross_entropy": error}

    _fit(attention, loss, config, seed)
    return attention


@torch.inference_mode()
def noisy_accuracy(
    attention: Attention,
    workspace: Workspace,
    classifier: nn.Module,
    latents: Latents,
    labels: Tensor,
    sigma: float,
    subsets: Sequence[tuple[str, ...]],
    seed: int = 0,
) -> float:
    """Accuracy averaged over `subsets` of modalities, one of them corrupted; arguments as for `train_attention`."""
    generator = torch.Generator().manual_seed(seed)
    right = []
    for present in subsets:
        batch = corrupt({name: latents[name] for name in present}, sigma, generator).latents
        codes = workspace.encode(batch)
        z = workspace.fuse(codes, attention(batch, codes, workspace))
        right.append((classifier(z).argmax(-1) == labels).float().mean())
    return float(torch.stack(right).mean())
