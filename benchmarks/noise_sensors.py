"""The second half of the noise benchmark: sensors that really fail, and attention used for what it never saw.

Part of `noise_robustness.py --preset full`. For every method and seed: every kind of failure against its severity; two
of three modalities corrupted, and all; attention trained for one task and used for another, without one kind of failure
and used on that one, without one modality and used with it; and what each method costs. Beside the methods of
`noise_robustness.py`:

    none_trained      the even mean, its classifier trained on corrupted workspace vectors
    demi_cycle        no training: trust what the workspace can reconstruct
    agreement         no training: trust what fits the other modalities
    concatenation     no workspace: a network of all latents side by side, trained end to end on the task
    cross_attention   no workspace: a query attends to one token of each modality, trained end to end on the task

All that learn are tried with the same learning rates, and see the same corrupted samples.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.common import Cells, Row, figure, interval, make_row, table
from benchmarks.engines import Sweep, Task
from benchmarks.noise_study import (
    PLAIN,
    SEARCH_SEED,
    SETS,
    SIGMAS,
    Study,
    at_rates,
    fusion_weights,
    study_at,
)
from gw_agents.domains.base import mlp
from gw_agents.learning.attention import SelectionConfig, keeps_right, train_attention
from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_agents.workspace.attention import Attention
from gw_agents.workspace.latent_noise import pick_modalities, replace_rows
from gw_envs.corruption import KINDS
from gw_envs.labels import CLASS_LABELS
from gw_envs.observation import MODALITIES

SEVERITIES = (0.25, 0.5, 0.75, 1.0)
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
END_TO_END = ("concatenation", "cross_attention", "none_trained")
REDRAWS = "workspace, classifier, attention, noise"
NAMES = sorted({kind for kinds in KINDS.values() for kind in kinds})
"""Kinds of failure by name, whatever the modality."""

Judge = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""({modality: (B, L_d)} corrupted latents, (B, D) which are) -> (B,) classes."""


class EndToEnd(nn.Module):
    """Latents of any modalities -> class scores, without a workspace."""

    def __init__(self, method: str, study: Study, seed: int, classes: int) -> None:
        super().__init__()
        self.method, self.workspace = method, study.workspace(seed)
        widths = {name: rows.shape[1] for name, rows in study.data["train"].items()}
        if method == "none_trained":
            self.head = mlp([self.workspace.config.z_width, 64, classes])
        elif method == "concatenation":
            self.widths = widths
            self.head = mlp([sum(widths.values()), 48, classes])
        else:
            self.tokens = nn.ModuleDict(
                {name: mlp([wide, 24, 16]) for name, wide in widths.items()}
            )
            self.query = nn.Parameter(torch.randn(1, 1, 16))
            self.attend = nn.MultiheadAttention(16, 1, batch_first=True)
            self.head = mlp([16, 24, classes])

    def forward(self, latents: Mapping[str, Tensor]) -> Tensor:
        """{modality: (B, L_d)} -> (B, classes)."""
        if self.method == "none_trained":
            return self.head(self.workspace.fuse(self.workspace.encode(latents)))
        count = len(next(iter(latents.values())))
        if self.method == "concatenation":
            parts = [
                latents.get(name, torch.zeros(count, wide)) for name, wide in self.widths.items()
            ]
            return self.head(torch.cat(parts, 1))
        tokens = torch.stack(
            [self.tokens[name](rows) for name, rows in latents.items()], 1
        )  # (B, D, 16)
        found, _ = self.attend(self.query.expand(count, -1, -1), tokens, tokens, need_weights=False)
        return self.head(found.squeeze(1))


def train_end_to_end(
    study: Study, method: str, seed: int, config: SelectionConfig, without: str | None = None
) -> EndToEnd:
    """Trained on the task, on the samples that the best attention learns from."""
    classes, latents = study.classes["train"][study.task], study.data["train"]
    seed_torch(seed, 3)
    module = EndToEnd(method, study, seed, int(classes.max()) + 1)
    damage, subsets = study.everything(config, without), list(SETS.values())

    def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = torch.randint(len(classes), (config.batch_size,))
        present = subsets[int(torch.randint(len(subsets), ()))]
        error = cross_entropy(
            module(damage({name: latents[name][rows] for name in present}, rows)), classes[rows]
        )
        return error, {"cross_entropy": error}

    fit(
        module,
        loss,
        FitConfig(config.steps, config.batch_size, config.learning_rate, warmup=0.05, seed=seed),
    )
    return module.requires_grad_(False).eval()


def tuned(study: Study, method: str, seed: int, without: str | None = None) -> EndToEnd:
    """With the learning rate that did best on the validation split."""
    return train_end_to_end(study, method, seed, study.at_rate(study.rate(method)), without)


