"""What every benchmark shares: result files, resuming, intervals, tables."""

import json
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from gw_agents.checkpoint import write_atomically

EXPECTED = Path(__file__).parent / "expected"
"""Committed summaries, and under `cells/` the finished cells of long runs."""

Metrics = Mapping[str, Any]
"""Figures by name, possibly nested: whatever JSON can hold."""


class Cells:
    """The finished cells of a benchmark, one JSON object a line, each on disk as soon as it is known.

    A cell is what a function makes of (scene, condition, seed); `inputs` names what else it depends on (weights,
    sizes), so that a cell of other inputs is never taken for this one's. A line cut short by a crash is passed over
    and its cell computed again.
    """

    def __init__(self, out: Path, benchmark: str) -> None:
        """Read what is finished in `out` and among the committed cells; raises OSError if `out` is not writable."""
        self.benchmark, self.path = benchmark, out / f"{benchmark}.jsonl"
        if not self.path.exists():
            write_atomically(self.path, lambda path: path.write_text(""))
        try:
            self.path.open("a").close()
        except OSError as error:
            raise OSError(f"cannot write {self.path} ({error.strerror}): name another --out") from error
        self._finished: dict[str, dict[str, Any]] = {}
        for path in (EXPECTED / "cells" / f"{benchmark}.jsonl", self.path):
            for line in path.read_text().splitlines() if path.exists() else ():
                try:
                    cell = json.loads(line)
                except json.JSONDecodeError:
                    continue
                self._finished[_key(cell["scene"], cell["condition"], cell["seed"], cell["inputs"])] = cell
        _end_line(self.path)

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
        start = time.perf_counter()
        found = work(missing) if missing else []
        seconds = round((time.perf_counter() - start) / max(1, len(missing)), 3)
        for seed, metrics in zip(missing, found, strict=True):
            cell = {
                "benchmark": self.benchmark, "scene": scene, "condition": dict(condition), "seed": seed,
                "metrics": metrics, "seconds": seconds, "inputs": inputs,
            }  # fmt: skip
            with self.path.open("a") as file:
                file.write(json.dumps(cell) + "\n")
            self._finished[_key(scene, condition, seed, inputs)] = cell
        return [self._finished[_key(scene, condition, seed, inputs)]["metrics"] for seed in seeds]

    def has(self, scene: str, condition: Mapping[str, Any], seed: int, inputs: str) -> bool:
        """Whether the cell is finished."""
        return _key(scene, condition, seed, inputs) in self._finished


def _key(scene: str, condition: Mapping[str, Any], seed: int, inputs: str) -> str:
    return json.dumps([scene, dict(condition), seed, inputs], sort_keys=True)


def _end_line(path: Path) -> None:
    """Let the next line begin on a line of its own, whatever a crash left at the end."""
    text = path.read_text()
    if text and not text.endswith("\n"):
        with path.open("a") as file:
            file.write("\n")


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
    return Row(claim, scene, dict(condition), metric, published, measured, low, high, len(values), seed_redraws)


def interval(values: Sequence[float], statistic: Callable[..., Any] = np.mean) -> tuple[float, float, float]:
    """Mean (or `statistic`) over seeds and its 95 % bootstrap interval; below five seeds, minimum and maximum."""
    array = np.asarray(values, dtype=np.float64)
    mean = float(statistic(array))
    if len(array) < 5:
        return mean, float(array.min()), float(array.max())
    if array.min() == array.max():
        return mean, mean, mean
    found = bootstrap((array,), statistic, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    return mean, float(found.low), float(found.high)


def write_summary(out: Path, benchmark: str, rows: Iterable[Row]) -> Path:
    """Write `<out>/<benchmark>.json` whole; returns its path."""
    document = {
        "benchmark": benchmark,
        "command": " ".join(["python", f"benchmarks/{benchmark}.py", *sys.argv[1:]]),
        "versions": versions(),
        "rows": [asdict(row) for row in rows],
    }
    path = out / f"{benchmark}.json"
    write_atomically(path, lambda temporary: temporary.write_text(json.dumps(document, indent=1) + "\n"))
    return path


def versions() -> dict[str, str]:
    """Of Python, the machine's architecture and the packages that figures depend on."""
    packages = ("torch", "numpy", "gymnasium", "pybullet", "stable-baselines3", "opencv-python", "numba")
    return {"python": platform.python_version(), "machine": platform.machine()} | {p: version(p) for p in packages}


def table(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned so that it reads in a terminal too."""
    cells = [list(headers), *([str(entry) for entry in line] for line in lines)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(headers))]
    text = [" | ".join(entry.ljust(width) for entry, width in zip(line, widths, strict=True)) for line in cells]
    text.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in text)


def figure(
    path: Path, draw: Callable[[Any], None], width: float = 9.0, height: float = 4.0, columns: int = 1, lines: int = 1
) -> None:
    """Draw a picture with matplotlib into `path`; `draw` gets the axes (an array of them if there are several)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shape, axes = pyplot.subplots(lines, columns, figsize=(width, height), layout="constrained")
    draw(axes)
    write_atomically(path, lambda temporary: shape.savefig(temporary, dpi=130))
    pyplot.close(shape)
