"""The public object: observations in, workspace vectors out, and observations of one modality out of another's.

gw = GlobalWorkspace.from_pretrained("factory")
z = gw.encode(observation)
picture = gw.translate(observation, source="language", target="image")
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gw_agents.checkpoint import CheckpointError, load_into, read_config, read_tensors
from gw_agents.devices import resolve_device
from gw_agents.domains.base import Domain
from gw_agents.pretrained import load_attentions, load_domain
from gw_agents.workspace.attention import Attention
from gw_agents.workspace.model import Codes, GWConfig, Workspace
from gw_envs.assets import asset_path
from gw_envs.observation import check_modalities
from gw_envs.scenes import SCENES, find_scene

AttentionChoice = str | Mapping[str, float] | None
"""None for the even mean of what is present, a name, or explicit weights by modality that sum to 1."""


class GlobalWorkspace(nn.Module):
    """Frozen domain modules and the workspace that joins them, with the attention modules trained on it."""

    def __init__(
        self,
        scene: str,
        domains: Mapping[str, Domain],
        workspace: Workspace,
        attentions: Mapping[str, Attention] | None = None,
        best: str | None = None,
    ) -> None:
        """Join the parts.

        Args:
            scene: name of the scene they were trained on, ours or another.
            domains: the domain module of each modality of the workspace, whatever its key.
            workspace: encoders and decoders.
            attentions: attention modules by name.
            best: the one of them that `attention="best"` means.
        """
        super().__init__()
        for name in workspace.modalities:
            if name not in domains:
                raise ValueError(
                    f"the workspace reads {name}, and no domain module of that modality was given"
                )
            wide, wanted = domains[name].latent_width, workspace.config.latents[name]
            if wide != wanted:
                raise ValueError(
                    f"the {name} domain has a latent of {wide} numbers, the workspace reads {wanted}"
                )
        self.scene_name = scene
        self.domains = nn.ModuleDict({name: domains[name] for name in workspace.modalities})
        self.workspace = workspace
        self.attentions = nn.ModuleDict(attentions or {})
        self.best = best
        self.eval().requires_grad_(False)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that the workspace knows."""
        return self.workspace.modalities

    @property
    def domain_modules(self) -> dict[str, Domain]:
        """The frozen domain module of each modality."""
        return {name: cast(Domain, module) for name, module in self.domains.items()}

    @property
    def width(self) -> int:
        """Z, numbers in the workspace vector."""
        return self.workspace.config.width

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.workspace.log_scale.device

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str = "auto", attention: bool = True
    ) -> "GlobalWorkspace":
        """Load shipped weights by the scene's name, or those in a folder.

        Args:
            name: a scene, or a folder that `gw_agents.pretrain` wrote.
            device: auto, cpu or cuda.
            attention: whether to load the attention modules too, where there are any.

        Raises:
            ValueError: no such scene and no such folder.
            CheckpointError: a file is missing, truncated, of another scene or of another schema version.
        """
        shipped = find_scene(str(name))
        folder = asset_path(f"weights/{shipped.name}") if shipped else Path(name)
        if not folder.is_dir():
            raise ValueError(
                f"no weights called {str(name)!r}: give one of {', '.join(SCENES)}, or a folder of weights"
            )
        config = read_config(folder, "workspace", "workspace")
        scene = config["scene"]
        if shipped and scene != shipped.name:
            raise CheckpointError(
                f"{folder}/workspace.json was trained for the scene {scene!r}, not for {shipped.name!r}"
            )
        workspace = Workspace(GWConfig(**config["arguments"]))
        load_into(
            workspace, read_tensors(folder, "workspace", config), f"{folder}/workspace.safetensors"
        )
        domains = {
            modality: load_domain(folder, modality, scene) for modality in workspace.modalities
        }
        for modality, (_, sha256) in domains.items():
            if config["domains"][modality] != sha256:
                raise CheckpointError(
                    f"the workspace in {folder} was trained on another {modality} domain: train it anew"
                )
        attentions, best = (
            load_attentions(folder, scene, config["sha256"]) if attention else ({}, None)
        )
        modules = {modality: domain for modality, (domain, _) in domains.items()}
        return cls(scene, modules, workspace, attentions, best).to(resolve_device(device))

    # Observations in.

    @torch.inference_mode()
    def encode(
        self,
        observation: Mapping[str, Any],
        attention: AttentionChoice = None,
        return_weights: bool = False,
        failed: Literal["refuse", "ignore"] = "refuse",
    ) -> Any:
        """The workspace vector of one observation or of a batch.

        Args:
            observation: {modality: array} as the environments give it, any subset of the modalities.
            attention: None for the even mean of the modalities present; the name of an attention module ("one_step",
                "two_step", "best", ...); or explicit weights, {modality: weight} for those present, summing to 1.
            return_weights: whether to return the fusion weights too.
            failed: what to do with a reading that holds NaN or infinite values: "refuse" it, or "ignore" it as that of
                a sensor that has failed, whose weight is 0. Where every modality has failed, z is 0, with a warning.

        Returns:
            (Z,) or (B, Z) float32 in (-1, 1); with `return_weights` a pair of that and {modality: () or (B,) weights}.
        """
        if failed not in ("refuse", "ignore"):
            raise ValueError(f"failed is {failed!r}: what holds NaN can be refused or ignored")
        lost: dict[str, NDArray[np.bool_]] = {}
        if failed == "ignore":
            observation, lost = self._without_failed(observation)
        tensors, single = self._read(observation)
        latents = self.encode_domains(tensors)
        mask = None
        if lost:
            count = len(next(iter(latents.values())))
            gone = [
                np.broadcast_to(lost.get(name, np.zeros(())), count).astype(bool)
                for name in latents
            ]
            mask = torch.from_numpy(np.stack(gone, 1)).to(self.device)
            if mask.all(1).any():
                warnings.warn(
                    "every modality of an observation has failed: its workspace vector is 0",
                    stacklevel=2,
                )
        z, weights = self.fuse_latents(latents, attention, mask)
        found = z.cpu().numpy()
        if not return_weights:
            return found[0] if single else found
        table = weights.cpu().numpy()
        shares = {name: table[0, i] if single else table[:, i] for i, name in enumerate(latents)}
        return (found[0] if single else found), shares

    @torch.inference_mode()
    def translate(
        self, observation: Mapping[str, Any], source: str | Sequence[str], target: str
    ) -> NDArray:
        """What the workspace makes of one or several modalities, in another one's own space.

        Args:
            observation: {modality: array}, one observation or a batch; must hold `source`.
            source: the modality or modalities to encode.
            target: the modality to decode; may be among the sources.

        Returns:
            What the target's domain module decodes: of ours, (S, S, 3) uint8 image, (A,) float32 attributes or
            (MAX_TOKENS,) int64 token ids; a batch has B of them.
        """
        sources = known_modalities(self, source)
        (wanted,) = known_modalities(self, (target,))
        missing = [name for name in sources if name not in observation]
        if missing:
            raise ValueError(
                f"the observation has no {missing[0]!r} to translate from: it holds {', '.join(observation)}"
            )
        tensors, single = self._read({name: observation[name] for name in sources})
        decoded = self.domain_modules[wanted].decode(
            self.workspace.translate(self.encode_domains(tensors), wanted)
        )
        array = decoded.cpu().numpy()
        return array[0] if single else array

    @torch.inference_mode()
    def latents(self, observation: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        """{modality: (L_d,) or (B, L_d)} standardised unimodal latents of one observation or of a batch."""
        tensors, single = self._read(observation)
        found = {name: rows.cpu().numpy() for name, rows in self.encode_domains(tensors).items()}
        return {name: rows[0] for name, rows in found.items()} if single else found

    # Tensors in, for training and benchmarks.

    def encode_domains(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """{modality: (B, ...)} observations -> {modality: (B, L_d)} standardised unimodal latents."""
        return {
            name: cast(Domain, self.domains[name]).encode(tensor)
            for name, tensor in tensors.items()
        }

    def fuse_latents(
        self,
        latents: Mapping[str, Tensor],
        attention: AttentionChoice = None,
        failed: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """{modality: (B, L_d)} -> (B, Z) workspace vectors and (B, D) fusion weights in the order of `latents`.

        `failed` (B, D) is true where a modality is known to have failed: its weight is 0.
        """
        codes = self.workspace.encode(latents)
        weights = self._weights(latents, codes, attention, failed)
        return self.workspace.fuse(codes, weights), weights

    def _weights(
        self,
        latents: Mapping[str, Tensor],
        codes: Codes,
        attention: AttentionChoice,
        failed: Tensor | None,
    ) -> Tensor:
        count = len(next(iter(latents.values())))
        if isinstance(attention, str):
            return self.attention_called(attention)(latents, codes, self.workspace, failed)
        if attention is None:
            weights = torch.full((count, len(latents)), 1.0 / len(latents), device=self.device)
        else:
            weights = explicit_weights(attention, tuple(latents)).to(self.device).expand(count, -1)
        if failed is None:
            return weights
        kept = weights.masked_fill(failed, 0.0)
        return kept / kept.sum(1, keepdim=True).clamp(min=1e-12)

    def attention_called(self, name: str) -> Attention:
        """The attention module of that name; ValueError naming the known ones if there is none."""
        known = self.best if name == "best" else name
        if known is None or known not in self.attentions:
            names = ", ".join(["best", *self.attentions]) if self.attentions else "none"
            raise ValueError(f"unknown attention {name!r}: this workspace has {names}")
        return self.attentions[known]  # type: ignore[return-value]

    def _without_failed(
        self, observation: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, NDArray[np.bool_]]]:
        """The observation with zeros where a reading holds NaN or infinite values, and () or (B,) where that was so."""
        cleaned, lost = dict(observation), {}
        for name in known_modalities(self, observation):
            array = np.asarray(observation[name])
            axes = len(self.domain_modules[name].shape)
            if array.dtype.kind != "f" or array.ndim < axes:
                continue
            bad = ~np.isfinite(array).all(tuple(range(array.ndim - axes, array.ndim)))
            if bad.any():
                cleaned[name] = np.where(
                    np.expand_dims(bad, tuple(range(-axes, 0))), np.float32(0), array
                )
                lost[name] = bad
        return cleaned, lost

    def _read(self, observation: Mapping[str, Any]) -> tuple[dict[str, Tensor], bool]:
        """Checked tensors with a batch axis, in the workspace's order, and whether there was none."""
        if not isinstance(observation, Mapping) or not observation:
            raise ValueError(
                f"an observation is a dict with at least one of {', '.join(self.modalities)}"
            )
        arrays = {
            name: np.asarray(observation[name]) for name in known_modalities(self, observation)
        }
        domains = self.domain_modules
        singles = {array.ndim == len(domains[name].shape) for name, array in arrays.items()}
        counts = {len(array) for array in arrays.values() if array.ndim}
        if len(singles) > 1 or (singles == {False} and len(counts) > 1):
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise ValueError(f"the modalities disagree on the batch: {shapes}")
        single = singles == {True}
        batches = {name: array[None] if single else array for name, array in arrays.items()}
        return {
            name: domains[name].check(rows, name).to(self.device) for name, rows in batches.items()
        }, single


def explicit_weights(weights: Mapping[str, float], modalities: tuple[str, ...]) -> Tensor:
    """{modality: weight} -> (D,) in the order of `modalities`; ValueError unless they cover them and sum to 1."""
    if set(weights) != set(modalities):
        given, held = sorted(weights), sorted(modalities)
        raise ValueError(
            f"weights were given for {given}, the observation holds {held}: give 0 to what should not count, or leave"
            " it out of the observation"
        )
    values = torch.tensor([float(weights[name]) for name in modalities])
    if not (values >= 0).all() or abs(float(values.sum()) - 1.0) > 1e-4:
        raise ValueError(
            f"attention weights must be non-negative and sum to 1, not {dict(weights)}"
        )
    return values


def usable_modalities(
    space: gym.Space, gw: GlobalWorkspace, modalities: Sequence[str] | None
) -> tuple[str, ...]:
    """The modalities to encode from an observation space; ValueError saying which keys it misses."""
    keys = tuple(space.spaces) if isinstance(space, gym.spaces.Dict) else ()
    asked = tuple(name for name in gw.modalities if name in keys)
    if modalities is not None:
        asked = known_modalities(gw, modalities)
    missing = [name for name in asked or gw.modalities if name not in keys]
    if missing:
        held = (
            f"the keys {', '.join(keys)}"
            if keys
            else f"no keys at all, being a {type(space).__name__}"
        )
        raise ValueError(
            f"the environment's observation misses {', '.join(missing)}: it has {held}"
        )
    return asked


def known_modalities(gw: GlobalWorkspace, modalities: Iterable[str]) -> tuple[str, ...]:
    """The modalities in the workspace's order; ValueError if there are none or if the workspace lacks one."""
    asked = (
        [modalities]
        if isinstance(modalities, str) or not isinstance(modalities, Iterable)
        else modalities
    )
    unknown = [name for name in asked if name not in gw.modalities]
    if unknown:
        known = ", ".join(gw.modalities)
        raise ValueError(
            f"unknown modality {unknown[0]!r}, this workspace has no {unknown[0]}: it knows {known}"
        )
    return check_modalities(modalities, gw.modalities)
