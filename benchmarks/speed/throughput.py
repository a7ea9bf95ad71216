"""How fast scenes are drawn, moved and encoded, and agents trained; described in
`benchmarks/throughput.py`."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from benchmarks.harness import benchmark
from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.cells import Cell, Place
from benchmarks.harness.engines import Sweep
from benchmarks.harness.rows import Row, make_row, over_seeds
from benchmarks.speed import learning, networks, rendering, stepping
from benchmarks.speed.claims import CLAIMS, GROWTHS, LARGEST, Claim, Growth, Measured
from benchmarks.speed.reports import figures, quoted, tables
from benchmarks.speed.timing import Budget, Rates, Series, one_thread, processor
from gw_envs.errors import check_whole
from gw_envs.scenes import SCENES

REDRAWS = "nothing: the measurement is repeated"
"""What differs from repeat to repeat."""


@dataclass(frozen=True)
class Subject:
    """Rates that are measured one after the other, again in every repeat."""

    name: str
    measure: Callable[[str, Path, Budget], Rates]
    """(scene, folder of its weights, budget) -> rates."""
    metric: str = "per second"
    """What the numbers are."""
    scenes: tuple[str, ...] = tuple(SCENES)


def _of_scene(measure: Callable[[str, Budget], Rates]) -> Callable[[str, Path, Budget], Rates]:
    """Measure what needs no weights."""
    return lambda scene, weights, budget: measure(scene, budget)


def _plain(measure: Callable[[Budget], Rates]) -> Callable[[str, Path, Budget], Rates]:
    """Measure what needs neither scene nor weights."""
    return lambda scene, weights, budget: measure(budget)


def _camera(size: int) -> Callable[[str, Path, Budget], Rates]:
    """Measure the Factory's pictures of a size."""
    return lambda scene, weights, budget: rendering.factory_pictures(size, budget)


SHAPES, FACTORY = ("simple_shapes",), ("factory",)
SUBJECTS: tuple[Subject, ...] = (
    Subject("render", _plain(rendering.shape_pictures), scenes=SHAPES),
    Subject("camera 64", _camera(64), scenes=FACTORY),
    Subject("camera 128", _camera(128), scenes=FACTORY),
    Subject("captions", _of_scene(rendering.captions)),
    Subject("steps", _of_scene(stepping.batches), scenes=SHAPES),
    Subject("steps", _plain(stepping.factory_batches), scenes=FACTORY),
    Subject("single", _of_scene(stepping.single_environments)),
    Subject("encoding", networks.encoding),
    Subject("encode", networks.encoding_one),
    Subject("training", _plain(networks.training), scenes=SHAPES),
    Subject("ppo", learning.ppo),
    Subject("profile", learning.profile, "microseconds a step"),
    Subject("memory", _of_scene(stepping.memory), "MB"),
)
"""Everything that is measured."""
BUDGETS = {
    "quick": Budget(0.05, (1, 16, 64), 32),
    "full": Budget(0.3, (1, 16, 64, 256), 128),
}


@dataclass(frozen=True)
class Arguments(benchmark.Arguments):
    """Throughput of renderers, environments, encoders and training."""

    preset: Literal["quick", "full"] = "full"
    """Quick measures everything for 0.05 s instead of 0.3 s, lets PPO learn for a quarter of the
    steps, and leaves out 256 scenes, which take 7 GB in the Factory."""
    repeats: int = 5
    """How often everything is measured."""
    sweep: tyro.conf.Suppress[Sweep] = field(default_factory=Sweep)
    """One after the other: neighbors would be in the time that is measured."""
    begun: tyro.conf.Suppress[str] = field(
        default_factory=lambda: time.strftime("%Y-%m-%d %H:%M:%S")
    )

    def check(self) -> None:
        """Raise InputError unless there is a repeat."""
        check_whole("--repeats", self.repeats, 1)


@dataclass(frozen=True)
class Measurement(Cell):
    """Measures a subject once. Metrics: [{"what", "count", "value"}].

    Rates of other times say nothing about this run, so the time at which it began is part of the
    key.
    """

    FILE = "throughput"

    subject: str
    budget: Budget
    processor: str
    begun: str
    """When the run began."""
    seed: int
    """Number of the repeat."""

    def compute(self, place: Place, needed: Sequence[Any]) -> list[dict[str, Any]]:
        """Measure."""
        one_thread()
        subject = find_subject(self.scene, self.subject)
        rates = subject.measure(self.scene, place.weights_of(self.scene), self.budget)
        return [
            {"what": series.what, "count": series.count, "value": value}
            for series, value in rates.items()
        ]


