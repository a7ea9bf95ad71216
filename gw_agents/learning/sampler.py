"""Draw the batches of a stack of models, each model from its own seed.

Draw n of a model is a hash of its seed and n, so any number of draws is one vectorized call on the
latents' own device, and a model gets the same batches alone and in any stack.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from gw_agents.learning.loop import seed_torch
from gw_agents.workspace.objective import Batch, Latents, left_out, random_weights

BLOCK = 16
"""Steps whose draws are made at once."""

INCREMENT, FIRST, SECOND = (
    number - (1 << 64) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
"""The constants of SplitMix64, as signed numbers."""


def hash_numbers(numbers: Tensor) -> Tensor:
    """Hash int64 numbers to 32 random bits each, by SplitMix64: (...) -> (...) in [0, 2**32)."""
    bits = numbers * INCREMENT
    bits = (bits ^ _shift(bits, 30)) * FIRST
    bits = (bits ^ _shift(bits, 27)) * SECOND
    return _shift(bits ^ _shift(bits, 31), 32)


def _shift(numbers: Tensor, places: int) -> Tensor:
    """Shift unsigned 64-bit numbers, held in int64, to the right."""
    return (numbers >> places) & ((1 << (64 - places)) - 1)


def pick(bits: Tensor, count: int) -> Tensor:
    """Turn 32 random bits into a number from 0 to count - 1."""
    return (bits * count) >> 32


def fusion_weights(bits: Tensor, modalities: int, leave_out: bool = False) -> Tensor:
    """Draw fusion weights: every other row from Dirichlet(1/2), the rest on one modality alone.

    Args:
        bits: (..., B, `weight_columns`) 32 random bits each.
        modalities: D.
        leave_out: whether some modalities of mixed rows have no weight (see
            `gw_agents.workspace.objective.left_out`).

    Returns:
        (..., B, D) weights that sum to 1.
    """
    uniform = (bits + 0.5) * 2.0**-32
    radius, angle = uniform[..., :modalities], uniform[..., modalities : 2 * modalities]
    # half the square of a normal number is Gamma(1/2); such numbers over their sum are Dirichlet
    gamma = -radius.log() * (2 * pi * angle).cos().square()
    mixed = gamma.clamp(min=1e-12)
    if leave_out:
        mixed = left_out(mixed, uniform[..., 2 * modalities + 1 :])
    mixed = mixed / mixed.sum(-1, keepdim=True)
    chosen = pick(bits[..., 2 * modalities], modalities).unsqueeze(-1)
    alone = (chosen == torch.arange(modalities, device=bits.device)).to(mixed.dtype)
    is_mixed = torch.arange(bits.shape[-2], device=bits.device).unsqueeze(-1) % 2 == 0
    return torch.where(is_mixed, mixed, alone)


def weight_columns(modalities: int, leave_out: bool = False) -> int:
    """Return how many random numbers the fusion weights of a row take."""
    return 2 * modalities + 1 + (modalities if leave_out else 0)


@dataclass(frozen=True)
class Needs:
    """What a step draws for each model."""

    batch_size: int
    """B, paired rows and unpaired rows of each modality."""
    paired: bool
    """Whether there are paired rows."""
    unpaired: bool
    """Whether there are unpaired rows."""
    weights: bool
    """Whether the paired rows have fusion weights."""
    leave_out: bool = False
    """Whether some modalities of mixed rows have no weight."""


class BatchSampler:
    """The batches of a stack: each a function of its models' seeds and the step."""

    def __init__(self, latents: Latents, pairs: Tensor, seeds: Sequence[int], needs: Needs) -> None:
        """Hold the data.

        Args:
            latents: {modality: (M, L_d)}, D of them.
            pairs: (S, N) rows of scenes whose modalities may be matched, for each of S models.
            seeds: S of them.
            needs: what a step draws.
        """
        self.latents, self.needs = latents, needs
        first = next(iter(latents.values()))
        self.scenes, self.device = len(first), first.device
        self.pairs = pairs.to(self.device)
        # hashed twice, so that the numbers of two models never overlap in sequence
        keys = hash_numbers(torch.tensor(list(seeds), dtype=torch.int64) + 1)
        self.keys = (hash_numbers(keys) << 31).unsqueeze(1).to(self.device)
        self.block = -1
        self.parts: list[Tensor] = []

    def __call__(self, step: int) -> Batch:
        """Draw the batch of a step; every tensor is (S, B, ...)."""
        if step // BLOCK != self.block:
            self.block = step // BLOCK
            self.parts = self._draw(self.block)
        rows, unpaired_rows, weights = (part[:, step % BLOCK] for part in self.parts)
        paired = self.rows(rows) if self.needs.paired else {}
        unpaired = {}
        if self.needs.unpaired:
            for place, (name, values) in enumerate(self.latents.items()):
                unpaired[name] = values[unpaired_rows[:, place]]
        return Batch(paired, unpaired, weights)

    def rows(self, rows: Tensor) -> dict[str, Tensor]:
        """Look up rows of all modalities: (S, B) -> {modality: (S, B, L_d)}."""
        return {name: values[rows] for name, values in self.latents.items()}

    def _draw(self, block: int) -> list[Tensor]:
        """Draw rows of pairs (S, K, B), other rows (S, K, D, B) and weights (S, K, B, D).

        K is BLOCK; what is not needed is empty.
        """
        needs, modalities, count = self.needs, len(self.latents), self.needs.batch_size
        columns = [
            1 if needs.paired else 0,
            modalities if needs.unpaired else 0,
            weight_columns(modalities, needs.leave_out) if needs.weights else 0,
        ]
        width = count * sum(columns)
        first = block * BLOCK * width
        numbers = torch.arange(first, first + BLOCK * width, device=self.device)
        bits = hash_numbers(self.keys + numbers).unflatten(1, (BLOCK, sum(columns), count))
        paired, unpaired, weights = bits.split(columns, 2)
        if needs.paired:
            chosen = pick(paired, self.pairs.shape[1])
            paired = self.pairs.gather(1, chosen.flatten(1)).view(-1, BLOCK, count)
        if needs.weights:
            weights = fusion_weights(weights.transpose(2, 3), modalities, needs.leave_out)
        return [paired, pick(unpaired, self.scenes), weights]


def held_out_batch(latents: Latents, pairs: Tensor, leave_out: bool = False) -> Batch | None:
    """Make a batch of (S, N) held-out pairs, without unpaired rows; None if there are no pairs.

    `leave_out` is as in `Needs`.
    """
    if not pairs.shape[1]:
        return None
    seed_torch(0)
    weights = random_weights(pairs.shape[1], len(latents), leave_out=leave_out)
    weights = weights.expand(len(pairs), -1, -1)
    paired = {name: values[pairs] for name, values in latents.items()}
    return Batch(paired, {}, weights.to(pairs.device))
