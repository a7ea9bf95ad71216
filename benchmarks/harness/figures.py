"""Pictures of results: a figure that knows its size, and means with intervals as bands or bars."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.rows import interval
from gw_envs.files import write_atomically

BLUE, ORANGE, GREEN, GRAY = "#0072B2", "#D55E00", "#009E73", "#999999"
"""Okabe-Ito colors, and a gray: color-blind readers tell them apart."""

Values = Sequence[Sequence[float]]
"""The values of all seeds, for each point or bar."""


@dataclass(frozen=True)
class Figure:
    """A picture that is drawn with matplotlib when it is saved."""

    name: str
    """File name without the suffix."""
    draw: Callable[[Any], None]
    """Draws into the axes: a 2D array of them, (lines, columns)."""
    width: float = 9.0
    """Inches."""
    height: float = 4.0
    columns: int = 1
    lines: int = 1

    def save(self, out: Path) -> Path:
        """Draw into `<out>/<name>.png`; return its path."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        shape, axes = pyplot.subplots(
            self.lines,
            self.columns,
            figsize=(self.width, self.height),
            layout="constrained",
            squeeze=False,
        )
        self.draw(axes)
        path = out / f"{self.name}.png"
        write_atomically(path, lambda temporary: shape.savefig(temporary, dpi=130))
        pyplot.close(shape)
        return path


def band(panel: Any, x: Sequence[float], values: Values, color: str, **style: Any) -> None:
    """Draw a line of means over `x` with their intervals as a band."""
    middle, low, high = np.array([interval(of_seeds) for of_seeds in values]).T
    panel.plot(x, middle, color=color, **style)
    panel.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)


def bars(panel: Any, names: Sequence[str], groups: Mapping[str, Values]) -> None:
    """Draw accuracies as bars with intervals: {label: for each name the values of its seeds}."""
    width = 0.8 / len(groups)
    for index, (label, values) in enumerate(groups.items()):
        middle, low, high = np.array([interval(of_seeds) for of_seeds in values]).T
        x = np.arange(len(names)) + width * (index - (len(groups) - 1) / 2)
        panel.bar(
            x,
            middle,
            0.93 * width,
            yerr=(middle - low, high - middle),
            color=f"C{index}",
            label=label,
            error_kw={"lw": 0.8},
        )
    panel.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    panel.set(ylabel="accuracy", ylim=(0, 1.02))
