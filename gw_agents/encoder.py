"""The public object: observations in, workspace vectors out, and observations of one modality out of another's.

gw = GlobalWorkspace.from_pretrained("factory")
z = gw.encode(observation)
picture = gw.translate(observation, source="language", target="image")
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gw_agents.checkpoint import CheckpointError, load_into, read_config, read_tensors
from gw_agents.domains.base import Domain
from gw_agents.domains.recipes import DOMAINS
from gw_agents.fitting import resolve_device
from gw_agents.workspace.attention import Attention, AttentionConfig
from gw_agents.workspace.model import Codes, GWConfig, Workspace
from gw_envs.assets import asset_path
from gw_envs.language import VOCABULARY
from gw_envs.observation import MODALITIES, SCENES, check_modalities, get_scene

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
            scene: the scene they were trained on.
            domains: the domain module of each modality of the workspace.
            workspace: encoders and decoders.
            attentions: attention modules by name.
            best: the one of them that `attention="best"` means.
        """
        super().__init__()
        for name in workspace.modalities:
            if name not in domains:
                raise ValueError(f"the workspace reads {name}, and no domain module of that modality was given")
            wide, wanted = domains[name].latent_width, workspace.config.latents[name]
            if wide != wanted:
                raise ValueError(f"the {name} domain has a latent of {wide} numbers, the workspace reads {wanted}")
        self.scene = get_scene(scene)
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
    def from_pretrained(cls, name: str | Path, device: str = "auto", attention: bool = True) -> "GlobalWorkspace":
        """Load shipped weights by the scene's name, or those in a folder.

        Args:
            name: a scene, or a folder that `gw_agents.training` wrote.
            device: auto, cpu or cuda.
            attention: whether to load the attention modules too, where there are any.

        Raises:
            ValueError: no such scene and no such folder.
            CheckpointError: a file is missing, truncated, of another scene or of another schema version.
        """
        folder = asset_path(f"weights/{name}") if str(name) in SCENES else Path(name)
        if not folder.is_dir():
            raise ValueError(
                f"no weights called {str(name)!r}: give one of {', '.join(SCENES)}, or a folder of weights"
            )
        config = read_config(folder, "workspace", "workspace")
        scene = get_scene(config["scene"]).name
        if str(name) in SCENES and scene != str(name):
            raise CheckpointError(f"{folder}/workspace.json was trained for the scene {scene!r}, not for {str(name)!r}")
        workspace = Workspace(GWConfig(**config["arguments"]))
        load_into(workspace, read_tensors(folder, "workspace", config), f"{folder}/workspace.safetensors")
        domains = {modality: load_domain(folder, modality, scene) for modality in workspace.modalities}
        for modality, (_, sha256) in domains.items():
            if config["domains"][modality] != sha256:
                raise CheckpointError(
                    f"the workspace in {folder} was trained on another {modality} domain: train it anew"
                )
        attentions, best = load_attentions(folder, scene, config["sha256"]) if attention else ({}, None)
        modules = {modality: domain for modality, (domain, _) in domains.items()}
        return cls(scene, modules, workspace, attentions, best).to(resolve_device(device))

    # Observations in.

    @torch.inference_mode()
    def encode(
        self, observation: Mapping[str, Any], attention: AttentionChoice = None, return_weights: bool = False
    ) -> Any:
        """The workspace vector of one observation or of a batch.

        Args:
            observation: {modality: array} as the environments give it, any subset of the modalities.
            attention: None for the even mean of the modalities present; the name of an attention module ("one_step",
                "two_step", "best", ...); or explicit weights, {modality: weight} for those present, summing to 1.
            return_weights: whether to return the fusion weights too.

        Returns:
            (Z,) or (B, Z) float32 in (-1, 1); with `return_weights` a pair of that and {modality: () or (B,) weights}.
        """
        tensors, single = self._read(observation)
        latents = self.encode_domains(tensors)
        z, weights = self.fuse_latents(latents, attention)
        found = z.cpu().numpy()
        if not return_weights:
            return found[0] if single else found
        table = weights.cpu().numpy()
        shares = {name: table[0, i] if single else table[:, i] for i, name in enumerate(latents)}
        return (found[0] if single else found), shares

    @torch.inference_mode()
    def translate(self, observation: Mapping[str, Any], source: str | Sequence[str], target: str) -> NDArray:
        """What the workspace makes of one or several modalities, in another one's own space.

        Args:
            observation: {modality: array}, one observation or a batch; must hold `source`.
            source: the modality or modalities to encode.
            target: the modality to decode; may be among the sources.

        Returns:
            (S, S, 3) uint8 image, (A,) float32 attributes or (MAX_TOKENS,) int64 token ids; a batch has B of them.
        """
        sources = check_modalities(source)
        (wanted,) = check_modalities(target)
        for name in (*sources, wanted):
            if name not in self.modalities:
                raise ValueError(f"this workspace has no {name}: it knows {', '.join(self.modalities)}")
        missing = [name for name in sources if name not in observation]
        if missing:
            raise ValueError(
                f"the observation has no {missing[0]!r} to translate from: it holds {', '.join(observation)}"
            )
        tensors, single = self._read({name: observation[name] for name in sources})
        decoded = self.domain_modules[wanted].decode(self.workspace.translate(self.encode_domains(tensors), wanted))
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
        return {name: cast(Domain, self.domains[name]).encode(tensor) for name, tensor in tensors.items()}

    def fuse_latents(self, latents: Mapping[str, Tensor], attention: AttentionChoice = None) -> tuple[Tensor, Tensor]:
        """{modality: (B, L_d)} -> (B, Z) workspace vectors and (B, D) fusion weights in the order of `latents`."""
        codes = self.workspace.encode(latents)
        weights = self._weights(latents, codes, attention)
        return self.workspace.fuse(codes, weights), weights

    def _weights(self, latents: Mapping[str, Tensor], codes: Codes, attention: AttentionChoice) -> Tensor:
        count = len(next(iter(latents.values())))
        if attention is None:
            return torch.full((count, len(latents)), 1.0 / len(latents), device=self.device)
        if isinstance(attention, str):
            return self.attention_called(attention)(latents, codes, self.workspace)
        return explicit_weights(attention, tuple(latents)).to(self.device).expand(count, -1)

    def attention_called(self, name: str) -> Attention:
        """The attention module of that name; ValueError naming the known ones if there is none."""
        known = self.best if name == "best" else name
        if known is None or known not in self.attentions:
            names = ", ".join(["best", *self.attentions]) if self.attentions else "none"
            raise ValueError(f"unknown attention {name!r}: this workspace has {names}")
        return self.attentions[known]  # type: ignore[return-value]

    def _read(self, observation: Mapping[str, Any]) -> tuple[dict[str, Tensor], bool]:
        """Checked tensors with a batch axis, in canonical order, and whether there was none."""
        if not isinstance(observation, Mapping) or not observation:
            raise ValueError(f"an observation is a dict with at least one of {', '.join(self.modalities)}")
        unknown = [name for name in observation if name not in self.modalities]
        if unknown:
            raise ValueError(f"unknown modality {unknown[0]!r}: this workspace knows {', '.join(self.modalities)}")
        arrays = {name: np.asarray(observation[name]) for name in MODALITIES if name in observation}
        singles = {array.ndim == self._shape(name)[0] for name, array in arrays.items()}
        counts = {len(array) for array in arrays.values() if array.ndim}
        if len(singles) > 1 or (singles == {False} and len(counts) > 1):
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise ValueError(f"the modalities disagree on the batch: {shapes}")
        single = singles == {True}
        return {name: self._tensor(name, array[None] if single else array) for name, array in arrays.items()}, single

    def _shape(self, modality: str) -> tuple[int, tuple[int, ...]]:
        """Axes and shape of one observation of the modality."""
        shape = {
            "image": (getattr(self.domains["image"], "size", 0),) * 2 + (3,) if modality == "image" else (),
            "attributes": (self.scene.attribute_width,),
            "language": (-1,),
        }[modality]
        return len(shape), shape

    def _tensor(self, modality: str, array: NDArray) -> Tensor:
        """A batch of one modality as a tensor on the device; ValueError if shape, dtype or values are unfit."""
        kinds = {"image": ("uint8", "u"), "attributes": ("float32", "f"), "language": ("int64", "iu")}
        wanted, kind = kinds[modality]
        _, shape = self._shape(modality)
        fits = array.ndim == 1 + len(shape) and all(w in (-1, s) for w, s in zip(shape, array.shape[1:], strict=True))
        if not fits or array.dtype.kind not in kind or (modality == "image" and array.dtype != np.uint8):
            form = "(tokens,)" if modality == "language" else str(shape)
            raise ValueError(
                f"{modality} is {array.dtype} of shape {array.shape}: {self.scene.name} gives {wanted} of shape {form},"
                " or a batch of such"
            )
        if modality == "attributes" and not np.isfinite(array).all():
            raise ValueError("attributes hold NaN or infinite values: give finite numbers in [-1, 1]")
        if modality == "language" and array.size and (array.min() < 0 or array.max() >= len(VOCABULARY)):
            raise ValueError(f"language holds token ids outside 0..{len(VOCABULARY) - 1}, the vocabulary")
        return torch.from_numpy(np.ascontiguousarray(array, dtype=wanted)).to(self.device)


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
        raise ValueError(f"attention weights must be non-negative and sum to 1, not {dict(weights)}")
    return values


