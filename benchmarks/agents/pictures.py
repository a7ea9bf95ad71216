"""Pictures of the control benchmark."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.agents.rows import Group, SceneRuns, Scores, gather, interquartile_mean
from benchmarks.agents.scores import TESTS, Situation
from benchmarks.harness.cells import Cell
from benchmarks.harness.figures import Figure, band

ON = tuple(f"on {name}" for name in TESTS)
"""Columns of the picture, and of the tables."""


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
    grid = np.full((len(tests), len(TESTS)), np.nan)
    for line, scores in enumerate(tests.values()):
        for column, observed in enumerate(TESTS.values()):
            of_seeds = scores.get(Situation(observed))
            if of_seeds is not None:
                success = interquartile_mean([score["success"] for score in of_seeds])
                grid[line, column] = success
                panel.text(column, line, f"{success:.0%}", ha="center", va="center", fontsize=8)
    panel.imshow(grid, vmin=0, vmax=1, cmap="viridis", alpha=0.6, aspect="auto")
    names = [name.replace("+", "\n+ ") for name in ON]
    panel.set_xticks(range(len(TESTS)), names, fontsize=7)
    panel.set_yticks(range(len(tests)), [f"from {group.source}" for group in tests], fontsize=7)
