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

from benchmarks.harness.cells import EXPECTED
from benchmarks.harness.tables import markdown as table
from gw_envs.files import write_atomically
from gw_envs.observation import MODALITIES

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
        slides = condition.get("sigma") == 10.0 and len(condition["modalities"]) == 2
        if not slides or row["metric"] != "accuracy" or " at " in condition["train"]:
            continue
        further = row["claim"].split("/")[2] not in (
            "constant",
            "none",
            "one_step",
            "two_step",
            "best",
            "oracle",
        )
        if further or (
            row["scene"] == "factory"
            and condition["train"] not in ("clean", "everything", condition["test"])
        ):
            continue  # beside the talk's scene, the rows of attention trained on the other noise
        published = "" if row["published"] is None else f"{row['published']:.0%}"
        measured = f"{row['measured']:.1%} ({row['low']:.1%} to {row['high']:.1%})"
        _, noise, method = row["claim"].split("/")
        networks = condition.get("networks", "published").replace("layer_norm", "ours")
        lines.append(
            (
                row["scene"],
                networks,
                noise,
                method.replace("_", " "),
                condition["train"],
                measured,
                published,
            )
        )
    lines.sort(key=lambda line: (line[0] == "factory", line[1], line[2]))
    return table(
        ("scene", "networks", "noise", "method", "trained on", "accuracy (interval)", "published"),
        lines,
    )


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
    "ppo/simple_shapes/nature_cnn": "PPO on Simple Shapes images through the workspace, by NatureCNN end to end",
    "ppo/simple_shapes/raw_cnn": "the same, by the encoder `raw` end to end",
    "ppo/simple_shapes/extractor": "the same, by the workspace's encoder inside the policy",
    "ppo/factory/nature_cnn": "PPO on Factory images through the workspace, by NatureCNN end to end",
    "ppo/factory/raw_cnn": "the same, by the encoder `raw` end to end",
    "ppo/factory/extractor": "the same, by the workspace's encoder inside the policy",
    "training/stacked": "training five workspaces in a stack, by one after the other",
}
"""What is measured by what, for the claims that the README shows."""


def throughput() -> str:
    """Ratios measured side by side in one run."""
    lines = []
    for row in rows_of("throughput"):
        what = SPEEDS.get(row["claim"].removeprefix("throughput/"))
        if row["metric"] == "ratio" and what:
            about = dict(row["condition"])
            del about["ours"], about["baseline"]
            condition = ", ".join(f"{name} {value}" for name, value in about.items())
            middle, low, high = (
                f"{x:,.0f}" if x >= 100 else f"{x:.3g}"
                for x in (row["measured"], row["low"], row["high"])
            )
            ratio = f"{middle} ({low} to {high})"
            lines.append((what, condition, ratio))
    return table(("ours, by what", "condition", "times as fast (range)"), lines)


def domains() -> str:
    """What an MLP reads from each latent."""
    lines = []
    for row in rows_of("domains"):
        read = "mlp" if row["claim"].split("/")[1] != "attributes" else "decoded"
        if row["condition"]["probe"] == read or row["claim"].endswith(
            ("variance", "caption_truth")
        ):
            what = row["claim"].removeprefix("domains/").replace("/", ": ").replace("_", " ")
            how = READERS[row["condition"]["probe"]]
            lines.append(
                (row["scene"], what, how, f"{row['measured']:.3g}", row["condition"]["unit"])
            )
    return table(("scene", "latent: attribute", "how", "error", "unit"), lines)


def translation() -> str:
    """How many times fewer matched scenes each model needs than `tr`."""
    lines = []
    for row in rows_of("translation"):
        about = row["condition"]
        if row["metric"] == "ratio" and len(about["modalities"]) == 2:
            model = row["claim"].removeprefix("translation/label_efficiency/")
            ratio = f"{row['measured']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
            ratio = "> " * bool(about.get("at_least")) + "< " * bool(about.get("at_most")) + ratio
            published = "4 to 7" if row["published"] else ""
            way = about["of"].replace("->", " to ")
            lines.append(
                (row["scene"], about["width"], f"{about['steps']:,}", model, way, ratio, published)
            )
    lines.sort(key=lambda line: (line[0] == "factory", line[1]))
    headers = (
        "scene",
        "z",
        "steps",
        "model",
        "translation",
        "times fewer pairs than tr (interval)",
        "published",
    )
    return table(headers, [line for line in lines if line[3] != "tr"])


def shown(rows: list[dict[str, Any]], **wanted: Any) -> str:
    """Mean and interval of the row whose condition holds what is wanted; empty if there is none."""
    for row in rows:
        if wanted.items() <= row["condition"].items():
            return f"{row['measured']:.1%} ({row['low']:.1%} to {row['high']:.1%})"
    return ""


def sensors() -> str:
    """Accuracy while sensors fail, and what each method costs."""
    rows, lines = rows_of("noise_robustness"), []
    pair, every = ["image", "attributes"], ["image", "attributes", "language"]
    methods = dict.fromkeys(
        row["claim"].split("/")[2] for row in rows if row["claim"].startswith("noise/cost/")
    )
    for scene in dict.fromkeys(row["scene"] for row in rows):
        for method in methods:
            of = {
                part: [
                    r
                    for r in rows
                    if r["scene"] == scene and r["claim"] == f"noise/{part}/{method}"
                ]
                for part in ("sensor/all", "several", "cost")
            }
            cost = {row["metric"]: row["measured"] for row in of["cost"]}
            if not cost:
                continue
            lines.append(
                (
                    scene,
                    method.replace("_", " "),
                    shown(of["sensor/all"], severity=1.0, modalities=pair),
                    shown(of["sensor/all"], severity=1.0, modalities=every),
                    shown(of["several"], at_once=2, corruption="10"),
                    shown(of["several"], at_once=2, corruption="sensors"),
                    f"{cost['parameters']:,.0f}",
                    f"{cost['milliseconds']:.2f}",
                )
            )
    headers = (
        "scene",
        "method",
        "one of two sensors fails",
        "one of three",
        "two of three in noise",
        "two of three fail",
        "numbers learned",
        "ms a decision",
    )
    return table(headers, lines)


