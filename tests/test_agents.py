"""Agents: rebuilt from their files without pickles, scored in held-out episodes, refused where they
do not fit."""

import json
import pickle

import gymnasium as gym
import numpy as np
import pytest
import safetensors.torch
import torch
from stable_baselines3 import PPO

import gw_envs
from gw_agents import CheckpointError, GlobalWorkspace
from gw_agents.acting.algorithms import ALGORITHMS
from gw_agents.acting.evaluation import evaluate
from gw_agents.acting.loading import create_agent, import_zip, load_agent, shipped_agents
from gw_agents.acting.spec import AgentSpec
from gw_agents.checkpoint import config_hash
from gw_agents.sb3 import GWFeaturesExtractor, GWVecObservation, make_vec
from gw_envs import assets
from gw_envs.corruption import CorruptVectorObservation
from gw_envs.errors import InputError

SHAPES, FACTORY = gw_envs.ENV_IDS
SCENE_OF = {SHAPES: "simple_shapes", FACTORY: "factory"}


@pytest.fixture(scope="module")
def workspaces():
    return {
        env_id: GlobalWorkspace.from_pretrained(scene, device="cpu")
        for env_id, scene in SCENE_OF.items()
    }


@pytest.fixture
def make(workspaces):
    """Make an agent with little to do: `make(env_id, modalities, policy_input, algorithm, ...)`."""
    made = []

    def build(
        env_id=SHAPES,
        modalities=("attributes",),
        policy_input="gw",
        algorithm="ppo",
        n_envs=2,
        **rest,
    ):
        spec = AgentSpec(env_id, modalities, policy_input, algorithm=algorithm, **rest)
        replay = "buffer_size" in ALGORITHMS[algorithm].settings
        small = (
            {"learning_starts": 8, "buffer_size": 64, "batch_size": 16}
            if replay
            else {"n_steps": 16}
        )
        agent = create_agent(spec, n_envs, gw=workspaces[env_id], **small)
        made.append(agent)
        return agent

    yield build
    for agent in made:
        agent.model.env.close()


def observe(agent, count=3):
    env = gym.make_vec(
        agent.spec.env_id,
        count,
        modalities=agent.spec.modalities,
        vectorization_mode="vector_entry_point",
    )
    shown, _ = env.reset(seed=7)
    env.close()
    return shown


def same_weights(one, other):
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


@pytest.mark.parametrize("env_id", gw_envs.ENV_IDS)
@pytest.mark.parametrize(
    ("policy_input", "algorithm", "modalities", "attention"),
    [
        ("gw", "ppo", ("image", "language"), "best"),
        ("gw", "sac", ("attributes",), None),
        ("unimodal", "ppo", ("image",), None),
        ("concatenation", "sac", ("image", "attributes", "language"), None),
        ("raw", "ppo", ("image", "attributes", "language"), None),
        ("gw_tuned", "ppo", ("attributes", "language"), None),
        ("gw", "recurrent_ppo", ("attributes",), None),
    ],
)
def test_trains_and_comes_back_from_its_file(
    env_id, policy_input, algorithm, modalities, attention, make, tmp_path
):
    if algorithm == "recurrent_ppo":
        pytest.importorskip("sb3_contrib")
    agent = make(env_id, modalities, policy_input, algorithm, attention=attention)
    agent.model.learn(32)
    agent.training = {"steps": 32}
    agent.save(tmp_path / "mine")
    again = load_agent(tmp_path / "mine.json", env_id, policy_input=policy_input)
    assert again.spec == agent.spec
    assert again.training == {"steps": 32}
    assert same_weights(again.model.policy, agent.model.policy)
    shown = observe(agent)
    actions = agent.act(shown)
    assert np.array_equal(again.act(shown), actions)
    assert np.allclose(
        again.act({name: rows[0] for name, rows in shown.items()}), actions[0], atol=1e-5
    )
    assert len(evaluate(again, episodes=2, n_envs=2, max_episode_steps=3).returns) == 2
    again.model.learn(16)
    again.model.env.close()


@pytest.mark.parametrize("algorithm", ["a2c", "dqn", "td3"])
def test_other_algorithms(algorithm, make):
    agent = make(algorithm=algorithm)
    agent.model.learn(32)
    assert agent.act(observe(agent)).shape == ((3,) if agent.spec.actions == "discrete" else (3, 3))


def test_loading_unpickles_nothing(make, tmp_path, monkeypatch):
    make().save(tmp_path / "mine")

    def refuse(*_, **__):
        raise AssertionError("something was unpickled")

    for module, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (torch, "load"),
    ):
        monkeypatch.setattr(module, name, refuse)
    load_agent(tmp_path / "mine")


