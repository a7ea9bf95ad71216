"""Tables, pictures and quoted figures of the control benchmark."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from benchmarks.agents.rows import Group, SceneRuns, Scores, gather, interquartile_mean
from benchmarks.agents.scores import FAILURES, MODALITY_SETS, WORKSPACES, Situation
from benchmarks.harness.cells import Cell
from benchmarks.harness.figures import Figure, band
from benchmarks.harness.rows import Row, by_scene, find_row
from benchmarks.harness.tables import Table
from gw_envs.observation import MODALITIES
from gw_envs.scenes import SCENES

ON = tuple(f"on {name}" for name in MODALITY_SETS)
"""Columns of the tables, and of the picture."""


def tables(rows: Sequence[Row]) -> list[Table]:
    """Three tables: success on every modality, transferred returns, and failing sensors."""
    return [success_table(rows), transfer_table(rows), failure_table(rows)]


def success_table(rows: Sequence[Row]) -> Table:
    """A line for each kind of agent, a column for each set of modalities."""
    lines = []
    for scene, agent in agents_in(rows, "success"):
        own = find_row(rows, "success", scene, **agent, test=agent["train"])
        seeds, (encoder, train) = str(own.n_seeds), (agent["encoder"], agent["train"])
        steps = "not reached"
        for row in rows:
            if row.metric == "steps_to_90" and row.scene == scene and row.matches(**agent):
                steps = f"{row.measured:,.0f}"
        lines.append(
            (scene, encoder, train, seeds, *_on_each(rows, "success", scene, agent), steps)
        )
    headers = ("scene", "encoder", "trained on", "seeds", *ON, "steps to 90 %")
    return Table("Success in held-out episodes", headers, lines)


def transfer_table(rows: Sequence[Row]) -> Table:
    """Returns of transferred policies, as shares of those of policies trained on the tested
    modality."""
    lines = []
    for scene, agent in agents_in(rows, "share"):
        encoder, train = agent["encoder"], agent["train"]
        lines.append((scene, encoder, train, *_on_each(rows, "share", scene, agent)))
    title = "Return of transferred policies, as a share of that of policies trained on the modality"
    return Table(title, ("scene", "encoder", "trained on", *ON), lines)


def failure_table(rows: Sequence[Row]) -> Table:
    """Success while one of three sensors fails, without and with attention."""
    failing: dict[tuple[str, str], dict[str, str]] = {}
    for row in by_scene(rows):
        if row.metric == "success" and "failure" in row.condition:
            missing = row.condition.get("missing")
            name = f"no {missing}" if missing else row.condition["failure"].replace("_", " ")
            failing.setdefault((row.scene, name), {})[row.condition["attention"]] = row.interval
    lines = [(*line, by["none"], by["best"]) for line, by in failing.items()]
    title = "Success while one of three sensors fails, of agents trained on all of them"
    return Table(title, ("scene", "failure", "even mean", "attention"), lines)


def agents_in(rows: Sequence[Row], metric: str) -> list[tuple[str, dict[str, str]]]:
    """List (scene, condition) of every kind of agent that has rows of a metric, encoder by
    encoder."""
    listed: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in by_scene(rows):
        if row.metric == metric and "test" in row.condition:
            encoder, train = row.condition["encoder"], row.condition["train"]
            listed[row.scene, encoder, train] = {"encoder": encoder, "train": train}
    return [(scene, agent) for (scene, *_), agent in listed.items()]


def _on_each(
    rows: Sequence[Row], metric: str, scene: str, agent: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the interval of a metric on each set of modalities; nothing where there is no row."""
    texts = dict.fromkeys(MODALITY_SETS, "")
    for row in rows:
        if row.metric == metric and row.scene == scene and row.matches(**agent):
            texts[row.condition.get("test", "")] = row.interval
    return tuple(texts[test] for test in MODALITY_SETS)


def figures(results: Mapping[Cell, Any]) -> list[Figure]:
    """Draw one figure for each scene."""
    return [_figure(scene, runs) for scene, runs in gather(results).items()]


def _figure(scene: str, runs: SceneRuns) -> Figure:
    """Learning curves above, success on every set of modalities below; a panel for each encoder."""
    encoders = list(dict.fromkeys(group.encoder for group in runs.tests))

    def draw(axes: Any) -> None:
        for column, encoder in enumerate(encoders):
            groups = [group for group in runs.tests if group.encoder == encoder]
            _draw_curves(axes[0, column], encoder, {group: runs.curves[group] for group in groups})
            _draw_grid(axes[1, column], {group: runs.tests[group] for group in groups})
        axes[0, 0].figure.suptitle(
            f"{scene}: success while learning, and in held-out episodes on every modality"
        )

    columns = len(encoders)
    return Figure(f"control_{scene}", draw, max(8.0, 4.2 * columns), 7.5, columns=columns, lines=2)


