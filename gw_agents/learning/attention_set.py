"""Train the attention modules that a workspace comes with, and tell which is best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from tqdm import tqdm

from gw_agents.domains.base import Domain
from gw_agents.learning.attention import (
    Damage,
    Latents,
    Loss,
    SelectionConfig,
    classification_loss,
    every_subset,
    failed_latents,
    restoration_loss,
    train_attention,
    train_classifier,
)
from gw_agents.learning.latents import encode_rows, scene_observations
from gw_agents.workspace.attention import PRESETS, UNTRAINED, Attention
from gw_agents.workspace.latent_noise import corrupt
from gw_agents.workspace.model import Workspace
from gw_envs.corruption import KINDS
from gw_envs.errors import InputError, check_choice
from gw_envs.labels import labels

ON_CLASSES = ("one_step", "two_step")
"""The modules trained as published: to keep a classifier right under noise on one modality."""
WITHOUT_CLASSES = (*UNTRAINED, "evidence", "evidence_fused")
"""The modules that need no classes: untrained rules, and evidence that restores the clean z."""
SIGMAS = (0.0, 3.0, 10.0, 30.0, 100.0)
"""Standard deviations of the latent noise under which modules are compared."""


@dataclass(frozen=True)
class AttentionData:
    """N scenes, encoded."""

    latents: Latents
    """{modality: (N, L_d)} clean latents."""
    classes: Tensor | None = None
    """(N,) class indices, if the scenes have classes."""
    failures: Latents | None = None
    """{modality: (K, N, L_d)} latents of the same scenes as K failing sensors show them, if any."""


def encode_scenes(
    domains: Mapping[str, Domain], scene: str, split: str, seed: int, count: int
) -> AttentionData:
    """Encode scenes of a split, with their classes, and as failing sensors show them.

    Args:
        domains: frozen domain modules by modality.
        scene: which scene.
        split: "train", where failures have any severity, or another split, where they are complete.
        seed: which scenes of the split, and what happens to the sensors.
        count: how many.
    """
    severity = (0.0, 1.0) if split == "train" else (1.0, 1.0)
    observations = scene_observations(scene, split, seed, count, tuple(domains))
    kinds = {name: list(KINDS[name]) for name in domains}
    failures = failed_latents(domains, observations, kinds, seed, severity)
    device = next(iter(domains.values())).latent_mean.device
    classes = torch.from_numpy(labels(scene, observations["attributes"])).to(device)
    return AttentionData(encode_rows(domains, observations), classes, failures)


@dataclass(frozen=True)
class AttentionSet:
    """Attention modules of one workspace."""

    modules: dict[str, Attention]
    """Modules by the name of their preset, frozen."""
    scores: dict[str, dict[str, float]]
    """{module: {"noise": score, "sensors": score}} on validation scenes."""
    best: str
    """The module with the best sum of scores."""
    is_accuracy: bool
    """Whether scores are accuracies; otherwise they are squared distances to the clean z."""


Score = Callable[[Tensor, Latents], float]
"""((N, Z) z of corrupted latents, the clean latents of the same modalities) -> score."""


def train_attentions(
    workspace: Workspace,
    train: AttentionData,
    validation: AttentionData,
    presets: Sequence[str] | None = None,
    seed: int = 0,
    config: SelectionConfig | None = None,
    label: str | None = None,
) -> AttentionSet:
    """Train attention modules and compare them on validation scenes.

    Args:
        workspace: frozen.
        train: scenes to learn from.
        validation: scenes that tell which module is best; they have classes if `train` has.
        presets: names in `gw_agents.workspace.attention.PRESETS`; by default `ON_CLASSES`, if the
            scenes have classes, and `WITHOUT_CLASSES`.
        seed: of the classifier, the weights, the batches and the noise.
        config: how the classifier and the modules are trained.
        label: text of the progress bar; None shows no bar.

    Raises:
        InputError: a preset is unknown, or needs classes where there are none.
    """
    names = check_presets(presets, train.classes is not None)
    config = config or SelectionConfig(steps=2500)
    subsets = every_subset(list(train.latents))
    classification, score = None, restoration_error(workspace)
    if train.classes is not None and validation.classes is not None:
        classifier = train_classifier(workspace, train.latents, train.classes, seed, config)
        classification = classification_loss(classifier, train.classes)
        score = accuracy(classifier, validation.classes)
    modules: dict[str, Attention] = {}
    scores: dict[str, dict[str, float]] = {}
    for name in tqdm(names, desc=label, disable=label is None):
        loss: Loss = restoration_loss
        damage = Damage(config, None, train.failures, 2, 0.1)
        if classification is not None and name in ON_CLASSES:
            loss, damage = classification, Damage(config)
        modules[name] = train_attention(name, workspace, loss, train.latents, seed, damage, subsets)
        measured = robust_scores(modules[name], workspace, validation, score, subsets)
        scores[name] = {what: round(value, 4) for what, value in measured.items()}
    pick = min if classification is None else max
    best = pick(scores, key=lambda name: sum(scores[name].values()))
    return AttentionSet(modules, scores, best, classification is not None)


def check_presets(presets: Sequence[str] | None, has_classes: bool) -> tuple[str, ...]:
    """Return the presets to train; InputError if one is unknown, or lacks the classes it needs."""
    if presets is None:
        return (*ON_CLASSES, *WITHOUT_CLASSES) if has_classes else WITHOUT_CLASSES
    for name in presets:
        check_choice("attention preset", name, PRESETS)
        if not has_classes and name not in WITHOUT_CLASSES:
            raise InputError(
                f"the attention {name} is trained on classes, and the data have none: choose from"
                f" {', '.join(WITHOUT_CLASSES)}"
            )
    return tuple(presets)


def accuracy(classifier: torch.nn.Module, classes: Tensor) -> Score:
    """Score by the fraction of (N,) classes that a classifier of z gets right."""

    def score(z: Tensor, clean: Latents) -> float:
        return float((classifier(z).argmax(-1) == classes).float().mean())

    return score


def restoration_error(workspace: Workspace) -> Score:
    """Score by the mean squared distance to the z of the clean latents."""

    def score(z: Tensor, clean: Latents) -> float:
        return float((z - workspace.fuse(workspace.encode(clean))).square().mean())

    return score


@torch.inference_mode()
def robust_scores(
    attention: Attention,
    workspace: Workspace,
    data: AttentionData,
    score: Score,
    subsets: Sequence[tuple[str, ...]],
    sigmas: Sequence[float] = SIGMAS,
) -> dict[str, float]:
    """Score the z of corrupted latents.

    Args:
        attention: what is judged.
        workspace: frozen.
        data: scenes.
        score: how the z of one corruption is scored.
        subsets: of modalities, over which the score under noise is averaged.
        sigmas: standard deviations of the noise.

    Returns:
        {"noise": score under latent noise on one modality}, and {"sensors": score while one sensor
        of all fails} if the data hold failures.
    """

    def score_of(shown: Latents, clean: Latents) -> float:
        codes = workspace.encode(shown)
        return score(workspace.fuse(codes, attention(shown, codes, workspace)), clean)

    noise = []
    for present, sigma in product(subsets, sigmas):
        clean = {name: data.latents[name] for name in present}
        generator = torch.Generator(next(iter(clean.values())).device).manual_seed(0)
        noise.append(score_of(corrupt(clean, sigma, generator).latents, clean))
    scores = {"noise": sum(noise) / len(noise)}
    failed = [
        score_of({**data.latents, name: rows}, data.latents)
        for name, kinds in (data.failures or {}).items()
        for rows in kinds
    ]
    if failed:
        scores["sensors"] = sum(failed) / len(failed)
    return scores
