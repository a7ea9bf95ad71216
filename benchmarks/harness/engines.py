"""Where cells are computed: in this process, in worker processes, or on a Ray cluster.

`Sweep.compute` gets the cells that a benchmark wants and returns their metrics. Whatever the
engine, only the process that was started (the driver) writes results, and each finished cell is on
disk before it counts: the same command resumes if the driver is killed. The cell of a worker that
is killed is given to another worker. This module imports nothing heavy: workers load what their
cells need.
"""

import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from benchmarks.harness.cells import Cell, Cells, Place
from gw_envs.errors import InputError, check_whole

RETRIES = 3
"""How often a cell is tried again after its worker was killed."""
PATIENCE = 20.0
"""Seconds within which a Ray cluster must answer."""
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
"""Environment of workers: one thread each, and no progress bars of their own."""


class CellsFailed(InputError):
    """Some cells could not be computed; the others are on disk."""


@dataclass(frozen=True)
class Done:
    """The outcome of a cell."""

    metrics: Any
    seconds: float
    error: str = ""
    """What went wrong; empty if nothing did."""


@dataclass(frozen=True)
class Job:
    """A cell on its way to a worker."""

    content: bytes
    """The pickled cell, its place and the metrics of the cells it needs."""
    folder: Path
    """The driver's working directory, where relative paths start."""

    def do(self) -> Done:
        """Compute the cell; an error comes back as a sentence."""
        start = time.perf_counter()
        try:
            os.chdir(self.folder)
            cell, place, needed = pickle.loads(self.content)
            if torch := sys.modules.get("torch"):  # as the command line does for the driver
                torch.set_flush_denormal(True)
                torch.set_num_threads(1)
            return Done(cell.compute(place, needed), time.perf_counter() - start)
        except Exception as error:  # one failing cell must not stop the others
            return Done(None, time.perf_counter() - start, f"{type(error).__name__}: {error}")


@dataclass(frozen=True)
class Sweep:
    """Where cells are computed."""

    engine: Literal["serial", "process", "ray"] = "serial"
    """Compute cells one after the other here, in processes of this machine, or on a Ray cluster."""
    workers: int | None = None
    """Processes, each with one thread; as many as this machine has cores by default."""
    address: str | None = None
    """HOST:PORT of a running Ray cluster (or auto); one of this machine alone by default."""

    def __post_init__(self) -> None:
        """Raise InputError for settings that contradict each other, and if Ray is asked for and not
        installed."""
        if self.workers is not None:
            check_whole("--workers", self.workers, 1)
        if self.workers is not None and self.engine == "serial":
            raise InputError("--workers is for --engine process or ray, and the engine is serial")
        if self.address is not None and self.engine != "ray":
            raise InputError(f"--address is for --engine ray, and the engine is {self.engine}")
        if self.address is not None and self.workers is not None:
            raise InputError(
                "--workers is for clusters that are started here: leave it out beside --address"
            )
        if self.engine == "ray" and find_spec("ray") is None:
            raise InputError('--engine ray needs the extra `cluster`: pip install ".[cluster]"')

    def compute(
        self, cells: Cells, wanted: Sequence[Cell], place: Place, label: str = "cells"
    ) -> dict[Cell, Any]:
        """Return {cell: metrics} of all wanted cells; compute unfinished ones and the cells they
        need.

        Raises:
            CellsFailed: a cell raised an error, or was killed too often; all others are on disk.
                The serial engine raises the error itself, at once.
            ConnectionError: no Ray cluster answers.
        """
        missing = [cell for cell in dict.fromkeys(wanted) if not _finished(cells, cell, place)]
        needed = dict.fromkeys(need for cell in missing for need in cell.needs())
        if needed:
            self.compute(cells, list(needed), place, f"{label}, what they need")
            missing = [cell for cell in missing if cell not in needed]
        failed: list[str] = []
        with tqdm(total=len(wanted), initial=len(wanted) - len(missing), desc=label) as bar:
            for cell, done in self._outcomes(cells, missing, place):
                if done.error:
                    failed.append(f"{cell}: {done.error}")
                    tqdm.write(f"failed: {failed[-1]}")
                else:
                    cells.add(cell, done.metrics, done.seconds)
                bar.update()
        if failed:
            raise CellsFailed(
                f"{len(failed)} of {len(wanted)} cells failed, the first being {failed[0]}; all"
                " others are on disk, and the same command tries these again (with --engine serial"
                " it shows where)"
            )
        return {cell: cells.metrics(cell) for cell in wanted}

    def _outcomes(
        self, cells: Cells, missing: Sequence[Cell], place: Place
    ) -> Iterator[tuple[Cell, Done]]:
        """Yield each cell with its outcome, as soon as it is known."""
        if not missing:
            return
        if self.engine == "serial":
            for cell in missing:
                start = time.perf_counter()
                metrics = cell.compute(place, _needed(cells, cell))
                yield cell, Done(metrics, time.perf_counter() - start)
            return
        jobs = [
            Job(pickle.dumps((cell, place, _needed(cells, cell))), Path.cwd()) for cell in missing
        ]
        count = self.workers or os.cpu_count() or 1
        if self.engine == "process":
            outcomes = _processes(count).outcomes(jobs)
        else:
            outcomes = _on_ray(jobs, count, self.address)
        for index, done in outcomes:
            yield missing[index], done


