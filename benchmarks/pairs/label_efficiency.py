"""How many times fewer pairs a model needs to reach the error of another: pure functions of error
curves."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LOW, HIGH, LEVELS = 500, 5000, 7
"""The levels to reach are the reference's errors at `LEVELS` numbers of pairs, log-spaced from LOW
to HIGH."""


class Efficiency(NamedTuple):
    """The geometric mean over levels of reference pairs over model pairs."""

    ratio: float
    """Above 1 where the model needs fewer pairs than the reference."""
    at_least: int
    """Levels that the model reaches with the fewest pairs tried already: it may need fewer still.
    """
    at_most: int
    """Levels that the model never reaches: it needs more pairs than the most tried."""
    by_level: list[float]
    """The ratio at each level, from few pairs to many."""


def best_so_far(errors: Sequence[float]) -> NDArray[np.float64]:
    """Return the lowest error up to each number of pairs, since more pairs may be left unused."""
    return np.minimum.accumulate(np.asarray(errors, np.float64))


def error_at(pairs: Sequence[int], errors: Sequence[float], wanted: float) -> float:
    """Return the error at a number of pairs, interpolated in log pairs and log error."""
    return float(np.exp(np.interp(np.log(wanted), np.log(pairs), np.log(best_so_far(errors)))))


def pairs_for(pairs: Sequence[int], errors: Sequence[float], level: float) -> float:
    """Return the pairs with which a curve first reaches an error: 0 if the fewest tried suffice,
    infinity if it never does."""
    curve, steps = np.log(best_so_far(errors)), np.log(np.asarray(pairs, np.float64))
    reached = np.flatnonzero(curve <= np.log(level) + 1e-12)
    if not len(reached):
        return float("inf")
    first = int(reached[0])
    if first == 0:
        return 0.0
    share = (curve[first - 1] - np.log(level)) / (curve[first - 1] - curve[first])
    return float(np.exp(steps[first - 1] + share * (steps[first] - steps[first - 1])))


def label_efficiency(
    pairs: Sequence[int], reference: Sequence[float], model: Sequence[float]
) -> Efficiency:
    """Compare two error curves over the same ascending numbers of pairs.

    A level that the fewest pairs already reach counts as reached with the fewest, and one that is
    never reached as reached with the most.
    """
    ratios, at_least, at_most = [], 0, 0
    for wanted in np.geomspace(LOW, HIGH, LEVELS):
        needed = pairs_for(pairs, model, error_at(pairs, reference, wanted))
        at_least, at_most = at_least + (needed == 0.0), at_most + (needed == np.inf)
        ratios.append(float(wanted / np.clip(needed, pairs[0], pairs[-1])))
    return Efficiency(float(np.exp(np.mean(np.log(ratios)))), at_least, at_most, ratios)
