"""Load and save weights: domain modules, the workspace and its attention modules."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from os import PathLike
from pathlib import Path
from shutil import copyfile
from typing import Any, NamedTuple

from torch import Tensor

from gw_agents.checkpoint import (
    CheckpointError,
    build_module,
    fingerprint,
    read_config,
    read_entry,
    read_tensors,
    save_checkpoint,
)
from gw_agents.domains.base import Domain
from gw_agents.domains.kinds import DOMAINS
from gw_agents.workspace.attention import Attention, AttentionConfig
from gw_agents.workspace.fusion import check_log_precision
from gw_agents.workspace.model import GWConfig, Workspace
from gw_envs.assets import asset_path
from gw_envs.errors import InputError, describe
from gw_envs.files import write_atomically
from gw_envs.scenes import ENV_IDS, SCENES, find_scene


class Pretrained(NamedTuple):
    """The contents of a folder of weights, frozen, on the CPU."""

    scene: str
    """Scene that the weights were trained on."""
    domains: dict[str, Domain]
    """The domain module of each modality."""
    workspace: Workspace
    """The workspace's encoders and decoders."""
    attentions: dict[str, Attention]
    """Attention modules by name."""
    best: str | None
    """Name of the attention module with the best validation score; None if none is stored."""


def load_pretrained(name: str | Path, attention: bool = True) -> Pretrained:
    """Load shipped weights by the scene's name or environment id, or the weights in a folder.

    Args:
        name: a scene ("factory", "GWFactory-v0", "gw_envs:GWFactory-v0") or a folder.
        attention: whether to load the attention modules too, if the folder has any.

    Raises:
        InputError: there is no such scene and no such folder.
        CheckpointError: a file is missing, damaged, for another scene or of another schema version.
    """
    if not isinstance(name, str | PathLike):
        raise InputError(f"weights is {describe(name)}: name a scene or a folder of weights")
    shipped = find_scene(str(name))
    folder = asset_path(f"weights/{shipped.name}") if shipped else Path(name)
    if not folder.is_dir():
        raise InputError(
            f"no weights called {str(name)!r}: give one of {', '.join((*SCENES, *ENV_IDS))},"
            " or a folder of weights"
        )
    config = read_config(folder, "workspace", "workspace")
    where = f"{folder}/workspace.json"
    scene = read_entry(config, "scene", str, where)
    if shipped and scene != shipped.name:
        raise CheckpointError(f"{where} was trained for the scene {scene!r}, not {shipped.name!r}")
    workspace = load_workspace(folder, config)
    trained_on = read_entry(config, "domains", dict, where)
    domains = {}
    for modality in workspace.modalities:
        domains[modality], sha256 = load_domain(folder, modality, scene)
        if trained_on.get(modality) != sha256:
            raise CheckpointError(
                f"the workspace in {folder} was trained on another {modality} domain:"
                " train it again"
            )
    attentions, best = load_attentions(folder, scene, config["sha256"]) if attention else ({}, None)
    return Pretrained(scene, domains, workspace, attentions, best)


def load_workspace(folder: Path, config: Mapping[str, Any]) -> Workspace:
    """Load the workspace that a checked config describes, and freeze it; raises CheckpointError."""
    arguments = read_entry(config, "arguments", dict, f"{folder}/workspace.json")
    workspace = build_module(
        lambda: Workspace(GWConfig(**arguments)),
        read_tensors(folder, "workspace", config),
        f"{folder}/workspace.safetensors",
    )
    if workspace.log_precision is not None:
        try:
            check_log_precision(workspace.log_precision)
        except InputError as error:
            raise CheckpointError(f"{folder}/workspace.safetensors: {error}") from error
    return workspace.requires_grad_(False).eval()


