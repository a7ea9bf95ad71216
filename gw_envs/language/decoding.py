"""Decode the captions of moving scenes, which change only once in a few steps."""

import numpy as np
from numpy.typing import NDArray

from gw_envs.language.vocabulary import VOCABULARY


class CaptionDecoder:
    """Decode the captions of the same N rows step after step, each only when it changes."""

    def __init__(self) -> None:
        self._tokens = b""
        self._captions: list[str] = []

    def __call__(self, tokens: NDArray[np.int64]) -> list[str]:
        """Return the N sentences of token ids (N, MAX_TOKENS), as `Vocabulary.decode_rows` does."""
        encoded = tokens.tobytes()
        if encoded != self._tokens:
            changed = np.arange(len(tokens))
            if len(self._captions) == len(tokens):
                before = np.frombuffer(self._tokens, tokens.dtype).reshape(tokens.shape)
                changed = np.flatnonzero((tokens != before).any(1))
            else:
                self._captions = [""] * len(tokens)
            captions = VOCABULARY.decode_rows(tokens[changed])
            for row, caption in zip(changed.tolist(), captions, strict=True):
                self._captions[row] = caption
            self._tokens = encoded
        return self._captions.copy()
