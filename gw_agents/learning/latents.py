"""Unimodal latents of many scenes, encoded once and kept: workspace training reads them.

A cache file belongs to one set of domain weights; its name holds their hash, so latents of other
weights are never read by mistake.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor
from tqdm import tqdm

from gw_agents.checkpoint import modules_fingerprint
from gw_agents.domains.base import Domain
from gw_envs.dataset import Sampler
from gw_envs.files import write_atomically
from gw_envs.language import plain_tokens

BATCH = 500
"""Scenes drawn at a time; `scene_latents` and `scene_observations` agree on it."""


def scene_observations(
    scene: str, split: str, seed: int, count: int, modalities: Sequence[str]
) -> dict[str, NDArray]:
    """Draw the scenes that `scene_latents` encodes: {modality: (count, ...)}."""
    sampler = Sampler(scene, split, seed, tuple(modalities))
    sizes = [min(BATCH, count - start) for start in range(0, count, BATCH)]
    parts = [sampler.batch(index, size) for index, size in enumerate(sizes)]
    return {name: np.concatenate([part[name] for part in parts]) for name in modalities}


def scene_attributes(scene: str, split: str, seed: int, count: int) -> NDArray:
    """Draw the (count, A) attribute vectors of the scenes that `scene_latents` encodes."""
    return scene_observations(scene, split, seed, count, ("attributes",))["attributes"]


def scene_captions(scene: str, split: str, seed: int, count: int) -> NDArray[np.int64]:
    """Write the plainest, coarsest captions of the scenes that `scene_latents` encodes: (count,
    MAX_TOKENS) token ids."""
    sampler = Sampler(scene, split, seed, ("attributes",))
    sizes = [min(BATCH, count - start) for start in range(0, count, BATCH)]
    parts = [
        plain_tokens(sampler.states(index, size), coarse=True) for index, size in enumerate(sizes)
    ]
    return np.concatenate(parts)


@torch.no_grad()
def encode_rows(
    domains: Mapping[str, Domain], observations: Mapping[str, NDArray]
) -> dict[str, Tensor]:
    """Encode observations a batch at a time: {modality: (N, ...)} -> {modality: (N, L_d)}.

    The latents are where the domain module is. Raises InputError if observations don't fit it.
    """
    latents = {}
    for name, domain in domains.items():
        batches = domain.check(observations[name], name).split(BATCH)
        device = domain.latent_mean.device
        latents[name] = torch.cat([domain.encode(rows.to(device)) for rows in batches])
    return latents


def scene_latents(
    domains: Mapping[str, Domain],
    scene: str,
    split: str,
    seed: int,
    count: int,
    cache: Path | None = None,
) -> dict[str, Tensor]:
    """Encode `count` scenes of a split: {modality: (count, L_d)}; row i of each is scene i.

    Args:
        domains: frozen domain modules by modality; the latents are on their device.
        scene: which scene.
        split: "train", "validation" or "test".
        seed: which scenes of the split.
        count: how many.
        cache: folder in which to keep the latents, or None.
    """
    device = next(iter(domains.values())).latent_mean.device
    path = None
    if cache is not None:
        path = cache / f"{scene}-{split}-{seed}-{count}-{modules_fingerprint(domains)}.safetensors"
        stored = _read_cache(path)
        if stored is not None:
            # a safetensors file has an order of its own
            return {name: stored[name].to(device) for name in domains}
    sampler = Sampler(scene, split, seed, tuple(domains))
    label = f"encoding {count:,} {scene} scenes"
    parts = []
    for start in tqdm(range(0, count, BATCH), desc=label, unit_scale=BATCH):
        rows = sampler.batch(start // BATCH, min(BATCH, count - start))
        parts.append(encode_rows(domains, rows))
    latents = {name: torch.cat([part[name] for part in parts]) for name in domains}
    if path is not None:
        stored = {name: rows.cpu() for name, rows in latents.items()}
        write_atomically(path, lambda temporary: safetensors.torch.save_file(stored, temporary))
    return latents


def _read_cache(path: Path) -> dict[str, Tensor] | None:
    """Read cached latents; None if there are none, or if the file is damaged."""
    try:
        return safetensors.torch.load_file(path) if path.exists() else None
    except SafetensorError:
        return None
