"""A sentence outside the grammar is refused where understanding stopped, with what is near."""

import re
import time

import pytest

from gw_envs.errors import InputError
from gw_envs.language import parse
from gw_envs.language.registry import grammar_of_scene

LONG = {
    "one word": "x" * 10_000,
    "one known word": "red " * 2_500,
    "a caption and more": "A small red kite on the left" + " left" * 2_000,
    "unknown words": " ".join(f"word{number}" for number in range(1_000)),
    "spaces": " " * 10_000,
    "signs": "?" * 10_000,
    "surrogates": "\ud800" * 10_000,
}
"""Texts of about 10,000 characters that are no captions."""


@pytest.mark.parametrize(
    ("scene", "sentence", "message"),
    [
        (
            "simple_shapes",
            "A small red banana on the left, pointing north.",
            "understood up to 'A small red' and expected a shape or 'object', found 'banana'"
            " (a shape is for instance 'diamond', 'egg' or 'triangle')",
        ),
        (
            "simple_shapes",
            "a big red triangle in the upper left pointing right",
            "understood up to 'A big red triangle in the upper left' and expected the rest of a"
            " place, found 'pointing' (did you mean 'in the upper left corner',",
        ),
        (
            "simple_shapes",
            "A small red kite on the left, pointing right.",
            "up to 'A small red kite on the left, pointing' and expected a direction, found"
            " 'right' (did you mean 'to the right' or 'toward the right'?)",
        ),
        (
            "simple_shapes",
            "A small red kite on the left upper side, pointing north.",
            "found 'upper' (did you mean 'on the upper side' or 'in the upper left corner'?)",
        ),
        (
            "simple_shapes",
            "A small grey kite",
            "expected a color, found 'grey' (did you mean 'gray'",
        ),
        ("simple_shapes", "A small red tringle", "found 'tringle' (did you mean 'triangle'?)"),
        ("factory", "A red table near the conse", "found 'conse' (did you mean 'near the cones'?)"),
        ("factory", "A red chair on the left", "up to 'A red' and expected 'table', found 'chair'"),
        (
            "simple_shapes",
            "Hello.",
            "at the beginning expected a place or a size or 'it' or 'pointing' or 'the' or 'there',"
            " found 'hello' (write for example 'A tiny red diamond at the bottom left, pointing"
            " north.')",
        ),
        ("simple_shapes", "A small", "up to 'A small' and expected a color, found the end"),
        (
            "simple_shapes",
            "An small red kite on the left, pointing north.",
            "found 'an small' (did you mean 'a small'?)",
        ),
        (
            "simple_shapes",
            "A small red kite on the left, pointing north. It",
            "expected nothing more, found 'it'",
        ),
        ("factory", "", "it is empty, write for example 'A red table at the bottom left"),
        ("factory", " \n\t ", "it is empty, write for example 'A red table at the bottom left"),
    ],
)
def test_errors_tell_where_understanding_stopped(scene, sentence, message):
    with pytest.raises(InputError, match=f"^not a caption of {scene}: .*{re.escape(message)}"):
        parse(scene, sentence)


@pytest.mark.parametrize("scene", ["simple_shapes", "factory"])
def test_every_wording_is_proposed_for_its_slip(scene):
    """The last letter of a wording is doubled."""
    grammar = grammar_of_scene(scene)
    plain = {phrase.slot: phrase for phrase in reversed(grammar.phrases)}
    for phrase in grammar.phrases[::11]:
        words = grammar.compose([{**plain, phrase.slot: phrase}[slot] for slot in sorted(plain)])
        text = " ".join(words).replace(phrase.text, phrase.text + phrase.text[-1], 1)
        with pytest.raises(InputError) as error:
            parse(scene, text)
        proposals = re.findall(r"'([^']*)'", str(error.value).partition("did you mean")[2])
        assert 1 <= len(proposals) <= 3, error.value
        assert any(proposal.endswith(phrase.text) for proposal in proposals), error.value


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_long_texts_are_refused_briefly_and_soon(text):
    parse("simple_shapes", "A small red kite on the left, pointing north.")  # builds the parser
    start = time.process_time()
    with pytest.raises(InputError, match=r"^not a caption of simple_shapes: ") as error:
        parse("simple_shapes", text)
    assert time.process_time() - start < 0.5
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)
