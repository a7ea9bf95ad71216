"""The Factory's physics, camera and layouts: exact in free space, and independent of the past."""

import copy
import gc
import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from gw_envs.assets import asset_path
from gw_envs.factory.camera import FactoryCamera, project
from gw_envs.factory.layout import are_apart, can_reach_goal, gaps, is_clear, wall_gaps
from gw_envs.factory.sim import STEP_SECONDS, FactorySimulation, bullet
from gw_envs.factory.state import FIXED_LAYOUT, FLOOR, LANDMARKS, TABLE, FactoryState

FULL_SPEED = np.array([0.5, 0.5, np.pi / 16 / STEP_SECONDS])
"""Metres a second along x and y, radians a second."""

AT_ONCE = 0.01
"""How deep the table may sink into anything, in metres."""


@pytest.fixture
def simulation():
    made = FactorySimulation()
    yield made
    made.close()


@pytest.fixture
def camera():
    made = FactoryCamera(64)
    yield made
    made.close()


def poses_of(state):
    return np.stack([state.x, state.y, state.rotation], -1)


def depth(pose, landmarks):
    """How deep the table is in a wall or a landmark, in metres; negative in free space."""
    return -min(gaps(pose, landmarks).min(), wall_gaps(pose))


def commands(seed, count):
    """(count, 3) velocities, full speed ahead in directions that last a while."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.integers(-1, 2, (count // 10 + 1, 3)), 10, 0)[:count] * FULL_SPEED


def rollout(simulation, seed, count=40):
    """(count, 4) poses and collisions from a random scene under random commands."""
    state = FactoryState.sample(
        np.random.default_rng(seed), layout="random" if seed % 2 else "fixed"
    )
    simulation.reset(poses_of(state)[0], state.landmarks[0])
    return np.array([[*pose, hit] for pose, hit in map(simulation.step, commands(seed, count))])


def digest(seeds):
    """Return one hash of the rollouts of `seeds`, each in a new simulation."""
    sha = hashlib.sha256()
    for seed in seeds:
        fresh = FactorySimulation()
        sha.update(rollout(fresh, seed).tobytes())
        fresh.close()
    return sha.hexdigest()


# Physics.


def test_free_motion_is_what_was_asked(simulation):
    rng = np.random.default_rng(0)
    pose = np.array([0.0, 0.1, 6.2])
    simulation.reset(pose, FIXED_LAYOUT)
    for velocity in rng.uniform(-1, 1, (200, 3)) * FULL_SPEED:
        velocity[:2] = np.where(
            np.abs(pose[:2] + velocity[:2] * STEP_SECONDS) > 0.4, -velocity[:2], velocity[:2]
        )
        asked = pose + velocity * STEP_SECONDS
        pose, hit = simulation.step(velocity)
        assert not hit
        np.testing.assert_allclose(pose[:2], asked[:2], atol=1e-9)
        assert abs(np.sin((pose[2] - asked[2]) / 2)) < 1e-9
        assert 0 <= pose[2] < 2 * np.pi


@pytest.mark.parametrize("direction", [(1, 0), (-1, 0), (0, 1), (0, -1)])
@pytest.mark.parametrize("rotation", [0.0, 0.7, np.pi / 2])
def test_walls_stop_the_table(simulation, direction, rotation):
    nowhere = np.full((4, 2), 50.0)
    simulation.reset((0, 0, rotation), nowhere)
    hits = []
    for _ in range(40):
        pose, hit = simulation.step((0.5 * direction[0], 0.5 * direction[1], 0))
        hits.append(hit)
        assert wall_gaps(pose) > -AT_ONCE
    assert not hits[0]
    assert hits[-1]
    assert wall_gaps(pose) < 0.1


@pytest.mark.parametrize("index", range(len(LANDMARKS)))
def test_each_landmark_stops_the_table(simulation, index):
    landmarks = np.full((4, 2), 50.0)
    landmarks[index] = (0.0, 1.0)
    for offset in (-0.2, 0.0, 0.3):
        simulation.reset((offset, -0.9, 0.0), landmarks)
        for _ in range(20):
            pose, hit = simulation.step((0, 0.5, 0))
            assert depth(pose, landmarks) < AT_ONCE
        assert hit
        assert pose[1] + TABLE[1] < 1.0


def test_nothing_is_entered_and_the_floor_never_left(simulation):
    rng = np.random.default_rng(5)
    simulation.reset((0, 0, 0), FIXED_LAYOUT)
    hits = 0
    for velocity in np.concatenate([rng.uniform(-1, 1, (250, 3)) * FULL_SPEED, commands(6, 500)]):
        pose, hit = simulation.step(velocity)
        hits += hit
        assert depth(pose, FIXED_LAYOUT) < AT_ONCE
        assert np.abs(pose[:2]).max() < FLOOR
    assert hits > 100


def test_history_leaves_no_trace(simulation):
    seeds = range(40)
    first = {seed: rollout(simulation, seed) for seed in seeds}
    assert np.mean([run[:, 3] for run in first.values()]) > 0.3  # much of it in contact
    for seed in np.random.default_rng(0).permutation(seeds).tolist():
        assert rollout(simulation, seed).tobytes() == first[seed].tobytes()
        if seed % 4 == 0:
            fresh = FactorySimulation()
            assert rollout(fresh, seed).tobytes() == first[seed].tobytes()
            fresh.close()


def test_another_process_agrees_to_the_bit():
    code = f"import sys; sys.path.insert(0, {str(asset_path('.').parent)!r})\n"
    code += f"sys.path.insert(0, {sys.path[0]!r})\n"
    code += f"sys.path.insert(0, {__file__.rsplit('/', 1)[0]!r})\n"
    code += "from test_factory_physics import digest; print(digest(range(8)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == digest(range(8))
    assert run.stderr == ""  # PyBullet loads in silence


def test_interleaved_simulations_equal_separate_ones(simulation):
    alone = [rollout(simulation, seed) for seed in (1, 2, 3)]
    several = [FactorySimulation() for _ in alone]
    for seed, one in enumerate(several, 1):
        state = FactoryState.sample(
            np.random.default_rng(seed), layout="random" if seed % 2 else "fixed"
        )
        one.reset(poses_of(state)[0], state.landmarks[0])
    velocities = [commands(seed, 40) for seed in (1, 2, 3)]
    for tick in range(40):
        for index, one in enumerate(several):
            pose, hit = one.step(velocities[index][tick])
            assert [*pose, hit] == alone[index][tick].tolist()
    for one in several:
        one.close()


def test_a_simulation_can_be_closed_and_used_again(simulation):
    with pytest.raises(RuntimeError, match="reset"):
        simulation.step((0, 0, 0))
    before = rollout(simulation, 4)
    simulation.close()
    simulation.close()
    assert rollout(simulation, 4).tobytes() == before.tobytes()


def test_what_is_no_longer_used_frees_its_worlds(simulation, monkeypatch):
    freed = []
    monkeypatch.setattr(bullet(), "disconnect", freed.append)
    forgotten = FactorySimulation()
    rollout(forgotten, 4, count=1)
    client = forgotten._client
    del forgotten
    gc.collect()
    assert freed == [client]


def test_running_simulations_are_not_copied(simulation):
    copy.deepcopy(simulation)
    rollout(simulation, 4, count=1)
    for duplicate in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            duplicate(simulation)


# Camera.


def crowded(count, seed):
    """Return states; in a third of them crates or docking station hide a part of the table."""
    rng = np.random.default_rng(seed)
    state = FactoryState.sample(rng, count)
    hidden = rng.integers(2, 4, size=count // 3)
    state.x[: count // 3] = FIXED_LAYOUT[hidden, 0]
    state.y[: count // 3] = FIXED_LAYOUT[hidden, 1] + 0.6
    return state


@pytest.mark.parametrize("size", [64, 128])
def test_fast_camera_draws_what_the_full_one_draws(size):
    camera = FactoryCamera(size)
    anywhere = FactoryState.sample(np.random.default_rng(size), 1000 if size == 64 else 200)
    state = FactoryState.concatenate([crowded(30, size), anywhere])
    if size == 64:
        state = FactoryState.concatenate(
            [state, FactoryState.sample(np.random.default_rng(1), 10, "random")]
        )
    fast, full = camera.render(state), camera.render_full(state, shadow=False)
    assert fast.shape == (len(state), size, size, 3)
    assert fast.dtype == np.uint8
    assert np.array_equal(fast, full)
    assert len({picture.tobytes() for picture in fast}) == len(state)
    camera.close()


@pytest.mark.parametrize(
    ("size", "x", "y", "rotation"),
    [
        (64, 0.5939135508559859, -0.2586699862407391, 6.159050195865445),
        (64, 0.43936547577202223, 1.3431538175711797, 1.0728067487844237),
        (128, 0.7964514195229802, -0.03307731870894548, 1.0185033507648011),
        (128, 1.4359004645547175, 0.2556905765077957, 1.289213675352369),
    ],
)
def test_edges_through_a_pixels_centre_are_drawn_as_in_the_full_picture(size, x, y, rotation):
    camera, state = FactoryCamera(size), FactoryState.sample(np.random.default_rng(0))
    state.x[:], state.y[:], state.rotation[:] = x, y, rotation
    np.testing.assert_array_equal(camera.render(state), camera.render_full(state, shadow=False))
    camera.close()


def test_pictures_depend_on_the_state_alone(camera):
    state = FactoryState.concatenate(
        [crowded(12, 0), FactoryState.sample(np.random.default_rng(2), 4, "random")]
    )
    together = camera.render(state)
    order = np.random.default_rng(0).permutation(len(state))
    camera.render_full(state[:1], 48)
    np.testing.assert_array_equal(camera.render(state[order]), together[order])
    camera.close()
    for row in order[:6]:
        np.testing.assert_array_equal(camera.render(state[row]), together[row][None])


def test_pictures_for_agents_open_no_pybullet_world(camera, monkeypatch):
    monkeypatch.setattr(bullet(), "connect", None)
    assert camera.render(FactoryState.sample(np.random.default_rng(2), 2)).shape == (2, 64, 64, 3)


def test_copies_have_a_renderer_of_their_own(camera):
    state = FactoryState.sample(np.random.default_rng(2), 2)
    expected = camera.render(state)
    for twin in (copy.deepcopy(camera), pickle.loads(pickle.dumps(camera))):
        assert np.array_equal(twin.render(state), expected)
        twin.close()
    assert np.array_equal(camera.render(state), expected)


def test_little_scenery_is_remembered():
    camera, state = (
        FactoryCamera(64, layouts=2),
        FactoryState.sample(np.random.default_rng(2), 4, "random"),
    )
    expected = camera.render(state)
    assert len(camera._backgrounds) == 2
    assert np.array_equal(camera.render(state[::-1]), expected[::-1])
    camera.close()


def test_the_table_is_where_it_is_projected_and_has_its_color(camera):
    state = FactoryState.sample(np.random.default_rng(3), 20)
    pictures = camera.render(state)
    tops = np.stack([state.x, state.y, np.full(20, 0.36)], -1)
    column, row = np.floor(project(tops, 64)).astype(int).T
    seen = pictures[np.arange(20), row, column].astype(float)
    np.testing.assert_allclose(seen, state.rgb * 0.948, atol=2)


def test_the_whole_floor_is_in_the_picture():
    corners = [(x, y, 0) for x in (-FLOOR, FLOOR) for y in (-FLOOR, FLOOR)]
    pixels = project(corners, 64)
    assert pixels.min() > 0
    assert pixels.max() < 64


def test_view_for_people_has_shadows(camera):
    state = FactoryState.sample(np.random.default_rng(4))
    lit, plain = camera.render_full(state, 240), camera.render_full(state, 240, shadow=False)
    assert lit.shape == (1, 240, 240, 3)
    assert 0.005 < (lit.astype(int).sum(-1) < plain.astype(int).sum(-1) - 10).mean() < 0.3


@pytest.mark.parametrize("size", [0, 31, 513])
def test_camera_refuses_other_sizes(size):
    with pytest.raises(ValueError, match="32 to 512"):
        FactoryCamera(size)


# Layouts and assets.


def corners_of(pose):
    """(4, 2) corners of the table."""
    cosine, sine = np.cos(pose[2]), np.sin(pose[2])
    return pose[:2] + np.array([(-0.5, -0.35), (-0.5, 0.35), (0.5, -0.35), (0.5, 0.35)]) @ np.array(
        [[cosine, sine], [-sine, cosine]]
    )


def test_gaps_by_hand():
    box = np.array([[1.0, 0.0]])
    assert gaps(np.array([0.0, 0.0, 0.0]), box, [(0.2, 0.2)])[0] == pytest.approx(0.3)
    assert gaps(np.array([0.0, 0.0, np.pi / 2]), box, [(0.2, 0.2)])[0] == pytest.approx(0.45)
    assert gaps(np.array([0.4, 0.0, 0.0]), box, [(0.2, 0.2)])[0] == pytest.approx(-0.1)
    assert wall_gaps(np.array([1.2, 0.0, 0.0])) == pytest.approx(0.3)
    assert wall_gaps(np.array([0.0, -1.5, np.pi / 2])) == pytest.approx(0.0)


@pytest.mark.parametrize(("layout", "count"), [("fixed", 5000), ("random", 1000)])
def test_sampled_scenes_are_valid(layout, count):
    state = FactoryState.sample(np.random.default_rng(0), count, layout)
    poses = poses_of(state)
    assert is_clear(poses, state.landmarks).all()
    assert ((state.rotation >= 0) & (state.rotation < 2 * np.pi)).all()
    assert ((state.wording_seed >= 0) & (state.wording_seed < 2**31)).all()
    assert np.abs([corners_of(pose) for pose in poses]).max() < FLOOR - 0.05
    if layout == "fixed":
        assert (state.landmarks == FIXED_LAYOUT).all()
    else:
        assert are_apart(state.landmarks).all()
        assert all(map(can_reach_goal, poses, state.landmarks))
        assert np.abs(state.landmarks).max() < FLOOR


def test_sampling_depends_on_the_generator_alone():
    for layout in ("fixed", "random"):
        first, second = (
            FactoryState.sample(np.random.default_rng(7), 20, layout).arrays() for _ in range(2)
        )
        assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_a_corner_too_tight_to_turn_in_has_no_certain_way():
    landmarks = np.array([(0.0, 1.84), (1.05, 1.7), (1.7, 0.9), (-1.8, -1.6)])
    assert can_reach_goal(np.array([0.0, -1.0, 0.3]), landmarks)
    assert not can_reach_goal(np.array([1.66, 1.5, 0.0]), landmarks)


def test_sample_refuses_other_layouts():
    with pytest.raises(ValueError, match="'fixed' or 'random'"):
        FactoryState.sample(np.random.default_rng(0), 1, "maze")


def test_a_missing_asset_is_named():
    assert asset_path("factory/table.urdf").is_file()
    with pytest.raises(FileNotFoundError, match=r"no asset 'factory/chair\.urdf'"):
        asset_path("factory/chair.urdf")
