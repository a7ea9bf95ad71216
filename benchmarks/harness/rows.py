"""The rows of a summary: one claim under one condition, measured over seeds, and the file that
holds them."""

import json
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks.harness.cells import EXPECTED, Cell
from gw_envs.files import write_atomically
from gw_envs.scenes import SCENES

PACKAGES = (
    "torch",
    "numpy",
    "gymnasium",
    "pybullet",
    "stable-baselines3",
    "opencv-python",
    "numba",
)
"""Packages whose versions a summary records, since figures depend on them."""


@dataclass(frozen=True)
class Row:
    """One line of a summary."""

    claim: str
    """Id for readers, derived from the condition; nothing parses it."""
    scene: str
    condition: dict[str, Any]
    """Everything that tells this row from others of its scene: method, modalities, noise, and so
    on."""
    metric: str
    published: float | None
    """The value reported elsewhere, if there is one."""
    measured: float
    low: float
    high: float
    n_seeds: int
    seed_redraws: str
    """What differs from seed to seed."""

    @property
    def interval(self) -> str:
        """The mean with its interval, in percent."""
        return f"{self.measured:.1%} ({self.low:.1%} to {self.high:.1%})"

    def matches(self, **wanted: Any) -> bool:
        """Tell whether the condition holds all that is wanted."""
        return wanted.items() <= self.condition.items()


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
    """Return the row of the mean over seeds, or of another statistic, with its 95 % interval."""
    measured, low, high = interval(values, statistic)
    return Row(
        claim=claim,
        scene=scene,
        condition=json.loads(json.dumps(condition)),  # as it is when read back
        metric=metric,
        published=published,
        measured=measured,
        low=low,
        high=high,
        n_seeds=len(values),
        seed_redraws=seed_redraws,
    )


