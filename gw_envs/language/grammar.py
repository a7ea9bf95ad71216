"""What a scene's captions are made of: slots, their meanings, the wordings of each meaning, and sentence structures.

A *slot* is something every caption states (a color, a place). A *variant* is one way of cutting what the slot is about
into numbered *meanings*, each a region of state space (a 3 x 3 or a 7 x 7 grid of places). Each meaning has wordings.
Everything here is data: `writer` turns it into token ids, `parser` into a parser, `vocabulary` into a list of words.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

_ITEM = re.compile(r"\{(?:(a) )?(\w+)\}|([^\s{}]+?)(?=[\s,.]|$)|([,.])")
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*|[^\sa-z]")

Wordings = tuple[tuple[str, ...], ...]
"""`wordings[meaning][wording]`: the phrases of a variant."""


def split(text: str) -> list[str]:
    """The lower-case words of a text, each comma and full stop (and any other sign) on its own."""
    return _WORD.findall(text.lower())


def article(phrase: str) -> str:
    """`a` or `an`, whichever goes before the phrase: no phrase here starts with a silent h or a u as in `unit`."""
    return "an" if phrase[0] in "aeiou" else "a"


@dataclass(frozen=True)
class Variant:
    """One granularity of a slot: a partition of state space into numbered meanings, and how each is said."""

    name: str
    wordings: Wordings
    """Wording 0 is the plain one; wording k of every meaning is in the same style wherever the counts are equal."""


@dataclass(frozen=True)
class Slot:
    """Something every caption of a scene states."""

    name: str
    variants: tuple[Variant, ...]
    preferences: tuple[tuple[str, str], ...]
    """The granularities to choose from: a variant, and the one to use where the first has no meaning."""


@dataclass(frozen=True)
class Item:
    """One piece of a sentence structure: a word, or a slot's phrase, possibly with its article."""

    word: str = ""
    slot: int = -1
    article: bool = False


@dataclass(frozen=True)
class Phrase:
    """One wording: `text` says that `meaning` holds in the variant numbered `column` of the slot numbered `slot`."""

    slot: int
    column: int
    meaning: int
    wording: int
    text: str


@dataclass(frozen=True, eq=False)
class Grammar:
    """All captions of a scene."""

    scene: str
    slots: tuple[Slot, ...]
    structures: tuple[str, ...]
    """Sentences with `{slot}` or `{a slot}`, which puts the article in front. The first one is the plain one."""
    meanings: Callable[[Any], NDArray]
    """state -> (N, C) int64, the meaning in each column (a variant of a slot, in order); -1 where it has none."""

    @cached_property
    def columns(self) -> tuple[tuple[int, str], ...]:
        """(slot number, variant name) of each column of `meanings`."""
        return tuple(
            (number, variant.name)
            for number, slot in enumerate(self.slots)
            for variant in slot.variants
        )

    @cached_property
    def items(self) -> tuple[tuple[Item, ...], ...]:
        """The structures, taken apart."""
        return tuple(tuple(self._items(structure)) for structure in self.structures)

    def _items(self, structure: str) -> Iterator[Item]:
        names = [slot.name for slot in self.slots]
        for with_article, slot, word, sign in _ITEM.findall(structure.lower()):
            yield (
                Item(slot=names.index(slot), article=bool(with_article))
                if slot
                else Item(word=word or sign)
            )

    @cached_property
    def phrases(self) -> tuple[Phrase, ...]:
        """Every wording of every meaning, by column, then meaning, then wording."""
        variants = [variant for slot in self.slots for variant in slot.variants]
        return tuple(
            Phrase(self.columns[column][0], column, meaning, wording, text)
            for column, variant in enumerate(variants)
            for meaning, texts in enumerate(variant.wordings)
            for wording, text in enumerate(texts)
        )

    def words(self) -> set[str]:
        """Every word and sign the captions use, both articles included."""
        fixed = {item.word for items in self.items for item in items if item.word}
        return fixed.union({"a", "an"}, *(split(phrase.text) for phrase in self.phrases))
