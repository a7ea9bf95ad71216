"""Free text is read as far as it goes, and everything that was guessed or ignored is told."""

import re
import time

import numpy as np
import pytest

from gw_envs.dataset import Sampler
from gw_envs.errors import InputError
from gw_envs.language import LooseReading, parse, read_loosely, sentences

SCENES = ("simple_shapes", "factory")


def test_the_triangle_of_the_upper_left_is_no_red_egg():
    reading = read_loosely("simple_shapes", "a big red triangle in the upper left pointing right")
    assert reading == LooseReading(
        sentence="A big red triangle in the upper left corner, pointing to the right.",
        claims=parse(
            "simple_shapes", "A big red triangle in the upper left corner, pointing to the right."
        ),
        ignored=(),
        approximations=(
            ("in the upper left", "in the upper left corner"),
            ("right", "to the right"),
        ),
    )
    assert reading.remark == (
        "took 'in the upper left' as 'in the upper left corner', 'right' as 'to the right'"
    )


@pytest.mark.parametrize("scene", SCENES)
def test_captions_are_read_to_the_letter(scene):
    """Alone, and by the loose rules, among words that are not understood."""
    for sentence in sentences(Sampler(scene, "test").states(0, 300)):
        claims = parse(scene, sentence)
        assert read_loosely(scene, sentence.upper()) == LooseReading(sentence, claims, (), ())
        reading = read_loosely(scene, f"Hm, {sentence} Tra la!")
        assert (reading.claims, reading.approximations) == (claims, ())
        assert reading.ignored == ("hm", "tra", "la")


READINGS = {
    "tiny grey kite, top left, direction: north-north-west": (
        "A tiny gray kite at the top left, pointing north-northwest."
    ),
    "Two tiny navy traingles in the north west facing down": (
        "A tiny navy blue triangle in the northwest, pointing toward the bottom."
    ),
    "mid sized turqoise tear drop in the centre heading up and slightly to the left": (
        "A mid-sized turquoise teardrop shape in the center, pointing up and slightly to the left."
    ),
    "a big red-coloured kite to the left, pointing up": (
        "A big red colored kite on the left, pointing to the top."
    ),
    "pointing left in the left upper corner: a very small egg, light green": (
        "A very small light green egg in the upper left corner, pointing to the left."
    ),
    "it looks like a small diamond in blue and isn't on the right but on the left, facing east": (
        "A small blue diamond on the left, pointing east."
    ),
}


@pytest.mark.parametrize(("text", "sentence"), READINGS.items(), ids=range(len(READINGS)))
def test_missing_words_spellings_compounds_and_typos(text, sentence):
    reading = read_loosely("simple_shapes", text)
    assert reading.sentence == sentence
    assert reading.claims == parse("simple_shapes", sentence)


def test_landmarks_of_the_factory():
    reading = read_loosely("factory", "Teal table by the shelf, it points to the lower left!")
    assert reading.sentence == "A teal table near the shelves, pointing to the bottom left."
    reading = read_loosely("factory", "the table is left of the docking station, blue, facing west")
    assert reading.claims[1].variant == "landmark side"


def test_the_first_of_two_claims_counts_and_the_other_is_told():
    reading = read_loosely(
        "simple_shapes", "A small dark red kite or blue one on the left. It is pointing north."
    )
    assert reading.sentence == "A small dark red kite on the left, pointing north."
    assert reading.ignored == ("or", "blue", "one")
    assert reading.remark == "ignored 'or', 'blue', 'one'"


def test_a_negated_claim_does_not_count():
    reading = read_loosely(
        "simple_shapes", "A small kite, not red but blue, on the left, pointing north."
    )
    assert reading.claims[1].text == "blue"
    assert reading.ignored == ("not", "red", "but")


def test_a_word_that_begins_several_wordings_is_not_guessed():
    """`light` alone is in many color names, and `like` is no typo of `lime green`."""
    reading = read_loosely(
        "factory", "I would like a light red table in the center, pointing north."
    )
    assert reading.claims[0].text == "red"
    assert reading.ignored == ("i", "would", "like", "light")


@pytest.mark.parametrize(
    ("scene", "text", "message"),
    [
        (
            "simple_shapes",
            "a big red triangle on the left",
            "the text 'a big red triangle on the left' says nothing of direction",
        ),
        (
            "simple_shapes",
            "a purple banana pointing up",
            "says nothing of size, shape and place; ignored 'banana'",
        ),
        ("factory", "hello", "says nothing of color, place and direction; ignored 'hello'"),
        ("factory", " ", "not a caption of factory: it is empty, write for example 'A red table"),
    ],
)
def test_missing_claims_are_named(scene, text, message):
    with pytest.raises(InputError, match=f"{re.escape(message)}.*$"):
        read_loosely(scene, text)


LONG = {
    "words": " ".join(f"qwerty{number}" for number in range(1_000)),
    "one word": "x" * 10_000,
    "colors": "red blue " * 1_100,
    "compounds": "north west " * 900,
    "fillers": "in the " * 1_400,
    "signs": "?!" * 5_000,
}
"""Texts of about 10,000 characters."""


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_long_texts_are_answered_briefly_and_soon(text):
    caption = "A small red kite on the left, pointing north."
    read_loosely("simple_shapes", f"{caption} Well.")  # builds the tables
    start = time.process_time()
    with pytest.raises(InputError, match="says nothing of") as error:
        read_loosely("simple_shapes", text)
    reading = read_loosely("simple_shapes", f"{caption} {text}")
    assert time.process_time() - start < 1.0
    assert len(str(error.value)) < 400
    assert len(reading.remark) < 400
    assert reading.sentence == caption


def test_readings_of_chance_words_are_captions():
    """Whatever is read can be parsed, and says the same."""
    words = "red blue big tiny left right top lower corner pointing to in the kite egg and north,."
    rng, read = np.random.default_rng(0), 0
    for _ in range(400):
        text = " ".join(rng.choice(words.split(), 14))
        try:
            reading = read_loosely("simple_shapes", text)
        except InputError:
            continue
        read += 1
        assert parse("simple_shapes", reading.sentence) == reading.claims
    assert read > 50
