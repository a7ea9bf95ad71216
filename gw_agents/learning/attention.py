"""Teaching attention which modality to trust, on a frozen workspace, while modalities are corrupted.

As published, in two stages: a classifier is trained on clean workspace vectors under random fusion weights and frozen;
then attention is trained to keep it right while one modality of every sample is corrupted. The other way here needs no
labels: attention is trained to restore the workspace vector that the clean observation would have given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gw_agents.domains.base import Domain, mlp
from gw_agents.learning.latents import encode_rows
from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_agents.workspace.attention import PRESETS, Attention, AttentionConfig
from gw_agents.workspace.latent_noise import corrupt, replace_rows
from gw_agents.workspace.model import Workspace
from gw_agents.workspace.objective import random_weights
from gw_envs.corruption import corrupt as corrupt_rows

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
    classifier = mlp([workspace.config.z_width, 64, int(labels.max()) + 1])
    with torch.no_grad():
        codes = workspace.encode(latents)

    def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = torch.randint(len(labels), (config.batch_size,))
        z = workspace.fuse(
            {name: code[rows] for name, code in codes.items()},
            random_weights(len(rows), len(codes)),
        )
        error = cross_entropy(classifier(z), labels[rows])
        return error, {"cross_entropy": error}

    _fit(classifier, loss, config, seed)
    return classifier


Loss = Callable[[Tensor, Callable[[], Tensor], Tensor], Tensor]
"""((B, Z) z of corrupted latents, gives (B, Z) z of the clean ones evenly fused, (B,) scene numbers) -> () error."""


def keeps_right(classifier: nn.Module, labels: Tensor) -> Loss:
    """The published loss: cross-entropy of a frozen classifier of z; `labels` (N,) are class indices of the scenes."""
    return lambda z, clean, rows: cross_entropy(classifier(z), labels[rows])


def restores(z: Tensor, clean: Callable[[], Tensor], rows: Tensor) -> Tensor:
    """Needs no labels: the squared distance to the clean z."""
    return (z - clean()).square().mean()


@dataclass(frozen=True)
class Damage:
    """What happens to latents while attention learns."""

    config: SelectionConfig
    """How strong latent noise is."""
    directions: Latents | None = None
    """Fixed directions of latent noise, or None for random ones."""
    failures: Mapping[str, Tensor] | None = None
    """{modality: (K, N, L_d)} latents of the same N scenes as K failing sensors show them; None for latent noise alone.
    Where given, half of what is corrupted is so."""
    most: int = 1
    """How many modalities fail at once, at most; at least one always stays clean."""
    clean: float = 0.0
    """Fraction of samples in which nothing fails."""

    def __call__(self, latents: Latents, rows: Tensor) -> dict[str, Tensor]:
        """Corrupt {modality: (B, L_d)}, the latents of the scenes `rows` (B,); draws from torch's generator."""
        count, low, high = len(rows), self.config.low_sigma, self.config.high_sigma
        sigma = low * (high / low) ** torch.rand(count)
        number = torch.randint(1, max(2, min(self.most + 1, len(latents))), (count,))
        number = torch.where(torch.rand(count) < self.clean, 0, number)
        noisy = corrupt(latents, sigma, torch.default_generator, self.directions, number)
        if self.failures is None:
            return noisy.latents
        shown = {
            name: kinds[torch.randint(len(kinds), (count,)), rows]
            for name, kinds in self.failures.items()
        }
        by_sensor = torch.rand(noisy.is_corrupted.shape) < 0.5
        return replace_rows(noisy.latents, shown, noisy.is_corrupted & by_sensor)


