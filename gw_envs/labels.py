"""What a scene can be classified by: class indices from named attribute values. Pure functions, batched."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gw_envs.observation import values_from_attributes

COLOR_FAMILIES = ("neutral", "warm", "cool")
"""The three color families, in the order of their index."""

NEUTRAL_CHROMA = 34
"""Largest difference between a color's channels, of 255, that still counts as neutral: a third of all colors drawn."""


def shape(values: Mapping[str, Any]) -> NDArray[np.int64]:
    """(N,) 0 diamond, 1 egg, 2 triangle."""
    return np.asarray(values["shape"], np.int64)


def color_family(values: Mapping[str, Any]) -> NDArray[np.int64]:
    """(N,) 0 neutral, 1 warm, 2 cool, from `rgb` (N, 3) in 0-255.

    Neutral is what has hardly any chroma; of the rest, warm is the half of the hue circle around orange (from
    magenta over red and yellow to yellow-green), cool the other half. With hue, lightness and saturation drawn as
    the scenes draw them, each family is a third of all.
    """
    rgb = np.asarray(values["rgb"], np.float64)
    chroma = rgb.max(-1) - rgb.min(-1)
    # On the hue circle red is at 0, green at 120 and blue at 240 degrees; orange, the middle of warm, at 30.
    across = rgb[..., 0] - 0.5 * (rgb[..., 1] + rgb[..., 2])
    along = np.sqrt(0.75) * (rgb[..., 1] - rgb[..., 2])
    warm = across * np.cos(np.pi / 6) + along * np.sin(np.pi / 6) > 0
    return np.where(chroma <= NEUTRAL_CHROMA, 0, np.where(warm, 1, 2))


LABELS: dict[str, tuple[str, Callable[[Mapping[str, Any]], NDArray[np.int64]]]] = {
    "simple_shapes": ("shape", shape),
    "factory": ("color family", color_family),
}
"""Each scene's three-class task: its name, and the function that tells the class."""


def labels(scene: str, attributes: NDArray) -> NDArray[np.int64]:
    """(N, A) attribute vectors -> (N,) class indices of the scene's three-class task."""
    return LABELS[scene][1](values_from_attributes(scene, attributes))