@pytest.fixture
def saved(make, tmp_path):
    agent = make()
    agent.save(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"env_id": FACTORY}, "for the scene 'simple_shapes', not for 'factory'"),
        ({"policy_input": "raw"}, "the encoder 'gw', not 'raw'"),
        ({"actions": "continuous"}, "the action mode 'discrete', not 'continuous'"),
    ],
)
def test_file_of_another_kind(saved, wanted, message):
    with pytest.raises(CheckpointError, match=message):
        load_agent(saved, **wanted)


def spec_of(**changes):
    return {"spec": {"env_id": SHAPES, "modalities": ["attributes"], **changes}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "schema version 99"),
        ({"kind": "workspace"}, "a 'workspace', not a 'agent'"),
        ({"workspace": "0123456789abcdef"}, "trained on another workspace"),
        ({"spec": None}, "describes no agent"),
        (spec_of(env_id="GWMoon-v0"), "unknown environment 'GWMoon-v0'"),
        (spec_of(modalities=5), "describes no agent"),
        (spec_of(policy_kwargs={"activation_fn": "os"}), "unknown policy setting 'activation_fn'"),
        (spec_of(policy_kwargs={"net_arch": "x"}), "can't be built"),
        (spec_of(policy_kwargs={"net_arch": [8]}), "does not fit"),
    ],
)
def test_config_that_does_not_fit(saved, change, message):
    path = saved.with_suffix(".json")
    config = json.loads(path.read_text()) | change
    path.write_text(json.dumps(config | {"config_sha256": config_hash(config)}))
    with pytest.raises(CheckpointError, match=message):
        load_agent(saved)


def test_shipped_agents_have_names(saved, tmp_path, monkeypatch):
    (tmp_path / "agents").mkdir()
    for suffix in (".json", ".safetensors"):
        saved.with_suffix(suffix).rename(tmp_path / "agents" / f"walker{suffix}")
    monkeypatch.setattr("gw_envs.assets.FOLDERS", (*assets.FOLDERS, tmp_path))
    assert load_agent("walker").spec.env_id == SHAPES


@pytest.mark.parametrize("name", shipped_agents())
def test_shipped_agents_reach_the_goal(name):
    assert evaluate(load_agent(name), episodes=20).success.mean() >= 0.9


def test_truncated_and_missing(saved, tmp_path):
    for path in ("nobody", tmp_path / "nobody"):
        with pytest.raises(
            CheckpointError, match=r"no agent '.*nobody': name its file, or a shipped agent"
        ):
            load_agent(path)
    with pytest.raises(CheckpointError, match="is a zip file of Stable-Baselines3"):
        load_agent(tmp_path / "theirs.zip")
    weights = saved.with_suffix(".safetensors")
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match="truncated"):
        load_agent(saved)


@pytest.mark.parametrize("broken", ["weights", "config"])
def test_failed_write_leaves_the_old_agent(make, saved, broken, monkeypatch):
    old, agent = load_agent(saved), make()
    agent.model.learn(32)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    if broken == "weights":
        monkeypatch.setattr(safetensors.torch, "save_file", full)
    else:
        monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="the disk is full"):
        agent.save(saved)
    monkeypatch.undo()
    assert same_weights(load_agent(saved).model.policy, old.model.policy)
    assert len(list(saved.parent.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("GWMoon-v0", ("image",)), "unknown environment 'GWMoon-v0'"),
        ((SHAPES, ("image",), "clip"), "unknown encoder 'clip'"),
        ((SHAPES, ("image",), "gw", None, "sarsa"), "unknown algorithm 'sarsa'"),
        ((SHAPES, ("image",), "gw", None, "sac", "discrete"), "sac has no discrete actions"),
        ((SHAPES, ("image",), "raw", "best"), "fuses nothing"),
        ((SHAPES, ("image", "language"), "unimodal"), "reads one modality, not 2"),
        ((SHAPES, ("sound",)), "sound"),
    ],
)
def test_spec_that_makes_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        AgentSpec(*arguments)


def test_workspace_that_does_not_fit(workspaces):
    with pytest.raises(ValueError, match="knows the scene 'factory'"):
        create_agent(AgentSpec(SHAPES, ("image",)), gw=workspaces[FACTORY])
    with pytest.raises(ValueError, match="unknown attention 'three_step'"):
        create_agent(AgentSpec(SHAPES, ("image",), attention="three_step"), gw=workspaces[SHAPES])

    class WithoutWords:
        scene_name, width, modalities = workspaces[SHAPES].scene_name, 12, ("image", "attributes")
        domain_modules = workspaces[SHAPES].domain_modules

    with pytest.raises(
        ValueError, match="this workspace has no language: it knows image, attributes"
    ):
        create_agent(AgentSpec(SHAPES, ("language",)), gw=WithoutWords())


