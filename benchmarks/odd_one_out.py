"""Odd one out, the task of the papers: three items, of which two share an attribute and one differs in it.

    python benchmarks/odd_one_out.py

The models of `translation.py`, at one number of matched scenes. A judge reads three workspace vectors and says which is
odd: it projects each by one learned matrix and calls odd what is least like the others. It learns from items of one
modality ("image" or "attributes") and is tested on triplets of each modality, and on mixed ones, in which every item
is shown in a modality of its own. Chance is one in three. Triplets come from held-out scenes; all other attributes of
the three differ as chance has it.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.classification import TASKS_OF
from benchmarks.classification import Study as Scenes
from benchmarks.classification import study_at as scenes_at
from benchmarks.common import Cells, Row, figure, interval, make_row, table, write_summary
from benchmarks.compared import MODELS, Shape, compared_at
from benchmarks.engines import Sweep, Task
from benchmarks.translation import SIZES as TRANSLATION_SIZES
from gw_agents.command import say_errors
from gw_agents.fitting import FitConfig, fit, seed_torch
from gw_agents.workspace.model import Workspace, preset_called
from gw_envs.observation import check_modalities

REDRAWS = "workspace, batches, which scenes are matched, triplets, judge"
TRIPLETS = 4000
"""Of each split."""


@dataclass(frozen=True)
class Arguments:
    """Odd one out within and across modalities."""

    scene: Literal["simple_shapes", "factory", "both"] = "both"
    """Which scene."""
    preset: Literal["quick", "full"] = "quick"
    """How much is done. Workspaces that `translation.py` trained into the same folder are not trained again."""
    pairs: int = 500
    """Matched scenes."""
    models: tuple[str, ...] = MODELS
    """Which models, by the names of their losses."""
    modalities: tuple[str, ...] = ("image", "attributes")
    """What the workspaces join: two or three modalities."""
    shape: tyro.conf.OmitArgPrefixes[Shape] = field(default_factory=Shape)
    """What all workspaces have in common."""
    weights: Path | None = None
    """Folder of domain modules with a subfolder for each scene; the shipped ones by default."""
    out: Path = Path("results")
    """Where results go. The same command again goes on where it was."""
    sweep: tyro.conf.OmitArgPrefixes[Sweep] = field(default_factory=Sweep)
    """Where cells are computed."""


def triplets(classes: NDArray[np.int64], count: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """(count, 3) rows of which two share a class and one has another, and (count,) the place of the odd one."""
    known = np.unique(classes)
    members = {label: np.flatnonzero(classes == label) for label in known if (classes == label).sum() > 1}
    shared = rng.choice(list(members), count)
    rows = np.empty((count, 3), np.int64)
    odd = rng.integers(3, size=count)
    for index, label in enumerate(shared):
        other = rng.choice(known[known != label])
        pair = rng.choice(members[label], 2, replace=False)
        stranger = rng.choice(np.flatnonzero(classes == other))
        rows[index] = np.insert(pair, odd[index], stranger)
    return rows, odd


class Judge(nn.Module):
    """Three vectors -> how odd each is."""

    def __init__(self, width: int, projected: int = 8) -> None:
        super().__init__()
        self.project = nn.Linear(width, projected)
        self.log_scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, z: Tensor) -> Tensor:
        """(B, 3, Z) -> (B, 3) scores: minus the likeness to the other two."""
        seen = normalize(self.project(z), dim=-1)
        alike = seen @ seen.mT  # (B, 3, 3)
        return self.log_scale.exp() * (1.0 - alike.sum(-1))


def learn(z: Tensor, odd: Tensor, seed: int) -> Judge:
    """A judge of (N, 3, Z) triplets with (N,) places of the odd one."""
    seed_torch(seed, 7)
    judge = Judge(z.shape[-1])

    def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = torch.randint(len(z), (256,))
        error = cross_entropy(judge(z[rows]), odd[rows])
        return error, {"cross_entropy": error}

    fit(judge, loss, FitConfig(600, 256, 1e-2, warmup=0.05, seed=seed))
    return judge.requires_grad_(False).eval()


@dataclass
class Study:
    """One scene: its models, and triplets."""

    scenes: Scenes

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """The attributes in which one differs."""
        return TASKS_OF[self.scenes.compared.scene]

    def measure(self, workspace: Workspace, seed: int) -> dict[str, dict[str, float]]:
        """{task: {"train->test": accuracy}}, test being a modality or "mixed"."""
        splits = {name: self.scenes.splits[name] for name in ("train", "reset")}
        z = {
            name: torch.stack([workspace.enter(m, rows) for m, rows in split["latents"].items()], 1)  # (N, D, Z)
            for name, split in splits.items()
        }
        modalities = list(splits["train"]["latents"])
        found: dict[str, dict[str, float]] = {}
        for task in self.tasks:
            rng = np.random.default_rng([seed, *task.encode()])
            rows = {name: triplets(split[task], TRIPLETS, rng) for name, split in splits.items()}
            items, odd = rows["reset"]
            shown = {name: np.full(items.shape, column) for column, name in enumerate(modalities)}
            shown["mixed"] = rng.permuted(np.tile(np.arange(3) % len(modalities), (len(items), 1)), axis=1)
            found[task] = {}
            for column, train in enumerate(modalities):
                judge = learn(z["train"][rows["train"][0], column], torch.from_numpy(rows["train"][1]), seed)
                for test, columns in shown.items():
                    right = judge(z["reset"][items, columns]).argmax(-1) == torch.from_numpy(odd)
                    found[task][f"{train}->{test}"] = float(right.float().mean())
        return found


@lru_cache(maxsize=1)
def study_at(place: tuple[Any, ...], episodes: int) -> Study:
    """This process's one study of a scene."""
    return Study(scenes_at(place, episodes))


