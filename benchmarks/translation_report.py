"""What `translation.py` prints, draws and claims of the figures it found."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Row, figure, interval, make_row, table
from benchmarks.compared import REDRAWS
from benchmarks.label_efficiency import Efficiency, label_efficiency

Found = Mapping[tuple[str, int], Sequence[Mapping[str, Any]]]
"""By model and number of pairs, the figures of each seed."""

PUBLISHED = {
    "tr": ("-", "-"), "tr+cont": ("-", "++"), "tr+cy": ("++", "-"), "tr+cont+dcy+cy": ("+++", "+++"),
    "cont": ("-", "±"), "tr+dcy": ("+", "+"),
}  # fmt: skip
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


def directions(modalities: Sequence[str]) -> list[str]:
    """Every translation, as "a->b"."""
    return [f"{a}->{b}" for a, b in permutations(modalities, 2)]


def numbers_of_pairs(found: Found) -> list[int]:
    """The numbers of pairs, growing."""
    return sorted({pairs for _, pairs in found})


def models_of(found: Found) -> list[str]:
    """The models, in the order in which they were run."""
    return list(dict.fromkeys(model for model, _ in found))


def curve(found: Found, model: str, direction: str, seed: int, on: str = "reset") -> list[float]:
    """A seed's translation errors by growing number of pairs."""
    return [found[model, pairs][seed][on]["translation"][direction] for pairs in numbers_of_pairs(found)]


def efficiencies(found: Found, model: str, direction: str) -> list[Efficiency]:
    """Of each seed, against `tr` with the same matched scenes."""
    pairs, seeds = numbers_of_pairs(found), range(len(found[model, numbers_of_pairs(found)[0]]))
    return [
        label_efficiency(pairs, curve(found, "tr", direction, seed), curve(found, model, direction, seed))
        for seed in seeds
    ]


def rows_of(scene: str, modalities: Sequence[str], found: Found) -> list[Row]:
    """A row for every figure."""
    rows = []
    for (model, pairs), runs in found.items():
        for on in ("reset", "rollout"):
            about = {"model": model, "modalities": list(modalities), "pairs": pairs, "test": on}
            for kind in ("translation", "retrieval", "demi_cycle", "cycle"):
                for which in runs[0][on][kind]:
                    values = [run[on][kind][which] for run in runs]
                    metric = "recall_at_1" if kind == "retrieval" else "squared_error"
                    rows.append(
                        make_row(f"translation/{kind}/{model}", scene, about | {"of": which}, metric, values, REDRAWS)
                    )
            for which, units in runs[0][on]["units"].items():
                for unit in units:
                    values = [run[on]["units"][which][unit] for run in runs]
                    rows.append(
                        make_row(f"translation/units/{model}", scene, about | {"of": which}, unit, values, REDRAWS)
                    )
    return rows + efficiency_rows(scene, modalities, found)


def efficiency_rows(scene: str, modalities: Sequence[str], found: Found) -> list[Row]:
    """Label efficiency of every model in each direction and in all together, where there is a `tr` to compare with."""
    rows: list[Row] = []
    if not comparable(found):
        return rows
    for model in models_of(found):
        claim, published = f"translation/label_efficiency/{model}", LABEL_EFFICIENCY.get(model)
        each = {which: efficiencies(found, model, which) for which in directions(modalities)}
        for which, seeds in each.items():
            censored = {"at_least": sum(e.at_least for e in seeds), "at_most": sum(e.at_most for e in seeds)}
            about = {"of": which, "modalities": list(modalities), **censored}
            rows.append(make_row(claim, scene, about, "ratio", [e.ratio for e in seeds], REDRAWS, published))
        together = np.exp(np.mean([[np.log(e.ratio) for e in seeds] for seeds in each.values()], 0)).tolist()
        about = {"of": "all", "modalities": list(modalities)}
        rows.append(make_row(claim, scene, about, "ratio", together, REDRAWS, published))
    return rows


def comparable(found: Found) -> bool:
    """Whether there is a `tr` to compare with, over the levels that label efficiency is about."""
    pairs = numbers_of_pairs(found)
    return "tr" in models_of(found) and pairs[0] <= 500 and pairs[-1] >= 5000