def every_subset(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """All subsets of two or more."""
    return [
        names for size in range(2, len(modalities) + 1) for names in combinations(modalities, size)
    ]


def train_attention(
    preset: str,
    workspace: Workspace,
    loss_of: Loss,
    latents: Latents,
    seed: int,
    damage: Damage,
    subsets: Sequence[tuple[str, ...]] | None = None,
    every: Latents | None = None,
) -> Attention:
    """An attention module that keeps a loss low while modalities are corrupted.

    Args:
        preset: a name in `gw_agents.workspace.attention.PRESETS`.
        workspace: frozen.
        loss_of: `keeps_right(...)` or `restores`.
        latents: {modality: (N, L_d)} of clean scenes, to learn from.
        seed: of weights, batches and noise.
        damage: what happens to them.
        subsets: which modalities are present, one subset picked at each step; all of them by default.
        every: {modality: (N, L_d)} clean latents of all modalities that the attention will ever see, if they are more
            than it learns from: they are looked at once, for what errors are usual.
    """
    if preset not in PRESETS:
        raise ValueError(
            f"unknown attention preset {preset!r}: the presets are {', '.join(PRESETS)}"
        )
    seed_torch(seed, 2)
    known = latents if every is None else every
    widths = {name: rows.shape[1] for name, rows in known.items()}
    attention = Attention(AttentionConfig(widths, workspace.config.z_width, **PRESETS[preset]))
    attention.calibrate(known, workspace)
    choices, config = list(subsets or [tuple(latents)]), damage.config
    count = len(next(iter(latents.values())))

    def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = torch.randint(count, (config.batch_size,))
        present = choices[int(torch.randint(len(choices), ()))]
        clean = {name: latents[name][rows] for name in present}
        shown = damage(clean, rows)
        with torch.no_grad():
            codes = workspace.encode(shown)
        z = workspace.fuse(codes, attention(shown, codes, workspace))
        error = loss_of(z, lambda: workspace.fuse(workspace.encode(clean)), rows)
        return error, {"error": error}

    if attention.trainable:
        _fit(attention, loss, config, seed)
    return attention.requires_grad_(False).eval()


@torch.inference_mode()
def robust_accuracy(
    attention: Attention,
    workspace: Workspace,
    classifier: nn.Module,
    latents: Latents,
    labels: Tensor,
    failures: Latents,
    subsets: Sequence[tuple[str, ...]],
    sigmas: Sequence[float] = (0.0, 3.0, 10.0, 30.0, 100.0),
) -> dict[str, float]:
    """{"noise": accuracy under latent noise on one modality, "sensors": while one sensor of all fails}.

    Args:
        attention: what is judged.
        workspace: frozen.
        classifier: frozen, of z.
        latents: {modality: (N, L_d)} of clean scenes.
        labels: (N,) class indices.
        failures: {modality: (K, N, L_d)} as from `failed_latents`.
        subsets: of modalities, over which the accuracy under noise is averaged.
        sigmas: standard deviations of the noise.
    """

    def right(shown: Latents) -> float:
        codes = workspace.encode(shown)
        found = classifier(workspace.fuse(codes, attention(shown, codes, workspace))).argmax(-1)
        return float((found == labels).float().mean())

    noise = []
    for present, sigma in product(subsets, sigmas):
        clean = {name: latents[name] for name in present}
        noise.append(right(corrupt(clean, sigma, torch.Generator().manual_seed(0)).latents))
    sensors = [right({**latents, name: rows}) for name, kinds in failures.items() for rows in kinds]
    return {"noise": float(np.mean(noise)), "sensors": float(np.mean(sensors))}


def failed_latents(
    domains: Mapping[str, Domain],
    shown: Mapping[str, NDArray],
    kinds: Mapping[str, Sequence[str]],
    seed: int,
    severity: tuple[float, float] = (1.0, 1.0),
) -> dict[str, Tensor]:
    """Latents of observations as failing sensors show them: {modality: (K, N, L_d)}, one of the K for each kind.

    Args:
        domains: frozen domain modules.
        shown: {modality: (N, ...)} observations.
        kinds: {modality: K names in `gw_envs.corruption.KINDS`}. What a frozen sensor still shows is the observation
            of the row before, another episode's.
        seed: of what happens.
        severity: drawn evenly from this range for every row.
    """
    found = {}
    for name, names in kinds.items():
        parts = []
        for kind in names:
            rng = np.random.default_rng([seed, *kind.encode()])
            strength = rng.uniform(*severity, len(shown[name]))
            rows = corrupt_rows(
                name, kind, shown[name], strength, rng, previous=np.roll(shown[name], 1, 0)
            )
            parts.append(encode_rows({name: domains[name]}, {name: rows})[name])
        found[name] = torch.stack(parts)
    return found
