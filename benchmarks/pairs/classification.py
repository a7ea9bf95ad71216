"""Classes read from the workspace, within and across modalities; described in
`benchmarks/classification.py`."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.cells import Cell, Place
from benchmarks.harness.figures import Figure, bars
from benchmarks.harness.rows import (
    Entry,
    Row,
    by_scene,
    entry,
    entry_rows,
    mean_value,
    over_seeds,
)
from benchmarks.harness.tables import Table, mean_table
from benchmarks.pairs.models import REDRAWS, Arguments, TrainedWorkspaces, load_workspaces
from benchmarks.pairs.recognition import LABELS, Split, splits_of

PAIRS = {"quick": (500, 5000), "full": (200, 500, 1500)}
JUDGED_AT = 1500
"""Matched scenes of the table, or the nearest number to it that was run."""
STRENGTHS = 6
"""Values of C among which cross-validation chooses, log-spaced from 1e-3 to 1e4."""
TESTS = ("reset", "rollout")
"""Held-out splits: episode beginnings and random rollouts."""


@dataclass(frozen=True)
class RecognitionCell(Cell):
    """Reads classes from held-out observations of one scene.

    Metrics: accuracies by task, kind (linear, zero_shot or chance), train, test and test_on.
    """

    FILE = "classification"

    episodes: int
    """Held-out episode beginnings; rollouts bring as many observations again."""
    seed: int

    def splits(self, place: Place, modalities: tuple[str, ...]) -> dict[str, Split]:
        """Return the observations that probes learn from and are tested on."""
        return splits_of(place, self.scene, modalities, self.episodes)


@dataclass(frozen=True)
class Workspaces(RecognitionCell):
    """Reads classes from the workspace vectors of one seed."""

    workspaces: TrainedWorkspaces
    strengths: int = STRENGTHS

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the workspace."""
        return (self.workspaces,)

    @torch.no_grad()
    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Fit probes and class means on each modality, and test them on every modality."""
        splits = self.splits(place, self.workspaces.search.setup.modalities)
        workspace = load_workspaces(self.workspaces, place)[self.seed]
        z: dict[str, dict[str, NDArray]] = {}
        for name, split in splits.items():
            z[name] = {}
            for modality, rows in split.latents.items():
                z[name][modality] = workspace.enter(modality, rows).numpy()
        results: list[Entry] = []
        for label in LABELS[self.scene]:
            classes = {name: split.classes[label] for name, split in splits.items()}
            for train in z["train"]:
                results += probed(z, classes, train, list(z["train"]), label, self.strengths)
                results += matched(z, classes, train, label)
        return results


@dataclass(frozen=True)
class Unimodal(RecognitionCell):
    """Reads classes from the latents of each modality, without a workspace."""

    modalities: tuple[str, ...]
    domains: str
    """Fingerprint of the domain modules."""
    strengths: int = STRENGTHS

    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Fit a probe on each modality and test it there."""
        splits = self.splits(place, self.modalities)
        latents: dict[str, dict[str, NDArray]] = {}
        for name, split in splits.items():
            latents[name] = {modality: rows.numpy() for modality, rows in split.latents.items()}
        results: list[Entry] = []
        for label in LABELS[self.scene]:
            classes = {name: split.classes[label] for name, split in splits.items()}
            for train in latents["train"]:
                results += probed(latents, classes, train, [train], label, self.strengths)
        return results


