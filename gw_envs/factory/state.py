"""The state of a Factory scene: a table on a floor of 4 x 4 metres, seen by a fixed camera.

x grows to the right and y away from the camera, towards the back wall ("north", the top of the picture); the origin
is the middle of the floor. Rotation 0 points the table's front at the back wall and grows counter-clockwise.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

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
from gw_envs.state import BatchState

__all__ = ["FIXED_LAYOUT", "FLOOR", "LANDMARKS", "LAYOUTS", "TABLE", "FactoryState", "Landmark"]

LAYOUTS = {"fixed": fixed_scenes, "random": random_scenes}
"""How the landmarks may stand: where they always are, or anew in every scene."""


@dataclass(frozen=True)
class FactoryState(BatchState):
    """A batch of N scenes."""

    x: NDArray[np.float64]
    """(N,) centre of the table in metres, from -FLOOR on the left to FLOOR on the right."""
    y: NDArray[np.float64]
    """(N,) centre of the table in metres, from -FLOOR at the camera to FLOOR at the back wall."""
    rotation: NDArray[np.float64]
    """(N,) radians in [0, 2 pi), counter-clockwise from above; 0 points the front at the back wall."""
    rgb: NDArray[np.uint8]
    """(N, 3) the table's red, green and blue, 0-255."""
    landmarks: NDArray[np.float64]
    """(N, 4, 2) centres of the landmarks in metres, in the order of `LANDMARKS`."""
    wording_seed: NDArray[np.int64]
    """(N,) which of the possible wordings the caption takes, for the whole episode."""

    @classmethod
    def sample(cls, rng: np.random.Generator, count: int = 1, layout: str = "fixed") -> Self:
        """`count` scenes, uniform among those in which nothing touches.

        Args:
            rng: the only source of chance.
            count: how many.
            layout: "fixed" or "random"; ValueError otherwise. Random landmarks stand clear of one another and of the
                goal in the middle, and the table begins where a way to the goal is certain.

        Returns:
            N = count scenes. The table keeps 5 cm from landmarks and walls; its color is uniform in hue, lightness
            (46 to 255) and saturation.
        """
        if layout not in LAYOUTS:
            raise ValueError(f"unknown layout {layout!r}: choose {' or '.join(map(repr, LAYOUTS))}")
        poses, landmarks = LAYOUTS[layout](rng, count)
        rgb = sample_rgb(rng, count)
        x, y, rotation = np.ascontiguousarray(poses.T)
        return cls(
            x, y, rotation, rgb, np.ascontiguousarray(landmarks), rng.integers(2**31, size=count)
        )
