"""Write files and folders whole or not at all, and remove the leftovers of killed writers."""

import ctypes
import errno
import hashlib
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

ABANDONED_AFTER = 24 * 3600
"""Seconds without a change after which a temporary file of another machine counts as abandoned."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk."""

_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
"""NumPy's message when the disk is full, which comes without an error number."""

_TEMPORARY = re.compile(r"\..*\.tmp-(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-", re.DOTALL)
"""Names of temporary files, each with the machine and the process that write it."""


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`.

    `path` is never half-written. Raises OSError with one sentence if the folder can't be written,
    or if the disk is full.
    """
    path = Path(path)
    with _explained(path.parent, any_error=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=_temporary_prefix(path), suffix=path.suffix
        )
        os.close(handle)
    temporary = Path(name)
    try:
        with _explained(path.parent):
            write(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; rename it to `path` if the block ends without an error.

    Raises FileExistsError if `path` is not empty, OSError with one sentence if the folder around it
    can't be written, or if the disk is full.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} holds something already: delete it or name another folder")
    with _explained(path.parent, any_error=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=_temporary_prefix(path)))
    try:
        with _explained(path.parent):
            yield temporary
            temporary.chmod(0o755)
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _explained(folder: Path, any_error: bool = False) -> Iterator[None]:
    """Turn the errors of a full disk, or all OSErrors, into one sentence about `folder`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL or _SHORT_WRITE.search(str(error)):
            reason, advice = "the disk is full", "free some space, or name another folder"
        elif any_error:
            reason, advice = error.strerror or str(error), "name a folder that is writable"
        else:
            raise
        raise OSError(f"cannot write in {folder} ({reason}): {advice}") from error


@cache
def _machine() -> str:
    """Return an id of this host and container, within which process ids are unique."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux
        namespace = ""
    return hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:8]


def _temporary_prefix(path: Path) -> str:
    """Return a prefix for temporary files that names the machine and process writing them."""
    return f".{path.name[:100]}.tmp-{_machine()}-{os.getpid()}-"


def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary files and folders in `folder` whose writers were killed."""
    for entry in os.scandir(folder):
        name = _TEMPORARY.match(entry.name) if entry.name.startswith(".") else None
        if name is None:
            continue
        with suppress(OSError):  # it belongs to another user, or its writer has just finished
            if not _is_abandoned(entry, name["machine"], int(name["process"])):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry)
            else:
                os.unlink(entry)


def _is_abandoned(entry: os.DirEntry, machine: str, process: int) -> bool:
    """Return whether the writer of a temporary file is gone; for other machines, judge by age."""
    if machine == _machine():
        return not _is_running(process)
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED_AFTER


def _is_running(process: int) -> bool:
    """Return whether a process of this machine exists."""
    if os.name == "nt":  # on Windows, os.kill would end the process
        kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
        handle = kernel.OpenProcess(0x1000, False, process)
        if handle:
            kernel.CloseHandle(handle)
        return bool(handle) or kernel.GetLastError() != 87  # 87: there is no such process
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # the process belongs to another user
        return True
    return True
