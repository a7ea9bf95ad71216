"""The rows of the control benchmark: results gathered over seeds, scaled and compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import trim_mean

from benchmarks.agents.scores import (
    MODALITY_SETS,
    WORKSPACES,
    AgentScores,
    ReferenceScores,
    Situation,
    TrainedAgent,
)
from benchmarks.agents.weights import TrainedWorkspace, Weights
from benchmarks.harness.cells import Cell
from benchmarks.harness.rows import Row, make_row

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
        workspace = "trained" if isinstance(agent.weights, TrainedWorkspace) else "given"
    return Group(agent.encoder, name_of(agent.observed), workspace)


def name_of(observed: tuple[str, ...]) -> str:
    """Return the name of a set of modalities."""
    for name, modalities in MODALITY_SETS.items():
        if modalities == observed:
            return name
    return "+".join(observed)


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
    return scenes


def rows(results: Mapping[Cell, Any]) -> list[Row]:
    """Return a row for every figure: interquartile means over seeds."""
    rows = []
    for scene, runs in gather(results).items():
        for group in runs.tests:
            rows += score_rows(scene, runs, group)
            rows += share_rows(scene, runs, group)
            rows += learning_rows(scene, runs, group)
    return rows


def score_rows(scene: str, runs: SceneRuns, group: Group) -> list[Row]:
    """Return success and scaled return in every situation."""
    rows = []
    for situation, scores in runs.tests[group].items():
        claim, condition = describe(group, situation)
        success = [score["success"] for score in scores]
        for metric, values in (("success", success), ("return_scaled", runs.scaled(scores))):
            rows.append(
                make_row(
                    claim,
                    scene,
                    condition,
                    metric,
                    values,
                    runs.redraws(group),
                    statistic=interquartile_mean,
                )
            )
    return rows


def describe(group: Group, situation: Situation) -> tuple[str, dict[str, Any]]:
    """Return the claim and the condition of a test."""
    condition: dict[str, Any] = dict(group.condition)
    attention = situation.attention or "none"
    if situation.failure is not None:
        name = situation.failure.name
        condition |= {"failure": name, "attention": attention, "at_once": 1}
        return f"control/corrupted/{name}", condition
    if situation.missing:
        condition |= {"failure": "missing", "missing": situation.missing, "attention": attention}
        return "control/corrupted/missing", condition
    test = name_of(situation.observed)
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
    for test, observed in MODALITY_SETS.items():
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
        redraws = runs.redraws(group)
        row = make_row(
            claim, scene, condition, "share", shares, redraws, statistic=interquartile_mean
        )
        rows.append(row)
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


def interquartile_mean(values: Any, axis: int = 0) -> Any:
    """Return the mean of the middle half of the values."""
    return trim_mean(values, 0.25, axis=axis)


def steps_to(curve: Sequence[Scores], success: float) -> float | None:
    """Return the training steps at the first evaluation that reaches a success; None if none
    does."""
    for point in curve:
        if point["success"] >= success:
            return point["steps"]
    return None