@dataclass(frozen=True)
class Chance(RecognitionCell):
    """Always names the most frequent class."""

    modalities: tuple[str, ...]

    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Return the frequency of the most frequent class."""
        splits = self.splits(place, self.modalities)
        results: list[Entry] = []
        for label in LABELS[self.scene]:
            for test_on in TESTS:
                classes = splits[test_on].classes[label]
                frequency = np.bincount(classes).max() / len(classes)
                condition = {"task": label, "kind": "chance", "test_on": test_on}
                results.append(entry("accuracy", frequency, **condition))
        return results


Inputs = Mapping[str, Mapping[str, NDArray]]
"""{split: {modality: (N, L)}}."""


def probed(
    inputs: Inputs,
    classes: Mapping[str, NDArray],
    train: str,
    tests: Sequence[str],
    label: str,
    strengths: int,
) -> list[Entry]:
    """Fit a linear probe on one modality and test it on others; `classes` are (N,) by split."""
    fitted = probe(inputs["train"][train], classes["train"], strengths)
    results: list[Entry] = []
    for test in tests:
        for test_on in TESTS:
            accuracy = fitted.score(inputs[test_on][test], classes[test_on])
            condition = {"task": label, "kind": "linear", "train": train, "test": test}
            results.append(entry("accuracy", accuracy, **condition, test_on=test_on))
    return results


def matched(inputs: Inputs, classes: Mapping[str, NDArray], train: str, label: str) -> list[Entry]:
    """Name the class whose mean z of one modality is nearest to the z of another."""
    results: list[Entry] = []
    for test, test_on in product(inputs["train"], TESTS):
        if test != train:
            accuracy = zero_shot(
                inputs["train"][train], classes["train"], inputs[test_on][test], classes[test_on]
            )
            condition = {"task": label, "kind": "zero_shot", "train": train, "test": test}
            results.append(entry("accuracy", accuracy, **condition, test_on=test_on))
    return results


def probe(inputs: NDArray, classes: NDArray, strengths: int) -> Any:
    """Fit logistic regression of standardized (N, L) inputs on (N,) classes, to convergence.

    Returns:
        An estimator with a `score`.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = LogisticRegressionCV(
        Cs=np.logspace(-3, 4, strengths), cv=3, max_iter=3000, tol=1e-4
    )
    pipeline = make_pipeline(StandardScaler(), regression)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return pipeline.fit(inputs, classes)