def interval(
    values: Sequence[float], statistic: Callable[..., Any] = np.mean
) -> tuple[float, float, float]:
    """Return mean (or `statistic`), low and high: the 95 % bootstrap interval, or the range of
    fewer than five."""
    array = np.asarray(values, dtype=np.float64)
    mean = float(statistic(array))
    if len(array) < 5:
        return mean, float(array.min()), float(array.max())
    if array.min() == array.max():
        return mean, mean, mean
    from scipy.stats import bootstrap  # slow to import, and workers never need it

    limits = bootstrap(
        (array,), statistic, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return mean, float(limits.low), float(limits.high)


C = TypeVar("C", bound=Cell)


def over_seeds(results: Mapping[C, Any]) -> dict[C, list[Any]]:
    """Gather the metrics of cells that differ in their `seed` alone: {the cell with seed 0: metrics
    by seed}."""
    gathered: dict[C, list[Any]] = {}
    for cell, metrics in results.items():
        gathered.setdefault(replace(cell, seed=0), []).append(metrics)  # type: ignore[call-arg]
    return gathered


Entry = dict[str, Any]
"""One figure among a cell's metrics: "metric", "value", and the condition it was measured under."""


def entry(metric: str, value: Any, **condition: Any) -> Entry:
    """Return one figure as metrics hold it."""
    return {**condition, "metric": metric, "value": float(value)}


def entry_rows(
    scene: str,
    runs: Sequence[Sequence[Entry]],
    condition: Mapping[str, Any],
    claim: Callable[[dict[str, Any]], str],
    seed_redraws: str,
) -> list[Row]:
    """Return a row for every entry that the metrics of all seeds hold.

    Args:
        scene: name of the scene.
        runs: the entries of each seed, in the same order.
        condition: entries that the conditions of all rows have in common.
        claim: condition -> claim.
        seed_redraws: what differs from seed to seed.
    """
    rows = []
    for entries in zip(*runs, strict=True):
        own = {**condition, **entries[0]}
        metric = own.pop("metric")
        del own["value"]
        values = [entry["value"] for entry in entries]
        rows.append(make_row(claim(own), scene, own, metric, values, seed_redraws))
    return rows


def mean_value(entries: Iterable[Entry], **wanted: Any) -> float:
    """Return the mean value of the entries that hold all that is wanted."""
    return float(np.mean([e["value"] for e in entries if wanted.items() <= e.items()]))


def find_row(rows: Iterable[Row], metric: str, scene: str, **wanted: Any) -> Row:
    """Return the first row of a metric and scene whose condition holds all that is wanted."""
    for row in rows:
        if row.metric == metric and row.scene == scene and row.matches(**wanted):
            return row
    raise LookupError(f"no row of {metric} in {scene} with {wanted}")


def by_scene(rows: Iterable[Row]) -> list[Row]:
    """Sort rows by scene, in the order of `SCENES`, and leave their order within a scene."""
    order = list(SCENES)
    return sorted(rows, key=lambda row: order.index(row.scene))


def write_summary(
    out: Path,
    benchmark: str,
    rows: Iterable[Row],
    variant: Sequence[str] = (),
    weights: Mapping[str, str] | None = None,
) -> Path:
    """Write `<out>/<benchmark>.json`, one row a line; return its path.

    Keeps the file's rows, and their commands, of other scenes and of runs that differ in an entry
    of the condition that `variant` names; but no rows of a scene that were measured with other
    weights than those of `weights`, {scene: digest}.
    """

    def group(row: Mapping[str, Any]) -> str:
        return json.dumps([row["scene"], *(row["condition"].get(name) for name in variant)])

    digests = dict(weights or {})
    path, written = out / f"{benchmark}.json", [asdict(row) for row in rows]
    command = " ".join(["python", f"benchmarks/{benchmark}.py", *_without_folder(sys.argv[1:])])
    before: dict[str, Any] = {"rows": [], "command": ""}
    if path.exists():
        before = json.loads(path.read_text())
    replaced = {group(row) for row in written}
    known_weights = before.get("weights", {})
    replaced_weights = {
        scene for scene, digest in digests.items() if known_weights.get(scene) != digest
    }
    others = [
        row
        for row in before["rows"]
        if group(row) not in replaced and row["scene"] not in replaced_weights
    ]
    if others:
        known = before["command"]
        command = known if command in known.split(" && ") else f"{known} && {command}"
    document = {
        "benchmark": benchmark,
        "command": command,
        "weights": {**known_weights, **digests},
        "versions": versions(),
    }
    text = summary_text(document, others + written)
    write_atomically(path, lambda temporary: temporary.write_text(text))
    return path


def _without_folder(arguments: Sequence[str]) -> list[str]:
    """Leave out where results were written: readers write them to places of their own."""
    kept, skip = [], False
    for argument in arguments:
        if not skip and argument != "--out" and not argument.startswith("--out="):
            kept.append(argument)
        skip = argument == "--out"
    return kept


def summary_text(document: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a summary as JSON text with one row a line."""
    head = json.dumps(document, indent=1).removesuffix("\n}")
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return f'{head},\n "rows": [\n{lines}\n ]\n}}\n'


def read_summary(benchmark: str, folder: Path = EXPECTED) -> tuple[dict[str, Any], list[Row]]:
    """Return a summary's head (benchmark, command, weights, versions) and its rows."""
    document = json.loads((folder / f"{benchmark}.json").read_text())
    rows = [Row(**row) for row in document.pop("rows")]
    return document, rows


def rows_before(benchmark: str) -> list[Row]:
    """Return the rows of a benchmark's committed summary of the previous release,
    `NAME_before.json`; none if there is no such file."""
    name = f"{benchmark}_before"
    return read_summary(name)[1] if (EXPECTED / f"{name}.json").exists() else []


def versions() -> dict[str, str]:
    """Return the versions of Python and of `PACKAGES`, and the machine's architecture."""
    installed = {"python": platform.python_version(), "machine": platform.machine()}
    return installed | {package: version(package) for package in PACKAGES}
