"""Sentences -> what they claim of a scene, by a lark parser that is built from the grammar of the captions."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from lark import Lark, Token, UnexpectedInput
from numpy.typing import NDArray

from gw_envs.language.grammar import Grammar, Item, Phrase, article, split
from gw_envs.language.registry import grammar_of_scene, grammar_of_state
from gw_envs.language.vocabulary import VOCABULARY

LONGEST_WORD = 40
"""How many characters of what was not understood an error shows."""


@dataclass(frozen=True)
class Claim:
    """One thing a caption says: that `meaning` of a slot's `variant` holds; `text` is the phrase that says so."""

    slot: str
    variant: str
    meaning: int
    text: str

    def holds(self, state: Any) -> NDArray[np.bool_]:
        """(N,) whether each state is in the region the claim is about."""
        grammar = grammar_of_state(state)
        return grammar.meanings(state.batched())[:, _column(grammar, self)] == self.meaning


def _column(grammar: Grammar, claim: Claim) -> int:
    """Where the grammar's `meanings` tell whether the claim holds."""
    names = [slot.name for slot in grammar.slots]
    if claim.slot not in names:
        raise ValueError(
            f"nothing in {grammar.scene} has a {claim.slot}: it has {', '.join(names)}"
        )
    return grammar.columns.index((names.index(claim.slot), claim.variant))


def _symbol(item: Item, grammar: Grammar) -> str:
    """The name of the terminal that stands for a piece of a structure."""
    if item.slot < 0:
        return {",": "COMMA", ".": "STOP"}.get(item.word, f"WORD_{item.word.upper()}")
    return ("A_" if item.article else "") + f"SLOT_{grammar.slots[item.slot].name.upper()}"


def _pattern(texts: Iterable[str]) -> str:
    """A terminal that matches any of the texts, the longest first, up to the end of a word."""
    longest_first = sorted(
        (" ".join(split(text)) for text in texts), key=lambda text: (-len(text), text)
    )
    return f"/(?:{'|'.join(re.escape(text) for text in longest_first)})(?![^ ])/"


def lark_grammar(grammar: Grammar) -> str:
    """The lark grammar of a scene's captions: one terminal for each word and each slot, one rule for each structure."""
    rules, terminals = [], {}
    texts: dict[int, list[str]] = {number: [] for number in range(len(grammar.slots))}
    for phrase in grammar.phrases:
        texts[phrase.slot].append(phrase.text)
    for number, items in enumerate(grammar.items):
        rules.append(f"structure_{number}: {' '.join(_symbol(item, grammar) for item in items)}")
        for item in items:
            said = texts[item.slot] if item.slot >= 0 else [item.word]
            with_article = [f"{article(text)} {text}" for text in said] if item.article else said
            terminals[_symbol(item, grammar)] = _pattern(with_article)
    start = "start: " + " | ".join(f"structure_{number}" for number in range(len(rules)))
    return "\n".join(
        [
            start,
            *rules,
            *(f"{name}: {pattern}" for name, pattern in terminals.items()),
            '%ignore " "',
        ]
    )


@cache
def _lark(scene: str) -> Lark:
    return Lark(
        lark_grammar(grammar_of_scene(scene)),
        parser="lalr",
        lexer="contextual",
        propagate_positions=False,
    )


@cache
def _phrases(scene: str) -> dict[tuple[str, str], Phrase]:
    """Every phrase of a scene by the terminal that reads it and by its text, with its article where it has one."""
    grammar = grammar_of_scene(scene)
    found: dict[tuple[str, str], Phrase] = {}
    for phrase in grammar.phrases:
        for name, text in (
            (_symbol(Item(slot=phrase.slot), grammar), phrase.text),
            (
                _symbol(Item(slot=phrase.slot, article=True), grammar),
                f"{article(phrase.text)} {phrase.text}",
            ),
        ):
            key = (name, " ".join(split(text)))
            assert key not in found, f"{text!r} has two meanings in {scene}"
            found[key] = phrase
    return found


