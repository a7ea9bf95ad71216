"""Captions are true, can be read back, and have a form that depends on the wording seed alone."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gw_envs.factory.state import FIXED_LAYOUT, FactoryState
from gw_envs.language import (
    VOCABULARY,
    CaptionDecoder,
    caption_truth,
    captions_true,
    parse,
    plain_tokens,
    sentences,
    tokens,
)
from gw_envs.language.color_names import COLORS
from gw_envs.language.parser import read
from gw_envs.language.registry import grammar_of_scene, grammar_of_state
from gw_envs.language.vocabulary import END, PAD, START
from gw_envs.language.writer import choices, longest
from gw_envs.observation import MAX_TOKENS, MAX_VOCABULARY
from gw_envs.simple_shapes.state import SimpleShapesState

SCENES = ("simple_shapes", "factory")
AWAY = 10.0
"""Metres by which landmarks are moved to be near nothing."""
RED, BLUE = (255, 0, 0), (0, 0, 255)


def random_states(scene: str, count: int, seed: int = 0):
    """Return `count` scenes; half of the Factory's have their landmarks anywhere."""
    rng = np.random.default_rng(seed)
    shapes = SimpleShapesState.sample(rng, count)
    if scene == "simple_shapes":
        return shapes
    x, y = rng.uniform(-1.5, 1.5, (2, count))
    anywhere = (np.arange(count) % 2 == 1)[:, None, None]
    landmarks = np.where(anywhere, rng.uniform(-1.7, 1.7, (count, 4, 2)), FIXED_LAYOUT)
    return FactoryState(x, y, shapes.rotation, shapes.rgb, landmarks, shapes.wording_seed)


def moved_out(state, slot: str):
    """Return the states with one slot's values moved by more than the width of its regions."""
    if slot == "size":
        return replace(state, size=7 + (state.size - 7 + 4) % 8)
    if slot == "shape":
        return replace(state, shape=(state.shape + 1) % 3)
    if slot == "color":
        is_reddish = state.rgb[:, :1] == state.rgb.max(1, keepdims=True)
        return replace(state, rgb=np.where(is_reddish, BLUE, RED).astype(np.uint8))
    if slot == "direction":
        return replace(state, rotation=(state.rotation + 0.8) % (2 * np.pi))
    if isinstance(state, SimpleShapesState):
        return replace(state, x=np.where(state.x > 15, state.x - 6, state.x + 6))
    return replace(
        state,
        x=np.where(state.x > 0, state.x - 1.1, state.x + 1.1),
        landmarks=state.landmarks + AWAY,
    )


def one(
    seed: int, x: float, y: float, size: float, rotation: float, rgb: tuple[int, ...], shape: int
):
    """Return a batch of one of each scene; x and y in 0..1."""
    turn, paint, seeds = np.array([rotation]), np.array([rgb], dtype=np.uint8), np.array([seed])
    centre = [np.array([7 + 17 * value]) for value in (x, y)]
    shapes = SimpleShapesState(np.array([shape]), *centre, np.array([size]), turn, paint, seeds)
    place = [np.array([4 * value - 2]) for value in (x, y)]
    return shapes, FactoryState(*place, turn, paint, FIXED_LAYOUT[None], seeds)


unit = st.floats(0, 1)
any_scene = st.builds(
    one,
    st.integers(0, 2**31 - 1),
    unit,
    unit,
    st.floats(7, 14),
    st.floats(0, 2 * math.pi, exclude_max=True),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.integers(0, 2),
)


@settings(max_examples=150, deadline=None)
@given(any_scene)
def test_every_caption_is_read_back_and_true(scenes):
    for state in scenes:
        (sentence,), (plain,) = sentences(state), VOCABULARY.decode_rows(plain_tokens(state))
        scene = grammar_of_state(state).scene
        assert all(caption_truth(sentence, state[0]).values())
        assert all(claim.holds(state).all() for claim in parse(scene, sentence))
        assert VOCABULARY.decode(VOCABULARY.encode(sentence)) == sentence
        assert np.array_equal(VOCABULARY.encode(sentence), tokens(state)[0])
        claims, plain_claims = parse(scene, sentence), parse(scene, plain)
        assert [(c.slot, c.variant, c.meaning) for c in claims] == [
            (c.slot, c.variant, c.meaning) for c in plain_claims
        ]
        assert read(scene, plain)[0] == 0


@pytest.mark.parametrize("scene", SCENES)
def test_claims_fail_outside_their_region_and_there_only(scene):
    state = random_states(scene, 1000, seed=1)
    slots = [slot.name for slot in grammar_of_scene(scene).slots]
    captions = sentences(state)
    assert captions_true(captions, state).all()
    for number, slot in enumerate(slots):
        truth = captions_true(captions, moved_out(state, slot))
        assert not truth[:, number].any(), slot
        assert np.delete(truth, number, axis=1).all(), slot


