"""Pictures for people: the goal drawn on a frame, and the caption under it."""

import textwrap

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.vision import opencv

_WHITE = (255, 255, 255)


def with_caption(frame: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """A copy of a (S, S, 3) frame with the caption written over a darkened strip at its foot."""
    cv2 = opencv()
    font, side = cv2.FONT_HERSHEY_SIMPLEX, frame.shape[0]
    scale = max(0.28, side / 1100)
    (width, height), _ = cv2.getTextSize("n" * 20, font, scale, 1)
    lines = textwrap.wrap(caption, max(8, int(20 * (side - 12) / width)))
    line_height = int(height * 1.9)
    strip = min(side, line_height * len(lines) + line_height // 2)
    picture = frame.copy()
    picture[side - strip :] //= 3
    for number, line in enumerate(lines):
        foot = side - strip + int(line_height * (number + 0.95))
        cv2.putText(picture, line, (6, foot), font, scale, _WHITE, 1, cv2.LINE_AA)
    return picture


def with_goal(frame: NDArray[np.uint8], ring: ArrayLike, foot: ArrayLike, tip: ArrayLike) -> NDArray[np.uint8]:
    """A copy of a (S, S, 3) frame with the goal on it: a ring to be in and an arrow to be turned along.

    Args:
        frame: the picture.
        ring: (K, 2) column and row of points around the goal, in pixels.
        foot: (2,) where the arrow begins.
        tip: (2,) where it ends.
    """
    cv2 = opencv()
    picture = np.ascontiguousarray(frame).copy()
    thick = max(1, len(picture) // 240)
    outline, ends = np.round(ring).astype(np.int32), np.round([np.asarray(foot), np.asarray(tip)]).astype(int).tolist()
    cv2.polylines(picture, [outline], True, _WHITE, thick, cv2.LINE_AA)
    cv2.arrowedLine(picture, *ends, _WHITE, thick, cv2.LINE_AA, tipLength=0.25)
    return picture


def resized(frame: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A (S, S, 3) frame, smoothly brought to (size, size, 3)."""
    return frame if len(frame) == size else opencv().resize(frame, (size, size), interpolation=opencv().INTER_CUBIC)
