"""Report cards of the domain modules; described in `benchmarks/domains.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.harness import benchmark
from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.cells import Cell, Place
from benchmarks.harness.figures import Figure
from benchmarks.harness.rows import Row, by_scene, entry_rows, find_row, over_seeds
from benchmarks.harness.tables import Table
from benchmarks.latents.encoders import (
    encoder_cells,
    encoder_figures,
    encoder_rows,
    encoder_tables,
)
from benchmarks.latents.errors import DomainErrors, Reconstructions
from gw_agents.checkpoint import fingerprint
from gw_envs.errors import check_whole
from gw_envs.observation import MODALITIES, check_modalities
from gw_envs.scenes import SCENES

READERS = {
    "linear": "linear probe",
    "mlp": "MLP probe",
    "redrawn": "MLP probe, images by matplotlib",
    "decoded": "decoder",
}
"""Readers of a latent, and their names in the tables."""
REDRAWS = "probe, scenes"
"""What differs from seed to seed."""


@dataclass(frozen=True)
class Arguments(benchmark.Arguments):
    """Report cards of the domain modules."""

    modalities: tuple[str, ...] = MODALITIES
    """Which domain modules."""
    seeds: int = 1
    """Probes to train for each latent."""
    train: int = 100_000
    """Scenes to fit probes on."""
    test: int = 4_000
    """Held-out scenes."""
    encoders: tuple[Path, ...] = ()
    """Folders of weights: measure the speed and the errors of their image encoders, which share a
    latent space, and nothing else. Their latents are read through the workspace of --weights."""

    @property
    def place(self) -> Place:
        """The folders that cells read and write."""
        return Place(self.out, self.weights, self.encoders)

    def check(self) -> None:
        """Raise InputError for unknown modalities and numbers below 1."""
        check_modalities(self.modalities)
        check_whole("--seeds", self.seeds, 1)
        check_whole("--train", self.train, 1)
        check_whole("--test", self.test, 1)


def cells(arguments: Arguments) -> list[Cell]:
    """List a cell for every scene, modality and seed, and one for the picture of each scene; or the
    cells of the encoders alone."""
    if arguments.encoders:
        place, scenes = arguments.place, arguments.scenes
        return encoder_cells(place, scenes, arguments.seeds, arguments.test)
    listed: list[Cell] = []
    for scene in arguments.scenes:
        for modality in check_modalities(arguments.modalities):
            folder = arguments.place.weights_of(scene)
            weights = fingerprint(folder / f"{modality}.safetensors")[:16]
            for seed in range(arguments.seeds):
                sizes = (arguments.train, arguments.test)
                listed.append(DomainErrors(scene, modality, weights, seed, *sizes))
            if modality == "image":
                listed.append(Reconstructions(scene, weights))
    return listed


def rows(results: Mapping[Cell, Any]) -> list[Row]:
    """Return a row for every error."""
    measured = {cell: runs for cell, runs in results.items() if isinstance(cell, DomainErrors)}
    rows = []
    for cell, runs in over_seeds(measured).items():
        condition = {"modality": cell.modality}
        rows += entry_rows(cell.scene, runs, condition, _claim, REDRAWS)
    return rows + encoder_rows(results)


def _claim(condition: Mapping[str, str]) -> str:
    return f"domains/{condition['modality']}/{condition['attribute']}"


def tables(rows: Sequence[Row]) -> list[Table]:
    """A line for each attribute of each latent and a column for each reader; then the encoders."""
    latents = [row for row in rows if "probe" in row.condition]
    used = {row.condition["probe"] for row in latents}
    readers = {name: text for name, text in READERS.items() if name in used}
    lines: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in by_scene(latents):
        condition = row.condition
        latent = f"{condition['modality']}: {condition['attribute'].replace('_', ' ')}"
        errors = lines.setdefault(
            (row.scene, latent, condition["unit"]), dict.fromkeys(readers, "")
        )
        errors[condition["probe"]] = f"{row.measured:.3g} ({row.low:.3g} to {row.high:.3g})"
    headers = ("scene", "latent: attribute", "unit", *readers.values())
    content = [(*line, *errors.values()) for line, errors in lines.items()]
    errors_of_latents = [Table("Errors on held-out scenes", headers, content)] if content else []
    return errors_of_latents + encoder_tables(rows)


def figures(results: Mapping[Cell, Any]) -> list[Figure]:
    """Return the picture of the encoders; `Reconstructions` writes the others."""
    return encoder_figures(results)


def quoted(rows: Sequence[Row]) -> dict[str, str]:
    """Return the figures that the page quotes."""
    figures = {}
    for scene in SCENES:
        for modality in ("image", "language"):
            for attribute in ("position", "rotation", "rgb"):
                wanted = {"modality": modality, "attribute": attribute, "probe": "mlp"}
                error = find_row(rows, "error", scene, **wanted).measured
                figures[f"{scene}_{modality}_{attribute}"] = f"{error:.3g}"
    lost = find_row(rows, "error", "factory", modality="image", attribute="variance").measured
    figures["factory_variance"] = f"{lost:.3g}"
    for probe, attribute in product(("linear", "redrawn"), ("shape", "rotation")):
        wanted = {"modality": "image", "attribute": attribute, "probe": probe}
        error = find_row(rows, "error", "simple_shapes", **wanted).measured
        figures[f"{probe}_{attribute}"] = f"{error:.3g}"
    return figures


DOMAINS = Benchmark(
    name="domains",
    arguments=Arguments,
    cells=cells,
    rows=rows,
    tables=tables,
    figures=figures,
    quoted=quoted,
    variant=("encoder",),
)
