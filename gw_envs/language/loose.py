"""Read what a free text says about a scene, and tell what of it was not understood."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from gw_envs.errors import InputError, describe
from gw_envs.language.claims import Claim, claims_of
from gw_envs.language.grammar import split
from gw_envs.language.listening import Word, lexicon_of, listen
from gw_envs.language.matching import Match, closest, fill_slots, find_matches
from gw_envs.language.parser import checked_text, phrases_if_read
from gw_envs.language.refusals import refusal_of_nothing
from gw_envs.language.registry import grammar_of_scene
from gw_envs.language.vocabulary import VOCABULARY

MOST_NAMED = 5
"""Most ignored words that `LooseReading.remark` names."""

LONGEST_NAMED = 40
"""Most characters of an ignored word or phrase that a message quotes."""


@dataclass(frozen=True)
class LooseReading:
    """What `read_loosely` understood of a text."""

    sentence: str
    """A caption that states exactly the claims."""
    claims: tuple[Claim, ...]
    """One claim for each slot in the scene's order, as `parse(scene, sentence)` returns them."""
    ignored: tuple[str, ...]
    """Words and phrases that have no part in the sentence, in order."""
    approximations: tuple[tuple[str, str], ...]
    """Words of the text and the wording that they were taken for, where the two differ, in order.
    """

    @property
    def remark(self) -> str:
        """What was not read to the letter, as the end of a sentence; empty if there is nothing."""
        taken = [f"{typed!r} as {wording!r}" for typed, wording in self.approximations]
        parts = [f"took {', '.join(taken)}"] if taken else []
        if self.ignored:
            parts.append(f"ignored {_named(self.ignored)}")
        return " and ".join(parts)


def read_loosely(scene: str, text: str) -> LooseReading:
    """Read what a text says about a scene, whatever its order and its other words.

    Wordings of the scene's claims are looked for anywhere in the text, the longest and closest
    first. Words such as "corner" may be missing; plurals, British spellings and small typos are
    understood. Of two claims about the same thing, the first in the text counts; a claim after
    "not" never does.

    Args:
        scene: name or environment id of the scene.
        text: free text, for example "a big red triangle in the upper left pointing right".

    Raises:
        InputError: the text is empty, or says nothing of some slots of the scene, which the message
            names.
    """
    grammar = grammar_of_scene(scene)
    read = phrases_if_read(scene, checked_text(text))
    if read is not None:
        return LooseReading(VOCABULARY.join(split(text)), claims_of(grammar, read), (), ())
    if not text.strip():
        raise InputError(refusal_of_nothing(grammar))
    words = listen(scene, text)
    matches = find_matches(grammar, words)
    filled = fill_slots(matches)
    known = lexicon_of(grammar.scene).known
    ignored = tuple(_ignored(words, matches, filled.values(), known))
    absent = [slot.name for slot in grammar.slots if slot.name not in filled]
    if absent:
        raise InputError(_says_nothing_of(absent, text, ignored))
    taken = [
        closest(words, filled[slot.name], filled[slot.name].options[slot.name])
        for slot in grammar.slots
    ]
    phrases = [part.phrase for part in taken]
    return LooseReading(
        VOCABULARY.join(grammar.compose(phrases)),
        claims_of(grammar, phrases),
        ignored,
        tuple((part.typed, part.phrase.text) for part in sorted(taken) if not part.is_exact),
    )


def _ignored(
    words: Sequence[Word], matches: Sequence[Match], filled: Iterable[Match], known: Set[str]
) -> Iterator[str]:
    """Yield the phrases that fill no slot, and the words that are neither in phrases nor known."""
    starts = {match.start for match in filled}
    runs = {match.start: match for match in matches}
    number = 0
    while number < len(words):
        word, run = words[number], runs.get(number)
        if run is not None and run.start not in starts:
            yield " ".join(word.typed for word in words[run.start : run.stop])
        elif run is None and word.typed[0].isalnum() and (word.content or word.meant not in known):
            yield word.typed
        number = run.stop if run is not None else number + 1


def _says_nothing_of(slots: Sequence[str], text: str, ignored: Sequence[str]) -> str:
    """Return the error message for a text that lacks some claims."""
    *others, last = slots
    named = f"{', '.join(others)} and {last}" if others else last
    unread = f"; ignored {_named(ignored)}" if ignored else ""
    return f"the text {describe(text)} says nothing of {named}{unread}"


def _named(ignored: Sequence[str]) -> str:
    """Quote the first ignored words, and count the others."""
    named = ", ".join(describe(word, LONGEST_NAMED) for word in ignored[:MOST_NAMED])
    more = len(ignored) - MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named
