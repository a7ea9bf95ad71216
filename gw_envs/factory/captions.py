"""The captions of the Factory: the table's color, place and direction.

A place is a region of the floor, or a relation to the nearest landmark if one is near. North, and
the top of the picture, is the back wall.
"""

import numpy as np
from numpy.typing import NDArray

from gw_envs.compiled import compiled
from gw_envs.factory.layout import HALVES, LANDMARKS, Landmark
from gw_envs.factory.relations import NEAR, relation, relation_distance
from gw_envs.factory.state import FactoryState
from gw_envs.language.color_names import COLOR, basic_of_name, nearest, palette
from gw_envs.language.grammar import Grammar, Slot, Variant
from gw_envs.language.regions import (
    DIRECTION_PREFERENCES,
    DIRECTIONS,
    cell,
    cell_distance,
    fine_grid,
    sector,
)

REACH = 1.5
"""The grids of places divide [-REACH, REACH] meters evenly on both axes; outer cells go beyond."""

COARSE = Variant(
    "coarse",
    (
        (
            "at the bottom left",
            "in the lower left corner",
            "in the southwest",
            "at the front left of the floor",
        ),
        ("at the bottom", "on the lower side", "in the south", "at the front of the floor"),
        (
            "at the bottom right",
            "in the lower right corner",
            "in the southeast",
            "at the front right of the floor",
        ),
        ("on the left", "on the left side", "in the west", "on the left side of the floor"),
        (
            "in the center",
            "in the middle of the scene",
            "in the central part of the floor",
            "in the middle of the floor",
        ),
        ("on the right", "on the right side", "in the east", "on the right side of the floor"),
        (
            "at the top left",
            "in the upper left corner",
            "in the northwest",
            "at the back left of the floor",
        ),
        ("at the top", "on the upper side", "in the north", "at the back of the floor"),
        (
            "at the top right",
            "in the upper right corner",
            "in the northeast",
            "at the back right of the floor",
        ),
    ),
)

FINE = fine_grid(
    rows=(
        "at the very front",
        "near the front",
        "just in front of the middle",
        "halfway back",
        "just behind the middle",
        "near the back",
        "at the very back",
    ),
    steps=("in front of", "behind"),
    toward=("in front", "behind"),
)


def _beside(landmark: Landmark, relations: tuple[str, ...]) -> tuple[str, ...]:
    """Return the wordings of one relation to a landmark, such as `near the cones`."""
    return tuple(f"{relation} the {landmark.name}" for relation in relations)


BESIDE = Variant(
    "landmark",
    tuple(_beside(landmark, ("close to", "near", "next to")) for landmark in LANDMARKS),
)

_SIDES = (
    ("to the left of", "just left of", "just west of"),
    ("to the right of", "just right of", "just east of"),
    ("in front of", "just in front of", "just south of"),
    ("behind", "just behind", "just north of"),
)

SIDE = Variant(
    "landmark side",
    tuple(_beside(landmark, side) for landmark in LANDMARKS for side in _SIDES),
)


@compiled()
def _classify(
    x, y, rotation, rgb, landmarks, extents, values, basic, reach, near
):  # pragma: no cover - compiled
    """Return the (N, 8) indices of `meanings`."""
    columns = np.empty((len(x), 8), dtype=np.int64)
    for n in range(len(x)):
        name = nearest(np.int64(rgb[n, 0]), np.int64(rgb[n, 1]), np.int64(rgb[n, 2]), values)
        columns[n, 0], columns[n, 1] = basic[name], name
        columns[n, 2] = 3 * cell(y[n], -reach, reach, 3) + cell(x[n], -reach, reach, 3)
        columns[n, 3] = 7 * cell(y[n], -reach, reach, 7) + cell(x[n], -reach, reach, 7)
        side = relation(x[n], y[n], landmarks[n], extents, near)
        columns[n, 4] = side // 4 if side >= 0 else -1
        columns[n, 5] = side
        columns[n, 6] = sector(rotation[n], 8)
        columns[n, 7] = sector(rotation[n], 16)
    return columns


def meanings(state: FactoryState) -> NDArray[np.int64]:
    """Return the meanings that captions can state about N scenes, (N, 8) int64 indices.

    The columns are coarse and fine color, coarse and fine place, landmark and its side (-1 if none
    is near), coarse and fine direction.
    """
    return _classify(
        np.ascontiguousarray(state.x, dtype=np.float64),
        np.ascontiguousarray(state.y, dtype=np.float64),
        np.ascontiguousarray(state.rotation, dtype=np.float64),
        np.ascontiguousarray(state.rgb),
        np.ascontiguousarray(state.landmarks, dtype=np.float64),
        HALVES,
        palette(),
        basic_of_name(),
        REACH,
        NEAR,
    )


@compiled()
def _place_distances(
    x, y, landmarks, extents, variants, places, reach, near
):  # pragma: no cover - compiled
    """Return the (N,) distances of `place_distances`."""
    distances = np.empty(len(x))
    for n in range(len(x)):
        if variants[n] < 2:
            count = 3 if variants[n] == 0 else 7
            distances[n] = cell_distance(x[n], y[n], places[n], -reach, reach, count)
            continue
        landmark, side = places[n], -1
        if variants[n] == 3:
            landmark, side = places[n] // 4, places[n] % 4
        distances[n] = relation_distance(x[n], y[n], landmarks[n], extents, near, landmark, side)
    return distances


def place_distances(
    state: FactoryState, variants: NDArray[np.int64], places: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the distances in meters from the tables of N scenes to claimed places.

    Args:
        state: N scenes.
        variants: (N,) granularity of each claim: 0 coarse, 1 fine, 2 landmark, 3 landmark side.
        places: (N,) the claimed meaning.

    Returns:
        (N,), 0 where the claim is true. For landmarks see `relation_distance`.
    """
    return _place_distances(
        np.ascontiguousarray(state.x, dtype=np.float64),
        np.ascontiguousarray(state.y, dtype=np.float64),
        np.ascontiguousarray(state.landmarks, dtype=np.float64),
        HALVES,
        variants,
        places,
        REACH,
        NEAR,
    )


GRAMMAR = Grammar(
    scene="factory",
    slots=(
        COLOR,
        Slot(
            "place",
            (COARSE, FINE, BESIDE, SIDE),
            (
                ("coarse", "coarse"),
                ("fine", "fine"),
                ("landmark", "coarse"),
                ("landmark side", "fine"),
            ),
        ),
        Slot("direction", DIRECTIONS, DIRECTION_PREFERENCES),
    ),
    structures=(
        "{a color} table {place}, pointing {direction}.",
        "There is {a color} table {place}. It is pointing {direction}.",
        "It is {a color} table pointing {direction}, {place}.",
        "{place}, there is {a color} table pointing {direction}.",
        "The table is {color}. It is {place}, pointing {direction}.",
        "The table {place} is {color}, and it points {direction}.",
        "Pointing {direction}, {a color} table stands {place}.",
        "The picture shows {a color} table. It points {direction}, and it is {place}.",
        "In this factory, {a color} table stands {place}. It points {direction}.",
    ),
    meanings=meanings,
    place_distances=place_distances,
)
"""The grammar of all captions of the Factory."""
