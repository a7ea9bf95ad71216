"""What `translation.py` prints, draws and claims of the figures it found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Row, figure, interval, make_row, table
from benchmarks.compared import REDRAWS
from benchmarks.label_efficiency import HIGH, LOW, Efficiency, label_efficiency

PUBLISHED = {
    "tr": ("-", "-"),
    "tr+cont": ("-", "++"),
    "tr+cy": ("++", "-"),
    "tr+cont+dcy+cy": ("+++", "+++"),
    "cont": ("-", "±"),
    "tr+dcy": ("+", "+"),
}
"""The slides' table: semi-supervision, and alignment with broadcast."""
LABEL_EFFICIENCY = {"tr+cont+dcy+cy": 4.0, "fusion": 4.0}
"""Published: 4 to 7 times fewer pairs with all four losses, and the same with fusion."""
GRADES = ((4.0, "+++"), (2.0, "++"), (1.25, "+"))
"""Semi-supervision: a model earns this by needing so many times fewer pairs than `tr`."""
ALIGNED, TRANSLATES, RECONSTRUCTS = 0.5, 0.3, 0.2
"""Alignment and broadcast: a plus each for R@1 of at least, and translation and demi-cycle errors of at most these."""
JUDGED_AT = 1500
"""Pairs at which alignment and broadcast are judged."""
RULES = (
    f"Rules. Few pairs: +++, ++, + for a label efficiency of at least {', '.join(f'{g:g}' for g, _ in GRADES)}, the"
    f" geometric mean of all directions. Alignment and broadcast, at {JUDGED_AT:,} pairs: a plus each for R@1 of at"
    f" least {ALIGNED:.0%}, a mean translation error of at most {TRANSLATES:g} and a mean demi-cycle error of at most"
    f" {RECONSTRUCTS:g}; - without R@1, ± for R@1 alone."
)


@dataclass(frozen=True)
class Grid:
    """What one run found: of one scene, modalities, width of the workspace and number of steps."""

    scene: str
    modalities: tuple[str, ...]
    width: int
    """Z, numbers in the workspace vector."""
    steps: int
    """Optimiser steps of each workspace."""
    found: Mapping[tuple[str, int], Sequence[Mapping[str, Any]]]
    """By model and number of pairs, the figures of each seed."""

    @property
    def about(self) -> dict[str, Any]:
        """What all of its rows have in their condition: the entries of `VARIANT`."""
        return {"modalities": list(self.modalities), "width": self.width, "steps": self.steps}

    @property
    def directions(self) -> list[str]:
        """Every translation, as "a->b"."""
        return [f"{a}->{b}" for a, b in permutations(self.modalities, 2)]

    @property
    def pairs(self) -> list[int]:
        """The numbers of pairs, growing."""
        return sorted({pairs for _, pairs in self.found})

    @property
    def models(self) -> list[str]:
        """The models, in the order in which they were run."""
        return list(dict.fromkeys(model for model, _ in self.found))

    @property
    def comparable(self) -> bool:
        """Whether there is a `tr` to compare with, over the levels that label efficiency is about."""
        return "tr" in self.models and self.pairs[0] <= LOW and self.pairs[-1] >= HIGH

    def curve(self, model: str, direction: str, seed: int) -> list[float]:
        """A seed's translation errors by growing number of pairs."""
        return [
            self.found[model, pairs][seed]["reset"]["translation"][direction]
            for pairs in self.pairs
        ]

    def efficiencies(self, model: str, direction: str) -> list[Efficiency]:
        """Of each seed, against `tr` with the same matched scenes."""
        return [
            label_efficiency(
                self.pairs, self.curve("tr", direction, seed), self.curve(model, direction, seed)
            )
            for seed in range(len(self.found[model, self.pairs[0]]))
        ]

    def efficiency(self, model: str) -> list[float]:
        """Of each seed, the geometric mean over directions."""
        each = [
            [np.log(e.ratio) for e in self.efficiencies(model, which)] for which in self.directions
        ]
        return np.exp(np.mean(each, 0)).tolist()

    def mean(self, model: str, pairs: int, kind: str) -> float:
        """A figure's mean over seeds and directions, on episode beginnings."""
        return float(
            np.mean([list(run["reset"][kind].values()) for run in self.found[model, pairs]])
        )


VARIANT = ("modalities", "width", "steps")
"""Entries of a row's condition: runs that differ in them have rows of their own."""


def rows_of(grid: Grid) -> list[Row]:
    """A row for every figure."""
    rows = []

    def add(claim: str, metric: str, values: Sequence[float], condition: Mapping[str, Any]) -> None:
        about: dict[str, Any] = {**grid.about, **condition}
        published = LABEL_EFFICIENCY.get(claim.removeprefix("label_efficiency/"))
        rows.append(
            make_row(f"translation/{claim}", grid.scene, about, metric, values, REDRAWS, published)
        )

    for (model, pairs), runs in grid.found.items():
        for on in ("reset", "rollout"):
            about = {"model": model, "pairs": pairs, "test": on}
            for kind in ("translation", "retrieval", "demi_cycle", "cycle"):
                metric = "recall_at_1" if kind == "retrieval" else "squared_error"
                for which in runs[0][on][kind]:
                    values = [run[on][kind][which] for run in runs]
                    add(f"{kind}/{model}", metric, values, about | {"of": which})
            for which, units in runs[0][on]["units"].items():
                for unit in units:
                    values = [run[on]["units"][which][unit] for run in runs]
                    add(f"units/{model}", unit, values, about | {"of": which})
    for model in grid.models if grid.comparable else ():
        claim = f"label_efficiency/{model}"
        for which in grid.directions:
            seeds = grid.efficiencies(model, which)
            censored = {
                "at_least": sum(e.at_least for e in seeds),
                "at_most": sum(e.at_most for e in seeds),
            }
            add(claim, "ratio", [e.ratio for e in seeds], {"of": which} | censored)
        add(claim, "ratio", grid.efficiency(model), {"of": "all"})
    return rows