def validated(study: Study, method: str, rate: float) -> float:
    """Accuracy on the validation split, on one modality of all in noise, after training with a learning rate."""
    if method not in END_TO_END:
        return study.validated(method, rate)
    module = train_end_to_end(study, method, 0, study.at_rate(rate))
    judge: Judge = lambda latents, hit: module(latents).argmax(-1)  # noqa: E731
    return float(
        np.mean([noisy(study, judge, MODALITIES, sigma, 1, 0, "validation") for sigma in SIGMAS])
    )


def search(seeds: Sequence[int], place: tuple[Any, ...], method: str) -> list[dict[str, float]]:
    """One cell, of a seed of its own: {learning rate: accuracy on the validation split}."""
    study = study_at(place)
    return [at_rates(partial(validated, study, method)) for _ in seeds]


def searches(study: Study, methods: Sequence[str]) -> list[Task]:
    """What must be known before such methods are trained: their learning rates, in the full form."""
    if not study.size.workspace_steps:
        return []
    return [
        Task(
            study.scene,
            {"search": method},
            [SEARCH_SEED],
            study.inputs,
            search,
            (study.place, method),
        )
        for method in methods
    ]


def right(study: Study, found: Tensor, task: str, split: str = "test") -> float:
    """The fraction of (N,) classes that are true."""
    return float((found == study.classes[split][task]).float().mean())


def noisy(
    study: Study,
    judge: Judge,
    present: tuple[str, ...],
    sigma: float,
    at_once: int,
    seed: int,
    split: str = "test",
) -> float:
    """Accuracy under latent noise in random directions."""
    batch = study.corrupted(split, present, "random", sigma, seed, at_once)
    return right(study, judge(batch.latents, batch.is_corrupted), study.task, split)


def learned(study: Study, method: str, seed: int) -> Attention | EndToEnd | str:
    """What a method learned; its name where that is nothing."""
    if method in PLAIN:
        return method
    if method in END_TO_END:
        return tuned(study, method, seed)
    return study.attention(method, MODALITIES, "everything" if method == "best" else "random", seed)


def judge_of(
    study: Study, method: Attention | EndToEnd | str, seed: int, task: str, present: tuple[str, ...]
) -> Judge:
    """How a method, as `learned` gives it, names classes."""
    if isinstance(method, EndToEnd):
        return lambda latents, hit: method(latents).argmax(-1)
    return (
        constant(study, seed, task, present)
        if method == "constant"
        else through(study, method, seed, task)
    )


def through(study: Study, attention: Attention | str, seed: int, task: str) -> Judge:
    """Attention, workspace, classifier."""

    @torch.no_grad()
    def judge(latents: Mapping[str, Tensor], hit: Tensor) -> Tensor:
        workspace = study.workspace(seed)
        weights = fusion_weights(study, attention, latents, hit, seed)
        z = workspace.fuse(workspace.encode(latents), weights)
        return study.classifier(seed, task)(z).argmax(-1)

    return judge


def constant(study: Study, seed: int, task: str, present: tuple[str, ...]) -> Judge:
    """One modality alone, always: the one that is right most often on validation scenes while sensors fail."""

    def alone(name: str) -> Judge:
        even = through(study, "none", seed, task)
        return lambda latents, hit: even({name: latents[name]}, hit)

    def score(name: str) -> float:
        return float(
            np.mean(list(sensors(study, alone(name), present, 1.0, task, "validation").values()))
        )

    return alone(max(present, key=score))


def sensors(
    study: Study,
    judge: Judge,
    present: tuple[str, ...],
    severity: float,
    task: str,
    split: str = "test",
    only: str | None = None,
) -> dict[str, float]:
    """{"modality/kind": accuracy} with that sensor failing in every sample; of every kind, or of `only` one."""
    clean, failures = study.latents(split, present), study.failures(split, severity)
    count, found = len(next(iter(clean.values()))), {}
    for column, name in enumerate(present):
        hit = torch.zeros(count, len(present), dtype=torch.bool)
        hit[:, column] = True
        for row, kind in enumerate(KINDS[name]):
            if only not in (None, kind):
                continue
            shown = {**clean, name: failures[name][row]}
            found[f"{name}/{kind}"] = right(study, judge(shown, hit), task, split)
    return found


