"""Engines: the same results from each, killed workers and drivers, two drivers, and bad input."""

import fcntl
import json
import random
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import kill_sweep
import pytest
import tyro
from tiny_cells import double, killed_once, killed_or_wrong

from benchmarks import (
    classification,
    control,
    domains,
    engines,
    noise_robustness,
    odd_one_out,
    translation,
)
from benchmarks.common import Cells
from benchmarks.engines import CellsFailed, Sweep, Task

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
EVERYWHERE = ["serial", "process", pytest.param("ray", marks=needs_ray)]
ELSEWHERE = EVERYWHERE[1:]


def tasks(work, seeds, *arguments, after=()):
    return [
        Task("factory", {"work": work.__name__}, [seed], "", work, arguments, after)
        for seed in seeds
    ]


def sweep(engine: str) -> Sweep:
    return Sweep(engine, None if engine == "serial" else 2)


@pytest.mark.parametrize("engine", EVERYWHERE)
def test_every_engine_comes_to_the_same(engine, tmp_path):
    cells = Cells(tmp_path, "trial")
    assert sweep(engine).compute(cells, tasks(double, range(2))) == [[{"value": 0}], [{"value": 2}]]
    first = Task("factory", {"search": "offset"}, [100], "", double, (7,))
    together = [Task("factory", {"work": "double"}, range(4), "", double, (1,), (first,))]
    values = [
        cell["value"] for cells_of in sweep(engine).compute(cells, together) for cell in cells_of
    ]
    assert values == [0, 2, 4 + 1 + 207, 6 + 1 + 207]  # the first two were finished
    lines = [json.loads(line) for line in (tmp_path / "trial.jsonl").read_text().splitlines()]
    assert [line["seed"] for line in lines[2:]] == [100, 2, 3]
    assert all(line["seconds"] >= 0 for line in lines)


def test_what_is_finished_needs_nothing_before(tmp_path):
    cells = Cells(tmp_path, "trial")
    Sweep().compute(cells, tasks(double, [0]))
    first = Task("factory", {"search": "offset"}, [100], "", double)
    Sweep().compute(cells, tasks(double, [0], after=(first,)))
    assert not cells.has("factory", {"search": "offset"}, 100, "")


def test_a_task_that_others_need_is_done_once(tmp_path):
    (first,) = tasks(double, [7])
    (second,) = tasks(double, [0], 1, after=(first,))
    cells = Cells(tmp_path, "trial")
    assert Sweep().compute(cells, [second, first]) == [[{"value": 15}], [{"value": 14}]]
    assert len((tmp_path / "trial.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("engine", ELSEWHERE)
def test_a_cell_whose_worker_is_killed_is_tried_again(engine, tmp_path):
    found = sweep(engine).compute(Cells(tmp_path, "trial"), tasks(killed_once, range(3), tmp_path))
    assert found == [[0], [1], [2]]


@pytest.mark.parametrize("engine", ELSEWHERE)
def test_a_cell_that_cannot_be_computed_stops_no_other(engine, tmp_path):
    cells = Cells(tmp_path, "trial")
    with pytest.raises(CellsFailed, match="2 of 5 tasks failed") as failure:
        sweep(engine).compute(cells, tasks(killed_or_wrong, range(5)))
    assert "seed 1: its worker was" in str(failure.value) or "two is one too many" in str(
        failure.value
    )
    assert [cells.has("factory", {"work": "killed_or_wrong"}, seed, "") for seed in range(5)] == [
        1,
        0,
        0,
        1,
        1,
    ]


def test_the_serial_engine_raises_the_error_itself(tmp_path):
    with pytest.raises(ValueError, match=r"^two is one too many$"):
        Sweep().compute(Cells(tmp_path, "trial"), tasks(killed_or_wrong, [2]))


def test_idle_workers_may_be_killed(tmp_path):
    cells = Cells(tmp_path, "trial")
    sweep("process").compute(cells, tasks(double, range(3)))
    pool = engines._processes(2)
    for worker in pool.idle:
        worker.process.kill()
        worker.process.join()
    assert sweep("process").compute(cells, tasks(double, range(3, 6))) == [
        [{"value": 2 * s}] for s in range(3, 6)
    ]


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
    with (tmp_path / "trial.jsonl").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(
            BlockingIOError, match=f"another run is writing trial.jsonl in {tmp_path}: wait"
        ):
            Cells(tmp_path, "trial")
        Cells(tmp_path, "another")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"engine": "process", "workers": 0}, "--workers is 0: name at least one"),
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


BENCHMARKS = (classification, control, domains, noise_robustness, odd_one_out, translation)


@pytest.mark.parametrize("module", BENCHMARKS, ids=lambda module: module.__name__)
def test_every_benchmark_has_the_options(module):
    arguments = tyro.cli(module.Arguments, args=["--engine", "process", "--workers", "3"])
    assert arguments.sweep == Sweep("process", 3)


def test_a_benchmark_comes_to_the_same_in_processes(tmp_path):
    """Random actions in episodes of the environment, from a module that imports everything."""
    arguments = ("simple_shapes", "random", 20)
    trial = [Task("simple_shapes", {"actor": "random"}, [0], "20", control.compute_ends, arguments)]
    found = [
        where.compute(Cells(tmp_path / where.engine, "control"), trial)
        for where in (Sweep(), Sweep("process", 1))
    ]
    assert found[0] == found[1]
    assert found[0][0][0].keys() >= {"return", "success"}
