"""Attention: fusion weights from unimodal latents, which decide which modality enters the
workspace.

As published: keys K_d = k_d(o_d) come from the latents, a query Q = W_q z from a workspace vector,
and the weights are softmax over d of K_d . Q / sqrt(width). The first z is one fixed random vector;
each later step takes its query from the z of the step before.

The fields of `AttentionConfig` add to this:

- a first query from the z of equal weights, which already holds the input that is to be judged;
- keys of two layers, which can tell that a latent is large whatever its sign, and cosine
  similarity, which ignores the length of a key;
- steps that add to the scores of earlier steps instead of replacing them. Linear keys judge a
  latent by its sign alone, so a step that was misled passes its corrupted z to the next one, which
  follows it: five steps do worse than two, and a running sum does not repair that. A first query
  from the fused z does: five steps are then as good as one (`noise_robustness.py --preset full`
  measures all of them);
- evidence: how badly the frozen workspace reconstructs each latent from itself (its demi-cycle
  error, large for latents unlike anything seen) and from the others (large for a latent that fits
  none of them), in standard deviations of clean data. One small network, shared by all modalities,
  turns these numbers into scores, so it can judge a modality it was never trained on.

Two rules need no training: `demi_cycle` is softmax of minus the demi-cycle error, and `agreement`
trusts the modalities that fit the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn

from gw_agents.domains.base import check_key, mlp
from gw_agents.workspace.grouped import Prepared, few_rows
from gw_agents.workspace.model import Codes, Workspace
from gw_envs.errors import check_choice, check_whole

MAX_STEPS = 100
"""Most steps of key and query."""

UNTRAINED = ("demi_cycle", "agreement")
"""The presets that have nothing to learn."""


@dataclass(frozen=True)
class AttentionConfig:
    """The shape of one attention module."""

    latent_widths: Mapping[str, int]
    """Width L_d of each modality's latent."""
    z_width: int = 12
    """Z, numbers in the workspace vector."""
    steps: int = 1
    """Steps of key and query; each after the first takes its query from the z of the step before. 0
    for none."""
    first_query: Literal["random", "fused"] = "random"
    """The z that gives the first query: one fixed random vector, or what is present with equal
    weights."""
    key_hidden: int = 0
    """Hidden width of two-layer keys; 0 for linear ones."""
    key_width: int = 16
    """Numbers in a key and in the query."""
    similarity: Literal["dot", "cosine"] = "dot"
    """How keys and query are compared: their product over sqrt(width), or the cosine times a
    learned scale."""
    running_sum: bool = False
    """Whether each step adds its scores to those of the steps before."""
    evidence: Literal["none", "learned", "demi_cycle", "agreement"] = "none"
    """How reconstruction errors become scores: not at all, by a small network, or by an untrained
    rule."""

    def __post_init__(self) -> None:
        """Raise InputError on an unknown choice or a size that makes no sense."""
        for name, width in self.latent_widths.items():
            check_whole(f"the width of the {check_key(name)} latent", width, 1)
        check_whole("z_width", self.z_width, 1)
        check_whole("steps", self.steps, 0, MAX_STEPS)
        check_choice("first_query", self.first_query, ("random", "fused"))
        check_whole("key_hidden", self.key_hidden)
        check_whole("key_width", self.key_width, 1)
        check_choice("similarity", self.similarity, ("dot", "cosine"))
        check_choice("running_sum", self.running_sum, (True, False))
        check_choice("evidence", self.evidence, ("none", "learned", *UNTRAINED))


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
"""Settings of `AttentionConfig` by name; `one_step` and `two_step` are the published ones."""


