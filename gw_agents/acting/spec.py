"""What an agent is, apart from its weights: environment, encoder and algorithm, each a name in a small table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import gymnasium as gym

from gw_agents.acting.extractors import GWFeaturesExtractor, RawExtractor
from gw_agents.acting.policy_inputs import (
    FrozenLatents,
    RawObservation,
    Representation,
    WorkspaceVectors,
)
from gw_agents.global_workspace import GlobalWorkspace
from gw_envs.observation import check_modalities
from gw_envs.scenes import ENV_IDS, find_scene

POLICY_SETTINGS = ("net_arch", "ortho_init", "log_std_init", "n_critics", "lstm_hidden_size")
"""What an agent's file may say of the shape of its policy."""


@dataclass(frozen=True)
class AgentSpec:
    """All that must be known, beside the weights, to build an agent; JSON values only."""

    env_id: str
    """An id in `gw_envs.ENV_IDS`."""
    modalities: tuple[str, ...]
    """What the agent observes."""
    encoder: str = "gw"
    """A name in `ENCODERS`: what its policy is given of an observation."""
    attention: str | None = None
    """For the encoders gw: the name of an attention module; None for the even mean of what is observed."""
    algorithm: str = "ppo"
    """A name in `ALGORITHMS`: who trains the policy."""
    actions: str | None = None
    """discrete or continuous; what the algorithm is mostly used for by default."""
    layout: str = "fixed"
    """Where landmarks stand, as for the environment."""
    weights: str | None = None
    """Folder of the workspace's weights; those shipped for the scene by default."""
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Shape of the policy as Stable-Baselines3 names it, of `POLICY_SETTINGS`."""

    def __post_init__(self) -> None:
        """Fill in what follows from the rest; ValueError on what does not go together."""
        for what, name, known in (
            ("environment", self.env_id, ENV_IDS),
            ("encoder", self.encoder, ENCODERS),
            ("algorithm", self.algorithm, ALGORITHMS),
            *(("policy setting", setting, POLICY_SETTINGS) for setting in self.policy_kwargs),
        ):
            if name not in known:
                raise ValueError(f"unknown {what} {name!r}: choose one of {', '.join(known)}")
        if not isinstance(self.weights, str | None):
            raise ValueError(f"weights is {self.weights!r}: name a folder")
        possible = ALGORITHMS[self.algorithm].actions
        object.__setattr__(self, "modalities", check_modalities(self.modalities))
        object.__setattr__(self, "actions", self.actions or possible[0])
        if self.actions not in possible:
            raise ValueError(
                f"{self.algorithm} has no {self.actions} actions: choose {' or '.join(possible)}"
            )
        if self.attention is not None and not ENCODERS[self.encoder].fuses:
            raise ValueError(
                f"the encoder {self.encoder} fuses nothing: attention is for the encoder gw"
            )
        if self.encoder == "unimodal" and len(self.modalities) != 1:
            raise ValueError(f"the encoder unimodal reads one modality, not {len(self.modalities)}")

    @property
    def scene(self) -> str:
        """The scene of the environment."""
        return scene_of(self.env_id)


def scene_of(env_id: str) -> str:
    """The scene that an environment of ours shows."""
    scene = find_scene(env_id)
    if scene is None:
        raise ValueError(f"unknown environment {env_id!r}: choose one of {', '.join(ENV_IDS)}")
    return scene.name


class Encoder(NamedTuple):
    """One way in which a policy is given observations."""

    represent: Callable[[AgentSpec, Any, gym.spaces.Dict, tuple[str, ...]], Representation]
    """(spec, workspace, space of what was observed in training, modalities) -> what is computed before the policy."""
    extractor: Callable[[AgentSpec, Any], dict[str, Any]] | None = None
    """(spec, workspace) -> the settings of a policy that computes its features itself; None if it is given vectors."""
    reads_weights: bool = True
    """Whether there is a workspace."""
    fuses: bool = False
    """Whether fusion weights, and so attention, have a meaning."""


def _vectors(
    spec: AgentSpec, gw: GlobalWorkspace, space: gym.Space, modalities: tuple[str, ...]
) -> Representation:
    return WorkspaceVectors(gw, modalities, spec.attention)


def _latents(
    spec: AgentSpec,
    gw: GlobalWorkspace,
    space: gym.Space,
    modalities: tuple[str, ...],
    padded: bool,
) -> Representation:
    return FrozenLatents(gw, modalities, spec.modalities if padded else None)


def _raw(
    spec: AgentSpec, gw: GlobalWorkspace, space: gym.spaces.Dict, modalities: tuple[str, ...]
) -> Representation:
    if modalities != spec.modalities:
        raise ValueError(
            f"the encoder {spec.encoder} was trained on {', '.join(spec.modalities)}: its policy can't be given"
            f" {', '.join(modalities)}"
        )
    return RawObservation(space)


def _tuned(spec: AgentSpec, gw: GlobalWorkspace) -> dict[str, Any]:
    arguments = {"gw": gw, "modalities": spec.modalities, "attention": spec.attention}
    return {"features_extractor_class": GWFeaturesExtractor, "features_extractor_kwargs": arguments}


ENCODERS: dict[str, Encoder] = {
    "gw": Encoder(_vectors, fuses=True),
    "unimodal": Encoder(partial(_latents, padded=False)),
    "concatenation": Encoder(partial(_latents, padded=True)),
    "raw": Encoder(
        _raw, lambda spec, gw: {"features_extractor_class": RawExtractor}, reads_weights=False
    ),
    "gw_tuned": Encoder(_raw, _tuned, fuses=True),
}
"""Every encoder: workspace vectors; the latent of the one modality; the latents of all side by side; the observation
itself, learned end to end; and the workspace's encoders inside the policy, trained on with it."""


