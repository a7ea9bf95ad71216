"""Training commands: the only place where losses, data and models meet.

    python -m gw_agents.training domains --scene simple_shapes
    python -m gw_agents.training workspace --scene simple_shapes
    python -m gw_agents.training attention --scene simple_shapes

Each is resumable: interrupted, the same command goes on where it was and ends with the same weights.
"""

from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from gw_agents.checkpoint import fingerprint, modules_fingerprint, save_checkpoint
from gw_agents.command import say_errors
from gw_agents.domains.base import Domain
from gw_agents.domains.recipes import DOMAINS, recipe
from gw_agents.encoder import GlobalWorkspace, load_domain
from gw_agents.fitting import FitConfig, fit, resolve_device, seed_torch
from gw_agents.latents import scene_attributes, scene_latents
from gw_agents.objective import TrainingPlan, train_workspaces
from gw_agents.selection import SelectionConfig, noisy_accuracy, train_attention, train_classifier
from gw_agents.workspace.attention import PRESETS, Attention
from gw_agents.workspace.model import GWConfig, preset_called
from gw_envs.dataset import Sampler, generator
from gw_envs.labels import labels
from gw_envs.language import VOCABULARY, paraphrases, plain_tokens
from gw_envs.observation import MODALITIES, check_modalities

SceneName = Literal["simple_shapes", "factory"]
Terms = tuple[Tensor, dict[str, Tensor]]

PARAPHRASES = 4
"""Captions of each scene that the language domain averages."""


@dataclass(frozen=True)
class Folders:
    """Where things are read and written."""

    weights: Path = Path("assets/weights")
    """Finished weights; each scene has a subfolder of its own."""
    runs: Path = Path("runs")
    """Checkpoints, TensorBoard logs and cached latents; the same command resumes from here."""
    device: str = "auto"
    """auto, cpu or cuda."""


@dataclass(frozen=True)
class Domains:
    """Train domain modules, each alone on its own modality, and freeze them."""

    scene: SceneName
    """Which scene."""
    modalities: tuple[str, ...] = MODALITIES
    """Which domains."""
    seed: int = 0
    """Seed of weights and batches."""
    steps: int | None = None
    """Optimiser steps; the recipe's by default."""
    folders: tyro.conf.OmitArgPrefixes[Folders] = field(default_factory=Folders)
    """Where things are read and written."""

    def __call__(self) -> None:
        """Train one after the other."""
        for modality in check_modalities(self.modalities):
            train_domain(self, modality)


