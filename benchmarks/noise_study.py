"""What the noise benchmark measures on: the observations of a scene, encoded once, whole and as failing sensors show
them, with the classifiers that judge the workspace vectors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import alone
from benchmarks.compared import kept
from benchmarks.observed import observed
from gw_agents import GlobalWorkspace
from gw_agents.checkpoint import modules_fingerprint
from gw_agents.learning.attention import (
    Damage,
    Loss,
    SelectionConfig,
    every_subset,
    failed_latents,
    keeps_right,
    restores,
    train_attention,
    train_classifier,
)
from gw_agents.learning.latents import encode_rows, scene_latents
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.workspaces import TrainingPlan, train_workspaces
from gw_agents.workspace.attention import Attention
from gw_agents.workspace.latent_noise import Corrupted, corrupt, draw_directions
from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import preset_called
from gw_envs.corruption import KINDS
from gw_envs.labels import CLASS_LABELS
from gw_envs.observation import MODALITIES

SETS = {"image+attributes": ("image", "attributes"), "all": MODALITIES}
"""The slides' pair, and all three."""
SIGMAS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0)
NOISES = ("fixed", "random")
PLAIN = ("constant", "none", "oracle")
"""Methods with nothing to train but the classifier."""
RATES = (2e-3, 5e-3, 1.2e-2)
"""Learning rates that every trained method is tried with, in the full form."""
SEARCH_SEED = 100
SEARCHED = ("random", "everything")
"""What methods are trained on that have a learning rate of their own."""
WORKSPACE_SCENES = 100_000
"""Training scenes of each seed's own workspace, all matched, as for the shipped one."""


@dataclass(frozen=True)
class Size:
    """How much is done."""

    seeds: int
    """Runs."""
    episodes: int
    """Episodes of the training split that give their beginning; validation and test have half as many."""
    selection: SelectionConfig
    """How classifiers and attention are trained."""
    workspace_steps: int = 0
    """Optimiser steps of each seed's own workspace; 0 for the shipped one."""