class Algorithm(NamedTuple):
    """One learning algorithm."""

    name: str
    """Its class."""
    actions: tuple[str, ...]
    """Action modes it can do, the usual one first."""
    settings: Mapping[str, Any]
    """Its hyperparameters here."""
    package: str = "stable_baselines3"
    """Where the class is."""
    policy: str = "Policy"
    """How the names of its policies end."""

    def load(self) -> Any:
        """The class; ValueError that says what to install if its package is missing."""
        try:
            return getattr(import_module(self.package), self.name)
        except ImportError as error:
            raise ValueError(
                f"{self.name} needs {self.package}: pip install sb3-contrib"
            ) from error


_REPLAY = {
    "buffer_size": 200_000,
    "learning_starts": 1_000,
    "batch_size": 256,
    "train_freq": 1,
    "gamma": 0.98,
}
_PPO = {"n_steps": 256, "batch_size": 512, "gamma": 0.98, "learning_rate": 7e-4}

ALGORITHMS: dict[str, Algorithm] = {
    "ppo": Algorithm("PPO", ("discrete", "continuous"), _PPO),
    "sac": Algorithm(
        "SAC",
        ("continuous",),
        {**_REPLAY, "learning_rate": 7e-4, "gradient_steps": 4, "ent_coef": "auto_0.05"},
    ),
    "a2c": Algorithm(
        "A2C", ("discrete", "continuous"), {"n_steps": 16, "gamma": 0.98, "learning_rate": 7e-4}
    ),
    "dqn": Algorithm("DQN", ("discrete",), {**_REPLAY, "learning_rate": 5e-4, "gradient_steps": 2}),
    "td3": Algorithm(
        "TD3", ("continuous",), {**_REPLAY, "learning_rate": 7e-4, "gradient_steps": 4}
    ),
    "recurrent_ppo": Algorithm(
        "RecurrentPPO", ("discrete", "continuous"), _PPO, "sb3_contrib", "LstmPolicy"
    ),
}
"""Every algorithm by name, with hyperparameters that learn the tasks here with 16 environments."""
