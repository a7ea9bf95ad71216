"""The agent: a Stable-Baselines3 policy, its memory, and the representation that feeds it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from gw_agents.acting.policy_inputs import POLICY_INPUTS, Representation
from gw_agents.acting.spec import AgentSpec
from gw_agents.checkpoint import save_checkpoint
from gw_agents.global_workspace import GlobalWorkspace
from gw_agents.run_file import DivergedError
from gw_envs.errors import InputError, describe
from gw_envs.observation import MODALITIES, check_modalities

AS_TRAINED = "as trained"
"""Value of `attention` in `Agent.represent` that keeps the attention of training."""


class PolicyMemory:
    """Chooses a policy's actions, and keeps a recurrent policy's state for each row."""

    def __init__(self, model: BaseAlgorithm) -> None:
        """Start with nothing remembered."""
        self.model = model
        self.state: tuple[NDArray, ...] | None = None

    def reset(self) -> None:
        """Forget every row."""
        self.state = None

    def predict(
        self,
        features: Any,
        episode_start: bool | NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> NDArray:
        """Choose an action for one policy input, or for each row of a batch.

        First forgets the rows where `episode_start` is true, or all rows if their number has
        changed.
        """
        rows = self._count(features)
        if self.state is not None and self.state[0].shape[1] != rows:
            self.reset()
        start = None if episode_start is None else np.broadcast_to(np.asarray(episode_start), rows)
        if start is not None and start.all():
            self.reset()
        actions, self.state = self.model.predict(features, self.state, start, deterministic)
        return actions

    def _count(self, features: Any) -> int:
        """Return the number of rows; 1 for a single policy input."""
        space = self.model.observation_space
        if isinstance(space, gym.spaces.Dict):
            name, space = next(iter(space.spaces.items()))
            features = features[name]
        return len(features) if np.ndim(features) > len(space.shape or ()) else 1


class Agent:
    """A policy with the representation that feeds it: observations in, actions out."""

    def __init__(
        self,
        spec: AgentSpec,
        model: BaseAlgorithm,
        gw: GlobalWorkspace | None,
        observed: gym.spaces.Dict,
    ) -> None:
        """Join the parts that `create_agent` made.

        Args:
            spec: the description of the agent.
            model: the algorithm of Stable-Baselines3 with its policy and its VecEnv.
            gw: the workspace, if the policy input uses one.
            observed: the observation space of the modalities of training.
        """
        self.spec, self.model, self.gw, self.observed = spec, model, gw, observed
        self.training: dict[str, Any] = {}
        """A record of the training (steps, seed, learning curve, ...) as JSON; agent files hold
        it."""
        self.representation = self.represent()
        self._memory = PolicyMemory(model)

    def __repr__(self) -> str:
        parameters = sum(parameter.numel() for parameter in self.model.policy.parameters())
        steps = self.training.get("steps")
        trained = f"trained for {steps:,} steps" if steps else "untrained"
        workspace = (
            f"workspace {self.gw.scene_name} (Z = {self.gw.width})" if self.gw else "no workspace"
        )
        return "\n".join(
            (
                f"Agent {self.spec.label}",
                f"  {self.spec.actions} actions, layout {self.spec.layout}, {trained}",
                f"  {workspace}, policy of {parameters:,} parameters",
            )
        )

    def represent(
        self, modalities: Sequence[str] | None = None, attention: str | None = AS_TRAINED
    ) -> Representation:
        """Return the representation that feeds the policy from other modalities or with another
        attention.

        Raises InputError if the policy can't read it.
        """
        spec = self.spec
        if attention != AS_TRAINED:
            spec = replace(spec, attention=attention)
        asked = spec.modalities
        if modalities is not None:
            asked = check_modalities(modalities, self._known_modalities())
        kind = POLICY_INPUTS[spec.policy_input]
        representation = kind(self.gw, asked, spec.attention, self.observed)
        space, wanted = representation.space, self.model.observation_space
        if isinstance(wanted, gym.spaces.Box) and space.shape != wanted.shape:
            raise InputError(
                f"the encoder {spec.policy_input} gives {space.shape} numbers from"
                f" {', '.join(asked)}, and the policy, trained on {', '.join(spec.modalities)},"
                f" reads {wanted.shape}"
            )
        return representation

    def act(
        self,
        observation: Mapping[str, Any],
        deterministic: bool = True,
        episode_start: bool | NDArray[np.bool_] | None = None,
    ) -> NDArray:
        """Choose the action for one observation, or one for each row of a batch.

        A recurrent policy remembers each row's observations until `reset`, or until `episode_start`
        says that an episode begins there.

        Args:
            observation: {modality: array} as the environment gives it. If it lacks a modality of
                training, an agent on the workspace encodes the modalities that it does hold:
                zero-shot transfer.
            deterministic: whether to take the most likely action, or to draw one.
            episode_start: whether this is the first observation of an episode, () or (B,).

        Raises:
            InputError: the policy can't read what the observation holds.
        """
        features = self._representation_of(observation)(observation)
        return self._memory.predict(features, episode_start, deterministic)

    def reset(self) -> None:
        """Begin new episodes in every row: a recurrent policy forgets what it has seen."""
        self._memory.reset()

    def _representation_of(self, observation: Mapping[str, Any]) -> Representation:
        """Return the representation of the modalities of training, or else of those that are
        there."""
        if not isinstance(observation, Mapping):
            raise InputError(f"the observation is {describe(observation)}: give a dict of arrays")
        if all(name in observation for name in self.representation.modalities):
            return self.representation
        known = self._known_modalities()
        present = [name for name in known if name in observation]
        if not present:
            held = ", ".join(map(str, observation)) or "nothing"
            raise InputError(f"the observation holds {held}: the agent reads {', '.join(known)}")
        return self.represent(present)

    def _known_modalities(self) -> tuple[str, ...]:
        """Return all modalities that an observation may hold."""
        if self.gw is not None:
            return self.gw.modalities
        return self.spec.modalities if self.spec.known_scene is None else MODALITIES

    def save(self, path: str | Path) -> None:
        """Write PATH.safetensors and PATH.json.

        Raises:
            DivergedError: the policy holds NaN or infinite numbers; nothing is written.
            OSError: writing failed, and whatever was there before is intact.
        """
        folder, name = split_path(path)
        check_finite(self.model.policy)
        first = aliases(self.model.policy)
        state = self.model.policy.state_dict()
        config = {
            "kind": "agent",
            "scene": self.spec.scene,
            "spec": self.spec.as_json(),
            "training": self.training,
            "workspace": self.representation.fingerprint(),
        }
        tensors = {key: state[key] for key in dict.fromkeys(first.values())}
        try:
            save_checkpoint(folder, name, tensors, config)
        except SafetensorError as error:  # such as a full disk
            raise OSError(f"the agent could not be written to {folder}/{name} ({error})") from error


def check_finite(policy: nn.Module) -> None:
    """Raise DivergedError if any weight of a policy is NaN or infinite."""
    for name, tensor in policy.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise DivergedError(
                f"training has diverged: the policy's {name} holds NaN or infinite numbers"
            )


def split_path(path: str | Path) -> tuple[Path, str]:
    """Split an agent's path, with or without one of its suffixes, into its folder and its name."""
    whole = Path(path)
    return whole.parent, whole.stem if whole.suffix in (".json", ".safetensors") else whole.name


def aliases(module: nn.Module) -> dict[str, str]:
    """Map each key of a module's state to the first key of the same tensor: shared networks have
    several."""
    first: dict[tuple[int, int], str] = {}
    return {
        key: first.setdefault((tensor.data_ptr(), tensor.numel()), key) if tensor.numel() else key
        for key, tensor in module.state_dict().items()
    }
