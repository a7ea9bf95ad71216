"""Which modality enters the workspace: key-query attention over unimodal latents.

Keys K_d = k_d(o_d) come from the latents, a query Q = W_q z from a workspace vector, and the fusion weights are
softmax over d of K_d . Q / sqrt(width). As published: linear keys, and a first z that is one fixed random vector; with
two steps, the z of the first pass gives the query of the second. The better one here asks first with the evenly fused
z, which holds the very input that is to be judged, and has keys of two layers, which can see that a latent is large
whatever its sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gw_agents.domains.base import mlp
from gw_agents.workspace.model import Codes, Workspace


@dataclass(frozen=True)
class AttentionConfig:
    """One member of the family."""

    latents: Mapping[str, int]
    """Width of each modality's latent."""
    width: int = 12
    """Z, width of the workspace."""
    steps: int = 1
    """Passes; each after the first takes its query from the z of the pass before."""
    first_query: Literal["random", "fused"] = "random"
    """What z the first query is computed from: one fixed random vector, or the even fusion of what is present."""
    key_hidden: int = 0
    """Hidden width of two-layer keys; 0 for linear ones."""
    key_width: int = 16
    """Numbers in a key and in the query."""


PRESETS: dict[str, dict] = {
    "one_step": {"steps": 1},
    "two_step": {"steps": 2},
    "one_step_fused": {"steps": 1, "first_query": "fused", "key_hidden": 24},
    "two_step_fused": {"steps": 2, "first_query": "fused", "key_hidden": 24},
}
"""The members that have a name; the first two are the published ones."""


class Attention(nn.Module):
    """Fusion weights from latents, for a workspace that is not changed."""

    random_z: Tensor

    def __init__(self, config: AttentionConfig) -> None:
        """Build keys and query; the fixed random z is drawn from torch's generator."""
        super().__init__()
        self.config = config
        inner = [config.key_hidden] if config.key_hidden else []
        self.keys = nn.ModuleDict(
            {name: mlp([wide, *inner, config.key_width]) for name, wide in config.latents.items()}
        )
        self.query = nn.Linear(config.width, config.key_width)
        self.register_buffer("random_z", torch.randn(config.width).tanh())

    def forward(self, latents: Mapping[str, Tensor], codes: Codes, workspace: Workspace) -> Tensor:
        """The fusion weights of a batch.

        Args:
            latents: {modality: (B, L_d)}, any D of the modalities.
            codes: what `workspace.encode` made of them, in the same order.
            workspace: fuses the codes for the later queries.

        Returns:
            (B, D) weights that sum to 1, in the order of `latents`.
        """
        keys = torch.stack([self.keys[name](latent) for name, latent in latents.items()], 1)  # (B, D, K)
        fused = self.config.first_query == "fused"
        weights = self._weights(keys, workspace.fuse(codes) if fused else self.random_z.expand(len(keys), -1))
        for _ in range(self.config.steps - 1):
            weights = self._weights(keys, workspace.fuse(codes, weights))
        return weights

    def _weights(self, keys: Tensor, z: Tensor) -> Tensor:
        """(B, D, K) keys, (B, Z) z -> (B, D) softmax of key . query / sqrt(K)."""
        scores = (keys @ self.query(z).unsqueeze(-1)).squeeze(-1)  # (B, D)
        return (scores / self.config.key_width**0.5).softmax(-1)