def classification() -> str:
    """Classes read from z of one modality and of the other."""
    rows, lines = rows_of("classification"), []
    for scene, task in dict.fromkeys((row["scene"], row["condition"]["task"]) for row in rows):
        for model in dict.fromkeys(
            row["claim"].split("/")[2] for row in rows if row["claim"].count("/") == 2
        ):
            of = [
                (
                    row["claim"].split("/")[1],
                    row["condition"]["train"] == row["condition"]["test"],
                    row["measured"],
                )
                for row in rows
                if (row["scene"], row["condition"]["task"], row["condition"]["test_on"])
                == (scene, task, "reset")
                and row["claim"].endswith(f"/{model}")
                and row["condition"].get("pairs") in (0, 1500)
            ]
            if of:
                kinds = (("linear", True), ("linear", False), ("zero_shot", False))
                means = [
                    [value for kind, same, value in of if (kind, same) == wanted]
                    for wanted in kinds
                ]
                lines.append(
                    (scene, task, model, *(f"{sum(m) / len(m):.1%}" if m else "" for m in means))
                )
    return table(
        ("scene", "task", "model", "probe, same modality", "probe, other modality", "zero-shot"),
        lines,
    )


def odd_one_out() -> str:
    """Accuracy of the odd one out, by what it is tested on."""
    rows = rows_of("odd_one_out")
    found: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for row in rows:
        train, test = row["condition"]["train"], row["condition"]["test"]
        kind = "mixed" if test == "mixed" else "same" if test == train else "other"
        key = (row["scene"], row["condition"]["task"], row["claim"].split("/")[1])
        found.setdefault(key, {}).setdefault(kind, []).append(row["measured"])
    lines = [
        (*key, *(f"{sum(of[k]) / len(of[k]):.1%}" for k in ("same", "other", "mixed")))
        for key, of in found.items()
    ]
    return table(
        ("scene", "differs in", "model", "same modality", "other modality", "mixed"), lines
    )


def control() -> str:
    """Success of agents on what they were trained on and on other modalities."""
    rows, lines = rows_of("control"), []
    agents = dict.fromkeys(
        (row["scene"], row["condition"]["encoder"], row["condition"]["train"]) for row in rows
    )
    for scene, encoder, train in sorted(
        agents, key=lambda agent: (agent[0] == "factory", agent[1] == "raw")
    ):
        about = {"encoder": encoder, "train": train}
        of = [
            row
            for row in rows
            if row["scene"] == scene and about.items() <= row["condition"].items()
        ]
        success = [row for row in of if row["metric"] == "success"]
        steps = [f"{row['measured']:,.0f}" for row in of if row["metric"] == "steps_to_90"]
        tests = (shown(success, test=test) for test in (*MODALITIES, "all"))
        lines.append(
            (scene, encoder, train, str(success[0]["n_seeds"]), *tests, *(steps or ["not reached"]))
        )
    headers = (
        "scene",
        "encoder",
        "trained on",
        "seeds",
        *(f"on {test}" for test in (*MODALITIES, "all")),
    )
    return table((*headers, "steps to 90 %"), lines)


def transfer() -> str:
    """Returns on other modalities than those of the training, as a share of what is learned there."""
    rows, lines = [row for row in rows_of("control") if row["metric"] == "share"], []
    agents = dict.fromkeys(
        (row["scene"], row["condition"]["encoder"], row["condition"]["train"]) for row in rows
    )
    for scene, encoder, train in sorted(agents, key=lambda agent: agent[0] == "factory"):
        of = [row for row in rows if row["scene"] == scene]
        tests = (
            shown(of, encoder=encoder, train=train, test=test) for test in (*MODALITIES, "all")
        )
        lines.append((scene, encoder, train, *tests))
    return table(
        ("scene", "encoder", "trained on", *(f"on {test}" for test in (*MODALITIES, "all"))), lines
    )


def failing() -> str:
    """Success while one of three sensors fails or is not there, of agents trained on all of them."""
    rows = [row for row in rows_of("control") if row["claim"].startswith("control/corrupted/")]
    success, lines = [row for row in rows if row["metric"] == "success"], []
    success.sort(key=lambda row: row["scene"] == "factory")
    for scene, claim in dict.fromkeys((row["scene"], row["claim"]) for row in success):
        of, kind = (
            [row for row in success if (row["scene"], row["claim"]) == (scene, claim)],
            claim.split("/")[2],
        )
        ways = (
            {f"no {lost}": {"missing": lost} for lost in MODALITIES}
            if kind == "missing"
            else {kind: {}}
        )
        for name, about in ways.items():
            values = (shown(of, attention=attention, **about) for attention in ("none", "best"))
            lines.append((scene, name.replace("_", " "), *values))
    return table(("scene", "failure", "even mean", "attention"), lines)


TABLES: dict[str, Callable[[], str]] = {
    "noise": noise,
    "throughput": throughput,
    "domains": domains,
    "translation": translation,
    "sensors": sensors,
    "classification": classification,
    "odd_one_out": odd_one_out,
    "control": control,
    "transfer": transfer,
    "failing": failing,
}


def fill(text: str) -> str:
    """The README with every table made anew."""
    pattern = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", text)


if __name__ == "__main__":
    filled = fill(README.read_text())
    write_atomically(README, lambda path: path.write_text(filled))
