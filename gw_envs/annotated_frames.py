"""Pictures for people: the goal drawn on a frame, and the caption under it."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.display import opencv, wrapped

_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_SMALL, _TINY = 0.28, 0.18
"""Scales of letters that read well, and that can just be read: for frames too small for the others."""


def with_caption(frame: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """A copy of a (S, S, 3) frame with the caption, whole, written over a darkened strip at its foot."""
    cv2, side = opencv(), len(frame)
    margin = max(2, side // 80)
    for scale in (max(_SMALL, side / 1100), _TINY):
        lines = wrapped(caption, partial(_fits, width=side - 2 * margin, scale=scale))
        line_height = round(1.4 * _text_size("n", scale)[1])
        strip = line_height * len(lines) + 2 * margin
        if strip <= side / 2:
            break
    picture = frame.copy()
    picture[max(0, side - strip) :] //= 3
    for number, line in enumerate(lines):
        foot = side - strip + margin + int(line_height * (number + 0.75))
        cv2.putText(
            picture, line, (margin, foot), cv2.FONT_HERSHEY_SIMPLEX, scale, _WHITE, 1, cv2.LINE_AA
        )
    return picture


def _text_size(text: str, scale: float) -> tuple[int, int]:
    """Width and height in pixels of a line of text."""
    return opencv().getTextSize(text, opencv().FONT_HERSHEY_SIMPLEX, scale, 1)[0]


def _fits(line: str, width: int, scale: float) -> bool:
    """Whether a line of text is at most `width` pixels wide."""
    return _text_size(line, scale)[0] <= width


def with_goal(
    frame: NDArray[np.uint8], ring: ArrayLike, foot: ArrayLike, tip: ArrayLike
) -> NDArray[np.uint8]:
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
    outline, ends = (
        np.round(np.asarray(points)).astype(np.int32) for points in (ring, [foot, tip])
    )
    for color, width in ((_BLACK, thick + 2), (_WHITE, thick)):  # to be seen on whatever is behind
        cv2.polylines(picture, [outline], True, color, width, cv2.LINE_AA)
        cv2.arrowedLine(picture, *ends.tolist(), color, width, cv2.LINE_AA, tipLength=0.25)
    return picture


def tiled(frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Frames (S, S, 3) side by side in rows, about as many rows as in each: one picture, black where none is left."""
    across = math.isqrt(len(frames) - 1) + 1
    rows = [np.hstack(frames[start : start + across]) for start in range(0, len(frames), across)]
    sheet = np.zeros((len(rows) * len(frames[0]), rows[0].shape[1], 3), np.uint8)
    for number, row in enumerate(rows):
        sheet[number * len(row) :][: len(row), : row.shape[1]] = row
    return sheet


def resized(frame: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A (S, S, 3) frame, smoothly brought to (size, size, 3)."""
    return (
        frame
        if len(frame) == size
        else opencv().resize(frame, (size, size), interpolation=opencv().INTER_CUBIC)
    )
