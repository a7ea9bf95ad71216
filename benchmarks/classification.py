"""Is what the workspace learns recognised across modalities? A linear probe and zero-shot classes, from z.

    python benchmarks/classification.py

The models of `translation.py`, at three numbers of matched scenes. A probe (scikit-learn's logistic regression, its
regularisation by cross-validation) reads z of one modality and is tested on z of each; zero-shot, z is given the class
whose mean z of the other modality is nearest by angle. Beside them: the same probe on unimodal latents, which can only
be tested where it was trained, and chance (the most frequent class). Expected from the talk: whatever broadcasts beside
being aligned (`tr+cont`, all four losses, fusion) does better than alignment alone (`cont`, CLIP-like); `tr` and
`tr+cy` are not aligned and need not transfer.
"""

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import compared
from benchmarks.common import Cells, Row, bars, figure, make_row, table, write_summary
from benchmarks.compared import REDRAWS, Compared, compared_at
from benchmarks.engines import Task
from benchmarks.observed import observed
from benchmarks.translation import SIZES as TRANSLATION_SIZES
from gw_agents.command import run_command
from gw_agents.learning.latents import encode_rows
from gw_agents.workspace.model import Workspace
from gw_envs.labels import CLASS_LABELS

TASKS_OF = {"simple_shapes": ("shape",), "factory": ("color family", "region")}
PAIRS = {"quick": (500, 5000), "full": (200, 500, 1500)}
STRENGTHS = 6
"""Values of C among which cross-validation chooses, log-spaced from 1e-3 to 1e4."""


@dataclass(frozen=True)
class Arguments(compared.Arguments):
    """Classes read from the workspace, within and across modalities."""


