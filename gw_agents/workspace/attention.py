"""Which modality enters the workspace: fusion weights from unimodal latents.

As published: keys K_d = k_d(o_d) come from the latents, a query Q = W_q z from a workspace vector, and the weights are
softmax over d of K_d . Q / sqrt(width). The first z is one fixed random vector; with several steps, the z of each pass
gives the query of the next.

What is added, each a field of `AttentionConfig`:

- the first query from the evenly fused z, which holds the very input that is to be judged;
- keys of two layers, which see that a latent is large whatever its sign, and cosine keys, whose length says nothing;
- steps that add to the scores of the steps before in place of replacing them. Linear keys judge a latent by its sign
  alone, so a pass that was misled hands its z, the corrupted one, to the next, which follows it: five passes do worse
  than two, and a running sum does not mend that. A first query from the fused z does: five passes are then as good as
  one (`noise_robustness.py --preset full` shows all of them);
- evidence: how badly the frozen workspace reconstructs each latent from itself (its demi-cycle error, large for what
  is unlike anything seen) and from the others (large for a latent that fits none of them), in standard deviations of
  clean data. One small network, shared by all modalities, turns these numbers into scores, so that it can judge a
  modality it was never trained on.

Two rules need no training: `demi_cycle`, softmax of minus the demi-cycle error, and `agreement`, which asks what fits
the others.
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
    """Passes of key and query; each after the first takes its query from the z of the pass before. 0 for none."""
    first_query: Literal["random", "fused"] = "random"
    """What z the first query is computed from: one fixed random vector, or the even fusion of what is present."""
    key_hidden: int = 0
    """Hidden width of two-layer keys; 0 for linear ones."""
    key_width: int = 16
    """Numbers in a key and in the query."""
    similarity: Literal["dot", "cosine"] = "dot"
    """How keys and query are compared: their product over sqrt(width), or the cosine times a learned scale."""
    running_sum: bool = False
    """Whether each step adds its scores to those before."""
    evidence: Literal["none", "learned", "demi_cycle", "agreement"] = "none"
    """What is made of reconstruction errors: nothing, scores by a small network, or an untrained rule."""


PRESETS: dict[str, dict] = {
    "one_step": {"steps": 1},
    "two_step": {"steps": 2},
    "three_step": {"steps": 3},
    "five_step": {"steps": 5},
    "five_step_sum": {"steps": 5, "running_sum": True},
    "one_step_fused": {"steps": 1, "first_query": "fused", "key_hidden": 24},
    "two_step_fused": {"steps": 2, "first_query": "fused", "key_hidden": 24},
    "five_step_fused": {"steps": 5, "first_query": "fused", "key_hidden": 24},
    "one_step_cosine": {
        "steps": 1,
        "first_query": "fused",
        "key_hidden": 24,
        "similarity": "cosine",
    },
    "demi_cycle": {"steps": 0, "evidence": "demi_cycle"},
    "agreement": {"steps": 0, "evidence": "agreement"},
    "evidence": {"steps": 0, "evidence": "learned"},
    "evidence_fused": {"steps": 1, "first_query": "fused", "key_hidden": 24, "evidence": "learned"},
}
"""The members that have a name; `one_step` and `two_step` are the published ones."""

UNTRAINED = ("demi_cycle", "agreement")
"""The members that have nothing to learn."""


class Attention(nn.Module):
    """Fusion weights from latents, for a workspace that is not changed."""

    random_z: Tensor

    def __init__(self, config: AttentionConfig) -> None:
        """Build what the configuration asks for; the fixed random z is drawn from torch's generator."""
        super().__init__()
        self.config = config
        if config.steps:
            inner = [config.key_hidden] if config.key_hidden else []
            self.keys = nn.ModuleDict(
                {
                    name: mlp([wide, *inner, config.key_width])
                    for name, wide in config.latents.items()
                }
            )
            self.query = nn.Linear(config.width, config.key_width)
            self.register_buffer("random_z", torch.randn(config.width).tanh())
            if config.similarity == "cosine":
                self.log_scale = nn.Parameter(torch.tensor(1.6))
        if config.evidence != "none":
            self.evidence = Evidence(tuple(config.latents), config.evidence)
            for name in config.latents if config.steps else ():
                for parameter in list(self.keys[name].parameters())[-2:]:  # of the last layer
                    nn.init.zeros_(
                        parameter
                    )  # so that a modality never trained on is judged by evidence alone

    @property
    def trainable(self) -> bool:
        """Whether there is anything to learn."""
        return next(self.parameters(), None) is not None

    def prepare(self, latents: Mapping[str, Tensor], workspace: Workspace) -> None:
        """Look at clean latents {modality: (N, L_d)} once, before training: what errors are usual. Needs no labels."""
        if self.config.evidence != "none":
            self.evidence.prepare(latents, workspace)

    def forward(
        self,
        latents: Mapping[str, Tensor],
        codes: Codes,
        workspace: Workspace,
        failed: Tensor | None = None,
    ) -> Tensor:
        """The fusion weights of a batch.

        Args:
            latents: {modality: (B, L_d)}, any D of the modalities.
            codes: what `workspace.encode` made of them, in the same order.
            workspace: fuses the codes for the later queries, and reconstructs latents for the evidence.
            failed: (B, D) true where a modality is known to have failed: its weight is 0.

        Returns:
            (B, D) weights that sum to 1, in the order of `latents`; all 0 in a row whose modalities all failed.
        """
        count = len(next(iter(latents.values())))
        scores = next(iter(latents.values())).new_zeros(count, len(latents))
        if self.config.evidence != "none":
            scores = scores + self.evidence(latents, codes, workspace)
        if self.config.steps:
            scores = self._asked(latents, codes, workspace, scores, failed)
        return shares(scores, failed)

    def _asked(
        self,
        latents: Mapping[str, Tensor],
        codes: Codes,
        workspace: Workspace,
        scores: Tensor,
        failed: Tensor | None,
    ) -> Tensor:
        """The (B, D) scores after every pass of key and query, beginning with those given."""
        keys = torch.stack(
            [self.keys[name](latent) for name, latent in latents.items()], 1
        )  # (B, D, K)
        fused = self.config.first_query == "fused"
        z = (
            workspace.fuse(codes, shares(scores, failed))
            if fused
            else self.random_z.expand(len(keys), -1)
        )
        total = scores
        for step in range(self.config.steps):
            if step:
                z = workspace.fuse(codes, shares(total, failed))
            found = self._compare(keys, self.query(z))
            total = total + found if self.config.running_sum else scores + found
        return total

    def _compare(self, keys: Tensor, query: Tensor) -> Tensor:
        """(B, D, K) keys, (B, K) query -> (B, D) scores."""
        products = (keys @ query.unsqueeze(-1)).squeeze(-1)
        if self.config.similarity == "dot":
            return products / self.config.key_width**0.5
        lengths = keys.norm(dim=-1) * query.norm(dim=-1, keepdim=True)
        return self.log_scale.exp() * products / lengths.clamp(min=1e-6)


