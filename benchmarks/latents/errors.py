"""Errors of probes that read the latents of one domain module, and of its decoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.harness.cells import Cell, Place
from benchmarks.harness.figures import Figure
from benchmarks.harness.rows import Entry, entry
from benchmarks.speed.other_renderers import drawn_as_published
from gw_agents.domains.base import Domain
from gw_agents.learning.latents import scene_attributes, scene_latents
from gw_agents.learning.probes import attribute_errors, linear_probe, mlp_probe
from gw_agents.pretrained import load_domain
from gw_envs.dataset import Sampler
from gw_envs.language import VOCABULARY, captions_true
from gw_envs.observation import MODALITIES

COLUMNS = 10
"""Images in a line of the picture."""

UNITS = {
    "shape": "fraction wrong",
    "size": "px",
    "rotation": "degrees",
    "rgb": "of 255",
    "variance": "fraction not explained",
    "caption_truth": "fraction not wholly true",
}
"""Units of errors, by attribute."""
LENGTHS = {"simple_shapes": "px", "factory": "m"}
"""Units of positions, by scene."""

load_once = lru_cache(maxsize=len(MODALITIES))(load_domain)
"""`load_domain`, once for each process."""


@dataclass(frozen=True)
class DomainErrors(Cell):
    """Measures one domain module.

    Metrics: entries of the metric "error" with attribute, unit and probe, which is linear, mlp,
    redrawn (the MLP on images of matplotlib) or decoded (the module's own decoder).
    """

    FILE = "domains"

    modality: str
    weights: str
    """Fingerprint of the module."""
    seed: int
    train: int
    """Scenes to fit probes on."""
    test: int
    """Held-out scenes."""
    decoded: int = 2000
    """Held-out scenes that are decoded."""
    redrawn: int = 300
    """Held-out scenes that matplotlib draws."""

    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Fit the probes, and test them and the decoder on held-out scenes."""
        domain, _ = load_once(place.weights_of(self.scene), self.modality, self.scene)
        fitted = self._latents(domain, "train", 1000 + self.seed, self.train)
        held_out = self._latents(domain, "test", self.seed, self.test)
        known = torch.from_numpy(
            scene_attributes(self.scene, "train", 1000 + self.seed, self.train)
        )
        truth = scene_attributes(self.scene, "test", self.seed, self.test)
        probe = mlp_probe(self.scene, fitted, known, self.seed)
        errors = {
            "linear": attribute_errors(self.scene, linear_probe(fitted, known, held_out), truth),
            "mlp": attribute_errors(self.scene, probe(held_out), truth),
            "decoded": decoded_errors(self.scene, self.modality, domain, self.seed, self.decoded),
        }
        if self.scene == "simple_shapes" and self.modality == "image":
            errors["redrawn"] = redrawn_errors(domain, probe, self.seed, self.redrawn)
        results = []
        for probe_name, by_attribute in errors.items():
            for attribute, error in by_attribute.items():
                unit = LENGTHS[self.scene] if attribute == "position" else UNITS[attribute]
                condition = {"attribute": attribute, "probe": probe_name, "unit": unit}
                results.append(entry("error", error, **condition))
        return results

    def _latents(self, domain: Domain, split: str, seed: int, count: int) -> Tensor:
        """Return (count, L) latents of a split."""
        return scene_latents({self.modality: domain}, self.scene, split, seed, count)[self.modality]


@torch.no_grad()
def redrawn_errors(
    domain: Domain, probe: Callable[[Tensor], NDArray], seed: int, count: int
) -> dict[str, float]:
    """Return the errors of a probe on images that matplotlib draws as the published ones were
    drawn."""
    sampler = Sampler("simple_shapes", "test", seed, ("attributes",))
    images = torch.from_numpy(drawn_as_published(sampler.states(0, count)))
    predicted = probe(domain.encode(images))
    return attribute_errors("simple_shapes", predicted, sampler.batch(0, count)["attributes"])


@torch.inference_mode()
def decoded_errors(
    scene: str, modality: str, domain: Domain, seed: int, count: int
) -> dict[str, float]:
    """Return the errors from observation to latent and back, on held-out scenes."""
    sampler = Sampler(scene, "test", seed, (modality,))
    observations = sampler.batch(0, count)[modality]
    decoded = domain.decode(domain.encode(torch.from_numpy(observations))).numpy()
    if modality == "attributes":
        return attribute_errors(scene, decoded, observations)
    if modality == "language":
        true = captions_true(VOCABULARY.decode_rows(decoded), sampler.states(0, count))
        return {"caption_truth": float(1.0 - true.all(1).mean())}
    pixels = observations.astype(np.float64)
    lost = ((decoded - pixels) ** 2).sum() / ((pixels - pixels.mean(0)) ** 2).sum()
    return {"variance": float(lost)}


@dataclass(frozen=True)
class Reconstructions(Cell):
    """Draws a picture of held-out images, their reconstructions, samples of the latent and an
    interpolation. Metrics: {}."""

    FILE = "domains"

    weights: str
    """Fingerprint of the image module."""
    columns: int = COLUMNS

    def product(self, place: Place) -> Path:
        """Return the path of the picture."""
        return place.out / f"domains_{self.scene}.png"

    @torch.inference_mode()
    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, float]:
        """Draw and save."""
        domain, _ = load_once(place.weights_of(self.scene), "image", self.scene)
        images = Sampler(self.scene, "test", 0, ("image",)).batch(0, self.columns)["image"]
        latents = domain.encode(torch.from_numpy(images))
        generator = torch.Generator().manual_seed(0)
        samples = torch.randn(self.columns, domain.latent_width, generator=generator)
        steps = torch.linspace(0, 1, self.columns).unsqueeze(1)
        between = latents[:1] * (1 - steps) + latents[1:2] * steps
        lines = {
            "held out": images,
            "decoded": domain.decode(latents).numpy(),
            "sampled": domain.decode(samples).numpy(),
            "between two": domain.decode(between).numpy(),
        }

        def draw(axes: Any) -> None:
            panel, size = axes[0, 0], images.shape[1]
            strips = [np.concatenate(list(line), 1) for line in lines.values()]
            panel.imshow(np.concatenate(strips, 0))
            panel.set_yticks([size * (index + 0.5) for index in range(len(lines))], list(lines))
            panel.set_xticks([])

        width, height = self.columns * 1.1, len(lines) * 1.15
        Figure(self.product(place).stem, draw, width, height).save(place.out)
        return {}
