"""The description of an agent without its weights: environment, policy input and algorithm, by
name."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Annotated, Any, Literal

import gymnasium as gym
import tyro

from gw_agents.acting.algorithms import ALGORITHMS
from gw_agents.acting.policy_inputs import POLICY_INPUTS
from gw_envs.errors import InputError, check_choice, describe
from gw_envs.observation import check_modalities
from gw_envs.scenes import ENV_IDS, Scene, find_scene

POLICY_SETTINGS = ("net_arch", "ortho_init", "log_std_init", "n_critics", "lstm_hidden_size")
"""Settings of a policy's shape that an agent's file may hold."""

PolicyInput = Literal["gw", "unimodal", "concatenation", "raw", "gw_tuned"]
AlgorithmName = Literal["ppo", "sac", "a2c", "dqn", "td3", "recurrent_ppo"]
Actions = Literal["discrete", "continuous"]


def _policy_shape(net_arch: tuple[int, ...] | None = None) -> Mapping[str, Any]:
    """Shape of the policy.

    Args:
        net_arch: Widths of the policy's hidden layers; those of Stable-Baselines3 by default.
    """
    return {} if net_arch is None else {"net_arch": list(net_arch)}


@dataclass(frozen=True)
class AgentSpec:
    """The description of an agent: what it observes, what its policy reads, and what trains it."""

    env_id: Annotated[str, tyro.conf.arg(name="env")]
    """The environment: GWSimpleShapes-v0, GWFactory-v0, or MODULE:ID of your own one, whose
    observation must be a Dict."""
    modalities: tuple[str, ...]
    """Modalities that the agent observes: any of image, attributes, language, or keys of your own
    environment's observation."""
    policy_input: Annotated[PolicyInput, tyro.conf.arg(name="encoder")] = "gw"
    """The policy's input: workspace vectors (gw), the latent of one modality (unimodal), the
    latents of all modalities side by side (concatenation), the observation itself (raw), or
    workspace vectors from encoders that are trained with the policy (gw_tuned)."""
    attention: str | None = None
    """The attention module that fuses the modalities (best, two_step, ...); equal weights by
    default."""
    algorithm: Annotated[AlgorithmName, tyro.conf.arg(name="algo")] = "ppo"
    """Algorithm of Stable-Baselines3, or of sb3-contrib for recurrent_ppo; sac and td3 need
    continuous actions, dqn discrete ones."""
    actions: Actions | None = None
    """Action mode; the algorithm's usual one by default."""
    layout: Literal["fixed", "random"] = "fixed"
    """Where the Factory's landmarks stand."""
    weights: str | None = None
    """Folder of the workspace's weights; those shipped for the scene by default."""
    policy_kwargs: Annotated[
        Mapping[str, Any], tyro.conf.arg(name="", constructor=_policy_shape)
    ] = field(default_factory=dict)
    """Shape of the policy, as Stable-Baselines3's `policy_kwargs`; the keys are in
    `POLICY_SETTINGS`."""

    def __post_init__(self) -> None:
        """Normalize the fields and fill in defaults; InputError if they contradict each other."""
        object.__setattr__(self, "env_id", registered_id(self.env_id))
        modalities = self._check_modalities()
        object.__setattr__(self, "modalities", modalities)
        check_choice("encoder", self.policy_input, POLICY_INPUTS)
        check_choice("algorithm", self.algorithm, ALGORITHMS)
        for setting in self.policy_kwargs:
            check_choice("policy setting", setting, POLICY_SETTINGS)
        for name, value in (("weights", self.weights), ("attention", self.attention)):
            if not isinstance(value, str | None):
                raise InputError(f"{name} is {describe(value)}: give a name")
        possible = ALGORITHMS[self.algorithm].actions
        object.__setattr__(self, "actions", self.actions or possible[0])
        if self.actions not in possible:
            raise InputError(
                f"{self.algorithm} has no {self.actions} actions: choose {' or '.join(possible)}"
            )
        if self.attention is not None and not POLICY_INPUTS[self.policy_input].fuses:
            raise InputError(
                f"the encoder {self.policy_input} fuses nothing: attention is for the encoder gw"
            )
        if self.policy_input == "unimodal" and len(modalities) != 1:
            raise InputError(f"the encoder unimodal reads one modality, not {len(modalities)}")
        check_choice("layout", self.layout, ("fixed", "random") if self.known_scene else ("fixed",))

    def _check_modalities(self) -> tuple[str, ...]:
        if self.known_scene is not None or not isinstance(self.modalities, Iterable):
            return check_modalities(self.modalities)
        keys = (self.modalities,) if isinstance(self.modalities, str) else tuple(self.modalities)
        return check_modalities(keys, keys)

    @property
    def known_scene(self) -> Scene | None:
        """The built-in scene that the environment shows; None if it is not ours."""
        return find_scene(self.env_id)

    @property
    def scene(self) -> str:
        """The name of the built-in scene; the environment's id if it is not ours."""
        return self.known_scene.name if self.known_scene else self.env_id

    @property
    def uses_workspace(self) -> bool:
        """Whether the agent needs the weights of a workspace."""
        return POLICY_INPUTS[self.policy_input].uses_workspace

    @property
    def label(self) -> str:
        """One readable line: environment, algorithm, policy input, modalities and attention."""
        senses = " + ".join(self.modalities)
        fused = f" fused by {self.attention}" if self.attention else ""
        return f"{self.env_id}: {self.algorithm} on {self.policy_input} of {senses}{fused}"

    def as_json(self) -> dict[str, Any]:
        """Return the fields under the names that agent files use."""
        stored = {FILE_KEYS.get(name, name): value for name, value in asdict(self).items()}
        return stored | {"modalities": list(self.modalities)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "AgentSpec":
        """Make a spec from the output of `as_json`; TypeError or InputError if it is not valid."""
        names = {key: name for name, key in FILE_KEYS.items()}
        if ":" in str(stored.get("env_id")):
            raise InputError("env_id names a module, and a file must not import modules")
        return cls(**{names.get(key, key): value for key, value in stored.items()})


FILE_KEYS = {"policy_input": "encoder"}
"""Fields of `AgentSpec` that agent files hold under another name."""


def registered_id(env_id: str) -> str:
    """Return the registered id of an environment; for "MODULE:ID", import the module first.

    The names of built-in scenes work too. Raises InputError if there is no such environment.
    """
    scene = find_scene(env_id)
    if scene is not None:
        return scene.env_id
    try:
        module, _, name = env_id.rpartition(":")
        if module:
            import_module(module)
        return str(gym.spec(name).id)
    except (gym.error.Error, ImportError, AttributeError, TypeError) as error:
        raise InputError(
            f"unknown environment {env_id!r} ({error}): choose one of {', '.join(ENV_IDS)}, or"
            " give MODULE:ID to import the module that registers your own"
        ) from error
