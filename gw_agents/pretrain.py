"""Training commands: the only place where losses, data and models meet.

    python -m gw_agents.pretrain domains --scene simple_shapes
    python -m gw_agents.pretrain workspace --scene simple_shapes
    python -m gw_agents.pretrain attention --scene simple_shapes

    python -m gw_agents.pretrain domains --env examples.own_environment:PictureGrid-v0    # any id with a Dict
    python -m gw_agents.pretrain workspace --env examples.own_environment:PictureGrid-v0

Each is resumable: interrupted, the same command goes on where it was and ends with the same weights.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from gw_agents.checkpoint import fingerprint, modules_fingerprint, save_checkpoint
from gw_agents.command import run_command
from gw_agents.devices import resolve_device
from gw_agents.domains.base import Domain
from gw_agents.domains.kinds import DOMAINS
from gw_agents.global_workspace import GlobalWorkspace
from gw_agents.learning.attention import (
    Damage,
    SelectionConfig,
    every_subset,
    failed_latents,
    keeps_right,
    restores,
    robust_accuracy,
    train_attention,
    train_classifier,
)
from gw_agents.learning.latents import encode_rows, scene_latents, scene_observations
from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_agents.learning.random_observations import (
    key_recipes,
    make_environment,
    random_observations,
)
from gw_agents.learning.recipes import Recipe, recipe
from gw_agents.learning.workspaces import TrainingPlan, train_workspaces
from gw_agents.pretrained import load_domain
from gw_agents.workspace.attention import Attention
from gw_agents.workspace.model import GWConfig
from gw_agents.workspace.objective import preset_called
from gw_envs.corruption import KINDS
from gw_envs.dataset import Sampler, generator
from gw_envs.labels import labels
from gw_envs.language import paraphrases, plain_tokens
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
class Subject:
    """What is learned about: a scene of ours, or anybody's environment."""

    scene: SceneName | None = None
    """Which scene of ours. Give either this or --env."""
    env: str | None = None
    """Id of any registered Gymnasium environment whose observation is a Dict; MODULE:ID imports the module first.
    Pictures (uint8, height x width x 3) and vectors of floats get a domain; other keys are left out, and why is said.
    """
    modalities: tuple[str, ...] | None = None
    """Which modalities, or keys of the environment's observation; all by default."""
    samples: int = 20_000
    """Observations of --env to learn from, gathered by random actions; 20,000 of 64 x 64 pixels take 250 MB."""

    @property
    def name(self) -> str:
        """The scene's or the environment's; ValueError unless exactly one is given."""
        if (self.scene is None) == (self.env is None):
            given = "neither" if self.scene is None else "both"
            raise ValueError(
                f"{given} of --scene and --env given: name a scene of ours or an environment's id"
            )
        return self.scene or str(self.env).rpartition(":")[2]

    def folder(self, folders: Folders) -> Path:
        """Where its weights are."""
        return folders.weights / self.name.replace("/", "-")

    def recipes(self) -> dict[str, Recipe]:
        """How the domain of each modality asked for is built and trained; ValueError saying why if one can't be."""
        if self.name == self.scene:
            asked = check_modalities(MODALITIES if self.modalities is None else self.modalities)
            return {modality: recipe(self.scene, modality) for modality in asked}
        env = make_environment(str(self.env))
        usable, refused = key_recipes(env.observation_space)  # type: ignore[arg-type]
        env.close()
        refused = {
            key: why
            for key, why in refused.items()
            if self.modalities is None or key in self.modalities
        }
        reasons = "; ".join(f"{key} ({why})" for key, why in refused.items())
        if not usable or (reasons and self.modalities is not None):
            raise ValueError(
                f"no domain fits these keys of {self.env}: {reasons or 'there are none'}"
            )
        if reasons:
            print(f"left out: {reasons}")
        asked = check_modalities(
            tuple(usable) if self.modalities is None else self.modalities, tuple(usable)
        )
        return {key: usable[key] for key in asked}


