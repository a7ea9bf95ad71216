"""Colors by hue, lightness and saturation, in bytes as OpenCV stores them.

The published dataset draws its colors in this space.
"""

import numpy as np
from numpy.typing import NDArray

from gw_envs.compiled import compiled

HLS_LOW, HLS_HIGH = (0, 46, 0), (180, 255, 255)
"""Smallest and largest hue (of 180), lightness and saturation (of 255) of sampled scenes."""


@compiled()
def rgb_from_hls(hls):  # pragma: no cover - compiled
    """Convert (N, 3) hue, lightness and saturation to (N, 3) uint8 RGB, exactly as OpenCV."""
    rgb = np.empty((len(hls), 3), np.uint8)
    one = np.float32(1.0)
    for n in range(len(hls)):
        hue = np.float32(hls[n, 0]) * np.float32(6.0 / 180.0)
        lightness = np.float32(hls[n, 1]) * np.float32(1.0 / 255.0)
        saturation = np.float32(hls[n, 2]) * np.float32(1.0 / 255.0)
        high = (
            lightness * (one + saturation)
            if lightness <= 0.5
            else lightness + saturation - lightness * saturation
        )
        low = np.float32(2.0) * lightness - high
        if hue >= 6.0:
            hue -= np.float32(6.0)
        sector = int(hue)
        part = hue - np.float32(sector)
        rising = low + (high - low) * part
        falling = low + (high - low) * (one - part)
        # the entries are the sextants of the hue circle, from red through green and blue to red
        red = (high, falling, low, low, rising, high)[sector]
        green = (rising, high, high, falling, low, low)[sector]
        blue = (low, low, rising, high, high, falling)[sector]
        rgb[n, 0] = np.uint8(np.rint(red * np.float32(255.0)))
        rgb[n, 1] = np.uint8(np.rint(green * np.float32(255.0)))
        rgb[n, 2] = np.uint8(np.rint(blue * np.float32(255.0)))
    return rgb


def sample_rgb(rng: np.random.Generator, count: int) -> NDArray[np.uint8]:
    """Draw (count, 3) uint8 RGB colors, uniform in hue, lightness and saturation."""
    return rgb_from_hls(rng.integers(HLS_LOW, HLS_HIGH, size=(count, 3), endpoint=True))
