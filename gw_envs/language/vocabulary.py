"""The words of all captions as numbers. One vocabulary serves every scene; models are trained on its numbers."""

import hashlib
from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.language.grammar import split
from gw_envs.language.registry import grammar_of_scene
from gw_envs.observation import MAX_TOKENS, MAX_VOCABULARY
from gw_envs.scenes import SCENES

PAD, START, END = 0, 1, 2
"""Ids that are no words: padding, and two for a language model to begin and end with (captions hold neither)."""

_SPECIAL = ("<pad>", "<start>", "<end>")
_SIGNS = (",", ".")


class Vocabulary:
    """Words and their ids; what the captions can say is looked up when it is first needed."""

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every word by its id: the special ones, then the signs and words of all scenes in alphabetical order."""
        words = _SPECIAL + tuple(
            sorted(set().union(*(grammar_of_scene(scene).words() for scene in SCENES)))
        )
        assert len(words) <= MAX_VOCABULARY, (
            f"{len(words)} words exceed the {MAX_VOCABULARY} ids of an observation"
        )
        return words

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of every word."""
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the words in order, in hexadecimal: equal if and only if the ids mean the same."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.words)

    def ids_of(self, text: str) -> list[int]:
        """The ids of the words of a text, however long; raises ValueError naming the first unknown word."""
        words = split(text)
        unknown = next((word for word in words if word not in self.ids), None)
        if unknown is not None:
            raise ValueError(f"{unknown!r} is not a word of the vocabulary, in {text!r}")
        return [self.ids[word] for word in words]

    def encode(self, sentence: str) -> NDArray[np.int64]:
        """A sentence -> (MAX_TOKENS,) int64 ids, padded with 0; ValueError if a word is unknown or one too many."""
        ids = self.ids_of(sentence)
        if len(ids) > MAX_TOKENS:
            raise ValueError(
                f"a caption has at most {MAX_TOKENS} words and signs, this one {len(ids)}: {sentence!r}"
            )
        return np.array(ids + [PAD] * (MAX_TOKENS - len(ids)), dtype=np.int64)

    def decode(self, ids: ArrayLike) -> str:
        """(L,) ids -> the sentence they spell up to the first <pad> or <end>; any <start> is skipped."""
        return self.decode_rows(np.asarray(ids)[None])[0]

    def decode_rows(self, ids: ArrayLike) -> list[str]:
        """(N, L) ids -> N sentences; see `decode`."""
        rows = np.asarray(ids, dtype=np.int64)
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self.words):
            raise ValueError(
                f"token ids lie in [0, {len(self.words)}), not in [{rows.min()}, {rows.max()}]"
            )
        stops = (rows == PAD) | (rows == END)
        lengths = np.where(stops.any(1), stops.argmax(1), rows.shape[1])
        before = np.full_like(rows, self._stop)
        before[:, 1:] = rows[:, :-1]
        capital = (before == self._stop) | (before == START)
        pieces = self._pieces
        coded = (rows + len(self.words) * capital).tolist()
        ends = lengths.tolist()
        return [
            "".join([pieces[n] for n in row[:end]]).lstrip()
            for row, end in zip(coded, ends, strict=True)
        ]

    @cached_property
    def _stop(self) -> int:
        return self.ids["."]

    @cached_property
    def _pieces(self) -> list[str]:
        """What each id adds to a sentence (a space first, except before signs), then the same with a capital."""
        words = [word if word in _SIGNS else " " + word for word in self.words[len(_SPECIAL) :]]
        capitals = [
            word if word in _SIGNS else " " + word.capitalize()
            for word in self.words[len(_SPECIAL) :]
        ]
        nothing = [""] * len(_SPECIAL)
        return nothing + words + nothing + capitals

    def join(self, words: Iterable[str]) -> str:
        """Known or unknown words -> text with the captions' typography."""
        text = "".join(word if word in _SIGNS else " " + word for word in words).strip()
        return ". ".join(part[:1].upper() + part[1:] for part in text.split(". "))


VOCABULARY = Vocabulary()
"""The vocabulary of every scene's captions."""
