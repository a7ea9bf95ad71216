"""Gymnasium environments that show one scene in three modalities: image, attributes and language.

Importing this package registers the environments; it is silent and imports no torch.
"""

from gymnasium.envs.registration import register

from gw_envs.observation import MODALITIES

_SCENES = {
    "GWSimpleShapes-v0": ("gw_envs.simple_shapes.env", "SimpleShapes"),
    "GWFactory-v0": ("gw_envs.factory.env", "Factory"),
}

ENV_IDS = tuple(_SCENES)
"""The ids that `gymnasium.make` knows after `import gw_envs`."""

MAX_EPISODE_STEPS = 100
"""Steps after which an episode of every environment is truncated, unless `gym.make` is told otherwise."""

for _id, (_module, _name) in _SCENES.items():
    register(
        _id,
        entry_point=f"{_module}:{_name}Env",
        vector_entry_point=f"{_module}:{_name}VectorEnv",
        max_episode_steps=MAX_EPISODE_STEPS,
    )

__all__ = ["ENV_IDS", "MAX_EPISODE_STEPS", "MODALITIES"]
