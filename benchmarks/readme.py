"""Write the README's tables from the committed summaries, so that no figure is typed by hand.

    python benchmarks/readme.py

Fills what stands between `<!-- table NAME -->` and `<!-- end -->` in README.md from `benchmarks/expected/`.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import EXPECTED, table
from gw_agents.checkpoint import write_atomically

README = EXPECTED.parents[1] / "README.md"
READERS = {
    "linear": "linear probe",
    "mlp": "MLP probe",
    "redrawn": "the same, images by matplotlib",
    "decoded": "decoder",
}
"""Who reads a latent, by its name among the conditions of `domains.py`."""


def rows_of(benchmark: str) -> list[dict[str, Any]]:
    """The rows of a committed summary; none if there is no such file."""
    path = EXPECTED / f"{benchmark}.json"
    return json.loads(path.read_text())["rows"] if path.exists() else []


def noise() -> str:
    """Accuracy under noise, in the slides' setting."""
    lines = []
    for row in rows_of("noise_robustness"):
        condition = row["condition"]
        if row["metric"] != "accuracy" or condition["sigma"] != 10.0 or len(condition["modalities"]) != 2:
            continue
        if row["scene"] == "factory" and condition["train"] not in ("clean", condition["test"]):
            continue  # beside the talk's scene, the rows of attention trained on the other noise
        published = "" if row["published"] is None else f"{row['published']:.0%}"
        measured = f"{row['measured']:.1%} ({row['low']:.1%} to {row['high']:.1%})"
        _, noise, method = row["claim"].split("/")
        lines.append((row["scene"], noise, method.replace("_", " "), condition["train"], measured, published))
    lines.sort(key=lambda line: (line[0] == "factory", line[1]))
    return table(("scene", "noise", "method", "trained on", "accuracy (interval)", "published"), lines)


SPEEDS = {
    "render/simple_shapes/matplotlib": "drawing a shape, by matplotlib with a figure that stays",
    "render/simple_shapes/matplotlib_new_figure": "drawing a shape, by matplotlib with a figure each, as published",
    "render/simple_shapes/matplotlib_one_patch": "drawing a shape, by matplotlib at its best",
    "render/simple_shapes/opencv_supersampled": "drawing a shape, by OpenCV, supersampled",
    "render/simple_shapes/copy": "drawing a shape, by copying finished pictures (the memory's limit)",
    "steps/simple_shapes/matplotlib": "a whole step of Simple Shapes, by drawing alone in matplotlib",
    "camera/full_render": "the Factory's picture, by PyBullet's render of everything",
    "steps/factory/full_render": "a step of the Factory, by one with PyBullet's render of everything",
    "encoding/simple_shapes/nature_cnn": "encoding a Simple Shapes image, by Stable-Baselines3's NatureCNN",
    "encoding/factory/nature_cnn": "encoding a Factory image, by Stable-Baselines3's NatureCNN",
    "training/stacked": "training five workspaces in a stack, by one after the other",
}
"""What is measured by what, for the claims that the README shows."""


def throughput() -> str:
    """Ratios measured side by side in one run."""
    lines = []
    for row in rows_of("throughput"):
        what = SPEEDS.get(row["claim"].removeprefix("throughput/"))
        if row["metric"] == "ratio" and what:
            condition = ", ".join(f"{name} {value}" for name, value in row["condition"].items())
            middle, low, high = (
                f"{x:,.0f}" if x >= 100 else f"{x:.3g}" for x in (row["measured"], row["low"], row["high"])
            )
            ratio = f"{middle} ({low} to {high})"
            lines.append((what, condition, ratio))
    return table(("ours, by what", "condition", "times as fast (range)"), lines)


def domains() -> str:
    """What an MLP reads from each latent."""
    lines = []
    for row in rows_of("domains"):
        read = "mlp" if row["claim"].split("/")[1] != "attributes" else "decoded"
        if row["condition"]["probe"] == read or row["claim"].endswith(("variance", "caption_truth")):
            what = row["claim"].removeprefix("domains/").replace("/", ": ").replace("_", " ")
            how = READERS[row["condition"]["probe"]]
            lines.append((row["scene"], what, how, f"{row['measured']:.3g}", row["condition"]["unit"]))
    return table(("scene", "latent: attribute", "how", "error", "unit"), lines)


def translation() -> str:
    """How many times fewer matched scenes each model needs than `tr`, and how aligned it is."""
    rows, lines = rows_of("translation"), []
    for row in rows:
        if row["metric"] == "ratio":
            model, about = row["claim"].removeprefix("translation/label_efficiency/"), row["condition"]
            ratio = f"{row['measured']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
            ratio = "> " * bool(about.get("at_least")) + "< " * bool(about.get("at_most")) + ratio
            published = "4 to 7" if row["published"] else ""
            lines.append((row["scene"], model, about["of"].replace("->", " to "), ratio, published))
    return table(("scene", "model", "translation", "times fewer pairs than tr (interval)", "published"), lines)


TABLES: dict[str, Callable[[], str]] = {
    "noise": noise, "throughput": throughput, "domains": domains, "translation": translation,
}  # fmt: skip


def fill(text: str) -> str:
    """The README with every table made anew."""
    pattern = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", text)


if __name__ == "__main__":
    filled = fill(README.read_text())
    write_atomically(README, lambda path: path.write_text(filled))
