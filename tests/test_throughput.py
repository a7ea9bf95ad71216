"""The throughput benchmark's arithmetic, from made-up rates: the machine's speed is not tested."""

import sys
import time

import pytest

from benchmarks.harness.benchmark import run
from benchmarks.harness.cells import Place
from benchmarks.harness.rows import Row
from benchmarks.speed.claims import CLAIMS, GROWTHS
from benchmarks.speed.learning import PARTS, ppo, profile
from benchmarks.speed.reports import growth_table, tables
from benchmarks.speed.stepping import MODALITIES, memory
from benchmarks.speed.throughput import (
    SUBJECTS,
    THROUGHPUT,
    Arguments,
    Measurement,
    cells,
    gather,
    rows,
)
from benchmarks.speed.timing import Budget, Series, Stopwatch, rate

SIZES = (1, 16, 64, 256)
BUDGET = Budget(0.01, SIZES, 8)
PLAIN = {"full_render", "physics", "cart_pole", "nature_cnn", "single", "copy", "raw_cnn"}
"""Baselines, beside those whose names begin with `matplotlib`, `opencv` and `extractor`."""
EXPECTED = (
    ("render/simple_shapes/matplotlib", {"num_envs": 256}),
    ("render/simple_shapes/copy", {}),
    ("steps/simple_shapes/matplotlib", {}),
    ("camera/full_render", {"size": 64}),
    ("camera/full_render", {"size": 128}),
    ("steps/factory/full_render", {}),
    ("steps/factory/physics", {"num_envs": 16}),
    ("single/factory/cart_pole", {}),
    ("encoding/factory/nature_cnn", {}),
    ("encode/factory/nature_cnn", {"batch": 1}),
    ("ppo/simple_shapes/nature_cnn", {}),
    ("ppo/simple_shapes/raw_cnn", {}),
    ("ppo/factory/extractor", {"trained": "nothing"}),
    ("ppo/factory/extractor", {"trained": "everything"}),
    ("training/stacked", {}),
)


def is_baseline(what: str) -> bool:
    return what in PLAIN or what.startswith(("matplotlib", "opencv", "extractor"))


def made_up(factor: float) -> dict[tuple[str, str], dict[Series, float]]:
    """Rates of one repeat: everything of ours is `factor` times as fast as its baseline."""
    rates: dict[tuple[str, str], dict[Series, float]] = {}
    for claim in CLAIMS:
        for measured in (claim.ours, claim.baseline):
            of_subject = rates.setdefault((claim.scene, measured.subject), {})
            value = 100.0 if is_baseline(measured.what) else 100.0 * factor
            of_subject[measured.series(max(SIZES))] = value
    for scene in ("simple_shapes", "factory"):
        for size in SIZES:
            for modalities in MODALITIES:
                rates[scene, "steps"][Series("+".join(modalities), size)] = 100.0 * factor
    for size in SIZES:
        rates["simple_shapes", "render"][Series("ours", size)] = 100.0 * factor
        rates["simple_shapes", "render"][Series("copy", size)] = 100.0
        rates["factory", "camera 64"][Series("ours", size)] = 100.0 * factor
        rates["factory", "steps"][Series("physics", size)] = 100.0
    return rates


@pytest.fixture(scope="module")
def results() -> dict:
    found = {}
    for repeat, factor in enumerate((2.0, 3.0, 7.0, 4.0, 4.0)):
        for (scene, subject), rates in made_up(factor).items():
            cell = Measurement(scene, subject, BUDGET, "Some CPU", "today", repeat)
            found[cell] = [
                {"what": series.what, "count": series.count, "value": value}
                for series, value in rates.items()
            ]
    return found


@pytest.mark.parametrize(("claim", "condition"), EXPECTED)
def test_ratios_by_hand(results, claim, condition):
    (row,) = [
        row
        for row in rows(results)
        if row.claim == f"throughput/{claim}" and row.metric == "ratio" and row.matches(**condition)
    ]
    assert (row.measured, row.low, row.high) == pytest.approx((4.0, 2.0, 7.0))


