"""What every benchmark shares: result files, resuming, intervals, tables."""

import fcntl
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import numpy as np

from gw_envs.files import write_atomically

EXPECTED = Path(__file__).parent / "expected"
"""Committed summaries, and under `cells/` the finished cells of long runs."""

Metrics = Mapping[str, Any]
"""Figures by name, possibly nested: whatever JSON can hold."""


class Cells:
    """The finished cells of a benchmark, one JSON object a line, each on disk as soon as it is known.

    A cell is what a function makes of (scene, condition, seed); `inputs` names what else it depends on (weights,
    sizes), so that a cell of other inputs is never taken for this one's. A line cut short by a crash is taken away
    and its cell computed again. One process at a time writes the file of a benchmark in a folder.
    """

    def __init__(self, out: Path, benchmark: str) -> None:
        """Read what is finished in `out` and among the committed cells.

        Raises OSError if `out` is not writable, or if another process is writing this benchmark's cells there.
        """
        self.benchmark, self.path = benchmark, out / f"{benchmark}.jsonl"
        _lock(self.path)
        _take_away_half_a_line(self.path)
        self._finished: dict[str, dict[str, Any]] = {}
        for path in (EXPECTED / "cells" / f"{benchmark}.jsonl", self.path):
            for line in path.read_text().splitlines() if path.exists() else ():
                try:
                    cell = json.loads(line)
                except json.JSONDecodeError:
                    continue
                self._finished[
                    _key(cell["scene"], cell["condition"], cell["seed"], cell["inputs"])
                ] = cell

    def run(
        self,
        scene: str,
        condition: Mapping[str, Any],
        seed: int,
        inputs: str,
        work: Callable[[], Metrics],
    ) -> Any:
        """The metrics of a cell: those on disk if it is finished, else those of `work()`, which are then put there."""
        return self.run_together(scene, condition, [seed], inputs, lambda _: [work()])[0]

    def run_together(
        self,
        scene: str,
        condition: Mapping[str, Any],
        seeds: Sequence[int],
        inputs: str,
        work: Callable[[list[int]], Sequence[Metrics]],
    ) -> list[Any]:
        """As `run`, for cells that differ in their seed alone: `work` gets the seeds that are not finished yet."""
        missing = [seed for seed in seeds if not self.has(scene, condition, seed, inputs)]
        if missing:
            start = time.perf_counter()
            found = work(missing)
            self.add(scene, condition, missing, inputs, found, time.perf_counter() - start)
        return self.metrics(scene, condition, seeds, inputs)

    def add(
        self,
        scene: str,
        condition: Mapping[str, Any],
        seeds: Sequence[int],
        inputs: str,
        found: Sequence[Metrics],
        seconds: float,
    ) -> None:
        """Put the metrics of each seed, all of which took so long, on disk."""
        each = round(seconds / len(seeds), 3)
        cells: list[dict[str, Any]] = [
            {
                "benchmark": self.benchmark,
                "scene": scene,
                "condition": dict(condition),
                "seed": seed,
                "metrics": metrics,
                "seconds": each,
                "inputs": inputs,
            }
            for seed, metrics in zip(seeds, found, strict=True)
        ]
        lines = "".join(json.dumps(cell) + "\n" for cell in cells)
        with self.path.open("a") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._finished |= {_key(scene, condition, cell["seed"], inputs): cell for cell in cells}

    def metrics(
        self, scene: str, condition: Mapping[str, Any], seeds: Sequence[int], inputs: str
    ) -> list[Any]:
        """The metrics of cells that are finished."""
        return [self._finished[_key(scene, condition, seed, inputs)]["metrics"] for seed in seeds]

    def has(self, scene: str, condition: Mapping[str, Any], seed: int, inputs: str) -> bool:
        """Whether the cell is finished."""
        return _key(scene, condition, seed, inputs) in self._finished


def _key(scene: str, condition: Mapping[str, Any], seed: int, inputs: str) -> str:
    return json.dumps([scene, dict(condition), seed, inputs], sort_keys=True)


_LOCKED: dict[Path, IO[str]] = {}
"""The result files that this process writes, open and locked until it ends, however it ends."""