def several_sensors(study: Study, judge: Judge, at_once: int, seed: int) -> float:
    """Accuracy with so many of all sensors failing at severity 1, each of a kind of its own."""
    clean, failures = study.latents("test", MODALITIES), study.failures("test", 1.0)
    generator = torch.Generator().manual_seed(seed)
    count = len(next(iter(clean.values())))
    hit, rows = pick_modalities(count, len(clean), at_once, generator), torch.arange(count)
    picked = {
        name: kinds[torch.randint(len(kinds), (count,), generator=generator), rows]
        for name, kinds in failures.items()
    }
    return right(study, judge(replace_rows(clean, picked, hit), hit), study.task)


def measure(study: Study, method: str, seed: int) -> dict[str, Any]:
    """One cell: {"sensors": {set: {severity: {sensor: accuracy}}}, "several": ..., "clean": ..., "cost": ...}."""
    found: dict[str, Any] = {"sensors": {}, "clean": {}}
    module = learned(study, method, seed)
    for name, present in SETS.items():
        judge = judge_of(study, module, seed, study.task, present)
        clean = study.latents("test", present)
        hit = torch.zeros(len(next(iter(clean.values()))), len(present), dtype=torch.bool)
        found["clean"][name] = right(study, judge(clean, hit), study.task)
        found["sensors"][name] = {
            f"{s:g}": sensors(study, judge, present, s, study.task) for s in SEVERITIES
        }
    found["cost"] = cost(study, judge, nn.Module() if isinstance(module, str) else module)
    found["several"] = {
        f"{number}": {
            f"{sigma:g}": noisy(study, judge, MODALITIES, sigma, number, seed)
            for sigma in SIGMAS[2:]
        }
        | {"sensors": several_sensors(study, judge, number, seed)}
        for number in (1, 2, 3)
    }
    return found


def cost(study: Study, judge: Judge, module: nn.Module) -> dict[str, float]:
    """Numbers that were learned for the method alone, and milliseconds for one sample."""
    learned = [child for name, child in module.named_children() if name != "workspace"]
    own = {id(p): p.numel() for child in learned for p in child.parameters()}
    own |= {id(p): p.numel() for p in module.parameters(recurse=False)}
    one = {name: rows[:1] for name, rows in study.latents("test", MODALITIES).items()}
    hit, times = torch.zeros(1, len(one), dtype=torch.bool), []
    for _ in range(200):
        start = time.perf_counter()
        judge(one, hit)
        times.append(time.perf_counter() - start)
    return {"parameters": sum(own.values()), "milliseconds": 1000 * float(np.median(times))}


def training_seconds(study: Study, seed: int) -> dict[str, float]:
    """{method: seconds of one processor} for one training of each method that learns, at a fixed learning rate."""
    found, config = {}, study.size.selection
    study.failures("train"), study.classifier(seed)  # not a part of what is measured
    for method in ("one_step", "two_step", "best", *END_TO_END):
        start = time.process_time()
        if method in END_TO_END:
            train_end_to_end(study, method, seed, config)
        else:
            study.taught(
                method, MODALITIES, "everything" if method == "best" else "random", seed, config
            )
        found[method] = time.process_time() - start
    return found


def overall(study: Study, judge: Judge, task: str) -> float:
    """Mean accuracy over all sensors failing at severity 1, one of all modalities at a time."""
    return float(np.mean(list(sensors(study, judge, MODALITIES, 1.0, task).values())))


def transfer(study: Study, seed: int) -> dict[str, dict[str, float]]:
    """{trained for: {used for: accuracy}}; the best attention's design, and the best itself, which saw no labels."""
    tasks, found = list(CLASS_LABELS[study.scene]), {}
    for train in ("no task", *tasks, "oracle"):
        attention: Attention | str = "oracle"
        if train == "no task":
            attention = study.attention("best", MODALITIES, "everything", seed)
        elif train != "oracle":
            config = study.size.selection
            loss = keeps_right(study.classifier(seed, train), study.classes["train"][train])
            damage = study.everything(config)
            attention = train_attention(
                str(study.gw.best), study.workspace(seed), loss, study.data["train"], seed, damage
            )
        found[train] = {
            task: overall(study, through(study, attention, seed, task), task) for task in tasks
        }
    return found


def unseen(study: Study, seed: int, kind: str) -> dict[str, dict[str, float]]:
    """{method: {sensor: accuracy}} on sensors that fail in a way that was left out of the training."""
    attention = study.attention("best", MODALITIES, "everything", seed, without=kind)
    judges: dict[str, Judge] = {"best": through(study, attention, seed, study.task)}
    module = tuned(study, "cross_attention", seed, kind)
    judges["cross_attention"] = lambda latents, hit: module(latents).argmax(-1)
    judges["oracle"] = through(study, "oracle", seed, study.task)
    return {
        name: sensors(study, judge, MODALITIES, 1.0, study.task, only=kind)
        for name, judge in judges.items()
    }


