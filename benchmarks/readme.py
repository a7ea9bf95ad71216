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
        published = "" if row["published"] is None else f"{row['published']:.0%}"
        measured = f"{row['measured']:.1%} ({row['low']:.1%} to {row['high']:.1%})"
        _, noise, method = row["claim"].split("/")
        lines.append((row["scene"], noise, method.replace("_", " "), condition["train"], measured, published))
    lines.sort(key=lambda line: (line[0] == "factory", line[1]))
    return table(("scene", "noise", "method", "trained on", "accuracy (interval)", "published"), lines)


def throughput() -> str:
    """Ratios measured side by side in one run."""
    lines = []
    for row in rows_of("throughput"):
        if row["metric"] == "ratio":
            condition = ", ".join(f"{name} {value}" for name, value in row["condition"].items())
            ratio = f"{row['measured']:,.3g} ({row['low']:,.3g} to {row['high']:,.3g})"
            lines.append((row["claim"], condition, ratio))
    return table(("claim", "condition", "ratio (range)"), lines)


def domains() -> str:
    """What an MLP reads from each latent."""
    lines = []
    for row in rows_of("domains"):
        if row["condition"]["probe"] != "linear":
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
