"""What policies are given: wrappers over every kind of environment, extractors, and what they
refuse."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FrameStackObservation
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.preprocessing import preprocess_obs
from stable_baselines3.common.vec_env import SubprocVecEnv, VecFrameStack, VecNormalize

import gw_envs
from gw_agents import GlobalWorkspace, GWObservation, GWVecObservation, make_vec
from gw_agents.sb3 import GWFeaturesExtractor, RawExtractor, TokenExtractor
from gw_envs.errors import InputError
from gw_envs.language import VOCABULARY

SHAPES, FACTORY = gw_envs.ENV_IDS
RAW = {"features_extractor_class": RawExtractor}


@pytest.fixture(scope="module")
def gw():
    return GlobalWorkspace.from_pretrained("simple_shapes", device="cpu")


@pytest.fixture(scope="module")
def factory():
    return GlobalWorkspace.from_pretrained("factory", device="cpu")


class WithTime(gym.ObservationWrapper):
    """Adds the number of the step, as goals and clocks are added by others."""

    def __init__(self, env):
        super().__init__(env)
        time = gym.spaces.Box(0.0, np.inf, (1,), np.float32)
        self.observation_space = gym.spaces.Dict({**env.observation_space.spaces, "time": time})
        self.now = -1.0

    def observation(self, observation):
        self.now += 1.0
        return {**observation, "time": np.array([self.now], np.float32)}


# One environment.


@pytest.mark.filterwarnings("ignore")
def test_the_wrapper_passes_gymnasiums_checker(gw):
    check_env(GWObservation(gym.make(SHAPES).unwrapped, gw), skip_render_check=True)


def test_the_wrapper_is_made_again_from_its_spec():
    env = GWObservation(gym.make(SHAPES), "simple_shapes", modalities=("attributes",))
    again = gym.make(env.spec)
    assert isinstance(again.get_wrapper_attr("representation"), type(env.representation))
    assert np.array_equal(env.reset(seed=3)[0], again.reset(seed=3)[0])
    assert env.modalities == ("attributes",)
    assert gym.make(type(env.spec).from_json(env.spec.to_json())).reset(seed=3)[0].shape == (12,)


def test_every_frame_of_a_stack_is_encoded(gw):
    frames = FrameStackObservation(gym.make(SHAPES), 4)
    env = GWObservation(frames, gw, ("image", "attributes"), attention="best")
    z, _ = env.reset(seed=0)
    assert env.observation_space == gym.spaces.Box(-1.0, 1.0, (4, 12), np.float32)
    assert z in env.observation_space
    z, *_ = env.step(0)
    single = GWObservation(gym.make(SHAPES), gw, ("image", "attributes"), attention="best")
    first, _ = single.reset(seed=0)
    assert np.allclose(z[-1], single.step(0)[0], atol=1e-5)
    assert np.allclose(z[-2], first, atol=1e-5)
    batch = make_vec_env(
        SHAPES, 2, 0, wrapper_class=FrameStackObservation, wrapper_kwargs={"stack_size": 4}
    )
    rows = GWVecObservation(batch, gw, ("image", "attributes"), attention="best").reset()
    assert rows.shape == (2, 4, 12)
    assert np.allclose(rows[0, -1], first, atol=1e-5)


def test_other_keys_are_passed_on_beside_z(gw):
    env = GWObservation(WithTime(gym.make(SHAPES)), gw, ("attributes",), keep=("time",))
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert list(observation) == ["z", "time"]
    assert observation["time"] == [0.0]
    assert env.step(0)[0]["time"] == [1.0]
    with pytest.raises(
        InputError, match=r"'goal' can't be kept beside z: the observation has .*time"
    ):
        GWObservation(WithTime(gym.make(SHAPES)), gw, keep="goal")


def test_keys_of_a_batch_are_passed_on_at_the_ends_of_episodes_too(gw):
    limit = {"max_episode_steps": 2}
    venv = make_vec_env(SHAPES, 2, 0, env_kwargs=limit, wrapper_class=WithTime)
    venv = GWVecObservation(venv, gw, ("attributes",), keep=("time",))
    assert venv.reset()["time"].tolist() == [[0.0], [0.0]]
    venv.step([0, 0])
    observations, _, done, infos = venv.step([0, 0])
    assert done.all()
    assert infos[0]["terminal_observation"]["time"] == [2.0]
    assert infos[1]["terminal_observation"]["z"].shape == (12,)
    assert observations["time"].tolist() == [[3.0], [3.0]]
    PPO("MultiInputPolicy", venv, n_steps=4, batch_size=8, device="cpu").learn(8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attention": "besst"}, "unknown attention 'besst'"),
        ({"attention": True}, "attention is True: give a name"),
        ({"attention": {"image": 1.0}, "modalities": ("attributes",)}, "weights were given for"),
        ({"modalities": ("touch",)}, "touch"),
        ({"gw": 5}, "the workspace is 5"),
    ],
)
def test_mistakes_are_found_when_the_wrapper_is_made(gw, arguments, message):
    for wrapper, env in ((GWObservation, gym.make(SHAPES)), (GWVecObservation, make_vec(SHAPES))):
        with pytest.raises(ValueError, match=message):
            wrapper(env, **{"gw": gw, **arguments})


def test_a_workspace_of_another_scene_is_refused_wherever_environments_run(factory):
    words = {"modalities": ("language",)}
    message = "knows the scene 'factory', and the environments show 'simple_shapes'"
    with pytest.raises(InputError, match=message):
        GWObservation(gym.make(SHAPES, **words), factory)
    with pytest.raises(InputError, match=message):
        GWObservation(gym.make(SHAPES, **words), "factory")
    far = make_vec_env(f"gw_envs:{SHAPES}", 1, env_kwargs=words, vec_env_cls=SubprocVecEnv)
    with pytest.raises(InputError, match=message):
        GWVecObservation(far, factory)
    far.close()


def test_the_layout_is_named_where_attributes_do_not_fit(factory):
    with pytest.raises(InputError, match="layout='random' appends the places of landmarks"):
        GWVecObservation(make_vec(FACTORY, layout="random", modalities=("attributes",)), factory)
    with pytest.raises(InputError, match=r"VecFrameStack\(GWVecObservation"):
        GWVecObservation(VecFrameStack(make_vec(SHAPES, modalities=("image",)), 4), "simple_shapes")


# Extractors.


@pytest.mark.parametrize("modality", ["image", "attributes", "language"])
def test_raw_features_of_stacked_frames(modality):
    venv = VecFrameStack(make_vec(SHAPES, n_envs=2, modalities=(modality,)), 4)
    model = PPO("MultiInputPolicy", venv, n_steps=4, batch_size=8, policy_kwargs=RAW, device="cpu")
    model.learn(8)
    if modality == "image":
        first = model.policy.features_extractor.parts["image"][0]
        assert first.in_channels == 4 * 3


def test_pictures_with_colors_last_are_turned():
    space = gym.spaces.Dict({"image": gym.spaces.Box(0.0, 1.0, (32, 24, 3), np.float32)})
    turned = gym.spaces.Dict({"image": gym.spaces.Box(0.0, 1.0, (3, 32, 24), np.float32)})
    torch.manual_seed(0)
    one = RawExtractor(space)
    torch.manual_seed(0)
    other = RawExtractor(turned)
    rows = torch.rand(2, 32, 24, 3)
    assert torch.equal(one({"image": rows}), other({"image": rows.permute(0, 3, 1, 2)}))


def test_normalized_ids_are_refused_and_left_out_ids_work():
    venv = VecNormalize(make_vec(SHAPES))
    model = PPO("MultiInputPolicy", venv, n_steps=4, batch_size=4, policy_kwargs=RAW)
    with pytest.raises(InputError, match="leave it out of VecNormalize"):
        model.learn(4)
    venv = VecNormalize(make_vec(SHAPES), norm_obs_keys=["attributes"])
    PPO("MultiInputPolicy", venv, n_steps=4, batch_size=4, policy_kwargs=RAW).learn(4)


def test_ids_beyond_the_vocabulary_count_as_padding():
    space = gym.spaces.Dict({"language": gym.spaces.Box(0, 2**31, (4,), np.int64)})
    extractor = TokenExtractor(space)
    words = torch.tensor([[5, 7, 0, 0], [5, len(VOCABULARY), 7, 2**31], [-1, 5, 7, 1023]])
    rows = preprocess_obs({"language": words}, space)
    features = extractor(rows)
    assert torch.allclose(features[0], features[1], atol=1e-6)
    assert torch.allclose(features[0], features[2], atol=1e-6)


def test_typos_in_the_tuned_workspace_are_refused(gw):
    space = gym.make(SHAPES).observation_space
    with pytest.raises(InputError, match="unknown trained 'all'"):
        GWFeaturesExtractor(space, gw, trained="all")
    with pytest.raises(ValueError, match="unknown attention 'besst'"):
        GWFeaturesExtractor(space, gw, attention="besst")
    with pytest.raises(InputError, match="stack workspace vectors"):
        GWFeaturesExtractor(
            VecFrameStack(make_vec(SHAPES, modalities=("image",)), 2).observation_space, gw
        )
