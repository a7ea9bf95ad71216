"""Rows, tables and pictures of the second half of the noise benchmark: failing sensors."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.harness.figures import Figure, band
from benchmarks.harness.rows import Row, by_scene, entry_rows, find_row, mean_value, over_seeds
from benchmarks.harness.tables import Table
from benchmarks.noise.data import SETS, SEVERITIES
from benchmarks.noise.sensors import SensorCell, SensorFailures
from gw_envs.corruption import KINDS
from gw_envs.observation import MODALITIES

METHODS = (
    "constant",
    "none",
    "none_trained",
    "one_step",
    "two_step",
    "demi_cycle",
    "agreement",
    "best",
    "concatenation",
    "cross_attention",
    "oracle",
)
"""Methods in the order of the tables."""
DRAWN = ("none", "two_step", "demi_cycle", "agreement", "best", "cross_attention", "oracle")
"""Methods in the pictures."""


def rows(results: Mapping[SensorCell, Any]) -> list[Row]:
    """Return a row for every figure of every method."""
    rows = []
    for cell, runs in over_seeds(results).items():
        rows += entry_rows(cell.scene, runs, {}, claim, cell.setup.redraws)
    return rows


def claim(condition: Mapping[str, Any]) -> str:
    """Return the claim of a row."""
    part = condition["part"]
    if part == "transfer":
        return f"noise/transfer/{condition['trained_for']}"
    names = {"all sensors": "sensor/all", "unseen modality": "unseen/modality"}
    if "kind" in condition:
        names = {
            "sensor": f"sensor/{condition['kind']}",
            "unseen kind": f"unseen/{condition['kind']}",
        }
    return f"noise/{names.get(part, part)}/{condition['method']}"


def tables(rows: Sequence[Row]) -> list[Table]:
    """Failing sensors and costs, transfer, and what was left out; none without their rows."""
    rows = by_scene(rows)
    if not any(row.matches(part="clean") for row in rows):
        return []
    return [_sensors(rows), _transfers(rows), _unseen(rows)]


def _sensors(rows: Sequence[Row]) -> Table:
    """Accuracy while sensors fail, and what each method costs."""
    pair, every = (list(modalities) for modalities in SETS)
    columns: dict[str, dict[str, Any]] = {
        "one of two sensors fails": {"part": "all sensors", "severity": 1.0, "modalities": pair},
        "one of three": {"part": "all sensors", "severity": 1.0, "modalities": every},
        "two of three in noise": {"part": "several", "at_once": 2, "corruption": "10"},
        "two of three fail": {"part": "several", "at_once": 2, "corruption": "sensors"},
    }
    lines = []
    for scene in dict.fromkeys(row.scene for row in rows):
        for method in METHODS:
            own = [row for row in rows if row.scene == scene and row.matches(method=method)]
            texts = []
            for wanted in columns.values():
                texts.append(find_row(own, "accuracy", scene, **wanted).interval)
            costs = {row.metric: row.measured for row in own if row.matches(part="cost")}
            texts.append(f"{costs['parameters']:,.0f}")
            texts.append(f"{costs['milliseconds']:.2f}")
            lines.append((scene, method.replace("_", " "), *texts))
    headers = ("scene", "method", *columns, "numbers learned", "ms a decision")
    return Table("Accuracy while sensors fail at severity 1, and cost", headers, lines)


def _transfers(rows: Sequence[Row]) -> Table:
    """Attention trained for one task and used for another."""
    lines = []
    for row in rows:
        if row.matches(part="transfer"):
            condition = row.condition
            lines.append((row.scene, condition["trained_for"], condition["used_for"], row.interval))
    title = "Attention trained for one task and used for another, one of three sensors failing"
    return Table(title, ("scene", "trained for", "used for", "accuracy (interval)"), lines)


def _unseen(rows: Sequence[Row]) -> Table:
    """Accuracy on kinds of failure and a modality that training left out."""
    lines = []
    for row in rows:
        if row.matches(part="unseen kind"):
            what = f"{row.condition['kind'].replace('_', ' ')} ({row.condition['corrupted']})"
        elif row.matches(part="unseen modality"):
            what = f"language, with {' + '.join(row.condition['modalities'])} observed"
        else:
            continue
        method = row.condition["method"].replace("_", " ")
        lines.append((row.scene, what, method, row.interval))
    headers = ("scene", "left out", "method", "accuracy (interval)")
    return Table("Kinds of failure and a modality left out of the training", headers, lines)


def figures(results: Mapping[SensorCell, Any]) -> list[Figure]:
    """Draw one figure for each scene."""
    drawn = []
    for scene in dict.fromkeys(cell.scene for cell in results):
        runs_of = {}
        for cell, runs in over_seeds(results).items():
            if isinstance(cell, SensorFailures) and cell.scene == scene:
                runs_of[cell.method.name] = runs
        drawn.append(_figure(scene, runs_of))
    return drawn


def _figure(scene: str, runs_of: Mapping[str, Sequence[Any]]) -> Figure:
    """Accuracy of three modalities against severity, a panel for each sensor and failure."""
    every = {"modalities": list(MODALITIES)}
    sensors = [(name, kind) for name, kinds in KINDS.items() for kind in kinds]

    def at(run: Any, severity: float, modality: str, kind: str) -> float:
        if severity == 0.0:
            return mean_value(run, part="clean", **every)
        sensor = {"corrupted": modality, "kind": kind, "severity": severity}
        return mean_value(run, part="sensor", **every, **sensor)

    def draw_sensor(panel: Any, modality: str, kind: str) -> None:
        severities = (0.0, *SEVERITIES)
        for index, method in enumerate(DRAWN):
            values = []
            for severity in severities:
                values.append([at(run, severity, modality, kind) for run in runs_of[method]])
            style = "--" if method == "oracle" else "-"
            band(panel, severities, values, f"C{index}", ls=style, label=method)
        title = f"{modality}: {kind.replace('_', ' ')}"
        panel.set(title=title, ylim=(0.25, 1.02), xlabel="severity")

    def draw(axes: Any) -> None:
        panels = axes.ravel()
        for panel, sensor in zip(panels, sensors, strict=False):
            draw_sensor(panel, *sensor)
        for panel in panels[len(sensors) :]:
            panel.set_axis_off()
        handles, names = panels[0].get_legend_handles_labels()
        panels[-1].legend(handles, names, loc="center")
        panels[0].figure.suptitle(f"{scene}: accuracy while one of three sensors fails")

    return Figure(f"noise_sensors_{scene}", draw, width=15, height=8.5, columns=6, lines=3)
