"""Several workspaces of one configuration, trained side by side as one stack."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.utils._pytree import tree_map

from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import (
    Batch,
    Latents,
    Objective,
    Terms,
    Translator,
)


class Stack(nn.Module):
    """S workspaces of one configuration, their parameters side by side, with a moving average and the best of it."""

    def __init__(self, workspaces: Sequence[Workspace], losses: Mapping[str, float]) -> None:
        """Stack freshly made workspaces, trained on the {name: weight} of the losses."""
        super().__init__()
        self.size, self.losses = len(workspaces), losses
        objectives = [Objective(workspace, losses) for workspace in workspaces]
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
        pseudo_targets: Mapping[str, Latents],
        parameters: Sequence[Tensor] | None = None,
    ) -> Terms:
        """{term: (S,)} of the S models, each on its own rows: every tensor of the batch has a first axis S."""
        named = dict(zip(self.names, self.now if parameters is None else parameters, strict=True))
        return self._each(
            self.skeleton[0], named, batch.paired, batch.unpaired, batch.weights, pseudo_targets
        )

    @torch.no_grad()
    def teach(self, unpaired: Latents) -> dict[str, dict[str, Tensor]]:
        """What the moving averages make of unpaired rows: {a: {b: (S, B, L_b)}}."""
        translator = Translator(self.skeleton[0].workspace)
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
            objective = Objective(Workspace(config), self.losses)
            own = {
                name: best[row].clone() for name, best in zip(self.names, self.bests(), strict=True)
            }
            objective.load_state_dict(own)
            found.append(objective.workspace.requires_grad_(False).eval())
        return found
