"""Does attention keep the workspace right when modalities are drowned in noise, or when sensors fail?

    python benchmarks/noise_robustness.py

Observations come from the running environments (episode beginnings and random rollouts), split by episode. A classifier
of the scene's three-class task reads clean workspace vectors; then one modality of every sample is corrupted in its
latent, o + k C with k ~ N(0, sigma^2), C ~ N(0, I) drawn once ("fixed") or for each sample ("random"). Methods:

    constant   the one modality that does best on the validation split, always
    none       the even mean of all modalities
    one_step   key-query attention, the query from a fixed random vector, trained on the task, as published
    two_step   the same with a second query from the first pass's workspace vector, as published
    best       the attention that the shipped weights call best, trained without labels to restore the clean z while
               noise in random directions and failing sensors corrupt up to all modalities but one
    oracle     the even mean of the uncorrupted modalities: knows what no method knows

`--preset full` retrains the workspace for every seed and goes on to sensors that fail (`noise_sensors.py`). Published
figures are those of the talk behind the project (three shapes, image + attributes, sigma not told).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import noise_sensors
from benchmarks.common import Cells, Row, figure, interval, make_row, table, write_summary
from benchmarks.engines import Sweep, Task
from benchmarks.noise_study import (
    NOISES,
    PLAIN,
    SEARCHED,
    SETS,
    SIGMAS,
    Size,
    Study,
    fusion_weights,
    study_at,
    task_of,
)
from gw_agents.checkpoint import fingerprint
from gw_agents.command import run_command
from gw_agents.learning.attention import SelectionConfig
from gw_agents.workspace.attention import PRESETS
from gw_envs.assets import asset_path
from gw_envs.observation import MODALITIES

TRAINED = ("one_step", "two_step", "best")
FURTHER = (
    "three_step",
    "five_step",
    "five_step_sum",
    "one_step_fused",
    "five_step_fused",
    "one_step_cosine",
    "demi_cycle",
    "agreement",
)
"""Other members of the family, compared in the full form."""
LEVELS = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Edges of the bins of |k| in which attention weights are averaged."""
PUBLISHED = {("fixed", "none"): 0.33, ("random", "one_step"): 0.37, ("random", "two_step"): 0.89}
REDRAWS = {False: "classifier, attention, noise", True: "workspace, classifier, attention, noise"}
"""What a seed draws anew, without and with workspaces of its own."""

SIZES = {
    "quick": Size(3, 3000, SelectionConfig(steps=500, batch_size=256)),
    "full": Size(5, 4000, SelectionConfig(steps=1000, batch_size=256), workspace_steps=2000),
}


@dataclass(frozen=True)
class Arguments:
    """Accuracy under noise and failing sensors, with and without attention."""

    scene: Literal["simple_shapes", "factory", "both"] = "both"
    """Which scene."""
    preset: Literal["quick", "full"] = "quick"
    """How much is done: latent noise in minutes, or everything in hours."""
    seeds: int | None = None
    """Runs; the preset's by default."""
    weights: Path | None = None
    """Folder with a subfolder for each scene; the shipped weights by default."""
    out: Path = Path("results")
    """Where results go. The same command again goes on where it was."""
    sweep: tyro.conf.OmitArgPrefixes[Sweep] = field(default_factory=Sweep)
    """Where cells are computed."""


def measure(
    study: Study, present: tuple[str, ...], method: str, train: str, seed: int
) -> dict[str, Any]:
    """One cell: {"accuracy": {test noise: {sigma: accuracy}}, "weights": {test noise: [per bin of |k|]}}."""
    learned = MODALITIES if train == "everything" else present
    attention = None if method in PLAIN else study.attention(method, learned, train, seed)
    found: dict[str, Any] = {"accuracy": {}, "weights": {}}
    for noise in NOISES:
        found["accuracy"][noise] = {}
        levels, trusts = [], []
        for sigma in SIGMAS:
            batch = study.corrupted("test", present, noise, sigma, seed)
            held = partial(study.corrupted, "validation", present, noise, sigma, seed)
            weights = fusion_weights(
                study, attention or method, batch.latents, batch.is_corrupted, seed, held
            )
            found["accuracy"][noise][f"{sigma:g}"] = study.accuracy(
                batch.latents, "test", weights, seed
            )
            if attention is not None and weights is not None:
                levels.append(batch.noise_scale[batch.is_corrupted])
                trusts.append(weights[batch.is_corrupted])
        if levels:
            trust, bins = torch.cat(trusts), np.digitize(torch.cat(levels).numpy(), LEVELS[1:])
            found["weights"][noise] = [
                float(trust[torch.from_numpy(bins == b)].mean()) for b in range(len(LEVELS))
            ]
    return found


