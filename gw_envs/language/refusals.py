"""Say where a sentence leaves the grammar, and what the grammar could have said there."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from lark import Token, UnexpectedInput

from gw_envs.errors import describe
from gw_envs.language.claims import LONGEST_WORD
from gw_envs.language.grammar import Grammar, Item, article
from gw_envs.language.resemblance import likeness
from gw_envs.language.vocabulary import VOCABULARY

LONGEST_QUOTE = 80
"""Most characters of a sentence that an error message quotes."""

LONGEST_WORDING = 12
"""Most words of a wording."""

MOST_WORDINGS = 3
"""Most wordings that an error message proposes."""

ALIKE = 0.55
"""Least likeness of a wording that an error message proposes."""

CLOSE_BEHIND = 0.1
"""A wording is proposed only if it is at most this much less alike than the best one."""

SAME_WORD = 0.75
"""Least likeness of two words of which one may be a typo of the other."""

_ARTICLES = ("a", "an")
_SIGNS = {",": "a comma", ".": "a full stop"}


def refusal(grammar: Grammar, text: str, error: UnexpectedInput) -> str:
    """Return one sentence about a text that is no caption.

    Args:
        grammar: the grammar of the scene's captions.
        text: lower-case words with one space between them.
        error: the parser's complaint about that text.
    """
    if not text:
        return refusal_of_nothing(grammar)
    start = _stop(text, error)
    understood, rest = text[:start].split(), text[start:].split()
    expected = _expected(grammar, error)
    begun = _words_begun(grammar, expected, rest)
    if begun:
        expected = [item for item in expected if _begins(grammar, item, rest[:begun])]
        understood += rest[:begun]
    after = f"understood up to {_tail(understood)} and" if understood else "at the beginning"
    options = _options(grammar, expected, "the rest of " if begun else "")
    found = _found(rest[begun:])
    hint = _hint(grammar, error, expected, rest)
    return f"not a caption of {grammar.scene}: {after} expected {options}, found {found}{hint}"


def refusal_of_nothing(grammar: Grammar) -> str:
    """Return one sentence about an empty text."""
    return f"not a caption of {grammar.scene}: it is empty, write for example {example(grammar)!r}"


def example(grammar: Grammar) -> str:
    """Return a caption: the plain sentence that says the first meaning of each slot."""
    firsts = {phrase.slot: phrase for phrase in reversed(grammar.phrases)}
    phrases = [firsts[slot] for slot in range(len(grammar.slots))]
    return VOCABULARY.join(grammar.compose(phrases))


def _stop(text: str, error: UnexpectedInput) -> int:
    """Return the character of the text at which the parser stopped."""
    token = getattr(error, "token", None)
    ended = isinstance(token, Token) and token.type == "$END"
    return len(text) if ended or error.pos_in_stream is None else error.pos_in_stream


def _expected(grammar: Grammar, error: UnexpectedInput) -> list[Item]:
    """Return the pieces of sentences that could stand where the parser stopped."""
    names = set(getattr(error, "allowed", None) or getattr(error, "expected", None) or ())
    items = {grammar.symbol(item): item for items in grammar.items for item in items}
    return [item for symbol, item in items.items() if symbol in names]


def _words_begun(grammar: Grammar, expected: Iterable[Item], rest: Sequence[str]) -> int:
    """Return how many of the words could begin a piece that was expected, except an article."""
    count = 0
    while count < len(rest) and any(_begins(grammar, item, rest[: count + 1]) for item in expected):
        count += 1
    return 0 if count == 1 and rest[0] in _ARTICLES else count


def _begins(grammar: Grammar, item: Item, words: Sequence[str]) -> bool:
    """Tell whether a text of an item begins with these words."""
    return any(f"{text} ".startswith(f"{' '.join(words)} ") for text in grammar.texts(item))


def _tail(words: Iterable[str]) -> str:
    """Quote the end of a sentence."""
    text = VOCABULARY.join(words)
    return repr(text if len(text) <= LONGEST_QUOTE else f"...{text[3 - LONGEST_QUOTE :]}")


def _found(rest: Sequence[str]) -> str:
    """Quote the first word, and the one after an article."""
    if not rest:
        return "the end"
    return describe(" ".join(rest[: 2 if rest[0] in _ARTICLES else 1]), LONGEST_WORD)


def _options(grammar: Grammar, expected: Sequence[Item], part: str) -> str:
    """List what was expected: (a part of) slots by their names, then words, then punctuation."""
    slots = {grammar.slots[item.slot].name for item in expected if item.slot >= 0}
    words = {item.word for item in expected if item.slot < 0} - {*_SIGNS}
    signs = [name for sign, name in _SIGNS.items() if Item(sign) in expected]
    named = [f"{part}{article(slot)} {slot}" for slot in sorted(slots)]
    return " or ".join([*named, *map(repr, sorted(words)), *signs]) or "nothing more"


def _hint(
    grammar: Grammar, error: UnexpectedInput, expected: Iterable[Item], rest: Sequence[str]
) -> str:
    """Propose the wordings of expected slots that most resemble what follows, or else give
    examples."""
    slots = [item for item in expected if item.slot >= 0]
    texts = [text for item in slots for text in grammar.texts(item)]
    near = _best(_likenesses(texts, _openings(rest)) | _of_longer(grammar, error, rest))
    if near:
        return f" (did you mean {_either(near)}?)"
    if len(slots) > 1:
        return f" (write for example {example(grammar)!r})"
    if not slots:
        return ""
    slot = grammar.slots[slots[0].slot]
    plain = [texts[0] for texts in slot.variants[0].wordings[:MOST_WORDINGS]]
    return f" ({article(slot.name)} {slot.name} is for instance {_either(plain)})"


def _either(texts: Sequence[str]) -> str:
    """Join quoted texts by commas and `or`."""
    *others, last = map(repr, texts)
    return f"{', '.join(others)} or {last}" if others else last


def _of_longer(grammar: Grammar, error: UnexpectedInput, rest: Sequence[str]) -> dict[str, float]:
    """Return how much wordings resemble the last phrase understood together with what follows it,
    if they hold a word like the one at which understanding stopped."""
    history = getattr(error, "token_history", None)
    last = history[-1] if history else None
    if last is None or not rest:
        return {}
    same = [item for items in grammar.items for item in items if grammar.symbol(item) == last.type]
    texts = [text for text in grammar.texts(same[0]) if text != last]
    words = sorted({word for text in texts for word in text.split()})
    like = set(get_close_matches(rest[0][:LONGEST_WORD], words, MOST_WORDINGS, SAME_WORD))
    holding = [text for text in texts if not like.isdisjoint(text.split())]
    return _likenesses(holding, [f"{last} {opening}" for opening in _openings(rest)])


def _openings(rest: Sequence[str]) -> list[str]:
    """Return the first word, the first two words and so on, up to a punctuation mark."""
    ends = [number for number, word in enumerate(rest[:LONGEST_WORDING]) if word in _SIGNS]
    words = [word[:LONGEST_WORD] for word in rest[: min(ends, default=LONGEST_WORDING)]]
    return [" ".join(words[:count]) for count in range(1, len(words) + 1)]


def _likenesses(texts: Iterable[str], openings: Sequence[str]) -> dict[str, float]:
    """Return how much each text resembles the opening most like it; 0 if less than ALIKE."""
    scores = {}
    for text in texts:
        lengths = range(text.count(" ") - 1, text.count(" ") + 3)
        comparable = [opening for opening in openings if opening.count(" ") + 1 in lengths]
        scores[text] = max((likeness(opening, text, ALIKE) for opening in comparable), default=0.0)
    return scores


def _best(scores: Mapping[str, float]) -> list[str]:
    """Return the texts that resemble something most, best first, at most three."""
    least = max(ALIKE, max(scores.values(), default=0.0) - CLOSE_BEHIND)
    alike = [text for text, score in scores.items() if score >= least]
    return sorted(alike, key=lambda text: -scores[text])[:MOST_WORDINGS]
