"""Number the words of all captions. One vocabulary serves every scene and every model."""

import hashlib
from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.errors import InputError, InputTypeError, check_array, describe
from gw_envs.language.grammar import split
from gw_envs.language.registry import grammar_of_scene
from gw_envs.observation import MAX_TOKENS, MAX_VOCABULARY
from gw_envs.scenes import SCENES

PAD, START, END = 0, 1, 2
"""Special ids: padding, and two that frame the text of language models; captions have neither."""

_SPECIAL = ("<pad>", "<start>", "<end>")
_PUNCTUATION = (",", ".")


class Vocabulary:
    """Words and their ids; the grammars are read when they are first needed.

    `encode` turns a sentence into ids, `decode` and `decode_rows` turn ids into sentences.
    """

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every word by its id: special ones, then those of all scenes in alphabetical order."""
        known = set().union(*(grammar_of_scene(scene).words() for scene in SCENES))
        words = (*_SPECIAL, *sorted(known))
        assert len(words) <= MAX_VOCABULARY, f"{len(words)} words exceed {MAX_VOCABULARY} ids"
        return words

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of every word."""
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the words in order, in hexadecimal; equal if and only if all ids are."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.words)

    def ids_of(self, text: str) -> list[int]:
        """Return the ids of the words of a text; InputError naming the first unknown word."""
        if not isinstance(text, str):
            raise InputTypeError(f"a caption is text, not {type(text).__name__}: give a sentence")
        words = split(text)
        unknown = next((word for word in words if word not in self.ids), None)
        if unknown is not None:
            raise InputError(
                f"{describe(unknown)} is not a word of the vocabulary, in {describe(text)}"
            )
        return [self.ids[word] for word in words]

    def encode(self, sentence: str) -> NDArray[np.int64]:
        """Return the ids of a sentence, (MAX_TOKENS,) int64, padded with 0.

        Raises InputError if a word is unknown, or if there are more than MAX_TOKENS.
        """
        ids = self.ids_of(sentence)
        if len(ids) > MAX_TOKENS:
            raise InputError(
                f"a caption has at most {MAX_TOKENS} words and punctuation marks, this one "
                f"{len(ids)}: {describe(sentence)}"
            )
        return np.array(ids + [PAD] * (MAX_TOKENS - len(ids)), dtype=np.int64)

    def decode(self, ids: ArrayLike) -> str:
        """Return the sentence that (L,) ids spell up to the first <pad> or <end>.

        Any <start> is skipped. Raises InputError for ids that the vocabulary does not have.
        """
        return self.decode_rows(self._checked_ids(ids, 1)[None])[0]

    def decode_rows(self, ids: ArrayLike) -> list[str]:
        """Return the sentences of (N, L) ids; see `decode`."""
        rows = self._checked_ids(ids, 2)
        if not rows.size:
            return [""] * len(rows)
        stops = (rows == PAD) | (rows == END)
        lengths = np.where(stops.any(1), stops.argmax(1), rows.shape[1])
        before = np.full_like(rows, self._stop)
        before[:, 1:] = rows[:, :-1]
        capital = (before == self._stop) | (before == START)
        pieces = self._pieces
        coded = (rows + len(self.words) * capital).tolist()
        ends = lengths.tolist()
        sentences = []
        for row, end in zip(coded, ends, strict=True):
            words = [pieces[code] for code in row[:end]]
            sentences.append("".join(words).lstrip())
        return sentences

    def _checked_ids(self, ids: ArrayLike, dimensions: int) -> NDArray[np.int64]:
        """Return ids as an array with so many dimensions; InputError if they are no ids."""
        if not isinstance(ids, np.ndarray) or ids.dtype != np.int64 or ids.ndim != dimensions:
            if isinstance(ids, list | tuple) and not ids:  # NumPy would read it as floats
                ids = np.zeros((0,) * dimensions, np.int64)
            ids = check_array("token ids", ids, "iu", (None,) * dimensions)
        if ids.size and not 0 <= ids.min() <= ids.max() < len(self.words):
            raise InputError(
                f"token ids lie in [0, {len(self.words)}), not in [{ids.min()}, {ids.max()}]"
            )
        return ids.astype(np.int64, copy=False)

    @cached_property
    def _stop(self) -> int:
        """The id of the full stop."""
        return self.ids["."]

    @cached_property
    def _pieces(self) -> list[str]:
        """The text of each id, words with a space before them; then the same texts capitalized."""
        nothing = [""] * len(_SPECIAL)
        words = self.words[len(_SPECIAL) :]
        plain = [word if word in _PUNCTUATION else f" {word}" for word in words]
        capitals = [word if word in _PUNCTUATION else f" {word.capitalize()}" for word in words]
        return nothing + plain + nothing + capitals

    def join(self, words: Iterable[str]) -> str:
        """Join words, known or not, into text with the spaces and capitals of captions."""
        text = "".join(word if word in _PUNCTUATION else f" {word}" for word in words).strip()
        return ". ".join(part[:1].upper() + part[1:] for part in text.split(". "))


VOCABULARY = Vocabulary()
"""The vocabulary of every scene's captions."""
