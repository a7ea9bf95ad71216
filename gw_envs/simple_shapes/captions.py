"""The captions of Simple Shapes: size, color, shape, place and direction.

Sizes, synonyms and granularities follow the published captions (Devillers, Maytié and VanRullen,
arXiv 2306.15711).
"""

import numpy as np
from numpy.typing import NDArray

from gw_envs.compiled import compiled
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
from gw_envs.simple_shapes.state import PLACE_RANGE, SimpleShapesState

SIZE = Variant(
    "bins",  # [7, 9), [9, 11), [11, 13) and [13, 14] pixels
    (
        ("tiny", "very small", "minuscule"),
        ("small", "little", "fairly small"),
        ("medium-sized", "mid-sized", "average-sized"),
        ("large", "big", "fairly large"),
    ),
)

SHAPE = Variant(
    "class",
    (
        ("diamond", "kite", "diamond shape", "kite shape", "arrow-shaped polygon"),
        ("egg", "egg shape", "water droplet", "guitar pick", "teardrop shape"),
        ("triangle", "triangular shape", "isosceles triangle", "three-sided polygon"),
    ),
)

COARSE = Variant(
    "coarse",
    (
        (
            "at the bottom left",
            "in the lower left corner",
            "in the southwest",
            "in the bottom left corner",
        ),
        ("at the bottom", "on the lower side", "in the south", "at the bottom center"),
        (
            "at the bottom right",
            "in the lower right corner",
            "in the southeast",
            "in the bottom right corner",
        ),
        ("on the left", "on the left side", "in the west", "at the middle left"),
        (
            "in the center",
            "in the middle",
            "in the central part of the image",
            "in the middle of the image",
        ),
        ("on the right", "on the right side", "in the east", "at the middle right"),
        (
            "at the top left",
            "in the upper left corner",
            "in the northwest",
            "in the top left corner",
        ),
        ("at the top", "on the upper side", "in the north", "at the top center"),
        (
            "at the top right",
            "in the upper right corner",
            "in the northeast",
            "in the top right corner",
        ),
    ),
)

FINE = fine_grid(
    rows=(
        "at the very bottom",
        "low down",
        "just below the middle",
        "at mid height",
        "just above the middle",
        "high up",
        "at the very top",
    ),
    steps=("below", "above"),
    toward=("below", "above"),
)


@compiled()
def _classify(
    shape, x, y, size, rotation, rgb, values, basic, low, high
):  # pragma: no cover - compiled
    """Return the (N, 8) indices of `meanings`."""
    columns = np.empty((len(x), 8), dtype=np.int64)
    for n in range(len(x)):
        if not 0 <= shape[n] < 3:
            raise ValueError("a state is no scene: a class is not 0, 1 or 2")
        columns[n, 0] = (size[n] >= 9.0) + (size[n] >= 11.0) + (size[n] >= 13.0)
        name = nearest(np.int64(rgb[n, 0]), np.int64(rgb[n, 1]), np.int64(rgb[n, 2]), values)
        columns[n, 1], columns[n, 2] = basic[name], name
        columns[n, 3] = shape[n]
        columns[n, 4] = 3 * cell(y[n], low, high, 3) + cell(x[n], low, high, 3)
        columns[n, 5] = 7 * cell(y[n], low, high, 7) + cell(x[n], low, high, 7)
        columns[n, 6] = sector(rotation[n], 8)
        columns[n, 7] = sector(rotation[n], 16)
    return columns


def meanings(state: SimpleShapesState) -> NDArray[np.int64]:
    """Return the meanings that captions can state about N scenes, (N, 8) int64 indices.

    The columns are size, coarse and fine color, shape, coarse and fine place, coarse and fine
    direction.
    """
    return _classify(
        np.ascontiguousarray(state.shape, dtype=np.int64),
        np.ascontiguousarray(state.x, dtype=np.float64),
        np.ascontiguousarray(state.y, dtype=np.float64),
        np.ascontiguousarray(state.size, dtype=np.float64),
        np.ascontiguousarray(state.rotation, dtype=np.float64),
        np.ascontiguousarray(state.rgb),
        palette(),
        basic_of_name(),
        *PLACE_RANGE,
    )


@compiled()
def _place_distances(x, y, variants, places, low, high):  # pragma: no cover - compiled
    """Return the (N,) distances of `place_distances`."""
    distances = np.empty(len(x))
    for n in range(len(x)):
        count = 3 if variants[n] == 0 else 7
        distances[n] = cell_distance(x[n], y[n], places[n], low, high, count)
    return distances


def place_distances(
    state: SimpleShapesState, variants: NDArray[np.int64], places: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the distances in pixels from N scenes to claimed places.

    Args:
        state: N scenes.
        variants: (N,) granularity of each claim, 0 coarse or 1 fine.
        places: (N,) the claimed meaning.

    Returns:
        (N,), 0 where the claim is true.
    """
    return _place_distances(
        np.ascontiguousarray(state.x, dtype=np.float64),
        np.ascontiguousarray(state.y, dtype=np.float64),
        variants,
        places,
        *PLACE_RANGE,
    )


GRAMMAR = Grammar(
    scene="simple_shapes",
    slots=(
        Slot("size", (SIZE,), (("bins", "bins"),)),
        COLOR,
        Slot("shape", (SHAPE,), (("class", "class"),)),
        Slot("place", (COARSE, FINE), (("coarse", "coarse"), ("fine", "fine"))),
        Slot("direction", DIRECTIONS, DIRECTION_PREFERENCES),
    ),
    structures=(
        "{a size} {color} {shape} {place}, pointing {direction}.",
        "There is {a size} {color} {shape} {place}. It is pointing {direction}.",
        "It is {a shape}, {size} and {color}, pointing {direction}, {place}.",
        "The picture shows {a size} object {place}. "
        "It is {color}, looks like {a shape} and points {direction}.",
        "{a size} {color} object is {place}. It looks like {a shape} and points {direction}.",
        "There is {a shape} pointing {direction}. It is {size}, {color} and located {place}.",
        "{place}, there is {a size} {color} {shape} pointing {direction}.",
        "Pointing {direction}, {a size} {color} {shape} is located {place}.",
        "The {shape} is {size} and {color}. It is {place}, pointing {direction}.",
        "The object {place} is {a size} {color} {shape}, and it points {direction}.",
    ),
    meanings=meanings,
    place_distances=place_distances,
)
"""The grammar of all captions of Simple Shapes."""
