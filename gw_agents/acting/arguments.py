"""Command-line arguments that choose an agent and its observations."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from gw_agents.acting.agent import AS_TRAINED, Agent
from gw_agents.acting.faults import Fault, parse_faults
from gw_agents.acting.loading import import_zip, load_agent
from gw_agents.acting.policy_inputs import Representation
from gw_agents.acting.spec import Actions, AgentSpec, AlgorithmName, PolicyInput
from gw_envs.errors import InputError


@dataclass(frozen=True)
class AgentSource:
    """The agent to load, and the properties it must have."""

    agent: tyro.conf.Positional[Path]
    """The agent's file, with or without suffix; a shipped agent's name; or a zip file of
    Stable-Baselines3."""
    weights: str | None = None
    """Folder of the workspace's weights, if not the one that the agent's file names."""
    env_id: Annotated[str | None, tyro.conf.arg(name="env")] = None
    """The environment it must have been trained in; needed for a zip file, and, as MODULE:ID, for
    an environment of your own."""
    modalities: tuple[str, ...] | None = None
    """The modalities it must have been trained on; needed for a zip file."""
    policy_input: Annotated[PolicyInput | None, tyro.conf.arg(name="encoder")] = None
    """The policy input it must have; gw for a zip file by default."""
    algorithm: Annotated[AlgorithmName | None, tyro.conf.arg(name="algo")] = None
    """The algorithm it must have been trained by; ppo for a zip file by default."""
    actions: Actions | None = None
    """The action mode it must have."""
    layout: Literal["fixed", "random"] | None = None
    """The layout of the Factory it must have been trained on."""
    trust: bool = False
    """Load a zip file of Stable-Baselines3, even though it can run any code that its maker put
    there."""
    device: str = "cpu"
    """Where the policy and the workspace run: auto, cpu or cuda."""

    def load(self) -> Agent:
        """Load the agent."""
        described = self._described()
        if self.agent.suffix != ".zip":
            return load_agent(self.agent, weights=self.weights, device=self.device, **described)
        if self.env_id is None or self.modalities is None:
            raise InputError(
                "a zip file does not say what the agent observes: name --env and --modalities"
            )
        return import_zip(self.agent, AgentSpec(**described, weights=self.weights), self.trust)

    def _described(self) -> Mapping[str, Any]:
        """Return the flags that were given, by the agent's field names in `AgentSpec`."""
        names = {field.name for field in fields(AgentSpec)} - {"weights"}
        known = {name: getattr(self, name) for name in names if hasattr(self, name)}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True)
class Senses:
    """What the agent observes, how it fuses that, and which sensors fail."""

    test_modalities: tuple[str, ...] | None = None
    """Modalities that the agent observes; those of training by default, others test zero-shot
    transfer."""
    attention: str | None = None
    """Attention module that fuses the modalities, or "even" for equal weights; as in training by
    default."""
    corrupt: tuple[str, ...] = ()
    """Failing sensors: MODALITY=KIND, or MODALITY=KIND:SEVERITY with a severity from 0 to 1
    (image=blackout:0.5)."""

    def faults(self) -> tuple[Fault, ...]:
        """Return the failing sensors; InputError if one is misspelled."""
        return parse_faults(self.corrupt)

    def of(self, agent: Agent) -> Representation:
        """Return the representation that feeds the agent's policy; InputError if the policy can't
        read it."""
        choice = {None: AS_TRAINED, "even": None}.get(self.attention, self.attention)
        representation = agent.represent(self.test_modalities, choice)
        observed = representation.modalities
        unseen = [fault.modality for fault in self.faults() if fault.modality not in observed]
        if unseen:
            raise InputError(
                f"{unseen[0]} is corrupted, and the agent does not observe it: it observes"
                f" {', '.join(observed)}"
            )
        return representation


def name_senses(agent: Agent, modalities: tuple[str, ...]) -> str:
    """Name the modalities in readable form, and mark those that the agent was not trained on."""
    unseen = [name for name in modalities if name not in agent.spec.modalities]
    senses = " + ".join(modalities)
    if not unseen:
        return senses
    if len(unseen) == len(modalities):
        return f"{senses}, not seen in training"
    return f"{senses} ({', '.join(unseen)} not seen in training)"