def train_domain(arguments: Domains, modality: str) -> Domain:
    """Train one domain on scenes of the train split and save it."""
    scene, seed = arguments.scene, arguments.seed
    plan = recipe(scene, modality)
    inputs = f"{plan.arguments} {plan.pool} {PARAPHRASES}"
    config = replace(plan.fit, seed=seed, steps=arguments.steps or plan.fit.steps, inputs=inputs)
    device = resolve_device(arguments.folders.device)
    sampler = Sampler(scene, "train", seed, (modality,), jitter=True)
    seed_torch(seed)
    domain = DOMAINS[modality](**plan.arguments).to(device)
    pool = draw_pool(sampler, modality, plan.pool) if plan.pool else None

    def observations(index: int) -> Tensor:
        if pool is None:
            return torch.from_numpy(sampler.batch(index, config.batch_size)[modality]).to(device)
        rows = generator("train", seed, index).integers(len(pool), size=config.batch_size)
        return torch.from_numpy(pool[rows]).to(device)

    domain.prepare(torch.cat([observations(index) for index in range(10)]))

    def step_loss(step: int, progress: float) -> Terms:
        if modality != "language":
            return domain.loss(batch := observations(step), batch, progress)
        states = sampler.states(step, config.batch_size)
        said = [plain_tokens(states), plain_tokens(states, coarse=True)]
        batch = torch.from_numpy(paraphrases(states, PARAPHRASES)).to(device)
        return domain.loss(batch, torch.from_numpy(np.stack(said, 1)).to(device), progress)

    run = arguments.folders.runs / f"domain-{scene}-{modality}-{seed}"
    fit(domain, step_loss, config, run, f"{scene} {modality}")
    domain.freeze()
    domain.standardise(observations, max(1, 20_000 // config.batch_size))
    settings = {"kind": "domain", "scene": scene, "modality": modality, "seed": seed, "steps": config.steps}
    if modality == "language":
        settings["vocabulary"] = VOCABULARY.fingerprint
    whole = {**settings, "arguments": domain.config()}
    save_checkpoint(arguments.folders.weights / scene, modality, domain.state_dict(), whole)
    return domain


def draw_pool(sampler: Sampler, modality: str, count: int, batch: int = 1000) -> np.ndarray:
    """(count, ...) observations of one modality, drawn once."""
    batches = tqdm(range(count // batch), desc=f"drawing {count:,} scenes", unit_scale=batch)
    return np.concatenate([sampler.batch(index, batch)[modality] for index in batches])


@dataclass(frozen=True)
class WorkspaceTraining:
    """Train a workspace on matched latents of all modalities."""

    scene: SceneName
    """Which scene."""
    losses: str = "broad+cont"
    """A name in `gw_agents.workspace.model.PRESETS`."""
    width: int = 12
    """Z, numbers in the workspace vector."""
    hidden: int = 128
    """Width of the hidden layers of encoders and decoders."""
    scenes: int = 100_000
    """Scenes to learn from."""
    pairs: int | None = None
    """How many of them are matched; all by default."""
    steps: int = 12_000
    """Optimiser steps."""
    seed: int = 0
    """Seed of weights and batches."""
    folders: tyro.conf.OmitArgPrefixes[Folders] = field(default_factory=Folders)
    """Where things are read and written."""

    def __call__(self) -> None:
        """Train and save."""
        folder = self.folders.weights / self.scene
        domains = {modality: load_domain(folder, modality, self.scene)[0] for modality in MODALITIES}
        cache = self.folders.runs / "latents"
        latents = scene_latents(domains, self.scene, "train", self.seed, self.scenes, cache)
        device = resolve_device(self.folders.device)
        latents = {name: rows.to(device) for name, rows in latents.items()}
        widths = {name: rows.shape[1] for name, rows in latents.items()}
        config = GWConfig(widths, self.width, self.hidden, losses=preset_called(self.losses))
        count = self.scenes if self.pairs is None else self.pairs
        inputs = f"{modules_fingerprint(domains)} {count} of {self.scenes} {config}"
        settings = FitConfig(self.steps, 256, 2e-3, warmup=0.02, weight_decay=1e-3, seed=self.seed, inputs=inputs)
        run = self.folders.runs / f"workspace-{self.scene}-{self.losses}-{self.width}-{count}-{self.seed}"
        (workspace,) = train_workspaces(
            config, latents, [torch.arange(count)], [self.seed], TrainingPlan(settings), run, f"{self.scene} workspace"
        )
        hashes = {modality: fingerprint(folder / f"{modality}.safetensors") for modality in MODALITIES}
        about = {"kind": "workspace", "scene": self.scene, "seed": self.seed, "pairs": count, "steps": self.steps}
        shape = {**asdict(config), "latents": widths}
        save_checkpoint(folder, "workspace", workspace.state_dict(), {**about, "domains": hashes, "arguments": shape})


@dataclass(frozen=True)
class AttentionTraining:
    """Train every attention module on the frozen workspace, under random noise on one modality at a time."""

    scene: SceneName
    """Which scene."""
    scenes: int = 20_000
    """Scenes to learn from."""
    seed: int = 0
    """Seed of the classifier, the weights, the batches and the noise."""
    selection: tyro.conf.OmitArgPrefixes[SelectionConfig] = field(default_factory=lambda: SelectionConfig(steps=4000))
    """How the classifier and the attention are trained."""
    folders: tyro.conf.OmitArgPrefixes[Folders] = field(default_factory=Folders)
    """Where things are read and written."""

    def __call__(self) -> None:
        """Train all presets, pick the best on the validation split, save."""
        folder = self.folders.weights / self.scene
        gw = GlobalWorkspace.from_pretrained(folder, self.folders.device, attention=False)
        train, validation = (self._data(gw, split) for split in ("train", "validation"))
        classifier = train_classifier(gw.workspace, *train, self.seed, self.selection)
        subsets = [names for size in (2, 3) for names in combinations(gw.modalities, size)]
        modules: dict[str, Attention] = {}
        scores: dict[str, float] = {}
        for name in tqdm(PRESETS, desc=f"{self.scene} attention"):
            attention = train_attention(
                name, gw.workspace, classifier, *train, self.seed, self.selection, subsets=subsets
            )
            accuracies = [
                noisy_accuracy(attention, gw.workspace, classifier, *validation, sigma, subsets)
                for sigma in (0.0, 3.0, 10.0, 30.0, 100.0)
            ]
            modules[name], scores[name] = attention, round(float(np.mean(accuracies)), 4)
        best = max(scores, key=lambda name: scores[name])
        print(", ".join(f"{name} {score:.2%}" for name, score in scores.items()), f"-> best is {best}")
        self._save(folder, modules, scores, best)

    def _save(self, folder: Path, modules: dict[str, Attention], scores: dict[str, float], best: str) -> None:
        shapes = {name: {**asdict(m.config), "latents": dict(m.config.latents)} for name, m in modules.items()}
        config = {"kind": "attention", "scene": self.scene, "seed": self.seed, "steps": self.selection.steps}
        found = {"best": best, "validation_accuracy": scores, "modules": shapes}
        origin = {"workspace": fingerprint(folder / "workspace.safetensors")}
        tensors = {f"{name}.{key}": value for name, m in modules.items() for key, value in m.state_dict().items()}
        save_checkpoint(folder, "attention", tensors, {**config, **found, **origin})

    def _data(self, gw: GlobalWorkspace, split: str) -> tuple[dict[str, Tensor], Tensor]:
        cache = self.folders.runs / "latents"
        latents = scene_latents(gw.domain_modules, self.scene, split, self.seed, self.scenes, cache)
        classes = labels(self.scene, scene_attributes(self.scene, split, self.seed, self.scenes))
        return latents, torch.from_numpy(classes)


def main() -> None:
    """Read the command line and train."""
    commands: dict[str, Any] = {"domains": Domains, "workspace": WorkspaceTraining, "attention": AttentionTraining}
    command = tyro.extras.subcommand_cli_from_dict(commands)
    say_errors(command)


if __name__ == "__main__":
    main()
