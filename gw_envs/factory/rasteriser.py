"""Draw flat-shaded triangles, many pictures at a time, exactly as PyBullet's TinyRenderer does.

Every number is rounded where TinyRenderer rounds it. Matrices, corners and shades are float32, and
their sums run from the last term to the first; barycentric coordinates and depths are float64. A
pixel belongs to a triangle if the pixel's lower left corner lies inside or on an edge. Where depths
are equal, the triangle drawn later wins.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gw_envs.compiled import compiled

SMALLEST_AREA = 1e-2
"""Twice the area, in square pixels, of the largest triangle that is not drawn."""
SHADE_MARGIN = np.float32(1e-3)
"""Bound, in color levels, on how much rounding varies the shade within a triangle."""


class Optics(NamedTuple):
    """A camera and a light, as float32 numbers."""

    to_camera: NDArray[np.float32]
    """(4, 4) from the floor's frame to the camera's."""
    to_clip: NDArray[np.float32]
    """(4, 4) from the camera's frame to clip space."""
    eye: NDArray[np.float32]
    """(3,) where the camera stands, in meters."""
    light: NDArray[np.float32]
    """(3,) unit vector towards the light."""
    ambient: np.float32
    """Share of a color that is visible without the light."""
    diffuse: np.float32
    """Share of a color that the light adds if it is perpendicular to a triangle."""
    farthest: np.float32
    """Depth of a pixel on which nothing is drawn; depths grow towards the camera."""


def round_optics(
    view: NDArray[np.float64],
    projection: NDArray[np.float64],
    light: list[float],
    ambient: float,
    diffuse: float,
) -> Optics:
    """Round a camera and a light as Bullet does. Returns the `Optics`.

    Args:
        view: (4, 4) from the floor's frame to the camera's.
        projection: (4, 4) from the camera's frame to clip space.
        light: (3,) direction towards the light, of any length.
        ambient: share of a color that is visible without the light.
        diffuse: share that the light adds if it is perpendicular to a triangle.
    """
    direction = np.array(light, np.float32).astype(np.float64)
    towards = direction * (1.0 / np.sqrt((direction * direction).sum()))
    eye = -view[:3, :3].T @ view[:3, 3]
    to_clip = projection.astype(np.float32)
    return Optics(
        to_camera=view.astype(np.float32),
        to_clip=to_clip,
        eye=eye.astype(np.float32),
        light=towards.astype(np.float32),
        ambient=np.float32(ambient),
        diffuse=np.float32(diffuse),
        farthest=-to_clip[2, 3] / (to_clip[2, 2] + np.float32(1)),
    )


@compiled(error_model="numpy")
def draw(
    pictures, rows, background_depth, body, optics, x, y, rotation, rgb
):  # pragma: no cover - compiled
    """Draw one body into pictures that hold their background.

    Args:
        pictures: (N, S, S, 3) uint8; only `rows` are drawn into.
        rows: (R,) int64 numbers of pictures that share a background.
        background_depth: (S, S) float32 depths of the background, left unchanged.
        body: the `Body`.
        optics: the `Optics`.
        x, y: (N,) float64 places of the body on the floor, in meters.
        rotation: (N,) float64 radians counter-clockwise.
        rgb: (N, 3) uint8 colors of the body's first part.
    """
    size = len(background_depth)
    depth = np.empty((size, size), np.float32)
    colors = np.empty((len(body.colors), 3), np.uint8)
    for row in rows:  # loops, because assignments of whole arrays take seconds to compile
        for i in range(size):
            for j in range(size):
                depth[i, j] = background_depth[i, j]
        for t in range(len(colors)):
            for k in range(3):
                colors[t, k] = rgb[row, k] if body.parts[t] == 0 else body.colors[t, k]
        draw_body(pictures[row], depth, body, colors, optics, x[row], y[row], rotation[row])


