"""Rows, tables and pictures of the translation benchmark."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.harness.figures import Figure, band
from benchmarks.harness.rows import (
    Row,
    by_scene,
    entry_rows,
    find_row,
    make_row,
    mean_value,
)
from benchmarks.harness.tables import Table
from benchmarks.pairs.grid import Grid, grids_of
from benchmarks.pairs.models import REDRAWS

if TYPE_CHECKING:
    from benchmarks.pairs.translation import Translation

PUBLISHED = {
    "tr": ("-", "-"),
    "tr+cont": ("-", "++"),
    "tr+cy": ("++", "-"),
    "tr+cont+dcy+cy": ("+++", "+++"),
    "cont": ("-", "±"),
    "tr+dcy": ("+", "+"),
}
"""The table of the talk: semi-supervision, and alignment with broadcast."""
LABEL_EFFICIENCY = {"tr+cont+dcy+cy": 4.0, "fusion": 4.0}
"""Published: 4 to 7 times fewer pairs with all four losses, and the same with fusion."""
GRADES = ((4.0, "+++"), (2.0, "++"), (1.25, "+"))
"""(least label efficiency, its grade): how many times fewer pairs than `tr` earn which grade."""
ALIGNED, TRANSLATES, RECONSTRUCTS = 0.5, 0.3, 0.2
"""A model earns a plus for alignment and broadcast with R@1 of at least the first, and one each
with translation and demi-cycle errors of at most the others."""
JUDGED_AT = 1500
"""Pairs at which alignment and broadcast are judged."""
RULES = (
    "Few pairs: +++, ++, + for a label efficiency of at least"
    f" {', '.join(f'{least:g}' for least, _ in GRADES)}, averaged over all directions. Alignment"
    f" and broadcast: a plus each for R@1 of at least {ALIGNED:.0%}, a mean translation error of at"
    f" most {TRANSLATES:g} and a mean demi-cycle error of at most {RECONSTRUCTS:g}; - without R@1,"
    " ± for R@1 alone."
)
KINDS = {
    "R@1": "retrieval",
    "translation": "translation",
    "demi-cycle": "demi_cycle",
    "cycle": "cycle",
}
"""Columns of figures that are averaged over directions, and their kinds."""


def rows(results: Mapping["Translation", Any]) -> list[Row]:
    """Return a row for every figure, and label efficiencies where `tr` was run."""
    rows = []
    for grid in grids_of(results):
        for (model, pairs), runs in grid.runs.items():
            condition = grid.condition | {"model": model, "pairs": pairs}
            for row in entry_rows(grid.scene, runs, condition, claim, REDRAWS):
                of = direction(row.condition)
                rows.append(replace(row, condition=row.condition | {"of": of}))
        for model in grid.models if grid.comparable else ():
            rows += _efficiency_rows(grid, model)
    return rows


def claim(condition: Mapping[str, Any]) -> str:
    """Return the claim of a row."""
    return f"translation/{condition['kind']}/{condition['model']}"


def direction(condition: Mapping[str, Any]) -> str:
    """Write the modalities of a figure as one text, for readers of the summary."""
    source, target = condition["source"], condition["target"]
    texts = {
        "demi_cycle": source,
        "retrieval": f"{source}~{target}",
        "cycle": f"{source}->{target}->{source}",
    }
    return texts.get(condition["kind"], f"{source}->{target}")


def _efficiency_rows(grid: Grid, model: str) -> list[Row]:
    """Return the label efficiency of every direction, and the geometric mean over directions."""
    published = LABEL_EFFICIENCY.get(model)
    shared = grid.condition | {"kind": "label_efficiency", "model": model}
    rows, logarithms = [], []

    def add(condition: dict[str, Any], ratios: list[float]) -> None:
        text = claim(condition)
        rows.append(make_row(text, grid.scene, condition, "ratio", ratios, REDRAWS, published))

    for source, target in grid.directions:
        seeds = grid.efficiencies(model, source, target)
        condition = shared | {"of": f"{source}->{target}", "source": source, "target": target}
        condition["at_least"] = sum(efficiency.at_least for efficiency in seeds)
        condition["at_most"] = sum(efficiency.at_most for efficiency in seeds)
        ratios = [efficiency.ratio for efficiency in seeds]
        logarithms.append(np.log(ratios))
        add(condition, ratios)
    add(shared | {"of": "all"}, np.exp(np.mean(logarithms, 0)).tolist())
    return rows


def tables(rows: Sequence[Row]) -> list[Table]:
    """Grades, label efficiencies, and errors in units, of every scene and setup."""
    rows = by_scene(rows)
    return [_grades(rows), _efficiencies(rows), _units(rows)]


def _setup(row: Row) -> tuple[str, str, str, str]:
    """Return the setup of a row as columns of a table."""
    condition = row.condition
    joined = " + ".join(condition["modalities"])
    return row.scene, joined, str(condition["width"]), f"{condition['steps']:,}"


SETUP = ("scene", "modalities", "z", "steps")
"""The columns of `_setup`."""


def _judged(rows: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    """Gather rows on episode beginnings by setup, pairs and model, at the pairs that are nearest to
    `JUDGED_AT`."""
    figures = [row for row in rows if row.condition.get("test") == "reset"]
    known: dict[tuple[str, ...], set[int]] = {}
    for row in figures:
        known.setdefault(_setup(row), set()).add(row.condition["pairs"])
    gathered: dict[tuple[str, ...], list[Row]] = {}
    for row in figures:
        at = min(known[_setup(row)], key=lambda pairs: abs(pairs - JUDGED_AT))
        if row.condition["pairs"] == at:
            line = (*_setup(row), f"{at:,}", row.condition["model"])
            gathered.setdefault(line, []).append(row)
    return gathered


def _grades(rows: Sequence[Row]) -> Table:
    """The table of the talk beside ours, with the figures that earn our pluses."""
    ratios: dict[tuple[str, ...], float] = {}
    for row in rows:
        if row.metric == "ratio" and row.condition["of"] == "all":
            ratios[*_setup(row), row.condition["model"]] = row.measured
    lines = []
    for line, of_model in _judged(rows).items():
        means = {}
        for name, kind in KINDS.items():
            values = [row.measured for row in of_model if row.condition["kind"] == kind]
            means[name] = float(np.mean(values))
        few, both = PUBLISHED.get(line[-1], ("", ""))
        ratio = ratios.get((*line[:4], line[-1]))
        few_here, efficiency = ("", "") if ratio is None else (grade(ratio), f"{ratio:.2f}")
        texts = [f"{mean:.3g}" for mean in means.values()]
        lines.append((*line, few, few_here, both, pluses(means), efficiency, *texts))
    few_pairs = ("few pairs: published", "here")
    aligned = ("align + broadcast: published", "here")
    headers = (*SETUP, "pairs", "model", *few_pairs, *aligned, "label efficiency", *KINDS)
    return Table("Which models need few pairs, align and broadcast", headers, lines, RULES)


def grade(ratio: float) -> str:
    """Return the pluses for a label efficiency."""
    return next((pluses for least, pluses in GRADES if ratio >= least), "-")


def pluses(figures: Mapping[str, float]) -> str:
    """Return the pluses for alignment and broadcast; see `RULES`."""
    if figures["R@1"] < ALIGNED:
        return "-"
    translates = figures["translation"] <= TRANSLATES
    reconstructs = figures["demi-cycle"] <= RECONSTRUCTS
    if not translates and not reconstructs:
        return "±"
    return "+++" if translates and reconstructs else "++"


def _efficiencies(rows: Sequence[Row]) -> Table:
    """How many times fewer matched scenes each model needs than `tr`."""
    lines = []
    for row in rows:
        condition = row.condition
        if row.metric != "ratio" or condition["model"] == "tr":
            continue
        ratio = f"{row.measured:.2f} ({row.low:.2f} to {row.high:.2f})"
        marks = ""
        if condition.get("at_least"):
            marks += "> "
        if condition.get("at_most"):
            marks += "< "
        direction = condition["of"].replace("->", " to ")
        published = "4 to 7" if row.published else ""
        lines.append((*_setup(row), condition["model"], direction, marks + ratio, published))
    headers = (*SETUP, "model", "translation", "times fewer pairs than tr (interval)", "published")
    note = (
        "A level that a model reaches with the fewest scenes tried, or never, counts as if with the"
        " fewest or the most, and is marked by > or <."
    )
    return Table("Label efficiency", headers, lines, note)


def _units(rows: Sequence[Row]) -> Table:
    """Translation errors in the attributes' units."""
    errors: dict[tuple[str, ...], list[str]] = {}
    for line, of_model in _judged(rows).items():
        for row in of_model:
            if row.condition["kind"] == "units":
                direction = row.condition["of"].replace("->", " to ")
                error = f"{row.metric.replace('_', ' ')} {row.measured:.3g}"
                errors.setdefault((*line, direction), []).append(error)
    lines = [(*line, ", ".join(of_line)) for line, of_line in errors.items()]
    headers = (*SETUP, "pairs", "model", "translation", "errors")
    note = (
        "Medians of pixels or meters, of degrees, and of color channels (of 255); for the shape the"
        " fraction wrong, for captions the fraction true."
    )
    return Table("Translation errors in the units of the attributes", headers, lines, note)


