"""The weights that agents read: those in a folder, or a workspace trained for one seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.cells import Cell, Place, TrainingCell, alone
from gw_agents.checkpoint import fingerprint
from gw_agents.domains.base import vague_modalities
from gw_agents.learning.latents import scene_latents
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.workspaces import TrainingPlan, train_workspace
from gw_agents.pretrain import Folders, PretrainAttention
from gw_agents.pretrained import copy_checkpoint, load_domain, save_workspace
from gw_agents.workspace.model import GWConfig
from gw_agents.workspace.objective import preset_called
from gw_envs.observation import MODALITIES


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
    width: int = 12
    """Z, numbers in the workspace vector."""
    hidden: int = 128
    """Width of the hidden layers of encoders and decoders."""
    scenes: int = 100_000
    """Matched scenes to learn from."""
    steps: int = 12_000
    """Optimizer steps."""

    def folder(self, scene: str, place: Place) -> Path:
        """Return where the weights are."""
        return place.out / "trained" / f"workspace-{self.digest}" / scene

    def product(self, place: Place) -> Path:
        """Return the file of the workspace."""
        return self.folder(self.scene, place) / "workspace.safetensors"

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, float]:
        """Train, or resume, and save."""
        source, folder = place.weights_of(self.scene), self.folder(self.scene, place)
        domains = {name: load_domain(source, name, self.scene)[0] for name in MODALITIES}
        cache = place.out / "latents"
        with alone(cache):
            latents = scene_latents(domains, self.scene, "train", self.seed, self.scenes, cache)
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
        plan = TrainingPlan(fit, losses=preset_called(self.losses), vague=vague_modalities(domains))
        workspace = train_workspace(
            GWConfig(widths, self.width, self.hidden),
            latents,
            plan,
            run_dir=place.out / "runs" / f"workspace-{self.digest}",
            label=f"{self.scene} workspace",
        )
        for name in MODALITIES:
            copy_checkpoint(source, folder, name)
        origin = {"seed": self.seed, "pairs": self.scenes, "steps": self.steps}
        save_workspace(folder, workspace, self.scene, losses=plan.losses, **origin)
        return {}


@dataclass(frozen=True)
class TrainedAttention(TrainingCell):
    """Trains the attention modules of a workspace, and writes them to its folder. Metrics: {}."""

    workspace: TrainedWorkspace
    seed: int

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the workspace."""
        return (self.workspace,)

    def product(self, place: Place) -> Path:
        """Return the file of the attention modules."""
        return self.workspace.folder(self.scene, place) / "attention.safetensors"

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, float]:
        """Train and save."""
        folder = self.workspace.folder(self.scene, place)
        folders = Folders(folder.parent, place.out / "runs", "cpu")
        PretrainAttention(self.scene, seed=self.seed, folders=folders).run()  # type: ignore[arg-type]
        return {}


Weights = GivenWeights | TrainedWorkspace
