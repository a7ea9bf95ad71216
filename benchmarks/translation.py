"""What does each loss buy, and with how few matched scenes? Translation through the workspace against their number.

    python benchmarks/translation.py

Seven models (the published six and fusion) and ours are trained on N matched scenes and on the unmatched latents of all
scenes, and judged on held-out scenes, from episode beginnings and from random rollouts. N counts scenes of which every
modality is known (triplets where there are three). A fifth of the N is not learned from: it tells which weights to keep
and which settings. Every model has the same networks, steps, unmatched data and search: the settings in `SEARCH`, each
tried at `SEARCH_PAIRS`, the best by the model's own paired losses on the held-out fifth.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from torch import Tensor
from torch.nn.functional import normalize

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import compared
from benchmarks.common import Cells, Row, write_summary
from benchmarks.compared import SCENES, Compared, compared_at
from benchmarks.engines import Task
from benchmarks.observed import observed
from benchmarks.translation_report import VARIANT, Grid, draw, print_tables, rows_of
from gw_agents.command import run_command
from gw_agents.learning.latents import encode_rows, scene_attributes
from gw_agents.learning.probes import attribute_errors, mlp_probe
from gw_agents.workspace import losses
from gw_agents.workspace.model import Workspace
from gw_envs.language import VOCABULARY, captions_true
from gw_envs.observation import check_modalities

RETRIEVED = 1000
"""Scenes among which the matching one is looked for."""


@dataclass(frozen=True)
class Size:
    """How much is done."""

    seeds: int
    """Workspaces of each model and number of pairs; a seed redraws weights, batches and which scenes are matched."""
    pairs: tuple[int, ...]
    """Numbers of matched scenes."""
    steps: int
    """Optimiser steps of each; the search takes half as many."""
    episodes: int
    """Held-out episode beginnings; rollouts bring as many observations again."""


SIZES = {
    "quick": Size(2, (50, 500, 5000), 300, 1000),
    "full": Size(3, (50, 200, 500, 1500, 5000, 20_000, SCENES), 2500, 2000),
    "long": Size(3, (500, 1500, 5000), 7500, 2000),
}


@dataclass(frozen=True)
class Arguments(compared.Arguments):
    """Translation, alignment and cycles of every model against the number of matched scenes."""

    preset: Literal["quick", "full", "long"] = "quick"  # type: ignore[assignment]
    """How much is done: minutes, hours, or three times the steps at a few numbers of pairs."""
    pairs: tuple[int, ...] | None = None
    """Numbers of matched scenes, if not those of the preset."""

    def check(self) -> None:
        """ValueError, as in every benchmark of these models, and for numbers of pairs that there can't be."""
        super().check()
        if not self.numbers_of_pairs or not all(
            5 <= number <= SCENES for number in self.numbers_of_pairs
        ):
            raise ValueError(
                f"--pairs {self.pairs}: give numbers from 5 to {SCENES:,}, which is all scenes"
            )

    @property
    def numbers_of_pairs(self) -> tuple[int, ...]:
        """Numbers of matched scenes, growing."""
        return tuple(sorted(set(SIZES[self.preset].pairs if self.pairs is None else self.pairs)))


@dataclass
class Study:
    """One scene: its models, its held-out observations, encoded once, and how translations are read."""

    compared: Compared
    episodes: int

    @property
    def scene(self) -> str:
        """Its name."""
        return self.compared.scene

    @cached_property
    def tests(self) -> dict[str, dict[str, Any]]:
        """Held-out observations: episode beginnings and random rollouts, encoded, with their states."""
        shown = observed(self.scene, "test", self.episodes)
        return {
            name: {
                "latents": encode_rows(self.compared.domains, rows),
                "attributes": rows["attributes"],
                "state": rows["state"],
            }
            for name, rows in shown.items()
        }

    @cached_property
    def read_image(self) -> Any:
        """Image latents -> attribute vectors: a probe, since no attributes are drawn in an image."""
        known = torch.from_numpy(scene_attributes(self.scene, "train", 0, SCENES))
        return mlp_probe(self.scene, self.compared.latents["image"], known)

    @torch.no_grad()
    def in_units(self, target: str, latents: Tensor, test: dict[str, Any]) -> dict[str, float]:
        """Predicted latents of a modality, read in the units of the attributes, or as claims that are true."""
        if target == "language":
            said = VOCABULARY.decode_rows(self.compared.domains[target].decode(latents).numpy())
            true = captions_true(said, test["state"])
            return {"caption_truth": float(true.all(1).mean()), "claims_true": float(true.mean())}
        decode = self.compared.domains[target].decode
        vectors = self.read_image(latents) if target == "image" else decode(latents).numpy()
        return attribute_errors(self.scene, vectors, test["attributes"])


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


