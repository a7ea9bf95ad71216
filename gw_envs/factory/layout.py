"""Place the table and the landmarks on the floor, and measure the gaps between them.

x grows to the right and y away from the camera, both in meters from the middle of the floor. Angles
are in radians.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

FLOOR = 2.0
"""Half the side of the floor in meters: x and y run from -FLOOR to FLOOR."""

TABLE = (0.5, 0.35)
"""Half the table's width (along its front) and half its depth (towards its front) in meters."""


@dataclass(frozen=True)
class Landmark:
    """A thing on the floor; for collisions it is an axis-aligned box."""

    name: str
    half_width: float
    """Half the extent along x in meters."""
    half_depth: float
    """Half the extent along y in meters."""
    x: float
    """Center in the fixed layout, meters."""
    y: float
    """Center in the fixed layout, meters."""


LANDMARKS = (
    Landmark("shelves", 0.60, 0.16, -1.00, 1.80),
    Landmark("cones", 0.30, 0.24, 1.40, 1.45),
    Landmark("crates", 0.30, 0.30, 1.62, -1.10),
    Landmark("docking station", 0.20, 0.35, -1.75, -0.90),
)
"""The landmarks, in the order of `FactoryState.landmarks`."""

FIXED_LAYOUT = np.array([(landmark.x, landmark.y) for landmark in LANDMARKS])
"""Centers of the landmarks in the published layout 'fixed', (4, 2)."""

HALVES = np.array([(landmark.half_width, landmark.half_depth) for landmark in LANDMARKS])
"""Half extents of the landmarks along x and y, (4, 2)."""

CLEARANCE = 0.05
"""Smallest distance between things in a sampled scene, in meters."""

GOAL_RADIUS = 0.75
"""Radius of the disc around the middle of the floor that random landmarks leave free, in meters."""

TURNING_RADIUS = float(np.hypot(*TABLE)) + 0.025
"""Radius in meters of the disc in which the table can turn, with a margin for the simulation."""

CELL = 0.05
"""Side in meters of the cells in which a path to the goal is searched."""

MOST_ROWS = 20_000
"""Largest number of scenes proposed at a time."""

_CELL_CENTERS = np.arange(-FLOOR + CELL / 2, FLOOR, CELL)


def gaps(
    poses: NDArray[np.float64], centers: NDArray[np.float64], halves: ArrayLike = HALVES
) -> NDArray[np.float64]:
    """Measure the gaps between the table and axis-aligned boxes by the separating axis test.

    Args:
        poses: (..., 3) x, y and rotation of the table.
        centers: (..., M, 2) centers of M boxes.
        halves: (M, 2) their half extents.

    Returns:
        (..., M) the widest gap along the four axes of the two rectangles. It is never more than
        their distance; where they overlap it is negative, and its size is the depth.
    """
    half_width, half_depth = TABLE
    cosine, sine = np.cos(poses[..., 2, None]), np.sin(poses[..., 2, None])  # (..., 1)
    offsets = centers - poses[..., None, :2]
    dx, dy = offsets[..., 0], offsets[..., 1]  # (..., M)
    width, depth = np.asarray(halves).T  # (M,)
    c, s = np.abs(cosine), np.abs(sine)
    floor_x = np.abs(dx) - width - (c * half_width + s * half_depth)
    floor_y = np.abs(dy) - depth - (s * half_width + c * half_depth)
    table_x = np.abs(cosine * dx + sine * dy) - half_width - (c * width + s * depth)
    table_y = np.abs(cosine * dy - sine * dx) - half_depth - (s * width + c * depth)
    return np.maximum(np.maximum(floor_x, floor_y), np.maximum(table_x, table_y))