def load_domain(folder: Path, modality: str, scene: str) -> tuple[Domain, str]:
    """A domain module, frozen, and the hash of its weights; raises CheckpointError."""
    config = read_config(folder, modality, "domain", scene)
    if modality == "language" and config.get("vocabulary") != VOCABULARY.fingerprint:
        raise CheckpointError(f"{folder}/{modality}.json was trained on another vocabulary: train it anew")
    domain = DOMAINS[modality](**config["arguments"])
    load_into(domain, read_tensors(folder, modality, config), f"{folder}/{modality}.safetensors")
    return domain.freeze(), config["sha256"]


def load_attentions(folder: Path, scene: str, workspace: str) -> tuple[dict[str, Attention], str | None]:
    """The attention modules of a folder by name, and which is best; none if there is no such file."""
    if not (folder / "attention.json").exists():
        return {}, None
    config = read_config(folder, "attention", "attention", scene)
    if config["workspace"] != workspace:
        raise CheckpointError(f"the attention in {folder} was trained on another workspace: train it anew")
    tensors = read_tensors(folder, "attention", config)
    attentions = {}
    for name, arguments in config["modules"].items():
        attentions[name] = Attention(AttentionConfig(**arguments))
        own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        load_into(attentions[name], own, f"{folder}/attention.safetensors")
    return attentions, config["best"]