@torch.no_grad()
def measure(study: Study, workspace: Workspace) -> dict[str, Any]:
    """Every figure of a workspace, on episode beginnings and on rollouts."""
    found: dict[str, Any] = {}
    for name, test in study.tests.items():
        latents = test["latents"]
        z = {a: workspace.enter(a, rows) for a, rows in latents.items()}
        there = {a: workspace.broadcast(code) for a, code in z.items()}
        ways = list(permutations(latents, 2))
        back = {
            (a, b): workspace.broadcast(workspace.enter(b, there[a][b]), [a])[a] for a, b in ways
        }
        found[name] = {
            "translation": {
                f"{a}->{b}": float(losses.squared_error(there[a][b], latents[b])) for a, b in ways
            },
            "units": {f"{a}->{b}": study.in_units(b, there[a][b], test) for a, b in ways},
            "retrieval": {f"{a}~{b}": retrieval(z[a], z[b]) for a, b in combinations(latents, 2)},
            "demi_cycle": {
                a: float(losses.squared_error(there[a][a], latents[a])) for a in latents
            },
            "cycle": {
                f"{a}->{b}->{a}": float(losses.squared_error(back[a, b], latents[a]))
                for a, b in ways
            },
        }
    return found


def retrieval(a: Tensor, b: Tensor) -> float:
    """R@1: how often the nearest by angle of `RETRIEVED` vectors of the other modality is the matching one."""
    similar = normalize(a[:RETRIEVED], dim=-1) @ normalize(b[:RETRIEVED], dim=-1).T
    matched = torch.arange(len(similar))
    return float(
        0.5
        * (
            (similar.argmax(0) == matched).float().mean()
            + (similar.argmax(1) == matched).float().mean()
        )
    )


Found = dict[tuple[str, int], list[dict[str, Any]]]
"""By model and number of pairs, the figures of each seed."""


def run_scene(arguments: Arguments, scene: str, cells: Cells) -> Found:
    """All cells of a scene."""
    size = SIZES[arguments.preset]
    models = arguments.compared(scene, size.steps)
    settings = models.settings(arguments.models, arguments.sweep)
    keys, tasks = list(product(arguments.numbers_of_pairs, arguments.models)), []
    for pairs, model in keys:
        rate, decay = settings[model]
        condition = {
            "model": model,
            "pairs": pairs,
            "modalities": list(models.modalities),
            "learning_rate": rate,
            "decay": decay,
        }
        inputs = f"{models.inputs(model)}-{size.episodes}"
        arguments_of = (models.place, size.episodes, model, pairs, settings[model])
        tasks.append(Task(scene, condition, range(size.seeds), inputs, compute, arguments_of))
    found = arguments.sweep.compute(cells, tasks, f"{scene} pairs x models")
    return {(model, pairs): runs for (pairs, model), runs in zip(keys, found, strict=True)}


def main(arguments: Arguments) -> None:
    """Run, print, draw, write."""
    arguments.check()
    modalities = check_modalities(arguments.modalities)
    cells = Cells(arguments.out, "translation")
    rows: list[Row] = []
    for scene in arguments.scenes():
        found = run_scene(arguments, scene, cells)
        grid = Grid(scene, modalities, arguments.shape.width, SIZES[arguments.preset].steps, found)
        rows += rows_of(grid)
        print_tables(grid)
        print(f"picture: {draw(grid, arguments.out)}")
    print(f"written: {write_summary(arguments.out, 'translation', rows, VARIANT)}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