def unseen_modality(study: Study, seed: int) -> dict[str, dict[str, float]]:
    """{method: {pair: accuracy}}: attention that learned on image and attributes, used with language beside each."""
    found: dict[str, dict[str, float]] = {}
    attention = study.attention("best", ("image", "attributes"), "everything", seed)
    for name, method in (("best", attention), ("none", "none"), ("oracle", "oracle")):
        judge = through(study, method, seed, study.task)
        found[name] = {
            "+".join(present): float(
                np.mean(list(sensors(study, judge, present, 1.0, study.task).values()))
            )
            for present in (("image", "language"), ("attributes", "language"), MODALITIES)
        }
    return found


def compute(
    seeds: Sequence[int],
    place: tuple[Any, ...],
    what: Mapping[str, str],
    methods: Sequence[str],
    known: Any = (),
) -> list[Any]:
    """The figures of a condition, {"sensors": method} or {"part": name}, for each seed.

    `known` is what the searches for the learning rates of `methods` came to.
    """
    study, part = study_at(place, methods, known), what.get("part", "")
    if part.startswith("unseen ") and part != "unseen modality":
        return [unseen(study, seed, part.removeprefix("unseen ")) for seed in seeds]
    if part:
        work = {
            "transfer": transfer,
            "unseen modality": unseen_modality,
            "training seconds": training_seconds,
        }[part]
        return [work(study, seed) for seed in seeds]
    return [measure(study, what["sensors"], seed) for seed in seeds]


def needed(what: Mapping[str, str]) -> tuple[str, ...]:
    """The methods of a condition whose learning rates must be known."""
    if "sensors" in what:
        return () if what["sensors"] in PLAIN else (what["sensors"],)
    known = {"training seconds": (), "transfer": ("best",), "unseen modality": ("best",)}
    return known.get(what["part"], ("best", "cross_attention"))


def run_scene(study: Study, sweep: Sweep, cells: Cells, out: Path) -> list[Row]:
    """All cells of a scene, their rows, tables and picture."""
    seeds = range(study.size.seeds)

    def run(kind: str, names: Sequence[str], label: str) -> dict[str, list[Any]]:
        tasks = []
        for seed, name in product(seeds, names):
            what = {kind: name}
            arguments = (study.place, what, needed(what))
            after = searches(study, needed(what))
            tasks.append(Task(study.scene, what, [seed], study.inputs, compute, arguments, after))
        found: dict[str, list[Any]] = {name: [] for name in names}
        for task, metrics in zip(
            tasks, sweep.compute(cells, tasks, f"{study.scene} {label}"), strict=True
        ):
            found[task.condition[kind]] += metrics
        return found

    found = run("sensors", METHODS, "sensors")
    other = run(
        "part", ["transfer", "unseen modality", *(f"unseen {kind}" for kind in NAMES)], "transfer"
    )
    seconds = run("part", ["training seconds"], "training times")["training seconds"]
    rows = sensor_rows(study, found) + transfer_rows(study, other)
    for method in seconds[0]:
        values = [run[method] for run in seconds]
        rows.append(
            make_row(f"noise/cost/{method}", study.scene, {}, "train_seconds", values, REDRAWS)
        )
    print_tables(study.scene, rows)
    draw(study.scene, found, out / f"noise_sensors_{study.scene}.png")
    return rows


def sensor_rows(study: Study, found: Mapping[str, Sequence[Any]]) -> list[Row]:
    """A row for every figure of every method."""
    rows: list[Row] = []

    def add(claim: str, condition: dict[str, Any], metric: str, values: list[float]) -> None:
        rows.append(make_row(claim, study.scene, condition, metric, values, REDRAWS))

    for method, runs in found.items():
        for name, present in SETS.items():
            about = {"modalities": list(present), "task": study.task}
            add(f"noise/clean/{method}", about, "accuracy", [run["clean"][name] for run in runs])
            for severity in SEVERITIES:
                told, by_run = (
                    about | {"severity": severity},
                    [run["sensors"][name][f"{severity:g}"] for run in runs],
                )
                means = [float(np.mean(list(by_sensor.values()))) for by_sensor in by_run]
                add(f"noise/sensor/all/{method}", told, "accuracy", means)
                for sensor in by_run[0]:
                    modality, kind = sensor.split("/")
                    values = [by_sensor[sensor] for by_sensor in by_run]
                    add(
                        f"noise/sensor/{kind}/{method}",
                        told | {"corrupted": modality},
                        "accuracy",
                        values,
                    )
        for number, figures in runs[0]["several"].items():
            for what in figures:
                told = {
                    "modalities": list(MODALITIES),
                    "task": study.task,
                    "at_once": int(number),
                    "corruption": what,
                }
                add(
                    f"noise/several/{method}",
                    told,
                    "accuracy",
                    [run["several"][number][what] for run in runs],
                )
        for metric in runs[0]["cost"]:
            add(f"noise/cost/{method}", {}, metric, [run["cost"][metric] for run in runs])
    return rows


