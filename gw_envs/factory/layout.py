"""What stands where on the floor, and where something may stand: pure functions of poses and boxes.

x grows to the right and y away from the camera, both in metres from the middle of the floor; angles are in radians.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

FLOOR = 2.0
"""Half the side of the floor in metres: x and y run from -FLOOR to FLOOR."""

TABLE = (0.5, 0.35)
"""Half the width (across the front) and half the depth (towards the front) of the table in metres."""


@dataclass(frozen=True)
class Landmark:
    """Something that stands on the floor, upright and unturned: an axis-aligned box as far as collisions go."""

    name: str
    half_width: float
    """Half the extent along x in metres."""
    half_depth: float
    """Half the extent along y in metres."""
    x: float
    """Centre in the fixed layout, metres."""
    y: float
    """Centre in the fixed layout, metres."""


LANDMARKS = (
    Landmark("shelves", 0.60, 0.16, -1.00, 1.80),
    Landmark("cones", 0.30, 0.24, 1.40, 1.45),
    Landmark("crates", 0.30, 0.30, 1.62, -1.10),
    Landmark("docking station", 0.20, 0.35, -1.75, -0.90),
)
"""The landmarks, in the order of `FactoryState.landmarks`."""

FIXED_LAYOUT = np.array([(landmark.x, landmark.y) for landmark in LANDMARKS])
"""(4, 2) centres of the landmarks in the published case."""

HALVES = np.array([(landmark.half_width, landmark.half_depth) for landmark in LANDMARKS])
"""(4, 2) half extents of the landmarks along x and y."""

CLEARANCE = 0.05
"""Metres that things keep from one another where a scene begins."""

GOAL_RADIUS = 0.75
"""Random landmarks leave this disc around the middle of the floor free, in metres."""

TURNING_RADIUS = float(np.hypot(*TABLE)) + 0.025
"""Metres around the table's centre in which it can turn without touching anything, in simulation too."""

CELL = 0.05
"""Side of the cells in which a way to the goal is looked for, in metres."""

MOST_ROWS = 20_000
"""How many scenes are proposed at a time, at most."""

_CELL_CENTRES = np.arange(-FLOOR + CELL / 2, FLOOR, CELL)


def gaps(
    poses: NDArray[np.float64], centres: NDArray[np.float64], halves: ArrayLike = HALVES
) -> NDArray[np.float64]:
    """How far the table is from axis-aligned boxes, by the separating axis test.

    Args:
        poses: (..., 3) x, y and rotation of the table.
        centres: (..., M, 2) centres of M boxes.
        halves: (M, 2) their half extents.

    Returns:
        (..., M) the widest gap along the four axes of the two rectangles: never more than their distance; negative
        where they overlap, and then its size is how deep.
    """
    half_width, half_depth = TABLE
    cosine, sine = np.cos(poses[..., 2, None]), np.sin(poses[..., 2, None])  # (..., 1)
    offsets = centres - poses[..., None, :2]
    dx, dy = offsets[..., 0], offsets[..., 1]  # (..., M)
    width, depth = np.asarray(halves).T  # (M,)
    c, s = np.abs(cosine), np.abs(sine)
    floor_x = np.abs(dx) - width - (c * half_width + s * half_depth)
    floor_y = np.abs(dy) - depth - (s * half_width + c * half_depth)
    table_x = np.abs(cosine * dx + sine * dy) - half_width - (c * width + s * depth)
    table_y = np.abs(cosine * dy - sine * dx) - half_depth - (s * width + c * depth)
    return np.maximum(np.maximum(floor_x, floor_y), np.maximum(table_x, table_y))


def wall_gaps(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3) poses of the table -> (...,) distance to the nearest wall; negative where it goes through one."""
    half_width, half_depth = TABLE
    c, s = np.abs(np.cos(poses[..., 2])), np.abs(np.sin(poses[..., 2]))
    beside = FLOOR - np.abs(poses[..., 0]) - (c * half_width + s * half_depth)
    ahead = FLOOR - np.abs(poses[..., 1]) - (s * half_width + c * half_depth)
    return np.minimum(beside, ahead)


def box_gaps(poses: NDArray[np.float64], landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N,) distances from the table's bounding box to the nearest landmark or wall.

    The boxes are parallel to the floor's axes, as Bullet's are. `poses` is (N, 3) and `landmarks`
    (4, 2); a distance is negative where boxes overlap.
    """
    half_width, half_depth = TABLE
    cosine, sine = np.abs(np.cos(poses[:, 2])), np.abs(np.sin(poses[:, 2]))
    halves = np.stack(
        [cosine * half_width + sine * half_depth, sine * half_width + cosine * half_depth], -1
    )
    offsets = np.abs(landmarks - poses[:, None, :2])
    apart = (offsets - HALVES - halves[:, None]).max(-1).min(-1)
    return np.minimum(apart, wall_gaps(poses))


