"""Where a workspace meets its losses: batches of latents in, named loss terms out; and one workspace or many trained.

Models that differ only in their seed and their pairs are trained as one stack: their parameters lie side by side, and
`torch.func.vmap` turns every matrix product into a batched one. A model draws its weights and batches from its own
seed, so that it is the same alone and in any stack, up to rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_agents.learning.stack import Stack
from gw_agents.workspace.losses import PAIRED_LOSSES, PRESETS
from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import Batch, Latents, Terms, check_losses, random_weights


@dataclass(frozen=True)
class TrainingPlan:
    """How workspaces are trained: the same for every model that is compared."""

    fit: FitConfig
    """Steps, batch size (of paired rows and of unpaired ones, each), learning rate."""
    held_out: float = 0.0
    """Fraction of the pairs that is not learned from but watched, to keep the best weights; 0 keeps the last."""
    check_every: int = 100
    """Steps between two looks at the held-out pairs."""
    averaging: float = 0.99
    """Decay of the moving average of the weights: the teacher of back-translation, and what is kept in the end."""
    most_held_out: int = 1000
    """Held-out pairs looked at, at most."""
    back_translation_from: float = 0.1
    """Fraction of the steps before back-translation begins."""
    losses: Mapping[str, float] = field(default_factory=lambda: PRESETS["fusion"])
    """Weight of each loss, by its name in `gw_agents.workspace.losses.LOSSES`."""

    def __post_init__(self) -> None:
        """Raise InputError on an unknown loss or a weight that is not positive."""
        check_losses(self.losses)


def train_workspaces(
    config: GWConfig,
    latents: Latents,
    pairs: Sequence[Tensor],
    seeds: Sequence[int],
    plan: TrainingPlan,
    run_dir: Path | None = None,
    label: str | None = None,
) -> list[Workspace]:
    """Train one workspace for each seed, all in one stack.

    Args:
        config: their shape.
        latents: {modality: (M, L_d)}, row i of each from scene i; unpaired rows are drawn from all of them.
        pairs: for each seed (N,) row numbers of the scenes whose modalities may be matched; N the same for all.
        seeds: of weights and batches.
        plan: on what losses and how to train.
        run_dir: where checkpoints and logs go, if anywhere.
        label: what the progress bar says; None for no bar.

    Returns:
        The workspaces, frozen, in evaluation mode, on the latents' device.

    Raises:
        ValueError: fewer than two modalities, no pairs for losses that need them, or pairs that are no rows.
    """
    check_pairs(config, plan.losses, latents, pairs, seeds)
    device = next(iter(latents.values())).device
    models = []
    for seed in seeds:
        seed_torch(seed)
        models.append(Workspace(config))
    stack = Stack(models, plan.losses).to(device)
    draw = Draws(latents, torch.stack(list(pairs)), seeds, plan)
    watched = draw.watched()

    def keep_best() -> None:
        error = None
        if watched is not None:
            error = _total(plan.losses, stack.terms(watched, {}, stack.averages())).detach()
        stack.keep_best(error)

    def step_loss(step: int, progress: float) -> tuple[Tensor, Terms]:
        batch = draw(step)
        late = "back_translation" in plan.losses and progress >= plan.back_translation_from
        terms = stack.terms(batch, stack.teach(batch.unpaired) if late else {})
        return _total(plan.losses, terms).sum(), {name: term.mean() for name, term in terms.items()}

    def after_step(done: int) -> None:
        finished = done == plan.fit.steps
        stack.follow(plan.averaging if finished else min(plan.averaging, done / (done + 10)))
        if finished or (done % plan.check_every == 0 and watched is not None):
            keep_best()

    if watched is not None:
        keep_best()
    fit(stack, step_loss, plan.fit, run_dir, label, after_step)
    return [workspace.to(device) for workspace in stack.workspaces(config)]


def check_pairs(
    config: GWConfig,
    losses: Mapping[str, float],
    latents: Latents,
    pairs: Sequence[Tensor],
    seeds: Sequence[int],
) -> None:
    """ValueError with one sentence unless the data fit the configuration; see `train_workspaces`."""
    if len(latents) < 2 or dict(config.latent_widths) != {
        name: rows.shape[1] for name, rows in latents.items()
    }:
        held = {name: rows.shape[1] for name, rows in latents.items()}
        raise ValueError(
            f"latents of widths {held} for a workspace of {dict(config.latent_widths)}: they must agree, two or more"
        )
    counts, scenes = {len(rows) for rows in pairs}, len(next(iter(latents.values())))
    if len(pairs) != len(seeds) or len(counts) != 1:
        raise ValueError(
            f"{len(pairs)} sets of {sorted(counts)} pairs for {len(seeds)} seeds: give one of equal size each"
        )
    needing = sorted(PAIRED_LOSSES & losses.keys())
    if not max(counts) and needing:
        raise ValueError(
            f"there are no pairs, and {', '.join(needing)} cannot do without: give at least one"
        )
    if max(counts) > scenes or any(
        len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < scenes for rows in pairs
    ):
        raise ValueError(
            f"{max(counts):,} pairs were asked for, of {scenes:,} scenes: ask for at most so many"
        )


def _total(losses: Mapping[str, float], terms: Terms) -> Tensor:
    """The weighted sum of the terms: the loss that is minimised."""
    return torch.stack([losses[name] * term for name, term in terms.items()]).sum(0)


class Draws:
    """The batches of a stack: each a function of its models' seeds and the step."""

    def __init__(
        self,
        latents: Latents,
        pairs: Tensor,
        seeds: Sequence[int],
        plan: TrainingPlan,
    ) -> None:
        """Keep back the held-out pairs; `pairs` is (S, N), the rest as for `train_workspaces`."""
        self.latents, self.seeds, self.plan = latents, seeds, plan
        kept = round(plan.held_out * pairs.shape[1])
        self.held_out, self.pairs = pairs[:, :kept], pairs[:, kept:]
        self.needs_pairs = bool(PAIRED_LOSSES & plan.losses.keys())
        self.needs_unpaired = bool(plan.losses.keys() - PAIRED_LOSSES)
        self.scenes = len(next(iter(latents.values())))

    def __call__(self, step: int) -> Batch:
        """The batch of a step, every tensor (S, B, ...)."""
        count, names = self.plan.fit.batch_size, tuple(self.latents)
        matched, unmatched, weights = [], [], []
        for row, seed in enumerate(self.seeds):
            seed_torch(seed, step)
            if self.needs_pairs:
                matched.append(self.pairs[row, torch.randint(self.pairs.shape[1], (count,))])
            if self.needs_unpaired:
                unmatched.append(torch.randint(self.scenes, (len(names), count)))
            weights.append(
                random_weights(count, len(names))
                if "broadcast" in self.plan.losses
                else torch.zeros(())
            )
        paired = self._rows(torch.stack(matched)) if matched else {}
        rows = torch.stack(unmatched) if unmatched else torch.empty(0)  # (S, D, B)
        unpaired = {
            name: self.latents[name][rows[:, place]]
            for place, name in enumerate(names)
            if unmatched
        }
        return Batch(paired, unpaired, torch.stack(weights).to(self.latents[names[0]].device))

    def watched(self) -> Batch | None:
        """The held-out pairs as a batch without unpaired rows; None if nothing is held out."""
        if not self.needs_pairs or not self.held_out.shape[1]:
            return None
        seed_torch(0)
        rows = self.held_out[:, : self.plan.most_held_out]
        weights = random_weights(rows.shape[1], len(self.latents)).expand(len(rows), -1, -1)
        return Batch(self._rows(rows), {}, weights.to(rows.device))

    def _rows(self, rows: Tensor) -> dict[str, Tensor]:
        return {name: values[rows] for name, values in self.latents.items()}
