"""Frames for people: whole captions at every size, and a goal that is visible on every color."""

import numpy as np
import pytest

from gw_envs.annotated_frames import tiled, with_caption, with_goal
from gw_envs.dataset import make_core
from gw_envs.language import sentences


@pytest.mark.parametrize("size", [64, 96, 128, 200, 480, 1100, 2048])
@pytest.mark.parametrize("scene", ["simple_shapes", "factory"])
def test_the_longest_caption_fits(scene, size):
    state = make_core(scene).sample(np.random.default_rng(0), 2000)
    by_length = sorted(sentences(state), key=len)
    for caption, share in ((by_length[1000], 0.65), (by_length[-1], 1.0)):
        frame = with_caption(np.zeros((size, size, 3), np.uint8), caption)
        rows, columns = np.flatnonzero(frame.any((1, 2))), np.flatnonzero(frame.any((0, 2)))
        assert rows[0] > size * (1 - share)
        assert rows[-1] < size - 1
        assert columns[0] > 0
        assert columns[-1] < size - 1
        shortened = with_caption(np.zeros((size, size, 3), np.uint8), caption[:-2])
        assert not np.array_equal(shortened, frame)  # the last letters are there


def test_the_strip_is_darkened_and_the_rest_left_alone():
    frame = np.full((480, 480, 3), 150, np.uint8)
    before = frame.copy()
    picture = with_caption(frame, "A red table.")
    assert np.array_equal(frame, before)
    assert (picture[:400] == 150).all()
    assert (picture[-2:] == 50).all()


@pytest.mark.parametrize("color", [0, 128, 255])
def test_the_goal_is_seen_on_every_color(color):
    frame = np.full((240, 240, 3), color, np.uint8)
    around = np.linspace(0, 2 * np.pi, 40)
    ring = 120 + 20 * np.stack([np.cos(around), np.sin(around)], -1)
    changed = (
        np.abs(with_goal(frame, ring, (120, 150), (120, 90)).astype(int) - color).max(-1) > 100
    )
    assert changed.sum() > 100
    assert not changed[:60].any()


@pytest.mark.parametrize("size", [64, 1024, 1025, 2048])
@pytest.mark.parametrize("scene", ["simple_shapes", "factory"])
def test_portraits_of_every_size_show_the_same(scene, size):
    core = make_core(scene)
    state = core.sample(np.random.default_rng(1))
    picture, reference = core.portrait(state, size), core.portrait(state, 512)
    assert picture.shape == (size, size, 3)
    coarse = [
        view[:: len(view) // 32, :: len(view) // 32][:32, :32].astype(int)
        for view in (picture, reference)
    ]
    assert np.abs(coarse[0] - coarse[1]).mean() < 16
    core.close()


def test_frames_side_by_side():
    frames = [np.full((2, 2, 3), shade, np.uint8) for shade in range(1, 6)]
    assert tiled(frames[:1])[..., 0].tolist() == [[1, 1], [1, 1]]
    assert tiled(frames)[::2, ::2, 0].tolist() == [[1, 2, 3], [4, 5, 0]]
