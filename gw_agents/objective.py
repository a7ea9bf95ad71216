"""Where a workspace meets its losses: batches of latents in, named loss terms out; and one workspace or many trained.

Models that differ only in their seed and their pairs are trained as one stack: their parameters lie side by side, and
`torch.func.vmap` turns every matrix product into a batched one. A model draws its weights and batches from its own
seed, so that it is the same alone and in any stack, up to rounding.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.utils._pytree import tree_map

from gw_agents.fitting import FitConfig, fit, seed_torch
from gw_agents.workspace import losses
from gw_agents.workspace.model import PAIRED_LOSSES, GWConfig, Workspace

Latents = Mapping[str, Tensor]
"""Latents by modality: {modality: (B, L_d)}."""
Terms = dict[str, Tensor]
"""Unweighted loss terms by the paper's names."""


def random_weights(count: int, modalities: int, concentration: float = 0.5) -> Tensor:
    """(count, modalities) fusion weights: half drawn from a Dirichlet distribution, half on one modality alone."""
    gamma = (
        torch.distributions.Gamma(torch.full((modalities,), concentration), 1.0)
        .sample((count,))
        .clamp(min=1e-12)
    )
    alone = torch.eye(modalities)[torch.randint(modalities, (count,))]
    return torch.where(
        torch.arange(count).unsqueeze(1) % 2 == 0, gamma / gamma.sum(1, keepdim=True), alone
    )


@dataclass(frozen=True)
class Batch:
    """What a step learns from; B rows of latents each."""

    paired: Latents
    """{modality: (B, L_d)}, row i of each from one scene; {} leaves out the terms that need pairs."""
    unpaired: Latents
    """{modality: (B, L_d)}, each modality's rows from scenes of its own; {} leaves out the terms that need none."""
    weights: Tensor
    """(B, D) fusion weights for the broadcast of the paired rows."""


class Objective(nn.Module):
    """The loss terms that a workspace's configuration names."""

    def __init__(self, workspace: Workspace) -> None:
        """Of one workspace."""
        super().__init__()
        self.workspace = workspace

    def forward(
        self, paired: Latents, unpaired: Latents, weights: Tensor, made_up: Mapping[str, Latents]
    ) -> Terms:
        """Every term, unweighted.

        Args:
            paired: as in `Batch`.
            unpaired: as in `Batch`.
            weights: as in `Batch`.
            made_up: {a: {b: (B, L_b)}} what the teacher makes of the unpaired rows of `a` in modality b.
        """
        return self._paired(paired, weights) | self._unpaired(unpaired, made_up)

    def _paired(self, paired: Latents, weights: Tensor) -> Terms:
        gw, terms = self.workspace, {}
        wanted = gw.config.losses.keys() if paired else ()
        codes = gw.encode(paired)
        alone = {name: code.tanh() for name, code in codes.items()}
        if "translation" in wanted:
            there = {a: gw.broadcast(z, [b for b in paired if b != a]) for a, z in alone.items()}
            errors = [
                losses.translation(there[a][b], paired[b]) for a, b in permutations(paired, 2)
            ]
            terms["translation"] = torch.stack(errors).mean()
        if "broadcast" in wanted:
            terms["broadcast"] = losses.broadcast(
                gw.broadcast(gw.fuse(codes, weights)), dict(paired)
            )
        if "contrastive" in wanted:
            errors = [
                losses.contrastive(alone[a], alone[b], gw.log_scale)
                for a, b in combinations(paired, 2)
            ]
            terms["contrastive"] = torch.stack(errors).mean()
        return terms

    def _unpaired(self, unpaired: Latents, made_up: Mapping[str, Latents]) -> Terms:
        terms, wanted = {}, self.workspace.config.losses.keys() if unpaired else ()
        there: dict[str, dict[str, Tensor]] = {}
        if {"demi_cycle", "cycle"} & set(wanted):
            there = {
                a: self.workspace.broadcast(self.workspace.enter(a, rows))
                for a, rows in unpaired.items()
            }
        if "demi_cycle" in wanted:
            terms["demi_cycle"] = torch.stack(
                [losses.demi_cycle(there[a][a], unpaired[a]) for a in there]
            ).mean()
        if "cycle" in wanted:
            errors = [self._back(a, b, there[a][b], unpaired[a]) for a, b in permutations(there, 2)]
            terms["cycle"] = torch.stack(errors).mean()
        if "back_translation" in wanted and made_up:
            errors = [
                self._back(a, b, rows, unpaired[a])
                for a, made in made_up.items()
                for b, rows in made.items()
            ]
            terms["back_translation"] = torch.stack(errors).mean()
        return terms

    def _back(self, origin: str, visited: str, latents: Tensor, began: Tensor) -> Tensor:
        """From `visited` back to `origin`, against what it began with."""
        returned = self.workspace.broadcast(self.workspace.enter(visited, latents), [origin])[
            origin
        ]
        return losses.cycle(returned, began)


