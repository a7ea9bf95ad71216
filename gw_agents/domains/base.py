"""Define what a domain module is: one modality's own encoder and decoder, trained alone and then
frozen."""

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gw_envs.errors import InputError, describe

ROUNDING = 1e-3
"""How far a number may lie outside its space and still count as rounded."""


class Domain(nn.Module):
    """A modality's encoder, decoder and loss, for the observations under one key of any name.

    A domain of your own defines `kind`, `config`, `shape`, `encode_raw`, `decode_raw` and `loss`.
    `dtype`, `accepts` and `shape` say what one observation is; override `check` where they don't
    say it all, and `as_array` where observations are no arrays.

    Outside, latents are standardized: over the training distribution each of the `latent_width`
    components has mean 0 and standard deviation 1. Inside, `encode_raw` and `decode_raw` work on
    raw latents; `standardize` measures the difference once, after training.
    """

    kind: ClassVar[str]
    """The name of this kind of domain in checkpoints; our own scenes have it under that key."""
    dtype: ClassVar[type[np.generic]] = np.float32
    """The type of the numbers that `encode` reads."""
    accepts: ClassVar[type[np.generic]] = np.floating
    """The types that `check` turns into `dtype`: one NumPy type, or a family such as np.integer."""
    scene: str | None = None
    """The scene it was trained on, where it was loaded from a checkpoint."""

    def __init__(self, latent_width: int) -> None:
        """Make the buffers that hold the latents' mean and standard deviation."""
        super().__init__()
        self.latent_width = latent_width
        self.latent_mean: Tensor
        self.latent_scale: Tensor
        self.register_buffer("latent_mean", torch.zeros(latent_width))
        self.register_buffer("latent_scale", torch.ones(latent_width))

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as JSON."""
        raise NotImplementedError

    @classmethod
    def requirements(cls) -> Mapping[str, str]:
        """Name everything else that the weights depend on: {what: a hash}, stored with them and
        compared on loading."""
        return {}

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one observation; -1 where any length will do."""
        raise NotImplementedError

    def as_array(self, value: Any, name: str) -> NDArray:
        """Turn one observation or a batch, found under the key `name`, into an array; InputError if
        it is none."""
        try:
            return np.asarray(value)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{name} is {describe(value)}, which is no array: its rows must have one shape"
            ) from error

    def check(self, array: NDArray, name: str) -> Tensor:
        """Return a batch (B, ...) of observations under the key `name` as `encode` reads it.

        Raises InputError with one sentence if shape, type or values don't fit.
        """
        self.check_form(array, name)
        return torch.from_numpy(np.ascontiguousarray(array, dtype=self.dtype))

    def check_form(self, array: NDArray, name: str) -> None:
        """Raise InputError unless the array is a batch (B, *shape) of a type that the domain
        accepts."""
        shape, found = self.shape, array.shape
        fits = len(found) == 1 + len(shape) and (
            found[1:] == shape
            or all(wanted in (-1, size) for wanted, size in zip(shape, found[1:], strict=True))
        )
        if not fits or not np.issubdtype(array.dtype, self.accepts):
            form = str(shape).replace("-1", "any length")
            raise InputError(
                f"{name} is {array.dtype} of shape {array.shape}: its domain module reads"
                f" {self.dtype.__name__} of shape {form}, or a batch of such"
            )

    def prepare(self, observations: Tensor) -> None:
        """Look at some training observations once, before training."""

    def loss(
        self, observations: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the training loss of a batch, and its unweighted terms by name for the log.

        Args:
            observations: a batch of what the domain reads.
            targets: what should be decoded; the same as `observations`, except for language.
            progress: the fraction of training that is done, 0 to 1, for warm-ups.
        """
        raise NotImplementedError

    def encode_raw(self, observations: Tensor) -> Tensor:
        """Encode (B, ...) observations into (B, L) raw latents."""
        raise NotImplementedError

    def decode_raw(self, latents: Tensor) -> Tensor:
        """Decode (B, L) raw latents into (B, ...) observations in the environment's space."""
        raise NotImplementedError

    def encode(self, observations: Tensor) -> Tensor:
        """Encode (B, ...) observations as the environment gives them into (B, L) float32
        standardized latents."""
        return (self.encode_raw(observations) - self.latent_mean) / self.latent_scale

    def decode(self, latents: Tensor) -> Tensor:
        """Decode (B, L) standardized latents into (B, ...) observations in the environment's own
        space and dtype."""
        return self.decode_raw(latents * self.latent_scale + self.latent_mean)

    @torch.no_grad()
    def standardize(self, batches: Callable[[int], Tensor], count: int) -> None:
        """Measure mean and standard deviation of the raw latents on `count` batches and keep
        them."""
        latents = torch.cat([self.encode_raw(batches(index)) for index in range(count)])
        self.latent_mean.copy_(latents.mean(0))
        self.latent_scale.copy_(latents.std(0).clamp(min=1e-6))

    def freeze(self) -> "Domain":
        """Switch to evaluation mode and stop gradients, for good."""
        self.eval()
        return self.requires_grad_(False)


def check_key(key: str) -> str:
    """Return the key of an observation; InputError if no domain module can be kept under it in
    memory and on disk."""
    known = isinstance(key, str)
    taken = known and (key in ("workspace", "attention") or hasattr(nn.ModuleDict(), key))
    if taken or not known or not re.fullmatch(r"[\w-]+", key):
        why = "that name is taken" if taken else "it must be of letters, digits, _ and -"
        raise InputError(
            f"the key {key!r} can't be that of a modality, {why}:"
            " wrap the environment and rename it"
        )
    return key


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, I)), summed over the latent and averaged over the batch; (B, L),
    (B, L) -> ()."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1).mean()


def sample_latent(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Draw from N(mean, variance) by the reparameterization trick; (B, L), (B, L) -> (B, L)."""
    return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()


class Layers(nn.Sequential):
    """Layers in a row. Hooks of single layers are skipped: they cost as much as a small layer."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply one layer after the other."""
        for layer in self._modules.values():
            inputs = layer.forward(inputs)
        return inputs


def mlp(widths: list[int]) -> nn.Sequential:
    """Build linear layers of the given widths with ReLU between them, none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return Layers(*layers[:-1])


def normalized_mlp(widths: list[int]) -> nn.Sequential:
    """Build layers as `mlp` does, with LayerNorm and SiLU after every hidden layer."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.LayerNorm(outputs), nn.SiLU()]
    return Layers(*layers[:-2])