@pytest.mark.parametrize("scene", SCENES)
def test_form_stays_while_the_state_moves(scene):
    state = random_states(scene, 1000, seed=2)
    if scene == "factory":
        state = replace(state, landmarks=state.landmarks + AWAY)
    form = choices(state)
    for slot in grammar_of_scene(scene).slots:
        if slot.name != "shape":
            assert np.array_equal(choices(moved_out(state, slot.name)), form)
    reseeded = choices(replace(state, wording_seed=state.wording_seed + 1))
    assert (reseeded != form).any(1).mean() > 0.9


@pytest.mark.parametrize("scene", SCENES)
def test_wordings_of_a_variant_share_their_style(scene):
    for slot in grammar_of_scene(scene).slots:
        for variant in slot.variants:
            assert slot.name == "shape" or len({len(texts) for texts in variant.wordings}) == 1


@pytest.mark.parametrize("scene", SCENES)
def test_every_structure_wording_and_meaning_occurs(scene):
    state = random_states(scene, 60_000, seed=3)
    grammar = grammar_of_scene(scene)
    form, meanings = choices(state), grammar.meanings(state)
    slots = len(grammar.slots)
    assert set(form[:, 0]) == set(range(len(grammar.structures)))
    seen = set()
    for slot in range(slots):
        column, wording = form[:, 1 + slot], form[:, 1 + slots + slot]
        meaning = meanings[np.arange(len(state)), column]
        seen.update(zip(column.tolist(), meaning.tolist(), wording.tolist(), strict=True))
    assert seen == {(phrase.column, phrase.meaning, phrase.wording) for phrase in grammar.phrases}


@pytest.mark.parametrize("scene", SCENES)
def test_grammar_is_rich_and_unambiguous(scene):
    grammar = grammar_of_scene(scene)
    texts = [phrase.text for phrase in grammar.phrases]
    assert len(set(texts)) == len(texts)
    assert len(grammar.structures) >= 7
    for items in grammar.items:
        assert sorted(item.slot for item in items if item.slot >= 0) == list(
            range(len(grammar.slots))
        )
    for slot in grammar.slots:
        assert all(len(texts) >= 2 for variant in slot.variants for texts in variant.wordings)
    assert len(set(COLORS)) == len(COLORS) > 100
    assert max(longest(grammar)) <= MAX_TOKENS


def test_the_vocabulary_encodes_and_decodes():
    assert VOCABULARY.words[:3] == ("<pad>", "<start>", "<end>")
    assert (PAD, START, END) == (0, 1, 2)
    assert list(VOCABULARY.words[3:]) == sorted(set(VOCABULARY.words[3:]))
    assert len(VOCABULARY) <= MAX_VOCABULARY
    assert len(VOCABULARY.fingerprint) == 64
    ids = VOCABULARY.encode("The kite is small and red. It is on the left, pointing north.")
    assert ids.shape == (MAX_TOKENS,)
    assert ids.dtype == np.int64
    framed = [START, *ids[ids != PAD], END, 5, PAD]
    assert (
        VOCABULARY.decode(framed) == "The kite is small and red. It is on the left, pointing north."
    )
    with pytest.raises(ValueError, match="'banana' is not a word"):
        VOCABULARY.encode("a small banana")
    with pytest.raises(ValueError, match=f"at most {MAX_TOKENS}"):
        VOCABULARY.encode("red " * (MAX_TOKENS + 1))
    with pytest.raises(ValueError, match="token ids lie in"):
        VOCABULARY.decode([len(VOCABULARY)])
    assert VOCABULARY.decode([PAD]) == ""


@pytest.mark.parametrize("scene", SCENES)
def test_captions_are_pure(scene):
    state = random_states(scene, 20, seed=4)
    rows = tokens(state)
    assert rows.shape == (20, MAX_TOKENS)
    assert rows.dtype == np.int64
    assert np.array_equal(tokens(state), rows)
    for n in range(len(state)):
        assert np.array_equal(tokens(state[n]), rows[n : n + 1])
        assert np.array_equal(tokens(state[n : n + 1]), rows[n : n + 1])
    assert np.array_equal(tokens(state[::-2]), rows[::-2])
    assert sentences(state) == [VOCABULARY.decode(row) for row in rows]
    assert plain_tokens(state[:0]).shape == (0, MAX_TOKENS)
    assert sentences(state[:0]) == []


def plainly(state) -> list[str]:
    return [VOCABULARY.decode(row) for row in plain_tokens(state)]