class _Translator(nn.Module):
    """Every translation of single modalities: {a: (B, L_a)} -> {a: {b: (B, L_b)}}."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace

    def forward(self, latents: Latents) -> dict[str, dict[str, Tensor]]:
        gw = self.workspace
        return {
            a: gw.broadcast(gw.enter(a, rows), [b for b in latents if b != a])
            for a, rows in latents.items()
        }


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


class Stack(nn.Module):
    """S workspaces of one configuration, their parameters side by side, with a moving average and the best of it."""

    def __init__(self, workspaces: Sequence[Workspace]) -> None:
        """Of freshly made workspaces."""
        super().__init__()
        self.size = len(workspaces)
        objectives = [Objective(workspace) for workspace in workspaces]
        parameters, _ = stack_module_state(objectives)
        self.names = list(parameters)
        self.now = nn.ParameterList(
            [nn.Parameter(tensor.detach()) for tensor in parameters.values()]
        )
        self.skeleton = [
            copy.deepcopy(objectives[0]).to("meta")
        ]  # in a list, so that it is no part of the state
        for index, tensor in enumerate(self.now):
            self.register_buffer(f"average_{index}", tensor.detach().clone())
            self.register_buffer(f"best_{index}", tensor.detach().clone())
        self.least: Tensor
        self.register_buffer("least", torch.full((self.size,), torch.inf))

    def averages(self) -> list[Tensor]:
        """The moving averages, in the order of `names`."""
        return [getattr(self, f"average_{index}") for index in range(len(self.names))]

    def bests(self) -> list[Tensor]:
        """The best averages so far."""
        return [getattr(self, f"best_{index}") for index in range(len(self.names))]

    def terms(
        self,
        batch: Batch,
        made_up: Mapping[str, Latents],
        parameters: Sequence[Tensor] | None = None,
    ) -> Terms:
        """{term: (S,)} of the S models, each on its own rows: every tensor of the batch has a first axis S."""
        named = dict(zip(self.names, self.now if parameters is None else parameters, strict=True))
        return self._each(
            self.skeleton[0], named, batch.paired, batch.unpaired, batch.weights, made_up
        )

    @torch.no_grad()
    def teach(self, unpaired: Latents) -> dict[str, dict[str, Tensor]]:
        """What the moving averages make of unpaired rows: {a: {b: (S, B, L_b)}}."""
        translator = _Translator(self.skeleton[0].workspace)
        named = dict(zip(self.names, self.averages(), strict=True))
        return self._each(translator, named, dict(unpaired))

    def _each(self, module: nn.Module, named: Mapping[str, Tensor], *inputs: Any) -> Any:
        """What each model's parameters make of its inputs; every tensor has a first axis S, before and after."""

        def work(own: dict[str, Tensor], *of_one: Any) -> Any:
            return functional_call(module, own, of_one)

        if self.size > 1:
            return vmap(work)(dict(named), *inputs)
        alone = tree_map(
            lambda tensor: tensor[0], (dict(named), *inputs)
        )  # plain products are faster than batched ones
        return tree_map(lambda tensor: tensor.unsqueeze(0), work(*alone))

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the averages toward the present weights."""
        torch._foreach_lerp_(self.averages(), [tensor.detach() for tensor in self.now], 1.0 - decay)

    @torch.no_grad()
    def keep_best(self, error: Tensor | None) -> None:
        """Keep the averages of the models whose (S,) error is the least so far; all of them if there is no error."""
        better = (
            torch.ones(self.size, dtype=torch.bool)
            if error is None
            else error.cpu() < self.least.cpu()
        )
        if error is not None:
            self.least.copy_(torch.where(better.to(error.device), error, self.least))
        for best, average in zip(self.bests(), self.averages(), strict=True):
            best[better] = average[better]

    def workspaces(self, config: GWConfig) -> list[Workspace]:
        """The best weights as S workspaces, frozen."""
        found = []
        for row in range(self.size):
            objective = Objective(Workspace(config))
            own = {
                name: best[row].clone() for name, best in zip(self.names, self.bests(), strict=True)
            }
            objective.load_state_dict(own)
            found.append(objective.workspace.requires_grad_(False).eval())
        return found


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
        config: their shape and their losses.
        latents: {modality: (M, L_d)}, row i of each from scene i; unpaired rows are drawn from all of them.
        pairs: for each seed (N,) row numbers of the scenes whose modalities may be matched; N the same for all.
        seeds: of weights and batches.
        plan: how to train.
        run_dir: where checkpoints and logs go, if anywhere.
        label: what the progress bar says; None for no bar.

    Returns:
        The workspaces, frozen, in evaluation mode, on the latents' device.

    Raises:
        ValueError: fewer than two modalities, no pairs for losses that need them, or pairs that are no rows.
    """
    check_pairs(config, latents, pairs, seeds)
    device = next(iter(latents.values())).device
    models = []
    for seed in seeds:
        seed_torch(seed)
        models.append(Workspace(config))
    stack = Stack(models).to(device)
    draw = Draws(config, latents, torch.stack(list(pairs)), seeds, plan)
    watched = draw.watched()

    def step_loss(step: int, progress: float) -> tuple[Tensor, Terms]:
        if step:
            stack.follow(min(plan.averaging, step / (step + 10)))
        if step % plan.check_every == 0 and watched is not None:
            stack.keep_best(_total(config, stack.terms(watched, {}, stack.averages())).detach())
        batch = draw(step)
        late = "back_translation" in config.losses and progress >= plan.back_translation_from
        terms = stack.terms(batch, stack.teach(batch.unpaired) if late else {})
        return _total(config, terms).sum(), {name: term.mean() for name, term in terms.items()}

    fit(stack, step_loss, plan.fit, run_dir, label)
    stack.follow(plan.averaging)
    stack.keep_best(
        None
        if watched is None
        else _total(config, stack.terms(watched, {}, stack.averages())).detach()
    )
    return [workspace.to(device) for workspace in stack.workspaces(config)]


