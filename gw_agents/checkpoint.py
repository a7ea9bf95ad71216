"""Weights on disk: safetensors beside a JSON config, each written whole or not at all.

A checkpoint NAME in a folder is NAME.safetensors and NAME.json. The config says which kind of thing it is, for which
scene, of which schema version, and holds the hash of the weights, so that a mismatch is told and never loaded.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from gw_envs.errors import InputError
from gw_envs.files import write_atomically

SCHEMA_VERSION = 1
"""Raised whenever old files can no longer be read."""


class CheckpointError(InputError):
    """A checkpoint that is missing, damaged, of another schema version, or for something else."""


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; CheckpointError if there is none."""
    if not Path(path).is_file():
        raise CheckpointError(f"there is no {path}: name a folder of weights that holds it")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def modules_fingerprint(modules: Mapping[str, torch.nn.Module]) -> str:
    """Sixteen hexadecimal digits that change with any number in any of the modules."""
    digest = hashlib.sha256()
    for name in sorted(modules):
        for key, tensor in sorted(modules[name].state_dict().items()):
            digest.update(f"{name}.{key}".encode())
            digest.update(np.ascontiguousarray(tensor.cpu().numpy()).tobytes())
    return digest.hexdigest()[:16]


def save_checkpoint(
    folder: Path, name: str, tensors: Mapping[str, Tensor], config: Mapping[str, Any]
) -> None:
    """Write NAME.safetensors and NAME.json into `folder`. `config` must name its `kind` and `scene`.

    Neither file is replaced before both are written in full, so that a full disk leaves the old pair as it was.
    """
    weights = Path(folder) / f"{name}.safetensors"
    whole = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}

    def write(temporary: Path) -> None:
        safetensors.torch.save_file(whole, temporary)
        document = {"schema_version": SCHEMA_VERSION, **config, "sha256": fingerprint(temporary)}
        text = json.dumps(document, indent=2) + "\n"
        write_atomically(weights.with_suffix(".json"), lambda path: path.write_text(text))

    write_atomically(weights, write)


def read_config(folder: Path, name: str, kind: str, scene: str | None = None) -> dict[str, Any]:
    """The JSON config of a checkpoint, checked for schema version, kind and scene; raises CheckpointError."""
    path = Path(folder) / f"{name}.json"
    if not path.is_file():
        raise CheckpointError(
            f"there is no checkpoint {name!r} in {folder}: {path.name} is missing"
        )
    try:
        config = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
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
            f"{path} has schema version {version}; this release reads version {SCHEMA_VERSION}"
        )
    if config.get("kind") != kind:
        raise CheckpointError(f"{path} holds a {config.get('kind')!r}, not a {kind!r}")
    if scene is not None and config.get("scene") != scene:
        raise CheckpointError(
            f"{path} was trained for the scene {config.get('scene')!r}, not for {scene!r}"
        )
    return config


def read_tensors(folder: Path, name: str, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a checkpoint, checked against the hash in its config; raises CheckpointError."""
    path = Path(folder) / f"{name}.safetensors"
    if not path.is_file():
        raise CheckpointError(
            f"there is no checkpoint {name!r} in {folder}: {path.name} is missing"
        )
    if fingerprint(path) != config.get("sha256"):
        raise CheckpointError(
            f"{path} is truncated or is not the file its config belongs to: write or download it again"
        )
    try:
        return safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged: write or download it again") from error


def load_into(module: torch.nn.Module, tensors: Mapping[str, Tensor], path: str) -> None:
    """Load `tensors` into `module`; raises CheckpointError naming the first that does not fit."""
    wanted = module.state_dict()
    for key in wanted.keys() | tensors.keys():
        if key not in tensors or key not in wanted or wanted[key].shape != tensors[key].shape:
            raise CheckpointError(
                f"{path} does not fit its own config: {key} is missing, unknown or of another shape"
            )
    module.load_state_dict(dict(tensors))
