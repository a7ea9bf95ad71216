"""Captions: what a scene's state says in words, as token ids or as sentences, and what a sentence claims of a state."""

from gw_envs.language.decoding import CaptionDecoder
from gw_envs.language.parser import Claim, caption_truth, captions_true, parse
from gw_envs.language.vocabulary import VOCABULARY, Vocabulary
from gw_envs.language.writer import paraphrases, plain_tokens, sentences, tokens

__all__ = [
    "VOCABULARY",
    "CaptionDecoder",
    "Claim",
    "Vocabulary",
    "caption_truth",
    "captions_true",
    "paraphrases",
    "parse",
    "plain_tokens",
    "sentences",
    "tokens",
]
