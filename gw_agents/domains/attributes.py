"""The attributes domain: an autoencoder of the attribute vector."""

from typing import Any

import torch
from torch import Tensor

from gw_agents.domains.base import Domain, kl_divergence, mlp, sample_latent


class AttributesDomain(Domain):
    """(B, A) float32 attribute vectors <-> (B, latent_width) latents, a small variational autoencoder."""

    modality = "attributes"

    def __init__(self, width: int, one_hot: int, latent_width: int = 10, hidden: int = 128, beta: float = 1e-4) -> None:
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
        return {name: getattr(self, name) for name in ("width", "one_hot", "latent_width", "hidden", "beta")}

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

    def loss(self, observations: Tensor, targets: Tensor, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        mean, log_variance = self._posterior(observations)
        raw = self.from_latent(sample_latent(mean, log_variance))
        error = (raw[:, self.one_hot :] - targets[:, self.one_hot :]).square().sum(-1).mean()
        terms = {"squared_error": error, "kl": kl_divergence(mean, log_variance)}
        if self.one_hot:
            classes = targets[:, : self.one_hot].argmax(-1)
            terms["cross_entropy"] = torch.nn.functional.cross_entropy(raw[:, : self.one_hot], classes)
        return sum(terms.values()) - (1.0 - self.beta) * terms["kl"], terms
