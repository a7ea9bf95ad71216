"""The public object: encodes observations into z, and translates one modality into another.

gw = GlobalWorkspace.from_pretrained("factory")
z = gw.encode(observation)
picture = gw.translate(observation, source="language", target="image")
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from gw_agents.devices import resolve_device
from gw_agents.domains.base import ROUNDING, Domain
from gw_agents.domains.reading import OnNan, Present, known_name, known_names, read_observation
from gw_agents.pretrained import load_pretrained
from gw_agents.workspace.attention import PRESETS, UNTRAINED, Attention, AttentionConfig
from gw_agents.workspace.model import Codes, Workspace
from gw_envs.errors import InputError, check_array, check_choice, check_number, describe

AttentionChoice = str | Mapping[str, float] | None
"""None for equal weights of what is present, a name, or explicit weights by modality that sum to
1."""


class Encoding(NamedTuple):
    """Workspace vectors and the fusion weights that made them."""

    z: NDArray[np.float32]
    """(Z,) or (B, Z), in (-1, 1)."""
    weights: dict[str, NDArray[np.float32]]
    """{modality: () or (B,)} weights, which sum to 1."""


class GlobalWorkspace(nn.Module):
    """Frozen domain modules, the workspace that joins them, and the attention modules trained on
    it."""

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
            best: the name of the one that `attention="best"` means.
        """
        super().__init__()
        widths = workspace.config.latent_widths
        for name, wanted in widths.items():
            if name not in domains:
                raise InputError(
                    f"the workspace reads {name}, and no domain module of that modality was given"
                )
            width = domains[name].latent_width
            if width != wanted:
                raise InputError(
                    f"the {name} domain has a latent of {width} numbers,"
                    f" the workspace reads {wanted}"
                )
        self.scene_name = scene
        self.domains = nn.ModuleDict({name: domains[name] for name in widths})
        self.workspace = workspace
        self.attentions = nn.ModuleDict(attentions or {})
        self.best = best
        self.eval().requires_grad_(False)

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str = "auto", attention: bool = True
    ) -> "GlobalWorkspace":
        """Load shipped weights by the scene's name or environment id, or the weights in a folder.

        Args:
            name: a scene ("factory", "GWFactory-v0"), or a folder that `gw_agents.pretrain` wrote.
            device: auto, cpu or cuda.
            attention: whether to load the attention modules too, where there are any.

        Raises:
            InputError: there is no such scene and no such folder, or no such device.
            CheckpointError: a file is missing, damaged, of another scene or of another schema
                version.
        """
        place = resolve_device(device)
        return cls(*load_pretrained(name, attention)).to(place)

    def __repr__(self) -> str:
        """Describe the workspace in three lines."""
        widths = self.workspace.config.latent_widths.items()
        latents = ", ".join(f"{name} (a latent of {width})" for name, width in widths)
        best = f"; best is {self.best}" if self.best else ""
        return (
            f"GlobalWorkspace of the scene {self.scene_name}, z of {self.width} numbers,"
            f" on {self.device}\n"
            f"  modalities: {latents}\n"
            f"  attention: {', '.join(self.attentions) or 'none'}{best}"
        )

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
        return self.workspace.config.z_width

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.workspace.log_scale.device

    # Observations in.

    def encode(
        self,
        observation: Mapping[str, Any],
        attention: AttentionChoice = None,
        present: Present | None = None,
        on_nan: OnNan = "refuse",
    ) -> NDArray[np.float32]:
        """Encode one observation or a batch into workspace vectors.

        Args:
            observation: {modality: array} as the environments give it, any subset of the
                modalities.
            attention: None to trust all modalities present alike; the name of an attention module
                ("one_step", "two_step", "best", ...); or explicit weights, {modality: weight} for
                those present, summing to 1.
            present: {modality: () or (B,) booleans}, false where there is no reading of a modality,
                whatever the observation holds in its place. Absent readings have weight 0.
            on_nan: whether to "refuse" a reading that holds NaN or infinite values, or to "ignore"
                it as that of a sensor that has failed, which has weight 0.

        Returns:
            (Z,) or (B, Z) float32 in (-1, 1). Where no modality with a weight is left, z is 0, with
            a warning.
        """
        return self.encode_with_weights(observation, attention, present, on_nan).z

    @torch.inference_mode()
    def encode_with_weights(
        self,
        observation: Mapping[str, Any],
        attention: AttentionChoice = None,
        present: Present | None = None,
        on_nan: OnNan = "refuse",
    ) -> Encoding:
        """Encode as `encode` does, and return the fusion weights too."""
        reading = read_observation(self.domain_modules, observation, present, on_nan)
        absent = None if reading.absent is None else torch.from_numpy(reading.absent)
        latents = self.encode_domains(reading.tensors)
        z, weights = self.fuse_latents(latents, attention, absent)
        if absent is not None:
            _warn_of_nothing(weights)
        table = weights.cpu().numpy()
        vectors = z.cpu().numpy()
        if reading.single:
            return Encoding(vectors[0], {name: table[0, i] for i, name in enumerate(latents)})
        return Encoding(vectors, {name: table[:, i] for i, name in enumerate(latents)})

    @torch.inference_mode()
    def shares(self, weights: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float32]]:
        """Compute how much of z each modality makes up: its weight times its learned precision.

        Args:
            weights: {modality: () or (B, ...)} fusion weights, as `encode_with_weights` returns
                them.

        Returns:
            {modality: () or (B, ...)} shares, averaged over the components of z; they sum to 1, or
            are 0 where all weights are. With even fusion they are the weights.
        """
        names = known_names(weights, self.modalities)
        columns = [check_array(f"the weight of {name}", weights[name], "fiu") for name in names]
        shape = columns[0].shape
        if any(column.shape != shape for column in columns):
            raise InputError("weights of different shapes: give equally many of each modality")
        table = np.stack([column.reshape(-1) for column in columns], 1)  # (B, D)
        if not (np.isfinite(table).all() and (table >= 0).all()):
            raise InputError("fusion weights must be finite and not negative")
        rows = torch.from_numpy(table.astype(np.float32)).to(self.device)
        shares = self.workspace.shares(names, rows).cpu().numpy()
        return {name: shares[:, column].reshape(shape) for column, name in enumerate(names)}

    @torch.inference_mode()
    def translate(
        self,
        observation: Mapping[str, Any],
        source: str | Sequence[str],
        target: str,
        attention: AttentionChoice = None,
        present: Present | None = None,
        on_nan: OnNan = "refuse",
    ) -> NDArray:
        """Translate one or several modalities into another one, by way of their fused z.

        Args:
            observation: {modality: array}, one observation or a batch; must hold `source`.
            source: the modality or modalities to encode.
            target: the modality to decode; may be among the sources.
            attention: as for `encode`.
            present: as for `encode`.
            on_nan: as for `encode`.

        Returns:
            What the target's domain module decodes: of ours, (S, S, 3) uint8 image, (A,) float32
            attributes or (MAX_TOKENS,) int64 token ids; a batch has B of them.
        """
        sources = known_names(source, self.modalities)
        known_name(target, self.modalities)
        if not isinstance(observation, Mapping):
            raise InputError(f"an observation is a dict with {', '.join(sources)}")
        missing = [name for name in sources if name not in observation]
        if missing:
            held = ", ".join(map(str, observation))
            raise InputError(
                f"the observation has no {missing[0]!r} to translate from: it holds {held}"
            )
        rows = {name: observation[name] for name in sources}
        if present is None and "present" not in self.modalities:
            present = observation.get("present")
        reading = read_observation(self.domain_modules, rows, present, on_nan)
        absent = None if reading.absent is None else torch.from_numpy(reading.absent)
        z, weights = self.fuse_latents(self.encode_domains(reading.tensors), attention, absent)
        if absent is not None:
            _warn_of_nothing(weights)
        decoded = self._decode(z, target)
        return decoded[0] if reading.single else decoded

    @torch.inference_mode()
    def decode(self, z: ArrayLike, target: str) -> NDArray:
        """Decode workspace vectors, (Z,) or (B, Z), into observations of the modality `target`.

        Returns an array in that modality's own space, one for each vector; raises InputError if `z`
        is no such array.
        """
        name = known_name(target, self.modalities)
        vectors = check_array("z", z, "f")
        if vectors.ndim not in (1, 2) or vectors.shape[-1] != self.width:
            raise InputError(f"z is {describe(vectors)}: give ({self.width},) or (B, {self.width})")
        if not (np.abs(vectors) <= 1.0 + ROUNDING).all():
            raise InputError("z holds numbers outside [-1, 1]: give workspace vectors")
        rows = torch.from_numpy(np.atleast_2d(vectors).astype(np.float32)).to(self.device)
        decoded = self._decode(rows, name)
        return decoded[0] if vectors.ndim == 1 else decoded

    def _decode(self, z: Tensor, target: str) -> NDArray:
        """Decode (B, Z) workspace vectors into (B, ...) observations of `target`."""
        latents = self.workspace.broadcast(z, [target])[target]
        return self.domain_modules[target].decode(latents).cpu().numpy()

    @torch.inference_mode()
    def latents(
        self,
        observation: Mapping[str, Any],
        present: Present | None = None,
        on_nan: OnNan = "refuse",
    ) -> dict[str, NDArray[np.float32]]:
        """Encode into unimodal latents: {modality: (L_d,) or (B, L_d)}, standardized; 0 where a
        reading is absent."""
        reading = read_observation(self.domain_modules, observation, present, on_nan)
        latents = {}
        for column, (name, rows) in enumerate(self.encode_domains(reading.tensors).items()):
            array = rows.cpu().numpy()
            if reading.absent is not None:
                array = np.where(reading.absent[:, column, None], np.float32(0), array)
            latents[name] = array[0] if reading.single else array
        return latents

    @torch.inference_mode()
    def add_attention(self, name: str, observations: Mapping[str, Any]) -> None:
        """Add a rule that needs no training to `attentions`, for `encode(..., attention=name)`.

        Args:
            name: "demi_cycle" or "agreement" (see `gw_agents.workspace.attention`).
            observations: a batch of clean observations of every modality, at least two rows and
                better hundreds, in which the rule looks up which errors are usual.
        """
        check_choice("untrained attention", name, UNTRAINED)
        reading = read_observation(self.domain_modules, observations)
        rows = min(len(tensor) for tensor in reading.tensors.values())
        if len(reading.tensors) < len(self.modalities) or rows < 2 or reading.absent is not None:
            raise InputError(
                f"{name} is calibrated on batches of {', '.join(self.modalities)}:"
                " give two rows or more of each"
            )
        config = AttentionConfig(self.workspace.config.latent_widths, self.width, **PRESETS[name])
        attention = Attention(config).to(self.device)
        attention.calibrate(self.encode_domains(reading.tensors), self.workspace)
        self.attentions[name] = attention.eval().requires_grad_(False)

    # Tensors in, for training and benchmarks.

    def encode_domains(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Encode {modality: (B, ...)} observations into {modality: (B, L_d)} standardized unimodal
        latents."""
        device, domains = self.device, self.domain_modules
        return {name: domains[name].encode(rows.to(device)) for name, rows in tensors.items()}

    def fuse_latents(
        self,
        latents: Mapping[str, Tensor],
        attention: AttentionChoice = None,
        absent: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Fuse {modality: (B, L_d)} into (B, Z) workspace vectors; also returns the (B, D) fusion
        weights.

        `absent` (B, D) is true where a modality is missing or has failed: its weight is 0.
        """
        workspace = self.workspace
        codes = workspace.encode(latents)
        if absent is not None:
            absent = absent.to(self.device)
        weights = self._weights(latents, codes, attention, absent)
        return workspace.fuse(codes, weights), weights

    def _weights(
        self,
        latents: Mapping[str, Tensor],
        codes: Codes,
        attention: AttentionChoice,
        absent: Tensor | None,
    ) -> Tensor:
        """Compute the (B, D) fusion weights that `attention` chooses."""
        if isinstance(attention, str):
            module = self.attention_called(attention)
            strange = [name for name in latents if name not in module.config.latent_widths]
            if strange:
                raise InputError(f"the attention {attention!r} knows no {strange[0]}: leave it out")
            return module(latents, codes, self.workspace, absent)
        first = next(iter(codes.values()))
        if attention is None:
            weights = first.new_full((len(first), len(codes)), 1.0 / len(codes))
        else:
            own = explicit_weights(attention, tuple(codes))
            weights = first.new_tensor(own).expand(len(first), -1)
        if absent is None:
            return weights
        left = weights.masked_fill(absent, 0.0)
        return left / left.sum(1, keepdim=True).clamp(min=1e-12)

    def attention_called(self, name: str) -> Attention:
        """Return the attention module of that name; InputError naming the known ones if there is
        none."""
        known = self.best if name == "best" else name
        if known is None or known not in self.attentions:
            names = ", ".join((["best"] if self.best else []) + [*self.attentions]) or "none"
            raise InputError(
                f"unknown attention {name!r}: this workspace has {names}; add_attention adds"
                f" {' or '.join(UNTRAINED)}, which need no training"
            )
        return cast(Attention, self.attentions[known])


def _warn_of_nothing(weights: Tensor) -> None:
    """Warn of rows whose (B, D) fusion weights are all 0."""
    if not weights.any(1).all():
        warnings.warn(
            "every modality of an observation that has a weight is absent or has failed:"
            " its workspace vector is 0",
            stacklevel=4,
        )


def explicit_weights(weights: Mapping[str, float], modalities: tuple[str, ...]) -> list[float]:
    """Return {modality: weight} in the order of `modalities`; InputError unless they cover them and
    sum to 1."""
    if not isinstance(weights, Mapping):
        raise InputError(
            f"attention is {describe(weights)}: give a name, a dict of weights by modality, or None"
        )
    if set(weights) != set(modalities):
        given, held = sorted(map(str, weights)), sorted(modalities)
        raise InputError(
            f"weights were given for {given}, the observation holds {held}:"
            " give 0 to what should not count, or leave it out of the observation"
        )
    values = [check_number(f"the weight of {name}", weights[name]) for name in modalities]
    if min(values) < 0 or abs(sum(values) - 1.0) > 1e-4:
        raise InputError(
            f"attention weights must be non-negative and sum to 1, not {dict(weights)}"
        )
    return values


def usable_modalities(
    space: gym.Space, gw: GlobalWorkspace, modalities: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the modalities to encode from an observation space; InputError saying which keys it
    misses."""
    keys = tuple(space.spaces) if isinstance(space, gym.spaces.Dict) else ()
    asked = tuple(name for name in gw.modalities if name in keys)
    if modalities is not None:
        asked = known_modalities(gw, modalities)
    missing = [name for name in asked or gw.modalities if name not in keys]
    if missing:
        kind = type(space).__name__
        held = f"the keys {', '.join(keys)}" if keys else f"no keys at all, being a {kind}"
        raise InputError(
            f"the environment's observation misses {', '.join(missing)}: it has {held}"
        )
    return asked


def known_modalities(gw: GlobalWorkspace, modalities: Iterable[str]) -> tuple[str, ...]:
    """Return the modalities in the workspace's order; InputError if there are none, or unknown
    ones."""
    return known_names(modalities, gw.modalities)
