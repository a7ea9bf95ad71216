"""The methods of the noise benchmark: how each names classes from corrupted latents.

constant         the one modality that does best on the validation split, always
none             equal weights of all modalities
oracle           equal weights of the uncorrupted modalities, which no method can know
one_step, ...    attention, by the name of its preset, trained on the task
best             the attention that the shipped weights call best, trained without labels
concatenation, cross_attention, none_trained    networks trained end to end, without attention
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.harness.cells import Cell, Place
from benchmarks.noise.data import SETS, SIGMAS, SceneData, data_of, main_label
from benchmarks.noise.networks import NETWORKS
from benchmarks.noise.training import (
    EVERYTHING,
    SEARCH_SEED,
    Classifier,
    Corruption,
    Setup,
    TrainedAttention,
    TrainedModule,
    TrainedNetwork,
    load_classifier,
    load_module,
    load_workspace,
)
from gw_agents.learning.attention import every_subset
from gw_agents.workspace.attention import UNTRAINED as UNTRAINED_ATTENTION
from gw_agents.workspace.attention import Attention
from gw_agents.workspace.model import Workspace
from gw_envs.observation import MODALITIES

UNTRAINED = ("constant", "none", "oracle")
"""Methods with nothing to train but the classifier."""

Weigh = Callable[[Mapping[str, Tensor], Tensor], Tensor | None]
"""({modality: (B, L_d)} latents, (B, D) which are corrupted) -> (B, D) weights; None for even."""
Classify = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""({modality: (B, L_d)} latents, (B, D) which are corrupted) -> (B,) classes."""
Batch = tuple[Mapping[str, Tensor], Tensor]
"""Latents, and which are corrupted."""


@dataclass(frozen=True)
class Study:
    """The frozen workspace and classifiers of one seed, with the data of its scene."""

    place: Place
    scene: str
    setup: Setup
    seed: int

    @property
    def data(self) -> SceneData:
        """The scene's observations."""
        return data_of(self.place, self.scene, self.setup.episodes)

    @property
    def workspace(self) -> Workspace:
        """The frozen workspace."""
        return load_workspace(self.setup, self.place, self.scene, self.seed)

    def classifier(self, label: str | None = None) -> nn.Module:
        """Return the frozen classifier of a label, the scene's three-class one by default."""
        cell = classifier_cell(self.scene, self.setup, self.seed, label)
        return load_classifier(cell, self.place)

    def through(self, weigh: Weigh, label: str | None = None) -> Classify:
        """Return the function from latents to classes: fusion weights, workspace, classifier."""

        @torch.no_grad()
        def classify(latents: Mapping[str, Tensor], corrupted: Tensor) -> Tensor:
            codes = self.workspace.encode(latents)
            z = self.workspace.fuse(codes, weigh(latents, corrupted))
            return self.classifier(label)(z).argmax(-1)

        return classify

    def accuracy(
        self, classify: Classify, batch: Batch, split: str = "test", label: str | None = None
    ) -> float:
        """Return the fraction of a split whose class is named right."""
        classes = self.data.classes(split, label or main_label(self.scene))
        return float((classify(*batch) == classes).float().mean())

    def noisy(
        self, modalities: Sequence[str], noise: str, sigma: float, split: str = "test", **more: Any
    ) -> Batch:
        """Return a split under latent noise."""
        corrupted = self.data.noisy(split, modalities, noise, sigma, self.seed, **more)
        return corrupted.latents, corrupted.is_corrupted


def classifier_cell(scene: str, setup: Setup, seed: int, label: str | None = None) -> Classifier:
    """Return the training of a classifier, of the scene's three-class label by default."""
    return Classifier(scene, setup, label or main_label(scene), seed)


def even(latents: Mapping[str, Tensor], corrupted: Tensor) -> None:
    """Weigh all modalities alike."""


def oracle(latents: Mapping[str, Tensor], corrupted: Tensor) -> Tensor:
    """Weigh the uncorrupted modalities alike, and all of them where none is clean."""
    clean = (~corrupted).float()
    clean = torch.where(clean.any(1, keepdim=True), clean, 1.0)
    return clean / clean.sum(1, keepdim=True)


def by_attention(attention: nn.Module, workspace: Workspace) -> Weigh:
    """Weigh by an attention module."""

    def weigh(latents: Mapping[str, Tensor], corrupted: Tensor) -> Tensor:
        return attention(latents, workspace.encode(latents), workspace)

    return weigh


def by_network(module: nn.Module) -> Classify:
    """Name the class with the highest score of a network."""
    return lambda latents, corrupted: module(latents).argmax(-1)


def constant(study: Study, label: str | None, batches: Sequence[Batch]) -> Weigh:
    """Always weigh one modality alone: the one that does best on validation batches."""

    def always(row: Tensor) -> Weigh:
        return lambda latents, corrupted: row.expand(len(corrupted), -1)

    def score(row: Tensor) -> float:
        classify = study.through(always(row), label)
        return float(
            np.mean([study.accuracy(classify, batch, "validation", label) for batch in batches])
        )

    return always(max(torch.eye(batches[0][1].shape[1]), key=score))


