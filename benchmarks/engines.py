"""Where the cells of a benchmark are computed: in this process, in worker processes, or on a Ray cluster.

A benchmark lists its cells as tasks and hands them to `Sweep.compute` with its `Cells`. Whatever the engine, only the
process that was started (the driver) writes results: each finished cell is on disk before it is counted, so that the
same command goes on where it was if the driver is killed. A worker that is killed has its cell tried anew by another.
This module imports nothing heavy: workers load what their cells need.
"""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tqdm import tqdm

if TYPE_CHECKING:
    from benchmarks.common import Cells

RETRIES = 3
"""How often a cell is tried anew after its worker was killed."""
PATIENCE = 20.0
"""Seconds in which a Ray cluster must answer."""
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
"""Of workers: one thread each, and no progress bars beside the driver's."""


@dataclass(frozen=True)
class Task:
    """A cell, or several that differ in their seed alone, and what computes them."""

    scene: str
    condition: Mapping[str, Any]
    seeds: Sequence[int]
    inputs: str
    """What else the cell depends on, as `Cells` wants it."""
    work: Callable[..., Sequence[Any]]
    """A function of a module: (the seeds that are not finished yet, *arguments) -> the metrics of each."""
    arguments: tuple[Any, ...] = ()
    """Plain ones, since they may travel: text, numbers, paths, tuples and dataclasses of them."""
    after: Sequence["Task"] = ()
    """Tasks to compute before, if this one is not finished; `work` gets the list of what they came to as well."""

    def missing(self, cells: "Cells") -> list[int]:
        """The seeds that are not finished yet."""
        return [
            seed
            for seed in self.seeds
            if not cells.has(self.scene, self.condition, seed, self.inputs)
        ]

    def found(self, cells: "Cells") -> list[Any]:
        """The metrics of each seed, once it is finished."""
        return cells.metrics(self.scene, self.condition, self.seeds, self.inputs)

    def known(self, cells: "Cells") -> tuple[Any, ...]:
        """The argument that comes of the tasks before."""
        return ([first.found(cells) for first in self.after],) if self.after else ()

    def __str__(self) -> str:
        about = ", ".join(f"{key} {value}" for key, value in self.condition.items())
        return f"{self.scene}, {about}, seed {' '.join(map(str, self.seeds))}"


class CellsFailed(ValueError):
    """Some cells could not be computed; the others are on disk."""


@dataclass(frozen=True)
class Done:
    """What a task came to."""

    found: Sequence[Any]
    """The metrics of each seed."""
    seconds: float
    error: str = ""
    """Why there are none, if there are none."""


@dataclass(frozen=True)
class Job:
    """A task as it travels to a worker: its function by name, and the seeds that are missing."""

    module: str
    name: str
    seeds: list[int]
    arguments: tuple[Any, ...]
    folder: Path
    """The driver's, which relative paths start from."""

    def do(self) -> Done:
        """Compute it; an error comes back as a sentence."""
        start = time.perf_counter()
        try:
            os.chdir(self.folder)
            work = getattr(import_module(self.module), self.name)
            if torch := sys.modules.get("torch"):  # as `run_command` does for the driver
                torch.set_flush_denormal(True)
                torch.set_num_threads(1)
            return Done(work(self.seeds, *self.arguments), time.perf_counter() - start)
        except Exception as error:  # whatever it is, the other cells go on
            return Done([], time.perf_counter() - start, f"{type(error).__name__}: {error}")


def job_of(task: Task, seeds: list[int]) -> Job:
    """The task for a worker, to which the script that runs is a module like others."""
    module = task.work.__module__
    if module == "__main__":
        script = Path(str(sys.modules["__main__"].__file__)).resolve()
        module = f"{script.parent.name}.{script.stem}"
    return Job(module, task.work.__qualname__, seeds, task.arguments, Path.cwd())


