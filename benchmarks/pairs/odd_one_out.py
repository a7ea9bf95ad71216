"""Which of three items is the odd one? A judge reads three workspace vectors; described in
`benchmarks/odd_one_out.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

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
from benchmarks.pairs import models
from benchmarks.pairs.models import TrainedWorkspaces, load_workspaces
from benchmarks.pairs.recognition import LABELS, Split, splits_of
from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_agents.workspace.model import Workspace

TRIPLETS = 4000
"""Triplets drawn from each split."""
REDRAWS = f"{models.REDRAWS}, triplets, judge"
"""What differs from seed to seed."""
TESTED = ("same modality", "other modality", "mixed")
"""Tests of a judge, relative to the modality it learned from."""


@dataclass(frozen=True)
class Arguments(models.Arguments):
    """Odd one out within and across modalities."""

    pairs: int = 500
    """Matched scenes."""

    def check(self) -> None:
        """Raise InputError as in every benchmark of these models, and for impossible pairs."""
        super().check()
        models.check_pairs(self.pairs)


@dataclass(frozen=True)
class OddOneOut(Cell):
    """Fits judges of a workspace and tests them. Metrics: accuracies by task, train, test.

    `train` is a modality, `test` a modality or "mixed".
    """

    FILE = "odd_one_out"

    workspaces: TrainedWorkspaces
    episodes: int
    """Held-out episode beginnings; rollouts bring as many observations again."""
    seed: int
    triplets: int = TRIPLETS

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the workspace."""
        return (self.workspaces,)

    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Fit a judge for every label and training modality, and test it on every modality."""
        modalities = self.workspaces.search.setup.modalities
        splits = splits_of(place, self.scene, modalities, self.episodes)
        workspace = load_workspaces(self.workspaces, place)[self.seed]
        return measure(splits, LABELS[self.scene], workspace, self.seed, self.triplets)


def triplets(
    classes: NDArray[np.int64], count: int, rng: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Draw triplets of rows in which two share a class and one has another.

    Returns (count, 3) rows and (count,) the place of the odd one.
    """
    known = np.unique(classes)
    rows_of = {label: np.flatnonzero(classes == label) for label in known}
    members = {label: rows for label, rows in rows_of.items() if len(rows) > 1}
    shared = rng.choice(list(members), count)
    rows = np.empty((count, 3), np.int64)
    odd = rng.integers(3, size=count)
    for index, label in enumerate(shared):
        other = rng.choice(known[known != label])
        pair = rng.choice(members[label], 2, replace=False)
        stranger = rng.choice(rows_of[other])
        rows[index] = np.insert(pair, odd[index], stranger)
    return rows, odd


class Judge(nn.Module):
    """Scores how odd each of three vectors is."""

    def __init__(self, width: int, projected: int = 8) -> None:
        super().__init__()
        self.project = nn.Linear(width, projected)
        self.log_scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, z: Tensor) -> Tensor:
        """Score (B, 3, Z) vectors: (B, 3), lower the more similar one is to the other two by
        cosine."""
        directions = normalize(self.project(z), dim=-1)
        alike = directions @ directions.mT  # (B, 3, 3)
        return self.log_scale.exp() * (1.0 - alike.sum(-1))


def fit_judge(z: Tensor, odd: Tensor, seed: int) -> Judge:
    """Fit a judge on (N, 3, Z) triplets with (N,) places of the odd one."""
    seed_torch(seed, 7)
    judge = Judge(z.shape[-1])

    def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = torch.randint(len(z), (256,))
        error = cross_entropy(judge(z[rows]), odd[rows])
        return error, {"cross_entropy": error}

    fit(judge, loss, FitConfig(600, 256, 1e-2, warmup=0.05, seed=seed))
    return judge.requires_grad_(False).eval()


@torch.no_grad()
def measure(
    splits: Mapping[str, Split],
    labels: Sequence[str],
    workspace: Workspace,
    seed: int,
    count: int,
) -> list[Entry]:
    """Return the accuracy of every judge on every test; see `OddOneOut`."""
    train, held_out = splits["train"], splits["reset"]
    modalities = list(train.latents)
    z_train, z_test = _z(workspace, train), _z(workspace, held_out)  # (N, D, Z)
    results: list[Entry] = []
    for label in labels:
        rng = np.random.default_rng([seed, *label.encode()])
        learned, learned_odd = triplets(train.classes[label], count, rng)
        items, odd = triplets(held_out.classes[label], count, rng)
        columns = {name: np.full(items.shape, index) for index, name in enumerate(modalities)}
        one_each = np.arange(3) % len(modalities)
        columns["mixed"] = rng.permuted(np.tile(one_each, (count, 1)), axis=1)
        for index, name in enumerate(modalities):
            judge = fit_judge(z_train[learned, index], torch.from_numpy(learned_odd), seed)
            for test, column in columns.items():
                right = judge(z_test[items, column]).argmax(-1) == torch.from_numpy(odd)
                accuracy = right.float().mean()
                results.append(entry("accuracy", accuracy, task=label, train=name, test=test))
    return results