def load_domain(folder: Path, modality: str, scene: str) -> tuple[Domain, str]:
    """Load and freeze a domain module; also return its weights' hash. Raises CheckpointError."""
    config = read_config(folder, modality, "domain", scene)
    where = f"{folder}/{modality}.json"
    kind = config.get("domain", modality)
    if not isinstance(kind, str) or kind not in DOMAINS:
        raise CheckpointError(
            f"{where} holds a domain of the kind {kind!r}, not one of {', '.join(DOMAINS)}:"
            " add its class to gw_agents.domains.kinds.DOMAINS before loading it"
        )
    for what, sha256 in DOMAINS[kind].requirements().items():
        if config.get(what) != sha256:
            raise CheckpointError(f"{where} was trained on another {what}: train it again")
    arguments = read_entry(config, "arguments", dict, where)
    tensors = read_tensors(folder, modality, config)
    domain = build_module(
        lambda: DOMAINS[kind](**arguments), tensors, f"{folder}/{modality}.safetensors"
    )
    domain.scene = scene
    return domain.freeze(), config["sha256"]


def _make_attention(arguments: Mapping[str, Any]) -> Attention:
    return Attention(AttentionConfig(**arguments))


def load_attentions(
    folder: Path, scene: str, workspace: str
) -> tuple[dict[str, Attention], str | None]:
    """Load the attention modules of a folder: {name: module}, and the best one's name.

    Returns {} and None if the folder has no attention modules.

    Raises CheckpointError unless they were trained on the workspace weights whose hash is
    `workspace`.
    """
    where = f"{folder}/attention.json"
    if not Path(where).exists():
        return {}, None
    config = read_config(folder, "attention", "attention", scene)
    if config.get("workspace") != workspace:
        raise CheckpointError(
            f"the attention in {folder} was trained on another workspace: train it again"
        )
    tensors = read_tensors(folder, "attention", config)
    attentions = {}
    modules = read_entry(config, "modules", dict, where)
    for name in modules:
        arguments = read_entry(modules, name, dict, where)
        start = f"{name}."
        own = {key[len(start) :]: rows for key, rows in tensors.items() if key.startswith(start)}
        module = build_module(
            partial(_make_attention, arguments), own, f"{folder}/attention.safetensors"
        )
        attentions[name] = module.requires_grad_(False).eval()
    best = config.get("best")
    if best is not None and (not isinstance(best, str) or best not in attentions):
        raise CheckpointError(f"{where} names {best!r} as the best attention but does not hold it")
    return attentions, best


def save_domain(folder: Path, modality: str, domain: Domain, scene: str, **about: Any) -> None:
    """Write a domain module; `about` adds entries to its config, such as seed and steps."""
    config = {"kind": "domain", "scene": scene, "modality": modality, **about}
    if domain.kind != modality:
        config["domain"] = domain.kind
    config |= {**domain.requirements(), "arguments": domain.config()}
    save_checkpoint(folder, modality, domain.state_dict(), config)


def save_workspace(folder: Path, workspace: Workspace, scene: str, **about: Any) -> None:
    """Write a workspace into the folder of the domain modules it was trained on.

    `about` adds entries to its config, such as seed, steps and losses.
    """
    hashes = {name: fingerprint(folder / f"{name}.safetensors") for name in workspace.modalities}
    config = {"kind": "workspace", "scene": scene, **about, "domains": hashes}
    save_checkpoint(
        folder,
        "workspace",
        workspace.state_dict(),
        {**config, "arguments": asdict(workspace.config)},
    )


def save_attentions(
    folder: Path, modules: Mapping[str, Attention], best: str, scene: str, **about: Any
) -> None:
    """Write attention modules into the folder of the workspace they were trained on.

    `about` adds entries to their config, such as seed, steps and scores.
    """
    tensors: dict[str, Tensor] = {}
    shapes: dict[str, dict[str, Any]] = {}
    for name, module in modules.items():
        shapes[name] = asdict(module.config)
        tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    config = {"kind": "attention", "scene": scene, **about, "best": best, "modules": shapes}
    origin = {"workspace": fingerprint(folder / "workspace.safetensors")}
    save_checkpoint(folder, "attention", tensors, {**config, **origin})


def copy_checkpoint(source: Path, folder: Path, name: str) -> None:
    """Copy a checkpoint from the folder `source` to another, byte for byte."""
    for suffix in (".safetensors", ".json"):
        origin = source / f"{name}{suffix}"
        write_atomically(folder / f"{name}{suffix}", partial(copyfile, origin))