@dataclass(frozen=True)
class Domains(Subject):
    """Train domain modules, each alone on its own modality, and freeze them."""

    seed: int = 0
    """Seed of weights and batches, and of what is gathered of --env."""
    steps: int | None = None
    """Optimiser steps; the recipe's by default."""
    folders: tyro.conf.OmitArgPrefixes[Folders] = field(default_factory=Folders)
    """Where things are read and written."""

    def __call__(self) -> None:
        """Train one after the other."""
        recipes = self.recipes()
        if self.env is None:
            for modality, plan in recipes.items():
                train_domain(self, modality, plan, scene_lessons(self, modality, plan))
            return
        shown = random_observations(self.env, recipes, self.samples, self.seed)
        for key, plan in recipes.items():
            inputs = f"{plan.arguments} {hashlib.sha256(shown[key].tobytes()).hexdigest()}"
            train_domain(self, key, plan, Lessons(inputs, pooled(shown[key], self, plan)))
        print(f"written: {self.folder(self.folders)}")


@dataclass(frozen=True)
class Lessons:
    """What a domain learns from."""

    inputs: str
    """All that they depend on beside the seed."""
    observations: Callable[[int], Tensor]
    """Index of a batch -> (B, ...) observations."""
    batches: Callable[[int], tuple[Tensor, Tensor]] | None = None
    """Step -> what the loss reads and what should be decoded, where the two are not alike."""


