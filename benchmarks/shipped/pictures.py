"""Pictures of captions of images: how often they are true, and of how many other scenes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness.figures import BLUE, GRAY, GREEN, ORANGE, Figure
from benchmarks.harness.rows import Row
from benchmarks.shipped.report import IMAGE_TRUE, SLOTS, TRUE_AIMS, before, pick
from benchmarks.shipped.statements import WHOLE
from benchmarks.shipped.translations import CAPTION, COARSE


def figures(rows: Sequence[Row]) -> list[Figure]:
    """Draw for each scene how often captions of images are true, and of how many scenes."""
    scenes = dict.fromkeys(row.scene for row in rows if row.metric == "true")
    return [_figure(rows, scene) for scene in scenes]


def _figure(rows: Sequence[Row], scene: str) -> Figure:
    def draw(axes: Any) -> None:
        true, also = axes[0]
        old, now = Bars("before", GRAY, before()), Bars("captions of images", BLUE, rows)
        slots = _draw_bars(true, [old.picked(scene, *IMAGE_TRUE), now.picked(scene, *IMAGE_TRUE)])
        for place, slot in enumerate(slots):
            if slot in TRUE_AIMS:
                label = "aim" if slot == WHOLE else None
                ends = (place - 0.45, place + 0.45)
                true.plot(ends, [TRUE_AIMS[slot]] * 2, color="black", lw=1.5, label=label)
        true.set(title=f"{scene}: share of true claims", ylim=(0, 1.02))
        given = Bars("the environment's captions", GREEN, rows)
        coarse = Bars("their coarsest form", ORANGE, rows)
        groups = [bars.picked(scene, "also_true", "image") for bars in (old, now)]
        groups.append(given.picked(scene, "also_true", CAPTION))
        groups.append(coarse.picked(scene, "also_true", COARSE))
        _draw_bars(also, groups)
        also.set(title="share of other test scenes of which it is true too", yscale="log")
        for panel in axes[0]:
            panel.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.08))

    return Figure(f"captions_{scene}", draw, width=12.0, height=4.4, columns=2)


class Bars(NamedTuple):
    """One group of bars: their label, color and rows."""

    label: str
    color: str
    rows: Sequence[Row]

    def picked(self, scene: str, metric: str, source: str) -> "Bars":
        """Keep the rows of a scene, metric and source."""
        return self._replace(rows=tuple(pick(self.rows, scene, metric, source).values()))


def _draw_bars(panel: Any, groups: Sequence[Bars]) -> list[str]:
    """Draw groups of bars with intervals side by side, slot by slot; return the slots."""
    groups = [group for group in groups if group.rows]
    slots = [slot for slot in SLOTS if any(row.condition["of"] == slot for row in groups[-1].rows)]
    width = 0.84 / len(groups)
    for index, group in enumerate(groups):
        by_slot = {row.condition["of"]: row for row in group.rows}
        picked = [by_slot[slot] for slot in slots]
        middle, low, high = np.array([(row.measured, row.low, row.high) for row in picked]).T
        x = np.arange(len(slots)) + width * (index - (len(groups) - 1) / 2)
        lengths = (middle - low, high - middle)
        panel.bar(x, middle, 0.94 * width, yerr=lengths, color=group.color, label=group.label)
    panel.set_xticks(range(len(slots)), slots)
    return slots
