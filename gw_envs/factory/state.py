"""The state of a Factory scene: a table on a floor of 4 x 4 meters, seen by a fixed camera.

x grows to the right and y away from the camera, towards the back wall ("north", the top of the
picture); the origin is the middle of the floor. Rotation 0 points the table's front at the back
wall, and rotations grow counter-clockwise.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gw_envs.errors import check_choice
from gw_envs.factory.layout import (
    FIXED_LAYOUT,
    FLOOR,
    LANDMARKS,
    TABLE,
    Landmark,
    fixed_scenes,
    random_scenes,
)
from gw_envs.hls import sample_rgb
from gw_envs.state import BatchState, column

__all__ = ["FIXED_LAYOUT", "FLOOR", "LANDMARKS", "LAYOUTS", "TABLE", "FactoryState", "Landmark"]

LAYOUTS = {"fixed": fixed_scenes, "random": random_scenes}
"""How landmarks are placed: always in the same places, or drawn for each scene."""

FARTHEST = 100.0
"""Largest coordinate in meters that the physics and the camera take."""

MOST_TURNED = 1000.0
"""Largest rotation in radians that the physics and the camera take."""


@dataclass(frozen=True, eq=False)
class FactoryState(BatchState):
    """A batch of N scenes. Ranges are those of sampled scenes; other states may exceed them."""

    x: NDArray[np.float64] = field(metadata=column(np.float64, -FARTHEST, FARTHEST))
    """(N,) center of the table in meters, from -FLOOR on the left to FLOOR on the right."""
    y: NDArray[np.float64] = field(metadata=column(np.float64, -FARTHEST, FARTHEST))
    """(N,) center of the table in meters, from -FLOOR at the camera to FLOOR at the back wall."""
    rotation: NDArray[np.float64] = field(metadata=column(np.float64, -MOST_TURNED, MOST_TURNED))
    """(N,) radians in [0, 2 pi), counter-clockwise from above; 0 points the front north."""
    rgb: NDArray[np.uint8] = field(metadata=column(np.uint8, 0, 255, (3,)))
    """(N, 3) the table's red, green and blue, 0-255."""
    landmarks: NDArray[np.float64] = field(
        metadata=column(np.float64, -FARTHEST, FARTHEST, (len(LANDMARKS), 2))
    )
    """(N, 4, 2) centers of the landmarks in meters, in the order of `LANDMARKS`."""
    wording_seed: NDArray[np.int64] = field(metadata=column(np.int64, -(2**63), 2**63 - 1))
    """(N,) number that selects the caption's wording, the same for a whole episode."""

    @classmethod
    def sample(cls, rng: np.random.Generator, count: int = 1, layout: str = "fixed") -> Self:
        """Return `count` scenes, uniform among those in which nothing touches.

        Args:
            rng: the only source of randomness.
            count: number of scenes N.
            layout: "fixed" or "random"; InputError otherwise. Random landmarks stand clear of one
                another and of the goal in the middle, and the table can always reach the goal.

        Returns:
            N scenes. The table keeps 5 cm from landmarks and walls; its color is uniform in
            hue, lightness (46 to 255) and saturation.
        """
        check_choice("layout", layout, LAYOUTS)
        poses, landmarks = LAYOUTS[layout](rng, count)
        rgb = sample_rgb(rng, count)
        x, y, rotation = np.ascontiguousarray(poses.T)
        return cls.unchecked(
            {
                "x": x,
                "y": y,
                "rotation": rotation,
                "rgb": rgb,
                "landmarks": np.ascontiguousarray(landmarks),
                "wording_seed": rng.integers(2**31, size=count),
            }
        )
