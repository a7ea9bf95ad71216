"""The learning algorithms: their classes, action modes and hyperparameters."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from gw_envs.errors import InputError


class Algorithm(NamedTuple):
    """One learning algorithm."""

    name: str
    """Name of the algorithm's class."""
    actions: tuple[str, ...]
    """Action modes that it supports, the usual one first."""
    settings: Mapping[str, Any]
    """Default hyperparameters."""
    package: str = "stable_baselines3"
    """The package that holds the class."""
    policy: str = "Policy"
    """Suffix of its policies' names, which begin with Mlp or MultiInput."""

    def load(self) -> Any:
        """Import the class; InputError naming what to install if its package is missing."""
        try:
            return getattr(import_module(self.package), self.name)
        except ImportError as error:
            raise InputError(
                f"{self.name} needs {self.package}: pip install sb3-contrib"
            ) from error


_REPLAY = {
    "buffer_size": 200_000,
    "learning_starts": 1_000,
    "batch_size": 256,
    "train_freq": 1,
    "gamma": 0.98,
}
_PPO = {"n_steps": 256, "batch_size": 512, "gamma": 0.98, "learning_rate": 7e-4}

ALGORITHMS: dict[str, Algorithm] = {
    "ppo": Algorithm("PPO", ("discrete", "continuous"), _PPO),
    "sac": Algorithm(
        "SAC",
        ("continuous",),
        {**_REPLAY, "learning_rate": 7e-4, "gradient_steps": 4, "ent_coef": "auto_0.05"},
    ),
    "a2c": Algorithm(
        "A2C", ("discrete", "continuous"), {"n_steps": 16, "gamma": 0.98, "learning_rate": 7e-4}
    ),
    "dqn": Algorithm("DQN", ("discrete",), {**_REPLAY, "learning_rate": 5e-4, "gradient_steps": 2}),
    "td3": Algorithm(
        "TD3", ("continuous",), {**_REPLAY, "learning_rate": 7e-4, "gradient_steps": 4}
    ),
    "recurrent_ppo": Algorithm(
        "RecurrentPPO", ("discrete", "continuous"), _PPO, "sb3_contrib", "LstmPolicy"
    ),
}
"""Every algorithm by name, with hyperparameters tuned for the built-in tasks and 16
environments."""
