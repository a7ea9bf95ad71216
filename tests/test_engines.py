"""Engines: the same results from each, killed workers and drivers, two drivers, and bad input."""

import json
import random
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import kill_sweep
import pytest
import tyro
from tiny_cells import Double, KilledOnce, KilledOrWrong, Measured, Trained

from benchmarks.agents.control import CONTROL
from benchmarks.harness import engines
from benchmarks.harness.cells import Cells, Place
from benchmarks.harness.engines import CellsFailed, Sweep
from benchmarks.latents.report import DOMAINS
from benchmarks.noise.robustness import NOISE_ROBUSTNESS
from benchmarks.pairs.classification import CLASSIFICATION
from benchmarks.pairs.odd_one_out import ODD_ONE_OUT
from benchmarks.pairs.translation import TRANSLATION
from benchmarks.shipped.captions import CAPTIONS
from gw_envs.outputs import locked

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
EVERYWHERE = ["serial", "process", pytest.param("ray", marks=needs_ray)]
ELSEWHERE = EVERYWHERE[1:]


def sweep(engine: str) -> Sweep:
    return Sweep(engine, None if engine == "serial" else 2)


def compute(engine: str, out: Path, wanted: list) -> list:
    """The metrics of the wanted cells, in their order."""
    return list(sweep(engine).compute(Cells(out, "trial"), wanted, Place(out)).values())


def double(seeds: range, **fields) -> list[Double]:
    return [Double("factory", seed, **fields) for seed in seeds]


@pytest.mark.parametrize("engine", EVERYWHERE)
def test_every_engine_comes_to_the_same(engine, tmp_path):
    assert compute(engine, tmp_path, double(range(2))) == [{"value": 0}, {"value": 2}]
    first = Double("factory", 100, add=7)
    wanted = double(range(2)) + double(range(2, 4), add=1, before=(first,))
    values = [metrics["value"] for metrics in compute(engine, tmp_path, wanted)]
    assert values == [0, 2, 4 + 1 + 207, 6 + 1 + 207]
    lines = [json.loads(line) for line in (tmp_path / "trial.jsonl").read_text().splitlines()]
    computed = [line["key"]["seed"] for line in lines[2:]]  # the first two were finished
    assert computed[0] == 100
    assert sorted(computed[1:]) == [2, 3]  # workers may finish in another order
    assert all(line["seconds"] >= 0 for line in lines)


def test_what_is_finished_needs_nothing_before(tmp_path):
    first = Trained("factory", 7)
    (cell,) = wanted = [Measured("factory", first)]
    cells = Cells(tmp_path, "trial")
    cells.add(cell, "7", 0.0)
    assert Sweep().compute(cells, wanted, Place(tmp_path)) == {cell: "7"}
    assert not cells.has(first)


def test_a_cell_that_others_need_is_computed_once(tmp_path):
    first = Double("factory", 7)
    second = Double("factory", 0, add=1, before=(first,))
    assert compute("serial", tmp_path, [second, first]) == [{"value": 15}, {"value": 14}]
    assert len((tmp_path / "trial.jsonl").read_text().splitlines()) == 2


def test_training_whose_file_is_gone_is_repeated_only_if_something_needs_it(tmp_path):
    first = Trained("factory", 7)
    (tmp_path / "other").mkdir()
    wanted = [Measured("factory", first)]
    assert compute("serial", tmp_path, wanted) == ["7"]
    first.product(Place(tmp_path)).unlink()
    assert compute("serial", tmp_path, wanted) == ["7"]
    assert not first.product(Place(tmp_path)).exists()
    assert compute("serial", tmp_path, [*wanted, Measured("simple_shapes", first)]) == ["7", "7"]
    assert first.product(Place(tmp_path)).exists()


@pytest.mark.parametrize("engine", ELSEWHERE)
def test_a_cell_whose_worker_is_killed_is_tried_again(engine, tmp_path):
    wanted = [KilledOnce("factory", seed) for seed in range(3)]
    assert compute(engine, tmp_path, wanted) == [0, 1, 2]


