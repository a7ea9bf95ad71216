"""Draw frames for people: the goal, the caption, and several frames side by side."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.display import opencv, wrapped

_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_SMALL, _TINY = 0.28, 0.18
"""Font scales: one that reads well, and the smallest readable one, for small frames."""


def with_caption(frame: NDArray[np.uint8], *captions: str) -> NDArray[np.uint8]:
    """Return a copy of an (S, S, 3) frame with whole captions on a dark strip at its foot.

    Each caption begins a line.
    """
    cv2, side = opencv(), len(frame)
    margin = max(2, side // 80)
    for scale in (max(_SMALL, side / 1100), _TINY):
        fits = partial(_fits, width=side - 2 * margin, scale=scale)
        lines = [line for caption in captions for line in wrapped(caption, fits)]
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
    """Return the width and height of a line of text in pixels."""
    return opencv().getTextSize(text, opencv().FONT_HERSHEY_SIMPLEX, scale, 1)[0]


def _fits(line: str, width: int, scale: float) -> bool:
    """Tell whether a line of text is at most `width` pixels wide."""
    return _text_size(line, scale)[0] <= width


def with_goal(
    frame: NDArray[np.uint8], ring: ArrayLike, foot: ArrayLike, tip: ArrayLike
) -> NDArray[np.uint8]:
    """Return a copy of an (S, S, 3) frame with the goal: a ring around it and an arrow along it.

    Args:
        frame: the picture.
        ring: (K, 2) column and row of points around the goal, in pixels.
        foot: (2,) column and row of the arrow's foot.
        tip: (2,) column and row of its tip.
    """
    cv2 = opencv()
    picture = np.ascontiguousarray(frame).copy()
    thick = max(1, len(picture) // 240)
    outline = np.round(np.asarray(ring)).astype(np.int32)
    ends = np.round(np.asarray([foot, tip])).astype(np.int32)
    for color, width in ((_BLACK, thick + 2), (_WHITE, thick)):  # visible on any background
        cv2.polylines(picture, [outline], True, color, width, cv2.LINE_AA)
        cv2.arrowedLine(picture, *ends.tolist(), color, width, cv2.LINE_AA, tipLength=0.25)
    return picture


def tiled(frames: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Join (S, S, 3) frames into one picture, about as wide as high; unused places are black."""
    across = math.isqrt(len(frames) - 1) + 1
    rows = [np.hstack(frames[start : start + across]) for start in range(0, len(frames), across)]
    sheet = np.zeros((len(rows) * len(frames[0]), rows[0].shape[1], 3), np.uint8)
    for number, row in enumerate(rows):
        sheet[number * len(row) :][: len(row), : row.shape[1]] = row
    return sheet


def resized(frame: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return an (S, S, 3) frame scaled smoothly to (size, size, 3)."""
    if len(frame) == size:
        return frame
    return opencv().resize(frame, (size, size), interpolation=opencv().INTER_CUBIC)
