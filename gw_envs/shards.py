"""Arrays of a sample on disk: .npz shards with a JSON manifest, in a folder that is there whole or not at all."""

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gw_envs.files import whole_folder
from gw_envs.progress import progress
from gw_envs.scenes import SCENES
from gw_envs.state import BatchState

SCHEMA_VERSION = 1
"""Raised whenever old folders can no longer be read."""

MANIFEST = "manifest.json"

_STATES = {f"{scene.class_prefix}State": scene for scene in SCENES.values()}
_PREFIX = "state."


def save_shards(
    folder: str | Path, sample: Mapping[str, Any], rows_per_shard: int = 8192, **about: Any
) -> None:
    """Write what `collect` brings into a new folder.

    Args:
        folder: where to; it must not hold anything.
        sample: arrays that share their first axis, none of them of objects, and at most one `state`.
        rows_per_shard: how many rows a file holds.
        about: what the manifest is to say of them (scene, split, seed ...): anything that JSON knows.

    Raises:
        FileExistsError: the folder holds something.
        ValueError: the arrays differ in length, hold objects, or there are none.
    """
    arrays, kind = _flat(sample)
    lengths = {len(array) for array in arrays.values()}
    if (
        len(lengths) != 1
        or any(array.dtype.hasobject for array in arrays.values())
        or rows_per_shard < 1
    ):
        raise ValueError(
            f"arrays of {sorted(lengths)} rows: shards take plain arrays of one length"
        )
    rows = lengths.pop()
    shards: list[dict[str, Any]] = []
    with whole_folder(Path(folder)) as temporary:
        for start in progress(range(0, rows, rows_per_shard), f"writing {Path(folder).name}"):
            part = {name: array[start : start + rows_per_shard] for name, array in arrays.items()}
            shards.append(
                {"file": f"shard-{len(shards):05d}.npz", "rows": min(rows_per_shard, rows - start)}
            )
            np.savez(temporary / shards[-1]["file"], allow_pickle=False, **part)
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "rows": rows,
            "arrays": sorted(arrays),
            "state": kind,
            "shards": shards,
            "about": about,
        }
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def load_shards(folder: str | Path) -> dict[str, Any]:
    """Read what `save_shards` wrote: the same dict, `state` included.

    Raises FileNotFoundError if there is no manifest, ValueError if a file is damaged, missing or of another version.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    parts = [
        _read_shard(folder / shard["file"], shard["rows"], manifest["arrays"])
        for shard in progress(manifest["shards"], f"reading {folder.name}")
    ]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in manifest["arrays"]}
    sample: dict[str, Any] = {
        name: array for name, array in arrays.items() if not name.startswith(_PREFIX)
    }
    if manifest["state"] is not None:
        kind = _STATES[manifest["state"]].state_type()
        fields = {
            name.removeprefix(_PREFIX): array
            for name, array in arrays.items()
            if name.startswith(_PREFIX)
        }
        sample["state"] = kind(**fields)
    return sample


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a folder of shards; `about` in it is what `save_shards` was told."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: point to a folder that save_shards wrote")
    try:
        manifest = json.loads(path.read_text())
        version = manifest["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged, it is no manifest of shards: write the folder again"
        ) from error
    if version != SCHEMA_VERSION or manifest["state"] not in (None, *_STATES):
        raise ValueError(
            f"{path} is of version {version}, this code reads version {SCHEMA_VERSION}: write it again"
        )
    return manifest


def _flat(sample: Mapping[str, Any]) -> tuple[dict[str, NDArray], str | None]:
    """All arrays by name, the state's own among them, and the name of the state's class."""
    arrays: dict[str, NDArray] = {}
    kind = None
    for name, value in sample.items():
        if isinstance(value, BatchState):
            kind = type(value).__name__
            arrays |= {
                f"{_PREFIX}{field}": np.asarray(array) for field, array in value.arrays().items()
            }
        else:
            arrays[name] = np.asarray(value)
    return arrays, kind


def _read_shard(path: Path, rows: int, names: list[str]) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            part = {name: file[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is missing or damaged: write the folder again") from error
    if any(len(array) != rows for array in part.values()):
        raise ValueError(
            f"{path} does not hold the {rows} rows that the manifest tells of: write the folder again"
        )
    return part
