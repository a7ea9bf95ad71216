"""Translations through the shipped workspaces; described in `benchmarks/captions.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.agents.weights import given_weights
from benchmarks.harness import benchmark
from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.cells import Cell
from benchmarks.harness.figures import Figure
from benchmarks.harness.rows import Row, entry_rows, over_seeds
from benchmarks.shipped import pictures, report
from benchmarks.shipped.translations import RedrawnImages, Translations
from gw_envs.errors import check_whole
from gw_envs.observation import MODALITIES

REDRAWS = "test scenes"
"""What differs from seed to seed."""


@dataclass(frozen=True)
class Arguments(benchmark.Arguments):
    """How true and how precise translations through the shipped workspaces are."""

    seeds: int = 5
    """Sets of held-out scenes."""
    count: int = 1000
    """Held-out scenes in a set."""
    images: int = 300
    """Images in a set that matplotlib draws, in Simple Shapes."""

    def check(self) -> None:
        """Raise InputError for sets without scenes."""
        check_whole("--seeds", self.seeds, 1)
        check_whole("--count", self.count, 1)
        check_whole("--images", self.images, 1)


def cells(arguments: Arguments) -> list[Cell]:
    """List the cells of every scene and seed."""
    listed: list[Cell] = []
    for scene in arguments.scenes:
        weights = given_weights(arguments.place, scene, ("workspace", *MODALITIES))
        for seed in range(arguments.seeds):
            listed.append(Translations(scene, weights, seed, arguments.count))
            if scene == "simple_shapes":
                listed.append(RedrawnImages(scene, weights, seed, arguments.images))
    return listed


def rows(results: Mapping[Any, Any]) -> list[Row]:
    """Return a row for every figure."""
    rows = []
    for cell, runs in over_seeds(results).items():
        rows += entry_rows(cell.scene, runs, {}, _claim, REDRAWS)
    return rows


def _claim(condition: Mapping[str, Any]) -> str:
    return f"captions/{condition['source']}/{condition['of']}"


def figures(results: Mapping[Any, Any]) -> list[Figure]:
    """Draw a picture for each scene."""
    return pictures.figures(rows(results))


CAPTIONS = Benchmark(
    name="captions",
    arguments=Arguments,
    cells=cells,
    rows=rows,
    tables=report.tables,
    figures=figures,
    quoted=report.quoted,
)
