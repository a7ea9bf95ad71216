"""Store samples on disk as .npz shards and a JSON manifest, in a folder that appears whole."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gw_envs.errors import InputError, check_path, check_whole, describe, is_whole
from gw_envs.files import whole_folder
from gw_envs.observation import MODALITIES
from gw_envs.progress import progress
from gw_envs.scenes import SCENES_BY_STATE
from gw_envs.state import BatchState

SCHEMA_VERSION = 1
"""Version of the format; raise it whenever old folders can no longer be read."""

MANIFEST = "manifest.json"

"""The scenes by the names of their state classes."""
_NAME = re.compile(r"(?!(file|allow_pickle)$)\w[\w -]*")
"""Valid names of arrays; the two excluded ones are arguments of NumPy's writer."""


def save_shards(
    folder: str | Path, sample: Mapping[str, Any], rows_per_shard: int = 8192, **about: Any
) -> None:
    """Write a sample, such as `collect` returns, into a new folder.

    Args:
        folder: the folder to write; it must be empty or missing.
        sample: arrays that share their first axis and hold no objects; optionally `state`, a
            batch of scenes, and `present`, {modality: (M,) bool}.
        rows_per_shard: rows in a file.
        about: notes for the manifest (scene, split, seed ...): anything that JSON can hold.

    Raises:
        FileExistsError: the folder is not empty.
        InputError: the arrays differ in length, hold objects, or there are none.
    """
    folder = check_path("folder", folder)
    rows_per_shard = check_whole("rows_per_shard", rows_per_shard, 1)
    arrays = _flat(sample)
    rows = len(next(iter(arrays.values())))
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "rows": rows,
        "arrays": sorted(arrays),
        "state": type(sample["state"]).__name__ if _has_state(sample) else None,
        "shards": [
            {"file": _shard_name(number), "rows": min(rows_per_shard, rows - start)}
            for number, start in enumerate(range(0, rows, rows_per_shard))
        ],
        "about": about,
    }
    try:
        text = json.dumps(manifest, indent=1, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"the notes {', '.join(about)} can't be written as JSON: give text and finite numbers"
        ) from error
    with whole_folder(folder) as temporary:
        for number, start in progress(
            list(enumerate(range(0, rows, rows_per_shard))), f"writing {folder.name}"
        ):
            part = {name: array[start : start + rows_per_shard] for name, array in arrays.items()}
            np.savez(temporary / _shard_name(number), allow_pickle=False, **part)
        (temporary / MANIFEST).write_text(text + "\n")


