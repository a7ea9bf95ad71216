"""Rows, tables and pictures of the second half of the noise benchmark: failing sensors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.harness.figures import Figure, band
from benchmarks.harness.rows import Row, by_scene, find_row, make_row, over_seeds
from benchmarks.harness.tables import Table
from benchmarks.noise.data import SETS, SEVERITIES, main_label
from benchmarks.noise.sensors import (
    SensorCell,
    SensorFailures,
    TrainingTime,
    Transfer,
    UnseenKind,
    UnseenModality,
    mean_accuracy,
)
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

Figures = Iterator[tuple[str, dict[str, Any], str, list[float]]]
"""Claim, condition, metric and the values of all seeds."""


def rows(results: Mapping[SensorCell, Any]) -> list[Row]:
    """Return a row for every figure of every method."""
    figures_of: dict[type, Callable[[Any, Sequence[Any]], Figures]] = {
        SensorFailures: _sensor_failures,
        Transfer: _transfer,
        UnseenKind: _unseen_kind,
        UnseenModality: _unseen_modality,
        TrainingTime: _training_time,
    }
    found = []
    for cell, runs in over_seeds(results).items():
        for claim, condition, metric, values in figures_of[type(cell)](cell, runs):
            redraws = cell.setup.redraws
            found.append(make_row(claim, cell.scene, condition, metric, values, redraws))
    return found


def _sensor_failures(cell: SensorFailures, runs: Sequence[Any]) -> Figures:
    method = cell.method.name
    shared = {"method": method, "task": main_label(cell.scene)}
    for condition, values in _accuracies([run["clean"] for run in runs]):
        yield f"noise/clean/{method}", shared | {"part": "clean"} | condition, "accuracy", values
    for modalities in SETS:
        for severity in SEVERITIES:
            about = {"modalities": list(modalities), "severity": severity}
            entries = [_matching(run["sensors"], about) for run in runs]
            means = [mean_accuracy(of_run) for of_run in entries]
            condition = shared | {"part": "all sensors"} | about
            yield f"noise/sensor/all/{method}", condition, "accuracy", means
            for sensor, values in _accuracies(entries):
                condition = shared | {"part": "sensor", "kind": sensor["kind"]} | about
                condition["corrupted"] = sensor["modality"]
                yield f"noise/sensor/{sensor['kind']}/{method}", condition, "accuracy", values
    for condition, values in _accuracies([run["several"] for run in runs]):
        condition = shared | {"part": "several", "modalities": MODALITIES} | condition
        yield f"noise/several/{method}", condition, "accuracy", values
    for metric in ("parameters", "milliseconds"):
        values = [run["cost"][metric] for run in runs]
        yield f"noise/cost/{method}", {"method": method, "part": "cost"}, metric, values


def _transfer(cell: Transfer, runs: Sequence[Any]) -> Figures:
    for condition, values in _accuracies(runs):
        condition |= {"part": "transfer", "severity": 1.0}
        yield f"noise/transfer/{condition['trained_for']}", condition, "accuracy", values


def _unseen_kind(cell: UnseenKind, runs: Sequence[Any]) -> Figures:
    for entry, values in _accuracies(runs):
        condition = {
            "method": entry["method"],
            "kind": entry["kind"],
            "corrupted": entry["modality"],
        }
        condition |= {"part": "unseen kind", "severity": 1.0}
        yield f"noise/unseen/{entry['kind']}/{entry['method']}", condition, "accuracy", values


def _unseen_modality(cell: UnseenModality, runs: Sequence[Any]) -> Figures:
    for condition, values in _accuracies(runs):
        condition |= {"part": "unseen modality", "severity": 1.0}
        yield f"noise/unseen/modality/{condition['method']}", condition, "accuracy", values


def _training_time(cell: TrainingTime, runs: Sequence[Any]) -> Figures:
    for entries in zip(*runs, strict=True):
        method, seconds = entries[0]["method"], [entry["seconds"] for entry in entries]
        yield f"noise/cost/{method}", {"method": method, "part": "cost"}, "train_seconds", seconds


def _accuracies(
    runs: Sequence[Sequence[Mapping[str, Any]]],
) -> Iterator[tuple[dict[str, Any], list[float]]]:
    """Yield the condition of every entry with the accuracies of all seeds."""
    for entries in zip(*runs, strict=True):
        condition = {name: value for name, value in entries[0].items() if name != "accuracy"}
        yield condition, [entry["accuracy"] for entry in entries]


def _matching(entries: Sequence[dict[str, Any]], wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in entries if wanted.items() <= entry.items()]


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
            shown = []
            for wanted in columns.values():
                shown.append(find_row(own, "accuracy", scene, **wanted).interval)
            costs = {row.metric: row.measured for row in own if row.matches(part="cost")}
            shown.append(f"{costs['parameters']:,.0f}")
            shown.append(f"{costs['milliseconds']:.2f}")
            lines.append((scene, method.replace("_", " "), *shown))
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
    """What was left out of the training."""
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
    found = []
    for scene in dict.fromkeys(cell.scene for cell in results):
        runs_of = {}
        for cell, runs in over_seeds(results).items():
            if isinstance(cell, SensorFailures) and cell.scene == scene:
                runs_of[cell.method.name] = runs
        found.append(_figure(scene, runs_of))
    return found


def _figure(scene: str, runs_of: Mapping[str, Sequence[Any]]) -> Figure:
    """Accuracy of three modalities against severity, a panel for each sensor and failure."""
    every = {"modalities": list(MODALITIES)}
    at_most = every | {"severity": 1.0}
    sensors = _matching(runs_of["none"][0]["sensors"], at_most)

    def at(run: Any, severity: float, sensor: Mapping[str, Any]) -> float:
        if severity == 0.0:
            return mean_accuracy(_matching(run["clean"], every))
        names = {name: sensor[name] for name in ("modality", "kind")}
        return mean_accuracy(_matching(run["sensors"], every | names | {"severity": severity}))

    def draw_sensor(panel: Any, sensor: Mapping[str, Any]) -> None:
        severities = (0.0, *SEVERITIES)
        for index, method in enumerate(DRAWN):
            values = []
            for severity in severities:
                values.append([at(run, severity, sensor) for run in runs_of[method]])
            style = "--" if method == "oracle" else "-"
            band(panel, severities, values, f"C{index}", ls=style, label=method)
        title = f"{sensor['modality']}: {sensor['kind'].replace('_', ' ')}"
        panel.set(title=title, ylim=(0.25, 1.02), xlabel="severity")

    def draw(axes: Any) -> None:
        panels = axes.ravel()
        for panel, sensor in zip(panels, sensors, strict=False):
            draw_sensor(panel, sensor)
        for panel in panels[len(sensors) :]:
            panel.set_axis_off()
        handles, names = panels[0].get_legend_handles_labels()
        panels[-1].legend(handles, names, loc="center")
        panels[0].figure.suptitle(f"{scene}: accuracy while one of three sensors fails")

    return Figure(f"noise_sensors_{scene}", draw, width=15, height=8.5, columns=6, lines=3)
