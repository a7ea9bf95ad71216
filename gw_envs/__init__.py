"""Gymnasium environments with three views of one scene: image, attributes and language.

Importing this package registers the environments; it prints nothing and does not import torch.
"""

from gymnasium.envs.registration import register

from gw_envs.observation import MODALITIES
from gw_envs.scenes import ENV_IDS, SCENES

MAX_EPISODE_STEPS = 100
"""Steps after which an episode is truncated, unless `gym.make` gets another number."""

for _scene in SCENES.values():
    _classes = f"gw_envs.{_scene.name}.env:{_scene.class_prefix}"
    register(
        _scene.env_id,
        entry_point=f"{_classes}Env",
        vector_entry_point=f"{_classes}VectorEnv",
        max_episode_steps=MAX_EPISODE_STEPS,
    )

__all__ = ["ENV_IDS", "MAX_EPISODE_STEPS", "MODALITIES"]
