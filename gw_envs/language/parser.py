"""Read sentences as claims about a scene, with a lark parser built from the captions' grammar."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from lark import Lark, UnexpectedInput

from gw_envs.errors import InputError, InputTypeError
from gw_envs.language.claims import Claim, claims_of
from gw_envs.language.grammar import Grammar, Item, Phrase, article, split
from gw_envs.language.refusals import refusal
from gw_envs.language.registry import grammar_of_scene


def parse(scene: str, sentence: str) -> tuple[Claim, ...]:
    """Read a caption. Returns its claims, one for each slot in the scene's order.

    Letter case and spacing do not matter. A sentence outside the scene's grammar raises an
    InputError that quotes the part understood, the word where understanding stopped, and the
    nearest wordings that the grammar knows there; `read_loosely` reads what it can of it.
    """
    _, phrases = read(scene, sentence)
    return claims_of(grammar_of_scene(scene), phrases)


def read(scene: str, sentence: str) -> tuple[int, tuple[Phrase, ...]]:
    """Return the number of a caption's structure and each slot's phrase; errors as in `parse`."""
    text = " ".join(split(checked_text(sentence)))
    grammar = grammar_of_scene(scene)
    try:
        return _read(grammar, text)
    except UnexpectedInput as error:
        raise InputError(refusal(grammar, text, error)) from None


def phrases_if_read(scene: str, sentence: str) -> tuple[Phrase, ...] | None:
    """Return each slot's phrase as `read` does; None for a sentence outside the grammar."""
    try:
        _, phrases = _read(grammar_of_scene(scene), " ".join(split(checked_text(sentence))))
    except UnexpectedInput:
        return None
    return phrases


def checked_text(sentence: Any) -> str:
    """Return `sentence`; InputTypeError unless it is text."""
    if not isinstance(sentence, str):
        raise InputTypeError(f"a caption is text, not {type(sentence).__name__}: give a sentence")
    return sentence


def _read(grammar: Grammar, text: str) -> tuple[int, tuple[Phrase, ...]]:
    """Parse words with one space between them; UnexpectedInput if they are no caption."""
    tree: Any = _lark(grammar.scene).parse(text)
    (structure,), known = tree.children, _phrases(grammar.scene)
    slots = [token for token in structure.children if "SLOT_" in token.type]
    phrases = [known[token.type, str(token)] for token in slots]
    number = int(structure.data.rpartition("_")[2])
    return number, tuple(sorted(phrases, key=lambda phrase: phrase.slot))


def lark_grammar(grammar: Grammar) -> str:
    """Return the lark grammar of a scene's captions.

    It has one terminal for each word and each slot, and one rule for each structure.
    """
    rules, terminals = [], {}
    for number, items in enumerate(grammar.items):
        symbols = " ".join(grammar.symbol(item) for item in items)
        rules.append(f"structure_{number}: {symbols}")
        for item in items:
            terminals[grammar.symbol(item)] = _pattern(grammar.texts(item))
    start = "start: " + " | ".join(f"structure_{number}" for number in range(len(rules)))
    definitions = [f"{name}: {pattern}" for name, pattern in terminals.items()]
    return "\n".join([start, *rules, *definitions, '%ignore " "'])


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
        plain = grammar.symbol(Item(slot=phrase.slot))
        with_article = grammar.symbol(Item(slot=phrase.slot, article=True))
        spelled = " ".join(split(phrase.text))
        for key in ((plain, spelled), (with_article, f"{article(spelled)} {spelled}")):
            assert key not in phrases, f"{key[1]!r} has two meanings in {scene}"
            phrases[key] = phrase
    return phrases