def figures(results: Mapping["Translation", Any]) -> list[Figure]:
    """Draw one figure for each scene and setup."""
    return [_figure(grid) for grid in grids_of(results)]


def _figure(grid: Grid) -> Figure:
    """Error and alignment against the number of pairs."""
    pairs, directions = grid.pairs, grid.directions

    def draw_figure(panel: Any, **wanted: Any) -> None:
        for index, model in enumerate(grid.models):
            values = []
            for count in pairs:
                runs = grid.runs[model, count]
                values.append([mean_value(run, test="reset", **wanted) for run in runs])
            band(panel, pairs, values, f"C{index}", marker="o", markersize=3, label=model)
        panel.set(xscale="log", xlabel="matched scenes N")
        panel.set_xticks(pairs, [f"{number:,}" for number in pairs], fontsize=8)
        panel.minorticks_off()

    def draw(axes: Any) -> None:
        panels = list(axes.ravel())
        for panel, (source, target) in zip(panels, directions, strict=False):
            draw_figure(panel, kind="translation", source=source, target=target)
            error = "squared error, of standard deviations"
            panel.set(title=f"{source}->{target}", yscale="log", ylabel=error)
        last = panels[len(directions)]
        draw_figure(last, kind="retrieval")
        last.set(title="alignment", ylabel="R@1 of 1,000", ylim=(-0.02, 1.02))
        for panel in panels[len(directions) + 1 :]:
            panel.set_axis_off()
        panels[0].legend(fontsize=7)
        title = f"{grid.scene}: translation on held-out scenes, z of {grid.width}"
        panels[0].figure.suptitle(title)

    columns = min(4, len(directions) + 1)
    lines = -(-(len(directions) + 1) // columns)
    name = f"translation_{grid.scene}_{len(grid.modalities)}_z{grid.width}_{grid.steps}"
    return Figure(name, draw, width=4.4 * columns, height=4 * lines, columns=columns, lines=lines)


def quoted(rows: Sequence[Row]) -> dict[str, str]:
    """Return the figures that the page quotes."""
    four, ours = "tr+cont+dcy+cy", "tr+cont+dcy+bt"
    two, three = ["image", "attributes"], ["image", "attributes", "language"]
    forth, back = "image->attributes", "attributes->image"
    wanted = {
        "four_shapes": ("simple_shapes", four, two, 12, 2500, forth),
        "ours_shapes": ("simple_shapes", ours, two, 12, 2500, forth),
        "four_factory": ("factory", four, two, 12, 2500, forth),
        "ours_factory": ("factory", ours, two, 12, 2500, forth),
        "ours_factory_back": ("factory", ours, two, 12, 2500, back),
        "four_all": ("simple_shapes", four, two, 12, 2500, "all"),
        "four_all_factory": ("factory", four, two, 12, 2500, "all"),
        "fusion_all": ("simple_shapes", "fusion", two, 12, 2500, "all"),
        "fusion_all_factory": ("factory", "fusion", two, 12, 2500, "all"),
        "contrast_all": ("simple_shapes", "tr+cont", two, 12, 2500, "all"),
        "cycle_all": ("simple_shapes", "tr+cy", two, 12, 2500, "all"),
        "cycle_all_factory": ("factory", "tr+cy", two, 12, 2500, "all"),
        "ours_all": ("simple_shapes", ours, two, 12, 2500, "all"),
        "ours_all_factory": ("factory", ours, two, 12, 2500, "all"),
        "long_forth": ("simple_shapes", ours, two, 32, 7500, forth),
        "long_back": ("simple_shapes", ours, two, 32, 7500, back),
        "four_back_z32": ("simple_shapes", four, two, 32, 2500, back),
        "fusion_back_z32": ("simple_shapes", "fusion", two, 32, 2500, back),
    }
    figures = {}
    for name, (scene, model, modalities, width, steps, of) in wanted.items():
        setup = {"modalities": modalities, "width": width, "steps": steps}
        row = find_row(rows, "ratio", scene, **setup, model=model, of=of)
        figures[name] = f"{row.measured:.1f}"
        figures[f"{name}_range"] = f"{row.low:.1f} to {row.high:.1f}"
    ratios = []
    for row in rows:
        of_ours = row.metric == "ratio" and row.matches(modalities=three, model=ours)
        if of_ours and row.condition["of"] != "all":
            ratios.append(row.measured)
    return figures | {"three_low": f"{min(ratios):.1f}", "three_high": f"{max(ratios):.1f}"}
