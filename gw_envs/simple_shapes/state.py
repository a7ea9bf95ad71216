"""The state of a Simple Shapes scene: one shape on a black square of 32 x 32 pixels.

Ranges and conventions are the published ones (Devillers, Maytié and VanRullen, arXiv 2306.15711).
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gw_envs.hls import HLS_HIGH, HLS_LOW, rgb_from_hls
from gw_envs.scenes import SCENES
from gw_envs.state import BatchState, column

CANVAS = 32
"""Side of the square in pixels, whatever size it is drawn at."""

SHAPES = ("diamond", "egg", "triangle")
"""The classes, in the order of their index."""

UNIFORMS = 9
"""Number of uniform random numbers that determine one scene."""

PLACE_RANGE = SCENES["simple_shapes"].range_of("x")
"""Smallest and largest coordinate of the center on either axis, in pixels."""
SIZE_RANGE = SCENES["simple_shapes"].range_of("size")
"""Smallest and largest size in pixels."""

FARTHEST = 1000.0
"""Largest coordinate, size (pixels) and rotation (radians) of a state that can be drawn."""

# smallest values, and numbers of values, of class, x, y, size, hue, lightness, saturation and
# wording seed
_LOW, _HIGH = np.array(
    [
        (0, len(SHAPES) - 1),
        PLACE_RANGE,
        PLACE_RANGE,
        SIZE_RANGE,
        *zip(HLS_LOW, HLS_HIGH, strict=True),
        (0, 2**31 - 1),
    ],
    np.int64,
).T
_COUNTS = _HIGH + 1 - _LOW


@dataclass(frozen=True, eq=False)
class SimpleShapesState(BatchState):
    """A batch of N scenes. Ranges are those of sampled scenes; other states may exceed them."""

    shape: NDArray[np.int64] = field(metadata=column(np.int64, 0, len(SHAPES) - 1))
    """(N,) class index: 0 diamond, 1 egg, 2 triangle."""
    x: NDArray[np.float64] = field(metadata=column(np.float64, -FARTHEST, FARTHEST))
    """(N,) center, pixels from the left edge, in [7, 24]."""
    y: NDArray[np.float64] = field(metadata=column(np.float64, -FARTHEST, FARTHEST))
    """(N,) center, pixels from the bottom edge, in [7, 24]."""
    size: NDArray[np.float64] = field(metadata=column(np.float64, 0, FARTHEST))
    """(N,) side of the outline's unit square in pixels, a whole number in [7, 14]."""
    rotation: NDArray[np.float64] = field(metadata=column(np.float64, -FARTHEST, FARTHEST))
    """(N,) radians in [0, 2 pi), counter-clockwise; 0 points up."""
    rgb: NDArray[np.uint8] = field(metadata=column(np.uint8, 0, 255, (3,)))
    """(N, 3) red, green and blue, 0-255."""
    wording_seed: NDArray[np.int64] = field(metadata=column(np.int64, -(2**63), 2**63 - 1))
    """(N,) number that selects the caption's wording, the same for a whole episode."""

    @classmethod
    def sample(cls, rng: np.random.Generator, count: int = 1) -> Self:
        """Return `count` scenes of the published distribution, the same as from `count` calls."""
        return cls.from_uniform(rng.random((count, UNIFORMS)))

    @classmethod
    def from_uniform(cls, uniform: NDArray[np.float64]) -> Self:
        """Turn (N, UNIFORMS) uniform numbers in [0, 1) into N scenes."""
        whole = (_LOW + np.floor(uniform[:, :8] * _COUNTS)).astype(np.int64)
        x, y, size = whole[:, 1:4].T.astype(np.float64, order="C")
        rgb, rotation = rgb_from_hls(whole[:, 4:7]), uniform[:, 8] * (2 * np.pi)
        return cls.unchecked(
            {
                "shape": whole[:, 0].copy(),
                "x": x,
                "y": y,
                "size": size,
                "rotation": rotation,
                "rgb": rgb,
                "wording_seed": whole[:, 7].copy(),
            }
        )
