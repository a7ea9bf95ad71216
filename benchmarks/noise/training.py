"""The trainings of the noise benchmark, each in its own cell: workspaces, classifiers, attention,
and networks without a workspace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.harness.cells import Cell, Place, TrainingCell, alone
from benchmarks.harness.tensors import read_workspaces, write_tensors, write_workspaces
from benchmarks.noise.data import SceneData, data_of, shipped
from benchmarks.noise.networks import build_network
from gw_agents.checkpoint import load_into
from gw_agents.domains.base import mlp, vague_modalities
from gw_agents.learning.attention import (
    Damage,
    Loss,
    SelectionConfig,
    classification_loss,
    restoration_loss,
    train_attention,
    train_classifier,
)
from gw_agents.learning.latents import scene_latents
from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_agents.learning.workspaces import TrainingPlan, train_workspaces
from gw_agents.workspace.attention import PRESETS, Attention, AttentionConfig
from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import preset_called
from gw_envs.corruption import KINDS
from gw_envs.observation import MODALITIES

RATES = (2e-3, 5e-3, 1.2e-2)
"""Learning rates that every trained method is tried with, in the full form."""
SEARCH_SEED = 100
WORKSPACE_SCENES = 100_000
"""Training scenes of each seed's own workspace, all matched, as for the shipped one."""


@dataclass(frozen=True)
class Workspaces(TrainingCell):
    """Trains workspaces as the shipped one was, from other weights and batches, in one stack."""

    weights: str
    """Fingerprints of the shipped workspace and attention."""
    steps: int
    """Optimizer steps of each."""
    layer_norm: bool
    """Whether hidden layers are the shipped ones, or plain ReLU layers as published."""
    seeds: tuple[int, ...]
    scenes: int = WORKSPACE_SCENES
    losses: tuple[tuple[str, float], ...] = tuple(preset_called("broad+cont").items())

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, Any]:
        """Train and save the workspaces of all seeds."""
        modules, cache = shipped(place, self.scene).domain_modules, place.out / "latents"
        with alone(cache):
            latents = scene_latents(modules, self.scene, "train", 0, self.scenes, cache)
        fit_config = FitConfig(self.steps, 256, 2e-3, warmup=0.02, weight_decay=1e-3)
        workspaces = train_workspaces(
            self.config(place),
            latents,
            [torch.arange(self.scenes)] * len(self.seeds),
            self.seeds,
            TrainingPlan(fit_config, losses=dict(self.losses), vague=vague_modalities(modules)),
            label=f"{self.scene} workspaces",
        )
        write_workspaces(self.product(place), dict(zip(self.seeds, workspaces, strict=True)))
        return {}

    def config(self, place: Place) -> GWConfig:
        """Return the shape of the networks."""
        config = shipped(place, self.scene).workspace.config
        return replace(config, layer_norm=config.layer_norm and self.layer_norm)


@dataclass(frozen=True)
class Setup:
    """What all cells of a run share."""

    weights: str
    """Fingerprints of the shipped workspace and attention."""
    episodes: int
    """Episodes of the training split; validation and test have half as many."""
    training: SelectionConfig
    """How classifiers, attention and networks are trained."""
    workspaces: Workspaces | None = None
    """The workspaces of the seeds; None for the shipped one."""

    @property
    def networks(self) -> str:
        """Name the layers of the workspace: "layer_norm" or "published"."""
        if self.workspaces is None or self.workspaces.layer_norm:
            return "layer_norm"
        return "published"

    @property
    def redraws(self) -> str:
        """Say what differs from seed to seed."""
        own = "" if self.workspaces is None else "workspace, "
        return f"{own}classifier, attention, noise"

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the workspaces, if there is any."""
        return () if self.workspaces is None else (self.workspaces,)


@dataclass(frozen=True)
class Classifier(TrainingCell):
    """Trains a classifier of clean workspace vectors, frozen for all tests."""

    setup: Setup
    label: str
    seed: int

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the workspace."""
        return self.setup.needs()

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, Any]:
        """Train and save."""
        data = data_of(place, self.scene, self.setup.episodes)
        module = train_classifier(
            load_workspace(self.setup, place, self.scene, self.seed),
            data.latents("train"),
            data.classes("train", self.label),
            self.seed,
            self.setup.training,
        )
        write_tensors(self.product(place), module.state_dict())
        return {}


@dataclass(frozen=True)
class Corruption:
    """The corruption of latents while a method learns."""

    noise: str
    """Latent noise on one modality ("fixed" or "random"), or "everything": random noise and failing
    sensors."""
    sigma: float | None = None
    """Standard deviation of the noise, if it is not drawn from the range of the setup."""
    without: str | None = None
    """Kind of failure that is left out of "everything"."""

    def __str__(self) -> str:
        return self.noise if self.sigma is None else f"{self.noise} at {self.sigma:g}"

    def damage(self, data: SceneData, config: SelectionConfig, seed: int) -> Damage:
        """Return the function that corrupts latents of the training split."""
        if self.sigma is not None:
            config = replace(config, low_sigma=self.sigma, high_sigma=self.sigma)
        if self.noise != "everything":
            return Damage(config, data.directions(self.noise, seed))
        failures = {}
        for name, latents in data.failures("train").items():
            kept = [index for index, kind in enumerate(KINDS[name]) if kind != self.without]
            failures[name] = latents[kept]
        return Damage(config, None, failures, 2, 0.1)


EVERYTHING = Corruption("everything")


