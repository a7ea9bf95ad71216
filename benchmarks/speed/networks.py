"""How fast networks run and learn: encoders of images, encoding one observation, and stacks of
workspaces."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import NatureCNN
from torch import Tensor

from benchmarks.speed.timing import Budget, Rates, Series, rate
from gw_agents.domains.base import Domain
from gw_agents.global_workspace import GlobalWorkspace
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.workspaces import TrainingPlan, train_workspaces
from gw_agents.pretrained import load_domain
from gw_agents.workspace.losses import PRESETS
from gw_agents.workspace.model import GWConfig
from gw_envs.dataset import Sampler

BATCH = 16
"""Environments side by side while agents learn, and images of a batch."""
STACKED = 5
"""Workspaces in a stack."""
NATURE_SIDE = 36
"""Side of the smallest image that NatureCNN takes."""
LATENT_WIDTHS = {"image": 12, "attributes": 10}
"""Widths of the latents that workspaces are trained on."""


def nature_cnn(images: NDArray) -> Callable[[], Tensor]:
    """Return work that reads (B, side, side, 3) images by Stable-Baselines3's NatureCNN.

    Images smaller than it takes are padded, before the time is taken.
    """
    count, side = images.shape[:2]
    padded = max(NATURE_SIDE, side)
    network = NatureCNN(gym.spaces.Box(0, 255, (3, padded, padded), np.uint8)).eval()
    pixels = torch.zeros(count, 3, padded, padded, dtype=torch.uint8)
    pixels[:, :, :side, :side] = torch.from_numpy(images).permute(0, 3, 1, 2)
    return lambda: network(pixels.float() / 255.0)


def encoding(scene: str, weights: Path, budget: Budget) -> Rates:
    """Return images a second through our encoder and through NatureCNN, a batch at a time."""
    return encoding_rates(scene, load_domain(weights, "image", scene)[0], budget)


def encoding_rates(scene: str, domain: Domain, budget: Budget) -> Rates:
    """Return the rates of `encoding`, of an image module."""
    images = Sampler(scene, "test", modalities=("image",)).batch(0, BATCH)["image"]
    tensor = torch.from_numpy(images)
    with torch.inference_mode():
        return {
            Series("ours", BATCH): rate(lambda: domain.encode(tensor), BATCH, budget.seconds),
            Series("nature_cnn", BATCH): rate(nature_cnn(images), BATCH, budget.seconds),
        }


def encoding_one(scene: str, weights: Path, budget: Budget) -> Rates:
    """Return observations a second, encoded one at a time as a single agent does."""
    gw = GlobalWorkspace.from_pretrained(weights, device="cpu")
    batch = Sampler(scene, "test").batch(0, 1)
    observation = {name: rows[0] for name, rows in batch.items()}
    image = {"image": observation["image"]}
    work: dict[str, Callable[[], Any]] = {
        "all senses, attention": lambda: gw.encode(observation, attention="best"),
        "all senses, even mean": lambda: gw.encode(observation),
        "image alone": lambda: gw.encode(image),
        "nature_cnn": nature_cnn(batch["image"]),
    }
    with torch.inference_mode():
        return {Series(name): rate(encode, 1, budget.seconds) for name, encode in work.items()}


def training(budget: Budget) -> Rates:
    """Return steps times workspaces a second, with four losses, alone and in a stack."""
    torch.manual_seed(0)
    latents = {name: torch.randn(5000, width) for name, width in LATENT_WIDTHS.items()}
    config = GWConfig(LATENT_WIDTHS, hidden=32)
    steps = max(100, int(600 * budget.seconds))
    plan = TrainingPlan(FitConfig(steps, 256, 1e-3), losses=PRESETS["tr+cont+dcy+cy"])

    def model_steps_a_second(count: int) -> float:
        pairs = [torch.arange(1000)] * count
        start = time.process_time()
        train_workspaces(config, latents, pairs, list(range(count)), plan)
        return count * steps / (time.process_time() - start)

    return {
        Series("single"): model_steps_a_second(1),
        Series("stacked", STACKED): model_steps_a_second(STACKED),
    }
