"""The first half of the noise benchmark: latent noise on one modality, as published."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.harness.cells import Cell, Place
from benchmarks.harness.figures import Figure, band
from benchmarks.harness.rows import (
    Entry,
    Row,
    by_scene,
    entry,
    entry_rows,
    mean_value,
    over_seeds,
)
from benchmarks.harness.tables import Table
from benchmarks.noise.data import NOISES, SETS, SIGMAS, main_label
from benchmarks.noise.methods import Batch, Method, Study, classifier_cell
from benchmarks.noise.training import Setup
from gw_agents.workspace.attention import PRESETS

LEVELS = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Edges of the bins of |k| in which shares are averaged."""
PUBLISHED = {
    "noise/fixed/none": 0.33,
    "noise/random/one_step": 0.37,
    "noise/random/two_step": 0.89,
}
"""{claim: accuracy} of the talk."""
DRAWN = ("constant", "none", "one_step", "two_step", "best", "oracle")
"""Methods in tables and pictures."""


@dataclass(frozen=True)
class LatentNoise(Cell):
    """Measures one method under every noise. Metrics: {"accuracy": figures by test and sigma,
    "attention": {noise: share of the corrupted modality in z, by bin of |k|}}."""

    FILE = "noise_robustness"

    setup: Setup
    modalities: tuple[str, ...]
    """Modalities that are observed."""
    method: Method
    seed: int

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the method and of the classifier."""
        return (
            *self.method.needs(self.scene, self.setup, self.seed),
            classifier_cell(self.scene, self.setup, self.seed),
        )

    @torch.no_grad()
    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, Any]:
        """Measure accuracy, and the share that attention leaves the corrupted modality."""
        study = Study(place, self.scene, self.setup, self.seed)
        accuracies: list[Entry] = []
        attention: dict[str, list[float]] = {}
        for noise in NOISES:
            levels, shares = [], []
            for sigma in SIGMAS:
                batch = study.data.noisy("test", self.modalities, noise, sigma, self.seed)
                validation = partial(self.validation, study, noise, sigma)
                weigh = self.method.weigh(study, None, validation)
                weights = weigh(batch.latents, batch.is_corrupted)
                accuracy = study.accuracy(study.through(weigh), (batch.latents, batch.is_corrupted))
                accuracies.append(entry("accuracy", accuracy, test=noise, sigma=sigma))
                if self.method.design is not None and weights is not None:
                    levels.append(batch.noise_scale[batch.is_corrupted])
                    share = study.workspace.shares(tuple(batch.latents), weights)
                    shares.append(share[batch.is_corrupted])
            if levels:
                attention[noise] = share_by_level(torch.cat(levels), torch.cat(shares))
        return {"accuracy": accuracies, "attention": attention}

    def validation(self, study: Study, noise: str, sigma: float) -> list[Batch]:
        """Return the validation split under the same noise, by which "constant" chooses."""
        return [study.noisy(self.modalities, noise, sigma, "validation")]


def share_by_level(levels: torch.Tensor, shares: torch.Tensor) -> list[float]:
    """Average (N,) shares in the bins of `LEVELS` that (N,) noise levels fall into."""
    bins = torch.from_numpy(np.digitize(levels.numpy(), LEVELS[1:]))
    return [float(shares[bins == index].mean()) for index in range(len(LEVELS))]


def rows(results: Mapping[LatentNoise, Any]) -> list[Row]:
    """Return a row for every method, noise and sigma, and the distance of "best" to the oracle."""
    groups, rows = over_seeds(results), []
    for cell, runs in groups.items():
        condition = _condition(cell)
        entries = [run["accuracy"] for run in runs]
        for row in entry_rows(cell.scene, entries, condition, claim, cell.setup.redraws):
            rows.append(replace(row, published=_published(row)))
        if cell.method.name == "best":
            oracle = groups[replace(cell, method=Method("oracle"))]
            gaps = [
                distances(best["accuracy"], own) for best, own in zip(oracle, entries, strict=True)
            ]
            rows += entry_rows(cell.scene, gaps, condition, claim, cell.setup.redraws)
    return rows


def claim(condition: Mapping[str, Any]) -> str:
    """Return the claim of a row."""
    return f"noise/{condition['test']}/{condition['method']}"


def distances(oracle: Sequence[Entry], best: Sequence[Entry]) -> list[Entry]:
    """Return how much more accurate the oracle is under every noise, for one seed."""
    gaps = []
    for known, own in zip(oracle, best, strict=True):
        distance = known["value"] - own["value"]
        gaps.append({**own, "metric": "oracle_minus_best", "value": distance})
    return gaps


def _condition(cell: LatentNoise) -> dict[str, Any]:
    """Return the entries that the conditions of all rows of a cell share."""
    preset = PRESETS[cell.method.design] if cell.method.design is not None else {}
    query = preset.get("first_query", "random") if preset.get("steps") else None
    return {
        "method": cell.method.name,
        "train": cell.method.trained_on,
        "query": query,
        "modalities": cell.modalities,
        "task": main_label(cell.scene),
        "networks": cell.setup.networks,
    }


def _published(row: Row) -> float | None:
    """Return the accuracy that the talk reports in this setting."""
    condition = row.condition
    if row.scene != "simple_shapes" or not row.matches(modalities=list(SETS[0])):
        return None
    return PUBLISHED.get(claim(condition)) if condition["sigma"] >= 10 else None


def tables(rows: Sequence[Row]) -> list[Table]:
    """The published setting at sigma 10; and further designs, if they were run."""
    at_10 = []
    for row in by_scene(rows):
        pair = row.matches(modalities=list(SETS[0]), sigma=10.0)
        if pair and row.metric == "accuracy":
            at_10.append(row)
    main, further = [], []
    for row in at_10:
        condition = row.condition
        method = condition["method"].replace("_", " ")
        networks = "ours" if condition["networks"] == "layer_norm" else "published"
        line = (row.scene, networks, condition["test"], method, condition["train"], row.interval)
        if condition["method"] in DRAWN and condition["train"] in ("clean", *NOISES, "everything"):
            published = "" if row.published is None else f"{row.published:.0%}"
            main.append((*line, published))
        elif condition["test"] == "random":
            further.append((row.scene, method, condition["train"], row.interval))
    main.sort(key=lambda line: (line[0] == "factory", line[1], line[2]))
    accuracy = "accuracy (interval)"
    headers = ("scene", "networks", "noise", "method", "trained on", accuracy, "published")
    title = "Accuracy with image and attributes, one of them in noise of sigma 10"
    listed = [Table(title, headers, main)]
    if further:
        title = "Other designs of attention, random noise of sigma 10"
        listed.append(Table(title, ("scene", "method", "trained on", accuracy), further))
    return listed


def figures(results: Mapping[LatentNoise, Any]) -> list[Figure]:
    """Draw one figure for each scene."""
    scenes = dict.fromkeys(cell.scene for cell in results)
    return [_figure(scene, over_seeds(results)) for scene in scenes]


RunsOf = Callable[[str, str], Sequence[Any]]
"""(method, noise that it may have learned from) -> the metrics of every seed."""


def _figure(scene: str, groups: Mapping[LatentNoise, Sequence[Any]]) -> Figure:
    """Accuracy against noise, and attention on a modality against the noise on it."""

    def runs_of(method: str, noise: str) -> Sequence[Any]:
        for cell, runs in groups.items():
            ours = cell.scene == scene and cell.setup.networks == "layer_norm"
            known = cell.method.trained_on in ("clean", "everything", noise)
            if ours and known and cell.modalities == SETS[0] and cell.method.name == method:
                return runs
        raise KeyError(method)

    def draw(axes: Any) -> None:
        _draw_accuracy(axes[0, 0], runs_of, "fixed")
        _draw_accuracy(axes[0, 1], runs_of, "random")
        _draw_attention(axes[0, 2], runs_of)
        label = main_label(scene)
        axes[0, 0].figure.suptitle(f"{scene}: {label} from the workspace, image + attributes")

    return Figure(f"noise_robustness_{scene}", draw, width=13, height=4.2, columns=3)


def _draw_accuracy(panel: Any, runs_of: RunsOf, noise: str) -> None:
    x = range(len(SIGMAS))
    for index, method in enumerate(DRAWN):
        values = []
        for sigma in SIGMAS:
            runs = [run["accuracy"] for run in runs_of(method, noise)]
            values.append([mean_value(run, test=noise, sigma=sigma) for run in runs])
        style = "--" if method == "oracle" else "-"
        band(panel, x, values, f"C{index}", ls=style, label=method, marker="o", markersize=3)
    panel.axhline(1 / 3, color="gray", linewidth=0.8, linestyle=":", label="chance")
    panel.set_xticks(x, [f"{sigma:g}" for sigma in SIGMAS])
    panel.set(title=f"{noise} direction", xlabel="noise on one modality (sigma)")
    panel.set(ylabel="accuracy", ylim=(0.25, 1.02))
    panel.legend(fontsize=7)


def _draw_attention(panel: Any, runs_of: RunsOf) -> None:
    x = range(len(LEVELS))
    for method in ("one_step", "two_step", "best"):
        shares = [run["attention"]["random"] for run in runs_of(method, "random")]
        values, color = list(zip(*shares, strict=True)), f"C{DRAWN.index(method)}"
        band(panel, x, values, color, label=method, marker="o", markersize=3)
    panel.axhline(0.5, color="gray", linewidth=0.8, linestyle=":", label="even")
    panel.set_xticks(x, [*(f"<{edge:g}" for edge in LEVELS[1:]), f">{LEVELS[-1]:g}"])
    panel.set(title="attention", xlabel="noise |k| on the modality", ylim=(0, 1))
    panel.set_ylabel("share of the modality in z")
    panel.legend(fontsize=7)
