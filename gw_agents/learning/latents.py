"""Unimodal latents of many scenes, encoded once and kept: what workspace training reads.

A cache file belongs to one set of domain weights; its name holds their hash, so that the latents of another checkpoint
are never read by mistake.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor
from tqdm import tqdm

from gw_agents.checkpoint import modules_fingerprint
from gw_agents.domains.base import Domain
from gw_envs.dataset import Sampler
from gw_envs.files import write_atomically

BATCH = 500
"""Scenes drawn at a time; part of what `scene_latents` and `scene_attributes` agree on."""


def scene_observations(
    scene: str, split: str, seed: int, count: int, modalities: Sequence[str]
) -> dict[str, np.ndarray]:
    """{modality: (count, ...)} observations of the scenes that `scene_latents` encodes for the same arguments."""
    sampler = Sampler(scene, split, seed, tuple(modalities))
    sizes = [min(BATCH, count - start) for start in range(0, count, BATCH)]
    parts = [sampler.batch(index, size) for index, size in enumerate(sizes)]
    return {name: np.concatenate([part[name] for part in parts]) for name in modalities}


def scene_attributes(scene: str, split: str, seed: int, count: int) -> np.ndarray:
    """(count, A) attribute vectors of the scenes whose latents `scene_latents` gives for the same arguments."""
    return scene_observations(scene, split, seed, count, ("attributes",))["attributes"]


@torch.no_grad()
def encode_rows(
    domains: Mapping[str, Domain], shown: Mapping[str, np.ndarray]
) -> dict[str, Tensor]:
    """Latents of observations, {modality: (N, ...)} -> {modality: (N, L_d)}, encoded a batch at a time."""
    return {
        name: torch.cat(
            [domain.encode(rows) for rows in torch.from_numpy(shown[name]).split(BATCH)]
        )
        for name, domain in domains.items()
    }


def scene_latents(
    domains: Mapping[str, Domain],
    scene: str,
    split: str,
    seed: int,
    count: int,
    cache: Path | None = None,
) -> dict[str, Tensor]:
    """Latents of `count` scenes of a split: {modality: (count, L_d)}; row i of each is scene i.

    Args:
        domains: frozen domain modules by modality.
        scene: which scene.
        split: "train", "validation" or "test".
        seed: which scenes of the split.
        count: how many.
        cache: folder in which to keep them, or None.
    """
    path = None
    if cache is not None:
        path = cache / f"{scene}-{split}-{seed}-{count}-{modules_fingerprint(domains)}.safetensors"
        if path.exists():
            kept = safetensors.torch.load_file(path)
            return {name: kept[name] for name in domains}  # a file has an order of its own
    sampler = Sampler(scene, split, seed, tuple(domains))
    parts = []
    with torch.inference_mode():
        for start in tqdm(
            range(0, count, BATCH), desc=f"encoding {count:,} {scene} scenes", unit_scale=BATCH
        ):
            shown = sampler.batch(start // BATCH, min(BATCH, count - start))
            parts.append(
                {name: domains[name].encode(torch.from_numpy(rows)) for name, rows in shown.items()}
            )
    latents = {name: torch.cat([part[name] for part in parts]).clone() for name in domains}
    if path is not None:
        write_atomically(path, lambda temporary: safetensors.torch.save_file(latents, temporary))
    return latents
