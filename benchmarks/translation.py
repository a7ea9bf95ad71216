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
from functools import cached_property, partial
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor
from torch.nn.functional import normalize
from tqdm import tqdm

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import Cells, Row, write_summary
from benchmarks.observed import observed
from benchmarks.translation_report import draw, print_tables, rows_of
from gw_agents.checkpoint import modules_fingerprint
from gw_agents.command import say_errors
from gw_agents.encoder import load_domain
from gw_agents.fitting import FitConfig
from gw_agents.latents import encode_rows, scene_attributes, scene_latents
from gw_agents.objective import TrainingPlan, train_workspaces
from gw_agents.probes import attribute_errors, mlp_probe
from gw_agents.workspace import losses
from gw_agents.workspace.model import PRESETS, GWConfig, Workspace, preset_called
from gw_envs.assets import asset_path
from gw_envs.language import VOCABULARY, captions_true
from gw_envs.observation import MODALITIES, check_modalities

SCENES = 100_000
"""Training scenes: what "all" means."""
SEARCH = tuple(product((1e-3, 3e-3), (1e-3, 1e-1)))
"""Learning rate and weight decay of every trial."""
SEARCH_PAIRS = 700
SEARCH_SEED = 100
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
    "full": Size(5, (50, 200, 500, 1000, 2500, 10_000, SCENES), 1500, 2000),
    "long": Size(5, (500, 1000, 2500), 4500, 2000),
}


@dataclass(frozen=True)
class Arguments:
    """Translation, alignment and cycles of every model against the number of matched scenes."""

    scene: Literal["simple_shapes", "factory", "both"] = "both"
    """Which scene."""
    preset: Literal["quick", "full", "long"] = "quick"
    """How much is done: minutes, hours, or three times the steps at a few numbers of pairs."""
    models: tuple[str, ...] = tuple(name for name in PRESETS if name != "broad+cont")
    """Which models, by the names of their losses."""
    modalities: tuple[str, ...] = ("image", "attributes")
    """What the workspaces join: two or three modalities."""
    width: int = 12
    """Z, numbers in the workspace vector; 12 as published."""
    hidden: int = 64
    """Width of the three hidden layers of encoders and decoders."""
    batch_size: int = 128
    """Matched scenes a step; as many unmatched ones of each modality."""
    weights: Path | None = None
    """Folder of domain modules with a subfolder for each scene; the shipped ones by default."""
    out: Path = Path("results")
    """Where results go. The same command again goes on where it was."""


@dataclass
class Study:
    """One scene: its latents, encoded once, and how they are read."""

    scene: str
    arguments: Arguments

    @cached_property
    def folder(self) -> Path:
        """Of the domain modules."""
        return (self.arguments.weights or asset_path("weights")) / self.scene

    @cached_property
    def domains(self) -> dict[str, Any]:
        """The frozen domain modules."""
        names = [name for name in MODALITIES if name in self.arguments.modalities]
        return {name: load_domain(self.folder, name, self.scene)[0] for name in names}

    @cached_property
    def train(self) -> dict[str, Tensor]:
        """{modality: (SCENES, L_d)}, row i of each from scene i."""
        return scene_latents(self.domains, self.scene, "train", 0, SCENES, self.arguments.out / "latents")

    @cached_property
    def tests(self) -> dict[str, dict[str, Any]]:
        """Held-out observations: episode beginnings and random rollouts, encoded, with their states."""
        shown = observed(self.scene, "test", SIZES[self.arguments.preset].episodes)
        return {
            name: {
                "latents": encode_rows(self.domains, rows),
                "attributes": rows["attributes"],
                "state": rows["state"],
            }
            for name, rows in shown.items()
        }

    @cached_property
    def read_image(self) -> Any:
        """Image latents -> attribute vectors: a probe, since no attributes are drawn in an image."""
        known = torch.from_numpy(scene_attributes(self.scene, "train", 0, SCENES))
        return mlp_probe(self.scene, self.train["image"], known)

    @torch.no_grad()
    def in_units(self, target: str, latents: Tensor, test: dict[str, Any]) -> dict[str, float]:
        """Predicted latents of a modality, read in the units of the attributes, or as claims that are true."""
        if target == "language":
            said = VOCABULARY.decode_rows(self.domains[target].decode(latents).numpy())
            true = captions_true(said, test["state"])
            return {"caption_truth": float(true.all(1).mean()), "claims_true": float(true.mean())}
        vectors = self.read_image(latents) if target == "image" else self.domains[target].decode(latents).numpy()
        return attribute_errors(self.scene, vectors, test["attributes"])


@torch.no_grad()
def measure(study: Study, workspace: Workspace) -> dict[str, Any]:
    """Every figure of a workspace, on episode beginnings and on rollouts."""
    found: dict[str, Any] = {}
    for name, test in study.tests.items():
        latents = test["latents"]
        z = {a: workspace.enter(a, rows) for a, rows in latents.items()}
        there = {a: workspace.broadcast(code) for a, code in z.items()}
        ways = list(permutations(latents, 2))
        back = {(a, b): workspace.broadcast(workspace.enter(b, there[a][b]), [a])[a] for a, b in ways}
        found[name] = {
            "translation": {f"{a}->{b}": float(losses.translation(there[a][b], latents[b])) for a, b in ways},
            "units": {f"{a}->{b}": study.in_units(b, there[a][b], test) for a, b in ways},
            "retrieval": {f"{a}~{b}": retrieval(z[a], z[b]) for a, b in combinations(latents, 2)},
            "demi_cycle": {a: float(losses.demi_cycle(there[a][a], latents[a])) for a in latents},
            "cycle": {f"{a}->{b}->{a}": float(losses.cycle(back[a, b], latents[a])) for a, b in ways},
        }
    return found


