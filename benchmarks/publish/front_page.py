"""Fill the results table of the README from the committed summaries.

python -m benchmarks.publish.front_page
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from benchmarks.harness.cells import EXPECTED
from benchmarks.harness.rows import Row, read_summary, rows_before
from benchmarks.harness.tables import markdown
from benchmarks.harness.weights import outdated_scenes
from gw_agents.command import run_command
from gw_envs.files import write_atomically

README = EXPECTED.parents[1] / "README.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
"""What stands before and behind the table."""


@dataclass(frozen=True)
class Figure:
    """One number of a summary."""

    claim: str
    """The row's claim; the benchmark is its first part."""
    scene: str
    metric: str
    condition: Mapping[str, Any] = field(default_factory=dict)
    """Entries of the row's condition, as many as single it out."""
    label: str = ""
    """Name of the baseline; empty where the number is the claim's own."""
    times: bool = False
    """Whether the number is a ratio; a fraction otherwise."""
    before: bool = False
    """Whether the number is that of the previous release."""

    def __str__(self) -> str:
        """Return the number with its interval."""
        row = self.row()
        if self.times:
            text = f"{row.measured:.1f} times ({row.low:.1f} to {row.high:.1f})"
        else:
            text = row.interval
        return f"{self.label}: {text}" if self.label else text

    @property
    def summary(self) -> str:
        """Name of the summary that holds the number."""
        name = self.claim.split("/")[0]
        return {"noise": "noise_robustness"}.get(name, name)

    def row(self) -> Row:
        """Return the one row that fits; LookupError unless there is exactly one."""
        rows = rows_before(self.summary) if self.before else read_summary(self.summary)[1]
        fitting = [row for row in rows if self._fits(row)]
        if len(fitting) != 1:
            raise LookupError(f"{len(fitting)} rows fit {self!r}, and it must be one")
        return fitting[0]

    def _fits(self, row: Row) -> bool:
        names = (row.claim, row.scene, row.metric)
        return names == (self.claim, self.scene, self.metric) and row.matches(**self.condition)

    def __repr__(self) -> str:
        return f"{self.claim}, {self.scene}, {self.metric}, {dict(self.condition)}"


@dataclass(frozen=True)
class Headline:
    """One line of the table."""

    text: str
    """What is claimed."""
    measured: Figure
    compared: Figure | str
    """The baseline, or the published number as text."""
    page: str
    """The result page's name."""


SHAPES, FACTORY = "simple_shapes", "factory"
NOISE = {"sigma": 10.0, "modalities": ["image", "attributes"], "networks": "layer_norm"}
FAILING = {"modalities": ["image", "attributes", "language"], "severity": 1.0}
REGION = {
    "task": "region",
    "train": "image",
    "test": "attributes",
    "test_on": "reset",
    "pairs": 500,
}
LONG = {"width": 32, "steps": 7500, "source": "image"}

HEADLINES = (
    Headline(
        "Noise drowns one of two senses: a classifier of the shape stays right through attention",
        Figure("noise/random/best", SHAPES, "accuracy", NOISE),
        Figure("noise/random/none", SHAPES, "accuracy", NOISE, "even mean"),
        "noise_robustness",
    ),
    Headline(
        "The same with the published two-step attention (published: 89%)",
        Figure("noise/random/two_step", SHAPES, "accuracy", NOISE | {"train": "random"}),
        Figure(
            "noise/random/one_step", SHAPES, "accuracy", NOISE | {"train": "random"}, "one step"
        ),
        "noise_robustness",
    ),
    Headline(
        "One of three sensors fails in the Factory: a classifier of the color stays right",
        Figure("noise/sensor/all/best", FACTORY, "accuracy", FAILING),
        Figure("noise/sensor/all/none", FACTORY, "accuracy", FAILING, "even mean"),
        "noise_robustness",
    ),
    Headline(
        "A policy trained on attributes acts on images: share of the return learned on images",
        Figure("control/transfer/attributes/image", SHAPES, "share", {"encoder": "gw"}),
        Figure(
            "control/transfer/attributes/image",
            SHAPES,
            "share",
            {"encoder": "contrastive"},
            "contrastive alone",
        ),
        "control",
    ),
    Headline(
        "Every claim of the caption that is made from a Factory image is true",
        Figure("captions/image/whole", FACTORY, "true"),
        Figure("captions/image/whole", FACTORY, "true", label="before", before=True),
        "translation",
    ),
    Headline(
        "**Weak point**: an image made from a Factory caption has a color that the caption names",
        Figure("captions/drawn image/color", FACTORY, "within"),
        Figure("captions/caption/color", FACTORY, "within", label="attributes made from it"),
        "translation",
    ),
    Headline(
        "**Short of the published figure**: matched scenes saved over translation alone, at best",
        Figure("translation/label_efficiency/tr+cont+dcy+bt", SHAPES, "ratio", LONG, times=True),
        "published: 4 to 7 times",
        "translation",
    ),
    Headline(
        "A probe fitted on images reads the region from attributes (500 matched scenes)",
        Figure("classification/linear/tr+cont+dcy+cy", FACTORY, "accuracy", REGION),
        Figure("classification/linear/cont", FACTORY, "accuracy", REGION, "contrastive alone"),
        "classification",
    ),
    Headline(
        "PPO on Simple Shapes images through the workspace: environment steps a second",
        Figure("throughput/ppo/simple_shapes/nature_cnn", SHAPES, "ratio", times=True),
        "NatureCNN: 1",
        "throughput",
    ),
)


def table() -> str:
    """Return the table as Markdown."""
    lines, outdated = [], False
    for headline in HEADLINES:
        page = f"[page](docs/results/{headline.page}.md)"
        head, _ = read_summary(headline.measured.summary)
        if outdated_scenes(head, [headline.measured.scene]):
            page, outdated = f"{page} *", True
        lines.append((headline.text, str(headline.measured), str(headline.compared), page))
    text = markdown(("claim", "measured (95 % interval)", "compared with", ""), lines)
    note = "\n\n\\* measured with the weights of an earlier version, not yet recomputed"
    return text + note if outdated else text


def fill(text: str) -> str:
    """Return a README with the table between its marks."""
    inside = f"{BEGIN}\n{table()}\n\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: inside, text, flags=re.DOTALL)


def main(readme: Path = README) -> None:
    """Fill the table of `readme`."""
    filled = fill(readme.read_text())
    write_atomically(readme, partial(Path.write_text, data=filled))
    print(f"written: {readme}")


if __name__ == "__main__":
    run_command(lambda: tyro.cli(main, description=__doc__))
