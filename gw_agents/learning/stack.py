"""Several workspaces of one shape, trained side by side as one stack.

Their parameters lie side by side in tensors with a first axis S, so that each layer is one batched
matrix product over all models.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, relu, silu

from gw_agents.workspace.fusion import component_shares, precisions
from gw_agents.workspace.model import Codes, GWConfig, Workspace
from gw_agents.workspace.objective import Batch, BatchViews, Latents, Terms, compute_terms

EPSILON = nn.LayerNorm(1).eps


class StackedWorkspace:
    """S workspaces that encode, fuse and broadcast as one; every tensor has a first axis S."""

    def __init__(self, config: GWConfig, parameters: Mapping[str, Tensor]) -> None:
        """Hold the stacked parameters of workspaces of one shape, by their names in `Workspace`."""
        self.config, self.parameters = config, parameters
        self.modalities = tuple(config.latent_widths)
        self.log_scale = parameters["log_scale"]

    def encode(self, latents: Latents) -> Codes:
        """Encode {modality: (S, B, L_d)} into {modality: (S, B, Z)} codes, not yet fused."""
        return {name: self._apply(f"encoders.{name}", rows) for name, rows in latents.items()}

    def fuse(self, codes: Codes, weights: Tensor) -> Tensor:
        """Fuse {modality: (S, B, Z)} codes with (S, B, D) weights into (S, B, Z)."""
        stacked = torch.stack(list(codes.values()), 2)
        if self.config.fusion == "even":
            return (stacked * weights.unsqueeze(-1)).sum(2).tanh()
        places = [self.modalities.index(name) for name in codes]
        precision = precisions(self.parameters["log_precision"], places)
        return (stacked * component_shares(weights, precision)).sum(2).tanh()

    def enter(self, name: str, latents: Tensor) -> Tensor:
        """Encode one modality alone into the workspace: (S, B, L_d) -> (S, B, Z)."""
        return self._apply(f"encoders.{name}", latents).tanh()

    def broadcast(self, z: Tensor, modalities: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Predict the latents of all modalities, or of those named: {modality: (S, B, L_d)}."""
        names = self.modalities if modalities is None else modalities
        return {name: self._apply(f"decoders.{name}", z) for name in names}

    def _apply(self, network: str, rows: Tensor) -> Tensor:
        """Apply the S networks of that name to (S, B, ...) rows."""
        config = self.config
        modules = 3 if config.layer_norm else 2  # of a layer, in `normalized_mlp` and `mlp`
        for layer in range(config.layers):
            weight, bias = self._pair(f"{network}.{layer * modules}")
            rows = torch.baddbmm(bias.unsqueeze(1), rows, weight.mT)
            if config.layer_norm:
                scale, shift = self._pair(f"{network}.{layer * modules + 1}")
                normal = layer_norm(rows, rows.shape[-1:], eps=EPSILON)
                rows = silu(torch.addcmul(shift.unsqueeze(1), normal, scale.unsqueeze(1)))
            else:
                rows = relu(rows)
        weight, bias = self._pair(f"{network}.{config.layers * modules}")
        return torch.baddbmm(bias.unsqueeze(1), rows, weight.mT)

    def _pair(self, place: str) -> tuple[Tensor, Tensor]:
        """Return the S weights and biases of a module."""
        return self.parameters[f"{place}.weight"], self.parameters[f"{place}.bias"]