@pytest.mark.parametrize("engine", ELSEWHERE)
def test_a_cell_that_cannot_be_computed_stops_no_other(engine, tmp_path):
    wanted = [KilledOrWrong("factory", seed) for seed in range(5)]
    with pytest.raises(CellsFailed, match="2 of 5 cells failed") as failure:
        compute(engine, tmp_path, wanted)
    message = str(failure.value)
    assert "seed 1: its worker was" in message or "two is one too many" in message
    cells = Cells(tmp_path, "trial")
    assert [cells.has(cell) for cell in wanted] == [True, False, False, True, True]


def test_the_serial_engine_raises_the_error_itself(tmp_path):
    with pytest.raises(ValueError, match=r"^two is one too many$"):
        compute("serial", tmp_path, [KilledOrWrong("factory", 2)])


def test_idle_workers_may_be_killed(tmp_path):
    compute("process", tmp_path, double(range(3)))
    pool = engines._processes(2)
    for worker in pool.idle:
        worker.process.kill()
        worker.process.join()
    found = compute("process", tmp_path, double(range(3, 6)))
    assert found == [{"value": 2 * seed} for seed in range(3, 6)]


def test_killed_workers_and_drivers_lose_nothing_and_double_nothing(tmp_path):
    tally = Counter[str]()
    kill_sweep.sweep(kill_sweep.Arguments(kills=4, cells=14), tmp_path, random.Random(0), tally)
    assert tally["workers killed"] >= 2
    assert tally["drivers killed"] == 1
    assert {what: tally[what] for what in kill_sweep.WRONG} == dict.fromkeys(kill_sweep.WRONG, 0)


def test_workers_end_with_their_driver(tmp_path):
    driver = kill_sweep.start(tmp_path, 500, 2)
    patient = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < patient:
        time.sleep(0.02)
    workers = kill_sweep.workers_of(driver.pid)
    with pytest.raises(BlockingIOError, match=f"another run is writing .* in {tmp_path}"):
        Cells(tmp_path, kill_sweep.NAME)
    driver.kill()
    driver.wait()
    assert workers
    while any(is_alive(worker) for worker in workers) and time.monotonic() < patient:
        time.sleep(0.02)
    assert not any(is_alive(worker) for worker in workers)
    Cells(tmp_path, kill_sweep.NAME)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_a_second_driver_of_a_folder_is_refused(tmp_path):
    with locked(tmp_path / ".trial.jsonl.lock", "held by this test"):
        with pytest.raises(
            BlockingIOError, match=f"another run is writing trial.jsonl in {tmp_path}: wait"
        ):
            Cells(tmp_path, "trial")
        Cells(tmp_path, "another")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"engine": "process", "workers": 0}, "--workers is 0: give a whole number of at least 1"),
        ({"workers": 2}, "the engine is serial"),
        ({"engine": "process", "address": "head:6379"}, "--address is for --engine ray"),
        ({"engine": "ray", "address": "head:6379", "workers": 2}, "leave it out beside --address"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Sweep(**options)


def test_an_engine_that_is_not_installed_names_its_extra(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'needs the extra `cluster`: pip install "\.\[cluster\]"'):
        Sweep("ray")


@needs_ray
def test_an_address_that_does_not_answer_is_given_up(tmp_path):
    start = time.monotonic()
    with pytest.raises(
        ConnectionError, match=r"no Ray cluster answers at 127\.0\.0\.1:1 within 20 seconds"
    ):
        engines.check_address("127.0.0.1:1")
    assert time.monotonic() - start < 25


BENCHMARKS = (
    NOISE_ROBUSTNESS,
    TRANSLATION,
    CAPTIONS,
    CLASSIFICATION,
    ODD_ONE_OUT,
    CONTROL,
    DOMAINS,
)


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_every_benchmark_has_the_options(benchmark):
    arguments = tyro.cli(benchmark.arguments, args=["--engine", "process", "--workers", "3"])
    assert arguments.sweep == Sweep("process", 3)
