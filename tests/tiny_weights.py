"""Folders of untrained weights, for tests to which it does not matter what a workspace knows."""

from pathlib import Path

import torch

from gw_agents.learning.attention import make_attention
from gw_agents.learning.domains import make_domain
from gw_agents.learning.loop import seed_torch
from gw_agents.learning.recipes import RECIPES
from gw_agents.pretrained import save_attentions, save_domain, save_workspace
from gw_agents.workspace.model import GWConfig, Workspace


def write_tiny_weights(folder: Path, scene: str) -> None:
    """Write domain modules, a workspace and an attention module that have learned nothing."""
    widths = {}
    for name, recipe in RECIPES[scene].items():
        domain = make_domain(recipe, seed=0)
        save_domain(folder / scene, name, domain, scene)
        widths[name] = domain.latent_width
    seed_torch(0)
    workspace = Workspace(GWConfig(widths, hidden=8, layers=1))
    save_workspace(folder / scene, workspace, scene)
    latents = {name: torch.randn(20, width) for name, width in widths.items()}
    attention = make_attention("two_step", workspace.eval(), latents)
    save_attentions(folder / scene, {"two_step": attention}, "two_step", scene)
