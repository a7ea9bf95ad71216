"""The state of an unfinished run: one file with a checksum, bound to the settings of the run.

The file holds the output of `torch.save`, followed by the SHA-256 of those bytes.
"""

import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gw_envs.errors import InputError
from gw_envs.files import write_atomically

DIGEST_SIZE = hashlib.sha256().digest_size
"""Bytes of the checksum at the end of the file."""


class DivergedError(InputError, FloatingPointError):
    """Training reached a loss, a gradient or a weight that is not finite."""


class _HashingWriter:
    """Passes bytes on to a file and hashes them."""

    def __init__(self, file: Any) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def write_run(path: Path, settings: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write the state of a run atomically.

    Args:
        path: the file.
        settings: everything that the result depends on, as JSON.
        state: tensors, numbers and strings in dicts and lists.

    Raises:
        OSError: the file can't be written; the previous one is intact.
    """

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            writer: Any = _HashingWriter(file)
            torch.save({**state, "settings": json.dumps(settings, sort_keys=True)}, writer)
            file.write(writer.digest.digest())

    try:
        write_atomically(path, write)
    except (OSError, RuntimeError) as error:
        raise OSError(
            f"{path} could not be written ({error}); the checkpoint before it is intact"
        ) from error


def read_run(path: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the state that `write_run` wrote, with tensors on the CPU; None if there is no file.

    Raises:
        InputError: the file is damaged, or belongs to a run with other settings.
    """
    if not path.exists():
        return None
    try:
        _check_digest(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        stored = json.loads(state.pop("settings"))
    except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path} is damaged or from an older release: delete it to start the run again"
        ) from error
    wanted = json.loads(json.dumps(settings))
    changed = sorted(
        name for name in wanted.keys() | stored.keys() if wanted.get(name) != stored.get(name)
    )
    if changed:
        raise InputError(
            f"{path} belongs to a run with other settings ({', '.join(changed)}): name another"
            " folder or delete it"
        )
    return state


def _check_digest(path: Path) -> None:
    """Raise ValueError unless the file ends with the SHA-256 of all bytes before it."""
    digest, remaining = hashlib.sha256(), path.stat().st_size - DIGEST_SIZE
    with path.open("rb") as file:
        while remaining > 0:
            block = file.read(min(remaining, 1 << 20))
            digest.update(block)
            remaining -= len(block)
        if file.read() != digest.digest():
            raise ValueError("the checksum does not match")
