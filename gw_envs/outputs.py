"""Check before a long run that its output can be written, and that no other process writes it."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def check_writable(path: str | Path) -> None:
    """Raise OSError unless a file can be written at `path`; leave nothing behind."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it")
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write in {path.parent} ({error.strerror}): name a folder that is writable"
        ) from error


@contextmanager
def locked(path: str | Path, busy: str) -> Iterator[None]:
    """Hold the lock file `path` within the block; the end of the block or process frees it.

    Raises BlockingIOError with the sentence `busy` if another process holds it, and OSError if
    `path` cannot be written.
    """
    path = Path(path)
    check_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            _lock(file)
        except (BlockingIOError, PermissionError) as error:  # Windows raises PermissionError
            raise BlockingIOError(busy) from error
        yield


def _lock(file: IO[str]) -> None:
    """Lock an open file, or raise OSError at once if another process holds it."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
