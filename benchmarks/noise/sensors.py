"""The second half of the noise benchmark: failing sensors, and attention on tasks, kinds of failure
and a modality that were left out of its training."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from benchmarks.harness.cells import Cell, Place
from benchmarks.harness.rows import Entry, entry, mean_value
from benchmarks.noise.data import SETS, SEVERITIES, SIGMAS, main_label
from benchmarks.noise.methods import (
    Batch,
    Classify,
    Method,
    Study,
    classifier_cell,
)
from benchmarks.noise.training import EVERYTHING, Setup
from gw_agents.workspace.latent_noise import pick_modalities, replace_rows
from gw_envs.corruption import KINDS
from gw_envs.labels import CLASS_LABELS
from gw_envs.observation import MODALITIES

PAIRS_WITH_LANGUAGE = (("image", "language"), ("attributes", "language"), MODALITIES)
"""Sets of modalities that hold language, for attention that never saw it in training."""
ORACLE = Method("oracle")


@dataclass(frozen=True)
class SensorCell(Cell):
    """Measures something with the frozen workspace and classifiers of one seed."""

    FILE = "noise_robustness"

    setup: Setup
    seed: int

    def study(self, place: Place) -> Study:
        """Return the frozen workspace and classifiers of the seed."""
        return Study(place, self.scene, self.setup, self.seed)

    def needs_of(self, *methods: Method) -> tuple[Cell, ...]:
        """Return the trainings of some methods and of the classifier."""
        cells: list[Cell] = [classifier_cell(self.scene, self.setup, self.seed)]
        for method in methods:
            cells += method.needs(self.scene, self.setup, self.seed)
        return tuple(dict.fromkeys(cells))


@dataclass(frozen=True)
class SensorFailures(SensorCell):
    """Measures one method while sensors fail. Metrics: accuracies with their conditions, and the
    method's cost."""

    method: Method

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the method."""
        return self.needs_of(self.method)

    @torch.no_grad()
    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Measure with clean, failing and several corrupted sensors."""
        study, entries = self.study(place), []
        shared = {"method": self.method.name, "task": main_label(self.scene)}
        for modalities in SETS:
            classify = self.classify(study, modalities)
            condition = {**shared, "modalities": modalities}
            accuracy = study.accuracy(classify, clean_batch(study, modalities))
            entries.append(entry("accuracy", accuracy, part="clean", **condition))
            for severity in SEVERITIES:
                sensors = one_fails(study, classify, modalities, severity)
                entries += [{"part": "sensor", **condition, **figure} for figure in sensors]
                every = {"part": "all sensors", **condition, "severity": severity}
                entries.append(entry("accuracy", mean_value(sensors), **every))
        entries += [{**shared, **figure} for figure in several_corrupted(study, classify)]
        return entries + cost(study, classify, self.method)

    def classify(self, study: Study, modalities: tuple[str, ...]) -> Classify:
        """Return how the method names classes of some modalities."""

        def validation() -> list[Batch]:
            return [batch for _, batch in failing(study, modalities, 1.0, "validation")]

        return self.method.classify(study, None, validation)


def clean_batch(study: Study, modalities: Sequence[str]) -> Batch:
    """Return the test split with nothing corrupted."""
    latents = study.data.latents("test", modalities)
    count = len(next(iter(latents.values())))
    return latents, torch.zeros(count, len(modalities), dtype=torch.bool)


def failing(
    study: Study, modalities: Sequence[str], severity: float, split: str = "test"
) -> list[tuple[dict[str, str], Batch]]:
    """Return ({"corrupted", "kind"}, batch) for every sensor failing in every way."""
    clean, failures = study.data.latents(split, modalities), study.data.failures(split, severity)
    count = len(next(iter(clean.values())))
    batches: list[tuple[dict[str, str], Batch]] = []
    for column, name in enumerate(modalities):
        corrupted = torch.zeros(count, len(modalities), dtype=torch.bool)
        corrupted[:, column] = True
        for row, kind in enumerate(KINDS[name]):
            latents = {**clean, name: failures[name][row]}
            batches.append(({"corrupted": name, "kind": kind}, (latents, corrupted)))
    return batches


def one_fails(
    study: Study,
    classify: Classify,
    modalities: Sequence[str],
    severity: float = 1.0,
    label: str | None = None,
) -> list[Entry]:
    """Return the accuracy while each sensor fails in each way, by kind and corrupted modality."""
    entries = []
    for sensor, batch in failing(study, modalities, severity):
        accuracy = study.accuracy(classify, batch, label=label)
        entries.append(entry("accuracy", accuracy, severity=severity, **sensor))
    return entries


def several_corrupted(study: Study, classify: Classify) -> list[Entry]:
    """Return the accuracy with one to three of three modalities corrupted.

    Corrupted by latent noise of several sigmas, or ("sensors") by failures at severity 1, each
    sensor with its own kind.
    """
    entries = []
    for at_once in (1, 2, 3):
        batches = {"sensors": several_fail(study, at_once)}
        for sigma in SIGMAS[2:]:
            batches[f"{sigma:g}"] = study.noisy(MODALITIES, "random", sigma, at_once=at_once)
        for corruption, batch in batches.items():
            condition = {"part": "several", "modalities": MODALITIES, "at_once": at_once}
            accuracy = study.accuracy(classify, batch)
            entries.append(entry("accuracy", accuracy, **condition, corruption=corruption))
    return entries


