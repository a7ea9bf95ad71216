"""Weights on disk: a safetensors file and a JSON config that describes it.

A checkpoint NAME in a folder is NAME.json and NAME.safetensors. The config states the checkpoint's
kind, scene and schema version. It holds a hash of the weights and one of itself, so that loading
refuses a file that was damaged, edited or swapped for another.

Saving survives a kill at any moment: the new weights wait in NAME.next.safetensors until NAME.json,
which names them by their hash, has replaced the old config; then they take their final name.
Reading looks for both names.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from gw_envs.errors import InputError, describe
from gw_envs.files import write_atomically

SCHEMA_VERSION = 2
"""Version of the config's keys; it increases when old files can no longer be read."""

Module = TypeVar("Module", bound=torch.nn.Module)
Value = TypeVar("Value")


class CheckpointError(InputError):
    """A checkpoint is missing, damaged, of another schema version, or of another kind or scene."""


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal; CheckpointError if there is none."""
    if not Path(path).is_file():
        raise CheckpointError(f"{path} does not exist: name a folder of weights that holds it")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def modules_fingerprint(modules: Mapping[str, torch.nn.Module]) -> str:
    """Return sixteen hexadecimal digits that change with any number in any of the modules."""
    digest = hashlib.sha256()
    for name in sorted(modules):
        for key, tensor in sorted(modules[name].state_dict().items()):
            digest.update(f"{name}.{key}".encode())
            digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    return digest.hexdigest()[:16]


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a config without its `config_sha256`; the order of keys does not
    matter."""
    rest = {key: value for key, value in config.items() if key != "config_sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def save_checkpoint(
    folder: Path, name: str, tensors: Mapping[str, Tensor], config: Mapping[str, Any]
) -> None:
    """Write NAME.safetensors and NAME.json into `folder`. `config` must name its `kind` and
    `scene`.

    Any interruption, even a full disk, leaves either the old pair or the new one.
    """
    weights, waiting = _weights_paths(Path(folder), name)
    whole = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    write_atomically(waiting, lambda path: safetensors.torch.save_file(whole, path))
    try:
        document = {"schema_version": SCHEMA_VERSION, **config, "sha256": fingerprint(waiting)}
        document = json.loads(json.dumps(document))  # tuples become lists, as when it is read
        document["config_sha256"] = config_hash(document)
        text = json.dumps(document, indent=2) + "\n"
        write_atomically(weights.with_suffix(".json"), lambda path: path.write_text(text))
    except BaseException:
        waiting.unlink(missing_ok=True)
        raise
    waiting.replace(weights)


def _weights_paths(folder: Path, name: str) -> tuple[Path, Path]:
    """Return the path of the weights, and the path where they wait while being saved."""
    return folder / f"{name}.safetensors", folder / f"{name}.next.safetensors"


def read_config(folder: Path, name: str, kind: str, scene: str | None = None) -> dict[str, Any]:
    """Read the JSON config of a checkpoint; check its schema version, kind, scene and hash.

    Raises CheckpointError.
    """
    path = Path(folder) / f"{name}.json"
    if not path.is_file():
        raise CheckpointError(
            f"there is no checkpoint {name!r} in {folder}: {path.name} is missing"
        )
    try:
        config = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is damaged, it is no JSON: write or download it again"
        ) from error
    if not isinstance(config, dict):
        raise CheckpointError(
            f"{path} is damaged, it holds no JSON object: write or download it again"
        )
    version = config.get("schema_version")
    if version != SCHEMA_VERSION:
        raise CheckpointError(
            f"{path} has schema version {describe(version)};"
            f" this release reads version {SCHEMA_VERSION}"
        )
    if config.get("kind") != kind:
        raise CheckpointError(f"{path} holds a {config.get('kind')!r}, not a {kind!r}")
    if scene is not None and config.get("scene") != scene:
        raise CheckpointError(
            f"{path} was trained for the scene {config.get('scene')!r}, not for {scene!r}"
        )
    if config.get("config_sha256") != config_hash(config):
        raise CheckpointError(
            f"{path} was changed after it was written: write or download it again"
        )
    return config


def read_entry(config: Mapping[str, Any], key: str, kind: type[Value], where: str) -> Value:
    """Return the entry `key` of a config; CheckpointError if it is missing or not a `kind`."""
    value = config.get(key)
    if not isinstance(value, kind):
        found = f"is {describe(value)}" if key in config else "is missing"
        raise CheckpointError(
            f"{where} is damaged, its {key!r} {found} where a {kind.__name__} belongs:"
            " write or download it again"
        )
    return value


def read_tensors(folder: Path, name: str, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, and check them against the hash in its config.

    Raises CheckpointError.
    """
    weights, waiting = _weights_paths(Path(folder), name)
    existing = [path for path in (weights, waiting) if path.is_file()]
    if not existing:
        raise CheckpointError(
            f"there is no checkpoint {name!r} in {folder}: {weights.name} is missing"
        )
    fitting = [path for path in existing if fingerprint(path) == config.get("sha256")]
    if not fitting:
        raise CheckpointError(
            f"{weights} is truncated, or is not the file that its config describes:"
            " write or download it again"
        )
    try:
        return safetensors.torch.load_file(fitting[0])
    except SafetensorError as error:
        raise CheckpointError(f"{weights} is damaged: write or download it again") from error


def build_module(make: Callable[[], Module], tensors: Mapping[str, Tensor], where: str) -> Module:
    """Build a module and load `tensors` into it; CheckpointError if they don't fit or it can't be
    built.

    Shapes are compared before memory is allocated: a damaged size could demand more than there is.
    """
    try:
        with torch.device("meta"):
            sketch = make()
        check_fit(sketch, tensors, where)
        module = make()
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{where} describes something that can't be built ({error})"
        ) from error
    load_into(module, tensors, where)
    return module


def check_fit(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Raise CheckpointError, naming a tensor, unless `tensors` fit the module."""
    wanted = module.state_dict()
    for key in wanted.keys() | tensors.keys():
        if key not in tensors or key not in wanted or wanted[key].shape != tensors[key].shape:
            raise CheckpointError(
                f"{where} does not fit its own config:"
                f" {key} is missing, unknown or of another shape"
            )


def load_into(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load `tensors` into `module` in their own precision; CheckpointError if they don't fit."""
    check_fit(module, tensors, where)
    for key, own in module.state_dict(keep_vars=True).items():
        if own.dtype != tensors[key].dtype:
            own.data = own.data.to(tensors[key].dtype)
    module.load_state_dict(dict(tensors))
