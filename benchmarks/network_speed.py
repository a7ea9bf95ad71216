"""How fast networks run and learn, for `throughput.py`.

The image encoder by NatureCNN, stacks of workspaces by single runs, and PPO on workspace vectors by PPO end to end.
"""

import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import NatureCNN

from gw_agents.acting.spec import ALGORITHMS
from gw_agents.global_workspace import GlobalWorkspace
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.workspaces import TrainingPlan, train_workspaces
from gw_agents.pretrained import load_domain
from gw_agents.sb3 import GWFeaturesExtractor, GWVecObservation, RawExtractor, make_vec
from gw_agents.workspace.losses import PRESETS
from gw_agents.workspace.model import GWConfig
from gw_envs.assets import asset_path
from gw_envs.dataset import Sampler

IDS = {"simple_shapes": "GWSimpleShapes-v0", "factory": "GWFactory-v0"}
BATCH = 16
"""Environments side by side while agents learn."""
STACKED = 5
"""Workspaces in a stack."""
NATURE_SIDE = 36
"""Side of the smallest image that NatureCNN takes."""
WIDTHS = {"image": 12, "attributes": 10}

Rate = Callable[[Callable[[], object], int, float], float]
"""(work, things it does a call, seconds) -> things a second."""


def encoding(scene: str, seconds: float, rate: Rate) -> dict[str, float]:
    """Images a second through our encoder and through NatureCNN, which wants 36 pixels or more; one thread."""
    torch.set_num_threads(1)
    domain, _ = load_domain(asset_path(f"weights/{scene}"), "image", scene)
    images = torch.from_numpy(
        Sampler(scene, "test", modalities=("image",)).batch(0, BATCH)["image"]
    )
    side = max(NATURE_SIDE, images.shape[1])
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
    config = GWConfig(WIDTHS, hidden=32)

    def steps_a_second(count: int) -> float:
        """Model-steps: steps times models."""
        steps = max(100, int(600 * seconds))
        seeds, pairs = list(range(count)), [torch.arange(1000)] * count
        began = time.process_time()
        plan = TrainingPlan(FitConfig(steps, 256, 1e-3), losses=PRESETS["tr+cont+dcy+cy"])
        train_workspaces(config, latents, pairs, seeds, plan)
        return count * steps / (time.process_time() - began)

    return {"single": steps_a_second(1), "stacked": steps_a_second(STACKED)}


def learning(scene: str, n_steps: int) -> dict[str, float]:
    """Environment steps a second of Stable-Baselines3's PPO from images, each in its own way; one thread.

    Same environments, hyperparameters and number of steps for all: one rollout of `n_steps` in each of `BATCH`
    environments, and the update on it. `gw` reads workspace vectors; `nature_cnn` and `raw_cnn` learn a CNN from
    pixels, Stable-Baselines3's own (on Simple Shapes of 36 pixels, the smallest it takes) and the one of the encoder
    `raw`; the extractors have the workspace's encoder inside the policy, training nothing or everything of it.
    """
    torch.set_num_threads(1)
    gw = GlobalWorkspace.from_pretrained(scene, device="cpu")

    def inside(trained: str) -> dict[str, Any]:
        arguments = {"gw": gw, "trained": trained}
        return {
            "features_extractor_class": GWFeaturesExtractor,
            "features_extractor_kwargs": arguments,
        }

    def steps_a_second(policy_kwargs: dict[str, Any] | None, **arguments: Any) -> float:
        """Without `policy_kwargs`, on workspace vectors."""
        venv: Any = make_vec(IDS[scene], BATCH, seed=0, modalities=("image",), **arguments)
        policy = "MlpPolicy" if policy_kwargs is None else "MultiInputPolicy"
        venv = GWVecObservation(venv, gw) if policy_kwargs is None else venv
        spent = 0.0
        for steps in (8, n_steps):  # the first one only warms up
            settings = {**ALGORITHMS["ppo"].settings, "n_steps": steps}
            settings["batch_size"] = min(settings["batch_size"], steps * BATCH)
            model = PPO(policy, venv, policy_kwargs=policy_kwargs, seed=0, device="cpu", **settings)
            began = time.process_time()
            model.learn(steps * BATCH)
            spent = time.process_time() - began
        venv.close()
        return n_steps * BATCH / spent

    small = {"image_size": NATURE_SIDE} if scene == "simple_shapes" else {}
    return {
        "gw": steps_a_second(None),
        "nature_cnn": steps_a_second({}, **small),
        "raw_cnn": steps_a_second({"features_extractor_class": RawExtractor}),
        "extractor_nothing": steps_a_second(inside("nothing")),
        "extractor_everything": steps_a_second(inside("everything")),
    }
