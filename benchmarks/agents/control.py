"""Agents that act on the workspace, and on other modalities than in training; described in
`benchmarks/control.py`."""

from dataclasses import dataclass
from itertools import product
from typing import Literal

from benchmarks.agents.pictures import figures
from benchmarks.agents.reports import quoted, tables
from benchmarks.agents.rows import rows
from benchmarks.agents.scores import (
    FAILURES,
    MODALITY_SETS,
    TESTS,
    WORKSPACES,
    AgentScores,
    ReferenceScores,
    Situation,
    TrainedAgent,
)
from benchmarks.agents.sizes import SIZES, Choice, Size
from benchmarks.agents.weights import (
    GivenWeights,
    TrainedAttention,
    TrainedWorkspace,
    TunedWorkspace,
    Weights,
    given_weights,
)
from benchmarks.harness import benchmark
from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.cells import Cell
from gw_envs.errors import InputError, check_whole
from gw_envs.observation import MODALITIES


@dataclass(frozen=True)
class Arguments(benchmark.Arguments):
    """Training, zero-shot transfer between modalities, and control while sensors fail."""

    preset: Literal["quick", "full"] = "quick"
    """How much to do: minutes, or many hours."""
    encoders: tuple[str, ...] | None = None
    """Which encoders; all of the preset's by default."""
    sources: tuple[str, ...] = tuple(MODALITY_SETS)
    """Modalities that agents are trained on: image, attributes, language, all."""
    seeds: int | None = None
    """At most this many agents of each kind; the preset's number by default."""
    workspaces: Choice | None = None
    """Let all agents of an encoder read one workspace (`gw` reads the shipped one, or that in the
    folder of weights), or train a workspace with seed i for agent i. The preset's way by default:
    `quick` reads the shipped one, `full` trains one for each seed."""

    def check(self) -> None:
        """Raise InputError for unknown names, and if there is nothing to train."""
        for source in self.sources:
            if source not in MODALITY_SETS:
                raise InputError(f"unknown source {source!r}: choose {', '.join(MODALITY_SETS)}")
        known = self.size.seeds
        for encoder in self.encoders or ():
            if encoder not in known:
                raise InputError(f"unknown encoder {encoder!r}: the preset has {', '.join(known)}")
        if self.seeds is not None:
            check_whole("--seeds", self.seeds, 1)
        if not self.kinds:
            raise InputError(
                "there is nothing to train: name encoders and sources of which one learns from the"
                " other (concatenation from all, unimodal from one modality)"
            )

    @property
    def size(self) -> Size:
        """How much the preset does."""
        return SIZES[self.preset]

    def weights_of(self, scene: str, encoder: str, seed: int) -> Weights | None:
        """Return the weights that an agent reads."""
        if encoder == "raw":
            return None
        domains = given_weights(self.place, scene, MODALITIES)
        if encoder not in WORKSPACES:
            return domains
        is_shipped = (self.workspaces or self.size.workspaces) == "shipped"
        if encoder == "gw" and is_shipped:
            return given_weights(self.place, scene, (*MODALITIES, "workspace"))
        kind, own = WORKSPACES[encoder], 0 if is_shipped else seed
        trained = TrainedWorkspace(scene, domains, kind.losses, own, kind.fusion)
        return TunedWorkspace(scene, trained) if kind.is_tuned else trained

    @property
    def seeds_of(self) -> dict[str, int]:
        """How many agents there are of each encoder."""
        counts = {}
        for encoder, count in self.size.seeds.items():
            if self.encoders is None or encoder in self.encoders:
                counts[encoder] = count if self.seeds is None else min(count, self.seeds)
        return counts

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """Every (encoder, source of modalities) that an agent is trained with."""
        pairs = product(self.seeds_of, self.sources)
        return [(encoder, source) for encoder, source in pairs if can_learn_from(encoder, source)]

    def agents(self, scene: str, seed: int) -> list[TrainedAgent]:
        """List the agents of a scene that have a seed."""
        counts, steps = self.seeds_of, self.size.steps[scene]
        listed = []
        for encoder, source in self.kinds:
            if seed < counts[encoder]:
                weights, observed = self.weights_of(scene, encoder, seed), MODALITY_SETS[source]
                listed.append(TrainedAgent(scene, encoder, observed, seed, steps, weights))
        return listed

    def scores(self, agent: TrainedAgent) -> list[AgentScores]:
        """List the tests of an agent."""
        episodes = self.size.episodes
        listed = []
        for situation in situations(agent.encoder, agent.observed):
            attention = None
            if situation.attention is not None:
                attention = self._attention(agent)
            listed.append(AgentScores(agent.scene, agent, situation, episodes, attention))
        return listed

    def _attention(self, agent: TrainedAgent) -> GivenWeights | TrainedAttention:
        """Return the attention modules that belong to the workspace of an agent."""
        weights = agent.weights
        if isinstance(weights, TrainedWorkspace | TunedWorkspace):
            return TrainedAttention(agent.scene, weights, weights.seed)
        return given_weights(self.place, agent.scene, ("attention",))


def can_learn_from(encoder: str, source: str) -> bool:
    """Tell whether agents with an encoder are trained on a set of modalities."""
    if encoder == "concatenation":
        return source == "all"
    if encoder == "gw_even":  # one modality in training shows nothing of fusion; captions are vague
        return source != "language"
    return encoder != "unimodal" or source != "all"


def situations(encoder: str, observed: tuple[str, ...]) -> list[Situation]:
    """List the situations an agent is tested in: everything that its policy can read.

    Workspace vectors can come from any modality; latents side by side from any of those joined.
    Agents on a workspace that learned from all modalities are also tested while one of them fails
    or is missing.
    """
    sees_all = observed == MODALITIES
    if encoder not in WORKSPACES and not (encoder == "concatenation" and sees_all):
        return [Situation(observed)]
    listed = [Situation(modalities) for modalities in TESTS.values()]
    if encoder in WORKSPACES and sees_all:
        for attention in WORKSPACES[encoder].attentions:
            listed.append(Situation(observed, attention=attention))
            listed += [Situation(observed, failure, attention) for failure in FAILURES]
            listed += [Situation(rest, attention=attention) for rest in one_missing()]
    return list(dict.fromkeys(listed))


def one_missing() -> list[tuple[str, ...]]:
    """List the sets of modalities without one of them."""
    return [tuple(name for name in MODALITIES if name != missing) for missing in MODALITIES]


def cells(arguments: Arguments) -> list[Cell]:
    """List the reference policies, the weights that are tuned, the agents and their tests.

    They are listed seed by seed, so that an interrupted run has trained whole seeds.
    """
    listed: list[Cell] = []
    for scene, actor in product(arguments.scenes, ("random", "expert")):
        listed.append(ReferenceScores(scene, actor, arguments.size.episodes))
    for seed in range(max(arguments.seeds_of.values())):
        for scene in arguments.scenes:
            for agent in arguments.agents(scene, seed):
                if isinstance(agent.weights, TunedWorkspace):
                    listed.append(agent.weights)
                listed += [agent, *arguments.scores(agent)]
    return list(dict.fromkeys(listed))


CONTROL = Benchmark(
    name="control",
    arguments=Arguments,
    cells=cells,
    rows=rows,
    tables=tables,
    figures=figures,
    quoted=quoted,
    variant=("encoder",),
)