def several_fail(study: Study, at_once: int) -> Batch:
    """Return the test split with `at_once` of all sensors failing, each with its own kind of
    failure."""
    clean, failures = study.data.latents("test"), study.data.failures("test", 1.0)
    generator = torch.Generator().manual_seed(study.seed)
    count = len(next(iter(clean.values())))
    corrupted = pick_modalities(count, len(clean), at_once, generator)
    picked = {}
    for name, kinds in failures.items():
        kind = torch.randint(len(kinds), (count,), generator=generator)
        picked[name] = kinds[kind, torch.arange(count)]
    return replace_rows(clean, picked, corrupted), corrupted


def cost(study: Study, classify: Classify, method: Method) -> list[Entry]:
    """Return the number of parameters that the method itself learned, and milliseconds a sample."""
    module, condition = method.load(study), {"part": "cost", "method": method.name}
    learned = [] if module is None else [p.numel() for p in module.parameters()]
    one = {name: rows[:1] for name, rows in study.data.latents("test").items()}
    corrupted, times = torch.zeros(1, len(one), dtype=torch.bool), []
    for _ in range(200):
        start = time.perf_counter()
        classify(one, corrupted)
        times.append(time.perf_counter() - start)
    return [
        entry("parameters", sum(learned), **condition),
        entry("milliseconds", 1000 * np.median(times), **condition),
    ]


@dataclass(frozen=True)
class Transfer(SensorCell):
    """Measures attention trained for one task and used for another. Metrics: [{"trained_for",
    "used_for", "accuracy"}], means over all sensors failing at severity 1."""

    best: Method

    @property
    def methods(self) -> dict[str, Method]:
        """Methods by training task: the best, its design for each label, and the oracle."""
        methods = {"no task": self.best}
        for label in CLASS_LABELS[self.scene]:
            methods[label] = Method(label, self.best.design, label, EVERYTHING, (MODALITIES,))
        return methods | {"oracle": ORACLE}

    def needs(self) -> tuple[Cell, ...]:
        """Return the trainings of all methods, and of the classifiers of all labels."""
        classifiers = []
        for label in CLASS_LABELS[self.scene]:
            classifiers.append(classifier_cell(self.scene, self.setup, self.seed, label))
        return (*classifiers, *self.needs_of(*self.methods.values()))

    @torch.no_grad()
    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Measure every pair of tasks."""
        study, entries = self.study(place), []
        for trained_for, method in self.methods.items():
            for label in CLASS_LABELS[self.scene]:
                classify = method.classify(study, label, list)
                accuracy = mean_value(one_fails(study, classify, MODALITIES, label=label))
                pair = {"trained_for": trained_for, "used_for": label}
                entries.append(entry("accuracy", accuracy, part="transfer", severity=1.0, **pair))
        return entries


@dataclass(frozen=True)
class UnseenKind(SensorCell):
    """Measures methods on a kind of failure that they never met in training. Metrics: [{"method",
    "modality", "kind", "accuracy"}]."""

    kind: str
    methods: tuple[Method, ...]
    """Methods that learned from everything but the kind."""

    def needs(self) -> tuple[Cell, ...]:
        """Return the trainings of the methods."""
        return self.needs_of(*self.methods)

    @torch.no_grad()
    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Measure at severity 1."""
        study, entries = self.study(place), []
        for method in (*self.methods, ORACLE):
            classify = method.classify(study, None, list)
            for figure in one_fails(study, classify, MODALITIES):
                if figure["kind"] == self.kind:
                    entries.append({"part": "unseen kind", "method": method.name, **figure})
        return entries


@dataclass(frozen=True)
class UnseenModality(SensorCell):
    """Measures attention that learned on image and attributes where language is observed too.
    Metrics: [{"method", "modalities", "accuracy"}]."""

    best: Method

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the attention."""
        return self.needs_of(self.best)

    @torch.no_grad()
    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Measure with every set of modalities that holds language."""
        study, entries = self.study(place), []
        for method in (self.best, Method("none"), ORACLE):
            classify = method.classify(study, None, list)
            for modalities in PAIRS_WITH_LANGUAGE:
                accuracy = mean_value(one_fails(study, classify, modalities))
                condition = {"method": method.name, "modalities": modalities, "severity": 1.0}
                entries.append(entry("accuracy", accuracy, part="unseen modality", **condition))
        return entries


@dataclass(frozen=True)
class TrainingTime(SensorCell):
    """Measures how long methods train. Metrics: [{"method", "seconds"}] of one processor."""

    methods: tuple[Method, ...]

    def needs(self) -> tuple[Cell, ...]:
        """Return the cells that the trainings need, but not the trainings themselves."""
        return self.needs_of()

    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Train each method once at a fixed learning rate."""
        study, entries = self.study(place), []
        study.data.failures("train")  # computed before the clock starts
        study.classifier()
        for method in self.methods:
            cell = replace(method, tried=None).training(self.scene, self.setup, self.seed)
            assert cell is not None
            start = time.process_time()
            cell.train(place, self.setup.training.learning_rate)
            seconds = time.process_time() - start
            entries.append(entry("train_seconds", seconds, part="cost", method=method.name))
        return entries