class Stack(nn.Module):
    """S workspaces of one shape, with a moving average of their weights and its best so far."""

    def __init__(
        self,
        workspaces: Sequence[Workspace],
        losses: Mapping[str, float],
        vague: Collection[str] = (),
    ) -> None:
        """Stack freshly made workspaces, trained on the {name: weight} of the losses; `vague` names
        modalities that are scored only where they did not enter."""
        super().__init__()
        self.config, self.losses, self.vague = workspaces[0].config, dict(losses), vague
        self.names = [name for name, _ in workspaces[0].named_parameters()]
        own = [dict(workspace.named_parameters()) for workspace in workspaces]
        stacked = [torch.stack([one[name].detach() for one in own]) for name in self.names]
        self.weights = nn.ParameterList(stacked)
        self.averages = _frozen(stacked)
        self.bests = _frozen(stacked)
        self.least_error: Tensor
        self.register_buffer("least_error", torch.full((len(workspaces),), torch.inf))

    def terms(self, batch: Batch, pseudo_targets: Mapping[str, Latents]) -> Terms:
        """Compute {term: (S,)} of the models, each on its own rows: every tensor is (S, B, ...)."""
        return self._terms(self.weights, batch, pseudo_targets)

    def _terms(
        self, weights: nn.ParameterList, batch: Batch, pseudo_targets: Mapping[str, Latents]
    ) -> Terms:
        """Compute the terms of the models with these weights."""
        views = BatchViews(
            self._view(weights),
            batch.paired,
            batch.unpaired,
            batch.weights,
            pseudo_targets,
            self.vague,
        )
        return compute_terms(views, self.losses)

    def total(self, terms: Terms) -> Tensor:
        """Add up the weighted terms: (S,) the loss of each model."""
        return torch.stack([self.losses[name] * term for name, term in terms.items()]).sum(0)

    @torch.no_grad()
    def average_error(self, batch: Batch) -> Tensor:
        """Compute the (S,) losses of the averages on a batch."""
        return self.total(self._terms(self.averages, batch, {}))

    @torch.no_grad()
    def translate_with_average(self, unpaired: Latents) -> dict[str, dict[str, Tensor]]:
        """Translate unpaired rows by the moving averages: {a: {b: (S, B, L_b)}}."""
        teacher = self._view(self.averages)
        return {
            a: teacher.broadcast(teacher.enter(a, rows), [b for b in unpaired if b != a])
            for a, rows in unpaired.items()
        }

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the averages toward the present weights."""
        torch._foreach_lerp_(list(self.averages), list(self.weights), 1.0 - decay)

    @torch.no_grad()
    def keep_best(self, error: Tensor | None = None) -> None:
        """Keep the averages of the models whose (S,) error is the least so far, or of all."""
        if error is None:
            better = torch.ones_like(self.least_error, dtype=torch.bool)
        else:
            better = error < self.least_error
            self.least_error.copy_(torch.where(better, error, self.least_error))
        for best, average in zip(self.bests, self.averages, strict=True):
            is_better = better.view(-1, *[1] * (best.ndim - 1))
            best.copy_(torch.where(is_better, average, best))

    def clip_gradients(self, parameters: list[nn.Parameter], largest: float) -> Tensor:
        """Clip each model's gradient to the norm `largest`. Returns the () largest norm before."""
        models = len(self.least_error)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        squares = [gradient.reshape(models, -1).square().sum(1) for gradient in gradients]
        norms = torch.stack(squares).sum(0).sqrt()  # (S,)
        factors = (largest / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))
        return norms.max()

    def best_workspaces(self) -> list[Workspace]:
        """Return the best weights as S workspaces, frozen."""
        found = []
        for row in range(len(self.least_error)):
            workspace = Workspace(self.config)
            best = zip(self.names, self.bests, strict=True)
            workspace.load_state_dict({name: tensor[row].clone() for name, tensor in best})
            found.append(workspace.requires_grad_(False).eval())
        return found

    def undecayed(self) -> list[nn.Parameter]:
        """Return the weights that no decay should pull: precisions, whose differences matter."""
        named = zip(self.names, self.weights, strict=True)
        return [weight for name, weight in named if name == "log_precision"]

    def _view(self, tensors: Iterable[Tensor]) -> StackedWorkspace:
        """View a list of parameters as workspaces."""
        return StackedWorkspace(self.config, dict(zip(self.names, tensors, strict=True)))


def _frozen(tensors: Sequence[Tensor]) -> nn.ParameterList:
    """Copy tensors into parameters that no optimizer changes."""
    return nn.ParameterList(nn.Parameter(tensor.clone(), requires_grad=False) for tensor in tensors)