def unit(rows: NDArray) -> NDArray:
    """Scale rows to length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def zero_shot(prototypes: NDArray, known: NDArray, rows: NDArray, classes: NDArray) -> float:
    """Return the accuracy of naming the class with the nearest mean.

    Args:
        prototypes: (N, Z) z of one modality.
        known: (N,) their classes.
        rows: (M, Z) z of another modality.
        classes: (M,) their classes.
    """
    labels = np.unique(known)
    means = np.stack([unit(prototypes)[known == label].mean(0) for label in labels])
    named = labels[(unit(rows) @ unit(means).T).argmax(-1)]
    return float((named == classes).mean())


def cells(arguments: Arguments) -> list[RecognitionCell]:
    """List the cells of every number of pairs, model and seed, and of latents and chance."""
    listed: list[RecognitionCell] = []
    episodes = arguments.size.episodes
    for scene in arguments.scenes:
        for pairs in PAIRS[arguments.preset]:
            for model in arguments.models:
                trained = arguments.workspaces(scene, model, pairs)
                listed += [Workspaces(scene, episodes, seed, trained) for seed in trained.seeds]
        setup = trained.search.setup
        listed.append(Unimodal(scene, episodes, 0, setup.modalities, setup.domains))
        listed.append(Chance(scene, episodes, 0, setup.modalities))
    return listed


def rows(results: Mapping[RecognitionCell, Any]) -> list[Row]:
    """Return a row for every accuracy."""
    rows = []
    for cell, runs in over_seeds(results).items():
        condition: dict[str, Any] = {}
        if isinstance(cell, Unimodal):
            condition = {"pairs": 0, "modalities": cell.modalities, "model": "unimodal"}
        elif isinstance(cell, Workspaces):
            search, pairs = cell.workspaces.search, cell.workspaces.pairs
            condition = {"pairs": pairs, "modalities": search.setup.modalities}
            condition["model"] = search.model.name
        redraws = "nothing" if isinstance(cell, Chance) else REDRAWS
        rows += entry_rows(cell.scene, runs, condition, claim, redraws)
    return rows


def claim(condition: Mapping[str, Any]) -> str:
    """Return the claim of a row."""
    parts = ("classification", condition["kind"], condition.get("model"))
    return "/".join(part for part in parts if part)


COLUMNS = ("probe, same modality", "probe, other modality", "zero-shot")


def column(condition: Mapping[str, Any]) -> str:
    """Name the column of the table that an accuracy belongs to."""
    if condition["kind"] == "zero_shot":
        return "zero-shot"
    return COLUMNS[0] if condition["train"] == condition["test"] else COLUMNS[1]


def tables(rows: Sequence[Row]) -> list[Table]:
    """One table: episode beginnings at one number of pairs, means over directions."""
    read = [
        row for row in by_scene(rows) if row.matches(test_on="reset") and "pairs" in row.condition
    ]
    known = {row.condition["pairs"] for row in read} - {0}
    at = min(known, key=lambda pairs: abs(pairs - JUDGED_AT))
    judged = [row for row in read if row.condition["pairs"] in (0, at)]

    def place(row: Row) -> tuple[tuple[str, ...], str]:
        condition = row.condition
        return (row.scene, condition["task"], condition["model"]), column(condition)

    title = f"Accuracy on episode beginnings, at {at:,} matched scenes"
    return [mean_table(title, ("scene", "task", "model"), COLUMNS, judged, place)]


def figures(results: Mapping[RecognitionCell, Any]) -> list[Figure]:
    """Draw one figure for each scene."""
    scenes = dict.fromkeys(cell.scene for cell in results)
    return [_figure(scene, results) for scene in scenes]


def _figure(scene: str, results: Mapping[RecognitionCell, Any]) -> Figure:
    """Accuracy by column of the table: a line of panels for each label, one for each number of
    pairs."""
    runs_of: dict[tuple[int, str], list[Any]] = {}
    chance: Sequence[Entry] = ()
    for cell, runs in over_seeds(results).items():
        if cell.scene == scene and isinstance(cell, Workspaces):
            runs_of[cell.workspaces.pairs, cell.workspaces.search.model.name] = runs
        elif cell.scene == scene and isinstance(cell, Chance):
            chance = runs[0]
    labels, numbers = LABELS[scene], sorted({pairs for pairs, _ in runs_of})
    names = list(dict.fromkeys(model for _, model in runs_of))

    def mean(run: Sequence[Entry], label: str, name: str) -> float:
        entries = [entry for entry in run if column(entry) == name]
        return mean_value(entries, task=label, test_on="reset")

    def draw_panel(panel: Any, label: str, pairs: int) -> None:
        groups: dict[str, list[list[float]]] = {}
        for name in COLUMNS:
            groups[name] = []
            for model in names:
                groups[name].append([mean(run, label, name) for run in runs_of[pairs, model]])
        bars(panel, names, groups)
        level = mean_value(chance, task=label, test_on="reset")
        panel.axhline(level, color="gray", linewidth=0.8, linestyle=":")
        panel.set_title(f"{label}, {pairs:,} matched scenes")

    def draw(axes: Any) -> None:
        for line, label in zip(axes, labels, strict=True):
            for panel, pairs in zip(line, numbers, strict=True):
                draw_panel(panel, label, pairs)
        axes[0, 0].legend(fontsize=7, loc="lower left")
        axes[0, 0].figure.suptitle(f"{scene}: classes read from z (dotted: chance)")

    columns, lines = len(numbers), len(labels)
    name = f"classification_{scene}"
    return Figure(name, draw, 4.6 * columns, 3.6 * lines, columns=columns, lines=lines)


def quoted(rows: Sequence[Row]) -> dict[str, str]:
    """Return the figures that the page quotes."""
    (table,) = tables(rows)
    texts = {tuple(line[1:3]): line for line in table.lines}
    tests = ("same", "other", "zero")
    labels = {"shape": "shape", "color": "color family", "region": "region"}
    models = {"four": "tr+cont+dcy+cy", "cont": "cont", "tr": "tr", "two": "tr+cont"}
    models["unimodal"] = "unimodal"
    figures = {}
    for short, label in labels.items():
        for name, model in models.items():
            for test, accuracy in zip(tests, texts[label, model][3:], strict=True):
                figures[f"{short}_{name}_{test}"] = accuracy
    return figures


CLASSIFICATION = Benchmark(
    name="classification",
    arguments=Arguments,
    cells=cells,
    rows=rows,
    tables=tables,
    figures=figures,
    quoted=quoted,
)
