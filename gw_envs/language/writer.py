"""Write captions of states, as token ids or as sentences.

The structure, granularities and wordings of a caption depend on the state's `wording_seed` alone,
through a fixed hash: no random generator is used, and a moving scene keeps its form of caption.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gw_envs.compiled import compiled
from gw_envs.errors import check_flag, check_whole
from gw_envs.language.grammar import Grammar, Item, article
from gw_envs.language.registry import grammar_of_state
from gw_envs.language.vocabulary import VOCABULARY
from gw_envs.observation import MAX_TOKENS

MAX_PARAPHRASES = 10_000
"""Largest number of forms of a caption that `paraphrases` writes."""


class Tables(NamedTuple):
    """A grammar as flat int64 arrays: S slots, C columns, and M meanings and P phrases in all."""

    structures: NDArray[np.int64]
    """(structures, longest): a word's id, or -1 - slot, or -1 - S - slot for a slot with its
    article; 0 pads."""
    preferences: NDArray[np.int64]
    """(S, most, 2): the columns of each granularity; the second is used where the first has no
    meaning."""
    granularities: NDArray[np.int64]
    """(S,) how many rows of `preferences` a slot has."""
    columns: NDArray[np.int64]
    """(C,) where a column's meanings start in `phrases`."""
    phrases: NDArray[np.int64]
    """(M + 1,) where a meaning's wordings start among the phrases."""
    starts: NDArray[np.int64]
    """(2 P + 1,) where a phrase's ids start in `ids`: all phrases, then all with their articles."""
    ids: NDArray[np.int64]
    """The ids of all phrases."""


def _ragged(lists: list) -> NDArray[np.int64]:
    """Return lists of unequal lengths as an array padded with 0."""
    width = max(len(entry) for entry in lists)
    shape = (len(lists), width, *np.shape(lists[0][0]))
    padded = np.zeros(shape, dtype=np.int64)
    for row, entry in enumerate(lists):
        padded[row, : len(entry)] = entry
    return padded


def _offsets(lengths: list[int]) -> NDArray[np.int64]:
    """Return where each of several consecutive runs starts, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def build_tables(grammar: Grammar) -> Tables:
    """Return the grammar's data in the form that the compiled functions read."""
    most = max(longest(grammar))
    assert most <= MAX_TOKENS, f"captions of {most} tokens exceed {MAX_TOKENS}"
    variants = [variant for slot in grammar.slots for variant in slot.variants]
    wordings = [texts for variant in variants for texts in variant.wordings]
    texts = [phrase.text for phrase in grammar.phrases]
    texts += [f"{article(text)} {text}" for text in texts]
    spelled = [VOCABULARY.ids_of(text) for text in texts]
    return Tables(
        structures=_ragged([_codes(grammar, items) for items in grammar.items]),
        preferences=_ragged([_pairs(grammar, number) for number in range(len(grammar.slots))]),
        granularities=np.array([len(slot.preferences) for slot in grammar.slots]),
        columns=_offsets([len(variant.wordings) for variant in variants])[:-1],
        phrases=_offsets([len(texts) for texts in wordings]),
        starts=_offsets([len(ids) for ids in spelled]),
        ids=np.concatenate(spelled),
    )


def _codes(grammar: Grammar, items: Sequence[Item]) -> list[int]:
    """Return a structure as numbers, see `Tables.structures`."""
    slots = len(grammar.slots)
    return [
        -1 - item.slot - slots * item.article if item.slot >= 0 else VOCABULARY.ids[item.word]
        for item in items
    ]


def _pairs(grammar: Grammar, slot: int) -> list[list[int]]:
    """Return the columns of each granularity of a slot, see `Tables.preferences`."""
    find = grammar.columns.index
    return [
        [find((slot, first)), find((slot, second))]
        for first, second in grammar.slots[slot].preferences
    ]


def longest(grammar: Grammar) -> list[int]:
    """Return the most tokens that a caption of each structure can have."""
    most = [0] * len(grammar.slots)
    for phrase in grammar.phrases:
        most[phrase.slot] = max(most[phrase.slot], len(VOCABULARY.ids_of(phrase.text)))
    lengths = []
    for items in grammar.items:
        slots = [most[item.slot] + item.article for item in items if item.slot >= 0]
        words = [item for item in items if item.slot < 0]
        lengths.append(sum(slots) + len(words))
    return lengths


@cache
def _tables(scene_grammar: Grammar) -> Tables:
    """Build the tables of a grammar once."""
    return build_tables(scene_grammar)


