"""The base class of domain modules: one modality's encoder and decoder, trained alone, then
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
"""How far a number may lie outside its space and still pass as a rounding error."""


class Domain(nn.Module):
    """A modality's encoder, decoder and loss. The modality may have any name.

    A domain of your own defines `kind`, `config`, `shape`, `encode_raw`, `decode_raw` and `loss`.
    `dtype`, `accepts` and `shape` describe one observation; override `check` to refuse more, and
    `as_array` if observations are not arrays.

    `encode` and `decode` use standardized latents: over the training distribution each of the
    `latent_width` components has mean 0 and standard deviation 1. `encode_raw` and `decode_raw` use
    the network's raw latents; `standardize` measures their mean and deviation once, after training.
    """

    kind: ClassVar[str]
    """Name of this kind of domain in checkpoints; the built-in scenes use it as the modality's name
    too."""
    dtype: ClassVar[type[np.generic]] = np.float32
    """Type of the numbers that `encode` reads."""
    accepts: ClassVar[type[np.generic]] = np.floating
    """Types that `check` converts to `dtype`: one NumPy type, or a family such as np.integer."""
    vague: bool = False
    """Whether the latent holds things that the scene does not determine, such as the wording of a
    caption. A workspace does not learn to carry these."""
    scene: str | None = None
    """Scene that the weights were trained on; None unless they come from a checkpoint."""

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
        """Return a hash of everything else that the weights depend on, {name: hash}; loading
        compares them."""
        return {}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one observation; -1 stands for any length."""
        raise NotImplementedError

    def as_array(self, value: Any, name: str) -> NDArray:
        """Turn the observation or batch under the key `name` into an array; InputError if that
        fails."""
        try:
            return np.asarray(value)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{name} is {describe(value)}, which is not an array: its rows must have one shape"
            ) from error

    def check(self, array: NDArray, name: str) -> Tensor:
        """Check a batch (B, ...) under the key `name`, and return the tensor that `encode` reads.

        Raises InputError if shape, type or values don't fit.
        """
        self.check_form(array, name)
        return torch.from_numpy(np.ascontiguousarray(array, dtype=self.dtype))

    def check_form(self, array: NDArray, name: str) -> None:
        """Raise InputError unless the array is a batch (B, *shape) of a type that the domain
        accepts."""
        expected, actual = self.shape, array.shape
        fits = len(actual) == 1 + len(expected) and (
            actual[1:] == expected
            or all(wanted in (-1, size) for wanted, size in zip(expected, actual[1:], strict=True))
        )
        if not fits or not np.issubdtype(array.dtype, self.accepts):
            form = str(expected).replace("-1", "any length")
            raise InputError(
                f"{name} is {array.dtype} of shape {actual}: its domain module reads"
                f" {self.dtype.__name__} of shape {form}, or a batch of such"
            )

    def prepare(self, observations: Tensor) -> None:
        """Measure whatever the networks need to know of training observations, once before
        training."""

    def loss(
        self, observations: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the training loss of a batch, and its unweighted terms by name for the log.

        Args:
            observations: a batch as `check` returns it.
            targets: the observations to decode; the same as `observations`, except for language.
            progress: how much of the training is done, 0 to 1, for warm-ups.
        """
        raise NotImplementedError

    def decoding_loss(self, latents: Tensor, observations: Tensor) -> Tensor:
        """Compute the () loss of decoding (B, L) standardized latents into (B, ...) observations.

        Only vague domains need it; see `gw_agents.learning.decoders`.
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
        """Measure and store mean and standard deviation of the raw latents over `count` batches."""
        latents = torch.cat([self.encode_raw(batches(index)) for index in range(count)])
        self.latent_mean.copy_(latents.mean(0))
        self.latent_scale.copy_(latents.std(0).clamp(min=1e-6))

    def freeze(self) -> "Domain":
        """Switch to evaluation mode and stop gradients, for good."""
        self.eval()
        return self.requires_grad_(False)


def vague_modalities(domains: Mapping[str, Domain]) -> tuple[str, ...]:
    """Return the modalities whose domain modules call themselves vague."""
    return tuple(name for name, domain in domains.items() if domain.vague)


def check_key(key: str) -> str:
    """Return the key if it can name a domain module in memory and on disk; InputError otherwise."""
    known = isinstance(key, str)
    taken = known and (key in ("workspace", "attention") or hasattr(nn.ModuleDict(), key))
    if taken or not known or not re.fullmatch(r"[\w-]+", key):
        why = "that name is taken" if taken else "use letters, digits, _ and -"
        raise InputError(
            f"the key {key!r} can't name a modality, {why}: wrap the environment and rename it"
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
    """A sequence of layers that skips the hooks of each layer: they cost as much as a small
    layer."""

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