def compute(
    seeds: Sequence[int],
    place: tuple[Any, ...],
    key: "Key",
    methods: Sequence[str],
    known: Any = (),
) -> list[dict[str, Any]]:
    """The figures of a condition for each seed; `known` is what the searches for `methods` came to."""
    study = study_at(place, methods, known)
    return [measure(study, SETS[key[0]], key[1], key[2], seed) for seed in seeds]


Key = tuple[str, str, str, str]
"""Set of modalities, method, what it was trained on, and the workspace's networks ("layer_norm" or "published")."""


def conditions(full: bool) -> list[Key]:
    """Every cell of a seed."""
    published = list(product(("one_step", "two_step"), NOISES))
    known = [(method, "clean") for method in PLAIN] + [("best", "everything"), *published]
    found = [(name, *rest, "layer_norm") for name in SETS for rest in known]
    if full:
        further = [(method, "random") for method in FURTHER]
        further += [("two_step", f"random at {sigma:g}") for sigma in SIGMAS[1:]]
        slides = [("none", "clean"), ("oracle", "clean"), *published]
        found += [("image+attributes", *rest, "layer_norm") for rest in further]
        found += [("image+attributes", *rest, "published") for rest in slides]
    return found


Found = dict[Key, list[dict[str, Any]]]
"""The figures of each seed."""


def run_scene(arguments: Arguments, scene: str, cells: Cells) -> tuple[list[Row], Found]:
    """All cells of a scene, and their rows."""
    size = SIZES[arguments.preset]
    if arguments.seeds is not None:
        size = replace(size, seeds=arguments.seeds)
    folder, full = (arguments.weights or asset_path("weights")) / scene, bool(size.workspace_steps)
    hashes = "-".join(
        fingerprint(folder / f"{name}.safetensors")[:8] for name in ("workspace", "attention")
    )
    inputs = f"{hashes}-{replace(size, seeds=0)}"
    study = study_at((scene, folder, size, arguments.out, inputs, False))
    plain = study_at((scene, folder, size, arguments.out, f"{inputs}-published", True))
    found: Found = {key: [] for key in conditions(full)}
    keys, tasks = list(found) * size.seeds, []
    for row, key in enumerate(keys):
        condition = dict(zip(("modalities", "method", "train"), key, strict=False))
        own = plain if key[3] == "published" else study
        methods = (key[1],) if key[1] not in PLAIN and key[2] in SEARCHED else ()
        seed, arguments_of = row // len(found), (own.place, key, methods)
        after = noise_sensors.searches(own, methods)
        tasks.append(Task(scene, condition, [seed], own.inputs, compute, arguments_of, after))
    for key, metrics in zip(
        keys, arguments.sweep.compute(cells, tasks, f"{scene} cells"), strict=True
    ):
        found[key] += metrics
    rows = rows_of(study, found)
    if full:
        rows += noise_sensors.run_scene(study, arguments.sweep, cells, arguments.out)
    return rows, found


def rows_of(study: Study, found: Found) -> list[Row]:
    """A row for every method, noise and sigma; and how far the best is from the oracle, paired by seed."""
    rows, redraws = [], REDRAWS[bool(study.size.workspace_steps)]
    for (modalities, method, train, networks), runs in found.items():
        preset = PRESETS.get(str(study.gw.best) if method == "best" else method, {})
        query = preset.get("first_query", "random") if preset.get("steps") else None
        for noise, sigma in product(NOISES, SIGMAS):
            condition = {
                "train": train,
                "test": noise,
                "sigma": sigma,
                "query": query,
                "modalities": list(SETS[modalities]),
                "task": study.task,
                "networks": networks,
            }
            values = [run["accuracy"][noise][f"{sigma:g}"] for run in runs]
            slides = (
                study.scene == "simple_shapes" and modalities == "image+attributes" and sigma >= 10
            )
            published = PUBLISHED.get((noise, method)) if slides else None
            claim = f"noise/{noise}/{method}"
            rows.append(
                make_row(claim, study.scene, condition, "accuracy", values, redraws, published)
            )
            if method == "best":
                oracle = [
                    run["accuracy"][noise][f"{sigma:g}"]
                    for run in found[modalities, "oracle", "clean", networks]
                ]
                gaps = [o - v for o, v in zip(oracle, values, strict=True)]
                rows.append(
                    make_row(claim, study.scene, condition, "oracle_minus_best", gaps, redraws)
                )
    return rows


def trained_on(method: str, noise: str) -> str:
    """What the curve of a method is trained on in the picture of a noise."""
    return {"best": "everything"}.get(method, noise if method in TRAINED else "clean")


