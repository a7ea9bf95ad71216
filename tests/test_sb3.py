"""Stable-Baselines3 on our environments and on workspace vectors."""

import gymnasium as gym
import numpy as np
import pytest
from rollouts import digest
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv

import gw_envs
from gw_agents import GlobalWorkspace, GWObservation
from gw_agents.sb3 import GWVecObservation, TokenExtractor, make_vec
from gw_envs.errors import InputError

SCENE_OF = {"GWSimpleShapes-v0": "simple_shapes", "GWFactory-v0": "factory"}


@pytest.fixture(scope="module", params=gw_envs.ENV_IDS)
def env_id(request):
    return request.param


@pytest.fixture(scope="module")
def gw(env_id):
    return GlobalWorkspace.from_pretrained(SCENE_OF[env_id], device="cpu")


def test_native_batch_equals_sb3s_own_vec_env(env_id):
    ours = make_vec(env_id, n_envs=3, seed=5)
    theirs = make_vec_env(env_id, n_envs=3, seed=5)
    shown, expected = ours.reset(), theirs.reset()
    rng = np.random.default_rng(0)
    ended = 0
    for _ in range(1000):
        assert all(np.array_equal(shown[name], expected[name]) for name in expected)
        actions = rng.integers(6, size=3)
        shown, reward, over, infos = ours.step(actions)
        expected, their_reward, their_over, their_infos = theirs.step(actions)
        assert np.array_equal(reward, their_reward)
        assert np.array_equal(over, their_over)
        for info, their_info in zip(infos, their_infos, strict=True):
            mine, their_own = info.pop("episode", None), their_info.pop("episode", None)
            if their_own is not None:
                assert mine["l"] == their_own["l"]
                assert mine["r"] == pytest.approx(their_own["r"], abs=1e-4)
            ended += "terminal_observation" in info
            assert digest(info) == digest(their_info)
    assert ended >= 3
    ours.close()
    theirs.close()


def test_native_batch_equals_environments_in_other_processes(env_id):
    ours = make_vec(env_id, n_envs=2, seed=5)
    spawn = {"start_method": "spawn"}
    theirs = make_vec_env(
        f"gw_envs:{env_id}", n_envs=2, seed=5, vec_env_cls=SubprocVecEnv, vec_env_kwargs=spawn
    )
    rng = np.random.default_rng(0)
    assert digest(ours.reset()) == digest(dict(theirs.reset()))
    for _ in range(12):
        actions = rng.integers(6, size=2)
        shown, reward, over, _ = ours.step(actions)
        expected, their_reward, their_over, _ = theirs.step(actions)
        assert digest(shown, reward, over) == digest(
            dict(expected), np.float32(their_reward), their_over
        )
    ours.close()
    theirs.close()


def test_workspace_vectors_are_those_of_the_single_wrapper(env_id, gw):
    venv = GWVecObservation(
        make_vec(env_id, n_envs=2, seed=1), gw, ("image", "attributes"), attention="best"
    )
    single = GWObservation(gym.make(env_id), gw, ("image", "attributes"), attention="best")
    rows, (z, _) = venv.reset(), single.reset(seed=1)
    rng = np.random.default_rng(0)
    for _ in range(5):
        assert np.allclose(rows[0], z, atol=1e-4)
        actions = rng.integers(6, size=2)
        rows, *_ = venv.step(actions)
        z, *_ = single.step(actions[0])
    venv.close()
    single.close()


def test_last_observations_are_workspace_vectors_too(env_id, gw):
    venv = GWVecObservation(
        make_vec(env_id, n_envs=2, seed=1, max_episode_steps=3), gw, ("attributes",)
    )
    venv.reset()
    for _ in range(3):
        _, _, over, infos = venv.step(np.zeros(2, np.int64))
    assert over.all()
    assert infos[0]["terminal_observation"].shape == (gw.width,)
    venv.close()


def test_ppo_learns_on_workspace_vectors(env_id, gw):
    venv = GWVecObservation(make_vec(env_id, n_envs=8, seed=0, modalities=("attributes",)), gw)
    model = PPO("MlpPolicy", venv, n_steps=64, batch_size=128, seed=0, device="cpu")
    model.learn(3_000)
    assert model.num_timesteps >= 3_000
    action, _ = model.predict(venv.reset(), deterministic=True)
    assert action.shape == (8,)
    venv.close()


def test_ppo_on_images_and_language(env_id, gw):
    venv = GWVecObservation(
        make_vec(env_id, n_envs=4, seed=0), gw, ("image", "language"), attention="best"
    )
    PPO("MlpPolicy", venv, n_steps=32, batch_size=64, n_epochs=1, device="cpu").learn(128)
    venv.close()