@dataclass
class Study:
    """One scene: its data, encoded once and only if a cell needs it, and what is trained on it."""

    scene: str
    folder: Path
    size: Size
    out: Path
    inputs: str
    """Names all that cells depend on."""
    published_networks: bool = False
    """Whether each seed's own workspace has plain ReLU layers, as published, in place of the shipped one's."""
    rates: dict[str, float] = field(default_factory=dict)
    """The learning rate that each method does best with on the validation split, in the full form."""
    _classifiers: dict[tuple[str, int], Any] = field(default_factory=dict)
    _failures: dict[tuple[str, float | None], dict[str, Tensor]] = field(default_factory=dict)
    _attentions: dict[tuple[Any, ...], Attention] = field(default_factory=dict)

    @property
    def place(self) -> tuple[Any, ...]:
        """What `study_at` makes the same study of, in whatever process."""
        return (self.scene, self.folder, self.size, self.out, self.inputs, self.published_networks)

    @cached_property
    def gw(self) -> GlobalWorkspace:
        """The shipped workspace with its domain modules."""
        return GlobalWorkspace.from_pretrained(self.folder, device="cpu")

    def workspace(self, seed: int) -> Workspace:
        """The frozen workspace of a seed: the shipped one, or its own."""
        return self.gw.workspace if not self.size.workspace_steps else self._retrained[seed]

    @cached_property
    def _retrained(self) -> list[Workspace]:
        """As the shipped one was trained, from other weights and batches; kept on disk."""
        config, steps = self.gw.workspace.config, self.size.workspace_steps
        config = replace(config, layer_norm=config.layer_norm and not self.published_networks)
        mark = f"noise-{self.scene}-{modules_fingerprint(self.gw.domain_modules)}-{steps}"
        folder = self.out / "workspaces" / (mark + "-published" * self.published_networks)
        paths = {seed: folder / f"{seed}.safetensors" for seed in range(1, self.size.seeds + 1)}
        with alone(folder):
            return kept(paths, config, lambda seeds: self._retrain(config, seeds))

    def _retrain(self, config: GWConfig, seeds: list[int]) -> list[Workspace]:
        """Train the workspaces of seeds together."""
        modules = self.gw.domain_modules
        with alone(self.out / "latents"):
            latents = scene_latents(
                modules, self.scene, "train", 0, WORKSPACE_SCENES, self.out / "latents"
            )
        plan = TrainingPlan(
            FitConfig(self.size.workspace_steps, 256, 2e-3, warmup=0.02, weight_decay=1e-3),
            losses=preset_called("broad+cont"),
        )
        pairs = [torch.arange(WORKSPACE_SCENES)] * len(seeds)
        return train_workspaces(
            config, latents, pairs, seeds, plan, label=f"{self.scene} workspaces"
        )

    @cached_property
    def shown(self) -> dict[str, dict[str, np.ndarray]]:
        """By split, observations of episode beginnings and random rollouts: {modality: (N, ...)}."""
        found = {}
        for split in ("train", "validation", "test"):
            episodes = self.size.episodes if split == "train" else self.size.episodes // 2
            parts = observed(self.scene, split, episodes).values()
            found[split] = {
                name: np.concatenate([part[name] for part in parts]) for name in MODALITIES
            }
        return found

    @cached_property
    def data(self) -> dict[str, dict[str, Tensor]]:
        """By split, latents {modality: (N, L_d)}."""
        return {
            split: encode_rows(self.gw.domain_modules, shown) for split, shown in self.shown.items()
        }

    @cached_property
    def classes(self) -> dict[str, dict[str, Tensor]]:
        """By split and task, (N,) class indices."""
        return {
            split: {
                task: torch.from_numpy(of(shown["attributes"]))
                for task, of in CLASS_LABELS[self.scene].items()
            }
            for split, shown in self.shown.items()
        }

    @property
    def task(self) -> str:
        """The scene's three-class task."""
        return task_of(self.scene)

    def latents(self, split: str, present: Sequence[str]) -> dict[str, Tensor]:
        """Those of some modalities."""
        return {name: self.data[split][name] for name in present}

    def classifier(self, seed: int, task: str | None = None) -> Any:
        """The frozen classifier of a seed and task, of z."""
        key = (task or self.task, seed)
        if key not in self._classifiers:
            known = self.classes["train"][key[0]]
            self._classifiers[key] = train_classifier(
                self.workspace(seed), self.data["train"], known, seed, self.size.selection
            )
        return self._classifiers[key]

    # Attention.

    def rate(self, method: str) -> float:
        """The learning rate that was found for a method, or the one of all in the short form."""
        return (
            self.rates[method] if self.size.workspace_steps else self.size.selection.learning_rate
        )

    def attention(
        self,
        method: str,
        present: tuple[str, ...],
        train: str,
        seed: int,
        without: str | None = None,
    ) -> Attention:
        """Attention trained for a seed.

        Args:
            method: "best", or a preset.
            present: the modalities it is trained on.
            train: "fixed" or "random" noise on one modality, "random at SIGMA", or "everything": random noise and
                failing sensors, on every subset of the modalities.
            seed: of the attention and of the workspace.
            without: a kind of failure that is left out of "everything".
        """
        key = (method, present, train, seed, without)
        if key not in self._attentions:
            rate = self.rate(method) if train in SEARCHED else self.size.selection.learning_rate
            self._attentions[key] = self.taught(*key[:4], self.at_rate(rate), without=without)
        return self._attentions[key]

    def at_rate(self, rate: float) -> SelectionConfig:
        """How things are trained, with another learning rate."""
        return replace(self.size.selection, learning_rate=rate)

    def validated(self, method: str, rate: float) -> float:
        """Accuracy on the validation split, on one modality of all in noise, after training with a learning rate."""
        train = "everything" if method == "best" else "random"
        attention, found = (
            self.taught(method, MODALITIES, train, 0, self.at_rate(rate), SEARCH_SEED),
            [],
        )
        for sigma in SIGMAS:
            batch = self.corrupted("validation", MODALITIES, "random", sigma, 0)
            weights = fusion_weights(self, attention, batch.latents, batch.is_corrupted, 0)
            found.append(self.accuracy(batch.latents, "validation", weights, 0))
        return float(np.mean(found))

    def taught(
        self,
        method: str,
        present: tuple[str, ...],
        train: str,
        seed: int,
        config: SelectionConfig,
        draw: int | None = None,
        without: str | None = None,
    ) -> Attention:
        """As `attention`, trained anew as `config` says; `draw` seeds its weights and batches in place of `seed`."""
        preset = str(self.gw.best) if method == "best" else method
        if " at " in train:
            sigma = float(train.split(" at ")[1])
            config = replace(config, low_sigma=sigma, high_sigma=sigma)
        workspace, latents, subsets = self.workspace(seed), self.latents("train", present), None
        loss: Loss = restores
        if method != "best":
            loss = keeps_right(self.classifier(seed), self.classes["train"][self.task])
        if train == "everything":
            damage, subsets = self.everything(config, without), every_subset(present)
        else:
            damage = Damage(config, self.directions(train, seed))
        return train_attention(
            preset,
            workspace,
            loss,
            latents,
            seed if draw is None else draw,
            damage,
            subsets,
            self.data["train"],
        )

    def everything(self, config: SelectionConfig, without: str | None = None) -> Damage:
        """Random noise and failing sensors, of all kinds but one, on up to all modalities but one."""
        failures = self.failures("train")
        left = {
            name: [row for row, kind in enumerate(KINDS[name]) if kind != without]
            for name in failures
        }
        return Damage(
            config, None, {name: failures[name][rows] for name, rows in left.items()}, 2, 0.1
        )

    # Latent noise, as published.

    def directions(self, noise: str, seed: int) -> dict[str, Tensor] | None:
        """The fixed directions of a seed, or None for random noise; the same for every set of modalities."""
        generator = torch.Generator().manual_seed(seed)
        return draw_directions(self.data["train"], generator) if noise == "fixed" else None

    def corrupted(
        self,
        split: str,
        present: tuple[str, ...],
        noise: str,
        sigma: float,
        seed: int,
        at_once: int = 1,
    ) -> Corrupted:
        """The same noise for every method: a function of its arguments alone."""
        number = seed * 1000 + SIGMAS.index(sigma) * 10 + NOISES.index(noise)
        generator = torch.Generator().manual_seed(
            number + (500_000 if split == "validation" else 0)
        )
        return corrupt(
            self.latents(split, present), sigma, generator, self.directions(noise, seed), at_once
        )

    # Failing sensors.

    def failures(self, split: str, severity: float | None = None) -> dict[str, Tensor]:
        """{modality: (K, N, L_d)} latents under every kind, in the order of `KINDS`; severity from 0 to 1 if None."""
        if (split, severity) not in self._failures:
            kinds = {name: list(kinds) for name, kinds in KINDS.items()}
            span = (0.0, 1.0) if severity is None else (severity, severity)
            seed = {"train": 1, "validation": 2, "test": 3}[split]
            self._failures[split, severity] = failed_latents(
                self.gw.domain_modules, self.shown[split], kinds, seed, span
            )
        return self._failures[split, severity]

    @torch.no_grad()
    def accuracy(
        self,
        latents: Mapping[str, Tensor],
        split: str,
        weights: Tensor | None,
        seed: int,
        task: str | None = None,
    ) -> float:
        """How often the classifier is right on the fused latents."""
        workspace = self.workspace(seed)
        z = workspace.fuse(workspace.encode(latents), weights)
        right = self.classifier(seed, task)(z).argmax(-1) == self.classes[split][task or self.task]
        return float(right.float().mean())