def picture(scene: str, found: Found, path: Path) -> None:
    """Accuracy against noise, and attention on the corrupted modality against how corrupted it is."""
    colors = dict(
        zip(("constant", "none", "one_step", "two_step", "best", "oracle"), range(6), strict=True)
    )

    def accuracy(axes: Any, noise: str) -> None:
        for method, color in colors.items():
            runs = found["image+attributes", method, trained_on(method, noise), "layer_norm"]
            band = [
                interval([run["accuracy"][noise][f"{sigma:g}"] for run in runs]) for sigma in SIGMAS
            ]
            middle, low, high = np.array(band).T
            style = "--" if method == "oracle" else "-"
            axes.plot(
                range(len(SIGMAS)),
                middle,
                style,
                color=f"C{color}",
                label=method,
                marker="o",
                markersize=3,
            )
            axes.fill_between(
                range(len(SIGMAS)), low, high, color=f"C{color}", alpha=0.2, linewidth=0
            )
        axes.axhline(1 / 3, color="gray", linewidth=0.8, linestyle=":", label="chance")
        axes.set_xticks(range(len(SIGMAS)), [f"{sigma:g}" for sigma in SIGMAS])
        axes.set(
            title=f"{noise} direction",
            xlabel="noise on one modality (sigma)",
            ylabel="accuracy",
            ylim=(0.25, 1.02),
        )
        axes.legend(fontsize=7)

    def trust(axes: Any) -> None:
        for method in TRAINED:
            runs = found["image+attributes", method, trained_on(method, "random"), "layer_norm"]
            trusted = np.array([run["weights"]["random"] for run in runs])
            axes.plot(
                range(len(LEVELS)),
                trusted.mean(0),
                color=f"C{colors[method]}",
                label=method,
                marker="o",
                markersize=3,
            )
            axes.fill_between(
                range(len(LEVELS)),
                trusted.min(0),
                trusted.max(0),
                color=f"C{colors[method]}",
                alpha=0.2,
                linewidth=0,
            )
        axes.axhline(0.5, color="gray", linewidth=0.8, linestyle=":", label="even")
        axes.set_xticks(
            range(len(LEVELS)), [*(f"<{edge:g}" for edge in LEVELS[1:]), f">{LEVELS[-1]:g}"]
        )
        axes.set(
            title="attention",
            xlabel="noise |k| on the modality",
            ylabel="weight on the modality",
            ylim=(0, 1),
        )
        axes.legend(fontsize=7)

    def draw(axes: Any) -> None:
        accuracy(axes[0], "fixed")
        accuracy(axes[1], "random")
        trust(axes[2])
        axes[0].figure.suptitle(f"{scene}: {task_of(scene)} from the workspace, image + attributes")

    figure(path, draw, width=13, height=4.2, columns=3)


def print_table(rows: list[Row]) -> None:
    """The slides' setting first: image + attributes, sigma 10 and 30."""
    lines = []
    for row in rows:
        about = row.condition
        slides = about.get("sigma") in (10.0, 30.0) and len(about["modalities"]) == 2
        if not slides or row.metric != "accuracy" or " at " in about["train"]:
            continue
        published = "" if row.published is None else f"{row.published:.0%}"
        measured = (f"{row.measured:.1%}", f"{row.low:.1%}..{row.high:.1%}", published)
        lines.append(
            (
                row.scene,
                row.claim,
                about["networks"],
                about["train"],
                f"{about['sigma']:g}",
                *measured,
            )
        )
    lines.sort(key=lambda line: (line[0], line[2], line[1].split("/")[1], float(line[4])))
    print(
        table(
            (
                "scene",
                "claim",
                "networks",
                "trained on",
                "sigma",
                "accuracy",
                "interval",
                "published",
            ),
            lines,
        )
    )


def main(arguments: Arguments) -> None:
    """Run, print, draw, write."""
    if arguments.seeds is not None and arguments.seeds < 1:
        raise ValueError(f"--seeds is {arguments.seeds}: run at least one")
    cells = Cells(arguments.out, "noise_robustness")
    rows: list[Row] = []
    pictures = []
    for scene in ("simple_shapes", "factory") if arguments.scene == "both" else (arguments.scene,):
        scene_rows, found = run_scene(arguments, scene, cells)
        rows += scene_rows
        pictures.append(arguments.out / f"noise_robustness_{scene}.png")
        picture(scene, found, pictures[-1])
    print_table(rows)
    print(f"written: {write_summary(arguments.out, 'noise_robustness', rows)}")
    print(f"pictures: {', '.join(map(str, pictures))}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
