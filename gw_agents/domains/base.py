"""What a domain module is: one modality's own encoder and decoder, trained alone and then frozen."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class Domain(nn.Module):
    """A modality's encoder, decoder and loss.

    Outside, latents are standardised: over the training distribution each of the `latent_width` components has mean 0
    and standard deviation 1. Inside, `_encode` and `_decode` work on the raw latents; `standardise` measures the
    difference once, after training.
    """

    modality: ClassVar[str]
    """The observation key that the domain reads."""

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

    def prepare(self, observations: Tensor) -> None:
        """Look at some training observations once, before training."""

    def loss(self, observations: Tensor, targets: Tensor, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """The training loss of a batch, and its unweighted terms by name for the log.

        Args:
            observations: a batch of what the domain reads.
            targets: what should be decoded; the same as `observations` for image and attributes.
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