def test_ppo_on_raw_tokens(env_id):
    venv = make_vec(env_id, n_envs=2, seed=0, modalities=("language",))
    extractor = {"features_extractor_class": TokenExtractor}
    PPO(
        "MultiInputPolicy", venv, n_steps=32, batch_size=32, policy_kwargs=extractor, device="cpu"
    ).learn(64)
    venv.close()


def test_workspace_by_name(env_id, gw):
    venv = GWVecObservation(make_vec(env_id, seed=0, modalities=("attributes",)), SCENE_OF[env_id])
    expected = GWVecObservation(make_vec(env_id, seed=0, modalities=("attributes",)), gw)
    assert np.array_equal(venv.reset(), expected.reset())
    venv.close()
    expected.close()


def test_refusals(env_id, gw):
    with pytest.raises(ValueError, match="GWFactory-v0"):
        make_vec("GWMoon-v0")
    with pytest.raises(ValueError, match="misses image"):
        GWVecObservation(make_vec_env("CartPole-v1"), gw, ("image",))
    with pytest.raises(
        ValueError, match="misses image, attributes, language: it has no keys at all, being a Box"
    ):
        GWVecObservation(make_vec_env("CartPole-v1"), gw)
    (other,) = set(gw_envs.ENV_IDS) - {env_id}
    for venv in (
        make_vec(other, modalities=("language",)),
        make_vec_env(other, env_kwargs={"modalities": "language"}),
    ):
        with pytest.raises(
            ValueError, match=f"knows the scene '{gw.scene_name}', and the environments show"
        ):
            GWVecObservation(venv, gw)
        venv.close()


# Rows of a native batch.


def test_scenes_are_found_by_every_name():
    for name in ("factory", "GWFactory-v0", "gw_envs:GWFactory-v0"):
        venv = make_vec(name, modalities=("attributes",))
        assert venv.get_attr("spec")[0].id == "GWFactory-v0"
        venv.close()


def test_episodes_are_counted():
    venv = make_vec("simple_shapes", n_envs=2, seed=0, max_episode_steps=3)
    venv.reset()
    total = np.zeros(2)
    for _ in range(3):
        _, reward, done, infos = venv.step(np.array([0, 1]))
        total += reward
    assert done.all()
    assert infos[0]["episode"]["l"] == 3
    assert infos[1]["episode"]["r"] == pytest.approx(total[1], abs=1e-5)


def test_a_method_acts_on_the_rows_that_are_named():
    venv = make_vec("simple_shapes", n_envs=3, seed=0, modalities=("attributes",))
    before = venv.reset()["attributes"]
    ((observation, info),) = venv.env_method("reset", indices=[2])
    now = venv.batch.core.observe()["attributes"]
    assert np.array_equal(now[:2], before[:2])
    assert not np.array_equal(now[2], before[2])
    assert np.array_equal(observation["attributes"], now[2])
    assert info["is_success"] == False  # noqa: E712 - a NumPy bool
    (state,) = venv.get_attr("state", [2])
    assert len(state) == 1
    assert np.array_equal(venv.batch.core.observe(state)["attributes"][0], now[2])


def test_rows_go_back_to_snapshots():
    venv = make_vec("simple_shapes", n_envs=3, seed=0, modalities=("attributes",))
    before = venv.reset()["attributes"]
    first, second = venv.env_method("get_state", indices=[0, 1])
    venv.step(np.array([0, 1, 2]))
    moved = venv.batch.core.observe()["attributes"]
    venv.env_method("set_state", first, indices=[0])
    now = venv.batch.core.observe()["attributes"]
    assert np.array_equal(now[0], before[0])
    assert np.array_equal(now[1:], moved[1:])
    venv.env_method("set_state", second, indices=[0, 2])
    now = venv.batch.core.observe()["attributes"]
    assert np.array_equal(now[[0, 2]], before[[1, 1]])
    assert np.array_equal(now[1], moved[1])


def test_what_belongs_to_all_rows_is_not_done_to_some():
    venv = make_vec("simple_shapes", n_envs=3)
    with pytest.raises(InputError, match="'render_size' belongs to all rows"):
        venv.set_attr("render_size", 100, indices=[1])
    with pytest.raises(InputError, match="'close' belongs to all rows"):
        venv.env_method("close", indices=[1])
    venv.set_attr("render_size", 100)
    assert venv.get_attr("render_size", [0, 1]) == [100, 100]


def test_options_reach_the_environments():
    venv = make_vec("simple_shapes", n_envs=2, seed=0, modalities=("attributes",))
    venv.reset()
    venv.set_options({"state": {"x": 12.0}})
    venv.reset()
    assert venv.get_attr("state", [1])[0].x == [12.0]
