"""Train attention on a frozen workspace, while modalities are corrupted.

The published way has two stages: a classifier is trained on clean workspace vectors under random
fusion weights and frozen; then attention is trained to keep its classes right while one modality of
every sample is corrupted. The other way here needs no labels: attention is trained to restore the
workspace vector that the clean observation would have given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gw_agents.domains.base import Domain, mlp
from gw_agents.learning.latents import encode_rows
from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_agents.workspace.attention import PRESETS, UNTRAINED, Attention, AttentionConfig
from gw_agents.workspace.latent_noise import corrupt, replace_rows
from gw_agents.workspace.model import Workspace
from gw_agents.workspace.objective import random_weights
from gw_envs.corruption import corrupt as corrupt_rows
from gw_envs.errors import check_choice, check_number, check_whole

Latents = Mapping[str, Tensor]


@dataclass(frozen=True)
class SelectionConfig:
    """How the classifier and the attention are trained."""

    steps: int = 800
    """Optimizer steps of each."""
    batch_size: int = 512
    """Samples in a batch."""
    learning_rate: float = 5e-3
    """Peak learning rate of each."""
    low_sigma: float = 0.3
    """Smallest noise of training; each sample's sigma is drawn log-uniformly from here on."""
    high_sigma: float = 100.0
    """Largest noise of training."""

    def check(self) -> None:
        """Raise InputError on a number that makes no sense."""
        self.fit_config(0)
        check_number("low_sigma", self.low_sigma, above=0.0)
        check_number("high_sigma", self.high_sigma, self.low_sigma)

    def fit_config(self, seed: int) -> FitConfig:
        """Return the settings of the training loop."""
        return FitConfig(self.steps, self.batch_size, self.learning_rate, warmup=0.05, seed=seed)


def train_classifier(
    workspace: Workspace, latents: Latents, labels: Tensor, seed: int, config: SelectionConfig
) -> nn.Sequential:
    """Train a classifier of clean workspace vectors.

    Args:
        workspace: frozen.
        latents: {modality: (N, L_d)} of clean scenes.
        labels: (N,) class indices.
        seed: of weights and batches.
        config: how to train.

    Returns:
        The classifier, frozen: (B, Z) -> (B, classes).
    """
    seed_torch(seed, 1)
    classifier = mlp([workspace.config.z_width, 64, int(labels.max()) + 1]).to(labels.device)
    with torch.no_grad():
        codes = workspace.encode(latents)

    def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = torch.randint(len(labels), (config.batch_size,), device=labels.device)
        batch = {name: code[rows] for name, code in codes.items()}
        weights = random_weights(len(rows), len(codes)).to(labels.device)
        error = cross_entropy(classifier(workspace.fuse(batch, weights)), labels[rows])
        return error, {"cross_entropy": error}

    fit(classifier, loss, config.fit_config(seed), freeze=True)
    return classifier


Loss = Callable[[Tensor, Callable[[], Tensor], Tensor], Tensor]
"""((B, Z) z of corrupted latents, gives (B, Z) z of the clean ones, (B,) rows of the data) -> ()"""


def classification_loss(classifier: nn.Module, labels: Tensor) -> Loss:
    """Make the published loss: cross-entropy of a frozen classifier of z; `labels` are (N,)."""
    return lambda z, clean, rows: cross_entropy(classifier(z), labels[rows])


def restoration_loss(z: Tensor, clean: Callable[[], Tensor], rows: Tensor) -> Tensor:
    """Compute the squared distance to the z of the clean latents; needs no labels."""
    return (z - clean()).square().mean()


@dataclass(frozen=True)
class Damage:
    """What happens to latents while attention learns."""

    config: SelectionConfig
    """How strong latent noise is."""
    directions: Latents | None = None
    """Fixed directions of latent noise, or None for random ones."""
    failures: Mapping[str, Tensor] | None = None
    """{modality: (K, N, L_d)} latents of the same N scenes as K failing sensors show them. They
    replace half of what is corrupted; None for latent noise alone."""
    max_corrupted: int = 1
    """Largest number of modalities corrupted at once; at least one always stays clean."""
    p_clean: float = 0.0
    """Fraction of samples in which nothing is corrupted."""

    def __post_init__(self) -> None:
        """Raise InputError on a number that makes no sense."""
        self.config.check()
        check_whole("max_corrupted", self.max_corrupted, 1)
        check_number("p_clean", self.p_clean, 0.0, 1.0)

    def __call__(self, latents: Latents, rows: Tensor) -> dict[str, Tensor]:
        """Corrupt {modality: (B, L_d)}, the latents of (B,) `rows`, by torch's generator."""
        count, device = len(rows), rows.device
        low, high = self.config.low_sigma, self.config.high_sigma
        sigma = low * (high / low) ** torch.rand(count, device=device)
        most = max(2, min(self.max_corrupted + 1, len(latents)))
        number = torch.randint(1, most, (count,), device=device)
        is_clean = torch.rand(count, device=device) < self.p_clean
        number = torch.where(is_clean, 0, number)
        noisy = corrupt(latents, sigma, default_generator(device), self.directions, number)
        if self.failures is None:
            return noisy.latents
        failed = {
            name: kinds[torch.randint(len(kinds), (count,), device=device), rows]
            for name, kinds in self.failures.items()
        }
        by_sensor = torch.rand(noisy.is_corrupted.shape, device=device) < 0.5
        return replace_rows(noisy.latents, failed, noisy.is_corrupted & by_sensor)


