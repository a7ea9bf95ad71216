"""Simple Shapes: pictures against published ones and geometry, states, attributes, reward."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gw_envs.goal_task import UNIT_ACTIONS, Task
from gw_envs.observation import attributes_from_values, values_from_attributes
from gw_envs.published_dataset import load_published
from gw_envs.simple_shapes import SimpleShapesState, render
from gw_envs.simple_shapes.env import SimpleShapesCore
from gw_envs.simple_shapes.render import LENGTHS, OUTLINES

PUBLISHED = Path(__file__).parent / "data" / "published_sample"
TASK = SimpleShapesCore.task


def shapes(count: int, seed: int = 0) -> SimpleShapesState:
    return SimpleShapesState.sample(np.random.default_rng(seed), count)


def white(
    shape: int, x: float = 16.0, y: float = 16.0, size: float = 10.0, rotation: float = 0.0
) -> SimpleShapesState:
    """One scene whose red channel is its coverage."""
    numbers = [np.array([float(value)]) for value in (x, y, size, rotation)]
    return SimpleShapesState(
        np.array([shape]), *numbers, np.full((1, 3), 255, np.uint8), np.zeros(1, np.int64)
    )


def coverage(state: SimpleShapesState, size: int = 32) -> np.ndarray:
    return render(state, size)[0, ..., 0] / 255


def outline_area(shape: int) -> float:
    """By the shoelace formula, in units of the squared size."""
    x, y = OUTLINES[shape, : LENGTHS[shape]].T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


# Pictures.


def test_published_pictures_are_met():
    sample = load_published(PUBLISHED, "train")
    ours = render(sample["state"]).astype(int)
    for picture, published in zip(ours, sample["image"].astype(int), strict=True):
        lit = (picture > 0).any(-1) | (published > 0).any(-1)
        assert (
            np.abs(picture - published)[lit].mean() <= 3.0
        )  # of 255; another outline or convention gives over 20


def test_areas_of_the_outlines():
    assert outline_area(0) == pytest.approx(0.5)  # a kite: half the product of its diagonals
    assert outline_area(2) == pytest.approx(0.3)
    assert outline_area(1) == pytest.approx(
        0.604, abs=0.004
    )  # the arcs: 0.604; their chords lie within


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2),
    st.floats(11, 21),
    st.floats(11, 21),
    st.floats(7, 14),
    st.floats(0, 2 * np.pi),
    st.sampled_from([32, 33, 64, 100]),
)
def test_coverage_sums_to_the_area(shape, x, y, size, rotation, side):
    covered = coverage(white(shape, x, y, size, rotation), side).sum() * (32 / side) ** 2
    edge_pixels = 4 * size * side / 32  # each rounded to 1 / 255
    assert covered == pytest.approx(
        outline_area(shape) * size**2, abs=edge_pixels * (32 / side) ** 2 / 255
    )


def test_coverage_is_exact_where_it_is_known():
    kite = coverage(white(0, 16, 16, 10, 0))
    assert np.abs(kite - kite[:, ::-1]).max() <= 1.01 / 255  # symmetric about its axis
    triangle = coverage(white(2, 16, 16, 10, 0))
    # Base from (13, 11) to (19, 11), apex at (16, 21): row 20 is the lowest, and the sides lean in
    # by 0.3 a row.
    assert triangle[20, 14:18] == pytest.approx(np.ones(4))
    assert triangle[20, 13] == pytest.approx(1 - 0.15, abs=1 / 255)
    assert triangle[20, 18] == pytest.approx(1 - 0.15, abs=1 / 255)
    assert triangle[21:].sum() == 0
    assert triangle[:11].sum() == 0
    assert triangle[11].sum() == pytest.approx(0.3, abs=2 / 255)


@pytest.mark.parametrize("shape", range(3))
def test_translation_by_whole_pixels_shifts_the_picture(shape):
    here = coverage(white(shape, 14.3, 15.7, 9.5, 0.7))
    there = coverage(white(shape, 17.3, 13.7, 9.5, 0.7))
    assert np.abs(np.roll(here, (2, 3), axis=(0, 1)) - there).max() <= 1.01 / 255


@pytest.mark.parametrize("shape", range(3))
def test_quarter_turns_turn_the_picture_counter_clockwise(shape):
    upright = coverage(white(shape, rotation=0.2))
    turned = coverage(white(shape, rotation=0.2 + np.pi / 2))
    assert np.abs(np.rot90(upright) - turned).max() <= 1.01 / 255


def test_a_larger_picture_is_the_same_picture():
    state = white(1, 15.4, 17.2, 12, 1.0)
    large = coverage(state, 128)
    assert np.abs(large.reshape(32, 4, 32, 4).mean((1, 3)) - coverage(state)).max() < 2 / 255


def test_clipped_shapes_are_cut_at_the_edge():
    state = shapes(300)
    wide = replace(state, x=state.x * 1.5 - 8, y=state.y * 1.5 - 8)
    whole = replace(
        wide, x=(wide.x + 32) / 3, y=(wide.y + 32) / 3, size=wide.size / 3
    )  # the same on a canvas of 96
    assert np.abs(render(whole, 96)[:, 32:64, 32:64].astype(int) - render(wide)).max() <= 1


def test_a_batch_is_its_rows():
    state = shapes(50)
    pictures = render(state)
    for row in range(50):
        assert np.array_equal(pictures[row], render(state[row]))
        assert np.array_equal(pictures[row], render(state[row : row + 1])[0])
    assert np.array_equal(render(state[::-2]), pictures[::-2])
    assert render(state[:0]).shape == (0, 32, 32, 3)


def test_colors_and_supersampling():
    state = shapes(30, seed=1)
    for one, picture in zip([state[row] for row in range(30)], render(state), strict=True):
        corners = OUTLINES[one.shape, : LENGTHS[one.shape]] * one.size
        cosine, sine = np.cos(one.rotation), np.sin(one.rotation)
        turned = corners @ np.array([[cosine, sine], [-sine, cosine]])
        pixels = np.stack([one.x + turned[:, 0], 32 - one.y - turned[:, 1]], -1) * 16
        mask = np.zeros((512, 512), np.uint8)
        cv2.fillPoly(mask, [np.round(pixels * 256 - 128).astype(np.int32)], 1, shift=8)
        covered = mask.reshape(32, 16, 32, 16).mean((1, 3))
        assert np.abs(covered[..., None] * one.rgb - picture).mean() < 0.5
        inside = (
            cv2.erode(mask, np.ones((5, 5), np.uint8)).reshape(32, 16, 32, 16).all((1, 3))
        )  # it draws too much
        assert (picture[inside] == one.rgb).all()


@pytest.mark.parametrize("size", [7, 1025, 0, -3])
def test_pictures_out_of_range(size):
    with pytest.raises(ValueError, match=f"image size {size} is out of range"):
        render(shapes(1), size)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": np.array([3])},
        {"shape": np.array([-1])},
        {"x": np.array([np.nan])},
        {"y": np.array([-1e30])},
        {"size": np.array([-np.inf])},
        {"rotation": np.array([np.nan])},
    ],
)
def test_states_that_are_no_scenes(wrong):
    with pytest.raises(ValueError, match="a state is no scene"):
        render(replace(shapes(1), **wrong))


# States.


def test_sampling_is_the_published_distribution():
    state = shapes(50_000)
    for values, low, high in (
        (state.x, 7, 24),
        (state.y, 7, 24),
        (state.size, 7, 14),
        (state.shape, 0, 2),
    ):
        different, counts = np.unique(values, return_counts=True)
        assert different.tolist() == list(range(low, high + 1))
        assert counts / len(state) == pytest.approx(1 / len(different), rel=0.15)
    assert 0 <= state.rotation.min() < 0.001
    assert 2 * np.pi - 0.001 < state.rotation.max() < 2 * np.pi
    lightness = cv2.cvtColor(state.rgb[:, None], cv2.COLOR_RGB2HLS)[:, 0, 1]
    assert lightness.min() >= 45  # 46, rounded
    assert np.abs(np.quantile(lightness, [0.25, 0.5, 0.75]) - [98, 150, 203]).max() < 3
    assert len(np.unique(state.wording_seed)) > 49_990


def test_sampling_at_once_or_one_by_one():
    whole, rng = shapes(20, seed=4), np.random.default_rng(4)
    single = SimpleShapesState.concatenate([SimpleShapesState.sample(rng) for _ in range(20)])
    for name, values in whole.arrays().items():
        assert np.array_equal(values, single.arrays()[name])
        assert values.dtype == single.arrays()[name].dtype


# Attributes.


def test_attributes_by_hand():
    state = SimpleShapesState(
        np.array([1]),
        np.array([7.0]),
        np.array([24.0]),
        np.array([10.5]),
        np.array([np.pi / 2]),
        np.array([[0, 255, 51]], np.uint8),
        np.array([0]),
    )
    vectors = attributes_from_values("simple_shapes", state.arrays())
    assert vectors.dtype == np.float32
    assert vectors == pytest.approx(np.array([[0, 1, 0, -1, 1, 0, 0, 1, -1, 1, -0.6]]), abs=1e-6)


def test_attributes_round_trip():
    state = shapes(1000)
    values = values_from_attributes(
        "simple_shapes", attributes_from_values("simple_shapes", state.arrays())
    )
    assert np.array_equal(values["shape"], state.shape)
    for name, slack in (
        ("x", 1e-5),
        ("y", 1e-5),
        ("size", 1e-5),
        ("rotation", 1e-5),
        ("rgb", 1e-4),
    ):
        difference = values[name] - getattr(state, name)
        turned = (difference + np.pi) % (2 * np.pi) - np.pi if name == "rotation" else difference
        assert np.abs(turned).max() < slack
    single = values_from_attributes(
        "simple_shapes", attributes_from_values("simple_shapes", state.arrays())[0]
    )
    assert single["rgb"].shape == (3,)
    with pytest.raises(ValueError, match="end in 11 numbers"):
        values_from_attributes("simple_shapes", np.zeros(10))
    with pytest.raises(ValueError, match="no value for rgb"):
        attributes_from_values(
            "simple_shapes", {name: 0 for name in ("shape", "x", "y", "size", "rotation")}
        )


# The task.


def test_distances_by_hand():
    poses = np.array(
        [(16, 16, 0), (19, 12, np.pi / 2), (16, 7, 2 * np.pi - 0.1), (7, 16, np.pi)], dtype=float
    )
    distance, angle = TASK.distances(poses)
    assert distance == pytest.approx([0, 5, 9, 9])
    assert angle == pytest.approx([0, np.pi / 2, 0.1, np.pi])
    assert TASK.distances(poses[1])[0] == pytest.approx(5)


def test_success_by_hand():
    turn = np.pi / 16
    distance, angle = np.array([0, 1, 1.001, 1, 0.5]), np.array([0, turn, 0, turn + 0.001, -0.0])
    assert TASK.success(distance, angle).tolist() == [True, True, False, False, True]


def test_reward_by_hand():
    before = (np.array([5.0, 5.0, 2.0, 1.0]), np.array([0.3, 0.3, 0.0, 0.25]))
    after = (np.array([4.0, 6.0, 1.0, 1.0]), np.array([0.3, 0.2, 0.0, 0.15]))
    expected = [1 - 0.05, -1 + 1 / np.pi - 0.05, 1 - 0.05 + 5, 1 / np.pi - 0.05 + 5]
    assert TASK.reward(before, after) == pytest.approx(expected)
    metres = Task((0, 0, 0), tolerance=0.15, angle_tolerance=0.2, step=0.1, turn=0.2)
    assert metres.reward(
        (np.float64(0.5), np.float64(1.0)), (np.float64(0.3), np.float64(1.0))
    ) == pytest.approx(1.95)


def test_actions_move_as_they_are_named():
    core = SimpleShapesCore(num_envs=6, modalities="attributes")
    core.start_episodes(np.arange(6), [np.random.default_rng(0)] * 6)
    core.state = SimpleShapesState.concatenate([white(0, 10, 12, 9, 1.0)] * 6)
    core.step(np.arange(6))
    assert core.poses() - (10, 12, 1.0) == pytest.approx(UNIT_ACTIONS * (1, 1, np.pi / 32))


def test_the_edge_stops_a_shape():
    core = SimpleShapesCore(num_envs=2, modalities="attributes", actions="continuous")
    core.start_episodes(np.arange(2), [np.random.default_rng(0)] * 2)
    core.state = SimpleShapesState.concatenate([white(0, 7.5, 24, 9, 0.1), white(0, 9, 20, 9, 0.1)])
    step = core.step(np.array([[-1, 1, -1], [0.5, -0.5, 1]]))
    assert core.poses() == pytest.approx(
        np.array([(7, 24, (0.1 - np.pi / 32) % (2 * np.pi)), (9.5, 19.5, 0.1 + np.pi / 32)])
    )
    assert step.collided.tolist() == [True, False]
