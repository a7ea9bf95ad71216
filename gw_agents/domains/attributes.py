"""The attributes domain: vectors in [-1, 1] that may begin with a one-hot class."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gw_agents.domains.base import ROUNDING
from gw_agents.domains.vector import VectorDomain, squared_error
from gw_envs.errors import InputError, check_whole


class AttributesDomain(VectorDomain):
    """(B, A) float32 attribute vectors <-> (B, latent_width) latents; the first numbers may be a
    one-hot class."""

    kind = "attributes"
    measures_range = False

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
            one_hot: how many of the first numbers are a one-hot class; 0 for none.
            latent_width: numbers in the latent.
            hidden: width of the two hidden layers on either side.
            beta: weight of the KL term.
        """
        super().__init__(width, latent_width, hidden, beta)
        self.one_hot = check_whole("one_hot", one_hot, 0, width)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as JSON."""
        return {**super().config(), "one_hot": self.one_hot}

    def check_values(self, array: NDArray, name: str) -> None:
        """Raise InputError unless every number lies in [-1, 1], up to rounding."""
        if not array.size:
            return
        low, high = array.min(), array.max()
        if low >= -1.0 - ROUNDING and high <= 1.0 + ROUNDING:
            return
        if not np.isfinite(array).all():
            raise InputError(f"{name} hold NaN or infinite values: give finite numbers in [-1, 1]")
        worst = high if high > -low else low
        raise InputError(f"{name} holds {worst:g}: give finite numbers in [-1, 1]")

    def scaled(self, vectors: Tensor) -> Tensor:
        """Return the vectors unchanged: attributes are already scaled."""
        return vectors

    def decode_raw(self, latents: Tensor) -> Tensor:
        """Decode (B, L) raw latents into (B, A) attribute vectors, the class as a one-hot."""
        raw = self.from_latent(latents)
        logits, numbers = raw[:, : self.one_hot], raw[:, self.one_hot :].clamp(-1.0, 1.0)
        if not self.one_hot:
            return numbers
        one_hot = torch.nn.functional.one_hot(logits.argmax(-1), self.one_hot).to(numbers.dtype)
        return torch.cat([one_hot, numbers], -1)

    def loss(
        self, observations: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Add the cross-entropy of the class to the loss of the other numbers."""
        raw, kl = self.reconstruct(observations)
        error = squared_error(raw[:, self.one_hot :], targets[:, self.one_hot :])
        terms = {"squared_error": error, "kl": kl}
        if self.one_hot:
            classes = targets[:, : self.one_hot].argmax(-1)
            logits = raw[:, : self.one_hot]
            terms["cross_entropy"] = torch.nn.functional.cross_entropy(logits, classes)
        return self.total(terms), terms