def check_pairs(
    config: GWConfig, latents: Latents, pairs: Sequence[Tensor], seeds: Sequence[int]
) -> None:
    """ValueError with one sentence unless the data fit the configuration; see `train_workspaces`."""
    if len(latents) < 2 or dict(config.latents) != {
        name: rows.shape[1] for name, rows in latents.items()
    }:
        held = {name: rows.shape[1] for name, rows in latents.items()}
        raise ValueError(
            f"latents of widths {held} for a workspace of {dict(config.latents)}: they must agree, two or more"
        )
    counts, scenes = {len(rows) for rows in pairs}, len(next(iter(latents.values())))
    if len(pairs) != len(seeds) or len(counts) != 1:
        raise ValueError(
            f"{len(pairs)} sets of {sorted(counts)} pairs for {len(seeds)} seeds: give one of equal size each"
        )
    needing = sorted(PAIRED_LOSSES & config.losses.keys())
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


def _total(config: GWConfig, terms: Terms) -> Tensor:
    """The weighted sum of the terms: the loss that is minimised."""
    return torch.stack([config.losses[name] * term for name, term in terms.items()]).sum(0)


class Draws:
    """The batches of a stack: each a function of its models' seeds and the step."""

    def __init__(
        self,
        config: GWConfig,
        latents: Latents,
        pairs: Tensor,
        seeds: Sequence[int],
        plan: TrainingPlan,
    ) -> None:
        """Keep back the held-out pairs; `pairs` is (S, N), the rest as for `train_workspaces`."""
        self.config, self.latents, self.seeds, self.plan = config, latents, seeds, plan
        kept = round(plan.held_out * pairs.shape[1])
        self.held_out, self.pairs = pairs[:, :kept], pairs[:, kept:]
        self.needs_pairs = bool(PAIRED_LOSSES & config.losses.keys())
        self.needs_unpaired = bool(config.losses.keys() - PAIRED_LOSSES)
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
                if "broadcast" in self.config.losses
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