def compute(
    seeds: Sequence[int], place: tuple[Any, ...], episodes: int, model: str, pairs: int, setting: tuple[float, float]
) -> list[dict[str, Any]]:
    """The figures of each seed's workspace, which are trained together."""
    study = study_at(place, episodes)
    made = study.scenes.compared.workspaces(model, pairs, seeds, setting)
    with torch.no_grad():
        return [study.measure(workspace, seed) for workspace, seed in zip(made, seeds, strict=True)]


Found = dict[str, list[dict[str, dict[str, float]]]]
"""By model, the figures of each seed."""


def run_scene(arguments: Arguments, scene: str, cells: Cells) -> tuple[list[Row], Found]:
    """All cells of a scene and their rows."""
    size, modalities = TRANSLATION_SIZES[arguments.preset], check_modalities(arguments.modalities)
    compared = compared_at((scene, modalities, arguments.shape, size.steps, arguments.out, arguments.weights))
    settings, tasks = compared.settings(arguments.models, arguments.sweep), []
    for model in arguments.models:
        condition = {"model": model, "pairs": arguments.pairs, "modalities": list(modalities)}
        how = f"{compared.inputs(model)}-{settings[model]}-{size.episodes}-{TRIPLETS}"
        arguments_of = (compared.place, size.episodes, model, arguments.pairs, settings[model])
        tasks.append(Task(scene, condition, range(size.seeds), how, compute, arguments_of))
    runs_of = arguments.sweep.compute(cells, tasks, f"{scene} models")
    found, rows = dict(zip(arguments.models, runs_of, strict=True)), []
    for model, runs in found.items():
        for task, ways in runs[0].items():
            for way in ways:
                train, test = way.split("->")
                told = {"task": task, "train": train, "test": test, "pairs": arguments.pairs}
                values = [run[task][way] for run in runs]
                rows.append(make_row(f"odd_one_out/{model}", scene, told, "accuracy", values, REDRAWS))
    return rows, found


def draw(scene: str, found: Found, path: Path) -> None:
    """A panel for each attribute: bars for the same modality, the other one, and mixed triplets."""
    tasks = list(next(iter(found.values()))[0])
    kinds = ("same modality", "other modality", "mixed")

    def mean(run: Mapping[str, float], kind: str) -> float:
        of = {way: value for way, value in run.items() if kind_of(*way.split("->")) == kind}
        return float(np.mean(list(of.values())))

    def paint(axes: Any) -> None:
        for panel, task in zip(np.atleast_1d(axes), tasks, strict=True):
            for place, kind in enumerate(kinds):
                bands = np.array([interval([mean(run[task], kind) for run in runs]) for runs in found.values()])
                at = np.arange(len(found)) + 0.27 * (place - 1)
                errors = np.abs(bands[:, 1:].T - bands[:, 0])
                panel.bar(at, bands[:, 0], 0.25, yerr=errors, color=f"C{place}", label=kind, error_kw={"lw": 0.8})
            panel.axhline(1 / 3, color="gray", linewidth=0.8, linestyle=":")
            panel.set_xticks(range(len(found)), list(found), rotation=60, ha="right", fontsize=7)
            panel.set(title=f"one differs in {task}", ylabel="accuracy", ylim=(0, 1.02))
        np.atleast_1d(axes)[0].legend(fontsize=7, loc="lower left")
        np.atleast_1d(axes)[0].figure.suptitle(f"{scene}: odd one out (dotted: chance)")

    figure(path, paint, width=5.5 * len(tasks), height=4.2, columns=len(tasks))


def kind_of(train: str, test: str) -> str:
    """What a judge is tested on, seen from what it learned from."""
    return "mixed" if test == "mixed" else "same modality" if train == test else "other modality"


def print_table(rows: Sequence[Row]) -> None:
    """A line for each model and attribute."""
    groups: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for row in rows:
        key = (row.scene, row.condition["task"], row.claim.split("/")[1])
        kind = kind_of(row.condition["train"], row.condition["test"])
        groups.setdefault(key, {}).setdefault(kind, []).append(row.measured)
    kinds = ("same modality", "other modality", "mixed")
    lines = [(*key, *(f"{np.mean(of[kind]):.1%}" for kind in kinds)) for key, of in groups.items()]
    print(table(("scene", "differs in", "model", *kinds), lines))


def main(arguments: Arguments) -> None:
    """Run, print, draw, write."""
    if len(check_modalities(arguments.modalities)) < 2:
        raise ValueError(f"--modalities {arguments.modalities[0]}: a workspace joins at least two")
    for model in arguments.models:
        preset_called(model)
    cells = Cells(arguments.out, "odd_one_out")
    rows: list[Row] = []
    for scene in ("simple_shapes", "factory") if arguments.scene == "both" else (arguments.scene,):
        scene_rows, found = run_scene(arguments, scene, cells)
        rows += scene_rows
        draw(scene, found, arguments.out / f"odd_one_out_{scene}.png")
        print(f"picture: {arguments.out / f'odd_one_out_{scene}.png'}")
    print_table(rows)
    print(f"written: {write_summary(arguments.out, 'odd_one_out', rows)}")


if __name__ == "__main__":
    say_errors(lambda: main(tyro.cli(Arguments, description=__doc__)))
