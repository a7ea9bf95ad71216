"""Networks that name classes without attention, trained end to end on the task."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gw_agents.domains.base import mlp
from gw_agents.workspace.model import Workspace

NETWORKS = ("concatenation", "cross_attention", "none_trained")
"""Names of the networks."""


class TrainedMean(nn.Module):
    """The frozen workspace with equal weights, and a classifier that learns from corrupted z."""

    def __init__(self, workspace: Workspace, classes: int) -> None:
        super().__init__()
        self.encode, self.fuse = workspace.encode, workspace.fuse
        self.head = mlp([workspace.config.z_width, 64, classes])

    def forward(self, latents: Mapping[str, Tensor]) -> Tensor:
        """{modality: (B, L_d)} -> (B, classes) scores."""
        return self.head(self.fuse(self.encode(latents)))


class Concatenation(nn.Module):
    """All latents side by side, zeros where a modality is missing."""

    def __init__(self, widths: Mapping[str, int], classes: int) -> None:
        super().__init__()
        self.widths = widths
        self.head = mlp([sum(widths.values()), 48, classes])

    def forward(self, latents: Mapping[str, Tensor]) -> Tensor:
        """{modality: (B, L_d)} -> (B, classes) scores."""
        count = len(next(iter(latents.values())))
        parts = []
        for name, width in self.widths.items():
            parts.append(latents[name] if name in latents else torch.zeros(count, width))
        return self.head(torch.cat(parts, 1))


class CrossAttention(nn.Module):
    """A learned query attends to one token of each modality."""

    def __init__(self, widths: Mapping[str, int], classes: int) -> None:
        super().__init__()
        self.tokens = nn.ModuleDict({name: mlp([wide, 24, 16]) for name, wide in widths.items()})
        self.query = nn.Parameter(torch.randn(1, 1, 16))
        self.attend = nn.MultiheadAttention(16, 1, batch_first=True)
        self.head = mlp([16, 24, classes])

    def forward(self, latents: Mapping[str, Tensor]) -> Tensor:
        """{modality: (B, L_d)} -> (B, classes) scores."""
        parts = [self.tokens[name](rows) for name, rows in latents.items()]
        tokens = torch.stack(parts, 1)  # (B, D, 16)
        query = self.query.expand(len(tokens), -1, -1)
        attended, _ = self.attend(query, tokens, tokens, need_weights=False)
        return self.head(attended.squeeze(1))


def build_network(
    name: str, workspace: Workspace, widths: Mapping[str, int], classes: int
) -> nn.Module:
    """Build a network by its name in `NETWORKS`; `widths` are those of all latents."""
    if name == "none_trained":
        return TrainedMean(workspace, classes)
    return {"concatenation": Concatenation, "cross_attention": CrossAttention}[name](
        widths, classes
    )
