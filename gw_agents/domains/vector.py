"""The vector domain: an autoencoder of float vectors of any range."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gw_agents.domains.base import Domain, kl_divergence, mlp, sample_latent
from gw_envs.errors import InputError, check_number, check_whole

FARTHEST = 1e6
"""Largest accepted distance of a number from the training mean, in standard deviations."""


class VectorDomain(Domain):
    """(B, A) float vectors of any range <-> (B, latent_width) latents: a small variational
    autoencoder.

    The networks read components scaled to mean 0 and standard deviation 1 over training vectors.
    Decoded vectors are clipped to the range of the training vectors.
    """

    kind = "vector"
    measures_range: ClassVar[bool] = True
    """Whether `prepare` measures mean, scale and range; if not, vectors must lie in [-1, 1]."""

    def __init__(
        self, width: int, latent_width: int = 10, hidden: int = 128, beta: float = 1e-4
    ) -> None:
        """Build the networks.

        Args:
            width: length A of the vector.
            latent_width: numbers in the latent.
            hidden: width of the two hidden layers on either side.
            beta: weight of the KL term.
        """
        check_whole("width", width, 1)
        check_whole("latent_width", latent_width, 1)
        check_whole("hidden", hidden, 1)
        check_number("beta", beta, 0.0)
        super().__init__(latent_width)
        self.width, self.hidden, self.beta = width, hidden, beta
        self.to_latent = mlp([width, hidden, hidden, 2 * latent_width])
        self.from_latent = mlp([latent_width, hidden, hidden, width])
        self.mean: Tensor
        self.scale: Tensor
        self.range: Tensor
        range_ = torch.tensor([-1.0, 1.0]).unsqueeze(1).repeat(1, width)  # (2, A) low, high
        self.register_buffer("mean", torch.zeros(width), persistent=self.measures_range)
        self.register_buffer("scale", torch.ones(width), persistent=self.measures_range)
        self.register_buffer("range", range_, persistent=self.measures_range)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as JSON."""
        return {name: getattr(self, name) for name in ("width", "latent_width", "hidden", "beta")}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one vector: (A,)."""
        return (self.width,)

    def check(self, array: NDArray, name: str) -> Tensor:
        """Check a batch as `Domain.check` does; InputError also on NaN, infinite and far-off
        numbers."""
        self.check_form(array, name)
        self.check_values(array, name)
        return torch.from_numpy(np.ascontiguousarray(array, dtype=self.dtype))

    def check_values(self, array: NDArray, name: str) -> None:
        """Raise InputError if a number is not finite, or farther from the training vectors than
        `FARTHEST` allows."""
        if not np.isfinite(array).all():
            raise InputError(f"{name} hold NaN or infinite values: give finite numbers")
        rows = np.asarray(array, np.float64)
        deviations = np.abs(rows - self.mean.cpu().numpy()) / self.scale.cpu().numpy()
        if array.size and deviations.max() > FARTHEST:
            value = array.reshape(-1)[deviations.argmax()]
            raise InputError(
                f"{name} holds {value:g}, which is {deviations.max():.0e} standard deviations from"
                " the vectors that its domain module was trained on: check the units"
            )

    def prepare(self, observations: Tensor) -> None:
        """Measure mean, scale and range on (N, A) training vectors."""
        if not self.measures_range:
            return
        deviation = observations.std(0, correction=0)
        self.mean.copy_(observations.mean(0))
        # a component that never changes keeps the scale 1, as its deviation is 0
        self.scale.copy_(torch.where(deviation > 1e-6, deviation, 1.0))
        self.range.copy_(torch.stack([observations.amin(0), observations.amax(0)]))

    def scaled(self, vectors: Tensor) -> Tensor:
        """Express (B, A) vectors in standard deviations from the mean."""
        return (vectors - self.mean) / self.scale

    def posterior(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (B, A) vectors as mean and log variance, (B, L) each."""
        mean, log_variance = self.to_latent(self.scaled(vectors)).chunk(2, -1)
        return mean, log_variance.clamp(-16.0, 4.0)

    def encode_raw(self, observations: Tensor) -> Tensor:
        """Encode (B, A) vectors into (B, L) raw latents."""
        return self.to_latent(self.scaled(observations))[:, : self.latent_width]

    def decode_raw(self, latents: Tensor) -> Tensor:
        """Decode (B, L) raw latents into (B, A) vectors within the range of the training
        vectors."""
        return (self.from_latent(latents) * self.scale + self.mean).clamp(*self.range)

    def reconstruct(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Decode one draw from the posterior of (B, A) vectors: (B, A) scaled vectors, and the ()
        KL term."""
        mean, log_variance = self.posterior(observations)
        return self.from_latent(sample_latent(mean, log_variance)), kl_divergence(
            mean, log_variance
        )

    def loss(
        self, observations: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum the squared error of the scaled vectors and the KL term, weighted by `beta`."""
        raw, kl = self.reconstruct(observations)
        terms = {"squared_error": squared_error(raw, self.scaled(targets)), "kl": kl}
        return self.total(terms), terms

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Sum the terms of the loss, with the KL term weighted by `beta`."""
        return sum(terms.values(), torch.zeros(())) - (1.0 - self.beta) * terms["kl"]


def squared_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Squared error summed over components and averaged over the batch; (B, A), (B, A) -> ()."""
    return (predicted - target).square().sum(-1).mean()