def at_rates(accuracy: Callable[[float], float]) -> dict[str, float]:
    """{learning rate: accuracy with it} of all that are tried."""
    return {f"{rate:g}": accuracy(rate) for rate in RATES}


_study_of = lru_cache(maxsize=2)(Study)
"""Both studies of a scene, with and without published networks."""


def study_at(
    place: tuple[Any, ...], methods: Sequence[str] = (), found: Sequence[Any] = ()
) -> Study:
    """This process's one study of a place, knowing what the searches for the learning rates of `methods` came to."""
    study = _study_of(*place)
    for method, (accuracies,) in zip(methods, found, strict=bool(found)):
        study.rates[method] = float(max(accuracies, key=lambda rate: accuracies[rate]))
    return study


def task_of(scene: str) -> str:
    """A scene's three-class task."""
    return next(iter(CLASS_LABELS[scene]))


@torch.no_grad()
def fusion_weights(
    study: Study,
    method: Attention | str,
    latents: Mapping[str, Tensor],
    hit: Tensor,
    seed: int,
    validation: Callable[[], Corrupted] | None = None,
) -> Tensor | None:
    """(B, D) fusion weights of a method; None for the even mean.

    Args:
        study: the scene.
        method: an attention module, or one of `PLAIN`.
        latents: {modality: (B, L_d)}, corrupted.
        hit: (B, D) which of them are; only the oracle may look.
        seed: of the workspace and classifier.
        validation: makes validation latents corrupted alike, by which "constant" is chosen.
    """
    if isinstance(method, Attention):
        workspace = study.workspace(seed)
        return method(latents, workspace.encode(latents), workspace)
    if method == "oracle":
        clean = (~hit).float()
        clean = torch.where(clean.any(1, keepdim=True), clean, 1.0)
        return clean / clean.sum(1, keepdim=True)
    if method == "constant":
        assert validation is not None
        held, one = validation().latents, torch.eye(hit.shape[1])
        count = len(next(iter(held.values())))
        scores = [study.accuracy(held, "validation", row.expand(count, -1), seed) for row in one]
        return one[int(np.argmax(scores))].expand(len(hit), -1)
    return None
