"""Captions name a color by a basic term or by a fine name, and the words tell which."""

from dataclasses import replace

import numpy as np
import pytest

from gw_envs.dataset import Sampler
from gw_envs.language import parse
from gw_envs.language.color_names import BASIC_COLORS, COLORS, basic_of_name, palette
from gw_envs.language.grammar import split
from gw_envs.language.registry import grammar_of_scene
from gw_envs.simple_shapes.state import SimpleShapesState

WELL_KNOWN = {
    "red": (255, 0, 0),
    "orange": (255, 165, 0),
    "yellow": (255, 255, 0),
    "brown": (139, 69, 19),
    "green": (0, 128, 0),
    "turquoise": (64, 224, 208),
    "blue": (0, 0, 255),
    "purple": (128, 0, 128),
    "pink": (255, 192, 203),
    "gray": (128, 128, 128),
    "white": (255, 255, 255),
}
"""The colors of these names in CSS."""


def claim(color: str):
    """Return the claim that a color's words make."""
    sentence = f"The egg is tiny and {color}. It is in the west, pointing north."
    return parse("simple_shapes", sentence)[1]


def painted(rgb: np.ndarray) -> SimpleShapesState:
    """Return scenes with these (N, 3) colors."""
    return replace(Sampler("simple_shapes", "train").states(0, len(rgb)), rgb=rgb.astype(np.uint8))


@pytest.fixture(scope="module")
def states() -> SimpleShapesState:
    return painted(np.random.default_rng(5).integers(0, 256, (20_000, 3)))


@pytest.fixture(scope="module")
def regions(states) -> dict[str, np.ndarray]:
    """For each color word, (N,) whether it is true of each scene."""
    return {color: claim(color).holds(states) for color in (*BASIC_COLORS, *COLORS)}


@pytest.mark.parametrize("ending", ["", " colored"])
def test_plain_words_are_basic_terms_and_all_others_fine_names(ending):
    assert {claim(color + ending).variant for color in BASIC_COLORS} == {"coarse"}
    assert {claim(color + ending).variant for color in COLORS} == {"fine"}
    for colors in (BASIC_COLORS, COLORS):
        numbers = [claim(color + ending).meaning for color in colors]
        assert numbers == list(range(len(colors)))


def test_no_two_colors_share_their_words_or_their_value():
    words = [tuple(split(color)) for color in (*BASIC_COLORS, *COLORS)]
    assert len(set(words)) == len(words) == 11 + 144
    assert len(np.unique(palette(), axis=0)) == len(COLORS)


def test_a_basic_term_is_the_union_of_its_names(regions):
    for number, basic in enumerate(BASIC_COLORS):
        names = [name for name, term in zip(COLORS, basic_of_name(), strict=True) if term == number]
        union = np.any([regions[name] for name in names], axis=0)
        assert np.array_equal(regions[basic], union), basic
        assert union.any()


@pytest.mark.parametrize("colors", [BASIC_COLORS, COLORS], ids=["basic", "fine"])
def test_every_color_has_exactly_one_name(regions, colors):
    assert (np.sum([regions[color] for color in colors], axis=0) == 1).all()


def test_names_belong_to_the_basic_term_in_their_last_word():
    between = {"blue green": "turquoise", "blue gray": "blue"}
    for name, term in zip(COLORS, basic_of_name(), strict=True):
        last = between.get(name, name.split()[-1])
        assert last not in BASIC_COLORS or last == BASIC_COLORS[term], name


@pytest.mark.parametrize("color", WELL_KNOWN)
def test_well_known_colors_have_their_basic_name(color):
    state = painted(np.array([WELL_KNOWN[color]]))
    assert claim(color).holds(state).all()


def test_fine_names_are_the_nearest(states):
    squares = ((states.rgb[:2000, None].astype(int) - palette()[None]) ** 2).sum(-1)
    meanings = grammar_of_scene("simple_shapes").meanings(states[:2000])
    assert np.array_equal(meanings[:, 2], squares.argmin(1))
