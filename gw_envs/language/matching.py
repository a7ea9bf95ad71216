"""Find runs of words in a text that resemble wordings, and decide which slot each of them fills."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from difflib import SequenceMatcher
from functools import cache
from itertools import combinations, product, takewhile
from typing import NamedTuple

from gw_envs.language.grammar import Grammar, Phrase, split
from gw_envs.language.listening import CUES, NEGATIONS, Word
from gw_envs.language.registry import grammar_of_scene
from gw_envs.language.resemblance import FILLERS, content

_ORDERS = {
    **dict.fromkeys(("in", "on", "at"), ("place",)),
    **dict.fromkeys(("to", "toward", "towards"), ("direction", "place")),
}
"""The slots that a phrase may belong to after a preposition, the likeliest first."""

_LINKS = FILLERS | {"is", "are", "it"}
"""Words that may stand between a phrase and the word that tells its slot or negates it."""

_REACH = 4
"""Most words between a phrase and the word that tells its slot or negates it."""

_LONGEST = 12
"""Most words of a run."""


class Wordings(NamedTuple):
    """Wordings of one slot that share some content words, and their meaning."""

    missing: int
    """How many of their content words are not among the shared ones."""
    phrases: tuple[Phrase, ...]
    """The wordings, the plainest first."""
    fillers: frozenset[str]
    """Fillers in wordings of the slot."""


class Match(NamedTuple):
    """A run of words that resembles wordings."""

    start: int
    """Number of the first word."""
    stop: int
    """Number of the word after the last one."""
    closeness: int
    """Content words that are shared with the wordings, less those that are missing."""
    options: dict[str, tuple[Phrase, ...]]
    """Wordings of one meaning in each slot that it may fill, the likeliest slot first; empty if the
    text negates it."""


def find_matches(grammar: Grammar, words: Sequence[Word]) -> list[Match]:
    """Return runs of words without overlaps, in the text's order.

    Of two that overlap, the one that shares more content words with its wordings is kept, then the
    longer one, then the first.
    """
    table = _table(grammar.scene)
    found = [match for start in range(len(words)) for match in _starting_at(table, words, start)]
    found.sort(key=lambda match: (-match.closeness, match.start - match.stop, match.start))
    is_taken = [False] * len(words)
    kept = []
    for match in found:
        if not any(is_taken[match.start : match.stop]):
            is_taken[match.start : match.stop] = [True] * (match.stop - match.start)
            kept.append(match)
    return sorted(kept, key=lambda match: match.start)


def fill_slots(matches: Iterable[Match]) -> dict[str, Match]:
    """Return the match of each slot that the text fills.

    The first match counts. Those that fit several slots come after those that fit one.
    """
    filled: dict[str, Match] = {}
    for match in sorted(matches, key=lambda match: len(match.options) > 1):
        free = [slot for slot in match.options if slot not in filled]
        if free:
            filled[free[0]] = match
    return filled


class Taken(NamedTuple):
    """Words of a text and the wording they are taken for."""

    start: int
    """Number of the first word."""
    typed: str
    """The words in lower case."""
    phrase: Phrase
    """The wording."""

    @property
    def is_exact(self) -> bool:
        """Whether the words are those of the wording."""
        return self.typed == self.phrase.text


def closest(words: Sequence[Word], match: Match, phrases: Iterable[Phrase]) -> Taken:
    """Return the wording that a match resembles most, and the match with the fillers around it that
    make it most alike."""
    best, taken = (-1.0, 0), None
    for phrase in phrases:
        for start, stop in _extents(words, match, FILLERS.intersection(split(phrase.text))):
            text = " ".join(word.meant for word in words[start:stop])
            letters = SequenceMatcher(None, text, phrase.text, autojunk=False).ratio()
            if (letters, stop - start) > best:
                typed = " ".join(word.typed for word in words[start:stop])
                best, taken = (letters, stop - start), Taken(start, typed, phrase)
    assert taken is not None, "a match has wordings"
    return taken


def _extents(words: Sequence[Word], match: Match, fillers: Set[str]) -> list[tuple[int, int]]:
    """Return the first word, and the word after the last, of a match with such fillers around
    it."""
    starts = [match.start, *_leading(words, range(match.start - 1, -1, -1), fillers)]
    last = [match.stop - 1, *_leading(words, range(match.stop, len(words)), fillers)]
    return [(start, number + 1) for start, number in product(starts, last)]


def _leading(words: Sequence[Word], numbers: range, fillers: Set[str]) -> list[int]:
    """Return the first of the numbers, as long as they are those of such fillers."""
    return list(takewhile(lambda number: words[number].meant in fillers, numbers[:_REACH]))


Table = dict[tuple[str, ...], dict[str, Wordings]]
"""{content words: {slot: wordings}}."""


@cache
def _table(scene: str) -> Table:
    """Return the wordings of a scene by their content words, and by parts of these.

    A part stands for the wordings that have the fewest other content words; if these have several
    meanings in a slot, it says nothing about that slot.
    """
    grammar = grammar_of_scene(scene)
    fillers: dict[int, set[str]] = defaultdict(set)
    for phrase in grammar.phrases:
        fillers[phrase.slot] |= FILLERS.intersection(split(phrase.text))
    table: Table = defaultdict(dict)
    for (part, slot), wordings in _parts(grammar).items():
        least = min(missing for missing, _ in wordings)
        phrases = tuple(phrase for missing, phrase in wordings if missing == least)
        if len({(phrase.column, phrase.meaning) for phrase in phrases}) == 1:
            table[part][grammar.slots[slot].name] = Wordings(
                least, phrases, frozenset(fillers[slot])
            )
    _add_swapped(table)
    return dict(table)


def _parts(grammar: Grammar) -> dict[tuple[tuple[str, ...], int], list[tuple[int, Phrase]]]:
    """Return {(content words, slot): [(other content words of a wording, the wording)]}.

    The content words are at least half of those of each wording, in order.
    """
    parts = defaultdict(list)
    for phrase in grammar.phrases:
        key = content(split(phrase.text))
        for size in range((len(key) + 1) // 2, len(key) + 1):
            for part in set(combinations(key, size)):
                parts[part, phrase.slot].append((len(key) - size, phrase))
    return parts


def _add_swapped(table: Table) -> None:
    """Let two content words stand in the other order too, such as `left upper corner`."""
    pairs = [(part, slots) for part, slots in table.items() if len(part) == 2]
    for (first, second), slots in pairs:
        for slot, wordings in slots.items():
            if not wordings.missing:
                table[second, first].setdefault(slot, wordings._replace(missing=1))


def _starting_at(table: Table, words: Sequence[Word], start: int) -> Iterator[Match]:
    """Yield the runs that start with a word, if it has content."""
    order = _likely_slots(words, start)
    key: tuple[str, ...] = ()
    inner: set[str] = set()
    for stop, word in enumerate(words[start : start + _LONGEST], start + 1):
        if word.content:
            key += (word.content,)
            options = _options(table.get(key, {}), order, inner, words[start:stop])
            if options:
                missing = options[0][1].missing
                named = {slot: wordings.phrases for slot, wordings in options}
                if _is_negated(words, start):
                    named = {}
                yield Match(start, stop, len(key) - missing, named)
        elif key and word.meant in FILLERS:
            inner.add(word.meant)
        if not key or not (word.content or word.meant in FILLERS):
            return


def _options(
    wordings: dict[str, Wordings], order: Sequence[str], inner: set[str], words: Sequence[Word]
) -> list[tuple[str, Wordings]]:
    """Return the wordings with the fewest missing words that a run may stand for, by slot.

    A run that holds a typo must not miss any word besides.
    """
    slots = [slot for slot in order if slot in wordings]
    slots = slots or [slot for slot in wordings if not (order and slot in CUES)]
    has_slip = any(word.is_slip for word in words)
    fitting = [
        slot
        for slot in slots
        if inner <= wordings[slot].fillers and not (has_slip and wordings[slot].missing)
    ]
    least = min((wordings[slot].missing for slot in fitting), default=0)
    return [(slot, wordings[slot]) for slot in fitting if wordings[slot].missing == least]


def _likely_slots(words: Sequence[Word], start: int) -> tuple[str, ...]:
    """Return the slots that the words before a run tell, the likeliest first; none if they tell
    nothing."""
    likely: tuple[str, ...] = ()
    for word in _before(words, start):
        for slot, cues in CUES.items():
            if word.meant in cues:
                return (slot,)
        likely = likely or _ORDERS.get(word.meant, ())
    return likely


def _is_negated(words: Sequence[Word], start: int) -> bool:
    """Tell whether a word before a run negates it."""
    return any(word.meant in NEGATIONS for word in _before(words, start))


def _before(words: Sequence[Word], start: int) -> Iterator[Word]:
    """Yield the words before a run from its beginning, up to the first that is no link."""
    for word in reversed(words[max(0, start - _REACH) : start]):
        yield word
        if word.meant not in _LINKS:
            return
