"""Cells, the units of work of a benchmark, and the files that keep every finished cell.

A cell is a frozen dataclass whose fields are everything that its metrics depend on. As JSON those
fields, with the class's name and format version, are its key: no two different cells share one, and
nothing is ever parsed out of it.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

from gw_envs.assets import asset_path
from gw_envs.outputs import check_writable, locked

EXPECTED = Path(__file__).parents[1] / "expected"
"""Committed summaries and pictures, and under `cells/` the finished cells of long runs."""
POLL_SECONDS = 0.1
"""Time between two attempts to take a lock that another process holds."""


@dataclass(frozen=True)
class Place:
    """Folders that cells read and write. They are not part of a key; fingerprints of their contents
    are."""

    out: Path = Path("results")
    """Folder of everything that is written."""
    weights: Path | None = None
    """Folder with a subfolder of weights for each scene; the shipped weights by default."""
    encoders: tuple[Path, ...] = ()
    """Folders of weights whose image modules are compared with each other."""

    def weights_of(self, scene: str) -> Path:
        """Return the folder of a scene's weights."""
        return (self.weights or asset_path("weights")) / scene


@dataclass(frozen=True)
class Cell:
    """One unit of work: its fields are its key, `compute` gives its metrics.

    Subclasses are frozen dataclasses of plain values: text, numbers, tuples, other cells and frozen
    dataclasses.
    """

    FILE: ClassVar[str]
    """The cell is kept in `<out>/<FILE>.jsonl`."""
    FORMAT: ClassVar[int] = 1
    """Version of what `compute` does and returns: raise it when finished cells are no longer valid.
    """

    scene: str
    """Name of the scene."""

    def needs(self) -> tuple["Cell", ...]:
        """Return the cells to compute before this one; training, for instance."""
        return ()

    def product(self, place: Place) -> Path | None:
        """Return the file that the cell writes; while it is missing, the cell counts as
        unfinished."""
        return None

    def compute(self, place: Place, needed: Sequence[Any]) -> Any:
        """Compute the metrics: whatever JSON can hold.

        Args:
            place: folders to read and write.
            needed: the metrics of `needs()`, in their order.
        """
        raise NotImplementedError

    @property
    def key(self) -> dict[str, Any]:
        """The cell as JSON holds it: class name, format version and every field."""
        return _as_json(self)

    @property
    def key_text(self) -> str:
        """The key as one line of text, equal for equal cells only."""
        return json.dumps(self.key, sort_keys=True)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that differ from cell to cell, for file names."""
        return hashlib.sha256(self.key_text.encode()).hexdigest()[:16]

    def __str__(self) -> str:
        described = ", ".join(f"{field.name} {getattr(self, field.name)}" for field in fields(self))
        return f"{type(self).__name__}, {described}"


@dataclass(frozen=True)
class TrainingCell(Cell):
    """Trains something once and writes it to a file, for every cell that needs it."""

    FILE = "training"

    def product(self, place: Place) -> Path:
        """Return the path of the trained weights."""
        return place.out / "trained" / f"{type(self).__name__}-{self.digest}.safetensors"


def _as_json(value: Any) -> Any:
    """Turn dataclasses into dicts, and tuples into lists, whatever they hold."""
    if isinstance(value, tuple):
        return [_as_json(entry) for entry in value]
    if not is_dataclass(value):
        return value
    named = {field.name: _as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Cell):
        return {"cell": type(value).__name__, "format": value.FORMAT, **named}
    return named


class Cells:
    """The finished cells of a folder, each on disk before it counts.

    A line that a crash cut short is dropped and its cell computed again. One process at a time
    writes a file of cells.
    """

    def __init__(self, out: Path, *files: str) -> None:
        """Open `<out>/<file>.jsonl` for each of `files`; others are opened when a cell asks for
        them.

        Raises OSError if `out` is not writable, or if another process is writing one of these
        files.
        """
        self.out = out
        self._finished: dict[str, dict[str, Any]] = {}
        self._open: set[str] = set()
        for file in files:
            self._read(file)

    def has(self, cell: Cell) -> bool:
        """Tell whether the cell's metrics are known."""
        self._read(cell.FILE)
        return cell.key_text in self._finished

    def metrics(self, cell: Cell) -> Any:
        """Return the metrics of a finished cell."""
        self._read(cell.FILE)
        return self._finished[cell.key_text]["metrics"]

    def add(self, cell: Cell, metrics: Any, seconds: float) -> None:
        """Append a cell's metrics and its computing time to its file."""
        self._read(cell.FILE)
        line = json.dumps({"key": cell.key, "metrics": metrics, "seconds": round(seconds, 3)})
        with self._path(cell.FILE).open("a") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._finished[cell.key_text] = json.loads(line)  # tuples are lists now as later

    def _path(self, file: str) -> Path:
        return self.out / f"{file}.jsonl"

    def _read(self, file: str) -> None:
        """Lock a file and read its cells and the committed ones, once."""
        if file in self._open:
            return
        path = self._path(file)
        _lock(path)
        _drop_partial_line(path)
        for source in (EXPECTED / "cells" / path.name, path):
            lines = source.read_text().splitlines() if source.exists() else []
            for line in lines:
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if "key" in entry:  # lines of earlier releases have none
                    self._finished[json.dumps(entry["key"], sort_keys=True)] = entry
        self._open.add(file)


_LOCKED = ExitStack()
"""The lock files that this process holds until it ends, however it ends."""
_LOCKED_PATHS: set[Path] = set()


def _lock(path: Path) -> None:
    """Keep other processes from writing `path`; create the file if there is none."""
    if path.resolve() in _LOCKED_PATHS and _lock_file(path).exists():
        path.touch()
        return
    busy = (
        f"another run is writing {path.name} in {path.parent}: wait until it ends or name another"
        " --out"
    )
    check_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    _LOCKED.enter_context(locked(_lock_file(path), busy))
    _LOCKED_PATHS.add(path.resolve())


def _lock_file(path: Path) -> Path:
    """Return the file whose lock stands for `path`: Windows lets nobody read a locked file."""
    return path.parent / f".{path.name}.lock"


def _drop_partial_line(path: Path) -> None:
    """Cut off what a crash left after the last whole line."""
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time run the block for this `path`; the others wait."""
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(locked(_lock_file(path), f"{path} is being made"))
                break
            except BlockingIOError:
                time.sleep(POLL_SECONDS)
        yield