def default_generator(device: torch.device) -> torch.Generator:
    """Return the generator that `seed_torch` seeds on a device."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator


def every_subset(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """List all subsets of two or more modalities."""
    sizes = range(2, len(modalities) + 1)
    return [names for size in sizes for names in combinations(modalities, size)]


def make_attention(preset: str, workspace: Workspace, latents: Latents, seed: int = 0) -> Attention:
    """Make an attention module and calibrate it on clean latents.

    The untrained rules, `demi_cycle` and `agreement`, are complete after this.

    Args:
        preset: a name in `gw_agents.workspace.attention.PRESETS`.
        workspace: frozen.
        latents: {modality: (N, L_d)} clean latents of all modalities that it will ever see.
        seed: of its initial weights.
    """
    check_choice("attention preset", preset, PRESETS)
    seed_torch(seed, 2)
    widths = {name: rows.shape[1] for name, rows in latents.items()}
    config = AttentionConfig(widths, workspace.config.z_width, **PRESETS[preset])
    attention = Attention(config).to(next(iter(latents.values())).device)
    attention.calibrate(latents, workspace)
    return attention.requires_grad_(False).eval()


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
    """Train an attention module to keep a loss low while modalities are corrupted.

    Args:
        preset: a name in `gw_agents.workspace.attention.PRESETS`.
        workspace: frozen.
        loss_of: `classification_loss(...)` or `restoration_loss`.
        latents: {modality: (N, L_d)} of clean scenes, to learn from.
        seed: of weights, batches and noise.
        damage: what happens to the latents.
        subsets: which modalities are present, one subset drawn at each step; by default all
            modalities always are.
        every: {modality: (N, L_d)} clean latents of all modalities that the attention will ever
            see, if these are more than it learns from; it is calibrated on them.

    Returns:
        The module, frozen.
    """
    attention = make_attention(preset, workspace, latents if every is None else every, seed)
    if preset in UNTRAINED:
        return attention
    choices, config = list(subsets or [tuple(latents)]), damage.config
    first = next(iter(latents.values()))

    def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = torch.randint(len(first), (config.batch_size,), device=first.device)
        present = choices[int(torch.randint(len(choices), ()))]
        clean = {name: latents[name][rows] for name in present}
        shown = damage(clean, rows)
        with torch.no_grad():
            codes = workspace.encode(shown)
        z = workspace.fuse(codes, attention(shown, codes, workspace))
        error = loss_of(z, lambda: workspace.fuse(workspace.encode(clean)), rows)
        return error, {"error": error}

    attention.requires_grad_(True)
    fit(attention, loss, config.fit_config(seed), freeze=True)
    return attention


def failed_latents(
    domains: Mapping[str, Domain],
    observations: Mapping[str, NDArray],
    kinds: Mapping[str, Sequence[str]],
    seed: int,
    severity: tuple[float, float] = (1.0, 1.0),
) -> dict[str, Tensor]:
    """Encode observations as failing sensors show them.

    Args:
        domains: frozen domain modules.
        observations: {modality: (N, ...)}. A frozen sensor shows the row before, another episode's.
        kinds: {modality: K names in `gw_envs.corruption.KINDS`}.
        seed: of what happens.
        severity: drawn evenly from this range for every row.

    Returns:
        {modality: (K, N, L_d)} latents, one of the K for each kind.
    """
    latents = {}
    for name, names in kinds.items():
        rows, parts = observations[name], []
        for kind in names:
            rng = np.random.default_rng([seed, *kind.encode()])
            strength = rng.uniform(*severity, len(rows))
            failed = corrupt_rows(name, kind, rows, strength, rng, previous=np.roll(rows, 1, 0))
            parts.append(encode_rows({name: domains[name]}, {name: failed})[name])
        latents[name] = torch.stack(parts)
    return latents
