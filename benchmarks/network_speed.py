"""How fast networks run and learn, for `throughput.py`: the image encoder by NatureCNN, stacks by single runs."""

import time
from collections.abc import Callable

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.torch_layers import NatureCNN

from gw_agents.encoder import load_domain
from gw_agents.fitting import FitConfig
from gw_agents.objective import TrainingPlan, train_workspaces
from gw_agents.workspace.model import PRESETS, GWConfig
from gw_envs.assets import asset_path
from gw_envs.dataset import Sampler

BATCH = 16
"""Environments side by side while agents learn."""
STACKED = 5
"""Workspaces in a stack."""
WIDTHS = {"image": 12, "attributes": 10}

Rate = Callable[[Callable[[], object], int, float], float]
"""(work, things it does a call, seconds) -> things a second."""


def encoding(scene: str, seconds: float, rate: Rate) -> dict[str, float]:
    """Images a second through our encoder and through NatureCNN, which wants 36 pixels or more; one thread."""
    torch.set_num_threads(1)
    domain, _ = load_domain(asset_path(f"weights/{scene}"), "image", scene)
    images = torch.from_numpy(Sampler(scene, "test", modalities=("image",)).batch(0, BATCH)["image"])
    side = max(36, images.shape[1])
    space = gym.spaces.Box(0, 255, (3, side, side), np.uint8)
    nature = NatureCNN(space).eval()
    pixels = torch.zeros(BATCH, 3, side, side, dtype=torch.uint8)
    pixels[:, :, : images.shape[1], : images.shape[2]] = images.permute(0, 3, 1, 2)
    with torch.inference_mode():
        return {
            "ours": rate(lambda: domain.encode(images), BATCH, seconds),
            "nature_cnn": rate(lambda: nature(pixels.float() / 255.0), BATCH, seconds),
        }


def training(seconds: float) -> dict[str, float]:
    """Steps times workspaces a second: four losses, hidden layers of 32, alone and five stacked; one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    latents = {name: torch.randn(5000, width) for name, width in WIDTHS.items()}
    config = GWConfig(WIDTHS, hidden=32, losses=PRESETS["tr+cont+dcy+cy"])

    def steps_a_second(count: int) -> float:
        """Model-steps: steps times models."""
        steps = max(100, int(600 * seconds))
        seeds, pairs = list(range(count)), [torch.arange(1000)] * count
        began = time.process_time()
        train_workspaces(config, latents, pairs, seeds, TrainingPlan(FitConfig(steps, 256, 1e-3)))
        return count * steps / (time.process_time() - began)

    return {"single": steps_a_second(1), "stacked": steps_a_second(STACKED)}
