"""The work of tiny cells, for the tests of engines: a module that workers import fast."""

import os
import signal
from pathlib import Path


def double(
    seeds: list[int], add: int = 0, known: list[list[dict[str, int]]] | None = None
) -> list[dict[str, int]]:
    """Twice the seed, and all that is added: a number, and the values of the cells before."""
    return [
        {"value": 2 * seed + add + sum(cell["value"] for (cell,) in known or ())} for seed in seeds
    ]


def killed_once(seeds: list[int], out: Path) -> list[int]:
    """Kills its own process, the first time."""
    if not (out / f"tried {seeds}").exists():
        (out / f"tried {seeds}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return seeds


def killed_or_wrong(seeds: list[int]) -> list[int]:
    """Seed 1 kills its process, always; seed 2 is an error."""
    if seeds == [1]:
        os.kill(os.getpid(), signal.SIGKILL)
    if seeds == [2]:
        raise ValueError("two is one too many")
    return seeds
