"""Collect observations from running environments, for benchmarks to train and test on."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from gw_envs.dataset import collect

Parts = dict[str, dict[str, Any]]
"""{"reset": episode beginnings, "rollout": random rollouts}, each as `collect` gives it."""


def observed(scene: str, split: str, episodes: int) -> Parts:
    """Collect the beginnings of episodes, and about as many observations of random rollouts."""
    count = episodes // 20
    rollouts = collect(scene, split, count, seed=1, policy="random", steps_per_episode=19)
    return {"reset": collect(scene, split, episodes), "rollout": rollouts}


def pooled(parts: Parts, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Join both parts: {name: (N, ...)} for modalities by name."""
    return {name: _joined(parts, name) for name in names}


def _joined(parts: Parts, name: str) -> np.ndarray:
    return np.concatenate([part[name] for part in parts.values()])
