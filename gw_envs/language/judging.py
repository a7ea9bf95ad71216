"""Judge captions by the states that they are about."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gw_envs.errors import InputError, InputTypeError, describe
from gw_envs.language.parser import checked_text, parse, phrases_if_read
from gw_envs.language.registry import grammar_of_state


def caption_truth(sentence: str, state: Any) -> dict[str, bool]:
    """Judge a caption by one state, with or without a batch axis. Returns {slot: whether it holds}.

    Raises InputError for a sentence outside the grammar, or more than one state.
    """
    grammar = grammar_of_state(state)
    state = state.batched()
    if len(state) != 1:
        raise InputError(f"a caption is about one state, not {len(state)}: pass state[row]")
    return {claim.slot: bool(claim.holds(state)[0]) for claim in parse(grammar.scene, sentence)}


def captions_true(sentences: Sequence[str], states: Any) -> NDArray[np.bool_]:
    """Judge a caption for each of N states.

    Returns (N, S) whether sentence n is true of state n, slot by slot in the scene's order; all
    False where the sentence is outside the grammar.
    """
    grammar, states = grammar_of_state(states), states.batched()
    if isinstance(sentences, str) or not np.iterable(sentences):
        raise InputTypeError(f"sentences are {describe(sentences)}: give a list of text")
    sentences = list(sentences)
    if len(sentences) != len(states):
        raise InputError(
            f"{len(sentences)} sentences cannot be about {len(states)} states: give one for each"
        )
    texts = [checked_text(sentence) for sentence in sentences]
    meanings = grammar.meanings(states)
    truth = np.zeros((len(texts), len(grammar.slots)), dtype=bool)
    for row, text in enumerate(texts):
        phrases = phrases_if_read(grammar.scene, text)
        if phrases is not None:
            truth[row] = [meanings[row, phrase.column] == phrase.meaning for phrase in phrases]
    return truth
