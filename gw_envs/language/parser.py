"""Read sentences as claims about a scene, with a lark parser built from the captions' grammar."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from lark import Lark, Token, UnexpectedInput
from numpy.typing import NDArray

from gw_envs.errors import InputError, InputTypeError, check_choice, check_whole, describe
from gw_envs.language.grammar import Grammar, Item, Phrase, article, split
from gw_envs.language.registry import grammar_of_scene, grammar_of_state
from gw_envs.language.vocabulary import VOCABULARY

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


def parse(scene: str, sentence: str) -> tuple[Claim, ...]:
    """Read a caption. Returns its claims, one for each slot in the scene's order.

    Letter case and spacing do not matter. A sentence outside the scene's grammar raises an
    InputError that quotes the part understood, the words expected next, and the word found.
    """
    grammar = grammar_of_scene(scene)
    _, phrases = read(scene, sentence)
    return tuple(
        Claim(
            grammar.slots[phrase.slot].name,
            grammar.columns[phrase.column][1],
            phrase.meaning,
            phrase.text,
        )
        for phrase in phrases
    )


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
    texts = [_checked_text(sentence) for sentence in sentences]
    meanings = grammar.meanings(states)
    truth = np.zeros((len(texts), len(grammar.slots)), dtype=bool)
    for row, text in enumerate(texts):
        try:
            _, phrases = read(grammar.scene, text)
        except InputError:
            continue
        truth[row] = [meanings[row, phrase.column] == phrase.meaning for phrase in phrases]
    return truth


def read(scene: str, sentence: str) -> tuple[int, tuple[Phrase, ...]]:
    """Return the number of a caption's structure and each slot's phrase; errors as in `parse`."""
    text = " ".join(split(_checked_text(sentence)))
    grammar = grammar_of_scene(scene)
    try:
        tree: Any = _lark(grammar.scene).parse(text)
    except UnexpectedInput as error:
        raise InputError(_complaint(grammar.scene, text, error)) from None
    (structure,), known = tree.children, _phrases(grammar.scene)
    slots = [token for token in structure.children if "SLOT_" in token.type]
    phrases = [known[token.type, str(token)] for token in slots]
    number = int(structure.data.rpartition("_")[2])
    return number, tuple(sorted(phrases, key=lambda phrase: phrase.slot))


def lark_grammar(grammar: Grammar) -> str:
    """Return the lark grammar of a scene's captions.

    It has one terminal for each word and each slot, and one rule for each structure.
    """
    texts: dict[int, list[str]] = {number: [] for number in range(len(grammar.slots))}
    for phrase in grammar.phrases:
        texts[phrase.slot].append(phrase.text)
    rules, terminals = [], {}
    for number, items in enumerate(grammar.items):
        symbols = " ".join(_symbol(item, grammar) for item in items)
        rules.append(f"structure_{number}: {symbols}")
        for item in items:
            phrases = texts[item.slot] if item.slot >= 0 else [item.word]
            if item.article:
                phrases = [f"{article(text)} {text}" for text in phrases]
            terminals[_symbol(item, grammar)] = _pattern(phrases)
    start = "start: " + " | ".join(f"structure_{number}" for number in range(len(rules)))
    definitions = [f"{name}: {pattern}" for name, pattern in terminals.items()]
    return "\n".join([start, *rules, *definitions, '%ignore " "'])


def _checked_text(sentence: Any) -> str:
    """Return `sentence`; InputTypeError unless it is text."""
    if not isinstance(sentence, str):
        raise InputTypeError(f"a caption is text, not {type(sentence).__name__}: give a sentence")
    return sentence


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


def _symbol(item: Item, grammar: Grammar) -> str:
    """Return the name of the terminal that stands for a piece of a structure."""
    if item.slot < 0:
        return {",": "COMMA", ".": "STOP"}.get(item.word, f"WORD_{item.word.upper()}")
    slot = f"SLOT_{grammar.slots[item.slot].name.upper()}"
    return f"A_{slot}" if item.article else slot


def _pattern(texts: Iterable[str]) -> str:
    """Return a terminal that matches any of the texts, the longest first, as whole words."""
    spelled = [" ".join(split(text)) for text in texts]
    longest_first = sorted(spelled, key=lambda text: (-len(text), text))
    return f"/(?:{'|'.join(re.escape(text) for text in longest_first)})(?![^ ])/"


@cache
def _lark(scene: str) -> Lark:
    """Build the parser of a scene's captions."""
    return Lark(
        lark_grammar(grammar_of_scene(scene)),
        parser="lalr",
        lexer="contextual",
        propagate_positions=False,
    )


@cache
def _phrases(scene: str) -> dict[tuple[str, str], Phrase]:
    """Return every phrase by its terminal and its text, with and without an article."""
    grammar = grammar_of_scene(scene)
    phrases: dict[tuple[str, str], Phrase] = {}
    for phrase in grammar.phrases:
        plain = _symbol(Item(slot=phrase.slot), grammar)
        with_article = _symbol(Item(slot=phrase.slot, article=True), grammar)
        spelled = " ".join(split(phrase.text))
        for key in ((plain, spelled), (with_article, f"{article(spelled)} {spelled}")):
            assert key not in phrases, f"{key[1]!r} has two meanings in {scene}"
            phrases[key] = phrase
    return phrases


def _complaint(scene: str, text: str, error: UnexpectedInput) -> str:
    """Say in one sentence where a caption leaves the grammar."""
    token = getattr(error, "token", None)
    ended = isinstance(token, Token) and token.type == "$END"
    at = len(text) if ended or error.pos_in_stream is None else error.pos_in_stream
    understood, rest = VOCABULARY.join(text[:at].split()), text[at:].split()
    names = set(getattr(error, "allowed", None) or getattr(error, "expected", None) or ())
    following = "the end"
    if rest:
        words = rest[:2] if rest[0] in ("a", "an") else rest[:1]
        following = repr(" ".join(words)[:LONGEST_WORD])
    after = f"understood up to {understood!r} and" if understood else "at the beginning"
    return f"not a caption of {scene}: {after} expected {_options(names)}, found {following}"


def _options(names: set[str]) -> str:
    """Describe terminals in words, slots first."""
    slots = sorted({name.rpartition("SLOT_")[2].lower() for name in names if "SLOT_" in name})
    words = sorted(name.removeprefix("WORD_").lower() for name in names if name.startswith("WORD_"))
    signs = {"COMMA": "a comma", "STOP": "a full stop"}
    options = [f"a {slot}" for slot in slots] + [repr(word) for word in words]
    options += [text for name, text in signs.items() if name in names]
    return " or ".join(options) or "nothing more"
