"""Name colors by the nearest of a selection from the XKCD color survey.

The survey's values come from matplotlib, which is imported when the first caption is written, since
the import is slow.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from gw_envs.compiled import compiled
from gw_envs.language.grammar import Slot, Variant

_NAMES = """
red, dark red, scarlet, brick red, rust red, burgundy, maroon, wine red,
coral, salmon, terracotta, brown, light brown, reddish brown, chocolate brown, olive brown,
copper, bronze, caramel, tan, beige, sandy brown, taupe, khaki, dark khaki, cream, ivory, ochre,
orange, dark orange, light orange, burnt orange, reddish orange, peach, apricot, amber,
yellow, light yellow, pale yellow, lemon yellow, mustard yellow, gold,
green, dark green, light green, pale green, lime green, neon green, chartreuse, yellow green,
olive, olive green, dark olive green, light olive, sea green, dark sea green, light sea green,
grass green, mint green, emerald green, jade green, moss green, sage green, army green,
spring green, kelly green, apple green, avocado green, fern green, leaf green,
seafoam green, dusty green, teal, dark teal, light teal, turquoise, dark turquoise,
light turquoise, aqua, aquamarine, cyan, dark cyan, light cyan, blue green, dusty teal,
blue, dark blue, light blue, pale blue, navy blue, royal blue, sky blue, baby blue, steel blue,
slate blue, cobalt blue, cornflower blue, azure, cerulean, denim blue, blue gray, ice blue, indigo,
dusty blue, periwinkle, light periwinkle,
purple, dark purple, light purple, violet, light violet, lavender, light lavender, lilac, mauve,
plum, amethyst, dark mauve, orchid, magenta, dark magenta, fuchsia, dusty purple, blue violet,
pink, light pink, dark pink, hot pink, bright pink, pale pink, rose, dusty rose, deep pink,
salmon pink, dusty pink,
gray, light gray, dark gray, silver, slate gray, warm gray, greenish gray, purplish gray, white
"""

COLORS = tuple(" ".join(name.split()) for name in _NAMES.split(","))
"""All color names; a color gets the name whose value is nearest to it."""


@cache
def palette() -> NDArray[np.int64]:
    """Return the RGB values of the names, (len(COLORS), 3) in 0-255."""
    from matplotlib.colors import XKCD_COLORS

    values = [str(XKCD_COLORS["xkcd:" + name.replace("gray", "grey")]) for name in COLORS]
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


COLOR = Slot(
    "color",
    (Variant("name", tuple((name, f"{name} colored") for name in COLORS)),),
    (("name", "name"),),
)
"""The color slot of every scene."""