def _z(workspace: Workspace, split: Split) -> Tensor:
    """Encode each modality alone: (N, D, Z)."""
    return torch.stack([workspace.enter(name, rows) for name, rows in split.latents.items()], 1)


def cells(arguments: Arguments) -> list[OddOneOut]:
    """List a cell for every scene, model and seed."""
    listed = []
    for scene in arguments.scenes:
        for model in arguments.models:
            trained = arguments.workspaces(scene, model, arguments.pairs)
            for seed in trained.seeds:
                listed.append(OddOneOut(scene, trained, arguments.size.episodes, seed))
    return listed


def rows(results: Mapping[OddOneOut, Any]) -> list[Row]:
    """Return a row for every model, label, training modality and test."""
    rows = []
    for cell, runs in over_seeds(results).items():
        model = cell.workspaces.search.model.name
        condition = {"pairs": cell.workspaces.pairs, "model": model}
        rows += entry_rows(cell.scene, runs, condition, claim, REDRAWS)
    return rows


def claim(condition: Mapping[str, Any]) -> str:
    """Return the claim of a row."""
    return f"odd_one_out/{condition['model']}"


def tested_on(train: str, test: str) -> str:
    """Return the entry of `TESTED` that a test is, relative to the training modality."""
    if test == "mixed":
        return "mixed"
    return "same modality" if train == test else "other modality"


def tables(rows: Sequence[Row]) -> list[Table]:
    """One table: a line for each scene, label and model, means over modalities."""

    def place(row: Row) -> tuple[tuple[str, ...], str]:
        condition = row.condition
        line = (row.scene, condition["task"], condition["model"])
        return line, tested_on(condition["train"], condition["test"])

    headers, title = ("scene", "differs in", "model"), "Accuracy of the odd one out (chance: 33.3%)"
    return [mean_table(title, headers, TESTED, by_scene(rows), place)]


def figures(results: Mapping[OddOneOut, Any]) -> list[Figure]:
    """Draw one figure for each scene."""
    scenes = dict.fromkeys(cell.scene for cell in results)
    return [_figure(scene, results) for scene in scenes]


def _figure(scene: str, results: Mapping[OddOneOut, Any]) -> Figure:
    """A panel for each label: bars for the same modality, the other one, and mixed triplets."""
    runs_of = {
        cell.workspaces.search.model.name: runs
        for cell, runs in over_seeds(results).items()
        if cell.scene == scene
    }
    labels = LABELS[scene]

    def mean(run: Sequence[Entry], label: str, tested: str) -> float:
        entries = [entry for entry in run if tested_on(entry["train"], entry["test"]) == tested]
        return mean_value(entries, task=label)

    def draw(axes: Any) -> None:
        for panel, label in zip(axes[0], labels, strict=True):
            groups: dict[str, list[list[float]]] = {}
            for tested in TESTED:
                groups[tested] = []
                for runs in runs_of.values():
                    groups[tested].append([mean(run, label, tested) for run in runs])
            bars(panel, list(runs_of), groups)
            panel.axhline(1 / 3, color="gray", linewidth=0.8, linestyle=":")
            panel.set_title(f"one differs in {label}")
        axes[0, 0].legend(fontsize=7, loc="lower left")
        axes[0, 0].figure.suptitle(f"{scene}: odd one out (dotted: chance)")

    columns = len(labels)
    return Figure(f"odd_one_out_{scene}", draw, 5.5 * columns, 4.2, columns=columns)


def quoted(rows: Sequence[Row]) -> dict[str, str]:
    """Return the figures that the page quotes."""
    (table,) = tables(rows)
    texts = {tuple(line[:3]): line[3:] for line in table.lines}
    four = texts["factory", "region", "tr+cont+dcy+cy"]
    return {
        "four_same": four[0],
        "four_other": four[1],
        "tr_other": texts["factory", "region", "tr"][1],
        "cont_other": texts["factory", "region", "cont"][1],
        "shapes_four": texts["simple_shapes", "shape", "tr+cont+dcy+cy"][1],
        "shapes_ours": texts["simple_shapes", "shape", "tr+cont+dcy+bt"][1],
    }


ODD_ONE_OUT = Benchmark(
    name="odd_one_out",
    arguments=Arguments,
    cells=cells,
    rows=rows,
    tables=tables,
    figures=figures,
    quoted=quoted,
)
