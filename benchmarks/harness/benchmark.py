"""The protocol of a benchmark, its arguments, and the one `main` that runs every benchmark."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tyro

from benchmarks.harness.cells import Cell, Cells, Place
from benchmarks.harness.engines import Sweep
from benchmarks.harness.figures import Figure
from benchmarks.harness.rows import Row, write_summary
from benchmarks.harness.tables import Table
from benchmarks.harness.weights import weights_digest
from gw_agents.command import run_command
from gw_envs.scenes import SCENES


@dataclass(frozen=True)
class Arguments:
    """Arguments of every benchmark; each benchmark adds its own."""

    scene: Literal["simple_shapes", "factory", "both"] = "both"
    """Which scene."""
    weights: Path | None = None
    """Folder with a subfolder for each scene; the shipped weights by default."""
    out: Path = Path("results")
    """Folder of the results. Rerun the same command to resume."""
    sweep: tyro.conf.OmitArgPrefixes[Sweep] = field(default_factory=Sweep)
    """Where cells are computed."""

    def check(self) -> None:
        """Raise InputError for impossible values; called before any work starts."""

    @property
    def scenes(self) -> tuple[str, ...]:
        """The scenes to run."""
        return tuple(SCENES) if self.scene == "both" else (self.scene,)

    @property
    def place(self) -> Place:
        """The folders that cells read and write."""
        return Place(self.out, self.weights)


@dataclass(frozen=True)
class Benchmark:
    """What a benchmark computes, and how results become rows, tables, pictures and a page."""

    name: str
    """Name of its command, of its summary and of its page."""
    arguments: type[Arguments]
    """Dataclass of its command line."""
    cells: Callable[[Any], Sequence[Cell]]
    """Its arguments -> every cell that its rows are made of. Cells that those need are computed
    before them."""
    rows: Callable[[Mapping[Any, Any]], list[Row]]
    """{cell: metrics} -> rows of the summary."""
    tables: Callable[[Sequence[Row]], list[Table]]
    """Rows -> the tables that are printed and published."""
    figures: Callable[[Mapping[Any, Any]], list[Figure]]
    """{cell: metrics} -> pictures."""
    quoted: Callable[[Sequence[Row]], dict[str, str]]
    """Rows -> {name: figure} for the words of its page, `publish/pages/<name>.md`."""
    variant: tuple[str, ...] = ()
    """Entries of a row's condition: runs that differ in them keep separate rows in one summary."""


def run(benchmark: Benchmark, arguments: Arguments) -> list[Row]:
    """Compute the unfinished cells, print the tables, draw the pictures and write the summary.

    Returns the rows of the summary.
    """
    arguments.check()
    cells = Cells(arguments.out, benchmark.name)
    wanted = benchmark.cells(arguments)
    results = arguments.sweep.compute(cells, wanted, arguments.place, benchmark.name)
    rows = benchmark.rows(results)
    for table in benchmark.tables(rows):
        print(f"\n{table}")
    print()
    for figure in benchmark.figures(results):
        print(f"picture: {figure.save(arguments.out)}")
    weights = {scene: weights_digest(arguments.place, scene) for scene in arguments.scenes}
    path = write_summary(arguments.out, benchmark.name, rows, benchmark.variant, weights)
    print(f"written: {path}")
    return rows


def main(benchmark: Benchmark, description: str | None) -> None:
    """Run a benchmark as a command; `description` is what `--help` says."""
    run_command(lambda: run(benchmark, tyro.cli(benchmark.arguments, description=description)))
