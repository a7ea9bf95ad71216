"""The workspaces that benchmarks compare, trained once for each scene, model and number of matched
scenes.

All models have the same networks, steps, unmatched data and search, and differ in their losses
alone: each setting in `SEARCH` is tried at `SEARCH_PAIRS` matched scenes, and the best is chosen by
the model's own paired losses on the fifth of its pairs that it does not learn from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations, product
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor

from benchmarks.harness import benchmark
from benchmarks.harness.cells import Cell, Place, TrainingCell, alone
from benchmarks.harness.tensors import read_workspaces, write_workspaces
from gw_agents.checkpoint import modules_fingerprint
from gw_agents.domains.base import Domain, vague_modalities
from gw_agents.learning.latents import scene_latents
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.workspaces import TrainingPlan, train_workspaces
from gw_agents.pretrained import load_domain
from gw_agents.workspace import losses
from gw_agents.workspace.losses import PRESETS
from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import preset_called
from gw_envs.errors import InputError, check_whole
from gw_envs.observation import MODALITIES, check_modalities

MODELS = tuple(name for name in PRESETS if name != "broad+cont")
"""The six published models, fusion, and ours."""
SCENES = 100_000
"""Training scenes."""
SEARCH = tuple(product((3e-3, 1e-2), (1e-3, 1e-1)))
"""Learning rate and weight decay of every trial."""
HELD_OUT = 0.2
"""Fraction of the pairs that is held out from training, to choose the setting and the weights to
keep."""
SEARCH_PAIRS = 700
SEARCH_SEED = 100
REDRAWS = "workspace, batches, which scenes are matched"
"""What differs from seed to seed."""


@dataclass(frozen=True)
class Size:
    """How much a preset does."""

    seeds: int
    """Workspaces of each model and number of pairs."""
    pairs: tuple[int, ...]
    """Numbers of matched scenes that `translation.py` tries."""
    steps: int
    """Optimizer steps of each workspace; the search takes half as many."""
    episodes: int
    """Held-out episode beginnings; rollouts bring as many observations again."""


SIZES = {
    "quick": Size(2, (50, 500, 5000), 300, 1000),
    "full": Size(3, (50, 200, 500, 1500, 5000, 20_000, SCENES), 2500, 2000),
    "long": Size(3, (500, 1500, 5000), 7500, 2000),
}


@dataclass(frozen=True)
class Shape:
    """What all compared workspaces have in common."""

    width: int = 12
    """Z, numbers in the workspace vector; 12 as published."""
    hidden: int = 128
    """Width of the three hidden layers of encoders and decoders."""
    batch_size: int = 128
    """Matched scenes a step; as many unmatched ones of each modality."""


@dataclass(frozen=True)
class Arguments(benchmark.Arguments):
    """Arguments of benchmarks that compare these models; each benchmark adds its own."""

    preset: Literal["quick", "full"] = "quick"
    """How much to do. Workspaces that another benchmark trained into the same folder are reused."""
    models: tuple[str, ...] = MODELS
    """Which models, by the names of their losses."""
    modalities: tuple[str, ...] = ("image", "attributes")
    """The two or three modalities that the workspaces join."""
    shape: tyro.conf.OmitArgPrefixes[Shape] = field(default_factory=Shape)
    """What all workspaces have in common."""

    def check(self) -> None:
        """Raise InputError unless there are two modalities to join, sizes are positive and every
        model is known."""
        if len(check_modalities(self.modalities)) < 2:
            raise InputError(f"--modalities {self.modalities[0]}: a workspace joins at least two")
        if not self.models:
            raise InputError("--models is empty: name at least one")
        for model in self.models:
            preset_called(model)
        check_whole("--width", self.shape.width, 1)
        check_whole("--hidden", self.shape.hidden, 1)
        check_whole("--batch-size", self.shape.batch_size, 1)

    @property
    def size(self) -> Size:
        """How much the preset does."""
        return SIZES[self.preset]

    def workspaces(self, scene: str, model: str, pairs: int) -> "TrainedWorkspaces":
        """Return the cell that trains one model on so many pairs."""
        modalities = check_modalities(self.modalities)
        setup = Setup(
            modalities=modalities,
            domains=modules_fingerprint(domains_of(self.place, scene, modalities)),
            shape=self.shape,
            steps=self.size.steps,
            scenes=SCENES,
        )
        search = Search(scene, setup, Model(model, tuple(preset_called(model).items())))
        return TrainedWorkspaces(scene, search, pairs, tuple(range(self.size.seeds)))


def check_pairs(pairs: int | Sequence[int]) -> None:
    """Raise InputError for impossible numbers of matched scenes."""
    numbers = [pairs] if isinstance(pairs, int) else pairs
    if not numbers or min(numbers) < 5 or max(numbers) > SCENES:
        raise InputError(f"--pairs {pairs}: give numbers from 5 to {SCENES:,}, which is all scenes")


@dataclass(frozen=True)
class Model:
    """A name and the weight of each loss."""

    name: str
    losses: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Setup:
    """What the workspaces of all models of a scene share."""

    modalities: tuple[str, ...]
    """What the workspaces join."""
    domains: str
    """Fingerprint of the domain modules."""
    shape: Shape
    steps: int
    """Optimizer steps of each workspace; the search takes half as many."""
    scenes: int
    """Training scenes."""


@dataclass(frozen=True)
class Search(Cell):
    """Tries every learning rate and weight decay. Metrics: [{"learning_rate", "decay", "error"}] of
    the trials."""

    FILE = "training"

    setup: Setup
    model: Model
    trials: tuple[tuple[float, float], ...] = SEARCH
    pairs: int = SEARCH_PAIRS
    held_out: float = HELD_OUT
    seed: int = SEARCH_SEED

    def compute(self, place: Place, needed: Sequence[Any]) -> list[dict[str, float]]:
        """Train with each setting; the error is the model's own paired losses on its held-out
        pairs."""
        rows = matched_scenes(self.seed, self.pairs, self.setup.scenes)
        rows = rows[: round(self.held_out * self.pairs)]
        setup = self.setup
        latents = latents_of(place, self.scene, setup.modalities, setup.scenes)
        held_out = {name: values[rows] for name, values in latents.items()}
        results = []
        for rate, decay in self.trials:
            (workspace,) = train(
                self, place, self.pairs, (self.seed,), rate, decay, setup.steps // 2
            )
            error = held_out_error(self.model, workspace, held_out)
            results.append({"learning_rate": rate, "decay": decay, "error": error})
        return results


@dataclass(frozen=True)
class TrainedWorkspaces(TrainingCell):
    """Trains the workspaces of one model and number of pairs with the setting that its search
    chose.

    All seeds are trained in one stack, which changes the last digits; so the seeds are one cell.
    Metrics: the setting, {"learning_rate", "decay"}.
    """

    search: Search
    pairs: int
    seeds: tuple[int, ...]

    def needs(self) -> tuple[Cell, ...]:
        """Return the search."""
        return (self.search,)

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, float]:
        """Train and save."""
        (trials,) = needed
        best = min(trials, key=lambda trial: trial["error"])
        rate, decay = best["learning_rate"], best["decay"]
        steps = self.search.setup.steps
        workspaces = train(self.search, place, self.pairs, self.seeds, rate, decay, steps)
        write_workspaces(self.product(place), dict(zip(self.seeds, workspaces, strict=True)))
        return {"learning_rate": rate, "decay": decay}


@lru_cache(maxsize=4)
def load_workspaces(cell: TrainedWorkspaces, place: Place) -> dict[int, Workspace]:
    """Return {seed: frozen workspace} of a training that is finished."""
    return read_workspaces(cell.product(place), config_of(cell.search, place), cell.seeds)


def train(
    search: Search,
    place: Place,
    pairs: int,
    seeds: Sequence[int],
    rate: float,
    decay: float,
    steps: int,
) -> list[Workspace]:
    """Train the workspaces of all seeds together."""
    setup = search.setup
    domains = domains_of(place, search.scene, setup.modalities)
    fit = FitConfig(steps, setup.shape.batch_size, rate, warmup=0.05, weight_decay=decay)
    return train_workspaces(
        config_of(search, place),
        latents_of(place, search.scene, setup.modalities, setup.scenes),
        [matched_scenes(seed, pairs, setup.scenes) for seed in seeds],
        seeds,
        TrainingPlan(
            fit, search.held_out, losses=dict(search.model.losses), vague=vague_modalities(domains)
        ),
    )


def config_of(search: Search, place: Place) -> GWConfig:
    """Return the shape of a model's networks."""
    domains = domains_of(place, search.scene, search.setup.modalities)
    widths = {name: domain.latent_width for name, domain in domains.items()}
    shape = search.setup.shape
    return GWConfig(widths, shape.width, shape.hidden)