def test_ratios_at_every_number_of_scenes(results):
    text = str(growth_table(rows(results)))
    compared = 2 + 1 + 3 * len(MODALITIES)  # pictures of Simple Shapes, of the Factory, and steps
    assert text.count("4 (2 to 7)") == len(SIZES) * compared
    assert len({(growth.scene, growth.subject) for growth in GROWTHS}) == 4


def test_absolute_rates_name_the_processor(results):
    rates = [row for row in rows(results) if row.metric == "per second"]
    assert {row.condition["processor"] for row in rates} == {"Some CPU"}
    titles = [table.title for table in tables(rows(results))]
    assert "Rates a second, on one thread of Some CPU" in titles


def test_the_picture_is_drawn(results, tmp_path):
    (figure,) = THROUGHPUT.figures(results)
    assert figure.save(tmp_path).stat().st_size > 10_000


def test_values_are_gathered_over_repeats(results):
    values = gather(results)["factory", "ppo"]
    assert values[Series("gw")] == [200.0, 300.0, 700.0, 400.0, 400.0]


def test_a_change_shows_the_release_before(monkeypatch):
    def ratio(measured: float) -> Row:
        condition = {"ours": "a step", "baseline": "another step", "num_envs": 4}
        return Row("throughput/x", "factory", condition, "ratio", None, measured, 1.0, 9.0, 5, "")

    monkeypatch.setattr("benchmarks.speed.reports.before", lambda: {key(ratio(3.0)): ratio(3.0)})
    (table,) = tables([ratio(3.0)])
    assert table.lines == [("factory", "a step", "another step", "num_envs 4", "3 (1 to 9)")]
    (table,) = tables([ratio(6.0)])
    assert table.headers[-1] == "before"
    assert table.lines[0][-2:] == ("6 (1 to 9)", "3")


def key(row: Row) -> tuple:
    return row.claim, row.scene, row.metric, *sorted(row.condition.items())


def test_repeats_are_outermost(tmp_path):
    listed = cells(Arguments("factory", repeats=2, out=tmp_path))
    subjects = [subject.name for subject in SUBJECTS if "factory" in subject.scenes]
    assert [cell.subject for cell in listed] == subjects * 2
    assert [cell.seed for cell in listed] == [0] * len(subjects) + [1] * len(subjects)


def test_no_repeats_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--repeats is 0"):
        run(THROUGHPUT, Arguments(repeats=0, out=tmp_path))


def test_rate_counts_calls():
    calls = []
    found = rate(lambda: calls.append(sum(range(20_000))), 5, 0.02)
    assert len(calls) >= 2  # the first one only warms up
    assert 0 < found <= 5 * len(calls) / 0.02


def test_nested_times_count_once(monkeypatch):
    clock = iter((1.0, 2.0, 5.0, 11.0))
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    watch = Stopwatch()
    inner = watch.timed("inner", lambda: None)
    watch.timed("outer", inner)()
    assert watch.spent == {"outer": (2.0 - 1.0) + (11.0 - 5.0), "inner": 5.0 - 2.0}


def test_ppo_is_timed_in_each_way():
    found = ppo("simple_shapes", Place().weights_of("simple_shapes"), BUDGET)
    assert set(found) == set(made_up(1.0)["simple_shapes", "ppo"])
    assert min(found.values()) > 0


def test_every_part_of_ppo_takes_time():
    found = profile("simple_shapes", Place().weights_of("simple_shapes"), BUDGET)
    assert set(found) == {Series(part) for part in PARTS}
    assert min(found.values()) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_memory_is_that_of_a_process_of_its_own():
    found = memory("simple_shapes", BUDGET)
    assert 10 < found[Series("process", 1)] < 2000
