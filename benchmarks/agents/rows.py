"""The rows of the control benchmark: results gathered over seeds, scaled and compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import trim_mean

from benchmarks.agents.scores import (
    MODALITY_SETS,
    TESTS,
    WORKSPACES,
    AgentScores,
    ReferenceScores,
    Situation,
    TrainedAgent,
)
from benchmarks.agents.weights import GivenWeights, TunedWorkspace, Weights
from benchmarks.harness.cells import Cell
from benchmarks.harness.rows import Row, make_row
from gw_envs.observation import MODALITIES

MASTERED = 0.9
"""Scaled return at which a policy counts as good on the modality it was trained on."""
POLICY = "policy, exploration, training episodes"
"""What differs from seed to seed."""


class Group(NamedTuple):
    """The kind of an agent: all that agents of different seeds share."""

    encoder: str
    source: str
    workspace: str
    """given (in the folder of weights), trained, or nothing for encoders without one."""

    @property
    def condition(self) -> dict[str, str]:
        """The entries of a row's condition."""
        condition = {"encoder": self.encoder, "train": self.source}
        return condition | ({"workspace": self.workspace} if self.workspace else {})


def interquartile_mean(values: Any, axis: int = 0) -> Any:
    """Return the mean of the middle half of the values."""
    return trim_mean(values, 0.25, axis=axis)


row_of = partial(make_row, statistic=interquartile_mean)
"""Return the row of an interquartile mean over seeds; arguments as for `make_row`."""

Scores = Mapping[str, float]


@dataclass
class SceneRuns:
    """The results of one scene, by agents that differ in their seed alone."""

    references: dict[str, Scores] = field(default_factory=dict)
    """Scores of the reference policies."""
    curves: dict[Group, list[Any]] = field(default_factory=dict)
    """Learning curves, one for each seed."""
    tests: dict[Group, dict[Situation, list[Scores]]] = field(default_factory=dict)
    """Scores in each situation, one for each seed."""
    weights: dict[Group, set[Weights | None]] = field(default_factory=dict)
    """The different weights that the agents read."""
    tuned: list[Mapping[str, Any]] = field(default_factory=list)
    """What tuning the contrastive workspace's fixed weights came to, one for each workspace."""

    def scaled(self, scores: Sequence[Scores]) -> Any:
        """Return (seeds,) returns on the scale where random actions are 0 and the expert is 1."""
        low, high = (self.references[actor]["return"] for actor in ("random", "expert"))
        return (np.array([score["return"] for score in scores]) - low) / (high - low)

    def redraws(self, group: Group) -> str:
        """Say what differs from seed to seed."""
        return f"workspace, {POLICY}" if len(self.weights[group]) > 1 else POLICY


def group_of(agent: TrainedAgent) -> Group:
    """Return the group of an agent."""
    workspace = ""
    if agent.encoder in WORKSPACES:
        workspace = "given" if isinstance(agent.weights, GivenWeights) else "trained"
    return Group(agent.encoder, name_of(agent.observed), workspace)


def name_of(observed: tuple[str, ...]) -> str:
    """Return the name of a set of modalities."""
    return "all" if observed == MODALITIES else "+".join(observed)


def gather(results: Mapping[Cell, Any]) -> dict[str, SceneRuns]:
    """Sort results by scene, agents and situation."""
    scenes: dict[str, SceneRuns] = {}
    for cell, metrics in results.items():
        runs = scenes.setdefault(cell.scene, SceneRuns())
        if isinstance(cell, ReferenceScores):
            runs.references[cell.actor] = metrics
        elif isinstance(cell, TrainedAgent):
            group = group_of(cell)
            runs.curves.setdefault(group, []).append(metrics["curve"])
            runs.weights.setdefault(group, set()).add(cell.weights)
        elif isinstance(cell, AgentScores):
            tests = runs.tests.setdefault(group_of(cell.agent), {})
            tests.setdefault(cell.situation, []).append(metrics)
        elif isinstance(cell, TunedWorkspace):
            runs.tuned.append(metrics)
    return scenes


def rows(results: Mapping[Cell, Any]) -> list[Row]:
    """Return a row for every figure: interquartile means over seeds."""
    rows = []
    for scene, runs in gather(results).items():
        for group in runs.tests:
            rows += score_rows(scene, runs, group)
            rows += share_rows(scene, runs, group)
            rows += learning_rows(scene, runs, group)
            rows += kept_rows(scene, runs, group)
            rows += difference_rows(scene, runs, group)
        rows += weight_rows(scene, runs)
    return rows


def score_rows(scene: str, runs: SceneRuns, group: Group) -> list[Row]:
    """Return success and scaled return in every situation."""
    rows = []
    for situation, scores in runs.tests[group].items():
        claim, condition = describe(group, situation)
        success = [score["success"] for score in scores]
        for metric, values in (("success", success), ("return_scaled", runs.scaled(scores))):
            rows.append(row_of(claim, scene, condition, metric, values, runs.redraws(group)))
    return rows


