"""Compile functions with numba, and keep the machine code on disk where that is possible and safe.

A function is compiled when it is first called: importing `gw_envs` compiles nothing. numba then
keeps the machine code in the first of these folders that it can write:

1. `NUMBA_CACHE_DIR`, if the user set it;
2. the `__pycache__` beside the function's source, where Python keeps its own bytecode;
3. the user's cache folder: `$XDG_CACHE_HOME/numba` or `~/.cache/numba` on Linux,
   `~/Library/Caches/numba` on macOS, `numba\\Cache` in the local application data on Windows.

numba's cache files are pickles, and reading a pickle can run code. The third folder is therefore
used only if no other user can put files into it, and no temporary folder is ever chosen.

If none of them can be used, or the disk is full, every process compiles for itself. From its start
to the first image it then takes about 5 s of processor time instead of 1 s, and about 7 s if it
observes attributes and language too. To avoid this, set `NUMBA_CACHE_DIR` to a folder of your own.
"""

import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function with `numba.njit`, frees the GIL and caches."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(nogil=True, **options)(function)
        dispatcher._cache = _cache_of(function)  # `cache=True` raises if no folder is writable
        return dispatcher

    return decorate


class _DiskCache(FunctionCache):
    """A cache on disk that any change to the sources invalidates and that ignores failed writes.

    numba's own cache checks the file of a function, but not those of the functions it calls.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = (self._impl.locator.get_source_stamp(), _sources_stamp())
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, stamp)

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)


@cache
def _sources_stamp() -> str:
    """Return a hash of all source files, as compiled functions call one another across files."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _cache_of(function: Callable[..., Any]) -> FunctionCache | NullCache:
    """Return the cache for a function's machine code, on disk if a folder is writable and safe."""
    try:
        on_disk = _DiskCache(function)
    except RuntimeError:  # numba can write to none of its folders
        return NullCache()
    folder = Path(on_disk.cache_path)
    beside_source = Path(function.__code__.co_filename).parent / "__pycache__"
    chosen = config.CACHE_DIR  # type: ignore[attr-defined]  # set when numba reads the environment
    chosen_by_user = bool(chosen) and folder.is_relative_to(chosen)
    safe = chosen_by_user or folder == beside_source or is_private(folder)
    return on_disk if safe else NullCache()


@cache
def is_private(folder: Path) -> bool:
    """Return whether no other user but root can write to `folder` or replace a folder above it.

    Windows has no such owners and modes; its cache folder lies in the user's own profile.
    """
    if os.name == "nt":
        return True
    folder = folder.resolve()
    parents_are_safe = all(_is_ours(parent.stat(), sticky=True) for parent in folder.parents)
    return parents_are_safe and _is_ours(folder.stat(), sticky=False)


def _is_ours(status: os.stat_result, sticky: bool) -> bool:
    """Return whether this user or root owns a folder, and not everyone can write to it.

    With `sticky`, a folder such as `/tmp` is accepted too, in which everyone can add files but
    replace only their own.
    """
    open_to_all = bool(status.st_mode & stat.S_IWOTH)
    if sticky and status.st_mode & stat.S_ISVTX:
        open_to_all = False
    return status.st_uid in (0, os.geteuid()) and not open_to_all
