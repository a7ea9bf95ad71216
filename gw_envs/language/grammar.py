"""The grammar of captions as data: slots, their meanings, wordings, and sentence structures.

A *slot* is something that every caption states (a color, a place). A *variant* divides the states
into numbered *meanings*, each a region of state space (a 3 x 3 or a 7 x 7 grid of places). Each
meaning has wordings. `writer` turns this data into token ids, `parser` into a parser, `vocabulary`
into a list of words.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

_ITEM = re.compile(r"\{(?:(a) )?(\w+)\}|([^\s{}]+?)(?=[\s,.]|$)|([,.])")
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*|[^\sa-z]")

Wordings = tuple[tuple[str, ...], ...]
"""`wordings[meaning][wording]`: the phrases of a variant."""


def split(text: str) -> list[str]:
    """Return the lower-case words of a text; every punctuation mark stands alone."""
    return _WORD.findall(text.lower())


def article(phrase: str) -> str:
    """Return the article of a phrase; no phrase here begins with a silent h or a u as in `unit`."""
    return "an" if phrase[0] in "aeiou" else "a"


@dataclass(frozen=True)
class Variant:
    """One granularity of a slot: numbered meanings that divide the states, and their wordings."""

    name: str
    wordings: Wordings
    """The wordings of each meaning, the plain one first. Wording k of every meaning has the same
    style, if all meanings have equally many."""


@dataclass(frozen=True)
class Slot:
    """Something that every caption of a scene states."""

    name: str
    variants: tuple[Variant, ...]
    preferences: tuple[tuple[str, str], ...]
    """The granularities to choose from, as pairs: a variant, and its replacement where it has no
    meaning."""


@dataclass(frozen=True)
class Item:
    """One piece of a sentence structure: a word, or a slot's phrase, with or without article."""

    word: str = ""
    slot: int = -1
    article: bool = False


@dataclass(frozen=True)
class Phrase:
    """One wording: `text` says that `meaning` holds in variant number `column`, of slot `slot`."""

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
    """Sentence patterns with `{slot}`, or `{a slot}` for a phrase with its article; the first is
    the plain one."""
    meanings: Callable[[Any], NDArray]
    """Function from N scenes to (N, C) int64, their meaning in each column; -1 if there is none. A
    column is a variant of a slot."""
    place_distances: Callable[[Any, NDArray, NDArray], NDArray]
    """Function from N scenes, and from the variant numbers (N,) and meanings (N,) of claims about
    their places, to (N,) distances in the scene's unit of length to the claimed regions."""

    @cached_property
    def columns(self) -> tuple[tuple[int, str], ...]:
        """The slot number and variant name of each column of `meanings`."""
        return tuple(
            (number, variant.name)
            for number, slot in enumerate(self.slots)
            for variant in slot.variants
        )

    def slot_number(self, name: str) -> int:
        """Return the number of the slot with a name."""
        return [slot.name for slot in self.slots].index(name)

    @cached_property
    def items(self) -> tuple[tuple[Item, ...], ...]:
        """The pieces of each structure."""
        return tuple(tuple(self._items(structure)) for structure in self.structures)

    def _items(self, structure: str) -> Iterator[Item]:
        """Split a structure into its pieces."""
        names = [slot.name for slot in self.slots]
        for with_article, slot, word, sign in _ITEM.findall(structure.lower()):
            if slot:
                yield Item(slot=names.index(slot), article=bool(with_article))
            else:
                yield Item(word=word or sign)

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

    def symbol(self, item: Item) -> str:
        """Return a name for what can stand in the place of an item, in capitals."""
        if item.slot < 0:
            return {",": "COMMA", ".": "STOP"}.get(item.word, f"WORD_{item.word.upper()}")
        slot = f"SLOT_{self.slots[item.slot].name.upper()}"
        return f"A_{slot}" if item.article else slot

    def texts(self, item: Item) -> list[str]:
        """Return all texts that can stand in the place of an item."""
        if item.slot < 0:
            return [item.word]
        texts = [phrase.text for phrase in self.phrases if phrase.slot == item.slot]
        return [f"{article(text)} {text}" for text in texts] if item.article else texts

    def compose(self, phrases: Sequence[Phrase]) -> list[str]:
        """Return the words of the plain sentence that says one phrase for each slot, in order."""
        words = []
        for item in self.items[0]:
            text = phrases[item.slot].text if item.slot >= 0 else item.word
            words += split(f"{article(text)} {text}" if item.article else text)
        return words

    def fixed_words(self) -> set[str]:
        """Return the words and punctuation marks of sentence structures, both articles included."""
        return {item.word for items in self.items for item in items if item.word} | {"a", "an"}

    def words(self) -> set[str]:
        """Return every word and punctuation mark of the captions."""
        return self.fixed_words().union(*(split(phrase.text) for phrase in self.phrases))
