"""How much faster do workers make a sweep? Time the same cells on every engine, including the start
of the workers.

    python -m benchmarks.speed.sweeps --workers 2

A cell drives the Factory's table at random through some hundred episodes, as `control.py` does for
the lower end of its scale. Prints a table, with the load of the machine before each engine:
neighbors take their share of the cores.
"""

import os
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import tyro

from benchmarks.agents.scores import ReferenceScores
from benchmarks.harness.cells import Cells, Place
from benchmarks.harness.engines import Sweep
from benchmarks.harness.tables import Table
from gw_agents.command import run_command
from gw_envs.errors import check_whole


@dataclass(frozen=True)
class Arguments:
    """Time the same cells on every engine."""

    cells: int = 8
    """How many cells."""
    workers: int = 2
    """Workers of the engines that have any."""
    episodes: int = 400
    """Episodes in a cell; 400 take about five seconds of one core."""

    def check(self) -> None:
        """Raise InputError for numbers below 1."""
        check_whole("--cells", self.cells, 1)
        check_whole("--workers", self.workers, 1)
        check_whole("--episodes", self.episodes, 1)


def seconds(sweep: Sweep, cells: int, episodes: int) -> float:
    """Return the seconds that an engine takes for a number of cells."""
    wanted = [ReferenceScores("factory", "random", episodes, seed) for seed in range(cells)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        start = time.perf_counter()
        sweep.compute(Cells(out, ReferenceScores.FILE), wanted, Place(out), sweep.engine)
        return time.perf_counter() - start


def main(arguments: Arguments) -> None:
    """Time every engine and print the table."""
    arguments.check()
    sweeps = [Sweep(), Sweep("process", arguments.workers)]
    if find_spec("ray"):
        sweeps.append(Sweep("ray", arguments.workers))
    loads, taken = {}, {}
    for sweep in sweeps:
        loads[sweep.engine] = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
        taken[sweep.engine] = seconds(sweep, arguments.cells, arguments.episodes)
    lines = [
        (name, f"{took:.1f}", f"{taken['serial'] / took:.2f}", f"{loads[name]:.1f}")
        for name, took in taken.items()
    ]
    headers = ("engine", "seconds", "times as fast as serial", "load before")
    note = f"Workers: {arguments.workers}; cores of this machine: {os.cpu_count()}."
    print(Table(f"Engines, {arguments.cells} cells", headers, lines, note))


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