def read(scene: str, sentence: str) -> tuple[int, tuple[Phrase, ...]]:
    """The number of a caption's structure and the phrase of each slot; see `parse` for errors."""
    if not isinstance(sentence, str):
        raise TypeError(f"a caption is text, not {type(sentence).__name__}")
    text = " ".join(split(sentence))
    try:
        tree: Any = _lark(scene).parse(text)
    except UnexpectedInput as error:
        raise ValueError(_complaint(scene, text, error)) from None
    (structure,), known = tree.children, _phrases(scene)
    said = [known[token.type, str(token)] for token in structure.children if "SLOT_" in token.type]
    return int(structure.data.rpartition("_")[2]), tuple(
        sorted(said, key=lambda phrase: phrase.slot)
    )


def parse(scene: str, sentence: str) -> tuple[Claim, ...]:
    """What a caption claims, a claim for each slot in the scene's order.

    Letter case and spacing do not matter. A sentence outside the scene's grammar raises a ValueError that tells how
    far it was understood, what could have followed, and what was found.
    """
    grammar = grammar_of_scene(scene)
    _, said = read(scene, sentence)
    return tuple(
        Claim(
            grammar.slots[phrase.slot].name,
            grammar.columns[phrase.column][1],
            phrase.meaning,
            phrase.text,
        )
        for phrase in said
    )


def _complaint(scene: str, text: str, error: UnexpectedInput) -> str:
    """One sentence on where a caption left the grammar."""
    token = getattr(error, "token", None)
    ended = isinstance(token, Token) and token.type == "$END"
    at = len(text) if ended or error.pos_in_stream is None else error.pos_in_stream
    understood, rest = VOCABULARY.join(text[:at].split()), text[at:].split()
    names = set(getattr(error, "allowed", None) or getattr(error, "expected", None) or ())
    found = (
        repr(" ".join(rest[: 2 if rest[0] in ("a", "an") else 1])[:LONGEST_WORD])
        if rest
        else "the end"
    )
    after = f"understood up to {understood!r} and" if understood else "at the beginning"
    return f"not a caption of {scene}: {after} expected {_options(names)}, found {found}"


def _options(names: set[str]) -> str:
    """What terminals stand for, in words: slots first."""
    slots = sorted({name.rpartition("SLOT_")[2].lower() for name in names if "SLOT_" in name})
    words = sorted(name.removeprefix("WORD_").lower() for name in names if name.startswith("WORD_"))
    signs = [
        sign for name, sign in (("COMMA", "a comma"), ("STOP", "a full stop")) if name in names
    ]
    options = [f"a {slot}" for slot in slots] + [repr(word) for word in words] + signs
    return " or ".join(options) if options else "nothing more"


def caption_truth(sentence: str, state: Any) -> dict[str, bool]:
    """Whether what a caption says of each slot is true of one state (or a batch of one); parsed as `parse` does.

    The state of an environment is `env.unwrapped.state`.
    """
    grammar, state = grammar_of_state(state), state.batched()
    if len(state) != 1:
        raise ValueError(
            f"caption_truth judges one state, not {len(state)}: use captions_true for a batch"
        )
    claims = parse(grammar.scene, sentence)
    meanings = grammar.meanings(state)[0]
    return {
        claim.slot: bool(meanings[_column(grammar, claim)] == claim.meaning) for claim in claims
    }


def captions_true(sentences: Sequence[str], states: Any) -> NDArray[np.bool_]:
    """(N, S) whether sentence n is true of state n, slot by slot in the scene's order; all False where unparsable."""
    grammar, states = grammar_of_state(states), states.batched()
    if len(sentences) != len(states):
        raise ValueError(
            f"{len(sentences)} sentences cannot be about {len(states)} states: give one for each"
        )
    meanings = grammar.meanings(states)
    truth = np.zeros((len(sentences), len(grammar.slots)), dtype=bool)
    for row, sentence in enumerate(sentences):
        try:
            _, said = read(grammar.scene, sentence)
        except ValueError:
            continue
        truth[row] = [meanings[row, phrase.column] == phrase.meaning for phrase in said]
    return truth
