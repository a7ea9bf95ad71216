"""The inputs of policies: workspace vectors, frozen unimodal latents, or the observation itself."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from torch import nn

from gw_agents.acting.extractors import GWFeaturesExtractor, RawExtractor
from gw_agents.acting.spaces import (
    check_attention,
    check_scene,
    load_workspace,
    readable_modalities,
    scene_of_env,
)
from gw_agents.checkpoint import modules_fingerprint
from gw_agents.global_workspace import AttentionChoice, GlobalWorkspace, known_modalities
from gw_envs.errors import InputError

Shares = dict[str, NDArray[np.float32]]
"""Numbers from 0 to 1 by modality: () for one observation, (B,) for a batch."""


class Representation(ABC):
    """A frozen function from an observation, or a batch, to the policy's input.

    It reads some of the modalities. Every subclass is made by `kind(gw, modalities, attention,
    trained_on)`:

        gw: the workspace; None if `uses_workspace` is false.
        modalities: those to read, in training or later.
        attention: the name of the attention module that fuses them, if `fuses`.
        trained_on: the space of the modalities that the policy is trained on.

    The constructor raises InputError if a policy trained on `trained_on` can't read `modalities`.
    """

    name: ClassVar[str]
    """Name of this kind in agent files and for `--encoder`."""
    uses_workspace: ClassVar[bool] = True
    """Whether it needs the weights of a workspace."""
    fuses: ClassVar[bool] = False
    """Whether it fuses several modalities, so that `attention` has a meaning."""

    modalities: tuple[str, ...]
    """Modalities that it reads, in canonical order."""
    keep: tuple[str, ...] = ()
    """Other keys of the observation to pass on unchanged."""
    space: gym.Space
    """Gymnasium space of the policy's input."""

    @abstractmethod
    def __call__(self, observation: Mapping[str, Any]) -> Any:
        """Compute the policy's input; `observation` may hold further modalities."""

    def with_shares(self, observation: Mapping[str, Any]) -> tuple[Any, Shares]:
        """Compute the policy's input, and the share of each modality in it; {} if nothing is
        fused."""
        return self(observation), {}

    def extractor(self) -> dict[str, Any]:
        """Return the `policy_kwargs` of a policy that computes its own features; {} if it reads
        vectors."""
        return {}

    def modules(self) -> dict[str, nn.Module]:
        """Return the frozen networks inside, by name."""
        return {}

    def fingerprint(self) -> str | None:
        """Return sixteen hexadecimal digits that change with any weight it depends on; None if it
        has no weights."""
        modules = self.modules()
        return modules_fingerprint(modules) if modules else None

    def read(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """Pick the modalities to read from an observation; InputError naming one that is
        missing."""
        missing = [name for name in self.modalities if name not in observation]
        if missing:
            raise InputError(
                f"the observation has no {missing[0]}: it holds"
                f" {', '.join(observation) or 'nothing'}"
            )
        return {name: observation[name] for name in self.modalities}


class WorkspaceVectors(Representation):
    """Workspace vectors z: Box(-1, 1, (Z,)) for any modalities, so policies transfer between them.

    Where frames are stacked (as by `FrameStackObservation`), every frame is encoded: Box(-1, 1, (k,
    Z)). With `keep`, the result is a Dict of `z` and the kept keys.
    """

    name = "gw"
    fuses = True

    def __init__(
        self,
        gw: GlobalWorkspace,
        modalities: Sequence[str] | None = None,
        attention: AttentionChoice = None,
        trained_on: gym.spaces.Dict | None = None,
        *,
        space: gym.Space | None = None,
        keep: Sequence[str] = (),
    ) -> None:
        """Read `modalities` through the workspace.

        Args:
            gw: the workspace.
            modalities: those to encode; by default all in `space`, or all that the workspace knows.
            attention: how to fuse them, as for `GlobalWorkspace.encode`.
            trained_on: ignored, since every modality gives vectors of one width.
            space: the observation space, if known; it is checked now instead of at the first
                observation.
            keep: keys of the observation to pass on beside z.
        """
        self.gw, self.attention = gw, attention
        self.frames: int | None = None
        if space is None:
            asked = gw.modalities if modalities is None else modalities
            self.modalities = known_modalities(gw, asked)
        else:
            self.modalities, self.frames = readable_modalities(space, gw, modalities)
        check_attention(gw, attention, self.modalities)
        width = (gw.width,) if self.frames is None else (self.frames, gw.width)
        z = gym.spaces.Box(-1.0, 1.0, width, np.float32)
        self.keep = (keep,) if isinstance(keep, str) else tuple(keep)
        self.space = gym.spaces.Dict({"z": z, **self._kept(space)}) if self.keep else z

    def _kept(self, space: gym.Space | None) -> dict[str, gym.Space]:
        """Return the spaces of the keys to keep; InputError if there is no such key."""
        known = dict(space.spaces) if isinstance(space, gym.spaces.Dict) else {}
        strange = [name for name in self.keep if name not in known or name == "z"]
        if strange:
            raise InputError(
                f"{strange[0]!r} can't be kept beside z: the observation has"
                f" {', '.join(known) or 'no keys'}"
            )
        return {name: known[name] for name in self.keep}

    def __call__(self, observation: Mapping[str, Any]) -> Any:
        """Compute (Z,) or (B, Z) vectors; with `keep`, a dict of those and the kept keys."""
        return self._encode(observation)[0]

    def with_shares(self, observation: Mapping[str, Any]) -> tuple[Any, Shares]:
        """Compute the vectors, and the share of each modality in them, {modality: () or (B,)}."""
        vectors, weights = self._encode(observation)
        return vectors, self.gw.shares(weights)

    def _encode(self, observation: Mapping[str, Any]) -> tuple[Any, Shares]:
        """Compute the vectors, and the fusion weights {modality: () or (B,)}.

        A key `present` of the observation, {modality: () or (B,) booleans}, says which readings are
        present.
        """
        readings = self.read(observation)
        z: Any
        if self.frames is None:
            z, weights = self.gw.encode_with_weights(
                readings, self.attention, observation.get("present")
            )
        else:
            z, weights = self._encode_frames(readings)
        if self.keep:
            z = {"z": z, **{name: observation[name] for name in self.keep}}
        return z, weights

    def _encode_frames(self, readings: Mapping[str, Any]) -> tuple[NDArray[np.float32], Shares]:
        """Encode {modality: (k, ...) or (B, k, ...)} into (k, Z) or (B, k, Z), and the weights of
        every frame."""
        frames: dict[str, NDArray] = {}
        leading: tuple[int, ...] = ()
        for name, values in readings.items():
            array = np.asarray(values)
            leading = array.shape[: array.ndim - len(self.gw.domain_modules[name].shape)]
            frames[name] = array.reshape(-1, *array.shape[len(leading) :])
        z, weights = self.gw.encode_with_weights(frames, self.attention)
        shaped = {name: share.reshape(leading) for name, share in weights.items()}
        return z.reshape(*leading, -1), shaped

    def modules(self) -> dict[str, nn.Module]:
        """Return all domain modules, the workspace, and the attention module if one is used."""
        used: dict[str, nn.Module] = {**self.gw.domain_modules, "workspace": self.gw.workspace}
        if isinstance(self.attention, str):
            used["attention"] = self.gw.attention_called(self.attention)
        return used


class ConcatenatedLatents(Representation):
    """The latents of the modalities of training side by side; zeros, their mean, for those not
    read."""

    name = "concatenation"

    def __init__(
        self,
        gw: GlobalWorkspace,
        modalities: Sequence[str],
        attention: None = None,
        trained_on: gym.spaces.Dict | None = None,
    ) -> None:
        """Read some of the modalities of training."""
        self.gw = gw
        self.modalities = known_modalities(gw, modalities)
        self.slots = self._slots(trained_on)
        strange = [name for name in self.modalities if name not in self.slots]
        if strange:
            raise InputError(
                f"the policy reads latents of {', '.join(self.slots)}, and has no place for those"
                f" of {strange[0]}"
            )
        self.widths = {name: gw.domain_modules[name].latent_width for name in self.slots}
        self.space = gym.spaces.Box(-np.inf, np.inf, (sum(self.widths.values()),), np.float32)

    def _slots(self, trained_on: gym.spaces.Dict | None) -> tuple[str, ...]:
        """Return the modalities whose latents have a place in the vector."""
        return known_modalities(
            self.gw, tuple(trained_on.spaces) if trained_on else self.modalities
        )

    def __call__(self, observation: Mapping[str, Any]) -> NDArray[np.float32]:
        """Compute (L,) or (B, L), L being the sum of the latents' widths."""
        latents = self.gw.latents(self.read(observation))
        batch = next(iter(latents.values())).shape[:-1]
        zeros = {name: np.zeros((*batch, width), np.float32) for name, width in self.widths.items()}
        return np.concatenate([latents.get(name, zeros[name]) for name in self.slots], -1)

    def modules(self) -> dict[str, nn.Module]:
        """Return the domain modules of all slots."""
        return {name: self.gw.domain_modules[name] for name in self.slots}


class UnimodalLatent(ConcatenatedLatents):
    """The latent of whichever modality is read; `Agent.represent` checks that its width fits the
    policy."""

    name = "unimodal"

    def _slots(self, trained_on: gym.spaces.Dict | None) -> tuple[str, ...]:
        return self.modalities


class RawObservation(Representation):
    """The observation itself, for a policy that learns end to end."""

    name = "raw"
    uses_workspace = False

    def __init__(
        self,
        gw: GlobalWorkspace | None,
        modalities: Sequence[str],
        attention: str | None,
        trained_on: gym.spaces.Dict,
    ) -> None:
        """Read the modalities of training, and no others."""
        if set(modalities) != set(trained_on.spaces):
            raise InputError(
                f"the encoder {self.name} was trained on {', '.join(trained_on.spaces)}: its"
                f" policy can't be given {', '.join(modalities)}"
            )
        self.gw, self.attention = gw, attention
        self.modalities = tuple(trained_on.spaces)
        self.space = trained_on

    def __call__(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """Return {modality: array}."""
        return self.read(observation)

    def extractor(self) -> dict[str, Any]:
        """Return the settings of a policy with a small network for each modality."""
        return {"features_extractor_class": RawExtractor}


class TunedWorkspace(RawObservation):
    """The observation itself, for a policy that trains the encoders of its own copy of the
    workspace."""

    name = "gw_tuned"
    uses_workspace = True
    fuses = True

    def extractor(self) -> dict[str, Any]:
        """Return the settings of a policy with the workspace inside."""
        arguments = {"gw": self.gw, "modalities": self.modalities, "attention": self.attention}
        return {
            "features_extractor_class": GWFeaturesExtractor,
            "features_extractor_kwargs": arguments,
        }


POLICY_INPUTS: dict[str, Any] = {
    kind.name: kind
    for kind in (
        WorkspaceVectors,
        UnimodalLatent,
        ConcatenatedLatents,
        RawObservation,
        TunedWorkspace,
    )
}
"""Every kind of `Representation` by its name."""


class GWObservation(gym.ObservationWrapper, gym.utils.RecordConstructorArgs):
    """Replaces the observation by workspace vectors: Box(-1, 1, (Z,)), float32.

    Around `FrameStackObservation` it shows (k, Z), a vector for each frame; with `keep`, a Dict of
    `z` and the kept keys.
    """

    def __init__(
        self,
        env: gym.Env,
        gw: GlobalWorkspace | str | Path,
        modalities: Sequence[str] | None = None,
        attention: AttentionChoice = None,
        keep: Sequence[str] = (),
    ) -> None:
        """Wrap an environment with Dict observations.

        Args:
            env: the environment.
            gw: the workspace, or the name of a scene or a folder of weights to load it from.
            modalities: those to encode; all that are observed by default.
            attention: as in `GlobalWorkspace.encode`.
            keep: other keys of the observation to pass on beside z, for example ("time",).
        """
        gym.utils.RecordConstructorArgs.__init__(
            self, gw=gw, modalities=modalities, attention=attention, keep=keep
        )
        gym.ObservationWrapper.__init__(self, env)
        self.gw = load_workspace(gw)
        check_scene(self.gw, scene_of_env(env))
        self.representation = WorkspaceVectors(
            self.gw, modalities, attention, space=env.observation_space, keep=keep
        )
        self.observation_space = self.representation.space

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that are encoded."""
        return self.representation.modalities

    def observation(self, observation: Mapping[str, Any]) -> Any:
        """Encode one observation into (Z,) float32."""
        return self.representation(observation)