def print_tables(scene: str, modalities: Sequence[str], found: Found) -> None:
    """The slides' table with what earns its pluses, and errors in the attributes' units."""
    at = min(numbers_of_pairs(found), key=lambda pairs: abs(pairs - JUDGED_AT))
    lines = []
    for model in models_of(found):
        figures = {name: mean_of(found[model, at], kind) for name, kind in KINDS.items()}
        ratio = summary_efficiency(found, model, modalities) if comparable(found) else float("nan")
        earned = (grade(ratio), pluses(figures))
        few, both = PUBLISHED.get(model, ("", ""))
        shown = [f"{ratio:.2f}", *(f"{value:.3g}" for value in figures.values())]
        lines.append((model, few, earned[0], both, earned[1], *shown))
    headers = ("model", "few pairs: slides", "here", "align + broadcast: slides", "here", "label efficiency", *KINDS)
    print(f"\n{scene}, {' + '.join(modalities)}, {at:,} pairs\n{table(headers, lines)}\n{RULES}")
    print(units_table(found, modalities, at))


KINDS = {"R@1": "retrieval", "translation": "translation", "demi-cycle": "demi_cycle", "cycle": "cycle"}
"""Columns of the table, and where their figures are."""


def mean_of(runs: Sequence[Mapping[str, Any]], kind: str, on: str = "reset") -> float:
    """The mean over seeds and directions."""
    return float(np.mean([list(run[on][kind].values()) for run in runs]))


def summary_efficiency(found: Found, model: str, modalities: Sequence[str]) -> float:
    """The geometric mean of the label efficiency over seeds and directions."""
    ratios = [e.ratio for which in directions(modalities) for e in efficiencies(found, model, which)]
    return float(np.exp(np.mean(np.log(ratios))))


def grade(ratio: float) -> str:
    """Pluses for label efficiency."""
    return next((pluses for least, pluses in GRADES if ratio >= least), "-")


def pluses(figures: Mapping[str, float]) -> str:
    """Pluses for alignment and broadcast; see `RULES`."""
    if figures["R@1"] < ALIGNED:
        return "-"
    broadcasts = (figures["translation"] <= TRANSLATES) + (figures["demi-cycle"] <= RECONSTRUCTS)
    return "+" * (1 + broadcasts) if broadcasts else "±"


def units_table(found: Found, modalities: Sequence[str], at: int) -> str:
    """Translation errors in the attributes' units."""
    lines = []
    for model in models_of(found):
        for which in directions(modalities):
            units = [run["reset"]["units"][which] for run in found[model, at]]
            means = {name: float(np.mean([unit[name] for unit in units])) for name in units[0]}
            lines.append((model, which, ", ".join(f"{name} {value:.3g}" for name, value in means.items())))
    return table(
        ("model", "translation", "median errors: pixels or metres, degrees, of 255; shape: fraction wrong"), lines
    )


def draw(scene: str, modalities: Sequence[str], found: Found, out: Path) -> Path:
    """Error and alignment against the number of pairs."""
    pairs, ways = numbers_of_pairs(found), directions(modalities)

    def band(axes: Any, model: str, color: int, pick: Callable[[Mapping[str, Any]], float]) -> None:
        middle, low, high = np.array([interval([pick(run) for run in found[model, n]]) for n in pairs]).T
        axes.plot(pairs, middle, "-o", color=f"C{color}", label=model, markersize=3)
        axes.fill_between(pairs, low, high, color=f"C{color}", alpha=0.2, linewidth=0)

    def at(kind: str, which: str, run: Mapping[str, Any]) -> float:
        return run["reset"][kind][which]

    def paint(axes: Any) -> None:
        panels = axes.ravel()
        for color, model in enumerate(models_of(found)):
            for panel, which in zip(panels, ways, strict=False):
                band(panel, model, color, partial(at, "translation", which))
            band(panels[len(ways)], model, color, lambda run: float(np.mean(list(run["reset"]["retrieval"].values()))))
        for panel, which in zip(panels, ways, strict=False):
            panel.set(title=which, xscale="log", yscale="log", ylabel="squared error, of standard deviations")
        panels[len(ways)].set(title="alignment", xscale="log", ylabel="R@1 of 1,000", ylim=(-0.02, 1.02))
        for panel in panels[: len(ways) + 1]:
            panel.set_xlabel("matched scenes N")
            panel.set_xticks(pairs, [f"{number:,}" for number in pairs])
            panel.minorticks_off()
        for panel in panels[len(ways) + 1 :]:
            panel.set_axis_off()
        panels[0].legend(fontsize=7)
        panels[0].figure.suptitle(f"{scene}: translation on held-out scenes against matched scenes")

    columns = min(4, len(ways) + 1)
    lines = -(-(len(ways) + 1) // columns)
    path = out / f"translation_{scene}_{len(modalities)}.png"
    figure(path, paint, width=4.4 * columns, height=4 * lines, columns=columns, lines=lines)
    return path
