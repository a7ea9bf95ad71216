"""The workspaces that benchmarks compare: each trained once for a scene, a model, a number of pairs and a seed.

Every model has the same networks, steps, unmatched data and search, and nothing else: the settings in `SEARCH`, each
tried at `SEARCH_PAIRS` matched scenes, the best by the model's own paired losses on the fifth of its pairs that it does
not learn from. What is trained is kept on disk, for every benchmark that asks for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from hashlib import sha256
from itertools import permutations, product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch
import tyro
from torch import Tensor

from benchmarks.common import Cells, alone
from benchmarks.engines import Sweep, Task
from gw_agents.checkpoint import load_into, modules_fingerprint
from gw_agents.domains.base import Domain
from gw_agents.learning.latents import scene_latents
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.workspaces import TrainingPlan, train_workspaces
from gw_agents.pretrained import load_domain
from gw_agents.workspace import losses
from gw_agents.workspace.losses import PRESETS
from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import preset_called
from gw_envs.assets import asset_path
from gw_envs.files import write_atomically
from gw_envs.observation import MODALITIES, check_modalities

MODELS = tuple(name for name in PRESETS if name != "broad+cont")
"""The six models of the talk, fusion, and ours."""
SCENES = 100_000
"""Training scenes: what "all" means."""
SEARCH = tuple(product((3e-3, 1e-2), (1e-3, 1e-1)))
"""Learning rate and weight decay of every trial."""
HELD_OUT = 0.2
"""Part of the pairs that is not learned from: it tells which weights to keep, and which settings."""
SEARCH_PAIRS = 700
SEARCH_SEED = 100
SCENE_NAMES = ("simple_shapes", "factory")
REDRAWS = "workspace, batches, which scenes are matched"
"""What a seed draws anew."""


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
class Arguments:
    """What benchmarks of the compared models are told; each adds what it needs."""

    scene: Literal["simple_shapes", "factory", "both"] = "both"
    """Which scene."""
    preset: Literal["quick", "full"] = "quick"
    """How much is done. Workspaces that `translation.py` trained into the same folder are not trained again."""
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

    def check(self) -> None:
        """ValueError unless there are two modalities to join, and every model is known."""
        if len(check_modalities(self.modalities)) < 2:
            raise ValueError(f"--modalities {self.modalities[0]}: a workspace joins at least two")
        for model in self.models:
            preset_called(model)

    def scenes(self) -> tuple[str, ...]:
        """The scenes to run."""
        return SCENE_NAMES if self.scene == "both" else (self.scene,)

    def compared(self, scene: str, steps: int) -> "Compared":
        """The models of a scene, trained for so many steps."""
        modalities = check_modalities(self.modalities)
        return compared_at((scene, modalities, self.shape, steps, self.out, self.weights))


@dataclass
class Compared:
    """The models of one scene."""

    scene: str
    modalities: tuple[str, ...]
    """What the workspaces join."""
    shape: Shape
    steps: int
    """Optimiser steps of each; the search takes half as many."""
    out: Path
    """Where latents, workspaces and finished searches are kept."""
    weights: Path | None = None
    """Folder of domain modules with a subfolder for each scene; the shipped ones by default."""

    @property
    def place(self) -> tuple[Any, ...]:
        """What `compared_at` makes the same of, in whatever process."""
        return (self.scene, self.modalities, self.shape, self.steps, self.out, self.weights)

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """The frozen domain modules."""
        folder = (self.weights or asset_path("weights")) / self.scene
        return {
            name: load_domain(folder, name, self.scene)[0]
            for name in MODALITIES
            if name in self.modalities
        }

    @cached_property
    def latents(self) -> dict[str, Tensor]:
        """{modality: (SCENES, L_d)}, row i of each from training scene i."""
        with alone(self.out / "latents"):
            return scene_latents(self.domains, self.scene, "train", 0, SCENES, self.out / "latents")

    @cached_property
    def searches(self) -> Cells:
        """The finished searches."""
        return Cells(self.out, "compared")

    def inputs(self, model: str) -> str:
        """Names all that a model's training depends on, but for the numbers of pairs, its setting and its seed."""
        shape = f"{self.shape.width}-{self.shape.hidden}-{self.shape.batch_size}-{self.steps}"
        return f"{modules_fingerprint(self.domains)}-{shape}-{preset_called(model)}"

    def settings(self, models: Sequence[str], sweep: Sweep) -> dict[str, tuple[float, float]]:
        """{model: the learning rate and weight decay that it does best with}."""
        about = {"modalities": list(self.domains), "pairs": SEARCH_PAIRS}
        tasks = [
            Task(
                self.scene,
                {**about, "model": model},
                [SEARCH_SEED],
                self.inputs(model),
                search,
                (self.place, model),
            )
            for model in models
        ]
        found = sweep.compute(self.searches, tasks, f"{self.scene} settings")
        best = [SEARCH[int(np.argmin(list(errors.values())))] for (errors,) in found]
        return dict(zip(models, best, strict=True))

    def search(self, model: str) -> dict[str, float]:
        """{"learning rate, weight decay": the model's own paired losses on its held-out pairs} of every trial."""
        kept = round(HELD_OUT * SEARCH_PAIRS)
        rows = matched_scenes(SEARCH_SEED, SEARCH_PAIRS)[:kept]
        held_out = {name: values[rows] for name, values in self.latents.items()}
        found = {}
        for setting in SEARCH:
            (workspace,) = self._train(model, SEARCH_PAIRS, [SEARCH_SEED], setting, self.steps // 2)
            found[f"{setting[0]:g},{setting[1]:g}"] = held_out_error(model, workspace, held_out)
        return found

    def workspaces(
        self, model: str, pairs: int, seeds: Sequence[int], setting: tuple[float, float]
    ) -> list[Workspace]:
        """The workspaces of a model, one for each seed, frozen; those that are not on disk are trained together."""
        mark = sha256(f"{self.inputs(model)}-{setting}-{HELD_OUT}".encode()).hexdigest()[:12]
        folder = self.out / "workspaces" / f"{self.scene}-{model}-{mark}"
        paths = {seed: folder / f"{pairs}-{seed}.safetensors" for seed in seeds}
        return kept(
            paths,
            self._config(),
            lambda missing: self._train(model, pairs, missing, setting, self.steps),
        )

    def _config(self) -> GWConfig:
        widths = {name: domain.latent_width for name, domain in self.domains.items()}
        return GWConfig(widths, self.shape.width, self.shape.hidden)

    def _train(
        self, model: str, pairs: int, seeds: Sequence[int], setting: tuple[float, float], steps: int
    ) -> list[Workspace]:
        fit = FitConfig(
            steps, self.shape.batch_size, setting[0], warmup=0.05, weight_decay=setting[1]
        )
        matched = [matched_scenes(seed, pairs) for seed in seeds]
        plan = TrainingPlan(fit, HELD_OUT, losses=preset_called(model))
        return train_workspaces(self._config(), self.latents, matched, seeds, plan)


def kept(
    paths: Mapping[int, Path], config: GWConfig, train: Callable[[list[int]], Sequence[Workspace]]
) -> list[Workspace]:
    """The frozen workspaces of seeds, {seed: file}; `train` makes those that are not on disk, all together."""
    missing = [seed for seed, path in paths.items() if not path.exists()]
    for seed, workspace in zip(missing, train(missing) if missing else [], strict=True):
        write_atomically(paths[seed], partial(safetensors.torch.save_file, workspace.state_dict()))
    found = []
    for path in paths.values():
        workspace = Workspace(config)
        load_into(workspace, safetensors.torch.load_file(path), str(path))
        found.append(workspace.requires_grad_(False).eval())
    return found


@lru_cache(maxsize=1)
def compared_at(place: tuple[Any, ...]) -> Compared:
    """This process's one `Compared` of a place."""
    return Compared(*place)


def search(seeds: Sequence[int], place: tuple[Any, ...], model: str) -> list[dict[str, float]]:
    """The errors of every trial of a model, a cell of a seed of its own."""
    return [compared_at(place).search(model) for _ in seeds]


def matched_scenes(seed: int, count: int) -> Tensor:
    """(count,) which scenes a seed knows all modalities of: the first of a shuffle, so that more hold the fewer."""
    return torch.randperm(SCENES, generator=torch.Generator().manual_seed(seed))[:count]


@torch.no_grad()
def held_out_error(model: str, workspace: Workspace, latents: dict[str, Tensor]) -> float:
    """What a model is chosen by: its translation error, or its contrastive loss where it has no other paired loss."""
    z = {a: workspace.enter(a, rows) for a, rows in latents.items()}
    ways = list(permutations(latents, 2))
    if preset_called(model).keys() == {"contrastive"}:
        return float(
            np.mean([float(losses.contrastive(z[a], z[b], workspace.log_scale)) for a, b in ways])
        )
    return float(
        np.mean(
            [
                float(losses.squared_error(workspace.broadcast(z[a], [b])[b], latents[b]))
                for a, b in ways
            ]
        )
    )