class GWObservation(gym.ObservationWrapper):
    """Shows an agent the workspace vector instead of the observation: Box(-1, 1, (Z,)), float32."""

    def __init__(
        self,
        env: gym.Env,
        gw: GlobalWorkspace,
        modalities: Sequence[str] | None = None,
        attention: AttentionChoice = None,
    ) -> None:
        """Wrap an environment; `modalities` are those to encode (all that are observed), `attention` as in `encode`."""
        super().__init__(env)
        self.gw, self.attention = gw, attention
        self.modalities = usable_modalities(env.observation_space, gw, modalities)
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (gw.width,), np.float32)

    def observation(self, observation: Mapping[str, Any]) -> NDArray[np.float32]:
        """One observation -> (Z,) float32."""
        return self.gw.encode({name: observation[name] for name in self.modalities}, self.attention)


def usable_modalities(space: gym.Space, gw: GlobalWorkspace, modalities: Sequence[str] | None) -> tuple[str, ...]:
    """The modalities to encode from an observation space; ValueError saying which keys it misses."""
    keys = tuple(space.spaces) if isinstance(space, gym.spaces.Dict) else ()
    asked = (
        tuple(name for name in gw.modalities if name in keys) if modalities is None else check_modalities(modalities)
    )
    missing = [name for name in asked or gw.modalities if name not in keys]
    if missing:
        held = f"the keys {', '.join(keys)}" if keys else f"no keys at all, being a {type(space).__name__}"
        raise ValueError(f"the environment's observation misses {', '.join(missing)}: it has {held}")
    return known_modalities(gw, asked)


def known_modalities(gw: GlobalWorkspace, modalities: Sequence[str]) -> tuple[str, ...]:
    """The modalities in canonical order; ValueError if there are none or if the workspace lacks one."""
    asked = check_modalities(modalities)
    unknown = [name for name in asked if name not in gw.modalities]
    if unknown:
        raise ValueError(f"this workspace has no {unknown[0]}: it knows {', '.join(gw.modalities)}")
    return asked