def _draw_curves(panel: Any, encoder: str, curves: Mapping[Group, Sequence[Any]]) -> None:
    """Success against training steps, with intervals over seeds."""
    for index, (group, of_seeds) in enumerate(curves.items()):
        steps = [point["steps"] for point in of_seeds[0]]
        success = []
        for at in range(len(steps)):
            success.append([curve[at]["success"] for curve in of_seeds])
        style = {"marker": "o", "markersize": 3, "label": f"from {group.source}"}
        band(panel, steps, success, f"C{index}", **style)
    panel.set(title=encoder, xlabel="environment steps", ylabel="success", ylim=(-0.02, 1.02))
    panel.legend(fontsize=7)


def _draw_grid(panel: Any, tests: Mapping[Group, Mapping[Situation, Sequence[Scores]]]) -> None:
    """Success of each kind of agent (lines) on each set of modalities (columns)."""
    grid = np.full((len(tests), len(MODALITY_SETS)), np.nan)
    for line, scores in enumerate(tests.values()):
        for column, observed in enumerate(MODALITY_SETS.values()):
            of_seeds = scores.get(Situation(observed))
            if of_seeds is not None:
                success = interquartile_mean([score["success"] for score in of_seeds])
                grid[line, column] = success
                panel.text(column, line, f"{success:.0%}", ha="center", va="center", fontsize=8)
    panel.imshow(grid, vmin=0, vmax=1, cmap="viridis", alpha=0.6, aspect="auto")
    panel.set_xticks(range(len(MODALITY_SETS)), ON, fontsize=7)
    panel.set_yticks(range(len(tests)), [f"from {group.source}" for group in tests], fontsize=7)


def quoted(rows: Sequence[Row]) -> dict[str, str]:
    """Return the figures that the page quotes."""
    figures: dict[str, str] = {}
    for scene in SCENES:
        figures |= _failure_figures(rows, scene)
    for encoder in WORKSPACES:
        figures |= _transfer_figures(rows, encoder)
    for encoder in ("gw", "unimodal", "raw"):
        agent = {"encoder": encoder, "train": "image"}
        success = find_row(rows, "success", "simple_shapes", **agent, test="image")
        steps = find_row(rows, "steps_to_90", "simple_shapes", **agent)
        figures[f"{encoder}_image"] = f"{success.measured:.1%}"
        figures[f"{encoder}_steps"] = f"{steps.measured:,.0f}"
    own = find_row(rows, "success", "factory", encoder="gw", train="image", test="image")
    return figures | {"gw_image_factory": f"{own.measured:.1%}"}


def _transfer_figures(rows: Sequence[Row], encoder: str) -> dict[str, str]:
    """Return the shares that policies keep from one modality to another."""

    def share(scene: str, train: str, test: str) -> float:
        return find_row(rows, "share", scene, encoder=encoder, train=train, test=test).measured

    figures: dict[str, str] = {}
    for scene in SCENES:
        worse = min(share(scene, "image", "attributes"), share(scene, "attributes", "image"))
        figures[f"{encoder}_transfer_{scene}"] = f"{worse:.1%}"
        captions = sorted(share(scene, train, "language") for train in ("image", "attributes"))
        figures[f"{encoder}_captions_{scene}"] = f"{captions[0]:.1%} to {captions[1]:.1%}"
    fused = find_row(rows, "success", "factory", encoder=encoder, train="image", test="all")
    return figures | {f"{encoder}_fused_factory": f"{fused.measured:.1%}"}


def _failure_figures(rows: Sequence[Row], scene: str) -> dict[str, str]:
    """Return the success of agents while sensors fail or are missing."""
    figures = {}
    for failure, attention in product(FAILURES, ("none", "best")):
        row = find_row(rows, "success", scene, failure=failure.name, attention=attention)
        figures[f"{failure.name}_{attention}_{scene}"] = f"{row.measured:.1%}"
    for missing in MODALITIES:
        row = find_row(rows, "success", scene, missing=missing, attention="best")
        figures[f"no_{missing}_{scene}"] = f"{row.measured:.1%}"
    return figures
