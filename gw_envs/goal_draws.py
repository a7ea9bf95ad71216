"""Begin episodes with goals: draw them, or take those that the user gives."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gw_envs.errors import InputError, describe
from gw_envs.goal_task import Task
from gw_envs.goals import Goals, claims_hold, claims_of, first_columns, sector_counts
from gw_envs.language.registry import grammar_of_state
from gw_envs.language.writer import tokens
from gw_envs.reading import GivenGoals
from gw_envs.scene_methods import SceneMethods, State
from gw_envs.state import BatchState

PROPOSALS = 16
"""Goals proposed at a time for each scene."""

MOST_ROUNDS = 500
"""Rounds of proposals after which a scene counts as one without room for a goal."""

PROPOSALS_FOR_CLAIMS = 1024
"""Goals proposed at a time for each sentence."""

MOST_ROUNDS_FOR_CLAIMS = 40
"""Rounds of proposals after which a sentence counts as one that no pose makes true."""

Accept = Callable[[NDArray[np.int64], Any], NDArray[np.bool_]]
"""A function from the numbers (M,) of rows and goals (M,) proposed for them to a mask (M,)."""


def begin_goals(
    core: SceneMethods,
    modality: str,
    starts: Any,
    rngs: Sequence[np.random.Generator],
    given: GivenGoals | None = None,
) -> Goals:
    """Return the goals of N episodes that begin.

    Args:
        core: the core of the scenes.
        modality: the modality in which the goals are shown.
        starts: the N scenes in which the episodes begin.
        rngs: their N generators. Where poses are given, goals are drawn all the same, as they tell
            the wording of the goals.
        given: the user's goals; None to draw them.

    Raises:
        InputError: a given goal can't be reached, or a scene has no room for a goal.
    """
    if given is not None and given.claims is not None:
        scenes = _draw_where_true(core, starts, rngs, given)
        return Goals(modality, scenes, given.claims[..., 0], given.claims[..., 1], given.tokens)
    scenes = draw_goals(core, starts, rngs)
    if given is not None and given.poses is not None:
        scenes = scenes.with_poses(*np.ascontiguousarray(given.poses.T))
        core.check_scenes(scenes, "goal")
    words = tokens(scenes) if modality == "language" else None
    return Goals(modality, scenes, *claims_of(scenes), words)


def draw_goals(
    core: SceneMethods[State], starts: State, rngs: Sequence[np.random.Generator]
) -> State:
    """Draw a goal for each of N scenes, as scenes are drawn.

    The goals have the objects and landmarks of the scenes. None is reached already, whether by its
    pose or by its claims, so that a seed has the same goal in every modality.
    """

    def propose(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.concatenate([rngs[row].random((PROPOSALS, 4)) for row in rows])

    def accept(rows: NDArray[np.int64], goals: State) -> NDArray[np.bool_]:
        return core.is_reachable(goals) & ~_is_reached(core.task, starts[rows], goals)

    goals, missing = _search(core, starts, propose, accept, MOST_ROUNDS)
    if len(missing):
        raise InputError("the scene leaves no room for a goal: give other landmarks")
    return goals


def _is_reached(task: Task, starts: BatchState, goals: BatchState) -> NDArray[np.bool_]:
    """Return (M,) whether scenes are within tolerance of goals, or make their claims true."""
    here, there = (
        np.stack([scenes.x, scenes.y, scenes.rotation], -1) for scenes in (starts, goals)
    )
    near = task.success(*task.distances(here, there))
    return near | np.all(claims_hold(starts, *claims_of(goals)), axis=1)


def _draw_where_true(
    core: SceneMethods[State], starts: State, rngs: Sequence[np.random.Generator], given: GivenGoals
) -> State:
    """Draw a goal for each of N scenes that makes the given claims true.

    Raises InputError naming the first sentence for which none is found.
    """
    assert given.claims is not None
    columns, meanings = given.claims[..., 0], given.claims[..., 1]
    grammar = grammar_of_state(starts)
    counts = sector_counts(grammar)[columns[:, 1] - first_columns(grammar)[1]]

    def propose(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        uniform = np.stack([rngs[row].random((PROPOSALS_FOR_CLAIMS, 4)) for row in rows])
        sectors, share = meanings[rows, 1], counts[rows]
        uniform[..., 2] += sectors[:, None] - 0.5
        uniform[..., 2] = uniform[..., 2] / share[:, None] % 1.0
        return uniform.reshape(-1, 4)

    def accept(rows: NDArray[np.int64], goals: State) -> NDArray[np.bool_]:
        hold = np.all(claims_hold(goals, columns[rows], meanings[rows]), axis=1)
        hold[hold] = core.is_reachable(goals[hold])
        return hold

    goals, missing = _search(core, starts, propose, accept, MOST_ROUNDS_FOR_CLAIMS)
    if len(missing):
        sentence = given.sentences[missing[0]]
        raise InputError(
            f"the goal {describe(sentence)} can't be reached: no pose where the object stands free "
            "makes it true"
        )
    return goals


def _search(
    core: SceneMethods[State],
    starts: State,
    propose: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    accept: Accept,
    most_rounds: int,
) -> tuple[State, NDArray[np.int64]]:
    """Propose goals for N scenes until each has one that is accepted, the first of its own.

    Returns:
        The N goals, and the numbers of scenes for which none was found.
    """
    goals, missing = starts, np.arange(len(starts))
    for _ in range(most_rounds):
        uniform = propose(missing)
        rows = np.repeat(missing, len(uniform) // len(missing))
        proposed = _proposed(core, starts[rows], uniform)
        accepted = accept(rows, proposed).reshape(len(missing), -1)
        found = accepted.any(1)
        first = np.arange(len(missing)) * accepted.shape[1] + accepted.argmax(1)
        goals = goals.with_rows(missing[found], proposed[first[found]])
        missing = missing[~found]
        if not len(missing):
            break
    return goals, missing


def _proposed(core: SceneMethods[State], scenes: State, uniform: NDArray[np.float64]) -> State:
    """Turn (M, 4) uniform numbers in [0, 1) into goals of M scenes: poses, and wording seeds."""
    x, y, rotation = np.ascontiguousarray(core.poses_from_uniform(uniform[:, :3]).T)
    seeds = np.floor(uniform[:, 3] * 2**31).astype(np.int64)
    return scenes.with_values({"x": x, "y": y, "rotation": rotation, "wording_seed": seeds})
