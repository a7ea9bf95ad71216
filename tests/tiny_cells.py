"""Tiny cells for the tests of the harness: a module that workers import fast."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.cells import Cell, Place


@dataclass(frozen=True)
class Double(Cell):
    """Twice the seed, and all that is added: a number, and the values of the cells before."""

    FILE = "trial"

    seed: int
    add: int = 0
    before: tuple[Cell, ...] = ()

    def needs(self) -> tuple[Cell, ...]:
        return self.before

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, int]:
        return {"value": 2 * self.seed + self.add + sum(metrics["value"] for metrics in needed)}


@dataclass(frozen=True)
class Trained(Cell):
    """Leaves a file, whose text is the seed."""

    FILE = "training"

    seed: int

    def product(self, place: Place) -> Path:
        return place.out / f"{self.digest}.txt"

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, float]:
        with self.product(place).open("a") as file:
            file.write(str(self.seed))
        return {}


@dataclass(frozen=True)
class Measured(Cell):
    """Reads the file of its training."""

    FILE = "trial"

    trained: Trained

    def needs(self) -> tuple[Cell, ...]:
        return (self.trained,)

    def compute(self, place: Place, needed: Sequence[Any]) -> str:
        return self.trained.product(place).read_text()


@dataclass(frozen=True)
class KilledOnce(Cell):
    """Kills its own process, the first time."""

    FILE = "trial"

    seed: int

    def compute(self, place: Place, needed: Sequence[Any]) -> int:
        mark = place.out / f"tried {self.seed}"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.seed


@dataclass(frozen=True)
class KilledOrWrong(Cell):
    """Seed 1 kills its process, always; seed 2 is an error."""

    FILE = "trial"

    seed: int

    def compute(self, place: Place, needed: Sequence[Any]) -> int:
        if self.seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.seed == 2:
            raise ValueError("two is one too many")
        return self.seed
