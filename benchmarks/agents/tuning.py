"""Fixed fusion weights for a workspace that has learned none, chosen on validation scenes.

A policy that learned from one precise modality reads fused vectors well if they say the same as the
vectors of that modality. So a probe learns to read position and rotation, which the tasks are
about, from the vectors of each precise modality alone. The best weights are those with which these
probes err least on fused vectors of validation scenes, on average over all sets of two or more
modalities. No agent and no test episode has a part in it.
"""

from collections.abc import Mapping
from itertools import product

import torch
from torch import Tensor, nn

from gw_agents.global_workspace import GlobalWorkspace
from gw_agents.learning.attention import every_subset
from gw_agents.learning.latents import encode_rows, scene_observations
from gw_agents.learning.probes import fit_mlp_probe
from gw_agents.workspace.model import Workspace
from gw_envs.observation import MODALITIES
from gw_envs.scenes import get_scene

PRECISE = ("image", "attributes")
"""Modalities that the probes learn from: those that tell a scene exactly."""
READ = ("x", "y", "rotation")
"""Attributes that the tasks are about."""
LEVELS = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Weights that are tried, relative to the largest."""

FixedWeights = tuple[tuple[str, float], ...]
"""((modality, weight), ...), which sum to 1."""


def candidates() -> list[FixedWeights]:
    """List all weights to try: every combination of levels in which the largest is 1, scaled to sum
    to 1."""
    listed = []
    for levels in product(LEVELS, repeat=len(MODALITIES)):
        if max(levels) == 1.0:
            total = sum(levels)
            scaled = [level / total for level in levels]
            listed.append(tuple(zip(MODALITIES, scaled, strict=True)))
    return listed


def even_weights() -> FixedWeights:
    """Return the candidate in which all modalities count alike."""
    return tuple((name, 1.0 / len(MODALITIES)) for name in MODALITIES)


def tune(
    gw: GlobalWorkspace, scene: str, scenes: int, steps: int, seed: int
) -> dict[FixedWeights, float]:
    """Return the probes' mean error on validation scenes for every candidate.

    Args:
        gw: a workspace whose fusion has no weights of its own yet.
        scene: name of its scene.
        scenes: scenes that the probes learn from; half as many validation scenes are read.
        steps: optimizer steps of each probe.
        seed: of the probes' weights and batches.
    """
    codes, attributes = _encode(gw, scene, "train", scenes)
    probes = []
    for name in PRECISE:
        z = codes[name].tanh()
        probes.append(fit_mlp_probe(scene, z, attributes, seed, steps))
    codes, attributes = _encode(gw, scene, "validation", scenes // 2)
    columns = read_columns(scene)
    return {
        weights: fused_error(probes, gw.workspace, codes, dict(weights), attributes, columns)
        for weights in candidates()
    }


@torch.no_grad()
def _encode(
    gw: GlobalWorkspace, scene: str, split: str, count: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Encode scenes into {modality: (N, Z)} codes; also return their (N, A) attribute vectors."""
    observations = scene_observations(scene, split, 0, count, MODALITIES)
    codes = gw.workspace.encode(encode_rows(gw.domain_modules, observations))
    return codes, torch.from_numpy(observations["attributes"])


def read_columns(scene: str) -> list[int]:
    """Return the columns of the attribute vector that hold the attributes in `READ`."""
    columns: list[int] = []
    start = 0
    for field in get_scene(scene).fields:
        if field.name in READ:
            columns += range(start, start + field.components)
        start += field.components
    return columns


@torch.no_grad()
def fused_error(
    probes: list[nn.Sequential],
    workspace: Workspace,
    codes: Mapping[str, Tensor],
    weights: Mapping[str, float],
    attributes: Tensor,
    columns: list[int],
) -> float:
    """Return the mean absolute error of the probes on the fused vectors of every set of two or more
    modalities.

    Args:
        probes: networks that read (N, Z) vectors as (N, A) attribute vectors.
        workspace: fuses the codes.
        codes: {modality: (N, Z)}, not yet fused.
        weights: the fixed weight of each modality; those of a set are scaled to sum to 1.
        attributes: (N, A) true attribute vectors.
        columns: the entries of attribute vectors that count.
    """
    errors = []
    for names in every_subset(list(codes)):
        own = torch.tensor([weights[name] for name in names])
        z = workspace.fuse({name: codes[name] for name in names}, own / own.sum())
        for probe in probes:
            difference = probe(z)[:, columns] - attributes[:, columns]
            errors.append(float(difference.abs().mean()))
    return sum(errors) / len(errors)
