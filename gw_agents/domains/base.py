"""What a domain module is: one modality's own encoder and decoder, trained alone and then frozen."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Domain(nn.Module):
    """A modality's encoder, decoder and loss, for the observations under one key, whatever the key is called.

    A domain of your own defines `_encode`, `_decode` and `loss`, says with `dtype`, `accepts` and `shape` what one
    observation is, and overrides `check` where that doesn't say it all.

    Outside, latents are standardised: over the training distribution each of the `latent_width` components has mean 0
    and standard deviation 1. Inside, `_encode` and `_decode` work on the raw latents; `standardise` measures the
    difference once, after training.
    """

    modality: ClassVar[str]
    """What kind of domain this is: checkpoints name it, and our own scenes have it under that key."""
    dtype: ClassVar[type[np.generic]] = np.float32
    """The type of the numbers that `encode` reads."""
    accepts: ClassVar[type[np.generic]] = np.floating
    """The types that `check` turns into `dtype`: one NumPy type, or a family such as np.integer."""

    def __init__(self, latent_width: int) -> None:
        super().__init__()
        self.latent_width = latent_width
        self.latent_mean: Tensor
        self.latent_scale: Tensor
        self.register_buffer("latent_mean", torch.zeros(latent_width))
        self.register_buffer("latent_scale", torch.ones(latent_width))

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one observation; -1 where any length will do."""
        raise NotImplementedError

    def check(self, array: NDArray, name: str) -> Tensor:
        """A batch (B, ...) of observations under the key `name`, as `encode` reads it.

        Raises ValueError with one sentence if shape, type or values are unfit.
        """
        self.check_form(array, name)
        return torch.from_numpy(np.ascontiguousarray(array, dtype=self.dtype))

    def check_form(self, array: NDArray, name: str) -> None:
        """ValueError unless the array is a batch (B, *shape) of a type that the domain accepts."""
        shape = self.shape
        fits = array.ndim == 1 + len(shape) and all(
            w in (-1, s) for w, s in zip(shape, array.shape[1:], strict=True)
        )
        if not fits or not np.issubdtype(array.dtype, self.accepts):
            form = str(shape).replace("-1", "any length")
            raise ValueError(
                f"{name} is {array.dtype} of shape {array.shape}: its domain module reads {self.dtype.__name__} of"
                f" shape {form}, or a batch of such"
            )

    def prepare(self, observations: Tensor) -> None:
        """Look at some training observations once, before training."""

    def loss(
        self, observations: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The training loss of a batch, and its unweighted terms by name for the log.

        Args:
            observations: a batch of what the domain reads.
            targets: what should be decoded; the same as `observations`, but for language.
            progress: how much of training is done, 0 to 1, for warm-ups.
        """
        raise NotImplementedError

    def _encode(self, observations: Tensor) -> Tensor:
        """(B, ...) observations -> (B, L) raw latents."""
        raise NotImplementedError

    def _decode(self, latents: Tensor) -> Tensor:
        """(B, L) raw latents -> (B, ...) observations in the environment's space."""
        raise NotImplementedError

    def encode(self, observations: Tensor) -> Tensor:
        """(B, ...) observations as the environment gives them -> (B, L) float32 standardised latents."""
        return (self._encode(observations) - self.latent_mean) / self.latent_scale

    def decode(self, latents: Tensor) -> Tensor:
        """(B, L) standardised latents -> (B, ...) observations in the environment's own space and dtype."""
        return self._decode(latents * self.latent_scale + self.latent_mean)

    @torch.no_grad()
    def standardise(self, batches: Callable[[int], Tensor], count: int) -> None:
        """Measure the raw latents' mean and standard deviation on `count` batches and keep them."""
        latents = torch.cat([self._encode(batches(index)) for index in range(count)])
        self.latent_mean.copy_(latents.mean(0))
        self.latent_scale.copy_(latents.std(0).clamp(min=1e-6))

    def freeze(self) -> "Domain":
        """Evaluation mode and no gradients, for good."""
        self.eval()
        return self.requires_grad_(False)


def check_key(key: str) -> str:
    """The key of an observation, if a domain module can be kept under it in memory and on disk; ValueError if not."""
    taken = key in ("workspace", "attention") or hasattr(nn.ModuleDict(), key)
    if taken or not re.fullmatch(r"[\w-]+", key):
        why = "that name is taken" if taken else "it must be of letters, digits, _ and -"
        raise ValueError(
            f"the key {key!r} can't be that of a modality, {why}: wrap the environment and rename it"
        )
    return key


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, I)), summed over the latent and averaged over the batch; (B, L), (B, L) -> ()."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1).mean()


def sample_latent(mean: Tensor, log_variance: Tensor) -> Tensor:
    """One draw from N(mean, variance) by the reparameterisation trick; (B, L), (B, L) -> (B, L)."""
    return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()


def mlp(widths: list[int]) -> nn.Sequential:
    """Linear layers of the given widths with ReLU between them, none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def normalised_mlp(widths: list[int]) -> nn.Sequential:
    """As `mlp`, with LayerNorm and SiLU after every hidden layer."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-2])