def load_shards(folder: str | Path) -> dict[str, Any]:
    """Read a sample that `save_shards` wrote. Returns the same dict, with `state` and `present`.

    Raises FileNotFoundError if there is no manifest, InputError if a file is damaged, missing or
    of another version.
    """
    folder = check_path("folder", folder)
    manifest = read_manifest(folder)
    parts = [
        _read_shard(folder / shard["file"], shard["rows"], manifest["arrays"])
        for shard in progress(manifest["shards"], f"reading {folder.name}")
    ]
    if any(_row_types(part) != _row_types(parts[0]) for part in parts):
        raise InputError(f"the shards in {folder} hold different arrays: write the folder again")
    sample: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    for name in manifest["arrays"]:
        array = np.concatenate([part[name] for part in parts])
        key, _, entry = name.partition(".")
        if entry:
            groups.setdefault(key, {})[entry] = array
        else:
            sample[name] = array
    if manifest["state"] is not None:
        groups["state"] = _state(folder, manifest["state"], groups.get("state", {}))
    return sample | groups


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Read the manifest of a folder of shards; its `about` holds the notes given to `save_shards`.

    Raises FileNotFoundError if there is none, InputError if it is damaged or of another version.
    """
    path = check_path("folder", folder) / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: point to a folder that save_shards wrote")
    try:
        manifest = json.loads(path.read_text())
        version = manifest["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is damaged and is no manifest: write the folder again") from error
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path} is of version {describe(version)}, but this code reads version "
            f"{SCHEMA_VERSION}: write it again"
        )
    fault = _fault(manifest)
    if fault:
        raise InputError(f"{path} is damaged, {fault}: write the folder again")
    return manifest


def _fault(manifest: dict[str, Any]) -> str | None:
    """Describe the first fault of a manifest of this version. Returns None if it has none."""
    missing = {"rows", "arrays", "state", "shards", "about"} - manifest.keys()
    if missing:
        return f"it has no {min(missing)!r}"
    names, shards, state = manifest["arrays"], manifest["shards"], manifest["state"]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return "`arrays` is no list of names"
    if not (state is None or isinstance(state, str)) or state not in (None, *SCENES_BY_STATE):
        return f"no scene has the state {describe(state)}"
    if (state is not None) != any(name.startswith("state.") for name in names):
        return "`state` and `arrays` contradict each other"
    if not isinstance(shards, list) or not all(isinstance(shard, dict) for shard in shards):
        return "`shards` is no list of files"
    if [shard.get("file") for shard in shards] != [_shard_name(n) for n in range(len(shards))]:
        return f"its files are not {_shard_name(0)} and so on"
    rows = [shard.get("rows") for shard in shards]
    if not rows or not all(is_whole(count) and count > 0 for count in rows):
        return "a file has no number of rows"
    if not is_whole(manifest["rows"]) or sum(rows) != manifest["rows"]:
        return "the rows of its files do not add up"
    return None if isinstance(manifest["about"], dict) else "`about` holds no notes"


def _shard_name(number: int) -> str:
    return f"shard-{number:05d}.npz"


def _has_state(sample: Mapping[str, Any]) -> bool:
    return isinstance(sample.get("state"), BatchState)


def _flat(sample: Any) -> dict[str, NDArray]:
    """Return a sample's arrays by name; those in `state` and `present` are named `KEY.NAME`."""
    if not isinstance(sample, Mapping):
        raise InputError(f"sample is {describe(sample)}: give a dict of arrays")
    arrays: dict[str, NDArray] = {}
    for name, value in sample.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError(f"sample has the key {describe(name)}: give names of letters")
        if isinstance(value, BatchState):
            if name != "state" or type(value).__name__ not in SCENES_BY_STATE:
                raise InputError(
                    f"sample holds {type(value).__name__} as {name!r}: give the states of one of "
                    "our scenes, as 'state'"
                )
            arrays |= {f"state.{key}": np.asarray(field) for key, field in value.arrays().items()}
        elif name == "present":
            arrays |= {f"present.{key}": mask for key, mask in _masks(value).items()}
        else:
            arrays[name] = _plain(name, value)
    lengths = {len(array) if array.ndim else 0 for array in arrays.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise InputError(
            f"arrays of {sorted(lengths)} rows: shards take plain arrays of one length"
        )
    return arrays


def _plain(name: str, value: Any) -> NDArray:
    """Return `value` as an array that can be stored without pickling."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is no array: shards take plain arrays of one length") from error
    if array.dtype.hasobject:
        raise InputError(f"{name} holds objects: shards take plain arrays of one length")
    return array


def _masks(present: Any) -> dict[str, NDArray[np.bool_]]:
    """Check presence masks. Returns {modality: (M,) bool}."""
    if not isinstance(present, Mapping) or not present.keys() <= set(MODALITIES):
        raise InputError(f"present is {describe(present)}: give {{modality: (M,) bool}}")
    masks = {name: _plain(f"present[{name!r}]", mask) for name, mask in present.items()}
    for name, mask in masks.items():
        if mask.dtype != bool or mask.ndim != 1:
            raise InputError(f"present[{name!r}] is {describe(mask)}: give (M,) booleans")
    return masks


def _read_shard(path: Path, rows: int, names: list[str]) -> dict[str, NDArray]:
    """Read the arrays of one file, `rows` rows each."""
    try:
        with np.load(path, allow_pickle=False) as file:
            part = {name: file[name] for name in names}
    except Exception as error:  # damaged archives raise almost any exception
        raise InputError(f"{path} is missing or damaged: write the folder again") from error
    if any(array.ndim == 0 or len(array) != rows for array in part.values()):
        raise InputError(
            f"{path} does not hold the {rows} rows that the manifest lists: write the folder again"
        )
    return part


def _row_types(part: dict[str, NDArray]) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Return the dtype and shape of a row of each array."""
    return {name: (array.dtype, array.shape[1:]) for name, array in part.items()}


def _state(folder: Path, kind: str, fields: dict[str, NDArray]) -> BatchState:
    """Make the scenes whose arrays were stored."""
    try:
        return SCENES_BY_STATE[kind].state_type()(**fields)
    except (TypeError, ValueError) as error:
        raise InputError(f"the states in {folder} are no scenes ({error})") from error
