"""Probe what a latent knows: linear and MLP readers of every attribute, scored on held-out data."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gw_agents.domains.base import mlp
from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_envs.observation import values_from_attributes
from gw_envs.scenes import get_scene


def linear_probe(
    latents: Tensor, attributes: Tensor, held_out: Tensor, ridge: float = 1e-3
) -> NDArray[np.float32]:
    """Predict attribute vectors by ridge regression: (N, L), (N, A), (M, L) -> (M, A)."""
    inputs = torch.cat([latents, torch.ones(len(latents), 1)], 1)
    gram = inputs.T @ inputs + ridge * len(latents) * torch.eye(inputs.shape[1])
    solution = torch.linalg.solve(gram, inputs.T @ attributes)
    return (torch.cat([held_out, torch.ones(len(held_out), 1)], 1) @ solution).numpy()


def fit_mlp_probe(
    scene: str, latents: Tensor, attributes: Tensor, seed: int = 0, steps: int = 10_000
) -> nn.Sequential:
    """Fit a network with three hidden layers of 256 on (N, L) latents and (N, A) attribute vectors.

    Returns:
        The network, frozen: (M, L) -> (M, A).
    """
    one_hot = sum(field.width for field in get_scene(scene).fields if field.kind == "one_hot")
    seed_torch(seed)
    probe = mlp([latents.shape[1], 256, 256, 256, attributes.shape[1]])

    def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = torch.randint(len(latents), (256,))
        predicted, wanted = probe(latents[rows]), attributes[rows]
        terms = {"absolute_error": (predicted[:, one_hot:] - wanted[:, one_hot:]).abs().mean()}
        if one_hot:
            terms["cross_entropy"] = cross_entropy(predicted[:, :one_hot], wanted[:, :one_hot])
        return sum(terms.values(), torch.zeros(())), terms

    fit(probe, loss, FitConfig(steps, 256, 2e-3, seed=seed), freeze=True)
    return probe


def mlp_probe(
    scene: str, latents: Tensor, attributes: Tensor, seed: int = 0, steps: int = 10_000
) -> Callable[[Tensor], NDArray[np.float32]]:
    """Fit `fit_mlp_probe`; return a function that reads (M, L) as (M, A) attribute vectors."""
    probe = fit_mlp_probe(scene, latents, attributes, seed, steps)
    return lambda held_out: probe(held_out).numpy()


def attribute_errors(scene: str, predicted: NDArray, truth: NDArray) -> dict[str, float]:
    """Compute errors in the attributes' own units, from (N, A) attribute vectors.

    Returns:
        `shape`: fraction wrong; `position`: median distance in pixels or meters; `size`: median
        error in pixels; `rotation`: median error in degrees; `rgb`: median over scenes of the mean
        error of the channels, of 255. Attributes that the scene does not have are left out.
    """
    ours, true = values_from_attributes(scene, predicted), values_from_attributes(scene, truth)
    errors: dict[str, float] = {}
    if "shape" in true:
        errors["shape"] = float((ours["shape"] != true["shape"]).mean())
    errors["position"] = float(np.median(np.hypot(ours["x"] - true["x"], ours["y"] - true["y"])))
    if "size" in true:
        errors["size"] = float(np.median(np.abs(ours["size"] - true["size"])))
    turn = np.abs((ours["rotation"] - true["rotation"] + np.pi) % (2 * np.pi) - np.pi)
    errors["rotation"] = float(np.degrees(np.median(turn)))
    errors["rgb"] = float(np.median(np.abs(ours["rgb"] - true["rgb"]).mean(-1)))
    return errors
