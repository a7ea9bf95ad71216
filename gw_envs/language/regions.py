"""Places and directions: the regions of a plane that captions name, and their wordings.

Grids number their cells by row, then column, from the bottom left; directions go counter-clockwise
from straight up.
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
    """Return which of `count` equal parts of [low, high] holds `value`, clipped to the range."""
    return min(max(int(np.floor((value - low) / (high - low) * count)), 0), count - 1)


@compiled()
def sector(angle, count):  # pragma: no cover - compiled
    """Return which of `count` equal sectors holds an angle in radians; 0 is centered on 0."""
    return int(np.floor(angle / (2.0 * np.pi) * count + 0.5)) % count


@compiled()
def cell_distance(x, y, number, low, high, count):  # pragma: no cover - compiled
    """Return the distance from a place to cell `number` of a grid of `count` x `count` cells.

    The grid covers [low, high] on both axes; the cells at its border go on beyond it, as in `cell`.
    """
    return np.hypot(
        _outside(x, number % count, low, high, count),
        _outside(y, number // count, low, high, count),
    )


@compiled()
def _outside(value, part, low, high, count):  # pragma: no cover - compiled
    """Return how far a value is outside of one of `count` equal parts of [low, high]."""
    width, outside = (high - low) / count, 0.0
    if part > 0:
        outside = max(outside, low + part * width - value)
    if part < count - 1:
        outside = max(outside, value - low - (part + 1) * width)
    return outside


@compiled()
def sector_distances(angles, numbers, counts):  # pragma: no cover - compiled
    """Return how far N angles are from sector `numbers` of `counts` equal ones, (N,) radians."""
    distances = np.empty(len(angles))
    for n in range(len(angles)):
        turn = angles[n] - numbers[n] * (2.0 * np.pi / counts[n])
        turn = (turn + np.pi) % (2.0 * np.pi) - np.pi
        distances[n] = max(abs(turn) - np.pi / counts[n], 0.0)
    return distances


def _coarse_direction(number: int) -> tuple[str, ...]:
    """Return the wordings of one of 8 sectors: as a compass point, and as a side or corner."""
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
    """Return the wordings of one of 16 sectors, in the same styles as the coarse ones."""
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
"""8 sectors of 45 degrees and 16 of 22.5, each with its direction in the middle."""

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
    """Return a place such as `far north and slightly west of the center`."""
    parts = []
    if row != 3:
        parts.append(_DEGREES[row] + ("south" if row < 3 else "north"))
    if column != 3:
        parts.append(_DEGREES[column] + ("west" if column < 3 else "east"))
    return " and ".join(parts) + " of the center"


def _by_the_center(
    degree: str, row: int, column: int, steps: tuple[str, str], toward: tuple[str, str]
) -> str:
    """Return a place next to the middle, such as `just above and to the left of the center`."""
    side = "left" if column < 3 else "right"
    if row == 3:
        return f"{degree} {side} of the center"
    if column == 3:
        return f"{degree} {steps[row > 3]} the center"
    return f"{degree} {toward[row > 3]} and to the {side} of the center"


def fine_grid(rows: tuple[str, ...], steps: tuple[str, str], toward: tuple[str, str]) -> Variant:
    """Return the 7 x 7 grid of places.

    Args:
        rows: the wording of each of the seven rows, from the bottom.
        steps: the words before `the center` for the cells below and above it, such as `below` and
            `above`.
        toward: the words between `just` and `and to the left of the center`.
    """

    def wordings(row: int, column: int) -> tuple[str, ...]:
        compass = _compass_cell(row, column)
        if row == column == 3:
            return "right in the center", "at the very center", "right in the middle"
        if abs(row - 3) <= 1 and abs(column - 3) <= 1:
            just = _by_the_center("just", row, column, steps, toward)
            slightly = _by_the_center("slightly", row, column, steps, toward)
            return just, compass, slightly
        joint = " and " if column in (2, 4) else " "
        across = _COLUMNS[column]
        return rows[row] + joint + across, compass, f"{across} and {rows[row]}"

    return Variant("fine", tuple(wordings(cell // 7, cell % 7) for cell in range(49)))
