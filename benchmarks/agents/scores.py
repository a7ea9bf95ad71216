"""Train each agent once, and score it in held-out episodes on every set of modalities."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.agents.weights import GivenWeights, TrainedAttention, Weights
from benchmarks.harness.cells import Cell, Place, TrainingCell
from gw_agents.acting.agent import Agent
from gw_agents.acting.evaluation import evaluate, run_episodes
from gw_agents.acting.loading import load_agent
from gw_agents.acting.spec import AgentSpec
from gw_agents.train import TrainConfig, train
from gw_envs.corruption import CorruptVectorObservation
from gw_envs.expert import expert_actions
from gw_envs.goal_task import ACTIONS
from gw_envs.observation import MODALITIES
from gw_envs.scenes import SCENES

SPLIT = "test"
"""The split of the episodes that are scored."""


@dataclass(frozen=True)
class Failure:
    """A failure of one sensor for a whole episode; each episode picks another sensor."""

    name: str
    faults: tuple[tuple[str, str], ...]
    """(modality, kind of failure) of every sensor that can fail."""


MODALITY_SETS = {
    "image": ("image",),
    "attributes": ("attributes",),
    "language": ("language",),
    "all": MODALITIES,
}
"""What agents observe in training."""
TESTS = {
    "image": ("image",),
    "attributes": ("attributes",),
    "language": ("language",),
    "image+language": ("image", "language"),
    "all": MODALITIES,
}
"""What every agent observes in tests, if its policy can read it."""
FAILURES = (
    Failure("noise", (("image", "noise"), ("attributes", "noise"), ("language", "replaced"))),
    Failure("loss", (("image", "blackout"), ("attributes", "dropped"), ("language", "empty"))),
    Failure("stale", (("image", "frozen"), ("attributes", "stale"))),
    Failure("other_scene", tuple((name, "other_scene") for name in MODALITIES)),
)
"""Failures of one of three sensors, a different one in each episode, for its whole length."""


@dataclass(frozen=True)
class WorkspaceKind:
    """A kind of workspace whose vectors agents read."""

    losses: str
    """Name of the preset of its losses."""
    fusion: Literal["even", "precision"] = "precision"
    """Whether its fusion has precisions."""
    is_tuned: bool = False
    """Whether the fusion has fixed weights, tuned on validation scenes."""
    attentions: tuple[str | None, ...] = (None, "best")
    """The attentions that fuse while a sensor fails; None for the fusion of training."""


WORKSPACES = {
    "gw": WorkspaceKind("broad+cont"),
    "gw_even": WorkspaceKind("broad+cont", fusion="even", attentions=(None,)),
    "contrastive": WorkspaceKind("cont", is_tuned=True),
}
"""The encoders whose vectors can come from any modality."""


@dataclass(frozen=True)
class TrainedAgent(TrainingCell):
    """Trains an agent with PPO and writes it.

    Metrics: {"curve": [{"steps", "success", ...}], "seconds"}.
    """

    encoder: str
    """Input of its policy; see `benchmarks/control.py`."""
    observed: tuple[str, ...]
    """Modalities in training."""
    seed: int
    steps: int
    """Environment steps of training."""
    weights: Weights | None
    """Weights of the encoder; None for `raw`."""

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the workspace, if it is trained for this benchmark."""
        return (self.weights,) if isinstance(self.weights, Cell) else ()

    def folder(self, place: Place) -> Path:
        """Return the folder of the run."""
        return place.out / "agents" / f"{self.scene}-{self.encoder}-{self.seed}-{self.digest}"

    def product(self, place: Place) -> Path:
        """Return the file of the agent."""
        return self.folder(place) / "agent.safetensors"

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, Any]:
        """Train, or resume, and save."""
        agent = train(self._config(place), quiet=True)
        return {name: agent.training[name] for name in ("curve", "seconds")}

    def _config(self, place: Place) -> TrainConfig:
        is_shipped = isinstance(self.weights, GivenWeights) and place.weights is None
        folder = None
        if self.weights is not None and not is_shipped:
            folder = str(self.weights.folder(self.scene, place))
        policy_input: Any = "gw" if self.encoder in WORKSPACES else self.encoder
        spec = AgentSpec(SCENES[self.scene].env_id, self.observed, policy_input, weights=folder)
        return TrainConfig(spec, seed=self.seed, steps=self.steps, out=self.folder(place))


@lru_cache(maxsize=2)
def trained_agent(cell: TrainedAgent, place: Place) -> Agent:
    """Load an agent whose training is finished."""
    return load_agent(cell.product(place).with_suffix(""))


@dataclass(frozen=True)
class Situation:
    """The input of a policy in a test."""

    observed: tuple[str, ...]
    """Modalities."""
    failure: Failure | None = None
    """Corrupts one modality at severity 1."""
    attention: str | None = None
    """The attention module that fuses the modalities; equal weights by default."""

    @property
    def missing(self) -> str:
        """The one modality of three that is missing; empty otherwise."""
        left_out = [name for name in MODALITIES if name not in self.observed]
        return left_out[0] if len(left_out) == 1 else ""


@dataclass(frozen=True)
class AgentScores(Cell):
    """Scores a trained agent in a situation. Metrics: {"return", "success", "length"}."""

    FILE = "control"

    agent: TrainedAgent
    situation: Situation
    episodes: int
    """Held-out episodes."""
    attention: GivenWeights | TrainedAttention | None = None
    """The weights that hold the situation's attention module."""

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the agent, and of the attention if it is trained for this
        benchmark."""
        if isinstance(self.attention, TrainedAttention):
            return (self.agent, self.attention)
        return (self.agent,)

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, float]:
        """Run the episodes."""
        agent, situation = trained_agent(self.agent, place), self.situation
        wrap = None
        if situation.failure is not None:
            faults = dict(situation.failure.faults)
            wrap = partial(CorruptVectorObservation, faults=faults, at_once=1)
        return evaluate(
            agent,
            self.episodes,
            SPLIT,
            representation=agent.represent(situation.observed, attention=situation.attention),
            wrap=wrap,
        ).summary()


@dataclass(frozen=True)
class ReferenceScores(Cell):
    """Scores random actions or the scripted expert. Metrics: {"return", "success", "length"}."""

    FILE = "control"

    actor: str
    """random or expert."""
    episodes: int
    """Held-out episodes."""
    seed: int = 0
    """Seed of the random actions."""

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, float]:
        """Run the episodes."""
        rng = np.random.default_rng(self.seed)

        def act(observations: dict[str, Any], begins: NDArray[np.bool_]) -> NDArray:
            attributes = observations["attributes"]
            if self.actor == "expert":
                return expert_actions(self.scene, attributes)
            return rng.integers(len(ACTIONS), size=len(attributes))

        return run_episodes(SCENES[self.scene].env_id, act, self.episodes, SPLIT).summary()