class Attention(nn.Module):
    """Fusion weights from latents, for a workspace that is not changed."""

    random_z: Tensor

    def __init__(self, config: AttentionConfig) -> None:
        """Build what the configuration asks for; the fixed random z is drawn from torch's
        generator."""
        super().__init__()
        self.config = config
        if config.steps:
            inner = [config.key_hidden] if config.key_hidden else []
            self.keys = nn.ModuleDict(
                {
                    name: mlp([wide, *inner, config.key_width])
                    for name, wide in config.latent_widths.items()
                }
            )
            self.query = nn.Linear(config.z_width, config.key_width)
            self.register_buffer("random_z", torch.randn(config.z_width).tanh())
            if config.similarity == "cosine":
                self.log_scale = nn.Parameter(torch.tensor(1.6))
        if config.evidence != "none":
            self.evidence = Evidence(tuple(config.latent_widths), config.evidence)
            self._silence_keys()

    def _silence_keys(self) -> None:
        """Start every key at zero, so that evidence alone judges a modality that is never trained
        on."""
        if not self.config.steps:
            return
        for name in self.config.latent_widths:
            for parameter in list(self.keys[name].parameters())[-2:]:  # the last layer
                nn.init.zeros_(parameter)

    @property
    def trainable(self) -> bool:
        """Whether there is anything to learn."""
        return next(self.parameters(), None) is not None

    def calibrate(self, latents: Mapping[str, Tensor], workspace: Workspace) -> None:
        """Measure once, before training, which errors are usual on clean latents {modality: (N,
        L_d)}."""
        if self.config.evidence != "none":
            self.evidence.calibrate(latents, workspace)

    def forward(
        self,
        latents: Mapping[str, Tensor],
        codes: Codes,
        workspace: Workspace,
        absent: Tensor | None = None,
    ) -> Tensor:
        """Compute the fusion weights of a batch.

        Args:
            latents: {modality: (B, L_d)}, any D of the modalities.
            codes: what `workspace.encode` made of them, in the same order.
            workspace: fuses the codes for the later queries, and reconstructs latents for the
                evidence.
            absent: (B, D) true where a modality is missing or known to have failed: its weight is
                0.

        Returns:
            (B, D) weights that sum to 1, in the order of `latents`; all 0 in a row without any
            modality.
        """
        if self.config.evidence != "none":
            scores = self.evidence(latents, codes, workspace, absent)
        else:
            first = next(iter(latents.values()))
            scores = first.new_zeros(len(first), len(latents))
        if self.config.steps:
            scores = self._add_steps(scores, latents, codes, workspace, absent)
        return masked_softmax(scores, absent)

    def _add_steps(
        self,
        scores: Tensor,
        latents: Mapping[str, Tensor],
        codes: Codes,
        workspace: Workspace,
        absent: Tensor | None,
    ) -> Tensor:
        """Add the scores of every step of key and query to (B, D) `scores`."""
        keys = torch.stack([self.keys[name](rows) for name, rows in latents.items()], 1)  # (B,D,K)
        if self.config.first_query == "fused":
            z = workspace.fuse(codes, masked_softmax(scores, absent))
        else:
            z = self.random_z.expand(len(keys), -1)
        total = scores
        for step in range(self.config.steps):
            if step:
                z = workspace.fuse(codes, masked_softmax(total, absent))
            added = self._compare(keys, self.query(z))
            total = total + added if self.config.running_sum else scores + added
        return total

    def _compare(self, keys: Tensor, query: Tensor) -> Tensor:
        """Compare (B, D, K) keys with a (B, K) query; (B, D) scores."""
        products = (keys @ query.unsqueeze(-1)).squeeze(-1)
        if self.config.similarity == "dot":
            return products / self.config.key_width**0.5
        lengths = keys.norm(dim=-1) * query.norm(dim=-1, keepdim=True)
        return self.log_scale.exp() * products / lengths.clamp(min=1e-6)


def masked_softmax(scores: Tensor, absent: Tensor | None = None) -> Tensor:
    """Take the softmax of (B, D) scores over what is not absent; a row is all 0 where everything
    is."""
    if absent is None:
        return scores.softmax(-1)
    return scores.masked_fill(absent, -torch.inf).softmax(-1).nan_to_num(0.0)


