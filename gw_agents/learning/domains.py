"""Train domain modules, each alone on its own modality."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from gw_agents.domains.base import Domain
from gw_agents.domains.kinds import DOMAINS
from gw_agents.learning.latents import BATCH
from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_agents.learning.recipes import Recipe
from gw_envs.dataset import Sampler, generator
from gw_envs.language import paraphrases, plain_tokens

PARAPHRASES = 4
"""Captions of each scene that the language domain averages."""

PREPARED_ON = 10
"""Batches that `Domain.prepare` sees before training; all observations if there are no more."""

STANDARDIZED_ON = 20_000
"""Observations over which latents are standardized after training, if not over all."""


@dataclass(frozen=True)
class DomainData:
    """The batches that a domain module is trained on."""

    observations: Callable[[int], Tensor]
    """Index of a batch -> (B, ...) observations."""
    pairs: Callable[[int], tuple[Tensor, Tensor]] | None = None
    """Index of a batch -> (what the loss reads, what should be decoded); None if they are alike."""
    inputs: str = ""
    """Names the data, so that a run on other data is never resumed."""
    everything: Tensor | None = None
    """(N, ...) all observations, if there is an end to them."""

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Return what the loss reads in a step, and what should be decoded."""
        if self.pairs is not None:
            return self.pairs(index)
        observations = self.observations(index)
        return observations, observations

    def first_look(self, batch_size: int) -> Tensor:
        """Return the observations that a domain module sees before training."""
        if self.everything is not None and len(self.everything) <= PREPARED_ON * batch_size:
            return self.everything
        return torch.cat([self.observations(index) for index in range(PREPARED_ON)])

    def standardize(self, domain: Domain, batch_size: int) -> None:
        """Standardize a domain module's latents."""
        if self.everything is None:
            domain.standardize(self.observations, max(1, STANDARDIZED_ON // batch_size))
            return
        parts = self.everything.split(BATCH)
        domain.standardize(parts.__getitem__, len(parts))


def train_domain(
    domain: Domain,
    data: DomainData | NDArray,
    config: FitConfig,
    run_dir: Path | None = None,
    label: str | None = None,
) -> Domain:
    """Train a domain module from its first look at the data to frozen, standardized latents.

    Args:
        domain: freshly made (see `make_domain`), on the device where it is to be trained.
        data: (N, ...) observations as an environment gives them, or batches of your own.
        config: how to train.
        run_dir: folder of checkpoints and logs; None writes nothing.
        label: text of the progress bar; None shows no bar.

    Returns:
        The same module, frozen.

    Raises:
        InputError: the observations don't fit the domain.
    """
    if not isinstance(data, DomainData):
        data = batches_from(domain, data, config)
    config = replace(config, inputs=config.inputs + data.inputs)
    domain.prepare(data.first_look(config.batch_size))

    def step_loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        return domain.loss(*data.batch(step), progress)

    fit(domain, step_loss, config, run_dir, label)
    domain.freeze()
    data.standardize(domain, config.batch_size)
    return domain


def make_domain(recipe: Recipe, seed: int, device: torch.device | str = "cpu") -> Domain:
    """Make the domain module of a recipe, with initial weights that `seed` draws."""
    seed_torch(seed)
    return DOMAINS[recipe.kind](**recipe.arguments).to(device)


def batches_from(
    domain: Domain, rows: NDArray, config: FitConfig, inputs: str | None = None
) -> DomainData:
    """Draw batches from (N, ...) observations; InputError if they don't fit the domain.

    `inputs` names the observations; by default they are hashed.
    """
    observations = domain.check(rows, "the array of observations").to(domain.latent_mean.device)

    def batch(index: int) -> Tensor:
        drawn = generator("train", config.seed, index).integers(len(rows), size=config.batch_size)
        return observations[torch.from_numpy(drawn).to(observations.device)]

    if inputs is None:
        digest = hashlib.sha256(np.ascontiguousarray(rows).data).hexdigest()
        inputs = f"{domain.config()} {digest}"
    return DomainData(batch, inputs=inputs, everything=observations)


def scene_data(
    domain: Domain, recipe: Recipe, scene: str, modality: str, config: FitConfig
) -> DomainData:
    """Draw batches of a scene's train split: fresh scenes each time, or from the recipe's pool."""
    device, count = domain.latent_mean.device, config.batch_size
    sampler = Sampler(scene, "train", config.seed, (modality,), jitter=True)
    inputs = f"{recipe.arguments} {recipe.pool} {PARAPHRASES}"
    if recipe.pool:
        pool = batches_from(domain, draw_pool(sampler, modality, recipe.pool), config, inputs)
        return replace(pool, everything=None)  # a pool stands for a scene without an end

    def fresh(index: int) -> Tensor:
        return torch.from_numpy(sampler.batch(index, count)[modality]).to(device)

    def captions(index: int) -> tuple[Tensor, Tensor]:
        states = sampler.states(index, count)
        targets = np.stack([plain_tokens(states), plain_tokens(states, coarse=True)], 1)
        read = torch.from_numpy(paraphrases(states, PARAPHRASES)).to(device)
        return read, torch.from_numpy(targets).to(device)

    return DomainData(fresh, captions if modality == "language" else None, inputs)


def draw_pool(sampler: Sampler, modality: str, count: int, batch: int = 1000) -> NDArray:
    """Draw (count, ...) observations of one modality."""
    sizes = [min(batch, count - start) for start in range(0, count, batch)]
    first = sampler.batch(0, sizes[0])[modality]
    pool = np.empty((count, *first.shape[1:]), first.dtype)  # joining parts would take it twice
    for index, size in enumerate(tqdm(sizes, desc=f"drawing {count:,} scenes", unit_scale=batch)):
        pool[index * batch : index * batch + size] = sampler.batch(index, size)[modality]
    return pool