@dataclass(frozen=True)
class Method:
    """A way to name classes, the same for every seed."""

    name: str
    design: str | None = None
    """Preset of its attention, if it has one."""
    label: str | None = None
    """Label that it learns from; None if it needs none."""
    corruption: Corruption | None = None
    """What corrupts latents while it learns; None if it learns nothing but the classifier."""
    subsets: tuple[tuple[str, ...], ...] = ()
    """Sets of modalities that are present while it learns, one picked at each step."""
    tried: "Method | None" = None
    """The method whose search chooses the learning rate; None for the setup's learning rate."""
    rates: tuple[float, ...] = ()
    """Learning rates of the search."""

    @property
    def trained_on(self) -> str:
        """Name the corruption of latents while it learns."""
        return "clean" if self.corruption is None else str(self.corruption)

    def training(self, scene: str, setup: Setup, seed: int) -> TrainedModule | None:
        """Return the cell that trains it for a seed; None if it learns nothing."""
        if self.corruption is None:
            return None
        search = None
        if self.tried is not None:
            of = self.tried.training(scene, setup, 0)
            assert of is not None
            search = RateSearch(scene, setup, of, self.rates, SEARCH_SEED)
        shared = (scene, setup, seed, self.corruption, self.subsets, search)
        if self.design is not None:
            return TrainedAttention(*shared, design=self.design, label=self.label)
        return TrainedNetwork(*shared, network=self.name, label=str(self.label))

    def needs(self, scene: str, setup: Setup, seed: int) -> tuple[Cell, ...]:
        """Return the trainings that it depends on."""
        module = self.training(scene, setup, seed)
        return (*setup.needs(), *(() if module is None else (module,)))

    def load(self, study: Study) -> nn.Module | None:
        """Return its trained module; None if it learns nothing."""
        cell = self.training(study.scene, study.setup, study.seed)
        return None if cell is None else load_module(cell, study.place)

    def weigh(
        self, study: Study, label: str | None, validation: Callable[[], Sequence[Batch]]
    ) -> Weigh:
        """Return its fusion weights; `validation` makes the batches by which "constant" chooses."""
        if self.design is not None:
            module = self.load(study)
            assert module is not None
            return by_attention(module, study.workspace)
        if self.name == "constant":
            return constant(study, label, validation())
        return {"none": even, "oracle": oracle}[self.name]

    def classify(
        self, study: Study, label: str | None, validation: Callable[[], Sequence[Batch]]
    ) -> Classify:
        """Return the function that names classes by this method."""
        if self.name not in NETWORKS:
            return study.through(self.weigh(study, label, validation), label)
        module = self.load(study)
        assert module is not None
        return by_network(module)


def searched(method: Method, rates: tuple[float, ...], tried: Method | None = None) -> Method:
    """Return the method with a search of its learning rate, tried on `tried` or itself; without
    rates as it is."""
    return replace(method, tried=tried or method, rates=rates) if rates else method


def task_attention(
    name: str,
    label: str,
    modalities: tuple[str, ...],
    corruption: Corruption,
    rates: tuple[float, ...],
) -> Method:
    """Return attention that learns from a label, by the name of its preset.

    Rates are tried with all modalities in random noise; attention that learns from other noise is
    not searched.
    """
    method = Method(name, name, label, corruption, (modalities,))
    if name in UNTRAINED_ATTENTION or corruption != Corruption("random"):
        return method
    return searched(method, rates, replace(method, subsets=(MODALITIES,)))


def best_attention(
    design: str,
    rates: tuple[float, ...],
    modalities: tuple[str, ...] = MODALITIES,
    corruption: Corruption = EVERYTHING,
) -> Method:
    """Return the shipped design, which learns from everything and needs no labels."""
    tried = Method("best", design, None, EVERYTHING, tuple(every_subset(MODALITIES)))
    method = replace(tried, corruption=corruption, subsets=tuple(every_subset(modalities)))
    return searched(method, rates, tried)


def network(
    name: str, label: str, rates: tuple[float, ...], corruption: Corruption = EVERYTHING
) -> Method:
    """Return a network by its name in `NETWORKS`."""
    tried = Method(name, None, label, EVERYTHING, SETS)
    return searched(replace(tried, corruption=corruption), rates, tried)


@dataclass(frozen=True)
class RateSearch(Cell):
    """Tries learning rates for a training. Metrics: [{"learning_rate", "accuracy"}].

    The accuracy is that on the validation split while one of all modalities is in random noise.
    """

    FILE = "training"

    setup: Setup
    of: TrainedModule
    rates: tuple[float, ...]
    seed: int
    """Seed of the weights and batches of attention."""

    def needs(self) -> tuple[Cell, ...]:
        """Return what the training needs, and the classifier that judges it."""
        return (*self.of.needs(), classifier_cell(self.scene, self.setup, self.of.seed))

    def compute(self, place: Place, needed: Sequence[Any]) -> list[dict[str, float]]:
        """Train with every learning rate and measure."""
        study = Study(place, self.scene, self.setup, self.of.seed)
        trials = []
        for rate in self.rates:
            module = self.of.train(place, rate, self.seed)
            classify = by_network(module)
            if isinstance(module, Attention):
                classify = study.through(by_attention(module, study.workspace))
            scores = []
            for sigma in SIGMAS:
                batch = study.noisy(MODALITIES, "random", sigma, "validation")
                scores.append(study.accuracy(classify, batch, "validation"))
            trials.append({"learning_rate": rate, "accuracy": float(np.mean(scores))})
        return trials
