"""Draw batches of Simple Shapes with exact anti-aliasing.

Each outline is a polygon; the egg's four Bezier arcs are flattened. Every edge adds the signed area
to its right to an accumulation buffer, row by row. A running sum along the row is then the exact
coverage of each pixel. Outlines: Devillers, Maytié and VanRullen, arXiv 2306.15711.
"""

import numpy as np
from numpy.typing import NDArray

from gw_envs.compiled import compiled
from gw_envs.errors import InputError, describe, is_whole
from gw_envs.simple_shapes.state import CANVAS, SimpleShapesState

MIN_SIZE, MAX_SIZE = 8, 1024
"""Smallest and largest side of a picture in pixels."""

FARTHEST = 1e6
"""Bound of |x| + |y| + |size| + |rotation|; only states changed in place can exceed it."""

EGG_SEGMENTS = 8
"""Straight pieces of each Bezier arc of the egg; at size 14 they are 0.01 pixel off the arc."""


def _bezier(p0: tuple, p1: tuple, p2: tuple, p3: tuple) -> NDArray[np.float64]:
    """Return (EGG_SEGMENTS, 2) points of a cubic Bezier arc, without its end."""
    t = np.linspace(0.0, 1.0, EGG_SEGMENTS, endpoint=False)[:, None]
    arms = [np.asarray(p) for p in (p0, p1, p2, p3)]
    return (
        (1 - t) ** 3 * arms[0]
        + 3 * (1 - t) ** 2 * t * arms[1]
        + 3 * (1 - t) * t**2 * arms[2]
        + t**3 * arms[3]
    )


