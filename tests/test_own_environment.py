"""Workspaces on other environments: keys used, observations gathered, input refused, loading."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from gw_agents import AgentSpec, CheckpointError, GlobalWorkspace, GWObservation, load_agent, train
from gw_agents.acting.evaluation import evaluate
from gw_agents.acting.playing import play
from gw_agents.command import run_command
from gw_agents.learning.attention import SelectionConfig
from gw_agents.learning.random_observations import key_recipes, random_observations
from gw_agents.learning.recipes import space_recipe
from gw_agents.pretrain import Folders, PretrainAttention, PretrainDomains, PretrainWorkspace, main
from gw_agents.sb3 import GWFeaturesExtractor, GWVecObservation
from gw_agents.train import TrainConfig
from gw_envs.errors import InputError

ENV_ID = "TinyWalk-v0"


class TinyWalk(gym.Env):
    """A bright square on a line, shown as a picture and a vector of odd ranges, with other keys."""

    action_space = gym.spaces.Discrete(2)
    observation_space = gym.spaces.Dict(
        {
            "camera": gym.spaces.Box(0, 255, (16, 20, 3), np.uint8),
            "pose": gym.spaces.Box(-np.inf, np.inf, (3,), np.float64),
            "step": gym.spaces.Discrete(9),
            "keys": gym.spaces.Box(-1, 1, (2,), np.float32),
        }
    )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = int(self.np_random.integers(5)), 0
        return self._show(), {}

    def step(self, action):
        self.place, self.steps = int(np.clip(self.place + 2 * action - 1, 0, 4)), self.steps + 1
        return self._show(), float(self.place == 4), self.steps == 8, False, {}

    def _show(self):
        camera = np.zeros((16, 20, 3), np.uint8)
        camera[6:10, 4 * self.place : 4 * self.place + 4] = 255
        pose = np.array([1000.0 * self.place, -0.01 * self.steps, 5.0])
        return {"camera": camera, "pose": pose, "step": self.steps, "keys": np.zeros(2, np.float32)}


gym.register(ENV_ID, entry_point=TinyWalk)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    return Folders(folder / "weights", folder / "runs", "cpu")


@pytest.fixture(scope="module")
def gw(folders):
    PretrainDomains(env=ENV_ID, samples=300, steps=60, folders=folders).run()
    PretrainWorkspace(env=ENV_ID, samples=300, steps=60, hidden=16, folders=folders).run()
    return GlobalWorkspace.from_pretrained(folders.weights / ENV_ID, "cpu")


def test_keys_get_a_domain_or_a_reason():
    usable, refused = key_recipes(TinyWalk.observation_space)
    assert {key: recipe.kind for key, recipe in usable.items()} == {
        "camera": "image",
        "pose": "vector",
    }
    assert usable["camera"].arguments["size"] == (16, 20)
    assert "Discrete is neither a picture nor a vector" in refused["step"]
    assert "that name is taken" in refused["keys"]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (gym.spaces.Text(9), "Text is neither .* examples/text_embedding.py"),
        (gym.spaces.Box(0, 255, (7, 7, 3), np.uint8), "7 x 7 is smaller than 16 x 16"),
        (gym.spaces.Box(0, 255, (3, 64, 64), np.uint8), "height, width, 3"),
        (gym.spaces.Box(0, 1, (64, 64, 3), np.float32), "height, width, 3"),
        (gym.spaces.Box(0, 9, (4,), np.int64), "int64 of shape"),
        (gym.spaces.Dict({"a": gym.spaces.Discrete(2)}), "a Dict is neither"),
    ],
)
def test_spaces_that_get_no_domain(space, message):
    with pytest.raises(ValueError, match=message):
        space_recipe(space)


@pytest.mark.parametrize("shape", [(16, 16), (48, 48), (64, 64), (210, 160)])
def test_feature_maps_stay_small(shape):
    recipe = space_recipe(gym.spaces.Box(0, 255, (*shape, 3), np.uint8))
    assert 2 <= min(shape) / 2 ** len(recipe.arguments["channels"]) <= 6


def test_random_observations_are_those_of_the_seed():
    usable, _ = key_recipes(TinyWalk.observation_space)
    rows = random_observations(ENV_ID, usable, 40, seed=3)
    again = random_observations(ENV_ID, usable, 40, seed=3)
    other = random_observations(ENV_ID, usable, 40, seed=4)
    assert {key: (own.shape, own.dtype) for key, own in rows.items()} == {
        "camera": ((40, 16, 20, 3), np.uint8),
        "pose": ((40, 3), np.float32),
    }
    assert all(np.array_equal(rows[key], again[key]) for key in rows)
    assert not np.array_equal(rows["pose"], other["pose"])
    steps = np.round(rows["pose"][:, 1] / -0.01).tolist()
    assert steps == [row % 9 for row in range(40)]  # a reset, then the eight steps of an episode
    lit = rows["camera"][:, 8, :, 0].argmax(1) // 4
    assert np.array_equal(lit, rows["pose"][:, 0] / 1000)  # the keys of a row are of one moment


def test_what_was_trained_is_loaded_and_used(gw, folders):
    assert gw.scene_name == ENV_ID
    assert gw.modalities == ("camera", "pose")
    env = GWObservation(gym.make(ENV_ID), gw)
    z, _ = env.reset(seed=0)
    assert env.observation_space.contains(z)
    shown = TinyWalk().reset(seed=0)[0]
    pose = gw.translate(shown, "camera", "pose")
    assert pose.shape == (3,)
    assert pose[2] == pytest.approx(5.0)  # what never changes
    venv = GWVecObservation(
        make_vec_env(lambda: gym.make(ENV_ID), n_envs=2, seed=0), gw, ("camera",)
    )
    PPO("MlpPolicy", venv, n_steps=16, batch_size=16, n_epochs=1, device="cpu").learn(32)
    before = {path.name: path.read_bytes() for path in (folders.weights / ENV_ID).iterdir()}
    PretrainDomains(env=ENV_ID, samples=300, steps=60, folders=folders).run()
    PretrainWorkspace(env=ENV_ID, samples=300, steps=60, hidden=16, folders=folders).run()
    assert before == {path.name: path.read_bytes() for path in (folders.weights / ENV_ID).iterdir()}


def test_attention_needs_no_classes(gw, folders):
    config = SelectionConfig(steps=3, batch_size=16)
    PretrainAttention(env=ENV_ID, samples=300, selection=config, folders=folders).run()
    attended = GlobalWorkspace.from_pretrained(folders.weights / ENV_ID, "cpu")
    assert tuple(attended.attentions) == ("demi_cycle", "agreement", "evidence", "evidence_fused")
    assert attended.best in attended.attentions
    shown = TinyWalk().reset(seed=0)[0]
    shown = {key: shown[key] for key in ("camera", "pose")}
    for name in (*attended.attentions, "best"):
        z, weights = attended.encode_with_weights(shown, attention=name)
        assert z.shape == (12,)
        assert sum(weights.values()) == pytest.approx(1.0)


def test_the_features_extractor_sees_what_the_environment_showed(gw):
    env = gym.wrappers.FilterObservation(gym.make(ENV_ID), ["camera", "pose"])
    settings = {
        "features_extractor_class": GWFeaturesExtractor,
        "features_extractor_kwargs": {"gw": gw},
    }
    model = PPO(
        "MultiInputPolicy", env, n_steps=16, batch_size=16, policy_kwargs=settings, device="cpu"
    )
    shown = env.reset(seed=1)[0]
    tensors = model.policy.obs_to_tensor(shown)[0]
    z = model.policy.extract_features(tensors, model.policy.pi_features_extractor)
    assert np.allclose(z.detach().numpy()[0], gw.encode(shown), atol=1e-5)


def test_the_domains_of_the_chosen_keys_alone(folders):
    with pytest.raises(ValueError, match="TinyWalk-v0 with pose alone: a workspace joins two"):
        PretrainWorkspace(env=ENV_ID, modalities=("pose",), folders=folders).run()
    with pytest.raises(
        ValueError, match=r"no domain fits these keys of TinyWalk-v0: step \(a Discrete"
    ):
        PretrainDomains(env=ENV_ID, modalities=("pose", "step"), folders=folders).run()
    with pytest.raises(
        ValueError, match="unknown modality 'sound': the modalities are camera, pose"
    ):
        PretrainDomains(env=ENV_ID, modalities=("sound",), folders=folders).run()
    with pytest.raises(CheckpointError, match="no checkpoint 'camera'"):
        PretrainWorkspace(env=ENV_ID, folders=replace(folders, weights=folders.runs)).run()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("domains", "neither of --scene and --env given"),
        ("domains --scene factory --env TinyWalk-v0", "both of --scene and --env given"),
        (
            "domains --env CartPole-v1",
            "the observation of CartPole-v1 is a Box: a workspace joins the keys of a Dict",
        ),
        ("domains --env Nowhere-v7", "no environment 'Nowhere-v7'"),
        ("workspace --env no_such_module:Nowhere-v7", "no environment 'no_such_module:Nowhere-v7'"),
        (
            "domains --env TinyWalk-v0 --samples 1",
            "--samples is 1: give a whole number of at least 2",
        ),
    ],
)
def test_the_command_says_what_is_wrong(arguments, message, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "sys.argv",
        ["training", *arguments.split(), "--weights", str(tmp_path), "--runs", str(tmp_path)],
    )
    with pytest.raises(SystemExit, match=message):
        run_command(main)


def test_an_environment_that_breaks_its_word():
    class Broken(TinyWalk):
        def _show(self):
            return {**super()._show(), "pose": np.array([np.nan, 0.0, 0.0])}

    gym.register("BrokenWalk-v0", entry_point=Broken, disable_env_checker=True)
    usable, _ = key_recipes(Broken.observation_space)
    with pytest.raises(ValueError, match=r"BrokenWalk-v0 showed pose of shape .*must be finite"):
        random_observations("BrokenWalk-v0", usable, 5, seed=0)


def test_the_example():
    pytest.importorskip("minigrid")
    path = Path(__file__).parents[1] / "examples" / "own_environment.py"
    spec = importlib.util.spec_from_file_location("example_own_environment", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    arguments = module.Arguments(100, 3, 3, 1024)
    found = module.run(arguments, episodes=2)
    assert len(found) == 3
    assert all(0.0 <= value <= 1.0 for value in found.values())


# Agents.


def run_of(folder, weights=None, **changes):
    """A short run of an agent in the tiny walk."""
    spec = {"env_id": f"{__name__}:{ENV_ID}", "modalities": ("camera",), "weights": weights}
    settings = {"steps": 64, "n_envs": 2, "episodes": 3, "evaluate_every": 64, "out": folder}
    for name, value in changes.items():
        (spec if name in AgentSpec.__dataclass_fields__ else settings)[name] = value
    return TrainConfig(AgentSpec(**spec), **settings)


@pytest.mark.filterwarnings("ignore:.*render_mode")
@pytest.mark.parametrize("policy_input", ["gw", "unimodal", "raw"])
def test_an_agent_is_trained_scored_and_loaded(gw, folders, tmp_path, policy_input):
    weights = str(folders.weights / ENV_ID)
    shared = policy_input == "gw"
    changes = {"policy_input": policy_input, "test_modalities": ("pose",) if shared else None}
    train.main(run_of(tmp_path, weights, **changes))
    agent = load_agent(tmp_path / "agent", ENV_ID)
    assert agent.spec.env_id == agent.spec.scene == ENV_ID
    assert agent.training["curve"][-1]["length"] == 8
    assert "success" not in agent.training["curve"][-1]  # the environment does not tell
    assert str(evaluate(agent, episodes=2)).startswith("return ")
    observation, _ = gym.make(ENV_ID).reset(seed=0)
    assert agent.act(observation) in (0, 1)
    if shared:
        assert agent.act({"pose": observation["pose"]}) in (0, 1)
    with pytest.raises(InputError, match="TinyWalk-v0 can't be watched"):
        next(play(agent))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "no weights are shipped for TinyWalk-v0.*gw_agents.pretrain"),
        ({"modalities": ("sound",), "policy_input": "raw"}, "TinyWalk-v0 shows no sound"),
        ({"algorithm": "sac", "policy_input": "raw"}, "sac needs continuous actions"),
        ({"layout": "random"}, "unknown layout 'random'"),
        ({"weights": "simple_shapes"}, "knows the scene 'simple_shapes', and the environments"),
    ],
)
def test_agents_that_cannot_be_trained_there(tmp_path, changes, message):
    with pytest.raises(SystemExit, match=message):
        run_command(lambda: train.main(run_of(tmp_path / "new", **changes)))
    assert not (tmp_path / "new").exists()