def print_tables(grid: Grid) -> None:
    """The slides' table with what earns its pluses, and errors in the attributes' units."""
    at = min(grid.pairs, key=lambda pairs: abs(pairs - JUDGED_AT))
    lines = []
    for model in grid.models:
        figures = {name: grid.mean(model, at, kind) for name, kind in KINDS.items()}
        ratio = (
            float(np.exp(np.mean(np.log(grid.efficiency(model)))))
            if grid.comparable
            else float("nan")
        )
        earned = (grade(ratio), pluses(figures))
        few, both = PUBLISHED.get(model, ("", ""))
        shown = [f"{ratio:.2f}", *(f"{value:.3g}" for value in figures.values())]
        lines.append((model, few, earned[0], both, earned[1], *shown))
    headers = (
        "model",
        "few pairs: slides",
        "here",
        "align + broadcast: slides",
        "here",
        "label efficiency",
        *KINDS,
    )
    about = f"{grid.scene}, {' + '.join(grid.modalities)}, z of {grid.width}, {grid.steps:,} steps, {at:,} pairs"
    print(f"\n{about}\n{table(headers, lines)}\n{RULES}")
    print(units_table(grid, at))


KINDS = {
    "R@1": "retrieval",
    "translation": "translation",
    "demi-cycle": "demi_cycle",
    "cycle": "cycle",
}
"""Columns of the table, and where their figures are."""


def grade(ratio: float) -> str:
    """Pluses for label efficiency."""
    return next((pluses for least, pluses in GRADES if ratio >= least), "-")


def pluses(figures: Mapping[str, float]) -> str:
    """Pluses for alignment and broadcast; see `RULES`."""
    if figures["R@1"] < ALIGNED:
        return "-"
    broadcasts = (figures["translation"] <= TRANSLATES) + (figures["demi-cycle"] <= RECONSTRUCTS)
    return "+" * (1 + broadcasts) if broadcasts else "±"


def units_table(grid: Grid, at: int) -> str:
    """Translation errors in the attributes' units."""
    lines = []
    for model, which in product(grid.models, grid.directions):
        units = [run["reset"]["units"][which] for run in grid.found[model, at]]
        means = {name: float(np.mean([unit[name] for unit in units])) for name in units[0]}
        lines.append(
            (model, which, ", ".join(f"{name} {value:.3g}" for name, value in means.items()))
        )
    return table(
        (
            "model",
            "translation",
            "median errors: pixels or metres, degrees, of 255; shape: fraction wrong",
        ),
        lines,
    )


def draw(grid: Grid, out: Path) -> Path:
    """Error and alignment against the number of pairs."""
    pairs, ways = grid.pairs, grid.directions

    def band(axes: Any, model: str, color: int, pick: Callable[[Mapping[str, Any]], float]) -> None:
        middle, low, high = np.array(
            [interval([pick(run) for run in grid.found[model, n]]) for n in pairs]
        ).T
        axes.plot(pairs, middle, "-o", color=f"C{color}", label=model, markersize=3)
        axes.fill_between(pairs, low, high, color=f"C{color}", alpha=0.2, linewidth=0)

    def error(which: str, run: Mapping[str, Any]) -> float:
        return run["reset"]["translation"][which]

    def alignment(run: Mapping[str, Any]) -> float:
        return float(np.mean(list(run["reset"]["retrieval"].values())))

    def paint(axes: Any) -> None:
        panels = axes.ravel()
        for color, model in enumerate(grid.models):
            for panel, which in zip(panels, ways, strict=False):
                band(panel, model, color, partial(error, which))
            band(panels[len(ways)], model, color, alignment)
        for panel, which in zip(panels, ways, strict=False):
            panel.set(
                title=which,
                xscale="log",
                yscale="log",
                ylabel="squared error, of standard deviations",
            )
        panels[len(ways)].set(
            title="alignment", xscale="log", ylabel="R@1 of 1,000", ylim=(-0.02, 1.02)
        )
        for panel in panels[: len(ways) + 1]:
            panel.set_xlabel("matched scenes N")
            panel.set_xticks(pairs, [f"{number:,}" for number in pairs], fontsize=8)
            panel.minorticks_off()
        for panel in panels[len(ways) + 1 :]:
            panel.set_axis_off()
        panels[0].legend(fontsize=7)
        panels[0].figure.suptitle(
            f"{grid.scene}: translation on held-out scenes, z of {grid.width}"
        )

    columns = min(4, len(ways) + 1)
    lines = -(-(len(ways) + 1) // columns)
    path = out / f"translation_{grid.scene}_{len(grid.modalities)}_z{grid.width}_{grid.steps}.png"
    figure(path, paint, width=4.4 * columns, height=4 * lines, columns=columns, lines=lines)
    return path