@compiled(error_model="numpy")
def draw_body(picture, depth, body, colors, optics, x, y, rotation):  # pragma: no cover - compiled
    """Draw one body into `picture` (S, S, 3) and `depth` (S, S) wherever nothing nearer is drawn.

    Args:
        picture: uint8 RGB, its first row at the top.
        depth: float32 depths of the picture so far.
        body: the `Body`.
        colors: (T, 3) uint8 colors of its triangles before shading.
        optics: the `Optics`.
        x, y: place on the floor in meters.
        rotation: radians counter-clockwise.
    """
    half = rotation / 2
    sine, cosine = math.sin(half), math.cos(half)
    scale = 2.0 / (sine * sine + cosine * cosine)
    turn_cosine = np.float32(1.0 - sine * (sine * scale))
    turn_sine = np.float32(cosine * (sine * scale))
    corners = _place(body.vertices, optics, turn_cosine, turn_sine, x, y, len(picture))
    squared = turn_sine * turn_sine + turn_cosine * turn_cosine
    across, along = turn_cosine / squared, turn_sine / squared
    for t in range(len(body.triangles)):
        a, b, c = body.triangles[t]
        if _faces_away(corners[a], corners[b], corners[c], optics.eye):
            continue
        n = body.normals[t]
        normal = (-along * n[1] + across * n[0], across * n[1] + along * n[0], n[2])
        _fill(picture, depth, corners[a], corners[b], corners[c], normal, colors[t], optics)


@compiled(error_model="numpy")
def _product(left, right):  # pragma: no cover - compiled
    """Return the (4, 4) float32 product of two matrices."""
    result = np.empty((4, 4), np.float32)
    for i in range(4):
        for j in range(4):
            total = left[i, 3] * right[3, j]
            for k in (2, 1, 0):
                total += left[i, k] * right[k, j]
            result[i, j] = total
    return result


@compiled(error_model="numpy")
def _place(vertices, optics, cosine, sine, x, y, size):  # pragma: no cover - compiled
    """Place the corners of a body. Returns (V, 7) float32.

    The columns are x, y and z on the floor, column and line in the picture (the lowest line is 0),
    clip w and clip z.
    """
    model = np.zeros((4, 4), np.float32)
    model[0, 0], model[0, 1], model[0, 3] = cosine, -sine, x
    model[1, 0], model[1, 1], model[1, 3] = sine, cosine, y
    model[2, 2], model[3, 3] = 1.0, 1.0
    total = _product(optics.to_clip, _product(optics.to_camera, model))
    half = np.float32(size) / np.float32(2)
    corners = np.empty((len(vertices), 7), np.float32)
    for v in range(len(vertices)):
        p, q, r = vertices[v]
        for k in range(3):
            corners[v, k] = model[k, 3] + model[k, 2] * r + model[k, 1] * q + model[k, 0] * p
        clip_x = total[0, 3] + total[0, 2] * r + total[0, 1] * q + total[0, 0] * p
        clip_y = total[1, 3] + total[1, 2] * r + total[1, 1] * q + total[1, 0] * p
        clip_z = total[2, 3] + total[2, 2] * r + total[2, 1] * q + total[2, 0] * p
        clip_w = total[3, 3] + total[3, 2] * r + total[3, 1] * q + total[3, 0] * p
        corners[v, 3] = (half * clip_w + half * clip_x) / clip_w
        corners[v, 4] = (half * clip_w + half * clip_y) / clip_w
        corners[v, 5] = clip_w
        corners[v, 6] = clip_z
    return corners


@compiled(error_model="numpy")
def _faces_away(a, b, c, eye):  # pragma: no cover - compiled
    """Return whether the camera sees the back of the triangle between three rows of `_place`."""
    ax, ay, az = float(a[0]), float(a[1]), float(a[2])
    ux, uy, uz = b[0] - ax, b[1] - ay, b[2] - az
    vx, vy, vz = c[0] - ax, c[1] - ay, c[2] - az
    towards = (ax - eye[0]) * (uy * vz - uz * vy) + (ay - eye[1]) * (uz * vx - ux * vz)
    return towards + (az - eye[2]) * (ux * vy - uy * vx) >= 0.0