@dataclass
class Study:
    """One scene: its models, and the observations that are classified, encoded once."""

    compared: Compared
    episodes: int

    @cached_property
    def splits(self) -> dict[str, dict[str, Any]]:
        """{"train", "reset", "rollout": {"latents": {modality: (N, L_d)}, task: (N,) classes}}; the last two held out.

        The probe learns from episode beginnings and rollouts of the validation split: no workspace saw any of them.
        """
        fitted = observed(self.compared.scene, "validation", self.episodes)
        names = [*self.compared.domains, "attributes"]
        whole = {name: np.concatenate([part[name] for part in fitted.values()]) for name in names}
        rows = {"train": whole, **observed(self.compared.scene, "test", self.episodes)}
        return {name: self._split(shown) for name, shown in rows.items()}

    def _split(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        tasks = {task: CLASS_LABELS[self.compared.scene][task](shown["attributes"]) for task in self.tasks}
        return {"latents": encode_rows(self.compared.domains, shown), **tasks}

    @property
    def tasks(self) -> tuple[str, ...]:
        """What is told apart."""
        return TASKS_OF[self.compared.scene]


@lru_cache(maxsize=1)
def study_at(place: tuple[Any, ...], episodes: int) -> Study:
    """This process's one study of a scene."""
    return Study(compared_at(place), episodes)


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
    return [
        measure(study, workspace)
        for workspace in study.compared.workspaces(model, pairs, seeds, setting)
    ]


def compute_floor(
    seeds: Sequence[int], place: tuple[Any, ...], episodes: int, what: str
) -> list[dict[str, Any]]:
    """What there is without a workspace: the "unimodal" latents, or "chance"."""
    study = study_at(place, episodes)
    return [measure(study, None) if what == "unimodal" else chance(study) for _ in seeds]


def probe(inputs: NDArray, classes: NDArray) -> Any:
    """Logistic regression of standardised inputs, to convergence; (N, L), (N,) -> something with a `score`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    found = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(Cs=np.logspace(-3, 4, STRENGTHS), cv=3, max_iter=3000, tol=1e-4),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return found.fit(inputs, classes)


def unit(rows: NDArray) -> NDArray:
    """Rows of length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def zero_shot(prototypes: NDArray, known: NDArray, rows: NDArray, classes: NDArray) -> float:
    """Accuracy of the nearest class mean: (N, Z) z of one modality with (N,) classes, (M, Z) of another with theirs."""
    means = np.stack([unit(prototypes)[known == label].mean(0) for label in np.unique(known)])
    return float((np.unique(known)[(unit(rows) @ unit(means).T).argmax(-1)] == classes).mean())


@torch.no_grad()
def measure(study: Study, workspace: Workspace | None) -> dict[str, Any]:
    """{task: {"linear" or "zero_shot": {"train->test": {"reset" or "rollout": accuracy}}}}; None reads the latents."""
    splits = study.splits
    z: dict[str, dict[str, NDArray]] = {
        name: {
            modality: (rows if workspace is None else workspace.enter(modality, rows)).numpy()
            for modality, rows in split["latents"].items()
        }
        for name, split in splits.items()
    }
    found: dict[str, Any] = {}
    for task in study.tasks:
        found[task] = {"linear": {}, "zero_shot": {}}
        for train in z["train"]:
            fitted, known = probe(z["train"][train], splits["train"][task]), splits["train"][task]
            for test in z["train"]:
                if workspace is None and test != train:
                    continue
                scores = {
                    on: float(fitted.score(z[on][test], splits[on][task]))
                    for on in ("reset", "rollout")
                }
                found[task]["linear"][f"{train}->{test}"] = scores
                if test != train:
                    found[task]["zero_shot"][f"{train}->{test}"] = {
                        on: zero_shot(z["train"][train], known, z[on][test], splits[on][task])
                        for on in scores
                    }
    return found


def chance(study: Study) -> dict[str, dict[str, float]]:
    """{task: {"reset" or "rollout": frequency of the most frequent class}}."""

    def frequency(classes: NDArray) -> float:
        return float(np.bincount(classes).max() / len(classes))

    return {
        task: {on: frequency(study.splits[on][task]) for on in ("reset", "rollout")}
        for task in study.tasks
    }


Found = dict[tuple[str, int], list[dict[str, Any]]]
"""By model and number of pairs (0 for unimodal latents), the figures of each seed."""


def run_scene(arguments: Arguments, scene: str, cells: Cells) -> list[Row]:
    """All cells of a scene, its rows and its picture."""
    size = TRANSLATION_SIZES[arguments.preset]
    models = arguments.compared(scene, size.steps)
    settings = models.settings(arguments.models, arguments.sweep)
    shared = {"modalities": list(models.modalities)}
    inputs = f"{models.inputs('tr').split('-')[0]}-{size.episodes}"
    floors = [
        Task(
            scene,
            {**shared, "model": what},
            [0],
            inputs,
            compute_floor,
            (models.place, size.episodes, what),
        )
        for what in ("unimodal", "chance")
    ]
    keys, tasks = list(product(PAIRS[arguments.preset], arguments.models)), []
    for pairs, model in keys:
        rate, decay = settings[model]
        condition = {
            **shared,
            "model": model,
            "pairs": pairs,
            "learning_rate": rate,
            "decay": decay,
        }
        how = f"{models.inputs(model)}-{size.episodes}"
        arguments_of = (models.place, size.episodes, model, pairs, settings[model])
        tasks.append(Task(scene, condition, range(size.seeds), how, compute, arguments_of))
    alone, (floor,), *runs = arguments.sweep.compute(
        cells, [*floors, *tasks], f"{scene} pairs x models"
    )
    found = {(model, pairs): run for (pairs, model), run in zip(keys, runs, strict=True)} | {
        ("unimodal", 0): alone
    }
    rows = rows_of(scene, models.modalities, found)
    tasks_told = TASKS_OF[scene]
    for task, on in product(tasks_told, ("reset", "rollout")):
        told = {"task": task, "test_on": on}
        rows.append(
            make_row("classification/chance", scene, told, "accuracy", [floor[task][on]], "nothing")
        )
    draw(scene, tasks_told, found, floor, arguments.out / f"classification_{scene}.png")
    print(f"picture: {arguments.out / f'classification_{scene}.png'}")
    return rows


def rows_of(scene: str, modalities: Sequence[str], found: Found) -> list[Row]:
    """A row for every figure."""
    rows = []
    for (model, pairs), runs in found.items():
        for task, kinds in runs[0].items():
            for kind, ways in kinds.items():
                for way, on in product(ways, ("reset", "rollout")):
                    train, test = way.split("->")
                    condition = {
                        "task": task,
                        "train": train,
                        "test": test,
                        "pairs": pairs,
                        "test_on": on,
                        "modalities": list(modalities),
                    }
                    values = [run[task][kind][way][on] for run in runs]
                    claim = f"classification/{kind}/{model}"
                    rows.append(make_row(claim, scene, condition, "accuracy", values, REDRAWS))
    return rows


def across(run: Mapping[str, Any], task: str, kind: str, same: bool) -> float:
    """Mean accuracy on episode beginnings over the ways within one modality, or from one to another."""
    ways = {way: scores["reset"] for way, scores in run[task][kind].items()}
    return float(
        np.mean([score for way, score in ways.items() if (len(set(way.split("->"))) == 1) == same])
    )


def draw(
    scene: str, tasks: Sequence[str], found: Found, floor: Mapping[str, Any], path: Path
) -> None:
    """Accuracy within a modality, across modalities and zero-shot, a group of bars for each model."""
    kinds = (
        ("linear", True, "probe, same modality"),
        ("linear", False, "probe, across"),
        ("zero_shot", False, "zero-shot"),
    )
    numbers = sorted({pairs for _, pairs in found if pairs})
    models = list(dict.fromkeys(model for model, pairs in found if pairs))

    def paint(axes: Any) -> None:
        grid = np.reshape(axes, (len(tasks), len(numbers)))
        for (line, task), (column, pairs) in product(enumerate(tasks), enumerate(numbers)):
            panel = grid[line, column]
            groups = {
                label: [
                    [across(run, task, kind, same) for run in found[model, pairs]]
                    for model in models
                ]
                for kind, same, label in kinds
            }
            bars(panel, models, groups)
            panel.axhline(floor[task]["reset"], color="gray", linewidth=0.8, linestyle=":")
            panel.set_title(f"{task}, {pairs:,} matched scenes")
        grid[0, 0].legend(fontsize=7, loc="lower left")
        grid[0, 0].figure.suptitle(f"{scene}: classes read from z (dotted: chance)")

    figure(
        path,
        paint,
        width=4.6 * len(numbers),
        height=3.6 * len(tasks),
        columns=len(numbers),
        lines=len(tasks),
    )


def print_table(rows: Sequence[Row]) -> None:
    """On episode beginnings: within a modality, across, zero-shot."""
    groups: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for row in rows:
        about = row.condition
        if about["test_on"] != "reset" or "train" not in about:
            continue
        kind, model = row.claim.split("/")[1:]
        what = (
            "zero-shot"
            if kind == "zero_shot"
            else "same"
            if about["train"] == about["test"]
            else "across"
        )
        key = (row.scene, about["task"], f"{about['pairs']:,}", model)
        groups.setdefault(key, {}).setdefault(what, []).append(row.measured)
    columns = ("same", "across", "zero-shot")
    lines = [
        (*key, *(f"{np.mean(of[c]):.1%}" if c in of else "" for c in columns))
        for key, of in groups.items()
    ]
    print(
        table(
            (
                "scene",
                "task",
                "pairs",
                "model",
                "probe, same modality",
                "probe, across",
                "zero-shot",
            ),
            lines,
        )
    )


def main(arguments: Arguments) -> None:
    """Run, print, draw, write."""
    arguments.check()
    cells = Cells(arguments.out, "classification")
    rows: list[Row] = []
    for scene in arguments.scenes():
        rows += run_scene(arguments, scene, cells)
    print_table(rows)
    print(f"written: {write_summary(arguments.out, 'classification', rows)}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