@dataclass(frozen=True)
class Sweep:
    """Where cells are computed."""

    engine: Literal["serial", "process", "ray"] = "serial"
    """Cells are computed one after the other here, by processes of this machine, or on a Ray cluster."""
    workers: int | None = None
    """Processes, each with one thread; as many as this machine has cores by default."""
    address: str | None = None
    """HOST:PORT of a Ray cluster that runs already (or auto); one of this machine alone by default."""

    def __post_init__(self) -> None:
        """Raises ValueError for settings that contradict each other, and if Ray is asked for and not installed."""
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"--workers is {self.workers}: name at least one")
        if self.workers is not None and self.engine == "serial":
            raise ValueError("--workers is for --engine process or ray, and the engine is serial")
        if self.address is not None and self.engine != "ray":
            raise ValueError(f"--address is for --engine ray, and the engine is {self.engine}")
        if self.address is not None and self.workers is not None:
            raise ValueError(
                "--workers is for clusters that are started here: leave it out beside --address"
            )
        if self.engine == "ray" and find_spec("ray") is None:
            raise ValueError('--engine ray needs the extra `cluster`: pip install ".[cluster]"')

    def compute(
        self, cells: "Cells", tasks: Sequence[Task], label: str = "cells"
    ) -> list[list[Any]]:
        """The metrics of every task, a list for each with those of its seeds; what is finished is read from `cells`.

        Raises CellsFailed after all others are computed, if a worker's function raised an error or was killed too
        often; the serial engine raises the error itself, at once. Raises ConnectionError if no Ray cluster answers.
        """
        before = {
            f"{first} {first.inputs}": first
            for task in tasks
            if task.missing(cells)
            for first in task.after
        }
        if before:
            self.compute(cells, list(before.values()), f"{label}, what they need")
        missing = [
            (replace(task, arguments=task.arguments + task.known(cells)), seeds)
            for task in tasks
            if (seeds := task.missing(cells))
        ]
        failed: list[str] = []
        with tqdm(total=len(tasks), initial=len(tasks) - len(missing), desc=label) as bar:
            for (task, seeds), done in self._outcomes(missing) if missing else ():
                if done.error:
                    failed.append(f"{task}: {done.error}")
                    tqdm.write(f"failed: {failed[-1]}")
                else:
                    cells.add(
                        task.scene, task.condition, seeds, task.inputs, done.found, done.seconds
                    )
                bar.update()
        if failed:
            raise CellsFailed(
                f"{len(failed)} of {len(tasks)} tasks failed, the first being {failed[0]}; all others are on disk, and "
                "the same command tries these again (with --engine serial it shows where)"
            )
        return [task.found(cells) for task in tasks]

    def _outcomes(
        self, missing: Sequence[tuple[Task, list[int]]]
    ) -> Iterator[tuple[tuple[Task, list[int]], Done]]:
        """Each as it is done."""
        if self.engine == "serial":
            for task, seeds in missing:
                start = time.perf_counter()
                yield (
                    (task, seeds),
                    Done(task.work(seeds, *task.arguments), time.perf_counter() - start),
                )
            return
        jobs = [job_of(task, seeds) for task, seeds in missing]
        count = self.workers or os.cpu_count() or 1
        found = (
            _processes(count).outcomes(jobs)
            if self.engine == "process"
            else _on_ray(jobs, count, self.address)
        )
        for row, done in found:
            yield missing[row], done


# Worker processes.


class Worker:
    """A process that does one job at a time; whatever kills it ends its pipe."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def kill(self) -> str:
        """End it, and say how it ended if it had ended already."""
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
    tqdm.set_lock(
        threading.RLock()
    )  # its own is a semaphore of the system, which a killed process would leave behind
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
    """Workers that stay from one batch of tasks to the next, with the data that they hold."""

    def __init__(self, count: int) -> None:
        os.environ |= ENVIRONMENT  # which workers inherit
        self.count, self.idle = count, list[Worker]()

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Done]]:
        """(row of the job, what it came to), each as it is done."""
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
                            [], 0.0, f"its worker was killed {kills[row]} times, last by {how}"
                        )
                    else:
                        del busy[pipe]
                        self.idle.append(worker)
                    yield row, done
        finally:
            for worker, _ in busy.values():
                worker.process.kill()

    def _give(self, job: Job) -> Worker:
        """The worker that took the job: one that is idle and alive, or a new one."""
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
    """(row of the job, what it came to), each as it is done; Ray itself tries again what was killed."""
    import ray

    if not ray.is_initialized():
        about: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False}
        if address is not None:
            check_address(address)
            about = {"address": address}
        environment = ENVIRONMENT | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)
        }
        ray.init(
            **about,
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
            what = str(error).strip().split("\n")[0]
            done = Done([], 0.0, f"its worker was lost {RETRIES + 1} times: {what}")
        yield pending.pop(reference), done


def check_address(address: str) -> None:
    """Raises ConnectionError if no Ray cluster answers there in `PATIENCE` seconds.

    Asked by a process of its own, which can be given up: a connection that Ray has begun can't be.
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
            f"no Ray cluster answers at {address} within {PATIENCE:.0f} seconds: start one there with "
            "`ray start --head` and the same RAY_AUTH_MODE and token, or leave --address out for one of this machine"
        )
