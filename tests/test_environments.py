"""Every registered environment: checkers, seeds, arguments, rendering, errors of wrong input."""

import copy
import multiprocessing
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations, product

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_gymnasium
from rollouts import digest, random_action, rollout, rollout_of

import gw_envs
from gw_envs import ENV_IDS, MODALITIES
from gw_envs.language import VOCABULARY

SUBSETS = [subset for size in (1, 2, 3) for subset in combinations(MODALITIES, size)]
STEPS = 150

every_id = pytest.mark.parametrize("env_id", ENV_IDS)


def layouts(env_id: str) -> tuple[str, ...]:
    env = gym.make(env_id)
    env.close()
    return env.unwrapped.core.layouts


def messages(caught: list[warnings.WarningMessage]) -> list[str]:
    return [str(warning.message) for warning in caught]


@every_id
@pytest.mark.parametrize("arguments", [{}, {"actions": "continuous"}, {"language": "text"}])
def test_gymnasium_checker(env_id, arguments, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_gymnasium(gym.make(env_id, render_mode="rgb_array", **arguments).unwrapped)
    # the checker tries every render mode
    assert all("no display" in message for message in messages(caught))


@pytest.mark.torch
@every_id
@pytest.mark.parametrize("actions", ["discrete", "continuous"])
def test_sb3_checker(env_id, actions):
    from stable_baselines3.common.env_checker import check_env as check_sb3

    env = gym.make(env_id, actions=actions)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_sb3(env)
    small = env.unwrapped.core.image_size < 36
    assert len(caught) == small
    assert all(
        "minimal resolution for an image is 36x36" in message for message in messages(caught)
    )
    env.close()


@every_id
def test_twins_reseeding_and_interleaving(env_id):
    first, second = gym.make(env_id), gym.make(env_id, actions="discrete")
    expected = rollout(first, STEPS, seed=3)
    assert rollout(second, STEPS, seed=3) == expected
    assert rollout(first, STEPS, seed=3) == expected
    assert rollout(first, 20, seed=4) != expected[:21]
    rngs = [np.random.default_rng(3), np.random.default_rng(5)]
    alone = rollout(gym.make(env_id), 40, seed=5)
    traces = [[digest(*env.reset(seed=seed))] for env, seed in ((first, 3), (second, 5))]
    for _ in range(40):
        for env, rng, trace in zip((first, second), rngs, traces, strict=True):
            trace.append(digest(*env.step(random_action(env, rng))))
    assert traces == [expected[:41], alone[:41]]
    first.close()
    second.close()


@pytest.fixture(scope="module")
def other_process():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@every_id
def test_another_process_gives_the_same(env_id, other_process):
    there = other_process.submit(
        rollout_of, env_id, 60, 11, actions="continuous", layout=layouts(env_id)[-1]
    )
    assert there.result() == rollout_of(
        env_id, 60, 11, actions="continuous", layout=layouts(env_id)[-1]
    )


@every_id
@pytest.mark.parametrize("modalities", SUBSETS, ids="+".join)
def test_every_combination_of_arguments(env_id, modalities):
    for layout, actions, language in product(
        layouts(env_id), ("discrete", "continuous"), ("tokens", "text")
    ):
        env = gym.make(
            env_id, modalities=modalities, actions=actions, language=language, layout=layout
        )
        rng = np.random.default_rng(0)
        steps = [env.reset(seed=1), *(env.step(random_action(env, rng))[::4] for _ in range(3))]
        for observation, info in steps:
            assert env.observation_space.contains(observation)
            assert tuple(observation) == modalities
            assert {"is_success", "collision"} <= set(info)
            assert ("caption" in info) == ("language" in modalities)
            if "language" in modalities:
                words = observation["language"]
                caption = words if language == "text" else VOCABULARY.decode(words)
                assert info["caption"] == caption
        first = rollout(env, 3, seed=1)
        check_gymnasium(env.unwrapped, skip_render_check=True)
        assert rollout(env, 3, seed=1) == first
        env.close()


@pytest.mark.torch
@every_id
@pytest.mark.parametrize("modalities", SUBSETS, ids="+".join)
def test_sb3_checker_on_every_combination_of_arguments(env_id, modalities):
    from stable_baselines3.common.env_checker import check_env as check_sb3

    for layout, actions in product(layouts(env_id), ("discrete", "continuous")):
        env = gym.make(env_id, modalities=modalities, actions=actions, layout=layout)
        first = rollout(env, 3, seed=1)
        check_sb3(env, warn=False)  # of token ids alone: it knows no Text
        assert rollout(env, 3, seed=1) == first
        env.close()


@every_id
def test_modalities_do_not_change_what_happens(env_id):
    whole, one = gym.make(env_id), [gym.make(env_id, modalities=[name]) for name in MODALITIES]
    rng = np.random.default_rng(0)
    observation = whole.reset(seed=2)[0]
    for name, env in zip(MODALITIES, one, strict=True):
        assert np.array_equal(env.reset(seed=2)[0][name], observation[name])
    for _ in range(30):
        action = random_action(whole, rng)
        observation, *rest, _ = whole.step(action)
        for name, env in zip(MODALITIES, one, strict=True):
            alone, *others, _ = env.step(action)
            assert np.array_equal(alone[name], observation[name])
            assert others == rest
    for env in (whole, *one):
        env.close()


@every_id
@pytest.mark.parametrize("asked", MODALITIES)
def test_only_what_is_asked_for_is_computed(env_id, asked, monkeypatch):
    def refuse(*_):
        raise AssertionError("computed although nobody asked")

    env = gym.make(env_id, modalities=(asked,))
    core = type(env.unwrapped.core)
    if asked != "image":
        monkeypatch.setattr(core, "images", refuse)
        monkeypatch.setattr("gw_envs.simple_shapes.env.render", refuse)
        monkeypatch.setattr("gw_envs.factory.camera.FactoryCamera.render", refuse)
    if asked != "attributes":
        monkeypatch.setattr(core, "attributes", refuse)
    if asked != "language":
        monkeypatch.setattr("gw_envs.core.tokens", refuse)
    rollout(env, 5, seed=0)
    env.close()


@every_id
def test_views_draw_no_random_numbers(env_id):
    env = gym.make(env_id, render_mode="rgb_array")
    env.reset(seed=0)
    before = copy.deepcopy(env.unwrapped.np_random.bit_generator.state)
    views = [digest(env.unwrapped.core.observe(), env.render()) for _ in range(2)]
    assert views[0] == views[1]
    env.step(0)
    assert env.unwrapped.np_random.bit_generator.state == before
    looked, plain = (gym.make(env_id, render_mode=mode) for mode in ("rgb_array", None))
    with_looks = [digest(*looked.reset(seed=7))]
    for action in range(6):
        looked.render()
        with_looks.append(digest(*looked.step(action)))
    assert with_looks == [
        digest(*plain.reset(seed=7)),
        *(digest(*plain.step(action)) for action in range(6)),
    ]
    for made in (env, looked, plain):
        made.close()


@every_id
def test_the_spec_travels(env_id):
    env = gym.make(env_id, modalities=("attributes",), actions="continuous", max_episode_steps=7)
    trace = rollout(env, 20, seed=1)
    for spec in (pickle.loads(pickle.dumps(env.spec)), copy.deepcopy(env.spec)):
        made = gym.make(spec)
        assert rollout(made, 20, seed=1) == trace
        made.close()
    assert gym.envs.registration.EnvSpec.from_json(env.spec.to_json()).max_episode_steps == 7
    env.close()


@every_id
@pytest.mark.parametrize("size", [480, 64, 600])
def test_rendering(env_id, size):
    sizes = {} if size == 480 else {"render_size": size}
    env = gym.make(env_id, render_mode="rgb_array", modalities=("attributes",), **sizes)
    env.reset(seed=0)
    first = env.render()
    assert first.shape == (size, size, 3)
    assert first.dtype == np.uint8
    assert first.std() > 5
    for _ in range(6):
        env.step(4)
    assert not np.array_equal(env.render(), first)
    env.close()


@every_id
@pytest.mark.parametrize("display", ["", ":4711"])
@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_rendering_without_a_display_warns_once(env_id, make, display, monkeypatch):
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setattr(sys, "platform", "linux")
    env = make(env_id, render_mode="human", render_size=64, modalities=("attributes",))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in range(2):
            env.reset(seed=seed)
            env.step(env.action_space.sample())
            assert env.render() is None
    assert ["no display" in message for message in messages(caught)] == [True]
    env.close()


@every_id
def test_truncation(env_id):
    for arguments, length in (({}, gw_envs.MAX_EPISODE_STEPS), ({"max_episode_steps": 7}, 7)):
        env = gym.make(env_id, modalities=("attributes",), **arguments)
        env.reset(seed=0)
        ends = [env.step(step % 2)[2:4] for step in range(length)]  # up and down, never the goal
        assert ends == [(False, False)] * (length - 1) + [(False, True)]
        env.close()


@every_id
def test_closing_twice_and_coming_back(env_id):
    env = gym.make(env_id, render_mode="rgb_array").unwrapped
    before = digest(*env.reset(seed=0))
    for _ in range(2):
        env.close()
    for use in (lambda: env.step(0), env.render, env.core.observe):
        with pytest.raises(gym.error.ResetNeeded, match="call reset"):
            use()
    assert digest(*env.reset(seed=0)) == before
    env.close()


WRONG_ARGUMENTS = [
    ({"modalities": ()}, "modalities is empty"),
    ({"modalities": None}, "modalities is None"),
    ({"modalities": ("image", "smell")}, "unknown modality 'smell'"),
    ({"modalities": ("image", "image")}, "twice"),
    ({"layout": "cosy"}, "unknown layout 'cosy'"),
    ({"actions": "telepathic"}, "unknown action mode"),
    ({"language": "song"}, "unknown language form"),
    ({"render_mode": "ascii"}, "render_mode 'ascii'"),
    ({"render_size": 10}, "render_size is 10"),
    ({"image_size": 4}, "image_size is 4"),
    ({"image_size": 5000}, "image_size is 5000"),
    ({"image_size": 32.5}, "image_size is 32.5"),
    ({"render_size": 480.0}, "render_size is 480.0"),
]


def assert_one_sentence(error: BaseException) -> None:
    assert len(str(error)) < 200
    assert "\n" not in str(error)


@every_id
@pytest.mark.parametrize(("arguments", "message"), WRONG_ARGUMENTS)
@pytest.mark.filterwarnings("ignore:.*render_mode")
def test_wrong_arguments(env_id, arguments, message):
    for make in (gym.make, gym.make_vec):
        with pytest.raises(ValueError, match=message) as caught:
            make(env_id, **arguments)
        assert_one_sentence(caught.value)


@every_id
@pytest.mark.parametrize("num_envs", [0, -1, 1.5, True])
def test_wrong_number_of_environments(env_id, num_envs):
    with pytest.raises(
        ValueError, match=r"num_envs is .*: it must be a whole number of at least 1"
    ):
        gym.make_vec(env_id, num_envs=num_envs)


WRONG_ACTIONS = {
    "discrete": [6, -1, 1.0, np.nan, [1, 2], [[1]], "up", None, True, np.zeros(3)],
    "continuous": [
        1,
        [0.0, 0.0],
        [0.0, 0.0, 1.5],
        [0.0, np.nan, 0.0],
        [np.inf, 0.0, 0.0],
        np.zeros((1, 3)),
        ["a", "b", "c"],
        None,
    ],
}


@every_id
@pytest.mark.parametrize("actions", WRONG_ACTIONS)
def test_wrong_actions(env_id, actions):
    env = gym.make(env_id, actions=actions, modalities=("attributes",))
    env.reset(seed=0)
    before = digest(env.unwrapped.core.state.arrays())
    for action in WRONG_ACTIONS[actions]:
        with pytest.raises(ValueError, match="action") as caught:
            env.step(action)
        assert_one_sentence(caught.value)
    assert digest(env.unwrapped.core.state.arrays()) == before
    env.close()


WITHOUT_PYBULLET = """
import sys
sys.modules["pybullet"] = None  # as if it were not installed

import gymnasium as gym
import gw_envs
from gw_envs.dataset import Sampler
from gw_envs.errors import MissingPackageError

env = gym.make("GWSimpleShapes-v0", render_mode="rgb_array")
env.reset(seed=0)
env.step(0)
assert env.render().shape == (480, 480, 3)
assert Sampler("factory", "train").batch(0, 2)["image"].shape == (2, 64, 64, 3)
for make in (gym.make, gym.make_vec):
    try:
        make("GWFactory-v0")
    except MissingPackageError as error:
        print(error)
"""


def test_without_pybullet_the_factory_says_what_to_do_and_simple_shapes_works():
    command = [sys.executable, "-c", WITHOUT_PYBULLET]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == second
    assert "the Factory needs PyBullet" in first
    assert "pip install pybullet-arm64" in first
    assert len(first) < 250
    assert done.stderr == ""


def test_import_is_light_and_silent():
    heavy = {"torch", "pybullet", "matplotlib", "stable_baselines3"}
    code = f"import sys, gw_envs; assert not {heavy} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