class Evidence(nn.Module):
    """Scores from how well the frozen workspace reconstructs the latents from themselves and from
    each other."""

    clean_mean: Tensor
    clean_std: Tensor

    def __init__(self, modalities: tuple[str, ...], rule: str, hidden: int = 16) -> None:
        """Build the shared network, or none if the `rule` is untrained."""
        super().__init__()
        self.modalities, self.rule = modalities, rule
        self.register_buffer("clean_mean", torch.zeros(len(modalities), len(modalities)))
        self.register_buffer("clean_std", torch.ones(len(modalities), len(modalities)))
        self._prepared = Prepared()
        if rule == "learned":
            self.scorer = mlp([4, hidden, hidden, 1])

    @torch.no_grad()
    def calibrate(self, latents: Mapping[str, Tensor], workspace: Workspace) -> None:
        """Measure mean and standard deviation of every logarithmic error on clean latents
        {modality: (N, L_d)}."""
        errors = log_errors(latents, workspace.encode(latents), workspace)
        rows = torch.tensor([self.modalities.index(name) for name in latents])
        at = (rows[:, None], rows[None, :])
        self.clean_mean[at], self.clean_std[at] = errors.mean(0), errors.std(0).clamp(min=1e-3)

    def forward(
        self,
        latents: Mapping[str, Tensor],
        codes: Codes,
        workspace: Workspace,
        absent: Tensor | None = None,
    ) -> Tensor:
        """Score every modality; arguments as for `Attention`, returns (B, D)."""
        first = next(iter(latents.values()))
        if len(latents) == 1:
            return first.new_zeros(len(first), 1)
        if absent is None and few_rows(len(first)):
            summaries = self._summaries_of_few(latents, codes, workspace)
        else:
            with torch.no_grad():
                summaries = self._summaries(latents, codes, workspace, absent)
        if self.rule == "demi_cycle":
            return -summaries[..., 0]
        if self.rule == "agreement":
            return -summaries[..., 1] - summaries[..., 2]
        inputs = summaries / 5.0
        group = self._prepared.group(self, ("scorer",), len(first))
        if group is None:
            return self.scorer(inputs).squeeze(-1)
        return group(inputs.flatten(0, 1)).view(len(first), -1)

    def _clean(self, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the clean errors among `names`, (D, D) each."""
        if names == self.modalities:
            return self.clean_mean, self.clean_std
        places = [self.modalities.index(name) for name in names]
        rows = torch.tensor(places, device=self.clean_mean.device)
        mean, std = (own.index_select(0, rows) for own in (self.clean_mean, self.clean_std))
        return mean.index_select(1, rows), std.index_select(1, rows)

    def _summaries(
        self,
        latents: Mapping[str, Tensor],
        codes: Codes,
        workspace: Workspace,
        absent: Tensor | None,
    ) -> Tensor:
        """Summarize the errors of each modality as (B, D, 4): its own, nearest and mean mutual one,
        the others' own."""
        z_scores = self._z_scores(latents, codes, workspace)
        own = z_scores.diagonal(dim1=1, dim2=2)  # (B, D)
        mutual = 0.5 * (z_scores + z_scores.mT)
        left_out = torch.eye(len(latents), dtype=torch.bool, device=own.device)
        if absent is None:
            count: int | Tensor = len(latents) - 1
            total = own.sum(1, keepdim=True) - own
        else:  # what is absent says nothing of the others
            left_out = left_out | absent.unsqueeze(1)  # (B, D, D)
            count = (~left_out).sum(2).clamp(min=1)
            total = own.unsqueeze(1).expand_as(mutual).masked_fill(left_out, 0.0).sum(2)
        nearest = mutual.masked_fill(left_out, torch.inf).amin(2)
        if absent is not None:
            nearest = nearest.masked_fill(left_out.all(2), 0.0)
        average = mutual.masked_fill(left_out, 0.0).sum(2) / count
        return torch.stack([own, nearest, average, total / count], -1)

    def _summaries_of_few(
        self, latents: Mapping[str, Tensor], codes: Codes, workspace: Workspace
    ) -> Tensor:
        """Summarize as `_summaries` does where all is present, in fewer operations: (B, D, 4)."""
        count = len(latents)
        z_scores = self._z_scores(latents, codes, workspace).flatten(1)
        sums = z_scores @ _summing(count, z_scores.dtype, z_scores.device)
        sums = sums.view(len(sums), count, -1)
        if count == 2:
            return sums
        torch.amin(sums[..., 4:], -1, out=sums[..., 1])
        return sums[..., :4]

    def _z_scores(
        self, latents: Mapping[str, Tensor], codes: Codes, workspace: Workspace
    ) -> Tensor:
        """Compute (B, D, D): [a, b] how unusual the error of b's latent reconstructed from a is."""
        names = tuple(latents)
        clean = [self.clean_mean, self.clean_std]
        kept = None
        if names != self.modalities and few_rows(len(codes[names[0]])):
            kept = self._prepared.get(names, clean, lambda: self._clean(names))
        mean, std = kept or self._clean(names)
        return ((log_errors(latents, codes, workspace) - mean) / std).clamp(-3.0, 20.0)


@cache
def _summing(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Make the matrix that (B, D * D) z-scores are multiplied with to summarize them.

    Returns (D * D, D * M): of each modality, its own z-score, the mutual one with one of the
    others, the mean mutual one and the others' own; if D > 2, the mutual ones with each other
    modality follow.
    """
    columns = 4 if count == 2 else 3 + count
    table = torch.zeros(count, count, count, columns, dtype=dtype, device=device)
    for one in range(count):
        table[one, one, one, 0] = 1.0
        others = [other for other in range(count) if other != one]
        for place, other in enumerate(others):
            for a, b in ((one, other), (other, one)):
                table[a, b, one, place + 4 if count > 2 else 1] = 0.5
                table[a, b, one, 2] = 0.5 / len(others)
            table[other, other, one, 3] = 1.0 / len(others)
    return table.view(count * count, -1)


def log_errors(latents: Mapping[str, Tensor], codes: Codes, workspace: Workspace) -> Tensor:
    """Compute (B, D, D) log mean squared errors: [a, b] for modality b's latent decoded from a's
    code alone."""
    return (workspace.errors(latents, codes).transpose(0, 1) + 1e-6).log()
