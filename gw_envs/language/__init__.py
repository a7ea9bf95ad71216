"""Write captions of states, read them back as claims, and judge them by states.

`tokens`, `sentences`, `plain_tokens` and `paraphrases` write captions of states. `parse` reads a
sentence of the grammar as claims, `read_loosely` reads free text; `caption_truth` and
`captions_true` judge sentences by states. `VOCABULARY` turns sentences into token ids (`encode`)
and back (`decode`, `decode_rows`).
"""

from gw_envs.language.claims import Claim
from gw_envs.language.decoding import CaptionDecoder
from gw_envs.language.judging import caption_truth, captions_true
from gw_envs.language.loose import LooseReading, read_loosely
from gw_envs.language.parser import parse
from gw_envs.language.vocabulary import VOCABULARY, Vocabulary
from gw_envs.language.writer import paraphrases, plain_tokens, sentences, tokens

__all__ = [
    "VOCABULARY",
    "CaptionDecoder",
    "Claim",
    "LooseReading",
    "Vocabulary",
    "caption_truth",
    "captions_true",
    "paraphrases",
    "parse",
    "plain_tokens",
    "read_loosely",
    "sentences",
    "tokens",
]
