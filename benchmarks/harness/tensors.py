"""The files of weights that trainings leave: one module, or the workspaces of all seeds."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import safetensors.torch
from torch import Tensor

from gw_agents.checkpoint import load_into
from gw_agents.workspace.model import GWConfig, Workspace
from gw_envs.files import write_atomically


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors by name to a safetensors file."""
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_atomically(path, partial(safetensors.torch.save_file, whole))


def write_workspaces(path: Path, workspaces: Mapping[int, Workspace]) -> None:
    """Write {seed: workspace} to one file; tensors are named SEED.NAME."""
    tensors = {}
    for seed, workspace in workspaces.items():
        for name, tensor in workspace.state_dict().items():
            tensors[f"{seed}.{name}"] = tensor
    write_tensors(path, tensors)


def read_workspaces(path: Path, config: GWConfig, seeds: Iterable[int]) -> dict[int, Workspace]:
    """Return {seed: frozen workspace} from a file of `write_workspaces`."""
    tensors, workspaces = safetensors.torch.load_file(path), {}
    for seed in seeds:
        workspace = Workspace(config)
        own = {name: tensors[f"{seed}.{name}"] for name in workspace.state_dict()}
        load_into(workspace, own, str(path))
        workspaces[seed] = workspace.requires_grad_(False).eval()
    return workspaces
