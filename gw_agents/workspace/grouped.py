"""Run networks of one shape together, for observations that come one at a time.

On a few rows, a small layer costs its call and not its numbers: three networks of ten layers
make 30 calls, and joined they make 13.
"""

from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from gw_agents.domains.base import Layers

FEW = 4
"""Most rows of a batch that is read this way; larger ones gain little."""

Step = Callable[[Tensor], Tensor]
T = TypeVar("T")


def few_rows(rows: int) -> bool:
    """Tell whether a batch is small enough to be read this way, and needs no gradients."""
    return 0 < rows <= FEW and torch.is_inference_mode_enabled()


class Group:
    """D networks of equal hidden layers, joined: the first layers make one matrix, the last ones
    another, and those between are stacks of D."""

    def __init__(self, networks: Sequence[nn.Module], shared: bool) -> None:
        """Copy the weights of `networks`, which all read the same input if it is `shared`."""
        layers: list[list[Any]] = [list(network.children()) for network in networks]
        first, last = [own[0] for own in layers], [own[-1] for own in layers]
        enter = [layer.weight for layer in first]
        self.shape = (-1, len(networks), first[0].out_features)
        self.widths = [layer.out_features for layer in last]
        """Numbers that each network returns."""
        self.enter = (torch.cat(enter) if shared else torch.block_diag(*enter)).mT.contiguous()
        self.enter_bias = torch.cat([layer.bias for layer in first])
        self.steps = [_join(own) for own in zip(*(own[1:-1] for own in layers), strict=True)]
        self.leave = torch.block_diag(*[layer.weight for layer in last]).mT.contiguous()
        self.leave_bias = torch.cat([layer.bias for layer in last])
        means = [self.leave.new_full((width, 1), 1.0 / width) for width in self.widths]
        self.means = torch.block_diag(*means)
        """(W, D): the product of (N, W) outputs with it is the mean of each network's numbers."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """Apply the networks to (N, I) inputs, side by side unless they are shared; returns (N, W)
        outputs, side by side."""
        rows = torch.addmm(self.enter_bias, inputs, self.enter)
        stack = rows.view(self.shape).transpose(0, 1)  # (D, N, hidden)
        for step in self.steps:
            stack = step(stack)
        return torch.addmm(self.leave_bias, stack.transpose(0, 1).flatten(1), self.leave)


def _join(layers: Sequence[Any]) -> Step:
    """Join D equal layers into one step on (D, N, hidden)."""
    layer = layers[0]
    if isinstance(layer, nn.ReLU | nn.SiLU):
        return torch.relu_ if isinstance(layer, nn.ReLU) else partial(silu, inplace=True)
    bias = torch.stack([own.bias for own in layers]).unsqueeze(1)
    weight = torch.stack([own.weight for own in layers])
    if isinstance(layer, nn.Linear):
        turned = weight.mT.contiguous()  # a third faster
        return lambda stack: torch.baddbmm(bias, stack, turned)
    shape, eps, scale = layer.normalized_shape, layer.eps, weight.unsqueeze(1)
    return lambda stack: torch.addcmul(bias, torch.layer_norm(stack, shape, eps=eps), scale)


def _can_join(networks: Sequence[nn.Module]) -> bool:
    """Tell whether all layers are of known kinds, and those between the first and the last
    equal."""
    shapes = set()
    for network in networks:
        layers: list[Any] = list(network.children())
        if type(network) is not Layers or len(layers) < 3:
            return False
        if any(type(layer) not in (nn.Linear, nn.LayerNorm, nn.ReLU, nn.SiLU) for layer in layers):
            return False
        if not all(isinstance(layer, nn.Linear) for layer in (layers[0], layers[-1])):
            return False
        if any(weight is None for layer in layers for weight in layer._parameters.values()):
            return False
        shapes.add((layers[0].out_features, *map(str, layers[1:-1])))
    return len(shapes) == 1


_version = attrgetter("_version")


class Prepared:
    """Keeps what was computed from weights, and computes it again once one of them was changed,
    moved or replaced."""

    def __init__(self) -> None:
        """Start without anything."""
        self._kept: dict[Any, tuple[list[int], list[Tensor], Any]] = {}

    def __reduce__(self) -> tuple[type["Prepared"], tuple[()]]:
        """Copy and pickle without what is kept: a copy has weights of its own."""
        return Prepared, ()

    def get(self, key: Any, weights: list[Any], compute: Callable[[], T]) -> T | None:
        """Return what `compute` made of these weights; None if their changes can't be noticed."""
        try:
            state = [*map(Tensor.data_ptr, weights), *map(_version, weights)]
        except (RuntimeError, TypeError):  # made in inference mode, or a layer lacks a weight
            return None
        if key not in self._kept or self._kept[key][0] != state:
            # while their memory is held, new weights can't have the same address
            self._kept[key] = (state, [weight.detach() for weight in weights], compute())
        return self._kept[key][2]

    def group(
        self, networks: nn.Module, names: tuple[str, ...], rows: int, shared: bool = False
    ) -> Group | None:
        """Return the group of the networks called `names`, for a batch of so many rows.

        Returns None where they should run one by one: unless there are `few_rows`, and where their
        layers differ.
        """
        if not few_rows(rows):
            return None
        own: list[Any] = [networks._modules[name] for name in names]
        weights: list[Any] = []
        for network in own:
            for layer in network._modules.values():
                weights += layer._parameters.values()
        return self.get(
            (names, shared), weights, lambda: Group(own, shared) if _can_join(own) else None
        )
