"""The domains of vectors: an autoencoder of our attribute vectors, and one of float vectors of any range."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gw_agents.domains.base import Domain, kl_divergence, mlp, sample_latent


class AttributesDomain(Domain):
    """(B, A) float32 attribute vectors <-> (B, latent_width) latents, a small variational autoencoder."""

    modality = "attributes"
    numbers: ClassVar[str] = "finite numbers in [-1, 1]"
    """What a vector holds, as errors say it."""

    def __init__(
        self,
        width: int,
        one_hot: int,
        latent_width: int = 10,
        hidden: int = 128,
        beta: float = 1e-4,
    ) -> None:
        """Build the networks.

        Args:
            width: length A of the vector.
            one_hot: how many of its first numbers are one-hot; they are decoded as a class.
            latent_width: numbers in the latent.
            hidden: width of the two hidden layers on either side.
            beta: weight of the KL term.
        """
        super().__init__(latent_width)
        self.width, self.one_hot, self.hidden, self.beta = width, one_hot, hidden, beta
        self.to_latent = mlp([width, hidden, hidden, 2 * latent_width])
        self.from_latent = mlp([latent_width, hidden, hidden, width])

    def config(self) -> dict[str, Any]:
        return {
            name: getattr(self, name)
            for name in ("width", "one_hot", "latent_width", "hidden", "beta")
        }

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.width,)

    def check(self, array: NDArray, name: str) -> Tensor:
        tensor = super().check(array, name)
        if not np.isfinite(array).all():
            raise ValueError(f"{name} hold NaN or infinite values: give {self.numbers}")
        return tensor

    def _posterior(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.to_latent(vectors).chunk(2, -1)
        return mean, log_variance.clamp(-16.0, 4.0)

    def _encode(self, observations: Tensor) -> Tensor:
        return self._posterior(observations)[0]

    def _decode(self, latents: Tensor) -> Tensor:
        raw = self.from_latent(latents)
        logits, numbers = raw[:, : self.one_hot], raw[:, self.one_hot :].clamp(-1.0, 1.0)
        if not self.one_hot:
            return numbers
        one_hot = torch.nn.functional.one_hot(logits.argmax(-1), self.one_hot).to(numbers.dtype)
        return torch.cat([one_hot, numbers], -1)

    def loss(
        self, observations: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        mean, log_variance = self._posterior(observations)
        raw = self.from_latent(sample_latent(mean, log_variance))
        error = (raw[:, self.one_hot :] - targets[:, self.one_hot :]).square().sum(-1).mean()
        terms = {"squared_error": error, "kl": kl_divergence(mean, log_variance)}
        if self.one_hot:
            classes = targets[:, : self.one_hot].argmax(-1)
            terms["cross_entropy"] = torch.nn.functional.cross_entropy(
                raw[:, : self.one_hot], classes
            )
        return sum(terms.values()) - (1.0 - self.beta) * terms["kl"], terms


class VectorDomain(AttributesDomain):
    """(B, A) float vectors of any range <-> (B, latent_width) latents.

    An attributes domain without a one-hot part, on components brought to mean 0 and standard deviation 1 over training
    vectors. What is decoded is clipped to the range that they had.
    """

    modality = "vector"
    numbers = "finite numbers"

    def __init__(
        self, width: int, latent_width: int = 10, hidden: int = 128, beta: float = 1e-4
    ) -> None:
        """Build the networks; arguments as for `AttributesDomain`."""
        super().__init__(width, 0, latent_width, hidden, beta)
        self.mean: Tensor
        self.scale: Tensor
        self.range: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer(
            "range", torch.tensor([-1.0, 1.0]).unsqueeze(1).repeat(1, width)
        )  # (2, A) low, high

    def config(self) -> dict[str, Any]:
        return {name: value for name, value in super().config().items() if name != "one_hot"}

    def prepare(self, observations: Tensor) -> None:
        deviation = observations.std(0, correction=0)
        self.mean.copy_(observations.mean(0))
        self.scale.copy_(
            torch.where(deviation > 1e-6, deviation, 1.0)
        )  # what never changes says nothing
        self.range.copy_(torch.stack([observations.amin(0), observations.amax(0)]))

    def _scaled(self, vectors: Tensor) -> Tensor:
        """(B, A) vectors in the environment's units -> the same in standard deviations from the mean."""
        return (vectors - self.mean) / self.scale

    def _posterior(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        return super()._posterior(self._scaled(vectors))

    def _decode(self, latents: Tensor) -> Tensor:
        return (self.from_latent(latents) * self.scale + self.mean).clamp(*self.range)

    def loss(
        self, observations: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return super().loss(observations, self._scaled(targets), progress)
