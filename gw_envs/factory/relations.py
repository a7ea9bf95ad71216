"""Tell to which landmark the table is near and on which side of it, and how far it is from there.

Sides are numbered 0 left, 1 right, 2 in front and 3 behind; relation 4 k + s is side s of landmark
k. Lengths are in meters.
"""

import numpy as np

from gw_envs.compiled import compiled

NEAR = 0.8
"""Largest distance in meters from the table's center to a landmark's box that counts as near."""


@compiled()
def relation(x, y, centers, extents, near):  # pragma: no cover - compiled
    """Return the nearest landmark and the table's side of it, 4 * landmark + side, or -1."""
    nearest, closest = -1, near
    for k in range(len(centers)):
        across, along = x - centers[k, 0], y - centers[k, 1]
        gap_x, gap_y = max(abs(across) - extents[k, 0], 0.0), max(abs(along) - extents[k, 1], 0.0)
        distance = np.sqrt(gap_x * gap_x + gap_y * gap_y)
        if distance <= closest:
            side = (0 if across < 0 else 1) if gap_x > gap_y else (2 if along < 0 else 3)
            nearest, closest = 4 * k + side, distance
    return nearest


@compiled()
def relation_distance(x, y, centers, extents, near, landmark, side):  # pragma: no cover - compiled
    """Return how far a place is from those that are near a landmark, on a side of it unless -1.

    It is the larger of two distances: to the places within `near` of the landmark's box (on that
    side), and half of what the landmark is farther away than another one, as a move of that length
    is needed to make it the nearest.
    """
    own = _box_distance(x, y, centers, extents, landmark)
    distance = max(own - near, 0.0)
    if side >= 0:
        across, along = x - centers[landmark, 0], y - centers[landmark, 1]
        half_x, half_y = extents[landmark, 0], extents[landmark, 1]
        if side < 2:
            ahead = (-across if side == 0 else across) - half_x
            distance = _side_distance(ahead, abs(along) - half_y, near)
        else:
            ahead = (-along if side == 2 else along) - half_y
            aside = abs(across) - half_x
            # the landmark's own half belongs to the places in front of and behind it
            within = np.hypot(max(aside, 0.0), max(ahead, -half_y - ahead, 0.0))
            distance = min(_side_distance(ahead, aside, near), within)
    for k in range(len(centers)):
        distance = max(distance, 0.5 * (own - _box_distance(x, y, centers, extents, k)))
    return distance


@compiled()
def _box_distance(x, y, centers, extents, k):  # pragma: no cover - compiled
    """Return the distance from a place to the box of landmark k."""
    return np.hypot(
        max(abs(x - centers[k, 0]) - extents[k, 0], 0.0),
        max(abs(y - centers[k, 1]) - extents[k, 1], 0.0),
    )


@compiled()
def _side_distance(ahead, aside, near):  # pragma: no cover - compiled
    """Return the distance to the places in front of one face of a box, up to 45 degrees aside.

    `ahead` is measured outwards from the face, `aside` from its end outwards, negative along it.
    """
    if aside <= 0.0:
        return max(-ahead, ahead - near, 0.0)
    if ahead >= aside:
        return max(np.hypot(ahead, aside) - near, 0.0)
    edge = min(max(0.5 * (ahead + aside), 0.0), near / np.sqrt(2.0))
    return np.hypot(ahead - edge, aside - edge)