@lru_cache(maxsize=2)
def domains_of(place: Place, scene: str, modalities: tuple[str, ...]) -> dict[str, Domain]:
    """Return the frozen domain modules of a scene."""
    folder = place.weights_of(scene)
    return {name: load_domain(folder, name, scene)[0] for name in MODALITIES if name in modalities}


@lru_cache(maxsize=1)
def latents_of(
    place: Place, scene: str, modalities: tuple[str, ...], scenes: int
) -> dict[str, Tensor]:
    """Return {modality: (scenes, L_d)} latents of the training scenes; row i of each is scene i."""
    domains, cache = domains_of(place, scene, modalities), place.out / "latents"
    with alone(cache):
        return scene_latents(domains, scene, "train", 0, scenes, cache)


def matched_scenes(seed: int, count: int, scenes: int = SCENES) -> Tensor:
    """Return (count,) scenes of which a seed knows all modalities; a larger count includes those of
    every smaller one."""
    return torch.randperm(scenes, generator=torch.Generator().manual_seed(seed))[:count]


@torch.no_grad()
def held_out_error(model: Model, workspace: Workspace, latents: dict[str, Tensor]) -> float:
    """Return the error that chooses a setting: of translation, or the contrastive loss of a model
    that has no other."""
    z = {name: workspace.enter(name, rows) for name, rows in latents.items()}
    only_contrastive = dict(model.losses).keys() == {"contrastive"}
    errors = []
    for a, b in permutations(latents, 2):
        if only_contrastive:
            errors.append(float(losses.contrastive(z[a], z[b], workspace.log_scale)))
        else:
            predicted = workspace.broadcast(z[a], [b])[b]
            errors.append(float(losses.squared_error(predicted, latents[b])))
    return float(np.mean(errors))
