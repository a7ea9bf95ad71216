"""Read what users give to environments: actions, states and goals."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from gw_envs.errors import InputError, check_array, describe
from gw_envs.goal_task import ACTIONS, UNIT_ACTIONS
from gw_envs.goals import CLAIMED
from gw_envs.language.parser import read
from gw_envs.language.registry import grammar_of_scene
from gw_envs.language.vocabulary import VOCABULARY
from gw_envs.scenes import Scene
from gw_envs.snapshot import Snapshot
from gw_envs.state import columns, read_values

RANGE_TOLERANCE = 1e-5
"""Fraction of a field's range by which a user's state may exceed it: attributes are float32."""


def read_actions(mode: str, actions: Any, count: int) -> NDArray[np.float64]:
    """Convert (N,) discrete or (N, 3) continuous actions to (N, 3) fractions of full speed.

    Args:
        mode: "discrete" or "continuous".
        actions: what the user gives.
        count: N.

    Raises:
        InputError: their number is wrong, or one of them is invalid.
    """
    try:
        array = np.asarray(actions)
    except ValueError as error:
        raise InputError("the actions have different shapes: give one for each row") from error
    if mode == "discrete":
        if array.shape != (count,) or array.dtype.kind not in "iu":
            raise InputError(f"actions are {describe(array)}: give {count} whole number(s) in 0..5")
        wrong = (array < 0) | (array >= len(ACTIONS))
        if np.count_nonzero(wrong):
            raise InputError(f"action {array[wrong][0]} is not one of 0..5")
        return UNIT_ACTIONS.take(array, axis=0)
    if array.shape != (count, 3) or array.dtype.kind not in "iuf":
        raise InputError(f"actions are {describe(array)}: give {count} x 3 numbers in [-1, 1]")
    if not np.abs(array).max() <= 1.0 + 1e-6:  # `not <=` refuses NaN too
        raise InputError("a continuous action has an entry that is NaN or outside [-1, 1]")
    return np.clip(array.astype(np.float64), -1.0, 1.0)


def read_state(scene: Scene, given: Any, count: int) -> dict[str, NDArray]:
    """Read a full or partial state of `count` scenes.

    Args:
        scene: the scene.
        given: a state of this scene, a snapshot, or a dict of named values in their own units; one
            row for all scenes or one for each.
        count: N.

    Returns:
        {name: (N, ...) array}.

    Raises:
        InputError: a name is unknown, or a value has a wrong type or shape or is out of range.
    """
    given = given.scenes if isinstance(given, Snapshot) else given
    values = read_values(scene.state_type(), given, count)
    for field in scene.fields:
        if field.kind == "linear" and field.name in values:
            values[field.name] = _in_range(scene, field.name, values[field.name], "state")
    return values


def _in_range(scene: Scene, name: str, array: NDArray, what: str) -> NDArray:
    """Return values of a linear field, clipped to its range; InputError if they are outside."""
    (field,) = (field for field in scene.fields if field.name == name)
    slack = RANGE_TOLERANCE * (field.high - field.low)
    inside = (array >= field.low - slack) & (array <= field.high + slack)  # NaN is not
    if not inside.all():
        raise InputError(
            f"{name} of the {what} is {array[~inside][0]:g} {field.unit}: "
            f"{scene.name} shows {field.low:g} to {field.high:g}"
        )
    return np.clip(array, field.low, field.high).astype(array.dtype)


class GivenGoals(NamedTuple):
    """Goals that the user gives for N scenes: either poses, or sentences with their claims."""

    poses: NDArray[np.float64] | None = None
    """(N, 3) x, y and rotation."""
    sentences: tuple[str, ...] = ()
    """N sentences."""
    tokens: NDArray[np.int64] | None = None
    """(N, MAX_TOKENS) their token ids."""
    claims: NDArray[np.int64] | None = None
    """(N, 2, 2) their claims about place and direction: column and meaning of each."""

    def rows(self, numbers: NDArray[np.int64]) -> Self:
        """Return the goals of some of the scenes."""
        if self.poses is not None:
            return type(self)(self.poses[numbers])
        assert self.tokens is not None
        assert self.claims is not None
        sentences = tuple(self.sentences[number] for number in numbers)
        return type(self)(None, sentences, self.tokens[numbers], self.claims[numbers])


def read_goals(scene: Scene, modality: str | None, given: Any, count: int) -> GivenGoals:
    """Read goals of `count` scenes.

    Args:
        scene: the scene.
        modality: the modality in which the environment shows goals; None if it has none.
        given: a pose (3,) of x, y and rotation for all scenes, or (N, 3); or for goals in language
            a sentence, or N of them.
        count: N.

    Raises:
        InputError: the environment has no goals, or none in language for a sentence; a pose has a
            wrong shape or is out of range; a sentence is outside the grammar.
    """
    if modality is None:
        raise InputError(
            "options has a goal, and the environment has none: make it with goal='image', "
            "'attributes' or 'language'"
        )
    sentences = _as_sentences(given)
    if not sentences:
        return GivenGoals(_read_poses(scene, modality, given, count))
    if modality != "language":
        raise InputError(
            f"the goal is a sentence, and goals are shown as {modality} here: give a pose of x, y "
            "and rotation, or make the environment with goal='language'"
        )
    if len(sentences) not in (1, count):
        raise InputError(f"{len(sentences)} goals are given: give one, or {count}")
    claims, tokens = zip(*(_read_sentence(scene, text) for text in sentences), strict=True)
    repeats = count // len(sentences)
    return GivenGoals(
        None, sentences * repeats, np.tile(tokens, (repeats, 1)), np.tile(claims, (repeats, 1, 1))
    )


def _as_sentences(given: Any) -> tuple[str, ...]:
    """Return the sentences in a text, or in a list or array of texts; none if it is another."""
    if isinstance(given, str):
        return (given,)
    entries: Sequence[Any] = ()
    if isinstance(given, list | tuple | np.ndarray):
        entries = list(given)
    is_text = [isinstance(entry, str) for entry in entries]
    return tuple(str(entry) for entry in entries) if is_text and all(is_text) else ()


def _read_sentence(scene: Scene, text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the claims (2, 2) and token ids (MAX_TOKENS,) of a caption as a goal."""
    grammar = grammar_of_scene(scene.name)
    _, phrases = read(scene.name, text)
    chosen = [phrases[grammar.slot_number(name)] for name in CLAIMED]
    claims = np.array([(phrase.column, phrase.meaning) for phrase in chosen])
    return claims, VOCABULARY.encode(text)


def _read_poses(scene: Scene, modality: str, given: Any, count: int) -> NDArray[np.float64]:
    """Return goal poses as (N, 3); InputError if they have a wrong shape or are out of range."""
    array = check_array("the goal", given)
    if array.shape not in ((3,), (1, 3), (count, 3)):
        others = "a sentence, or " if modality == "language" else ""
        raise InputError(
            f"the goal is {describe(array)}: give {others}a pose of 3 numbers (x, y and rotation), "
            f"or {count} of them"
        )
    poses = np.array(np.broadcast_to(array, (count, 3)), np.float64)
    for column, name in enumerate(("x", "y")):
        poses[:, column] = _in_range(scene, name, poses[:, column], "goal")
    most = columns(scene.state_type())["rotation"].high
    wrong = ~(np.abs(poses[:, 2]) <= most)  # NaN is wrong
    if wrong.any():
        raise InputError(
            f"the rotation of the goal is {poses[wrong, 2][0]:g}: give radians from "
            f"{-most:g} to {most:g}"
        )
    return poses
