"""How domain modules are built and trained.

There is one recipe for each scene and modality, and one for each kind of observation space.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from gw_agents.learning.loop import FitConfig
from gw_envs.errors import InputError
from gw_envs.language import VOCABULARY
from gw_envs.scenes import get_scene


@dataclass(frozen=True)
class Student:
    """A fast encoder of patches, distilled from an image domain's own."""

    widths: tuple[int, int, int]
    """Widths of the `PatchEncoder`."""
    fit: FitConfig
    """How long and how fast it is trained."""
    pool: int
    """Images drawn once, from which batches are then drawn; no more than training reads."""


@dataclass(frozen=True)
class Recipe:
    """A domain's class, its constructor arguments and its training."""

    kind: str
    """The class, by its name in `DOMAINS`."""
    fit: FitConfig
    """How long and how fast it is trained."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Constructor arguments of the domain."""
    pool: int = 0
    """Scenes drawn once, from which batches are then drawn; 0 draws fresh scenes at every step."""
    student: Student | None = None
    """The encoder that takes the place of the trained one; None keeps that."""


def recipe(scene: str, modality: str) -> Recipe:
    """Return the recipe of a scene's modality."""
    return RECIPES[get_scene(scene).name][modality]


def _attributes(scene: str) -> Recipe:
    fields = get_scene(scene).fields
    one_hot = sum(entry.width for entry in fields if entry.kind == "one_hot")
    arguments = {"width": get_scene(scene).attribute_width, "one_hot": one_hot}
    return Recipe(
        "attributes", FitConfig(steps=20_000, batch_size=256, learning_rate=2e-3), arguments
    )


def _language() -> Recipe:
    fit = FitConfig(steps=16_000, batch_size=64, learning_rate=2e-3)
    return Recipe("language", fit, {"vocabulary": len(VOCABULARY)})


RECIPES: dict[str, dict[str, Recipe]] = {
    "simple_shapes": {
        "image": Recipe(
            "image",
            FitConfig(steps=55_000),
            {"size": 32, "latent_width": 12, "channels": (24, 48, 48), "beta": 0.01},
            student=Student((32, 64, 128), FitConfig(100_000, 256, 2e-3), pool=600_000),
        ),
        "attributes": _attributes("simple_shapes"),
        "language": _language(),
    },
    "factory": {
        "image": Recipe(
            "image",
            FitConfig(steps=26_000),
            {"size": 64, "latent_width": 12, "channels": (16, 24, 48, 48)},
            pool=120_000,
            student=Student((32, 64, 128), FitConfig(60_000, 256, 2e-3), pool=250_000),
        ),
        "attributes": _attributes("factory"),
        "language": _language(),
    },
}


SMALLEST_IMAGE = 16
"""Pixels on a side; smaller arrays are seldom pictures."""


def space_recipe(space: gym.Space) -> Recipe:
    """Find the recipe for one key of any observation: a picture or a vector of floats.

    Raises InputError saying why if it is neither.
    """
    shape, dtype = space.shape or (), space.dtype
    if not isinstance(space, gym.spaces.Box):
        hint = (
            "; examples/text_embedding.py puts a frozen embedding there"
            if isinstance(space, gym.spaces.Text)
            else ""
        )
        raise InputError(
            f"a {type(space).__name__} is neither a picture nor a vector of floats{hint}"
        )
    if dtype == np.uint8 and len(shape) == 3 and shape[-1] == 3:
        if min(shape[:2]) < SMALLEST_IMAGE:
            raise InputError(
                f"a picture of {shape[0]} x {shape[1]} is smaller than {SMALLEST_IMAGE} x"
                f" {SMALLEST_IMAGE}"
            )
        # down to feature maps of 6 x 6 or less
        halvings = max(2, math.ceil(math.log2(min(shape[:2]) / 6)))
        channels = (16, 24, *[48] * (halvings - 2)) if halvings > 3 else (24, 48, 48)[:halvings]
        size = shape[0] if shape[0] == shape[1] else shape[:2]
        return Recipe(
            "image",
            FitConfig(steps=20_000),
            {"size": size, "latent_width": 12, "channels": channels},
        )
    if np.issubdtype(dtype, np.floating) and len(shape) == 1:
        fit = FitConfig(steps=20_000, batch_size=256, learning_rate=2e-3)
        return Recipe("vector", fit, {"width": shape[0], "latent_width": min(shape[0], 16)})
    raise InputError(
        f"{dtype} of shape {shape} is neither a picture, uint8 of shape (height, width, 3), nor a"
        " vector of floats"
    )
