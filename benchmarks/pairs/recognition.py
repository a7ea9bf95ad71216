"""The observations that `classification` and `odd_one_out` read classes from, encoded once for a
scene."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.harness.cells import Place
from benchmarks.harness.observed import observed, pooled
from benchmarks.pairs.models import domains_of
from gw_agents.learning.latents import encode_rows
from gw_envs.labels import CLASS_LABELS

LABELS = {"simple_shapes": ("shape",), "factory": ("color family", "region")}
"""Labels whose classes are read in each scene, by name in `gw_envs.labels`."""


@dataclass(frozen=True)
class Split:
    """Encoded observations and their classes."""

    latents: dict[str, Tensor]
    """{modality: (N, L_d)}."""
    classes: dict[str, NDArray[np.int64]]
    """{label: (N,)}."""


@lru_cache(maxsize=1)
def splits_of(
    place: Place, scene: str, modalities: tuple[str, ...], episodes: int
) -> dict[str, Split]:
    """Return {"train", "reset", "rollout": split}; the last two are held out from all training.

    "train" holds episode beginnings and rollouts of the validation split: no workspace saw any of
    them.
    """
    names = dict.fromkeys([*modalities, "attributes"])
    train = pooled(observed(scene, "validation", episodes), names)
    domains = domains_of(place, scene, modalities)
    splits = {}
    for name, rows in {"train": train, **observed(scene, "test", episodes)}.items():
        classes = {label: CLASS_LABELS[scene][label](rows["attributes"]) for label in LABELS[scene]}
        splits[name] = Split(encode_rows(domains, rows), classes)
    return splits
