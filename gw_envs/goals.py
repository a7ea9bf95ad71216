"""The goals of N running episodes: poses to reach, and the sentences that describe them.

A goal is the scene's own object at another pose. Its claims are what the caption of that scene says
about place and direction: regions that the object must enter.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gw_envs.goal_task import Distances, Standing, Task
from gw_envs.language.grammar import Grammar
from gw_envs.language.regions import sector_distances
from gw_envs.language.registry import grammar_of_state
from gw_envs.language.writer import claimed
from gw_envs.state import BatchState

CLAIMED = ("place", "direction")
"""The slots of a caption that are claims of a goal: what actions can change."""


@dataclass(frozen=True, eq=False)
class Goals:
    """N goals, shown in one modality; `goals[rows]` are some of them."""

    modality: str
    """The modality in which the goals are shown: "image", "attributes" or "language"."""
    scenes: Any
    """The N goals as scenes, a `BatchState`: the same objects at other poses."""
    columns: NDArray[np.int64]
    """(N, 2) columns of `Grammar.meanings` about which the goals claim a place and a direction."""
    meanings: NDArray[np.int64]
    """(N, 2) the claimed meanings."""
    tokens: NDArray[np.int64] | None = None
    """(N, MAX_TOKENS) the goals as sentences; None unless they are shown in language."""

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, rows: Any) -> Self:
        """Return the rows of a slice, mask or index array."""
        tokens = None if self.tokens is None else self.tokens[rows]
        return type(self)(
            self.modality, self.scenes[rows], self.columns[rows], self.meanings[rows], tokens
        )

    def with_rows(self, rows: NDArray[np.int64], other: Self) -> Self:
        """Return a copy in which `rows` are replaced by the rows of `other`, or by its only one."""
        columns, meanings, tokens = self.columns.copy(), self.meanings.copy(), None
        columns[rows], meanings[rows] = other.columns, other.meanings
        if self.tokens is not None and other.tokens is not None:
            tokens = self.tokens.copy()
            tokens[rows] = other.tokens
        scenes = self.scenes.with_rows(rows, other.scenes)
        return type(self)(self.modality, scenes, columns, meanings, tokens)

    @cached_property
    def poses(self) -> NDArray[np.float64]:
        """(N, 3) x, y and rotation of the goals."""
        return np.stack([self.scenes.x, self.scenes.y, self.scenes.rotation], -1)

    def claims_hold(self, state: BatchState) -> NDArray[np.bool_]:
        """Return (N, 2) whether N scenes are in the claimed places and directions."""
        return claims_hold(state, self.columns, self.meanings)

    def standing(self, task: Task, state: BatchState, poses: NDArray[np.float64]) -> Standing:
        """Return how far N scenes with poses (N, 3) are from the goals, and what they reached.

        A goal in language is reached when its claims are true, and its distances are those to the
        claimed regions. Any other is reached within the task's tolerances of its pose.
        """
        to_pose = task.distances(poses, self.poses)
        pose_reached = task.success(*to_pose)
        hold = self.claims_hold(state)
        claims_true = np.all(hold, axis=1)
        if self.modality != "language":
            return Standing(to_pose, pose_reached, pose_reached, claims_true)
        to_regions = self._distances_to_regions(state, hold)
        return Standing(to_regions, claims_true, pose_reached, claims_true)

    def _distances_to_regions(self, state: BatchState, hold: NDArray[np.bool_]) -> Distances:
        """Return (N,) distances to the claimed places and (N,) radians to the claimed sectors."""
        grammar = grammar_of_state(state)
        variants = self.columns - first_columns(grammar)
        places, directions = np.ascontiguousarray(self.meanings.T)
        distance = grammar.place_distances(state, np.ascontiguousarray(variants[:, 0]), places)
        counts = sector_counts(grammar)[variants[:, 1]]
        angle = sector_distances(np.ascontiguousarray(state.rotation), directions, counts)
        distance[hold[:, 0]] = 0.0  # on a border, rounding may disagree with the claim
        angle[hold[:, 1]] = 0.0
        return distance, angle


def claims_hold(
    state: BatchState, columns: NDArray[np.int64], meanings: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return (N, K) whether the claims (N, K) about N scenes are true."""
    present = grammar_of_state(state).meanings(state)
    return np.equal(np.take_along_axis(present, columns, 1), meanings)


def claims_of(scenes: BatchState) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the columns (N, 2) and meanings (N, 2) that captions of goal scenes claim."""
    columns, meanings = claimed(scenes)
    slots = [grammar_of_state(scenes).slot_number(name) for name in CLAIMED]
    return columns[:, slots], meanings[:, slots]


@cache
def first_columns(grammar: Grammar) -> NDArray[np.int64]:
    """Return (2,) the first columns of a grammar's meanings about place and direction."""
    slots = [slot for slot, _ in grammar.columns]
    return np.array([slots.index(grammar.slot_number(name)) for name in CLAIMED])


@cache
def sector_counts(grammar: Grammar) -> NDArray[np.int64]:
    """Return the number of sectors in each granularity of directions."""
    direction = grammar.slots[grammar.slot_number("direction")]
    return np.array([len(variant.wordings) for variant in direction.variants])