def wall_gaps(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (...,) distances of poses (..., 3) to the nearest wall, negative in a wall."""
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
    """Return (N,) whether the table keeps its clearance from landmarks and walls.

    `poses` is (N, 3), and `landmarks` (N, 4, 2) or (1, 4, 2).
    """
    return (wall_gaps(poses) > CLEARANCE) & (gaps(poses, landmarks) > CLEARANCE).all(-1)


def point_distances(
    points: NDArray[np.float64], landmarks: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (..., 4) distances of points (..., 2) to the boxes of landmarks (..., 4, 2)."""
    outside = np.maximum(np.abs(points[..., None, :] - landmarks) - HALVES, 0)
    return np.hypot(outside[..., 0], outside[..., 1])


def are_apart(landmarks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (N,) whether landmarks (N, 4, 2) are clear of one another and of the goal."""
    first, second = np.triu_indices(len(LANDMARKS), 1)
    between = np.abs(landmarks[:, first] - landmarks[:, second]) - (
        HALVES[first] + HALVES[second]
    )  # (N, 6, 2)
    goal_free = (point_distances(np.zeros(2), landmarks) > GOAL_RADIUS).all(-1)
    return (between.max(-1) > CLEARANCE).all(-1) & goal_free


def open_cells(landmarks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (K, K) whether the table can turn freely at every point of a cell, rows along y.

    `landmarks` is (4, 2).
    """
    needed = TURNING_RADIUS + CELL / np.sqrt(2)
    inside = np.abs(_CELL_CENTERS) <= FLOOR - TURNING_RADIUS - CELL / 2
    cells = inside[:, None] & inside
    for (x, y), (half_width, half_depth) in zip(landmarks, HALVES, strict=True):
        dx = np.maximum(np.abs(_CELL_CENTERS - x) - half_width, 0)
        dy = np.maximum(np.abs(_CELL_CENTERS - y) - half_depth, 0)
        cells &= dx * dx + dy[:, None] ** 2 > needed**2
    return cells


def can_reach_goal(pose: NDArray[np.float64], landmarks: NDArray[np.float64]) -> bool:
    """Tell whether a table at a pose (3,) among (4, 2) landmarks can certainly reach the goal.

    The path runs through cells that share a side and in which the table has room to turn, so that
    it can follow the path in any orientation. Narrower paths do not count.
    """
    return bool(_have_path(pose[None], landmarks)[0])


def _have_path(poses: NDArray[np.float64], landmarks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (N,) whether poses (N, 3) among (4, 2) landmarks have the path of `can_reach_goal`."""
    columns, rows = np.floor((poses[:, :2] + FLOOR) / CELL).astype(int).T
    regions, _ = ndimage.label(open_cells(landmarks))
    middle = len(_CELL_CENTERS) // 2
    return (regions[rows, columns] > 0) & (regions[rows, columns] == regions[middle, middle])


def are_reachable(
    poses: NDArray[np.float64], landmarks: NDArray[np.float64], with_path: bool
) -> NDArray[np.bool_]:
    """Return (N,) whether scenes are drawn with such poses among such landmarks.

    Args:
        poses: (N, 3) x, y and rotation of the table.
        landmarks: (N, 4, 2) their centers.
        with_path: whether there must be a path to the middle too, as in random layouts.
    """
    reachable = is_clear(poses, landmarks)
    if not with_path:
        return reachable
    rows_of_layouts: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(reachable).tolist():
        rows_of_layouts.setdefault(landmarks[row].tobytes(), []).append(row)
    for rows in rows_of_layouts.values():
        reachable[rows] = _have_path(poses[rows], landmarks[rows[0]])
    return reachable


def draw(
    count: int,
    tries: int,
    propose: Callable[[int], NDArray[np.float64]],
    accept: Callable[[NDArray[np.float64]], NDArray],
) -> NDArray[np.float64]:
    """Draw rows by rejection sampling.

    Args:
        count: number of rows.
        tries: about how many proposals it takes to find one. It affects the speed, and which
            numbers are drawn from a generator.
        propose: function from a number of rows to as many rows.
        accept: function from these rows to the accepted ones, as a mask or as indices.

    Returns:
        The first `count` rows that were accepted.
    """
    accepted: list[NDArray[np.float64]] = []
    missing = count
    while missing > 0 or not accepted:
        rows = propose(min(tries * (missing + 1), MOST_ROWS))
        accepted.append(rows[accept(rows)][:missing])
        missing -= len(accepted[-1])
    return np.concatenate(accepted)


def poses_from_uniform(uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn (N, 3) uniform numbers in [0, 1) into poses (N, 3) on the floor, in all rotations."""
    return uniform * (2 * FLOOR, 2 * FLOOR, 2 * np.pi) - (FLOOR, FLOOR, 0)


def random_poses(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw (count, 3) poses, uniform over the floor and all rotations."""
    return poses_from_uniform(rng.random((count, 3)))


def fixed_scenes(
    rng: np.random.Generator, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw (count, 3) poses clear of everything; the (count, 4, 2) landmarks never change."""
    poses = draw(
        count, 4, lambda rows: random_poses(rng, rows), lambda rows: is_clear(rows, FIXED_LAYOUT)
    )
    return poses, np.tile(FIXED_LAYOUT, (count, 1, 1))


def random_scenes(
    rng: np.random.Generator, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw (count, 3) poses and (count, 4, 2) landmarks, clear and with a path to the goal."""

    def propose(rows: int) -> NDArray[np.float64]:
        landmarks = (2 * rng.random((rows, len(LANDMARKS), 2)) - 1) * (FLOOR - HALVES)
        return np.concatenate([random_poses(rng, rows), landmarks.reshape(rows, -1)], -1)

    def accept(rows: NDArray[np.float64]) -> NDArray[np.int64]:
        poses, landmarks = rows[:, :3], rows[:, 3:].reshape(len(rows), -1, 2)
        good = np.flatnonzero(are_apart(landmarks))
        good = good[is_clear(poses[good], landmarks[good])]
        distances = point_distances(poses[good, :2], landmarks[good])
        good = good[(distances > TURNING_RADIUS).all(-1)]
        reachable = [can_reach_goal(poses[row], landmarks[row]) for row in good]
        return good[np.array(reachable, dtype=np.bool_)]

    scenes = draw(count, 70, propose, accept)
    return scenes[:, :3], scenes[:, 3:].reshape(count, -1, 2)
