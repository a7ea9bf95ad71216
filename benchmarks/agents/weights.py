"""The weights that agents read: those in a folder, or a workspace trained for one seed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.agents.tuning import even_weights, tune
from benchmarks.harness.cells import Cell, Place, TrainingCell, alone
from gw_agents.checkpoint import fingerprint
from gw_agents.domains.base import vague_modalities
from gw_agents.global_workspace import GlobalWorkspace
from gw_agents.learning.attention import SelectionConfig
from gw_agents.learning.attention_set import encode_scenes, train_attentions
from gw_agents.learning.latents import scene_latents
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.workspaces import TrainingPlan, train_workspace
from gw_agents.pretrained import copy_checkpoint, load_domain, save_attentions, save_workspace
from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import preset_called
from gw_envs.errors import InputError
from gw_envs.observation import MODALITIES

SCENES_SEED = 0
"""Seed of the scenes that all workspaces learn from, so that they are encoded once."""


@dataclass(frozen=True)
class GivenWeights:
    """Checkpoints in the scene's folder of weights: as shipped, unless the command names another
    folder."""

    fingerprint: str

    def folder(self, scene: str, place: Place) -> Path:
        """Return where they are."""
        return place.weights_of(scene)


def given_weights(place: Place, scene: str, names: Sequence[str]) -> GivenWeights:
    """Fingerprint the named checkpoints of a scene; raises CheckpointError if one is missing."""
    folder = place.weights_of(scene)
    digest = hashlib.sha256()
    for name in names:
        digest.update(fingerprint(folder / f"{name}.safetensors").encode())
    return GivenWeights(digest.hexdigest()[:16])


@dataclass(frozen=True)
class TrainedWorkspace(TrainingCell):
    """Trains a workspace on given domain modules, and writes a folder of weights with both.

    Metrics: {}.
    """

    domains: GivenWeights
    losses: str
    """Name of a preset of losses."""
    seed: int
    """Seed of weights and batches. The scenes are the same for all seeds."""
    fusion: Literal["even", "precision"] = "precision"
    """Whether modalities have precisions in the fusion, or all count alike."""
    width: int = 12
    """Z, numbers in the workspace vector."""
    hidden: int = 128
    """Width of the hidden layers of encoders and decoders."""
    scenes: int = 100_000
    """Matched scenes to learn from."""
    steps: int = 20_000
    """Optimizer steps."""

    def folder(self, scene: str, place: Place) -> Path:
        """Return where the weights are."""
        return place.out / "trained" / f"workspace-{self.digest}" / scene

    def product(self, place: Place) -> Path:
        """Return the file of the workspace."""
        return self.folder(self.scene, place) / "workspace.safetensors"

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, float]:
        """Train, or resume, and save."""
        source, cache = place.weights_of(self.scene), place.out / "latents"
        domains = {name: load_domain(source, name, self.scene)[0] for name in MODALITIES}
        with alone(cache):
            latents = scene_latents(domains, self.scene, "train", SCENES_SEED, self.scenes, cache)
        widths = {name: rows.shape[1] for name, rows in latents.items()}
        fit = FitConfig(
            self.steps,
            256,
            2e-3,
            warmup=0.02,
            weight_decay=1e-3,
            seed=self.seed,
            inputs=self.digest,
        )
        losses = preset_called(self.losses)
        workspace = train_workspace(
            GWConfig(widths, self.width, self.hidden, fusion=self.fusion),
            latents,
            TrainingPlan(fit, losses=losses, vague=vague_modalities(domains)),
            run_dir=place.out / "runs" / f"workspace-{self.digest}",
            label=f"{self.scene} workspace",
        )
        origin = {"seed": self.seed, "pairs": self.scenes, "steps": self.steps}
        write_folder(source, self.folder(self.scene, place), workspace, losses=losses, **origin)
        return {}


@dataclass(frozen=True)
class TunedWorkspace(TrainingCell):
    """Gives each modality of a trained workspace a fixed weight in the fusion, and writes a folder
    of weights.

    Validation scenes choose the weights; see `benchmarks/agents/tuning.py`. Metrics: {"weights":
    {modality: weight}, "error", "even_error"}, the errors being those on the validation scenes.
    """

    workspace: TrainedWorkspace
    """A workspace with precisions that its losses left alone."""
    scenes: int = 10_000
    """Scenes that the probes learn from; half as many validation scenes choose the weights."""
    steps: int = 2_000
    """Optimizer steps of each probe."""

    @property
    def seed(self) -> int:
        """The seed of the workspace, and of the probes."""
        return self.workspace.seed

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the workspace."""
        return (self.workspace,)

    def folder(self, scene: str, place: Place) -> Path:
        """Return where the weights are."""
        return place.out / "trained" / f"tuned-{self.digest}" / scene

    def product(self, place: Place) -> Path:
        """Return the file of the workspace."""
        return self.folder(self.scene, place) / "workspace.safetensors"

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, Any]:
        """Choose the weights and save."""
        source = self.workspace.folder(self.scene, place)
        gw = GlobalWorkspace.from_pretrained(source, device="cpu", attention=False)
        errors = tune(gw, self.scene, self.scenes, self.steps, self.seed)
        weights = min(errors, key=lambda candidate: errors[candidate])
        set_weights(gw.workspace, dict(weights))
        write_folder(source, self.folder(self.scene, place), gw.workspace, seed=self.seed)
        even = errors[even_weights()]
        return {"weights": dict(weights), "error": errors[weights], "even_error": even}


def set_weights(workspace: Workspace, weights: Mapping[str, float]) -> None:
    """Give each modality the same precision in all components: its weight."""
    precision = workspace.log_precision
    if precision is None:
        raise InputError("a workspace with even fusion has no place for weights")
    logarithms = torch.tensor([weights[name] for name in workspace.modalities]).log()
    with torch.no_grad():
        precision.copy_(logarithms.unsqueeze(1).expand_as(precision))


def write_folder(source: Path, folder: Path, workspace: Workspace, **about: Any) -> None:
    """Write a workspace with copies of the domain modules in `source`, whose folder is the
    scene's."""
    for name in workspace.modalities:
        copy_checkpoint(source, folder, name)
    save_workspace(folder, workspace, folder.name, **about)


@dataclass(frozen=True)
class TrainedAttention(TrainingCell):
    """Trains the attention modules of a workspace, and writes them to its folder. Metrics: {}."""

    workspace: TrainedWorkspace | TunedWorkspace
    seed: int
    scenes: int = 10_000
    """Scenes to learn from; half as many validation scenes tell which module is best."""
    steps: int = 2_500
    """Optimizer steps of the classifier and of each module."""

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the workspace."""
        return (self.workspace,)

    def product(self, place: Place) -> Path:
        """Return the file of the attention modules."""
        return self.workspace.folder(self.scene, place) / "attention.safetensors"

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, float]:
        """Train and save."""
        folder = self.workspace.folder(self.scene, place)
        gw = GlobalWorkspace.from_pretrained(folder, device="cpu", attention=False)
        trained = train_attentions(
            gw.workspace,
            encode_scenes(gw.domain_modules, self.scene, "train", self.seed, self.scenes),
            encode_scenes(gw.domain_modules, self.scene, "validation", self.seed, self.scenes // 2),
            seed=self.seed,
            config=SelectionConfig(steps=self.steps),
        )
        about = {"seed": self.seed, "steps": self.steps}
        save_attentions(folder, trained.modules, trained.best, self.scene, **about)
        return {}


Weights = GivenWeights | TrainedWorkspace | TunedWorkspace
