"""How much faster do workers make a sweep? The same cells on every engine, timed with the start of the workers.

    python benchmarks/sweep_speed.py --workers 2

A cell trains and judges one probe of the attributes' latent, as `domains.py` does, on few scenes. Prints a table, and
the load of the machine before: neighbours take their share of the cores.
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
from benchmarks.domains import compute
from benchmarks.engines import Sweep, Task
from gw_agents.command import say_errors
from gw_envs.assets import asset_path


@dataclass(frozen=True)
class Arguments:
    """Time the same cells on every engine."""

    cells: int = 8
    """How many."""
    workers: int = 2
    """Of the engines that have workers."""


def seconds(sweep: Sweep, cells: int) -> float:
    """How long an engine takes for so many cells."""
    folder = asset_path("weights/simple_shapes")
    work = ("simple_shapes", folder, "attributes", 2000, 500)
    tasks = [Task("simple_shapes", {"modality": "attributes"}, [seed], "", compute, work) for seed in range(cells)]
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        sweep.compute(Cells(Path(out), "sweep_speed"), tasks, sweep.engine)
        return time.perf_counter() - start


def main(arguments: Arguments) -> None:
    """Time, print."""
    load = f"{os.getloadavg()[0]:.1f} processes ready to run before, on {os.cpu_count()} cores"
    sweeps = [Sweep(), Sweep("process", arguments.workers)]
    sweeps += [Sweep("ray", arguments.workers)] if find_spec("ray") else []
    taken = {sweep.engine: seconds(sweep, arguments.cells) for sweep in sweeps}
    lines = [(name, f"{took:.1f}", f"{taken['serial'] / took:.2f}") for name, took in taken.items()]
    print(table(("engine", f"seconds for {arguments.cells} cells", "times as fast as serial"), lines))
    print(load)


if __name__ == "__main__":
    say_errors(lambda: main(tyro.cli(Arguments, description=__doc__)))