def describe(group: Group, situation: Situation) -> tuple[str, dict[str, Any]]:
    """Return the claim and the condition of a test."""
    condition: dict[str, Any] = dict(group.condition)
    attention = situation.attention or "none"
    if situation.failure is not None:
        name = situation.failure.name
        condition |= {"failure": name, "attention": attention, "at_once": 1}
        return f"control/corrupted/{name}", condition
    test = name_of(situation.observed)
    if situation.missing and group.source == "all":
        condition |= {"failure": "missing", "missing": situation.missing, "attention": attention}
        if situation.attention is None:
            condition["test"] = test
        return "control/corrupted/missing", condition
    if situation.attention is not None:
        return "control/corrupted/none", {**condition, "failure": "none", "attention": attention}
    condition["test"] = test
    if test == group.source:
        return f"control/in_modality/{group.encoder}", condition
    return f"control/transfer/{group.source}/{test}", condition


def share_rows(scene: str, runs: SceneRuns, group: Group) -> list[Row]:
    """Return the returns of transferred policies, divided by those of policies trained on the
    tested modality.

    Compares only where the latter are good; captions are too vague for any policy and are compared
    in any case.
    """
    rows = []
    for test, observed in TESTS.items():
        transferred = runs.tests[group].get(Situation(observed))
        own = runs.tests.get(group._replace(source=test), {}).get(Situation(observed))
        if test == group.source or transferred is None or own is None:
            continue
        reached = interquartile_mean(runs.scaled(own))
        if reached < MASTERED and test != "language":
            continue
        claim, condition = describe(group, Situation(observed))
        condition["in_modality"] = float(reached)
        shares = runs.scaled(transferred) / reached
        rows.append(row_of(claim, scene, condition, "share", shares, runs.redraws(group)))
    return rows


def learning_rows(scene: str, runs: SceneRuns, group: Group) -> list[Row]:
    """Return the mean number of steps until agents succeed in 90 % of episodes; no row if none
    does."""
    reached = [steps_to(curve, 0.9) for curve in runs.curves[group]]
    steps = [value for value in reached if value is not None]
    if not steps:
        return []
    condition = {**group.condition, "agents_that_reached": len(steps)}
    claim = f"control/in_modality/{group.encoder}"
    return [make_row(claim, scene, condition, "steps_to_90", steps, runs.redraws(group))]


def kept_rows(scene: str, runs: SceneRuns, group: Group) -> list[Row]:
    """Return the success of each agent in other situations, divided by its own success on the
    modalities it was trained on.

    Captions are too vague for any policy: neither agents that learned from them nor tests on them
    are compared.
    """
    own = Situation(MODALITY_SETS[group.source])
    before = success_of(runs.tests[group].get(own, ()))
    is_compared = group.encoder in WORKSPACES and group.source != "language"
    if not is_compared or not len(before) or not before.all():
        return []
    rows = []
    for situation, scores in runs.tests[group].items():
        if situation == own or situation.observed == ("language",):
            continue
        claim, condition = describe(group, situation)
        condition["relative_to"] = group.source
        kept = success_of(scores) / before
        rows.append(row_of(claim, scene, condition, "success_kept", kept, runs.redraws(group)))
    return rows


def difference_rows(scene: str, runs: SceneRuns, group: Group) -> list[Row]:
    """Return how much more often agents succeed than agents with the same seed on the contrastive
    workspace, in each situation of both."""
    other = group._replace(encoder="contrastive", workspace="trained")
    if group.encoder not in WORKSPACES or other == group or other not in runs.tests:
        return []
    rows = []
    for situation, scores in runs.tests[group].items():
        theirs = runs.tests[other].get(situation, ())
        count = min(len(scores), len(theirs))
        if not count:
            continue
        claim, condition = describe(group, situation)
        condition["compared_with"] = other.encoder
        more = success_of(scores[:count]) - success_of(theirs[:count])
        redraws = runs.redraws(group)
        rows.append(row_of(claim, scene, condition, "success_difference", more, redraws))
    return rows


def weight_rows(scene: str, runs: SceneRuns) -> list[Row]:
    """Return the fixed weights of the contrastive workspace, and what tuning them gained."""
    rows = []
    condition = {"encoder": "contrastive"}
    claim, redraws = "control/fixed_weights", "workspace, probes"
    for name in MODALITIES:
        weights = [tuned["weights"][name] for tuned in runs.tuned]
        if weights:
            entry = {**condition, "modality": name}
            rows.append(make_row(claim, scene, entry, "fusion_weight", weights, redraws))
    ratios = [tuned["error"] / tuned["even_error"] for tuned in runs.tuned]
    if ratios:
        rows.append(make_row(claim, scene, condition, "tuned_error_share", ratios, redraws))
    return rows


def success_of(scores: Sequence[Scores]) -> Any:
    """Return the (seeds,) success."""
    return np.array([score["success"] for score in scores])


def steps_to(curve: Sequence[Scores], success: float) -> float | None:
    """Return the training steps at the first evaluation that reaches a success; None if none
    does."""
    for point in curve:
        if point["success"] >= success:
            return point["steps"]
    return None
