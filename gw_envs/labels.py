"""Classify scenes: pure functions from batches of attribute values to class indices."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.observation import check_attributes, values_from_attributes
from gw_envs.scenes import get_scene

NEUTRAL_CHROMA = 34
"""Largest difference between the channels (0-255) of a neutral color.

It makes a third of all sampled colors neutral."""

Values = Mapping[str, Any]
"""Named values of N scenes, as `values_from_attributes` returns them."""

Labels = Callable[[ArrayLike], NDArray[np.int64]]
"""(N, A) attribute vectors -> (N,) class indices."""


def shape(values: Values) -> NDArray[np.int64]:
    """Return (N,) 0 diamond, 1 egg, 2 triangle."""
    return np.asarray(values["shape"], np.int64)


def color_family(values: Values) -> NDArray[np.int64]:
    """Return (N,) 0 neutral, 1 warm, 2 cool, from `rgb` (N, 3) in 0-255.

    Colors with hardly any chroma are neutral. Of the rest, the half of the hue circle around orange
    is warm (from magenta through red and yellow to yellow-green), the other half cool. Each family
    holds a third of the colors that scenes sample.
    """
    rgb = np.asarray(values["rgb"], np.float64)
    chroma = rgb.max(-1) - rgb.min(-1)
    # On the hue circle red is at 0, green at 120 and blue at 240 degrees; orange is at 30.
    across = rgb[..., 0] - 0.5 * (rgb[..., 1] + rgb[..., 2])
    along = np.sqrt(0.75) * (rgb[..., 1] - rgb[..., 2])
    warm = across * np.cos(np.pi / 6) + along * np.sin(np.pi / 6) > 0
    return np.where(chroma <= NEUTRAL_CHROMA, 0, np.where(warm, 1, 2))


def size(values: Values) -> NDArray[np.int64]:
    """Return (N,) 0 small (up to 9 pixels), 1 medium, 2 large (from 12)."""
    return np.asarray(np.digitize(np.round(values["size"]), (10, 12)), np.int64)


def third(coordinate: Any, low: float, high: float) -> NDArray[np.int64]:
    """Return (N,) the third of [low, high] in which a coordinate lies, from 0 to 2."""
    fraction = (np.asarray(coordinate, np.float64) - low) / (high - low)
    return np.clip(fraction * 3, 0, 2).astype(np.int64)


def quarter(values: Values) -> NDArray[np.int64]:
    """Return (N,) the quarter turn nearest to the rotation, 0 to 3, counter-clockwise from up."""
    turns = np.asarray(values["rotation"], np.float64) / (np.pi / 2)
    return np.floor(turns + 0.5).astype(np.int64) % 4


def _region(scene: str) -> Callable[[Values], NDArray[np.int64]]:
    """Return a function to the (N,) 3 x 3 regions, numbered by row from the bottom, then column."""
    spans = {field.name: (field.low, field.high) for field in get_scene(scene).fields}
    return lambda values: 3 * third(values["y"], *spans["y"]) + third(values["x"], *spans["x"])


def _from_attributes(scene: str, label: Callable[[Values], NDArray[np.int64]]) -> Labels:
    """Turn a function of named values into one of attribute vectors."""
    return lambda attributes: label(
        values_from_attributes(scene, check_attributes(scene, attributes))
    )


def _labels_of(scene: str, **labels: Callable[[Values], NDArray[np.int64]]) -> dict[str, Labels]:
    """Return the classifications of a scene by name, as functions of attribute vectors."""
    return {
        name.replace("_", " "): _from_attributes(scene, label) for name, label in labels.items()
    }


CLASS_LABELS: dict[str, dict[str, Labels]] = {
    "simple_shapes": _labels_of(
        "simple_shapes",
        shape=shape,
        size=size,
        color_family=color_family,
        region=_region("simple_shapes"),
        pose=quarter,
    ),
    "factory": _labels_of(
        "factory", color_family=color_family, region=_region("factory"), pose=quarter
    ),
}
"""The classifications of each scene by name; the first is the three-class one of the figures."""


def labels(scene: str, attributes: ArrayLike) -> NDArray[np.int64]:
    """Return the three-class labels of a scene: (N, A) attribute vectors -> (N,) class indices."""
    return next(iter(CLASS_LABELS[get_scene(scene).name].values()))(attributes)