def _lock(path: Path) -> None:
    """Keep other processes from writing `path`, which is made if there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.resolve() in _LOCKED and path.exists():
            return
        file = path.open("a")
    except OSError as error:
        raise OSError(
            f"cannot write {path} ({error.strerror}): name an --out that is writable"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise BlockingIOError(
            f"another run is writing {path.name} in {path.parent}: wait until it ends or name another --out"
        ) from error
    except OSError as error:
        file.close()
        raise OSError(
            f"cannot lock {path} ({error.strerror}): name an --out on a file system that has locks"
        ) from error
    _LOCKED[path.resolve()] = file


def _take_away_half_a_line(path: Path) -> None:
    """Let the next line begin on a line of its own, whatever a crash left at the end."""
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold back all other processes that are at this line for the same `path`, so that one makes it for all of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / f".{path.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Row:
    """One line of a summary: a claim under a condition, measured over seeds."""

    claim: str
    scene: str
    condition: dict[str, Any]
    metric: str
    published: float | None
    measured: float
    low: float
    high: float
    n_seeds: int
    seed_redraws: str
    """What a seed draws anew."""


def make_row(
    claim: str,
    scene: str,
    condition: Mapping[str, Any],
    metric: str,
    values: Sequence[float],
    seed_redraws: str,
    published: float | None = None,
    statistic: Callable[..., Any] = np.mean,
) -> Row:
    """The row of the mean over seeds, or of another statistic, with its 95 % interval."""
    measured, low, high = interval(values, statistic)
    return Row(
        claim,
        scene,
        dict(condition),
        metric,
        published,
        measured,
        low,
        high,
        len(values),
        seed_redraws,
    )


def interval(
    values: Sequence[float], statistic: Callable[..., Any] = np.mean
) -> tuple[float, float, float]:
    """Mean (or `statistic`) over seeds and its 95 % bootstrap interval; below five seeds, minimum and maximum."""
    array = np.asarray(values, dtype=np.float64)
    mean = float(statistic(array))
    if len(array) < 5:
        return mean, float(array.min()), float(array.max())
    if array.min() == array.max():
        return mean, mean, mean
    from scipy.stats import bootstrap  # here, so that worker processes start fast

    found = bootstrap(
        (array,), statistic, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return mean, float(found.low), float(found.high)


def write_summary(
    out: Path, benchmark: str, rows: Iterable[Row], variant: Sequence[str] = ()
) -> Path:
    """Write `<out>/<benchmark>.json` whole; returns its path.

    Rows of other scenes that are there already stay, with the command that made them: scenes can be run one by one. So
    do rows whose condition differs in one of the entries named by `variant`.
    """

    def belongs(row: dict[str, Any]) -> str:
        return json.dumps([row["scene"], *(row["condition"].get(name) for name in variant)])

    path, found = out / f"{benchmark}.json", [asdict(row) for row in rows]
    command = " ".join(["python", f"benchmarks/{benchmark}.py", *sys.argv[1:]])
    before: dict[str, Any] = (
        json.loads(path.read_text()) if path.exists() else {"rows": [], "command": ""}
    )
    replaced = {belongs(row) for row in found}
    others = [row for row in before["rows"] if belongs(row) not in replaced]
    if others:
        known = before["command"]
        command = known if command in known.split(" && ") else f"{known} && {command}"
    document = {
        "benchmark": benchmark,
        "command": command,
        "versions": versions(),
        "rows": others + found,
    }
    write_atomically(
        path, lambda temporary: temporary.write_text(json.dumps(document, indent=1) + "\n")
    )
    return path


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that figures depend on, and the machine."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    packages = (
        "torch",
        "numpy",
        "gymnasium",
        "pybullet",
        "pybullet-arm64",  # one of the two is installed
        "stable-baselines3",
        "opencv-python",
        "numba",
    )
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def table(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned so that it reads in a terminal too."""
    cells = [list(headers), *([str(entry) for entry in line] for line in lines)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(headers))]
    text = [
        " | ".join(entry.ljust(width) for entry, width in zip(line, widths, strict=True))
        for line in cells
    ]
    text.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in text)


def bars(panel: Any, names: Sequence[str], groups: Mapping[str, Sequence[Sequence[float]]]) -> None:
    """Fill matplotlib axes with bars: {label: for each name the values of its seeds}, mean with interval, up to 1."""
    width = 0.8 / len(groups)
    for place, (label, values) in enumerate(groups.items()):
        middle, low, high = np.array([interval(of_one) for of_one in values]).T
        at = np.arange(len(names)) + width * (place - (len(groups) - 1) / 2)
        errors = (middle - low, high - middle)
        panel.bar(
            at,
            middle,
            0.93 * width,
            yerr=errors,
            color=f"C{place}",
            label=label,
            error_kw={"lw": 0.8},
        )
    panel.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    panel.set(ylabel="accuracy", ylim=(0, 1.02))


def figure(
    path: Path,
    draw: Callable[[Any], None],
    width: float = 9.0,
    height: float = 4.0,
    columns: int = 1,
    lines: int = 1,
) -> None:
    """Draw a picture with matplotlib into `path`; `draw` gets the axes (an array of them if there are several)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shape, axes = pyplot.subplots(lines, columns, figsize=(width, height), layout="constrained")
    draw(axes)
    write_atomically(path, lambda temporary: shape.savefig(temporary, dpi=130))
    pyplot.close(shape)
