"""Name colors by a basic term, or by the nearest of a selection from the XKCD color survey.

The survey's values come from matplotlib, which is imported when the first caption is written, since
the import is slow.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from gw_envs.compiled import compiled
from gw_envs.language.grammar import Slot, Variant

# fmt: off
_NAMES = {
    "red": (
        "pure red", "dark red", "scarlet", "brick red", "rust red", "burgundy", "maroon",
        "wine red",
    ),
    "orange": (
        "pure orange", "dark orange", "light orange", "burnt orange", "reddish orange", "coral",
        "peach", "apricot", "amber", "copper", "terracotta",
    ),
    "yellow": (
        "pure yellow", "light yellow", "pale yellow", "lemon yellow", "mustard yellow", "gold",
        "ochre", "cream", "ivory",
    ),
    "brown": (
        "pure brown", "light brown", "reddish brown", "chocolate brown", "olive brown", "bronze",
        "caramel", "tan", "sandy brown", "taupe", "khaki", "dark khaki", "beige",
    ),
    "green": (
        "pure green", "dark green", "light green", "pale green", "lime green", "neon green",
        "chartreuse", "yellow green", "olive", "olive green", "dark olive green", "light olive",
        "sea green", "dark sea green", "light sea green", "grass green", "mint green",
        "emerald green", "jade green", "moss green", "sage green", "army green", "spring green",
        "kelly green", "apple green", "avocado green", "fern green", "leaf green", "seafoam green",
        "dusty green",
    ),
    "turquoise": (
        "pure turquoise", "dark turquoise", "light turquoise", "teal", "dark teal", "light teal",
        "dusty teal", "aqua", "aquamarine", "cyan", "dark cyan", "light cyan", "blue green",
    ),
    "blue": (
        "pure blue", "dark blue", "light blue", "pale blue", "navy blue", "royal blue", "sky blue",
        "baby blue", "steel blue", "slate blue", "cobalt blue", "cornflower blue", "azure",
        "cerulean", "denim blue", "blue gray", "ice blue", "dusty blue", "periwinkle",
        "light periwinkle",
    ),
    "purple": (
        "pure purple", "dark purple", "light purple", "violet", "light violet", "lavender",
        "light lavender", "lilac", "mauve", "dark mauve", "plum", "amethyst", "orchid", "indigo",
        "dusty purple", "blue violet",
    ),
    "pink": (
        "pure pink", "light pink", "dark pink", "hot pink", "bright pink", "pale pink", "deep pink",
        "rose", "dusty rose", "salmon", "salmon pink", "dusty pink", "magenta", "dark magenta",
        "fuchsia",
    ),
    "gray": (
        "pure gray", "light gray", "dark gray", "silver", "slate gray", "warm gray",
        "greenish gray", "purplish gray",
    ),
    "white": (
        "pure white",
    ),
}
# fmt: on
"""The names in the region of each basic color term. `pure red` has the survey's value of `red`."""

BASIC_COLORS = tuple(_NAMES)
"""The basic color terms; each covers the colors of its names."""

COLORS = tuple(name for names in _NAMES.values() for name in names)
"""All color names; a color gets the name whose value is nearest to it."""


@cache
def basic_of_name() -> NDArray[np.int64]:
    """Return the basic term of each name: (len(COLORS),) indices of `BASIC_COLORS`."""
    sizes = [len(names) for names in _NAMES.values()]
    return np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)


@cache
def palette() -> NDArray[np.int64]:
    """Return the RGB values of the names, (len(COLORS), 3) in 0-255."""
    from matplotlib.colors import XKCD_COLORS

    surveyed = [name.removeprefix("pure ").replace("gray", "grey") for name in COLORS]
    values = [str(XKCD_COLORS[f"xkcd:{name}"]) for name in surveyed]
    return np.array([list(bytes.fromhex(value[1:])) for value in values], dtype=np.int64)


@compiled()
def nearest(red, green, blue, values):  # pragma: no cover - compiled
    """Return the row of `values` (K, 3) that is nearest to a color in RGB, the first of equals."""
    best, closest = 0, np.int64(1) << 40
    for k in range(len(values)):
        distance = (
            (values[k, 0] - red) ** 2 + (values[k, 1] - green) ** 2 + (values[k, 2] - blue) ** 2
        )
        if distance < closest:
            best, closest = k, distance
    return best


def _variant(granularity: str, names: tuple[str, ...]) -> Variant:
    """Return a granularity of colors with the wordings of each name."""
    return Variant(granularity, tuple((name, f"{name} colored") for name in names))


COLOR = Slot(
    "color",
    (_variant("coarse", BASIC_COLORS), _variant("fine", COLORS)),
    (("coarse", "coarse"), ("fine", "fine")),
)
"""The color slot of every scene: a basic term, or one of the names in its set."""