def shares(scores: Tensor, failed: Tensor | None = None) -> Tensor:
    """(B, D) scores -> (B, D) softmax over what has not failed; all 0 where everything has."""
    if failed is None:
        return scores.softmax(-1)
    return scores.masked_fill(failed, -torch.inf).softmax(-1).nan_to_num(0.0)


class Evidence(nn.Module):
    """Scores from how well the frozen workspace reconstructs the latents from themselves and from each other."""

    usual: Tensor
    spread: Tensor

    def __init__(self, modalities: tuple[str, ...], rule: str, hidden: int = 16) -> None:
        """Build the shared network, or none if the `rule` is untrained."""
        super().__init__()
        self.modalities, self.rule = modalities, rule
        self.register_buffer("usual", torch.zeros(len(modalities), len(modalities)))
        self.register_buffer("spread", torch.ones(len(modalities), len(modalities)))
        if rule == "learned":
            self.judge = mlp([4, hidden, hidden, 1])

    @torch.no_grad()
    def prepare(self, latents: Mapping[str, Tensor], workspace: Workspace) -> None:
        """Measure mean and standard deviation of every logarithmic error on clean latents {modality: (N, L_d)}."""
        errors = log_errors(latents, workspace.encode(latents), workspace)
        rows = torch.tensor([self.modalities.index(name) for name in latents])
        at = (rows[:, None], rows[None, :])
        self.usual[at], self.spread[at] = errors.mean(0), errors.std(0).clamp(min=1e-3)

    def forward(self, latents: Mapping[str, Tensor], codes: Codes, workspace: Workspace) -> Tensor:
        """(B, D) scores; arguments as for `Attention`."""
        rows = torch.tensor(
            [self.modalities.index(name) for name in latents], device=self.usual.device
        )
        at = (rows[:, None], rows[None, :])
        with torch.no_grad():
            errors = log_errors(latents, codes, workspace)
            # (B, D, D): [a, b] how unusual it is how badly a reconstructs b, in standard deviations of clean data
            strange = ((errors - self.usual[at]) / self.spread[at]).clamp(-3.0, 20.0)
            own = strange.diagonal(dim1=1, dim2=2)  # (B, D)
            if len(latents) == 1:
                return own.new_zeros(own.shape)
            mutual = 0.5 * (strange + strange.mT)
            itself = torch.eye(len(latents), dtype=torch.bool, device=own.device)
            nearest = mutual.masked_fill(itself, torch.inf).amin(2)
            average = mutual.masked_fill(itself, 0.0).sum(2) / (len(latents) - 1)
            others = (own.sum(1, keepdim=True) - own) / (len(latents) - 1)
        if self.rule == "demi_cycle":
            return -own
        if self.rule == "agreement":
            return -nearest - average
        seen = torch.stack([own, nearest, average, others], -1)  # (B, D, 4)
        return self.judge(seen / 5.0).squeeze(-1)


def log_errors(latents: Mapping[str, Tensor], codes: Codes, workspace: Workspace) -> Tensor:
    """(B, D, D): [a, b] the logarithm of the mean squared error of modality b's latent decoded from a's code alone."""
    names, count = list(latents), len(next(iter(latents.values())))
    z = torch.cat([codes[name].tanh() for name in names])  # (D * B, Z)
    columns = []
    for name, decoded in workspace.broadcast(z, names).items():
        error = (
            (decoded.unflatten(0, (len(names), count)) - latents[name]).square().mean(-1)
        )  # (D, B)
        columns.append(error.T)
    return (torch.stack(columns, 2) + 1e-6).log()
