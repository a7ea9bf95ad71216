"""Tables, the picture and quoted figures of the throughput benchmark, all made from its rows."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, cycle
from typing import Any

from benchmarks.harness.figures import Figure
from benchmarks.harness.rows import Row, by_scene, find_row, rows_before
from benchmarks.harness.tables import Table
from benchmarks.speed.learning import PARTS
from gw_envs.scenes import SCENES


@cache
def before() -> dict[tuple[Any, ...], Row]:
    """Return the previous release's rows by claim and condition; none without a summary."""
    return {_key(row): row for row in rows_before("throughput")}


def _key(row: Row) -> tuple[Any, ...]:
    """Return the parts of a row that are equal for the same row of another run."""
    condition = {name: value for name, value in row.condition.items() if name != "processor"}
    return row.claim, row.scene, row.metric, *sorted(condition.items())


def number(value: float) -> str:
    """Return three digits of a number, more of large ones."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def spread(row: Row) -> str:
    """Return the mean of a row with its range."""
    return f"{number(row.measured)} ({number(row.low)} to {number(row.high)})"


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return the tables that have lines: claims, growth, rates, PPO's time and memory."""
    listed = [
        claim_table(rows),
        growth_table(rows),
        batch_table(rows),
        rate_table(rows),
        profile_table(rows),
        memory_table(rows),
    ]
    return [table for table in listed if table.lines]


Line = tuple[Row | None, tuple[str, ...]]
"""A line of a table, and the row that it shows, if it is one row."""


def beside_before(title: str, headers: tuple[str, ...], lines: Sequence[Line]) -> Table:
    """Return a table; where the previous release measured other values, a last column holds
    them."""
    known, column = before(), []
    for row, _ in lines:
        old = None if row is None else known.get(_key(row))
        is_same = old is None or row is None or old.measured == row.measured
        column.append("" if is_same or old is None else number(old.measured))
    if not any(column):
        return Table(title, headers, [line for _, line in lines])
    extended = [(*line, text) for (_, line), text in zip(lines, column, strict=True)]
    return Table(title, (*headers, "before"), extended)


def claim_table(rows: Sequence[Row]) -> Table:
    """A line for every claim."""
    lines: list[Line] = []
    for row in by_scene(row for row in rows if row.metric == "ratio"):
        condition = dict(row.condition)
        ours, baseline = condition.pop("ours"), condition.pop("baseline")
        text = ", ".join(f"{name} {value}" for name, value in condition.items())
        lines.append((row, (row.scene, ours, baseline, text, spread(row))))
    headers = ("scene", "ours", "baseline", "condition", "times as fast (range)")
    return beside_before("Ours beside others", headers, lines)


def growth_table(rows: Sequence[Row]) -> Table:
    """A line for everything that is compared at each number of scenes, a column for each number."""
    return _by_count(
        "How many times as fast as a baseline, with N scenes side by side",
        [row for row in rows if row.metric == "times at each count"],
        ("what", "baseline"),
    )


def batch_table(rows: Sequence[Row]) -> Table:
    """Absolute rates of what was measured at several numbers of scenes."""
    return _by_count(
        f"Rates a second, with N scenes side by side{_on(rows)}", _rates(rows, True), ("what",)
    )


def rate_table(rows: Sequence[Row]) -> Table:
    """Absolute rates of everything else."""
    lines: list[Line] = []
    for row in by_scene(_rates(rows, False)):
        condition = row.condition
        line = (
            row.scene,
            condition["subject"],
            condition["what"],
            str(condition["num_envs"]),
            spread(row),
        )
        lines.append((row, line))
    headers = ("scene", "subject", "what", "at a time", "a second (range)")
    return beside_before(f"Rates a second{_on(rows)}", headers, lines)


def profile_table(rows: Sequence[Row]) -> Table:
    """Where the time of PPO on workspace vectors from images goes."""
    lines: list[Line] = []
    for scene in SCENES:
        parts = [row for row in rows if row.scene == scene and row.metric == "microseconds a step"]
        total = sum(row.measured for row in parts)
        parts.sort(key=lambda row: PARTS.index(row.condition["what"]))
        for row in parts:
            share = f"{row.measured / total:.0%}"
            lines.append((row, (scene, row.condition["what"], spread(row), share)))
        if parts:
            lines.append((None, (scene, "all", number(total), "100%")))
    headers = ("scene", "part", "microseconds a step (range)", "share")
    return beside_before(f"PPO on workspace vectors from images{_on(rows)}", headers, lines)


def memory_table(rows: Sequence[Row]) -> Table:
    """Memory of a process that steps scenes with all modalities."""
    lines: list[Line] = []
    for row in by_scene(row for row in rows if row.metric == "MB"):
        condition = row.condition
        lines.append((row, (row.scene, condition["what"], str(condition["num_envs"]), spread(row))))
    return beside_before("Memory", ("scene", "what", "scenes", "MB (range)"), lines)