def _outlines() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (3, P, 2) outlines and (3,) their lengths.

    They run counter-clockwise in the unit square around the origin.
    """
    diamond = np.array([(0.5, 0.0), (1.0, 0.3), (0.5, 1.0), (0.0, 0.3)])
    egg = np.concatenate(
        [
            _bezier((0.5, 0.0), (0.8, 0.0), (0.9, 0.1), (0.9, 0.3)),
            _bezier((0.9, 0.3), (0.9, 0.5), (0.7, 1.0), (0.5, 1.0)),
            _bezier((0.5, 1.0), (0.3, 1.0), (0.1, 0.5), (0.1, 0.3)),
            _bezier((0.1, 0.3), (0.1, 0.1), (0.2, 0.0), (0.5, 0.0)),
        ]
    )
    triangle = np.array([(0.2, 0.0), (0.8, 0.0), (0.5, 1.0)])
    lengths = np.array([len(diamond), len(egg), len(triangle)])
    points = np.zeros((3, lengths.max(), 2))
    for row, outline in enumerate((diamond, egg, triangle)):
        points[row, : len(outline)] = outline - 0.5
    return points, lengths


OUTLINES, LENGTHS = _outlines()


@compiled(inline="always")
def _add_edge(area, x0, y0, x1, y1):  # pragma: no cover - compiled
    """Add any edge to `area`; parts left or right of the picture move to its border."""
    side = float(area.shape[0])
    if min(x0, x1) >= 0.0 and max(x0, x1) <= side:
        _add_inner_edge(area, x0, y0, x1, y1)
        return
    enters, leaves = 0.0, 1.0
    if x0 != x1:
        first, last = (0.0 - x0) / (x1 - x0), (side - x0) / (x1 - x0)
        enters, leaves = min(max(min(first, last), 0.0), 1.0), min(max(max(first, last), 0.0), 1.0)
    xa, ya = x0 + enters * (x1 - x0), y0 + enters * (y1 - y0)
    xb, yb = x0 + leaves * (x1 - x0), y0 + leaves * (y1 - y0)
    start, end = min(max(x0, 0.0), side), min(max(x1, 0.0), side)
    _add_inner_edge(area, start, y0, start, ya)
    _add_inner_edge(area, min(max(xa, 0.0), side), ya, min(max(xb, 0.0), side), yb)
    _add_inner_edge(area, end, yb, end, y1)


@compiled(inline="always")
def _add_inner_edge(area, x0, y0, x1, y1):  # pragma: no cover - compiled
    """Add the signed area right of an edge to `area` (S, S + 2), as differences along each row.

    The edge may reach above and below the picture, but not beside it; y grows downwards.
    """
    if y0 == y1:
        return
    sign = 1.0
    if y0 > y1:
        x0, y0, x1, y1 = x1, y1, x0, y0
        sign = -1.0
    size = area.shape[0]
    slope = (x1 - x0) / (y1 - y0)
    if y0 < 0.0:
        x0 -= slope * y0
        y0 = 0.0
    x = x0
    for row in range(int(y0), min(size, int(np.ceil(y1)))):
        height = min(row + 1.0, y1) - max(float(row), y0)
        x_next = x + slope * height
        signed = sign * height
        left, right = (x, x_next) if x < x_next else (x_next, x)
        left, right = min(max(left, 0.0), float(size)), min(max(right, 0.0), float(size))
        first, last = int(left), int(np.ceil(right))
        if last <= first + 1:  # within one pixel
            middle = 0.5 * (left + right) - first
            area[row, first] += signed * (1.0 - middle)
            if first < size:
                area[row, first + 1] += signed * middle
        else:
            per_pixel = 1.0 / (right - left)
            ahead = 1.0 - (left - first)
            covered = 0.5 * per_pixel * ahead * ahead  # of the first pixel
            area[row, first] += signed * covered
            before = covered
            for column in range(first + 1, last - 1):
                covered = per_pixel * (column + 0.5 - left)
                area[row, column] += signed * (covered - before)
                before = covered
            rest = right - (last - 1)
            covered = 1.0 - 0.5 * per_pixel * rest * rest
            area[row, last - 1] += signed * (covered - before)
            area[row, last] += signed * (1.0 - covered)
        x = x_next


@compiled()
def _fill(
    shape, x, y, size, rotation, rgb, points, lengths, scale, images
):  # pragma: no cover - compiled
    """Draw N scenes into `images` (N, S, S, 3) uint8, which must be black."""
    side = images.shape[1]
    area = np.zeros((side, side + 2))
    corner = np.empty((points.shape[1], 2))
    for n in range(len(shape)):
        if not (
            0 <= shape[n] < len(lengths)
            and abs(x[n]) + abs(y[n]) + abs(size[n]) + abs(rotation[n]) < FARTHEST
        ):
            raise ValueError("a state is no scene: a class is unknown or a number too large")
        length = lengths[shape[n]]
        cosine, sine = np.cos(rotation[n]) * size[n] * scale, np.sin(rotation[n]) * size[n] * scale
        center_x, center_y = x[n] * scale, side - y[n] * scale
        left, right, top, bottom = 1e9, -1e9, 1e9, -1e9
        for p in range(length):
            u, v = points[shape[n], p, 0], points[shape[n], p, 1]
            corner[p, 0] = center_x + cosine * u - sine * v
            corner[p, 1] = center_y - (sine * u + cosine * v)
            left, right = min(left, corner[p, 0]), max(right, corner[p, 0])
            top, bottom = min(top, corner[p, 1]), max(bottom, corner[p, 1])
        for p in range(length):
            after = p + 1 if p + 1 < length else 0
            _add_edge(area, corner[p, 0], corner[p, 1], corner[after, 0], corner[after, 1])
        red, green, blue = float(rgb[n, 0]), float(rgb[n, 1]), float(rgb[n, 2])
        begin, end = max(0, int(left)), min(side, max(0, int(np.ceil(right)) + 1))
        for row in range(max(0, int(top)), min(side, int(np.ceil(bottom)) + 1)):
            cover = 0.0
            for column in range(begin, end):
                cover += area[row, column]
                area[row, column] = 0.0
                amount = min(max(cover, 0.0), 1.0)
                images[n, row, column, 0] = np.uint8(red * amount + 0.5)
                images[n, row, column, 1] = np.uint8(green * amount + 0.5)
                images[n, row, column, 2] = np.uint8(blue * amount + 0.5)
            # an edge reaches at most one column beyond the outline
            area[row, end] = area[row, end + 1] = 0.0


def render(state: SimpleShapesState, size: int = CANVAS) -> NDArray[np.uint8]:
    """Draw one scene or a batch.

    Args:
        state: one state or a batch of N.
        size: side of the picture in pixels, 8 to 1024; the scene is scaled from its 32.

    Returns:
        (size, size, 3) or (N, size, size, 3) uint8 RGB on black.

    Raises:
        InputError: `size` is out of range.
    """
    if not is_whole(size) or not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError(
            f"image size {describe(size)} is out of range: "
            f"Simple Shapes draws {MIN_SIZE} to {MAX_SIZE} pixels"
        )
    batch = state.batched()
    images = np.zeros((len(batch), size, size, 3), np.uint8)
    _fill(
        np.asarray(batch.shape, np.int64),
        np.asarray(batch.x, np.float64),
        np.asarray(batch.y, np.float64),
        np.asarray(batch.size, np.float64),
        np.asarray(batch.rotation, np.float64),
        np.asarray(batch.rgb, np.uint8),
        OUTLINES,
        LENGTHS,
        size / CANVAS,
        images,
    )
    return images if np.ndim(state.rotation) else images[0]