def _finished(cells: Cells, cell: Cell, place: Place) -> bool:
    """Tell whether a cell's metrics are known and its product, if any, exists."""
    product = cell.product(place)
    return cells.has(cell) and (product is None or product.exists())


def _needed(cells: Cells, cell: Cell) -> list[Any]:
    return [cells.metrics(need) for need in cell.needs()]


# Worker processes.


class Worker:
    """A process that does one job at a time; if it is killed, its pipe closes."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def kill(self) -> str:
        """End the process; return how it ended."""
        self.pipe.close()
        self.process.join(1.0)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _serve(pipe: Connection) -> None:
    """Do jobs until the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    # tqdm's own lock is a semaphore of the system, which a killed process would leave behind.
    tqdm.set_lock(threading.RLock())
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_the_driver() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_the_driver, daemon=True).start()
    while True:
        try:
            pipe.send(pipe.recv().do())
        except (EOFError, OSError):
            return


class Processes:
    """Workers that stay alive from one batch of cells to the next, and keep the data they
    loaded."""

    def __init__(self, count: int) -> None:
        os.environ |= ENVIRONMENT  # which workers inherit
        self.count, self.idle = count, list[Worker]()

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Done]]:
        """Yield (index of the job, outcome), each as soon as it is known."""
        waiting, kills = deque(range(len(jobs))), [0] * len(jobs)
        busy: dict[Connection, tuple[Worker, int]] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self.count:
                    worker = self._give(jobs[waiting[0]])
                    busy[worker.pipe] = worker, waiting.popleft()
                for pipe in wait(list(busy)):
                    assert isinstance(pipe, Connection)
                    worker, row = busy[pipe]
                    try:
                        done = pipe.recv()
                    except (EOFError, OSError):
                        del busy[pipe]
                        how, kills[row] = worker.kill(), kills[row] + 1
                        if kills[row] <= RETRIES:
                            waiting.appendleft(row)
                            continue
                        done = Done(
                            None, 0.0, f"its worker was killed {kills[row]} times, last by {how}"
                        )
                    else:
                        del busy[pipe]
                        self.idle.append(worker)
                    yield row, done
        finally:
            for worker, _ in busy.values():
                worker.process.kill()

    def _give(self, job: Job) -> Worker:
        """Give a job to an idle worker that is alive, or to a new one; return the worker."""
        while True:
            worker = self.idle.pop() if self.idle else Worker()
            try:
                worker.pipe.send(job)
            except OSError:
                worker.kill()
            else:
                return worker


_processes = lru_cache(maxsize=1)(Processes)


# Ray.


def _do(job: Job) -> Done:
    return job.do()


def _on_ray(jobs: Sequence[Job], workers: int, address: str | None) -> Iterator[tuple[int, Done]]:
    """Yield (index of the job, outcome), each as soon as it is known; Ray itself retries what was
    killed."""
    import ray

    if not ray.is_initialized():
        settings: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False}
        if address is not None:
            check_address(address)
            settings = {"address": address}
        environment = ENVIRONMENT | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)
        }
        ray.init(
            **settings,
            runtime_env={"env_vars": environment},
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_do)
    pending = {remote.remote(job): row for row, job in enumerate(jobs)}
    while pending:
        (reference, *_), _ = ray.wait(list(pending))
        try:
            done = ray.get(reference)
        except ray.exceptions.RayError as error:
            reason = str(error).strip().split("\n")[0]
            done = Done(None, 0.0, f"its worker was lost {RETRIES + 1} times: {reason}")
        yield pending.pop(reference), done


def check_address(address: str) -> None:
    """Raise ConnectionError if no Ray cluster answers there within `PATIENCE` seconds.

    A separate process asks, because a connection attempt of Ray cannot be canceled.
    """
    probe = [
        sys.executable,
        "-c",
        "import sys, ray; ray.init(sys.argv[1], log_to_driver=False)",
        address,
    ]
    try:
        quiet = subprocess.DEVNULL
        answers = (
            subprocess.run(probe, timeout=PATIENCE, stdout=quiet, stderr=quiet).returncode == 0
        )
    except subprocess.TimeoutExpired:
        answers = False
    if not answers:
        raise ConnectionError(
            f"no Ray cluster answers at {address} within {PATIENCE:.0f} seconds: start one there"
            " with `ray start --head` and the same RAY_AUTH_MODE and token, or leave --address out"
            " for one of this machine"
        )