@dataclass(frozen=True)
class TrainedModule(TrainingCell):
    """Trains a module on corrupted latents, with the learning rate that its search chose."""

    setup: Setup
    seed: int
    """Seed of the workspace, and of weights and batches."""
    corruption: Corruption
    subsets: tuple[tuple[str, ...], ...]
    """Sets of modalities that are present, one picked at each step."""
    search: "Cell | None"
    """The `RateSearch` that chooses the learning rate; None for that of the setup."""

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the workspace, and the search."""
        return self.setup.needs() + (() if self.search is None else (self.search,))

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, float]:
        """Train with the best learning rate and save. Metrics: {"learning_rate"}."""
        rate = self.setup.training.learning_rate
        if self.search is not None:
            rate = max(needed[-1], key=lambda trial: trial["accuracy"])["learning_rate"]
        write_tensors(self.product(place), self.train(place, rate).state_dict())
        return {"learning_rate": rate}

    def train(self, place: Place, rate: float, draw: int | None = None) -> nn.Module:
        """Train; `draw` seeds weights and batches in place of the cell's seed."""
        raise NotImplementedError

    def build(self, place: Place, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Build the module into which the tensors are loaded."""
        raise NotImplementedError


@dataclass(frozen=True)
class TrainedAttention(TrainedModule):
    """Trains attention on a frozen workspace."""

    design: str
    """Name of a preset of attention."""
    label: str | None
    """Label that the attention keeps right; None to restore the clean z, without labels."""

    @property
    def classifier(self) -> Classifier | None:
        """The classifier that must stay right."""
        if self.label is None:
            return None
        return Classifier(self.scene, self.setup, self.label, self.seed)

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of workspace and classifier, and the search."""
        classifier = self.classifier
        return (() if classifier is None else (classifier,)) + super().needs()

    def train(self, place: Place, rate: float, draw: int | None = None) -> Attention:
        """Train the attention."""
        data = data_of(place, self.scene, self.setup.episodes)
        config = replace(self.setup.training, learning_rate=rate)
        loss: Loss = restoration_loss
        if (classifier := self.classifier) is not None:
            labels = data.classes("train", classifier.label)
            loss = classification_loss(load_classifier(classifier, place), labels)
        learned = {name for subset in self.subsets for name in subset}
        return train_attention(
            self.design,
            load_workspace(self.setup, place, self.scene, self.seed),
            loss,
            data.latents("train", [name for name in MODALITIES if name in learned]),
            self.seed if draw is None else draw,
            self.corruption.damage(data, config, self.seed),
            self.subsets,
            data.latents("train"),
        )

    def build(self, place: Place, tensors: Mapping[str, Tensor]) -> Attention:
        """Build the attention with weights that are not trained."""
        workspace = load_workspace(self.setup, place, self.scene, self.seed)
        widths = dict(workspace.config.latent_widths)
        return Attention(AttentionConfig(widths, workspace.config.z_width, **PRESETS[self.design]))


@dataclass(frozen=True)
class TrainedNetwork(TrainedModule):
    """Trains a network that names classes without attention."""

    network: str
    """One of `NETWORKS`."""
    label: str

    def train(self, place: Place, rate: float, draw: int | None = None) -> nn.Module:
        """Train the network on the samples that the best attention learns from."""
        data = data_of(place, self.scene, self.setup.episodes)
        latents, classes = data.latents("train"), data.classes("train", self.label)
        config = replace(self.setup.training, learning_rate=rate)
        seed_torch(self.seed, 3)
        module = self._build(place, int(classes.max()) + 1)
        damage = self.corruption.damage(data, config, self.seed)

        def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
            rows = torch.randint(len(classes), (config.batch_size,))
            present = self.subsets[int(torch.randint(len(self.subsets), ()))]
            clean = {name: latents[name][rows] for name in present}
            error = cross_entropy(module(damage(clean, rows)), classes[rows])
            return error, {"cross_entropy": error}

        fit_config = FitConfig(config.steps, config.batch_size, rate, warmup=0.05, seed=self.seed)
        fit(module, loss, fit_config)
        return module.requires_grad_(False).eval()

    def build(self, place: Place, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Build the network with weights that are not trained."""
        return self._build(place, len(tensors["head.2.bias"]))

    def _build(self, place: Place, classes: int) -> nn.Module:
        workspace = load_workspace(self.setup, place, self.scene, self.seed)
        return build_network(self.network, workspace, dict(workspace.config.latent_widths), classes)


@lru_cache(maxsize=8)
def load_workspace(setup: Setup, place: Place, scene: str, seed: int) -> Workspace:
    """Return the frozen workspace of a seed: the shipped one, or its own."""
    cell = setup.workspaces
    if cell is None:
        return shipped(place, scene).workspace
    own = cell.seeds[seed]
    return read_workspaces(cell.product(place), cell.config(place), [own])[own]


@lru_cache(maxsize=16)
def load_classifier(cell: Classifier, place: Place) -> nn.Module:
    """Return a frozen classifier of z whose training is finished."""
    path = cell.product(place)
    tensors = safetensors.torch.load_file(path)
    width = load_workspace(cell.setup, place, cell.scene, cell.seed).config.z_width
    classes = len(tensors["2.bias"])
    return _filled(mlp([width, 64, classes]), tensors, path)


@lru_cache(maxsize=16)
def load_module(cell: TrainedModule, place: Place) -> nn.Module:
    """Return a frozen module whose training is finished."""
    path = cell.product(place)
    tensors = safetensors.torch.load_file(path)
    return _filled(cell.build(place, tensors), tensors, path)


def _filled(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> nn.Module:
    load_into(module, dict(tensors), str(path))
    return module.requires_grad_(False).eval()
