"""Measure how much alike two wordings are."""

from collections.abc import Iterable
from difflib import SequenceMatcher

FILLERS = frozenset(
    {"a", "an", "the", "in", "on", "at", "to", "of", "toward", "towards", "and", "corner", "side"}
    | {"colored", "shape", "shaped", "sized", "polygon", "part", "image", "scene", "floor"}
)
"""Words that can be missing from a wording of any slot without another meaning in that slot."""

_ENDINGS = ("-sized", "-shaped")

SYNONYMS = {
    "upper": "top",
    "up": "top",
    "upward": "top",
    "upwards": "top",
    "lower": "bottom",
    "down": "bottom",
    "downward": "bottom",
    "downwards": "bottom",
    "leftward": "left",
    "leftwards": "left",
    "rightward": "right",
    "rightwards": "right",
    "reddish": "red",
    "yellowish": "yellow",
    "greenish": "green",
    "bluish": "blue",
    "purplish": "purple",
    "pinkish": "pink",
    "brownish": "brown",
    "grayish": "gray",
    "beside": "near",
    "by": "near",
}
"""Words that mean the same in any wording."""


def content(words: Iterable[str]) -> tuple[str, ...]:
    """Return the words that tell one meaning of a slot from another."""
    return tuple(_stem(word) for word in words if word not in FILLERS)


def _stem(word: str) -> str:
    """Return a word's synonym, without an ending such as that of `medium-sized`."""
    for ending in _ENDINGS:
        word = word.removesuffix(ending)
    return SYNONYMS.get(word, word)


def likeness(text: str, other: str, least: float) -> float:
    """Return how much alike two texts are, from 0 to 1: in letters, or in words that count.

    Returns 0 if it is less than `least`, which is often quick to see.
    """
    ours, theirs = set(content(text.split())), set(content(other.split()))
    shared = len(ours & theirs) / max(1, len(ours | theirs))
    matcher = SequenceMatcher(None, text, other, autojunk=False)
    alike = 0.0
    for letters in (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio):
        ratio = letters()  # never more than the one before
        alike = max(ratio, (ratio + shared) / 2)
        if alike < least:
            return 0.0
    return alike