def is_clear(poses: NDArray[np.float64], landmarks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N, 3) poses, (N or 1, 4, 2) landmarks -> (N,) whether the table keeps its clearance from all and the walls."""
    return (wall_gaps(poses) > CLEARANCE) & (gaps(poses, landmarks) > CLEARANCE).all(-1)


def point_distances(
    points: NDArray[np.float64], landmarks: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(..., 2) points, (..., 4, 2) landmarks -> (..., 4) distances from the points to the landmarks' boxes."""
    outside = np.maximum(np.abs(points[..., None, :] - landmarks) - HALVES, 0)
    return np.hypot(outside[..., 0], outside[..., 1])


def are_apart(landmarks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N, 4, 2) landmarks -> (N,) whether they keep clear of one another and of the goal."""
    first, second = np.triu_indices(len(LANDMARKS), 1)
    between = np.abs(landmarks[:, first] - landmarks[:, second]) - (
        HALVES[first] + HALVES[second]
    )  # (N, 6, 2)
    goal_free = (point_distances(np.zeros(2), landmarks) > GOAL_RADIUS).all(-1)
    return (between.max(-1) > CLEARANCE).all(-1) & goal_free


def open_cells(landmarks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(4, 2) landmarks -> (K, K) whether the table can turn freely about every point of a cell, rows along y."""
    needed = TURNING_RADIUS + CELL / np.sqrt(2)
    inside = np.abs(_CELL_CENTRES) <= FLOOR - TURNING_RADIUS - CELL / 2
    cells = inside[:, None] & inside
    for (x, y), (half_width, half_depth) in zip(landmarks, HALVES, strict=True):
        dx = np.maximum(np.abs(_CELL_CENTRES - x) - half_width, 0)
        dy = np.maximum(np.abs(_CELL_CENTRES - y) - half_depth, 0)
        cells &= dx * dx + dy[:, None] ** 2 > needed**2
    return cells


def can_reach_goal(pose: NDArray[np.float64], landmarks: NDArray[np.float64]) -> bool:
    """Whether a way to the middle of the floor is certain for one pose (3,) among (4, 2) landmarks.

    The way leads through cells that share a side, in each of which the table has room to turn, so that the table can
    follow it in any orientation. A way on which it would have to squeeze through does not count.
    """
    column, row = np.floor((pose[:2] + FLOOR) / CELL).astype(int)
    regions, _ = ndimage.label(open_cells(landmarks))
    middle = len(_CELL_CENTRES) // 2
    return bool(regions[row, column] > 0 and regions[row, column] == regions[middle, middle])


def draw(
    count: int,
    tries: int,
    propose: Callable[[int], NDArray[np.float64]],
    accept: Callable[[NDArray[np.float64]], NDArray],
) -> NDArray[np.float64]:
    """The first `count` rows that `propose(number of rows)` brings and `accept(rows)`, a mask or indices, takes.

    `tries` is about how many rows it takes to find one; it matters to speed, and to which numbers a generator gives.
    """
    kept: list[NDArray[np.float64]] = []
    missing = count
    while missing > 0 or not kept:
        rows = propose(min(tries * (missing + 1), MOST_ROWS))
        kept.append(rows[accept(rows)][:missing])
        missing -= len(kept[-1])
    return np.concatenate(kept)


def random_poses(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """(count, 3) poses, uniform over the floor and all rotations."""
    return rng.random((count, 3)) * (2 * FLOOR, 2 * FLOOR, 2 * np.pi) - (FLOOR, FLOOR, 0)


def fixed_scenes(
    rng: np.random.Generator, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(count, 3) poses clear of everything, and (count, 4, 2) landmarks where they always are."""
    poses = draw(
        count, 4, lambda rows: random_poses(rng, rows), lambda rows: is_clear(rows, FIXED_LAYOUT)
    )
    return poses, np.tile(FIXED_LAYOUT, (count, 1, 1))


def random_scenes(
    rng: np.random.Generator, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(count, 3) poses and (count, 4, 2) landmarks, clear of one another, with a certain way to the goal."""

    def propose(rows: int) -> NDArray[np.float64]:
        landmarks = (2 * rng.random((rows, len(LANDMARKS), 2)) - 1) * (FLOOR - HALVES)
        return np.concatenate([random_poses(rng, rows), landmarks.reshape(rows, -1)], -1)

    def accept(rows: NDArray[np.float64]) -> NDArray[np.int64]:
        poses, landmarks = rows[:, :3], rows[:, 3:].reshape(len(rows), -1, 2)
        taken = np.flatnonzero(are_apart(landmarks))
        taken = taken[is_clear(poses[taken], landmarks[taken])]
        taken = taken[
            (point_distances(poses[taken, :2], landmarks[taken]) > TURNING_RADIUS).all(-1)
        ]
        sure = [can_reach_goal(poses[row], landmarks[row]) for row in taken]
        return taken[np.array(sure, dtype=np.bool_)]

    scenes = draw(count, 70, propose, accept)
    return scenes[:, :3], scenes[:, 3:].reshape(count, -1, 2)
