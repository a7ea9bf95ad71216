"""Claims: the pieces of a caption, each a region of state space."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gw_envs.errors import InputError, check_choice, check_whole, describe
from gw_envs.language.grammar import Grammar, Phrase
from gw_envs.language.registry import grammar_of_state

LONGEST_WORD = 40
"""Most characters of an unknown word that an error message quotes."""


@dataclass(frozen=True)
class Claim:
    """One claim of a caption: that `meaning` of a slot's `variant` holds, in the words `text`."""

    slot: str
    variant: str
    meaning: int
    text: str

    def holds(self, state: Any) -> NDArray[np.bool_]:
        """Return (N,) whether each state is in the region that the claim names.

        Raises InputError if the states' scene has no such slot, variant or meaning.
        """
        grammar = grammar_of_state(state)
        return grammar.meanings(state.batched())[:, _column(grammar, self)] == self.meaning


def claims_of(grammar: Grammar, phrases: Iterable[Phrase]) -> tuple[Claim, ...]:
    """Return the claims that phrases make."""
    return tuple(
        Claim(
            grammar.slots[phrase.slot].name,
            grammar.columns[phrase.column][1],
            phrase.meaning,
            phrase.text,
        )
        for phrase in phrases
    )


def _column(grammar: Grammar, claim: Claim) -> int:
    """Return the column of the grammar's `meanings` that tells whether a claim holds."""
    slots = {slot.name: (number, slot) for number, slot in enumerate(grammar.slots)}
    if not isinstance(claim.slot, str) or claim.slot not in slots:
        name = describe(claim.slot, LONGEST_WORD).strip("'")
        raise InputError(f"nothing in {grammar.scene} has a {name}: it has {', '.join(slots)}")
    number, slot = slots[claim.slot]
    variants = {variant.name: variant for variant in slot.variants}
    check_choice(f"variant of {claim.slot}", claim.variant, variants)
    last = len(variants[claim.variant].wordings) - 1
    check_whole(f"meaning of a {claim.slot}", claim.meaning, 0, last)
    return grammar.columns.index((number, claim.variant))
