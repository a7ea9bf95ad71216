"""Kills workers and drivers of sweeps in the middle, a hundred times, and counts what went wrong:
nothing should.

    python tests/kill_sweep.py --kills 100

A sweep is many tiny cells in worker processes. Its workers and, every third time, its driver are
killed by SIGKILL at random moments, most of them soon after a cell was finished; a killed driver is
started again. Looked for: finished cells that are lost, computed again, in the results twice or
wrong, and files that are left half-written.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.harness.cells import Cell, Cells, Place
from benchmarks.harness.engines import Sweep

ROOT = Path(__file__).resolve().parents[1]
NAME = "killed"
"""Of the benchmark."""


@dataclass(frozen=True)
class Arguments:
    """Kill workers and drivers."""

    kills: int = 100
    """How many."""
    cells: int = 60
    """In one sweep; there are as many sweeps as it takes."""
    workers: int = 2
    """Of each sweep."""
    seed: int = 0
    """Of when and whom."""


def value(seed: int) -> float:
    """What a cell comes to."""
    return random.Random(seed).random()


def finished(out: Path) -> Counter[int]:
    """How often each cell is in the results; raises ValueError for a line that is cut short, but
    for the very last."""
    path, found = out / f"{NAME}.jsonl", Counter[int]()
    *lines, _ = path.read_text().split("\n") if path.exists() else [""]
    for line in lines:
        cell = json.loads(line)
        seed = cell["key"]["seed"]
        if cell["metrics"]["value"] != value(seed):
            raise ValueError(f"cell {seed} is wrong: {line}")
        found[seed] += 1
    return found


@dataclass(frozen=True)
class Tiny(Cell):
    """Writes down whether it was finished already, and takes a moment."""

    FILE = NAME

    seed: int

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, float]:
        """Return the value of the seed."""
        with (place.out / "begun").open("a") as file:
            file.write(f"{self.seed} {finished(place.out)[self.seed]}\n")
        time.sleep(0.05)
        return {"value": value(self.seed)}


def drive(out: Path, cells: int, workers: int) -> None:
    """Be a driver: compute whatever is not finished yet."""
    wanted = [Tiny("factory", seed) for seed in range(cells)]
    Sweep("process", workers).compute(Cells(out, NAME), wanted, Place(out))


def start(out: Path, cells: int, workers: int) -> subprocess.Popen:
    """A driver in a process of its own."""
    call = f"kill_sweep.drive(pathlib.Path({str(out)!r}), {cells}, {workers})"
    code = f"import kill_sweep, pathlib; {call}"
    paths = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths}, stderr=quiet
    )


def workers_of(driver: int) -> list[int]:
    """The process ids of a driver's workers."""
    found = []
    try:
        for child in Path(f"/proc/{driver}/task/{driver}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    except (FileNotFoundError, ProcessLookupError):
        pass  # ended meanwhile
    return found


def sweep(arguments: Arguments, out: Path, rng: random.Random, tally: Counter[str]) -> None:
    """One sweep, from beginning to end, killing while kills are left."""
    before, driver = Counter[int](), start(out, arguments.cells, arguments.workers)
    patient = time.monotonic() + 300
    while driver.poll() is None or len(before) < arguments.cells:
        if time.monotonic() > patient:
            driver.kill()
            raise TimeoutError(
                f"{out}: {len(before)} of {arguments.cells} cells after five minutes"
            )
        if driver.poll() is not None:
            tally["drivers started again"] += 1
            driver = start(out, arguments.cells, arguments.workers)
        now = finished(out)
        tally["finished cells lost"] += sum((before - now).values())
        grown, before = len(now) > len(before), now
        if (grown or rng.random() < 0.02) and tally["kills"] < arguments.kills:
            time.sleep(rng.uniform(0, 0.1))
            of_driver = tally["kills"] % 3 == 1
            victims = [driver.pid] if of_driver else workers_of(driver.pid)
            if victims and driver.poll() is None:
                os.kill(rng.choice(victims), signal.SIGKILL)
                tally["kills"] += 1
                tally["drivers killed" if of_driver else "workers killed"] += 1
                if of_driver:
                    driver.wait()
        time.sleep(0.01)
    tally["sweeps"] += 1
    tally["cells"] += arguments.cells
    tally["finished cells in the results twice"] += sum(before.values()) - len(before)
    begun = [line.split() for line in (out / "begun").read_text().splitlines()]
    tally["times a cell was begun"] += len(begun)
    tally["finished cells computed again"] += sum(done != "0" for _, done in begun)
    left = {path.name for path in out.iterdir()} - {"begun", f"{NAME}.jsonl", f".{NAME}.jsonl.lock"}
    tally["files left half-written"] += len(left) + (
        not (out / f"{NAME}.jsonl").read_text().endswith("\n")
    )


WRONG = (
    "finished cells lost",
    "finished cells computed again",
    "finished cells in the results twice",
    "files left half-written",
)


def main(arguments: Arguments) -> Counter[str]:
    """Kill until all kills are used; returns the tally."""
    tally, rng = Counter(dict.fromkeys(WRONG, 0)), random.Random(arguments.seed)
    while tally["kills"] < arguments.kills:
        with tempfile.TemporaryDirectory() as folder:
            sweep(arguments, Path(folder), rng, tally)
    return tally


if __name__ == "__main__":
    import tyro

    found = main(tyro.cli(Arguments, description=__doc__))
    for what, count in found.items():
        print(f"{count:6d} {what}")
    raise SystemExit(any(found[what] for what in WRONG))
