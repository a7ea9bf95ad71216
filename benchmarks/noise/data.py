"""The observations of a scene that the noise benchmark trains and tests on.

They are episode beginnings and random rollouts, split by episode. Each observation is encoded once
clean and once for every failure of its sensors; latent noise is added afterwards.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness.cells import Place
from benchmarks.harness.observed import observed, pooled
from gw_agents import GlobalWorkspace
from gw_agents.learning.attention import failed_latents
from gw_agents.learning.latents import encode_rows
from gw_agents.workspace.latent_noise import Corrupted, corrupt, draw_directions
from gw_envs.corruption import KINDS
from gw_envs.labels import CLASS_LABELS
from gw_envs.observation import MODALITIES

SETS = (("image", "attributes"), MODALITIES)
"""The published pair of modalities, and all three."""
SIGMAS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0)
NOISES = ("fixed", "random")
SEVERITIES = (0.25, 0.5, 0.75, 1.0)
SPLITS = {"train": 1, "validation": 2, "test": 3}
"""Every split, with the seed of its sensor failures."""


@lru_cache(maxsize=2)
def shipped(place: Place, scene: str) -> GlobalWorkspace:
    """Return the shipped workspace of a scene, with its domain modules and attention."""
    return GlobalWorkspace.from_pretrained(place.weights_of(scene), device="cpu")


def main_label(scene: str) -> str:
    """Return the name of a scene's three-class label."""
    return next(iter(CLASS_LABELS[scene]))


class SceneData:
    """Observations, latents and classes of every split, computed when they are first needed."""

    def __init__(self, place: Place, scene: str, episodes: int) -> None:
        """Hold the data of a scene.

        Args:
            place: where the domain modules are.
            scene: name of the scene.
            episodes: episodes of the training split; the other splits have half as many.
        """
        self.scene, self.episodes = scene, episodes
        self.domains = shipped(place, scene).domain_modules
        self._failures: dict[tuple[str, float | None], dict[str, Tensor]] = {}

    @cached_property
    def observations(self) -> dict[str, dict[str, np.ndarray]]:
        """{split: {modality: (N, ...)}}."""
        observations = {}
        for split in SPLITS:
            episodes = self.episodes if split == "train" else self.episodes // 2
            observations[split] = pooled(observed(self.scene, split, episodes), MODALITIES)
        return observations

    @cached_property
    def _encoded(self) -> dict[str, dict[str, Tensor]]:
        return {split: encode_rows(self.domains, rows) for split, rows in self.observations.items()}

    @cached_property
    def _classes(self) -> dict[tuple[str, str], Tensor]:
        classes = {}
        for split, rows in self.observations.items():
            for label, classes_of in CLASS_LABELS[self.scene].items():
                classes[split, label] = torch.from_numpy(classes_of(rows["attributes"]))
        return classes

    def latents(self, split: str, modalities: Sequence[str] = MODALITIES) -> dict[str, Tensor]:
        """Return {modality: (N, L_d)} of some modalities."""
        return {name: self._encoded[split][name] for name in modalities}

    def classes(self, split: str, label: str) -> Tensor:
        """Return (N,) class indices."""
        return self._classes[split, label]

    def directions(self, noise: str, seed: int) -> dict[str, Tensor] | None:
        """Return the fixed noise directions of a seed, the same for every set of modalities; None
        for random noise."""
        if noise != "fixed":
            return None
        return draw_directions(self._encoded["train"], torch.Generator().manual_seed(seed))

    def noisy(
        self,
        split: str,
        modalities: Sequence[str],
        noise: str,
        sigma: float,
        seed: int,
        at_once: int = 1,
    ) -> Corrupted:
        """Return latents under noise that is a function of the arguments alone."""
        number = seed * 1000 + SIGMAS.index(sigma) * 10 + NOISES.index(noise)
        if split == "validation":
            number += 500_000
        generator = torch.Generator().manual_seed(number)
        latents = self.latents(split, modalities)
        return corrupt(latents, sigma, generator, self.directions(noise, seed), at_once)

    def failures(self, split: str, severity: float | None = None) -> dict[str, Tensor]:
        """Return {modality: (K, N, L_d)} under every kind of failure, in the order of `KINDS`.

        Severity is drawn from 0 to 1 for each row if it is None.
        """
        if (split, severity) not in self._failures:
            kinds = {name: list(kinds) for name, kinds in KINDS.items()}
            span = (0.0, 1.0) if severity is None else (severity, severity)
            self._failures[split, severity] = failed_latents(
                self.domains, self.observations[split], kinds, SPLITS[split], span
            )
        return self._failures[split, severity]


data_of = lru_cache(maxsize=1)(SceneData)
"""This process's data of a scene: (place, scene, episodes) -> SceneData."""