def _by_count(title: str, rows: Sequence[Row], names: Sequence[str]) -> Table:
    """A line for each scene, subject and `names` of the condition, a column for each number of
    scenes."""
    counts = sorted({row.condition["num_envs"] for row in rows})
    lines: dict[tuple[str, ...], dict[int, str]] = {}
    for row in by_scene(rows):
        line = (row.scene, row.condition["subject"], *(row.condition[name] for name in names))
        lines.setdefault(line, dict.fromkeys(counts, ""))[row.condition["num_envs"]] = spread(row)
    headers = ("scene", "subject", *names, *(f"N = {count}" for count in counts))
    return Table(title, headers, [(*line, *cells.values()) for line, cells in lines.items()])


def _rates(rows: Sequence[Row], batched: bool) -> list[Row]:
    """Return the rates that were measured at several numbers of scenes, or all others."""
    rates = [row for row in rows if row.metric == "per second"]
    counts: dict[tuple[str, str, str], int] = {}
    for row in rates:
        counts[_series(row)] = counts.get(_series(row), 0) + 1
    return [row for row in rates if (counts[_series(row)] > 1) == batched]


def _series(row: Row) -> tuple[str, str, str]:
    return row.scene, row.condition["subject"], row.condition["what"]


def _on(rows: Sequence[Row]) -> str:
    """Name the processor, if the rows do."""
    names = {row.condition["processor"] for row in rows if "processor" in row.condition}
    return f", on one thread of {', '.join(sorted(names))}" if names else ""


def figures(results: Mapping[Any, Any]) -> list[Figure]:
    """Draw how the time of a scene falls with their number; one panel a scene."""
    points: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for cell, entries in results.items():
        if cell.subject in ("steps", "render", "captions", "camera 64"):
            of_scene = points.setdefault(cell.scene, {})
            for entry in entries:
                label = f"{cell.subject}: {entry['what'].replace('_', ' ')}"
                cost = (entry["count"], 1e6 / entry["value"])
                of_scene.setdefault(label, []).append(cost)

    def draw(axes: Any) -> None:
        for panel, (scene, lines) in zip(axes[0], points.items(), strict=True):
            styles = cycle(((0, (1, 1)), (0, (4, 2)), (0, (4, 2, 1, 2)), (0, (8, 3))))
            for label, costs in lines.items():
                _draw_cost(panel, label, costs, styles)
            panel.set(title=scene, xlabel="scenes side by side", xscale="log", yscale="log")
            counts = dict.fromkeys(count for count, _ in chain.from_iterable(lines.values()))
            panel.set_xticks(list(counts), [str(count) for count in counts])
            panel.minorticks_off()
            panel.legend(fontsize=6, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12))
        axes[0, 0].set_ylabel("microseconds a scene")

    columns = len(points)
    return [Figure("throughput", draw, 6.5 * columns, 6.0, columns=columns)] if points else []


def _draw_cost(
    panel: Any, label: str, costs: Sequence[tuple[int, float]], styles: Iterator[Any]
) -> None:
    """A line over the numbers of scenes; a level line for what was measured at one number."""
    by_count: dict[int, list[float]] = {}
    for count, cost in costs:
        by_count.setdefault(count, []).append(cost)
    middle = {count: sorted(of)[len(of) // 2] for count, of in sorted(by_count.items())}
    if len(middle) == 1:
        style = {"linestyle": next(styles), "color": "black", "linewidth": 1.0}
        panel.axhline(*middle.values(), label=label, **style)
    else:
        panel.plot(list(middle), list(middle.values()), "o-", markersize=3, label=label)


def quoted(rows: Sequence[Row]) -> dict[str, str]:
    """Return the figures that the page quotes."""
    wanted = {
        "shapes_matplotlib": "render/simple_shapes/matplotlib_one_patch",
        "camera": "camera/full_render",
        "ppo_shapes": "ppo/simple_shapes/nature_cnn",
        "ppo_factory": "ppo/factory/nature_cnn",
        "encoding_shapes": "encoding/simple_shapes/nature_cnn",
        "encoding_factory": "encoding/factory/nature_cnn",
        "stack": "training/stacked",
        "copy": "render/simple_shapes/copy",
    }
    figures: dict[str, str] = {}
    for name, claim in wanted.items():
        for row in rows:
            if row.claim == f"throughput/{claim}" and row.metric == "ratio":
                figures.setdefault(name, number(row.measured))
    batch = {"subject": "steps", "what": "image", "num_envs": 16}
    steps = {}
    for scene in SCENES:
        steps[f"steps_{scene}"] = number(find_row(rows, "per second", scene, **batch).measured)
    return figures | steps