@compiled()
def _mix(z):  # pragma: no cover - compiled
    """Apply SplitMix64's output function: uint64 -> uint64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled()
def _draw(key, number, count):  # pragma: no cover - compiled
    """Return a number in [0, count) for choice `number` of a caption whose seed has hash `key`."""
    bits = _mix(key + np.uint64(number + 1) * np.uint64(0x9E3779B97F4A7C15))
    return np.int64(((bits >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32))


@compiled()
def _choose(
    meanings, seeds, structures, preferences, granularities, columns, phrases
):  # pragma: no cover - compiled
    """Return the choices of each caption; see `choices`."""
    count, slots = len(seeds), len(granularities)
    chosen = np.empty((count, 1 + 2 * slots), dtype=np.int64)
    for n in range(count):
        key = _mix(np.uint64(seeds[n]) + np.uint64(0x9E3779B97F4A7C15))
        chosen[n, 0] = _draw(key, 0, structures)
        for slot in range(slots):
            pair = preferences[slot, _draw(key, 1 + 2 * slot, granularities[slot])]
            column = pair[0] if meanings[n, pair[0]] >= 0 else pair[1]
            entry = columns[column] + meanings[n, column]
            chosen[n, 1 + slot] = column
            chosen[n, 1 + slots + slot] = _draw(
                key, 2 + 2 * slot, phrases[entry + 1] - phrases[entry]
            )
    return chosen


@compiled()
def _write(
    meanings, chosen, width, structures, columns, phrases, starts, ids
):  # pragma: no cover - compiled
    """Return the (N, width) token ids of the chosen wordings."""
    count, slots = len(chosen), (chosen.shape[1] - 1) // 2
    tokens = np.zeros((count, width), dtype=np.int64)
    articled = (len(starts) - 1) // 2
    for n in range(count):
        at = 0
        for code in structures[chosen[n, 0]]:
            if code == 0:
                break
            if code > 0:
                tokens[n, at] = code
                at += 1
                continue
            slot = (-1 - code) % slots
            column = chosen[n, 1 + slot]
            phrase = phrases[columns[column] + meanings[n, column]] + chosen[n, 1 + slots + slot]
            if code < -slots:
                phrase += articled
            for k in range(starts[phrase], starts[phrase + 1]):
                tokens[n, at] = ids[k]
                at += 1
    return tokens


def _choices(grammar: Grammar, state: Any, meanings: NDArray) -> NDArray[np.int64]:
    """Return the choices of each caption from the meanings of its scene; see `choices`."""
    table = _tables(grammar)
    seeds = np.ascontiguousarray(state.wording_seed, dtype=np.int64)
    return _choose(
        meanings,
        seeds,
        len(grammar.structures),
        table.preferences,
        table.granularities,
        table.columns,
        table.phrases,
    )


def _captions(state: Any, plain: bool = False, coarse: bool = False) -> NDArray[np.int64]:
    """Return (N, MAX_TOKENS) ids of captions, with plain words or coarse claims on request."""
    grammar = grammar_of_state(state)
    state = state.batched()
    table = _tables(grammar)
    meanings = grammar.meanings(state)
    chosen = _choices(grammar, state, meanings)
    if plain:
        chosen[:, 0] = 0
        chosen[:, 1 + len(grammar.slots) :] = 0
    if coarse:
        chosen[:, 1 : 1 + len(grammar.slots)] = table.preferences[:, 0, 0]
    return _write(
        meanings,
        chosen,
        MAX_TOKENS,
        table.structures,
        table.columns,
        table.phrases,
        table.starts,
        table.ids,
    )


def choices(state: Any) -> NDArray[np.int64]:
    """Return (N, 1 + 2 S): each caption's structure, its slots' columns, then their wordings."""
    grammar = grammar_of_state(state)
    state = state.batched()
    return _choices(grammar, state, grammar.meanings(state))


def claimed(state: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what the captions of N states claim, without writing them.

    Returns:
        (N, S) columns of `Grammar.meanings`, one for each slot, and (N, S) meanings in them.
    """
    grammar = grammar_of_state(state)
    state = state.batched()
    meanings = grammar.meanings(state)
    columns = _choices(grammar, state, meanings)[:, 1 : 1 + len(grammar.slots)]
    return columns, np.take_along_axis(meanings, columns, 1)


def tokens(state: Any) -> NDArray[np.int64]:
    """Write the captions of a batch of states, or of one.

    Returns (N, MAX_TOKENS) int64 ids of `VOCABULARY`, padded with 0.
    """
    return _captions(state)


def plain_tokens(state: Any, coarse: bool = False) -> NDArray[np.int64]:
    """Write the claims of `tokens(state)` in the plainest words: structure 0 and wording 0.

    Returns (N, MAX_TOKENS) int64 ids. With `coarse`, every slot states its coarsest claim,
    even if the caption is finer.
    """
    return _captions(state, plain=True, coarse=check_flag("coarse", coarse))


def paraphrases(state: Any, count: int) -> NDArray[np.int64]:
    """Write the caption of each state in `count` forms, all of them true; the first is the caption.

    Returns (N, count, MAX_TOKENS) int64 ids.
    """
    count = check_whole("count", count, 1, MAX_PARAPHRASES)
    grammar_of_state(state)  # raises InputTypeError unless it is a state
    state = state.batched()
    seeds = [state.wording_seed + number * 1_000_003 for number in range(count)]
    return np.stack([tokens(replace(state, wording_seed=seed)) for seed in seeds], 1)


def sentences(state: Any) -> list[str]:
    """Write the captions of a batch of states, or of one, as text. Returns N sentences."""
    return VOCABULARY.decode_rows(tokens(state))
