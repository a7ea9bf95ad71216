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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import compared
from benchmarks.classification import Study, study_at
from benchmarks.common import Cells, Row, bars, figure, make_row, table, write_summary
from benchmarks.engines import Task
from benchmarks.translation import SIZES as TRANSLATION_SIZES
from gw_agents.command import run_command
from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_agents.workspace.model import Workspace

REDRAWS = f"{compared.REDRAWS}, triplets, judge"
TRIPLETS = 4000
"""Of each split."""


@dataclass(frozen=True)
class Arguments(compared.Arguments):
    """Odd one out within and across modalities."""

    pairs: int = 500
    """Matched scenes."""


def triplets(
    classes: NDArray[np.int64], count: int, rng: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """(count, 3) rows of which two share a class and one has another, and (count,) the place of the odd one."""
    known = np.unique(classes)
    members = {
        label: np.flatnonzero(classes == label) for label in known if (classes == label).sum() > 1
    }
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


def measure(study: Study, workspace: Workspace, seed: int) -> dict[str, dict[str, float]]:
    """{task: {"train->test": accuracy}}, test being a modality or "mixed"."""
    splits = {name: study.splits[name] for name in ("train", "reset")}
    z = {
        name: torch.stack(
            [workspace.enter(m, rows) for m, rows in split["latents"].items()], 1
        )  # (N, D, Z)
        for name, split in splits.items()
    }
    modalities = list(splits["train"]["latents"])
    found: dict[str, dict[str, float]] = {}
    for task in study.tasks:
        rng = np.random.default_rng([seed, *task.encode()])
        rows = {name: triplets(split[task], TRIPLETS, rng) for name, split in splits.items()}
        items, odd = rows["reset"]
        shown = {name: np.full(items.shape, column) for column, name in enumerate(modalities)}
        shown["mixed"] = rng.permuted(
            np.tile(np.arange(3) % len(modalities), (len(items), 1)), axis=1
        )
        found[task] = {}
        for column, train in enumerate(modalities):
            judge = learn(
                z["train"][rows["train"][0], column], torch.from_numpy(rows["train"][1]), seed
            )
            for test, columns in shown.items():
                right = judge(z["reset"][items, columns]).argmax(-1) == torch.from_numpy(odd)
                found[task][f"{train}->{test}"] = float(right.float().mean())
    return found


@torch.no_grad()
def compute(
    seeds: Sequence[int],
    place: tuple[Any, ...],
    episodes: int,
    model: str,
    pairs: int,
    setting: tuple[float, float],
) -> list[dict[str, Any]]:
    """The figures of each seed's workspace, which are trained together."""
    study = study_at(place, episodes)
    made = study.compared.workspaces(model, pairs, seeds, setting)
    return [measure(study, workspace, seed) for workspace, seed in zip(made, seeds, strict=True)]


Found = dict[str, list[dict[str, dict[str, float]]]]
"""By model, the figures of each seed."""


def run_scene(arguments: Arguments, scene: str, cells: Cells) -> tuple[list[Row], Found]:
    """All cells of a scene and their rows."""
    size = TRANSLATION_SIZES[arguments.preset]
    models = arguments.compared(scene, size.steps)
    settings, tasks = models.settings(arguments.models, arguments.sweep), []
    for model in arguments.models:
        condition = {
            "model": model,
            "pairs": arguments.pairs,
            "modalities": list(models.modalities),
        }
        how = f"{models.inputs(model)}-{settings[model]}-{size.episodes}-{TRIPLETS}"
        arguments_of = (models.place, size.episodes, model, arguments.pairs, settings[model])
        tasks.append(Task(scene, condition, range(size.seeds), how, compute, arguments_of))
    runs_of = arguments.sweep.compute(cells, tasks, f"{scene} models")
    found, rows = dict(zip(arguments.models, runs_of, strict=True)), []
    for model, runs in found.items():
        for task, ways in runs[0].items():
            for way in ways:
                train, test = way.split("->")
                told = {"task": task, "train": train, "test": test, "pairs": arguments.pairs}
                values = [run[task][way] for run in runs]
                rows.append(
                    make_row(f"odd_one_out/{model}", scene, told, "accuracy", values, REDRAWS)
                )
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
            groups = {
                kind: [[mean(run[task], kind) for run in runs] for runs in found.values()]
                for kind in kinds
            }
            bars(panel, list(found), groups)
            panel.axhline(1 / 3, color="gray", linewidth=0.8, linestyle=":")
            panel.set_title(f"one differs in {task}")
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
    arguments.check()
    cells = Cells(arguments.out, "odd_one_out")
    rows: list[Row] = []
    for scene in arguments.scenes():
        scene_rows, found = run_scene(arguments, scene, cells)
        rows += scene_rows
        draw(scene, found, arguments.out / f"odd_one_out_{scene}.png")
        print(f"picture: {arguments.out / f'odd_one_out_{scene}.png'}")
    print_table(rows)
    print(f"written: {write_summary(arguments.out, 'odd_one_out', rows)}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