@compiled(error_model="numpy")
def _incidence(normal, a, b, c, light):  # pragma: no cover - compiled
    """Return the cosine, at least 0, of the light and a normal interpolated by weights."""
    x = c * normal[0] + b * normal[0] + a * normal[0]
    y = c * normal[1] + b * normal[1] + a * normal[1]
    z = c * normal[2] + b * normal[2] + a * normal[2]
    inverse = np.float32(1) / np.sqrt(x * x + y * y + z * z)
    cosine = (z * inverse) * light[2] + (y * inverse) * light[1] + (x * inverse) * light[0]
    return max(cosine, np.float32(0))


@compiled(error_model="numpy")
def _shade(levels, color, shine, ambient):  # pragma: no cover - compiled
    """Shade `color` (3,) into `levels` (3,). Returns whether rounding could change a level."""
    doubtful = False
    for k in range(3):
        level = np.float32(color[k])
        shade = ambient * level + shine * level
        levels[k] = min(int(shade), 255)
        doubtful |= int(shade - SHADE_MARGIN) != int(shade + SHADE_MARGIN)
    return doubtful


@compiled(error_model="numpy")
def _span(x, y, bx, by, cx, cy, area, left, right):  # pragma: no cover - compiled
    """Return the first and last column of a line in a triangle, each at most one too far out."""
    first, last = float(left), float(right)
    sign = 1.0 if area > 0 else -1.0
    of_b, of_c = sign * (x * cy - cx * y), sign * (bx * y - x * by)
    slope_b, slope_c = sign * cy, -sign * by
    of_a, slope_a = abs(area) - of_b - of_c, -slope_b - slope_c
    for value, slope in ((of_a, slope_a), (of_b, slope_b), (of_c, slope_c)):
        if slope > 0:
            last = min(last, value / slope)
        elif slope < 0:
            first = max(first, value / slope)
    return int(min(first, right + 1.0)), math.ceil(max(last, left - 1.0))


@compiled(error_model="numpy")
def _fill(picture, depth, a, b, c, normal, color, optics):  # pragma: no cover - compiled
    """Fill the triangle between three rows of `_place`."""
    size = len(picture)
    ax, ay = np.float64(a[3]), np.float64(a[4])
    bx, by = b[3] - ax, b[4] - ay
    cx, cy = c[3] - ax, c[4] - ay
    area = cx * by - bx * cy
    if abs(area) <= SMALLEST_AREA:
        return
    left = int(max(np.float32(0), min(a[3], b[3], c[3])))
    right = int(min(np.float32(size - 1), max(a[3], b[3], c[3])))
    low = int(max(np.float32(0), min(a[4], b[4], c[4])))
    high = int(min(np.float32(size - 1), max(a[4], b[4], c[4])))
    one, zero = np.float32(1), np.float32(0)
    shine = optics.diffuse * _incidence(normal, one, zero, zero, optics.light)
    levels = np.empty(3, np.uint8)
    doubtful = _shade(levels, color, shine, optics.ambient)
    for line in range(low, high + 1):
        row, y = size - 1 - line, ay - line
        first, last = _span(ax, y, bx, by, cx, cy, area, left, right)
        for column in range(first, last + 1):
            x = ax - column
            of_b, of_c = x * cy - cx * y, bx * y - x * by
            if area < 0:
                if of_b > 0 or of_c > 0 or of_b + of_c < area:
                    continue
            elif of_b < 0 or of_c < 0 or of_b + of_c > area:
                continue
            share_a = (1.0 - (of_b + of_c) / area) / a[5]
            share_b = (of_b / area) / b[5]
            share_c = (of_c / area) / c[5]
            total = share_a + share_b + share_c
            share_a, share_b, share_c = share_a / total, share_b / total, share_c / total
            near = -(c[6] * share_c + b[6] * share_b + a[6] * share_a)
            if near < depth[row, column]:
                continue
            depth[row, column] = near
            if doubtful:
                weights = np.float32(share_a), np.float32(share_b), np.float32(share_c)
                shine = optics.diffuse * _incidence(normal, *weights, optics.light)
                _shade(levels, color, shine, optics.ambient)
            for k in range(3):
                picture[row, column, k] = levels[k]
