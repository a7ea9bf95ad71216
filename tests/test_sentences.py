"""Sentences in place of token ids: those outside the grammar, and modalities that read no text."""

import re

import numpy as np
import pytest

from gw_agents.domains.attributes import AttributesDomain
from gw_agents.domains.image import ImageDomain
from gw_agents.domains.language import LanguageDomain
from gw_agents.domains.reading import read_observation
from gw_envs.errors import InputError
from gw_envs.language import VOCABULARY

SENTENCE = "A big red triangle in the upper left corner, pointing to the right."


def domains(*names):
    """Return untrained domain modules of Simple Shapes."""
    made = {
        "image": ImageDomain(8, channels=(4,)),
        "attributes": AttributesDomain(8, 3),
        "language": LanguageDomain(len(VOCABULARY), channels=4, hidden=4, embedding=4),
    }
    for domain in made.values():
        domain.scene = "simple_shapes"
    return {name: made[name] for name in names}


def test_sentences_become_token_ids():
    for given in (SENTENCE, np.str_(SENTENCE)):
        reading = read_observation(domains("language"), {"language": given})
        assert reading.single
        assert reading.tensors["language"][0].tolist() == VOCABULARY.encode(SENTENCE).tolist()
    reading = read_observation(domains("image", "language"), {"language": [SENTENCE, SENTENCE]})
    assert reading.tensors["language"].shape == (2, 48)


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        (
            "a big red triangle in the upper left pointing right",
            "language is 'a big red triangle in the upper left pointing right', not a caption of"
            " simple_shapes: understood up to 'A big red triangle in the upper left' and expected"
            " the rest of a place, found 'pointing' (did you mean 'in the upper left corner', 'on"
            " the upper side' or 'at the top left'?); gw_envs.language.read_loosely reads what it"
            " can",
        ),
        ("", "language is '', not a caption of simple_shapes: it is empty, write for example 'A"),
        (" \n ", "language is ' \\n ', not a caption of simple_shapes: it is empty, write for"),
        ("x" * 10_000, f"language is '{'x' * 76}..., not a caption of simple_shapes: at the"),
        ("red " * 2_500, "not a caption of simple_shapes: at the beginning expected a place or"),
    ],
)
def test_other_sentences_are_refused_in_one_sentence(sentence, message):
    for given in (sentence, [SENTENCE, sentence]):
        with pytest.raises(InputError, match=re.escape(message)) as error:
            read_observation(domains("language"), {"language": given})
        assert len(str(error.value)) < 500
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (
            {"language": SENTENCE},
            "unknown modality 'language', this workspace has no language: it knows image",
        ),
        (
            {"image": SENTENCE},
            f"image is the text '{SENTENCE}': its domain module reads uint8 of shape (8, 8, 3), and"
            " no text",
        ),
        ({"image": ["x" * 10_000]}, f"image is the text '{'x' * 76}...: its domain module reads"),
        (
            {"image": np.zeros((8, 8, 3), np.uint8), "attributes": SENTENCE},
            f"attributes is the text '{SENTENCE}': its domain module reads float32 of shape",
        ),
        (
            SENTENCE,
            f"an observation is a dict with at least one of image, attributes, not '{SENTENCE}'",
        ),
    ],
)
def test_sentences_where_nothing_reads_text(observation, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        read_observation(domains("image", "attributes"), observation)


@pytest.mark.parametrize("as_array", [list, np.array])
def test_sentences_are_not_read_where_they_are_absent(as_array):
    domain = LanguageDomain(len(VOCABULARY))
    domain.scene = "factory"
    caption = "A red table at the top, pointing north."
    rows = {"language": as_array([caption, "", "nonsense"])}
    reading = read_observation({"language": domain}, rows, {"language": [True, False, False]})
    assert reading.absent[:, 0].tolist() == [False, True, True]
    assert VOCABULARY.decode_rows(reading.tensors["language"].numpy()) == [caption, "", ""]
    single = read_observation({"language": domain}, {"language": ""}, {"language": False})
    assert single.single
    assert single.absent.all()
    with pytest.raises(InputError, match="empty"):
        read_observation({"language": domain}, rows, {"language": [True, False]})


def test_a_goal_is_no_reading():
    domain = LanguageDomain(len(VOCABULARY))
    domain.scene = "factory"
    rows = {"language": "A red table at the top, pointing north.", "goal": np.zeros(7)}
    assert list(read_observation({"language": domain}, rows).tensors) == ["language"]
