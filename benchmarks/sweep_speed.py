"""How much faster do workers make a sweep? The same cells on every engine, timed with the start of the workers.

    python benchmarks/sweep_speed.py --workers 2

A cell drives the Factory's table at random through some hundred episodes, as `control.py` does for the lower end of its
scale. Prints a table, and the load of the machine before each engine: neighbours take their share of the cores.
"""

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import tyro

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import Cells, table
from benchmarks.control import compute_ends
from benchmarks.engines import Sweep, Task
from gw_agents.command import run_command


@dataclass(frozen=True)
class Arguments:
    """Time the same cells on every engine."""

    cells: int = 8
    """How many."""
    workers: int = 2
    """Of the engines that have workers."""
    episodes: int = 400
    """In a cell; 400 take about five seconds of one core."""


def seconds(sweep: Sweep, cells: int, episodes: int) -> float:
    """How long an engine takes for so many cells."""
    work = ("factory", "random", episodes)
    tasks = [
        Task("factory", {"actor": "random"}, [seed], "", compute_ends, work)
        for seed in range(cells)
    ]
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        sweep.compute(Cells(Path(out), "sweep_speed"), tasks, sweep.engine)
        return time.perf_counter() - start


def main(arguments: Arguments) -> None:
    """Time, print."""
    sweeps = [Sweep(), Sweep("process", arguments.workers)]
    sweeps += [Sweep("ray", arguments.workers)] if find_spec("ray") else []
    loads, taken = {}, {}
    for sweep in sweeps:
        loads[sweep.engine] = os.getloadavg()[0]
        taken[sweep.engine] = seconds(sweep, arguments.cells, arguments.episodes)
    lines = [
        (name, f"{took:.1f}", f"{taken['serial'] / took:.2f}", f"{loads[name]:.1f}")
        for name, took in taken.items()
    ]
    print(
        table(
            (
                "engine",
                f"seconds for {arguments.cells} cells",
                "times as fast as serial",
                "load before",
            ),
            lines,
        )
    )
    print(f"workers: {arguments.workers}; cores of this machine: {os.cpu_count()}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
