"""Train workspaces on the latents of frozen domain modules, one or many at a time.

Models that differ only in their seed and their pairs are trained as one stack. A model draws its
weights and batches from its own seed and clips its own gradient, so it is the same alone and in any
stack, up to rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_agents.learning.sampler import BatchSampler, Needs, held_out_batch
from gw_agents.learning.stack import Stack
from gw_agents.workspace.losses import PAIRED_LOSSES, PRESETS
from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import Batch, Latents, Terms, check_losses
from gw_envs.errors import InputError, check_number, check_whole


@dataclass(frozen=True)
class TrainingPlan:
    """How workspaces are trained: the same for all models that are compared."""

    fit: FitConfig
    """Steps, learning rate, and the batch size of paired and of unpaired rows, each."""
    held_out: float = 0.0
    """Fraction of the pairs kept out of training to pick the best weights; 0 keeps the last."""
    check_every: int = 100
    """Steps between two looks at the held-out pairs."""
    ema_decay: float = 0.99
    """Decay of the moving average of the weights, which back-translates and is returned."""
    max_held_out: int = 1000
    """Largest number of held-out pairs looked at."""
    back_translation_from: float = 0.1
    """Fraction of the steps before back-translation begins."""
    losses: Mapping[str, float] = field(default_factory=lambda: PRESETS["fusion"])
    """Weight of each loss, by its name in `gw_agents.workspace.losses.LOSSES`."""
    vague: tuple[str, ...] = ()
    """Modalities that are scored only where they did not enter; see
    `gw_agents.domains.base.vague_modalities`."""

    def __post_init__(self) -> None:
        """Raise InputError on an unknown loss or a number that makes no sense."""
        check_losses(self.losses)
        check_number("held_out", self.held_out, 0.0, 1.0)
        check_whole("check_every", self.check_every, 1)
        check_number("ema_decay", self.ema_decay, 0.0, 1.0)
        check_whole("max_held_out", self.max_held_out, 1)
        check_number("back_translation_from", self.back_translation_from, 0.0, 1.0)


def train_workspace(
    config: GWConfig,
    latents: Latents,
    plan: TrainingPlan,
    pairs: Tensor | None = None,
    run_dir: Path | None = None,
    label: str | None = None,
) -> Workspace:
    """Train one workspace, from the seed in `plan.fit`; arguments as for `train_workspaces`.

    `pairs` are (N,) rows of matched scenes; None if all scenes are matched.
    """
    if pairs is None:
        pairs = torch.arange(len(next(iter(latents.values()))))
    (workspace,) = train_workspaces(config, latents, [pairs], [plan.fit.seed], plan, run_dir, label)
    return workspace


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
        latents: {modality: (M, L_d)}, row i of each from scene i. Unpaired rows are drawn from all.
        pairs: for each seed (N,) rows of the scenes whose modalities may be matched; N is the same
            for all.
        seeds: of weights and batches.
        plan: the losses, and how to train.
        run_dir: folder of checkpoints and logs; None writes nothing.
        label: text of the progress bar; None shows no bar.

    Returns:
        The workspaces, frozen, in evaluation mode, on the latents' device.

    Raises:
        InputError: fewer than two modalities, no pairs for losses that need them, or pairs that are
            no rows.
    """
    check_pairs(config, plan.losses, latents, pairs, seeds)
    device = next(iter(latents.values())).device
    models = []
    for seed in seeds:
        seed_torch(seed)
        models.append(Workspace(config))
    stack = Stack(models, plan.losses, plan.vague).to(device)
    sampler, held_out = _split(latents, torch.stack(list(pairs)).to(device), seeds, plan)

    def step_loss(step: int, progress: float) -> tuple[Tensor, Terms]:
        batch, pseudo_targets = sampler(step), {}
        if "back_translation" in plan.losses and progress >= plan.back_translation_from:
            pseudo_targets = stack.translate_with_average(batch.unpaired)
        terms = stack.terms(batch, pseudo_targets)
        return stack.total(terms).sum(), {name: term.mean() for name, term in terms.items()}

    def after_step(done: int) -> None:
        is_last = done == plan.fit.steps
        stack.update_average(plan.ema_decay if is_last else min(plan.ema_decay, done / (done + 10)))
        if held_out is not None and (is_last or done % plan.check_every == 0):
            stack.keep_best(stack.average_error(held_out))
        elif is_last:
            stack.keep_best()

    if held_out is not None:
        stack.keep_best(stack.average_error(held_out))
    fit(
        stack,
        step_loss,
        plan.fit,
        run_dir,
        label,
        after_step,
        clip=stack.clip_gradients,
        undecayed=stack.undecayed(),
    )
    return [workspace.to(device) for workspace in stack.best_workspaces()]


def _split(
    latents: Latents, pairs: Tensor, seeds: Sequence[int], plan: TrainingPlan
) -> tuple[BatchSampler, Batch | None]:
    """Split (S, N) pairs into the batches to train on and the held-out batch, if there is one."""
    names = plan.losses.keys()
    needs = Needs(
        batch_size=plan.fit.batch_size,
        paired=bool(PAIRED_LOSSES & names),
        unpaired=bool(names - PAIRED_LOSSES),
        weights="broadcast" in names,
        leave_out=bool(plan.vague),
    )
    count = round(plan.held_out * pairs.shape[1]) if needs.paired else 0
    sampler = BatchSampler(latents, pairs[:, count:], seeds, needs)
    held_out = pairs[:, : min(count, plan.max_held_out)]
    return sampler, held_out_batch(latents, held_out, needs.leave_out)


def check_pairs(
    config: GWConfig,
    losses: Mapping[str, float],
    latents: Latents,
    pairs: Sequence[Tensor],
    seeds: Sequence[int],
) -> None:
    """Raise InputError unless the data fit the configuration; see `train_workspaces`."""
    widths = {name: rows.shape[1] for name, rows in latents.items()}
    if len(widths) < 2 or dict(config.latent_widths) != widths:
        raise InputError(
            f"latents of widths {widths} for a workspace of {dict(config.latent_widths)}: they must"
            " agree, two or more"
        )
    counts, scenes = {len(rows) for rows in pairs}, len(next(iter(latents.values())))
    if len(pairs) != len(seeds) or len(counts) != 1:
        raise InputError(
            f"{len(pairs)} sets of {sorted(counts)} pairs for {len(seeds)} seeds: give one of equal"
            " size each"
        )
    (count,) = counts
    needing = sorted(PAIRED_LOSSES & losses.keys())
    if not count and needing:
        raise InputError(
            f"there are no pairs, and {', '.join(needing)} cannot do without: give at least one"
        )
    if count > scenes:
        raise InputError(
            f"{count:,} pairs were asked for, of {scenes:,} scenes: ask for at most so many"
        )
    for rows in pairs:
        if count and not 0 <= int(rows.min()) <= int(rows.max()) < scenes:
            raise InputError(f"pairs must be rows of the latents, from 0 to {scenes - 1}")