def find_subject(scene: str, name: str) -> Subject:
    """Return the subject of a scene."""
    for subject in SUBJECTS:
        if subject.name == name and scene in subject.scenes:
            return subject
    raise LookupError(f"{scene} has no {name}")


def cells(arguments: Arguments) -> list[Measurement]:
    """List every subject once for each repeat, repeats outermost, so that the two sides of a ratio
    are measured close together."""
    budget, begun = BUDGETS[arguments.preset], arguments.begun
    listed = []
    for repeat in range(arguments.repeats):
        for scene in arguments.scenes:
            for subject in SUBJECTS:
                if scene in subject.scenes:
                    listed.append(
                        Measurement(scene, subject.name, budget, processor(), begun, repeat)
                    )
    return listed


Values = dict[tuple[str, str], dict[Series, list[float]]]
"""{(scene, subject): {series: a value for each repeat}}."""


def gather(results: Mapping[Measurement, Any]) -> Values:
    """Sort the results by subject."""
    values: Values = {}
    for cell, repeats in over_seeds(results).items():
        of_subject: dict[Series, list[float]] = {}
        for entry in chain.from_iterable(repeats):
            series = Series(entry["what"], entry["count"])
            of_subject.setdefault(series, []).append(entry["value"])
        values[cell.scene, cell.subject] = of_subject
    return values


def rows(results: Mapping[Measurement, Any]) -> list[Row]:
    """Return a row for every claim, every ratio at each number of scenes, and every rate."""
    values, first = gather(results), next(iter(results))
    largest = max(first.budget.sizes)
    rows = []
    for claim in CLAIMS:
        rows += claim_rows(claim, values, largest)
    for growth in GROWTHS:
        rows += growth_rows(growth, values)
    for (scene, subject), of_subject in values.items():
        metric = find_subject(scene, subject).metric
        claim_id = f"throughput/{subject.replace(' ', '/')}/{scene}/rate"
        for series, repeats in of_subject.items():
            condition = {"subject": subject, "what": series.what, "num_envs": series.count}
            condition |= {"processor": first.processor}
            rows.append(range_row(claim_id, scene, condition, metric, repeats))
    return rows


def claim_rows(claim: Claim, values: Values, largest: int) -> list[Row]:
    """Return the row of a claim; none if its scene was not measured."""
    ours = _measured(values, claim.scene, claim.ours, largest)
    baseline = _measured(values, claim.scene, claim.baseline, largest)
    if not ours or not baseline:
        return []
    condition = {
        name: largest if value == LARGEST else value for name, value in claim.condition.items()
    }
    texts = dict(zip(("ours", "baseline"), claim.texts, strict=True))
    name = f"throughput/{claim.name}"
    return [ratio_row(name, claim.scene, {**texts, **condition}, "ratio", ours, baseline)]


def growth_rows(growth: Growth, values: Values) -> list[Row]:
    """Return the ratios of one comparison at every number of scenes."""
    rows = []
    for series, ours in values.get((growth.scene, growth.subject), {}).items():
        baseline = _measured(values, growth.scene, growth.baseline, series.count)
        if series.what in growth.baselines or not baseline:
            continue
        other = growth.baseline.what
        condition: dict[str, Any] = {"subject": growth.subject, "what": series.what}
        condition |= {"baseline": other, "num_envs": series.count}
        claim = f"throughput/{growth.subject.replace(' ', '/')}/{growth.scene}/{other}"
        rows.append(
            ratio_row(claim, growth.scene, condition, "times at each count", ours, baseline)
        )
    return rows


def _measured(values: Values, scene: str, measured: Measured, largest: int) -> list[float]:
    """Return the values of all repeats; empty if the subject was not measured."""
    return values.get((scene, measured.subject), {}).get(measured.series(largest), [])


def ratio_row(
    claim: str,
    scene: str,
    condition: Mapping[str, Any],
    metric: str,
    ours: Sequence[float],
    baseline: Sequence[float],
) -> Row:
    """Return the row of the mean ratio of ours to the baseline."""
    ratios = (np.array(ours) / np.array(baseline)).tolist()
    return range_row(claim, scene, condition, metric, ratios)


def range_row(
    claim: str, scene: str, condition: Mapping[str, Any], metric: str, values: Sequence[float]
) -> Row:
    """Return the row of the mean over repeats, with their range."""
    row = make_row(claim, scene, condition, metric, values, REDRAWS)
    return replace(row, low=min(values), high=max(values))


THROUGHPUT = Benchmark(
    name="throughput",
    arguments=Arguments,
    cells=cells,
    rows=rows,
    tables=tables,
    figures=figures,
    quoted=quoted,
)