def retrieval(a: Tensor, b: Tensor) -> float:
    """R@1: how often the nearest by angle of `RETRIEVED` vectors of the other modality is the matching one."""
    similar = normalize(a[:RETRIEVED], dim=-1) @ normalize(b[:RETRIEVED], dim=-1).T
    matched = torch.arange(len(similar))
    return float(0.5 * ((similar.argmax(0) == matched).float().mean() + (similar.argmax(1) == matched).float().mean()))


def matched_scenes(seed: int, count: int) -> Tensor:
    """(count,) which scenes a seed knows all modalities of: the first of a shuffle, so that more hold the fewer."""
    return torch.randperm(SCENES, generator=torch.Generator().manual_seed(seed))[:count]


def train(
    study: Study, model: str, pairs: int, seeds: Sequence[int], steps: int, setting: tuple[float, float]
) -> list[Workspace]:
    """The workspaces of a model, one for each seed."""
    arguments = study.arguments
    widths = {name: rows.shape[1] for name, rows in study.train.items()}
    config = GWConfig(widths, arguments.width, arguments.hidden, losses=preset_called(model))
    fit = FitConfig(steps, arguments.batch_size, setting[0], warmup=0.05, weight_decay=setting[1])
    matched = [matched_scenes(seed, pairs) for seed in seeds]
    return train_workspaces(config, study.train, matched, seeds, TrainingPlan(fit, held_out=0.2))


def search(study: Study, model: str, steps: int) -> dict[str, float]:
    """{"learning rate, weight decay": the model's own paired losses on its held-out pairs} of every trial."""
    found = {}
    kept = round(0.2 * SEARCH_PAIRS)
    rows = matched_scenes(SEARCH_SEED, SEARCH_PAIRS)[:kept]
    latents = {name: values[rows] for name, values in study.train.items()}
    for setting in SEARCH:
        (workspace,) = train(study, model, SEARCH_PAIRS, [SEARCH_SEED], steps, setting)
        found[f"{setting[0]:g},{setting[1]:g}"] = held_out_error(workspace, latents)
    return found


@torch.no_grad()
def held_out_error(workspace: Workspace, latents: dict[str, Tensor]) -> float:
    """What a model is chosen by: its translation error, or its contrastive loss where it has no other paired loss."""
    z = {a: workspace.enter(a, rows) for a, rows in latents.items()}
    ways = list(permutations(latents, 2))
    if workspace.config.losses.keys() == {"contrastive"}:
        return float(np.mean([float(losses.contrastive(z[a], z[b], workspace.log_scale)) for a, b in ways]))
    return float(np.mean([float(losses.translation(workspace.broadcast(z[a], [b])[b], latents[b])) for a, b in ways]))


Found = dict[tuple[str, int], list[dict[str, Any]]]
"""By model and number of pairs, the figures of each seed."""


def run_scene(arguments: Arguments, scene: str, cells: Cells) -> Found:
    """All cells of a scene."""
    size, study = SIZES[arguments.preset], Study(scene, arguments)
    shape = f"{arguments.width}-{arguments.hidden}-{arguments.batch_size}"
    inputs = f"{modules_fingerprint(study.domains)}-{shape}-{size.steps}-{size.episodes}"
    shared = {"modalities": list(study.domains)}
    grid, found = list(product(arguments.models, size.pairs)), {}
    for model, pairs in tqdm(grid, desc=f"{scene} models x pairs"):
        how = f"{inputs}-{preset_called(model)}"
        trial = {**shared, "model": model, "search": SEARCH_PAIRS}
        errors = cells.run(scene, trial, SEARCH_SEED, how, partial(search, study, model, size.steps // 2))
        best = min(errors, key=lambda name: errors[name])
        setting = (float(best.split(",")[0]), float(best.split(",")[1]))

        def work(
            seeds: list[int], model: str = model, pairs: int = pairs, setting: tuple[float, float] = setting
        ) -> list[dict[str, Any]]:
            return [measure(study, workspace) for workspace in train(study, model, pairs, seeds, size.steps, setting)]

        condition = {**shared, "model": model, "pairs": pairs, "setting": best}
        found[model, pairs] = cells.run_together(scene, condition, range(size.seeds), how, work)
    return found


def main(arguments: Arguments) -> None:
    """Run, print, draw, write."""
    if len(check_modalities(arguments.modalities)) < 2:
        raise ValueError(f"--modalities {arguments.modalities[0]}: a workspace joins at least two")
    for model in arguments.models:
        preset_called(model)
    cells = Cells(arguments.out, "translation")
    rows: list[Row] = []
    for scene in ("simple_shapes", "factory") if arguments.scene == "both" else (arguments.scene,):
        found = run_scene(arguments, scene, cells)
        modalities = [name for name in MODALITIES if name in arguments.modalities]
        rows += rows_of(scene, modalities, found)
        print_tables(scene, modalities, found)
        print(f"picture: {draw(scene, modalities, found, arguments.out)}")
    print(f"written: {write_summary(arguments.out, 'translation', rows)}")


if __name__ == "__main__":
    say_errors(lambda: main(tyro.cli(Arguments, description=__doc__)))
