"""What a scene can be classified by: class indices from named attribute values. Pure functions, batched."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gw_envs.observation import values_from_attributes
from gw_envs.scenes import get_scene

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


def size(values: Mapping[str, Any]) -> NDArray[np.int64]:
    """(N,) 0 small (up to 9 pixels), 1 middling, 2 large (from 12)."""
    return np.digitize(np.round(values["size"]), (10, 12))


def third(along: Any, low: float, high: float) -> NDArray[np.int64]:
    """(N,) which third of [low, high] a coordinate lies in."""
    return np.clip((np.asarray(along, np.float64) - low) / (high - low) * 3, 0, 2).astype(np.int64)


def quarter(values: Mapping[str, Any]) -> NDArray[np.int64]:
    """(N,) which quarter turn the rotation is nearest to, from 0 to 3, counter-clockwise from up."""
    return (
        np.floor(np.asarray(values["rotation"], np.float64) / (np.pi / 2) + 0.5).astype(np.int64)
        % 4
    )


def _region(scene: str) -> Callable[[Mapping[str, Any]], NDArray[np.int64]]:
    """(N,) which of 3 x 3 regions the object is in, by row from the bottom, then by column."""
    spans = {field.name: (field.low, field.high) for field in get_scene(scene).fields}
    return lambda values: 3 * third(values["y"], *spans["y"]) + third(values["x"], *spans["x"])


Labels = Callable[[NDArray], NDArray[np.int64]]
"""(N, A) attribute vectors -> (N,) class indices."""


def _of(scene: str, label: Callable[[Mapping[str, Any]], NDArray[np.int64]]) -> Labels:
    return lambda attributes: label(values_from_attributes(scene, attributes))


TASKS: dict[str, dict[str, Labels]] = {
    scene: {name: _of(scene, label) for name, label in tasks.items()}
    for scene, tasks in {
        "simple_shapes": {
            "shape": shape,
            "size": size,
            "color family": color_family,
            "region": _region("simple_shapes"),
            "pose": quarter,
        },
        "factory": {"color family": color_family, "region": _region("factory"), "pose": quarter},
    }.items()
}
"""What each scene can be classified by; its three-class task, which the figures are about, comes first."""


def labels(scene: str, attributes: NDArray) -> NDArray[np.int64]:
    """(N, A) attribute vectors -> (N,) class indices of the scene's three-class task."""
    return next(iter(TASKS[get_scene(scene).name].values()))(attributes)