def train_domain(arguments: Domains, modality: str, plan: Recipe, lessons: Lessons) -> Domain:
    """Train one domain and save it."""
    name, seed = arguments.name, arguments.seed
    config = replace(
        plan.fit, seed=seed, steps=arguments.steps or plan.fit.steps, inputs=lessons.inputs
    )
    seed_torch(seed)
    domain = DOMAINS[plan.kind](**plan.arguments).to(resolve_device(arguments.folders.device))
    domain.prepare(torch.cat([lessons.observations(index) for index in range(10)]))

    def step_loss(step: int, progress: float) -> Terms:
        if lessons.batches is None:
            return domain.loss(batch := lessons.observations(step), batch, progress)
        return domain.loss(*lessons.batches(step), progress)

    folder = arguments.folder(arguments.folders)
    fit(
        domain,
        step_loss,
        config,
        arguments.folders.runs / f"domain-{folder.name}-{modality}-{seed}",
        f"{name} {modality}",
    )
    domain.freeze()
    domain.standardize(lessons.observations, max(1, 20_000 // config.batch_size))
    settings = {
        "kind": "domain",
        "scene": name,
        "modality": modality,
        "seed": seed,
        "steps": config.steps,
    }
    settings |= domain.requirements()
    if arguments.env is not None:
        settings["domain"] = plan.kind
    whole = {**settings, "arguments": domain.config()}
    save_checkpoint(folder, modality, domain.state_dict(), whole)
    return domain


def scene_lessons(arguments: Domains, modality: str, plan: Recipe) -> Lessons:
    """Scenes of the train split: fresh ones in every batch, or from a pool."""
    device, count = resolve_device(arguments.folders.device), plan.fit.batch_size
    sampler = Sampler(str(arguments.scene), "train", arguments.seed, (modality,), jitter=True)

    def fresh(index: int) -> Tensor:
        return torch.from_numpy(sampler.batch(index, count)[modality]).to(device)

    def captions(step: int) -> tuple[Tensor, Tensor]:
        states = sampler.states(step, count)
        said = [plain_tokens(states), plain_tokens(states, coarse=True)]
        batch = torch.from_numpy(paraphrases(states, PARAPHRASES)).to(device)
        return batch, torch.from_numpy(np.stack(said, 1)).to(device)

    observations = (
        pooled(draw_pool(sampler, modality, plan.pool), arguments, plan) if plan.pool else fresh
    )
    inputs = f"{plan.arguments} {plan.pool} {PARAPHRASES}"
    return Lessons(inputs, observations, captions if modality == "language" else None)


def pooled(pool: np.ndarray, arguments: Domains, plan: Recipe) -> Callable[[int], Tensor]:
    """Batches of rows drawn from (N, ...) observations."""
    device = resolve_device(arguments.folders.device)

    def observations(index: int) -> Tensor:
        rows = generator("train", arguments.seed, index).integers(
            len(pool), size=plan.fit.batch_size
        )
        return torch.from_numpy(pool[rows]).to(device)

    return observations


def draw_pool(sampler: Sampler, modality: str, count: int, batch: int = 1000) -> np.ndarray:
    """(count, ...) observations of one modality, drawn once."""
    batches = tqdm(range(count // batch), desc=f"drawing {count:,} scenes", unit_scale=batch)
    return np.concatenate([sampler.batch(index, batch)[modality] for index in batches])


@dataclass(frozen=True)
class WorkspaceTraining(Subject):
    """Train a workspace on matched latents of all modalities."""

    losses: str = "broad+cont"
    """A name in `gw_agents.workspace.losses.PRESETS`."""
    width: int = 12
    """Z, numbers in the workspace vector."""
    hidden: int = 128
    """Width of the hidden layers of encoders and decoders."""
    scenes: int = 100_000
    """Scenes to learn from, where --scene is given."""
    pairs: int | None = None
    """How many of them are matched; all by default."""
    steps: int = 12_000
    """Optimiser steps."""
    seed: int = 0
    """Seed of weights and batches, and of what is gathered of --env."""
    folders: tyro.conf.OmitArgPrefixes[Folders] = field(default_factory=Folders)
    """Where things are read and written."""

    def __call__(self) -> None:
        """Train and save."""
        folder, recipes = self.folder(self.folders), self.recipes()
        if len(recipes) < 2:
            raise ValueError(
                f"{self.name} with {', '.join(recipes)} alone: a workspace joins two modalities or more"
            )
        domains = {modality: load_domain(folder, modality, self.name)[0] for modality in recipes}
        latents = self._latents(domains, recipes)
        widths = {name: rows.shape[1] for name, rows in latents.items()}
        config, losses = GWConfig(widths, self.width, self.hidden), preset_called(self.losses)
        total = len(next(iter(latents.values())))
        count = total if self.pairs is None else self.pairs
        inputs = f"{modules_fingerprint(domains)} {count} of {total} {config} {losses}"
        settings = FitConfig(
            self.steps, 256, 2e-3, warmup=0.02, weight_decay=1e-3, seed=self.seed, inputs=inputs
        )
        run = (
            self.folders.runs
            / f"workspace-{folder.name}-{self.losses}-{self.width}-{count}-{self.seed}"
        )
        (workspace,) = train_workspaces(
            config,
            latents,
            [torch.arange(count)],
            [self.seed],
            TrainingPlan(settings, losses=losses),
            run,
            f"{self.name} workspace",
        )
        hashes = {modality: fingerprint(folder / f"{modality}.safetensors") for modality in domains}
        about = {
            "kind": "workspace",
            "scene": self.name,
            "seed": self.seed,
            "pairs": count,
            "steps": self.steps,
            "losses": losses,
        }
        save_checkpoint(
            folder,
            "workspace",
            workspace.state_dict(),
            {**about, "domains": hashes, "arguments": asdict(config)},
        )
        if self.env is not None:
            print(f"written: {folder}, for GlobalWorkspace.from_pretrained({str(folder)!r})")

    def _latents(self, domains: dict[str, Domain], recipes: dict[str, Recipe]) -> dict[str, Tensor]:
        """{modality: (N, L_d)} latents to learn from."""
        if self.env is None:
            cache = self.folders.runs / "latents"
            latents = scene_latents(domains, self.name, "train", self.seed, self.scenes, cache)
        else:
            latents = encode_rows(
                domains, random_observations(self.env, recipes, self.samples, self.seed)
            )
        device = resolve_device(self.folders.device)
        return {name: rows.to(device) for name, rows in latents.items()}


SHIPPED_ATTENTION = (
    "one_step",
    "two_step",
    "demi_cycle",
    "agreement",
    "evidence",
    "evidence_fused",
)
"""The attention modules that a workspace comes with."""
ON_THE_TASK = ("one_step", "two_step")
"""Those that are trained as published: to keep a classifier right under noise on one modality."""


@dataclass(frozen=True)
class AttentionTraining:
    """Train attention modules on the frozen workspace while modalities are drowned in noise and sensors fail."""

    scene: SceneName
    """Which scene."""
    scenes: int = 10_000
    """Scenes to learn from; half as many of the validation split tell which module is best."""
    seed: int = 0
    """Seed of the classifier, the weights, the batches and the noise."""
    selection: tyro.conf.OmitArgPrefixes[SelectionConfig] = field(
        default_factory=lambda: SelectionConfig(steps=2500)
    )
    """How the classifier and the attention are trained."""
    folders: tyro.conf.OmitArgPrefixes[Folders] = field(default_factory=Folders)
    """Where things are read and written."""

    def __call__(self) -> None:
        """Train all, pick the best on the validation split, save."""
        folder = self.folders.weights / self.scene
        gw = GlobalWorkspace.from_pretrained(folder, self.folders.device, attention=False)
        latents, classes, failures = self._data(gw, "train", self.scenes, (0.0, 1.0))
        validation = self._data(gw, "validation", self.scenes // 2, (1.0, 1.0))
        classifier = train_classifier(gw.workspace, latents, classes, self.seed, self.selection)
        subsets = every_subset(gw.modalities)
        modules: dict[str, Attention] = {}
        scores: dict[str, dict[str, float]] = {}
        for name in tqdm(SHIPPED_ATTENTION, desc=f"{self.scene} attention"):
            published = name in ON_THE_TASK
            loss = keeps_right(classifier, classes) if published else restores
            damage = (
                Damage(self.selection)
                if published
                else Damage(self.selection, None, failures, 2, 0.1)
            )
            modules[name] = train_attention(
                name, gw.workspace, loss, latents, self.seed, damage, subsets
            )
            found = robust_accuracy(modules[name], gw.workspace, classifier, *validation, subsets)
            scores[name] = {what: round(value, 4) for what, value in found.items()}
        best = max(scores, key=lambda name: sum(scores[name].values()))
        told = [
            f"{name} {' '.join(f'{what} {value:.2%}' for what, value in scores[name].items())}"
            for name in scores
        ]
        print(f"validation accuracy: {', '.join(told)} -> best is {best}")
        self._save(folder, modules, scores, best)

    def _save(
        self,
        folder: Path,
        modules: dict[str, Attention],
        scores: dict[str, dict[str, float]],
        best: str,
    ) -> None:
        shapes = {name: asdict(module.config) for name, module in modules.items()}
        config = {
            "kind": "attention",
            "scene": self.scene,
            "seed": self.seed,
            "steps": self.selection.steps,
        }
        found = {"best": best, "validation_accuracy": scores, "modules": shapes}
        origin = {"workspace": fingerprint(folder / "workspace.safetensors")}
        tensors = {
            f"{name}.{key}": value
            for name, m in modules.items()
            for key, value in m.state_dict().items()
        }
        save_checkpoint(folder, "attention", tensors, {**config, **found, **origin})

    def _data(
        self, gw: GlobalWorkspace, split: str, count: int, severity: tuple[float, float]
    ) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]:
        """Latents, classes, and the latents that failing sensors give."""
        shown = scene_observations(self.scene, split, self.seed, count, gw.modalities)
        kinds = {name: list(KINDS[name]) for name in gw.modalities}
        failures = failed_latents(gw.domain_modules, shown, kinds, self.seed, severity)
        classes = torch.from_numpy(labels(self.scene, shown["attributes"]))
        return encode_rows(gw.domain_modules, shown), classes, failures


def main() -> None:
    """Read the command line and train."""
    commands: dict[str, Any] = {
        "domains": Domains,
        "workspace": WorkspaceTraining,
        "attention": AttentionTraining,
    }
    command = tyro.extras.subcommand_cli_from_dict(commands)
    run_command(command)


if __name__ == "__main__":
    main()