def transfer_rows(study: Study, other: Mapping[str, Sequence[Any]]) -> list[Row]:
    """A row for every figure of attention used for what it was not trained on."""
    rows = []
    for part, runs in other.items():
        for method, figures in runs[0].items():
            for what in figures:
                values = [run[method][what] for run in runs]
                if part == "transfer":
                    claim, told = (
                        f"noise/transfer/{method}",
                        {"trained_for": method, "used_for": what},
                    )
                elif part == "unseen modality":
                    claim, told = f"noise/unseen/modality/{method}", {"modalities": what.split("+")}
                else:
                    kind = part.removeprefix("unseen ")
                    claim, told = f"noise/unseen/{kind}/{method}", {"corrupted": what.split("/")[0]}
                rows.append(
                    make_row(
                        claim, study.scene, {**told, "severity": 1.0}, "accuracy", values, REDRAWS
                    )
                )
    return rows


def print_tables(scene: str, rows: Sequence[Row]) -> None:
    """The means over sensors, and what transfers."""

    def shown(row: Row) -> str:
        return f"{row.measured:.1%} ({row.low:.1%}..{row.high:.1%})"

    lines = []
    for method in METHODS:
        mine = [row for row in rows if row.claim.endswith(f"/{method}")]
        line = [shown(row) for row in mine if row.claim.startswith("noise/clean")]
        worst = [
            row
            for row in mine
            if row.claim.startswith("noise/sensor/all") and row.condition["severity"] == 1.0
        ]
        two = [
            row
            for row in mine
            if row.claim.startswith("noise/several") and row.condition["at_once"] == 2
        ]
        costs = {row.metric: row.measured for row in mine if row.claim.startswith("noise/cost")}
        line += [shown(row) for row in worst] + [f"{np.mean([row.measured for row in two]):.1%}"]
        line += [
            f"{costs['parameters']:,.0f}",
            f"{costs.get('train_seconds', 0.0):.0f}",
            f"{costs['milliseconds']:.2f}",
        ]
        lines.append((method, *line))
    sets = [f"{what}, {name}" for what in ("clean", "one sensor fails") for name in SETS]
    print(
        f"\n{scene}\n{table(('method', *sets, 'two of three', 'learned', 'seconds', 'ms'), lines)}"
    )
    others = [row for row in rows if row.claim.split("/")[1] in ("transfer", "unseen")]
    told = [
        (row.claim, ", ".join(f"{k} {v}" for k, v in row.condition.items()), shown(row))
        for row in others
    ]
    print(table(("claim", "condition", "accuracy"), told))


def draw(scene: str, found: Mapping[str, Sequence[Any]], path: Path) -> None:
    """Accuracy against severity, a panel for each kind of failure, with all three modalities."""
    panels = list(found["none"][0]["sensors"]["all"]["1"])
    shown = ("none", "two_step", "demi_cycle", "agreement", "best", "cross_attention", "oracle")

    def paint(axes: Any) -> None:
        for panel, sensor in zip(axes.ravel(), panels, strict=False):
            for color, method in enumerate(shown):
                picks = [
                    [
                        run["clean"]["all"],
                        *(run["sensors"]["all"][f"{s:g}"][sensor] for s in SEVERITIES),
                    ]
                    for run in found[method]
                ]
                middle, low, high = np.array(
                    [interval(column) for column in zip(*picks, strict=True)]
                ).T
                style = "--" if method == "oracle" else "-"
                panel.plot((0, *SEVERITIES), middle, style, color=f"C{color}", label=method)
                panel.fill_between(
                    (0, *SEVERITIES), low, high, color=f"C{color}", alpha=0.2, linewidth=0
                )
            panel.set(
                title=sensor.replace("/", ": ").replace("_", " "),
                ylim=(0.25, 1.02),
                xlabel="severity",
            )
        for panel in axes.ravel()[len(panels) :]:
            panel.set_axis_off()
        handles, names = axes.ravel()[0].get_legend_handles_labels()
        axes.ravel()[-1].legend(handles, names, loc="center")
        axes.ravel()[0].figure.suptitle(f"{scene}: accuracy while one of three sensors fails")

    figure(path, paint, width=15, height=8.5, columns=6, lines=3)
    print(f"picture: {path}")
