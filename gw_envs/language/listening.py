"""Hear free text as words of a scene's captions: spellings, plurals, compounds and small typos."""

import re
from collections import defaultdict
from functools import cache
from typing import NamedTuple

from gw_envs.language.grammar import split
from gw_envs.language.registry import grammar_of_scene
from gw_envs.language.resemblance import FILLERS, SYNONYMS, content

_TOKEN = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|[^\s:]")

_SPELLINGS = {
    "grey": "gray",
    "greyish": "grayish",
    "colour": "color",
    "coloured": "colored",
    "centre": "center",
    "shelf": "shelves",
}

CUES = {
    "direction": frozenset(
        {"pointing", "points", "pointed", "point", "facing", "faces", "face", "heading", "heads"}
        | {"headed", "aiming", "aims", "aimed", "looking", "looks", "directed", "oriented"}
        | {"turned", "turning", "rotated", "direction", "orientation"}
    ),
    "place": frozenset(
        {"located", "lies", "lying", "stands", "standing", "sits", "sitting", "placed"}
        | {"positioned", "position", "location", "place"}
    ),
}
"""Words after which a phrase can only belong to that slot."""

NEGATIONS = frozenset({"not", "no", "never", "without", "isn't", "neither", "nor", "non"})
"""Words after which a phrase is not a claim."""

_NO_TYPOS = frozenset({"while", "write"})
"""English words that would pass for a typo in a word of captions."""

_SHORTEST_TYPO = 4
"""Fewest letters of a word that may be a typo."""


class Word(NamedTuple):
    """A word or punctuation mark of a text."""

    typed: str
    """The text in lower case, a space between its parts."""
    meant: str
    """The word of captions it stands for; as typed if there is none."""
    content: str = ""
    """What it adds to the meaning of a wording; empty for fillers and words outside wordings."""
    is_slip: bool = False
    """Whether it is taken for a typo."""


class Lexicon(NamedTuple):
    """The words that can be heard in a text about one scene."""

    known: frozenset[str]
    """Words of captions, and others that are understood."""
    contents: frozenset[str]
    """Contents of words in wordings."""
    slips: dict[str, frozenset[str]]
    """The known words by what is left of them without one letter, or without none."""


def listen(scene: str, text: str) -> list[Word]:
    """Return the words of a text as they are meant."""
    lexicon = lexicon_of(grammar_of_scene(scene).scene)
    words: list[Word] = []
    for typed in reversed(_TOKEN.findall(text.lower().replace("\u2019", "'"))):
        for word in reversed(_heard(lexicon, typed)):
            # Compounds are joined from the end: north north west, north northwest.
            joined = _compound(lexicon, word, words[-1]) if words else None
            if joined is None:
                words.append(word)
            else:
                words[-1] = joined
    return words[::-1]


@cache
def lexicon_of(scene: str) -> Lexicon:
    """Return the words of a scene's captions and all others that are understood beside them."""
    grammar = grammar_of_scene(scene)
    words = {word for phrase in grammar.phrases for word in split(phrase.text)}
    contents = frozenset(content(words))
    cues = frozenset[str]().union(*CUES.values())
    slots = {slot.name for slot in grammar.slots}
    known = contents | FILLERS | SYNONYMS.keys() | cues | slots | grammar.words()
    slips = defaultdict(set)
    for word in known:
        for rest in _without_a_letter(word):
            slips[rest].add(word)
    return Lexicon(known, contents, {rest: frozenset(words) for rest, words in slips.items()})


def _heard(lexicon: Lexicon, typed: str) -> list[Word]:
    """Return a word as it is meant, or the parts of an unknown word with a hyphen."""
    word = _meant(lexicon, typed)
    if word.meant in lexicon.known or "-" not in typed:
        return [word]
    return [_meant(lexicon, part) for part in typed.split("-")]


def _meant(lexicon: Lexicon, typed: str) -> Word:
    """Return the known word that a word stands for, or the word itself if there is none."""
    spelled = _SPELLINGS.get(typed, typed)
    singular = typed.removesuffix("s")
    for form in (spelled, spelled.replace("-", ""), singular, f"{typed}s"):
        if form in lexicon.known and (form == spelled or len(singular) > 2):
            return _word(lexicon, typed, form)
    for form in (typed, singular):
        near = _slips(lexicon, form)
        if len(near) == 1:
            return _word(lexicon, typed, near.pop(), True)
    return Word(typed, typed)


def _slips(lexicon: Lexicon, word: str) -> set[str]:
    """Return the known words of which a word may be a typo."""
    if len(word) < _SHORTEST_TYPO or word in _NO_TYPOS:
        return set()
    near = {known for rest in _without_a_letter(word) for known in lexicon.slips.get(rest, ())}
    return {known for known in near if _is_a_slip(word, known)}


def _word(lexicon: Lexicon, typed: str, meant: str, is_slip: bool = False) -> Word:
    """Return a known word with its content."""
    added = content([meant])
    counts = bool(added) and added[0] in lexicon.contents
    return Word(typed, meant, added[0] if counts else "", is_slip)


def _is_a_slip(word: str, known: str) -> bool:
    """Tell whether a word that shares all letters but one with a known one is a typo of it.

    The first letter is hardly ever wrong, and short words have many neighbors in English.
    """
    permuted = sorted(word) == sorted(known)
    return word[0] == known[0] and (len(known) > _SHORTEST_TYPO or permuted)


def _without_a_letter(word: str) -> set[str]:
    """Return a word, and what is left of it without one of its letters; nothing if it is long."""
    if len(word) > 25:
        return set()
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def _compound(lexicon: Lexicon, first: Word, second: Word) -> Word | None:
    """Return the known word that two words make together, with or without a hyphen."""
    for sign in ("", "-"):
        joined = f"{first.meant}{sign}{second.meant}"
        if joined in lexicon.known:
            typed = f"{first.typed} {second.typed}"
            return _word(lexicon, typed, joined, first.is_slip or second.is_slip)
    return None
