"""What captions state about scenes: whether it is true, how fine it is, and of how many other
scenes it is true."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gw_envs.language.grammar import Grammar
from gw_envs.language.parser import read
from gw_envs.language.registry import grammar_of_scene
from gw_envs.observation import values_from_attributes
from gw_envs.state import read_values

WHOLE = "whole"
"""Name of the whole caption, beside the names of its slots."""
GRADED = ("color", "place", "direction")
"""Slots that captions state coarsely or finely."""
_COARSE = "coarse"
"""The granularity of graded slots that is not fine."""
_NOTHING = -2
"""Meaning of a slot about which an unreadable caption says nothing; no scene has it."""


@dataclass(frozen=True, eq=False)
class Statements:
    """The claims of N captions, one in each of the S slots of a scene."""

    grammar: Grammar
    readable: NDArray[np.bool_]
    """(N,) whether the caption is one of the grammar; an unreadable one claims nothing."""
    columns: NDArray[np.int64]
    """(N, S) the grammar's column of each claim; 0 in unreadable captions."""
    meanings: NDArray[np.int64]
    """(N, S) the meaning of each claim in its column."""

    @classmethod
    def of(cls, scene: str, captions: Sequence[str]) -> "Statements":
        """Read N captions."""
        grammar = grammar_of_scene(scene)
        shape = len(captions), len(grammar.slots)
        readable = np.ones(len(captions), np.bool_)
        columns, meanings = np.zeros(shape, np.int64), np.full(shape, _NOTHING)
        for row, caption in enumerate(captions):
            try:
                _, phrases = read(scene, caption)
            except ValueError:
                readable[row] = False
                continue
            columns[row] = [phrase.column for phrase in phrases]
            meanings[row] = [phrase.meaning for phrase in phrases]
        return cls(grammar, readable, columns, meanings)

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the slots, and of the whole caption."""
        return (*(slot.name for slot in self.grammar.slots), WHOLE)

    def true_of(self, states: Any) -> NDArray[np.bool_]:
        """Judge each caption by its own one of N states.

        Returns (N, S + 1): slot by slot, and last the whole caption.
        """
        known = self.grammar.meanings(states)
        true = known[np.arange(len(known))[:, None], self.columns] == self.meanings
        return np.column_stack([true, true.all(1)])

    def shares_of(self, states: Any) -> NDArray[np.float64]:
        """Judge every caption by all of M states that are not its own.

        Returns (N, S + 1) fractions of the states, slot by slot, and last of the whole caption.
        """
        known = np.ascontiguousarray(self.grammar.meanings(states).T, np.int16)
        whole, shares = np.ones((len(self.columns), len(states)), np.bool_), []
        for columns, meanings in zip(self.columns.T, self.meanings.T, strict=True):
            true = known[columns] == meanings[:, None]  # (N, M)
            whole &= true
            shares.append(true.mean(1))
        return np.column_stack([*shares, whole.mean(1)])

    def has_coarse(self, slot: str) -> bool:
        """Tell whether the grammar has coarse claims in a slot."""
        number = self.slots.index(slot)
        return (number, _COARSE) in self.grammar.columns

    def is_fine(self, slot: str) -> NDArray[np.bool_]:
        """Return (N,) whether the claim in a graded slot is finer than the coarse ones; meaningless
        where unreadable."""
        return self.granularity(slot) != _COARSE

    def granularity(self, slot: str) -> NDArray[np.str_]:
        """Return (N,) the variant of the claims in a slot; meaningless where unreadable."""
        variants = np.array([variant for _, variant in self.grammar.columns])
        return variants[self.columns[:, self.slots.index(slot)]]


def states_read(scene: str, states: Any, attributes: NDArray) -> Any:
    """Return N states that look as (N, A) attribute vectors say, even if these are not exact.

    Sizes and colors, which are whole in every scene, are rounded. `states` provide what attributes
    leave out, such as landmarks.
    """
    values = values_from_attributes(scene, attributes)
    for name in ("size", "rgb"):
        if name in values:
            values[name] = np.rint(values[name])
    return states.with_values(read_values(type(states), values, len(states)))