def test_known_scenes_of_simple_shapes():
    """Worked out by hand: cells of 17 / 3 and 17 / 7 pixels, sectors of 45 and 22.5 degrees."""
    shapes, _ = one(0, 0.0, 1.0, 7.0, math.pi / 2, (0, 17, 70), 1)
    many = replace(SimpleShapesState.concatenate([shapes] * 200), wording_seed=np.arange(200))
    assert set(plainly(many)) == {
        f"A tiny {color} egg {place}, pointing {direction}."
        for color in ("blue", "navy blue")
        for place in ("at the top left", "at the very top on the far left")
        for direction in ("west", "due west")
    }
    meanings = grammar_of_scene("simple_shapes").meanings
    for x, coarse, fine in (
        (7, 0, 0),
        (9, 0, 0),
        (10, 0, 1),
        (12, 0, 2),
        (13, 1, 2),
        (15.5, 1, 3),
        (19, 2, 4),
        (24, 2, 6),
    ):
        assert meanings(replace(shapes, x=np.array([float(x)])))[0, 4:6].tolist() == [
            6 + coarse,
            42 + fine,
        ]
    for size, bin_ in ((8.9, 0), (9, 1), (10, 1), (11, 2), (12.99, 2), (13, 3), (14, 3)):
        assert meanings(replace(shapes, size=np.array([float(size)])))[0, 0] == bin_
    for degrees, coarse, fine in (
        (0, 0, 0),
        (22, 0, 1),
        (23, 1, 1),
        (45, 1, 2),
        (180, 4, 8),
        (270, 6, 12),
        (359, 0, 0),
    ):
        assert meanings(replace(shapes, rotation=np.array([math.radians(degrees)])))[
            0, 6:
        ].tolist() == [coarse, fine]


def test_known_scenes_of_the_factory():
    cones = FIXED_LAYOUT[1]
    _, table = one(0, 0.5, 0.5, 7.0, math.pi, (229, 0, 0), 0)
    table = replace(
        FactoryState.concatenate([table] * 200),
        x=np.full(200, cones[0]),
        y=np.full(200, cones[1] - 0.7),
        wording_seed=np.arange(200),
    )
    captions = set(plainly(table))
    assert {
        "A red table close to the cones, pointing south.",
        "A pure red table in front of the cones, pointing due south.",
    } <= captions
    gone = replace(table, landmarks=table.landmarks + AWAY)
    assert not any("cones" in sentence for sentence in plainly(gone))


@pytest.mark.parametrize("wrong", [3, -1, 10**9])
def test_states_that_are_no_scenes_are_refused(wrong):
    with pytest.raises(ValueError, match="a state is no scene"):
        tokens(replace(random_states("simple_shapes", 1), shape=np.array([wrong])))


def test_captions_are_judged_by_states():
    state = random_states("simple_shapes", 3)
    good = sentences(state)
    truth = captions_true([good[0], "no caption at all", good[2].upper()], state)
    assert truth.tolist() == [[True] * 5, [False] * 5, [True] * 5]
    with pytest.raises(ValueError, match="one for each"):
        captions_true(good[:2], state)
    with pytest.raises(ValueError, match="not a caption"):
        caption_truth("no caption", state[0])
    with pytest.raises(TypeError, match="a caption is text, not NoneType"):
        captions_true([good[0], None, good[2]], state)
    with pytest.raises(ValueError, match="one state"):
        caption_truth(good[0], state)
    with pytest.raises(ValueError, match="unknown scene"):
        parse("kitchen", good[0])
    assert parse("GWSimpleShapes-v0", good[0]) == parse("simple_shapes", good[0])
    with pytest.raises(TypeError, match="no captions"):
        tokens(object())
    size = parse("simple_shapes", good[0])[0]
    with pytest.raises(ValueError, match="nothing in factory has a size"):
        size.holds(random_states("factory", 1))


def test_captions_import_no_heavy_package():
    code = """
import sys
from gw_envs.language import VOCABULARY
len(VOCABULARY)
print(*({'matplotlib', 'torch'} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_a_decoder_follows_captions_that_change_in_some_rows():
    decode, rows = CaptionDecoder(), tokens(random_states("simple_shapes", 5))
    others = tokens(random_states("simple_shapes", 5, seed=1))
    for changed in ([], [0], [1, 3], [], [0, 1, 2, 3, 4]):
        rows[changed], others[changed] = others[changed], rows[changed]
        assert decode(rows) == VOCABULARY.decode_rows(rows)
    assert decode(rows[:2]) == VOCABULARY.decode_rows(rows[:2])


def test_changes_that_a_user_makes_to_captions_do_not_reach_the_next_ones():
    decode, rows = CaptionDecoder(), tokens(random_states("simple_shapes", 2))
    expected, same = VOCABULARY.decode_rows(rows), rows.copy()
    decode(rows)[0] = "mine"
    rows[:] = 0
    assert decode(same) == expected
