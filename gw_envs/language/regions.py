"""Places and directions: the regions of a plane that captions name, and the words they share.

Grids number their cells by row, then column, from the bottom left; directions go counter-clockwise from straight up.
"""

import numpy as np

from gw_envs.compiled import compiled
from gw_envs.language.grammar import Variant

_SIDES = ("top", "left", "bottom", "right")
_POINTS = ("north", "west", "south", "east")
_MOVES = ("up", "to the left", "down", "to the right")
_TURNS = ("up", "left", "down", "right")


@compiled()
def cell(value, low, high, count):  # pragma: no cover - compiled
    """Which of `count` equal parts of [low, high] holds `value`; values outside belong to the outermost parts."""
    return min(max(int(np.floor((value - low) / (high - low) * count)), 0), count - 1)


@compiled()
def sector(angle, count):  # pragma: no cover - compiled
    """Which of `count` equal sectors holds an angle in radians; sector 0 is centred on 0."""
    return int(np.floor(angle / (2.0 * np.pi) * count + 0.5)) % count


def _coarse_direction(number: int) -> tuple[str, ...]:
    """Wordings of one of 8 sectors: compass point, with article, side or corner, and what it is turned toward."""
    first, second = number // 2, (number // 2 + 1) % 4
    if number % 2 == 0:
        point, side = _POINTS[first], _SIDES[first]
        return point, f"to the {point}", f"to the {side}", f"toward the {side}"
    vertical, horizontal = (first, second) if first % 2 == 0 else (second, first)
    point = _POINTS[vertical] + _POINTS[horizontal]
    height = "upper" if vertical == 0 else "lower"
    side = _SIDES[horizontal]
    return (
        point,
        f"to the {point}",
        f"to the {_SIDES[vertical]} {side}",
        f"toward the {height} {side} corner",
    )


def _fine_direction(number: int) -> tuple[str, ...]:
    """Wordings of one of 16 sectors, in the order of the coarse ones."""
    first, second = number // 4, (number // 4 + 1) % 4
    vertical, horizontal = (first, second) if first % 2 == 0 else (second, first)
    diagonal = _POINTS[vertical] + _POINTS[horizontal]
    height = "upper" if vertical == 0 else "lower"
    if number % 4 == 0:
        point, side, move = _POINTS[first], _SIDES[first], _MOVES[first]
        return (
            f"due {point}",
            f"straight {point}",
            f"straight {move}",
            f"straight toward the {side}",
        )
    if number % 4 == 2:
        return (
            f"due {diagonal}",
            f"straight {diagonal}",
            f"diagonally {_MOVES[vertical]} and {_MOVES[horizontal]}",
            f"straight toward the {height} {_SIDES[horizontal]} corner",
        )
    main, aside = (first, second) if number % 4 == 1 else (second, first)
    point = f"{_POINTS[main]}-{diagonal}"
    return (
        point,
        f"to the {point}",
        f"{_MOVES[main]} and slightly {_MOVES[aside]}",
        f"toward the {_SIDES[main]} and slightly {_TURNS[aside]}",
    )


DIRECTIONS = (
    Variant("coarse", tuple(_coarse_direction(number) for number in range(8))),
    Variant("fine", tuple(_fine_direction(number) for number in range(16))),
)
"""8 sectors of 45 degrees and 16 of 22.5, each centred on its direction; as compass points or as sides and corners."""

DIRECTION_PREFERENCES = (("coarse", "coarse"), ("fine", "fine"))

_COLUMNS = (
    "on the far left",
    "on the left",
    "just left of the middle",
    "in the middle",
    "just right of the middle",
    "on the right",
    "on the far right",
)
_DEGREES = ("far ", "", "slightly ", "", "slightly ", "", "far ")


def _compass_cell(row: int, column: int) -> str:
    """`far north and slightly west of the center`."""
    parts = []
    if row != 3:
        parts.append(_DEGREES[row] + ("south" if row < 3 else "north"))
    if column != 3:
        parts.append(_DEGREES[column] + ("west" if column < 3 else "east"))
    return " and ".join(parts) + " of the center"


def _by_the_center(
    degree: str, row: int, column: int, steps: tuple[str, str], toward: tuple[str, str]
) -> str:
    """`just above and to the left of the center`: the eight cells around the middle one."""
    side = "left" if column < 3 else "right"
    if row == 3:
        return f"{degree} {side} of the center"
    if column == 3:
        return f"{degree} {steps[row > 3]} the center"
    return f"{degree} {toward[row > 3]} and to the {side} of the center"


def fine_grid(rows: tuple[str, ...], steps: tuple[str, str], toward: tuple[str, str]) -> Variant:
    """The 7 x 7 grid of places.

    Args:
        rows: how each of the seven rows is said, from the bottom.
        steps: what goes before `the center` for the places under and over it, such as `below` and `above`.
        toward: the same before `and to the left of the center`.
    """
    cells = []
    for row in range(7):
        for column in range(7):
            compass = _compass_cell(row, column)
            if row == column == 3:
                texts = ("right in the center", "at the very center", "right in the middle")
            elif abs(row - 3) <= 1 and abs(column - 3) <= 1:
                near = [
                    _by_the_center(degree, row, column, steps, toward)
                    for degree in ("just", "slightly")
                ]
                texts = (near[0], compass, near[1])
            else:
                joint = " and " if column in (2, 4) else " "
                texts = (
                    rows[row] + joint + _COLUMNS[column],
                    compass,
                    f"{_COLUMNS[column]} and {rows[row]}",
                )
            cells.append(texts)
    return Variant("fine", tuple(cells))
