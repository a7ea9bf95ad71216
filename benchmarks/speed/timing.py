"""How speed is measured: rates of repeated work, times of nested calls, and the machine."""

import itertools
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Series:
    """What is measured."""

    what: str
    count: int = 1
    """How many scenes, images or models there are at a time."""


Rates = dict[Series, float]
"""Things a second, or whatever the unit of the subject is."""


@dataclass(frozen=True)
class Budget:
    """How much is measured."""

    seconds: float
    """CPU seconds of each rate."""
    sizes: tuple[int, ...]
    """Numbers of scenes side by side."""
    ppo_steps: int
    """Steps in each environment that PPO learns from while it is timed."""


def rate(work: Callable[[], Any], count: int, seconds: float) -> float:
    """Return things a second of `work`, a call that does `count` of them.

    The first call only warms up. Seconds are this process's own CPU time.
    """
    work()
    calls, start = 0, time.process_time()
    spent = 0.0
    while spent < seconds or not calls:
        work()
        calls += 1
        spent = time.process_time() - start
    return count * calls / spent


def one_by_one(draw: Callable[[Any, int], Any], state: Any) -> Callable[[], Any]:
    """Return work that draws the next row of a state at every call."""
    rows = endless(len(state))
    return lambda: draw(state, next(rows))


def endless(count: int) -> Iterator[int]:
    """Yield 0 to count - 1, again and again."""
    return itertools.cycle(range(count))


class Stopwatch:
    """CPU seconds by name; time in a nested timed call counts for that call alone."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._running: list[str] = []
        self._since = 0.0

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, timed under a name."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._running.append(name)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._running.pop()

        return call

    def _switch(self) -> None:
        """Add the time since the last switch to the running name."""
        now = time.process_time()
        if self._running:
            name = self._running[-1]
            self.spent[name] = self.spent.get(name, 0.0) + now - self._since
        self._since = now


def processor() -> str:
    """Return the name of this machine's processor."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def one_thread() -> None:
    """Let every library compute in one thread from now on."""
    import cv2
    import torch

    os.environ["OMP_NUM_THREADS"] = "1"  # of processes that are started
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