def test_zip_needs_trust(make, tmp_path):
    agent = make()
    agent.model.learn(32)
    agent.model.save(tmp_path / "theirs.zip")
    with pytest.raises(ValueError, match="--trust"):
        import_zip(tmp_path / "theirs.zip", agent.spec)
    again = import_zip(tmp_path / "theirs.zip", agent.spec, trust=True)
    assert same_weights(again.model.policy, agent.model.policy)
    other = AgentSpec(SHAPES, ("attributes",), actions="continuous")
    with pytest.raises(CheckpointError, match="action space Discrete"):
        import_zip(tmp_path / "theirs.zip", other, trust=True)
    with pytest.raises(CheckpointError, match="observation space"):
        import_zip(
            tmp_path / "theirs.zip", AgentSpec(SHAPES, ("attributes",), "unimodal"), trust=True
        )
    (tmp_path / "short.zip").write_bytes((tmp_path / "theirs.zip").read_bytes()[:500])
    with pytest.raises(CheckpointError, match="no whole zip"):
        import_zip(tmp_path / "short.zip", agent.spec, trust=True)


# Held-out episodes.


def test_no_episodes(make):
    agent = make()
    with pytest.raises(InputError, match="episodes is 0"):
        evaluate(agent, episodes=0)
    with pytest.raises(ValueError, match="unknown split"):
        evaluate(agent, episodes=1, split="training")
    with pytest.raises(InputError, match="n_envs is 0"):
        evaluate(agent, episodes=1, n_envs=0)


def test_other_modalities_and_failing_sensors(make):
    agent = make()
    scores = evaluate(agent, episodes=3, modalities=("image", "language"), max_episode_steps=5)
    assert scores.lengths.max() <= 5
    given = agent.represent(("image", "attributes"), attention="best")
    failing = evaluate(
        agent,
        episodes=3,
        representation=given,
        max_episode_steps=5,
        wrap=lambda env: CorruptVectorObservation(env, {"image": "frozen"}),
    )
    assert failing.summary()["length"] <= 5
    z, weights = given.with_shares(observe(make(modalities=("image", "attributes"))))
    assert z.shape == (3, 12)
    assert weights["image"].shape == (3,)


def test_what_other_encoders_can_be_given(make):
    latents = make(modalities=("image", "attributes"), policy_input="concatenation")
    part = latents.represent(("attributes",))
    shown = observe(latents)
    zeros = latents.gw.domain_modules["image"].latent_width
    assert np.array_equal(part(shown)[:, zeros:], latents.representation(shown)[:, zeros:])
    assert not part(shown)[:, :zeros].any()
    with pytest.raises(ValueError, match="no place for those of language"):
        latents.represent(("language",))
    with pytest.raises(ValueError, match="trained on image, reads"):
        make(modalities=("image",), policy_input="unimodal").represent(("language",))
    with pytest.raises(ValueError, match="can't be given image"):
        make(policy_input="raw").represent(("image",))


# The encoder inside the policy.


@pytest.mark.parametrize("trained", ["nothing", "encoders"])
def test_frozen_weights_stay_through_training(workspaces, trained):
    gw = workspaces[SHAPES]
    venv = make_vec(SHAPES, 4, seed=0, modalities=("image", "attributes"))
    arguments = {"gw": gw, "trained": trained}
    model = PPO(
        "MultiInputPolicy",
        venv,
        n_steps=50,
        batch_size=100,
        n_epochs=2,
        learning_rate=1e-3,
        device="cpu",
        policy_kwargs={
            "features_extractor_class": GWFeaturesExtractor,
            "features_extractor_kwargs": arguments,
        },
    )
    extractor = model.policy.features_extractor
    assert same_weights(extractor.gw, gw)  # ortho_init left them as they were
    model.learn(1_000)
    model.policy.set_training_mode(True)
    assert not any(module.training for module in extractor.modules())
    assert same_weights(extractor.gw.domains, gw.domains)
    assert same_weights(extractor.gw.workspace.decoders, gw.workspace.decoders)
    now, before = extractor.gw.workspace.encoders, gw.workspace.encoders
    assert same_weights(now["language"], before["language"])
    assert same_weights(now["image"], before["image"]) == (trained == "nothing")
    venv.close()


def test_features_are_workspace_vectors(workspaces):
    gw = workspaces[FACTORY]
    venv = make_vec(FACTORY, 3, seed=0)
    arguments = {"gw": gw, "attention": "best"}
    settings = {
        "features_extractor_class": GWFeaturesExtractor,
        "features_extractor_kwargs": arguments,
    }
    policy = PPO(
        "MultiInputPolicy", venv, n_steps=4, batch_size=4, policy_kwargs=settings, device="cpu"
    ).policy
    shown = venv.reset()
    with torch.no_grad():
        z = policy.extract_features(policy.obs_to_tensor(shown)[0], policy.features_extractor)
    wrapped = GWVecObservation(venv, gw, attention="best")
    assert np.allclose(z.numpy(), wrapped.representation(shown), atol=1e-5)
    venv.close()
