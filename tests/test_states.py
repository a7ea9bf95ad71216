"""States of scenes: what is refused when one is made, and what is not checked twice."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

from gw_envs.core import make_core
from gw_envs.errors import InputError
from gw_envs.factory.camera import FactoryCamera
from gw_envs.factory.sim import FactorySimulation
from gw_envs.factory.state import FIXED_LAYOUT, FactoryState
from gw_envs.language import sentences
from gw_envs.simple_shapes.state import SimpleShapesState

every_scene = pytest.mark.parametrize("scene", ["simple_shapes", "factory"])


def states(scene: str, count: int = 4):
    return make_core(scene).sample(np.random.default_rng(0), count)


WRONG = {
    "one number for all rows": {"x": np.array(16.0)},
    "a Python number for all rows": {"x": 16.0},
    "more rows than the others": {"wording_seed": np.arange(20)},
    "fewer rows than the others": {"rgb": np.zeros((3, 3), np.uint8)},
    "colors of two numbers": {"rgb": np.zeros((4, 2), np.uint8)},
    "two batch axes": {"x": np.zeros((2, 2))},
    "rows of different lengths": {"x": [[1.0], [2.0, 3.0]]},
    "text": {"x": np.array(["a", "b", "c", "d"])},
    "nothing": {"y": None},
    "truth values": {"y": np.ones(4, np.bool_)},
    "complex numbers": {"y": np.ones(4, np.complex128)},
    "colors between whole numbers": {"rgb": np.full((4, 3), 0.5)},
    "colors above 255": {"rgb": np.full((4, 3), 256)},
    "colors below 0": {"rgb": np.full((4, 3), -1)},
    "a seed between whole numbers": {"wording_seed": np.full(4, 1.5)},
    "not a number": {"x": np.array([16.0, math.nan, 16.0, 16.0])},
    "infinity": {"y": np.array([0.0, 0.0, 0.0, -math.inf])},
    "a place far away": {"x": np.full(4, 1e9)},
    "a turn without end": {"rotation": np.full(4, 1e30)},
}


@every_scene
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_states_are_refused_when_they_are_made(scene, wrong):
    with pytest.raises(InputError) as caught:
        replace(states(scene), **wrong)
    assert next(iter(wrong)) in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("landmarks", [FIXED_LAYOUT, np.zeros((4, 3, 2)), np.full((4, 4, 2), 1e9)])
def test_wrong_landmarks_are_refused(landmarks):
    with pytest.raises(InputError, match="landmarks"):
        replace(states("factory"), landmarks=landmarks)


def test_the_message_names_value_and_range():
    with pytest.raises(InputError, match=r"x is 1e\+09, and must lie between -100 and 100"):
        replace(states("factory"), x=np.full(4, 1e9))
    with pytest.raises(InputError, match="shape has 4 rows and x no batch axis"):
        replace(states("simple_shapes"), x=16.0)


def test_numbers_are_converted_to_the_types_of_the_columns():
    state = SimpleShapesState(
        [1], [7], np.array([24], np.int8), np.array([10.5], np.float32), [0], [[0, 255, 51]], [3]
    )
    kinds = [array.dtype.name for array in state.arrays().values()]
    assert kinds == ["int64", "float64", "float64", "float64", "float64", "uint8", "int64"]
    single = replace(state[0], x=16.0)
    assert isinstance(single.x, np.float64)
    assert sentences(single) == sentences(replace(state, x=np.array([16.0])))


@every_scene
def test_rows_concatenations_and_copies_are_not_checked_again(scene, monkeypatch):
    core = make_core(scene, num_envs=4, modalities="attributes")
    core.start_episodes(np.arange(4), [np.random.default_rng(row) for row in range(4)])
    state = core.current()

    def refuse(self):
        raise AssertionError("a state was checked again")

    monkeypatch.setattr(type(state), "__post_init__", refuse)
    core.step(np.zeros(4, np.int64))
    core.start_episodes(np.array([1]), [np.random.default_rng(9)])
    core.jitter(state, np.random.default_rng(0))
    assert type(state).concatenate([state[:2], state[2:]]) == state
    assert state.with_rows(np.array([0]), state[1:2])[0] == state[1]
    assert state[0].batched() == state[:1]
    core.close()


@every_scene
def test_states_are_equal_by_their_numbers(scene):
    state = states(scene)
    assert state == pickle.loads(pickle.dumps(state)) == state.copy()
    assert state != replace(state, x=state.x + 0.1)
    assert state != state[:3]
    assert state != "a state"


def test_a_state_far_away_is_refused_out_of_a_file_too(tmp_path):
    from gw_envs.dataset import load_shards, save_shards

    state = states("factory")
    state.x[2] = 1e9
    save_shards(tmp_path / "shards", {"state": state})
    with pytest.raises(ValueError, match=r"x is 1e\+09"):
        load_shards(tmp_path / "shards")


@pytest.mark.parametrize("number", [1e9, -1e300, math.nan, math.inf])
@pytest.mark.parametrize("name", ["x", "rotation", "landmarks"])
def test_numbers_that_were_changed_later_hang_nothing(name, number):
    state, camera, simulation = states("factory", 1), FactoryCamera(64), FactorySimulation()
    getattr(state, name)[...] = number
    for draw in (camera.render, camera.render_full):
        with pytest.raises(InputError, match=f"a state is no scene: {name}"):
            draw(state)
    pose = [state.x[0], state.y[0], state.rotation[0]]
    with pytest.raises(InputError, match="give finite numbers"):
        simulation.reset(pose, state.landmarks[0])
    assert len(sentences(state)) == 1


def test_a_table_at_the_edge_of_the_range_can_be_drawn_and_described():
    state = FactoryState([100.0], [-100.0], [1000.0], [[1, 2, 3]], FIXED_LAYOUT[None], [0])
    core = make_core("factory", modalities="image")
    assert core.images(state).shape == (1, 64, 64, 3)
    assert len(sentences(state)) == 1
    core.close()
