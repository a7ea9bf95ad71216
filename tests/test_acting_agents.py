"""Agents in use: memory of recurrent policies, transfer in the natural call, names, layouts, and
weights that are NaN."""

import gymnasium as gym
import numpy as np
import pytest
import torch

import gw_envs
from gw_agents import AgentSpec, CheckpointError, GlobalWorkspace, create_agent, load_agent
from gw_agents.acting.agent import PolicyMemory
from gw_agents.acting.evaluation import evaluate
from gw_agents.acting.faults import Fault, parse_faults
from gw_agents.run_file import DivergedError
from gw_envs.errors import InputError

SHAPES, FACTORY = gw_envs.ENV_IDS


def batch(env_id=SHAPES, rows=3, **arguments):
    return gym.make_vec(env_id, rows, vectorization_mode="vector_entry_point", **arguments)


# Memory.


@pytest.fixture(scope="module")
def recurrent():
    pytest.importorskip("sb3_contrib")
    spec = AgentSpec(SHAPES, ("attributes",), algorithm="recurrent_ppo", actions="continuous")
    return create_agent(spec, n_envs=1, n_steps=8)


def test_a_recurrent_agent_remembers_its_episode(recurrent):
    env = gym.make(SHAPES, actions="continuous")
    for _ in range(2):
        observation, _ = env.reset(seed=0)
        recurrent.reset()
        state = None
        for step in range(6):
            action, state = recurrent.model.predict(
                recurrent.representation(observation),
                state=state,
                episode_start=np.array([step == 0]),
                deterministic=True,
            )
            mine = recurrent.act(observation)
            assert np.array_equal(mine, action)
            observation, *_ = env.step(mine)
    alone = PolicyMemory(recurrent.model).predict(recurrent.representation(observation))
    assert not np.allclose(recurrent.act(observation), alone)


def test_rows_are_forgotten_where_their_episodes_begin(recurrent):
    envs = batch(actions="continuous")
    first, _ = envs.reset(seed=0)
    second, *_ = envs.step(envs.action_space.sample() * 0)
    recurrent.reset()
    recurrent.act(first)
    starts = np.array([False, True, False])
    actions = recurrent.act(second, episode_start=starts)
    fresh = recurrent.act(second, episode_start=True)
    assert np.allclose(actions[1], fresh[1])
    assert not np.allclose(actions[0], fresh[0])
    assert not np.allclose(actions[2], fresh[2])
    one = {name: rows[1] for name, rows in second.items()}
    assert np.allclose(recurrent.act(one), fresh[1], atol=1e-5)  # another number of rows


def test_evaluation_keeps_the_memory_of_every_row(recurrent):
    calls = []

    def predict(observation, state, start, deterministic):
        calls.append((state is None, None if start is None else start.tolist()))
        return np.zeros((2, 3), np.float32), (np.zeros((1, 2, 4)), np.zeros((1, 2, 4)))

    patched = pytest.MonkeyPatch()
    patched.setattr(recurrent.model, "predict", predict)
    evaluate(recurrent, episodes=4, n_envs=2, max_episode_steps=2)
    patched.undo()
    assert calls == [(True, [True, True]), (False, [False, False])] * 2


# Transfer in the natural call.


@pytest.mark.parametrize("env_id", gw_envs.ENV_IDS)
def test_an_agent_on_the_workspace_acts_on_any_modalities(env_id):
    agent = load_agent(env_id)
    assert agent.spec.modalities == ("image",)
    observations, _ = batch(env_id).reset(seed=0)
    for modalities in (("attributes",), ("language",), ("attributes", "language")):
        part = {name: observations[name] for name in modalities}
        expected = agent.model.predict(agent.represent(modalities)(part), deterministic=True)[0]
        assert np.array_equal(agent.act(part), expected)
    both = {name: observations[name] for name in ("image", "attributes")}
    assert np.array_equal(agent.act(both), agent.act({"image": observations["image"]}))
    with pytest.raises(InputError, match="the observation holds time: the agent reads image, attr"):
        agent.act({"time": 3})
    with pytest.raises(InputError, match="give a dict of arrays"):
        agent.act(observations["image"])


def test_agents_without_a_workspace_say_what_they_need():
    raw = create_agent(AgentSpec(SHAPES, ("image", "attributes"), "raw"), n_steps=4)
    with pytest.raises(InputError, match="trained on attributes, image: its policy can't be given"):
        raw.act({"attributes": np.zeros(11, np.float32)})
    latents = create_agent(AgentSpec(SHAPES, ("image", "attributes"), "concatenation"), n_steps=4)
    with pytest.raises(InputError, match="no place for those of language"):
        latents.act({"language": np.zeros(48, np.int64)})


# Names and descriptions.


@pytest.mark.parametrize("name", ["factory", "GWFactory-v0", "gw_envs:GWFactory-v0"])
def test_a_scene_s_agent_by_every_name(name):
    assert load_agent(name).spec.env_id == FACTORY
    assert AgentSpec(name, ("image",)).env_id == FACTORY


def test_an_agent_in_three_lines():
    first, second, third = repr(load_agent("simple_shapes_fused")).splitlines()
    assert first == (
        "Agent GWSimpleShapes-v0: ppo on gw of image + attributes + language fused by best"
    )
    assert second.strip() == "discrete actions, layout fixed, trained for 200,704 steps"
    assert third.strip().startswith("workspace simple_shapes (Z = 12), policy of ")


def test_what_is_expected_of_an_agent():
    with pytest.raises(CheckpointError, match=r"with the modalities \('image',\), not \('lang"):
        load_agent("factory", modalities=("language",))
    with pytest.raises(CheckpointError, match="with the layout 'fixed', not 'random'"):
        load_agent("factory", layout="random")
    with pytest.raises(InputError, match="unknown key 'encoder'"):
        load_agent("factory", encoder="gw")
    assert load_agent("factory", modalities=("image",), algorithm="ppo").spec.layout == "fixed"


def test_a_file_imports_no_module():
    with pytest.raises(InputError, match="a file must not import modules"):
        AgentSpec.from_json({"env_id": "antigravity:Fly-v0", "modalities": ["image"]})


# Layouts, numbers and weights.


def test_another_layout_is_refused_by_name():
    with pytest.raises(InputError, match="trained on the layout 'fixed', not on 'random'"):
        evaluate(load_agent("factory"), episodes=1, layout="random")
    with pytest.raises(InputError, match="layout='random' appends the places of landmarks"):
        create_agent(AgentSpec(FACTORY, ("attributes",), layout="random"))
    spec = AgentSpec(FACTORY, ("image",), layout="random")
    with pytest.warns(UserWarning, match="were trained on the layout 'fixed'"):
        create_agent(spec, n_steps=4)


def test_the_default_type_of_torch_makes_no_difference():
    observation = {"attributes": np.zeros(11, np.float32)}
    torch.set_default_dtype(torch.float64)
    try:
        agent = load_agent("simple_shapes")
        action = agent.act(observation)
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert np.array_equal(action, load_agent("simple_shapes").act(observation))


def test_weights_that_are_nan_are_not_saved(tmp_path):
    agent = create_agent(
        AgentSpec(SHAPES, ("attributes",), algorithm="dqn"), learning_starts=8, buffer_size=64
    )
    agent.save(tmp_path / "mine")
    before = (tmp_path / "mine.safetensors").read_bytes()
    with torch.no_grad():
        agent.model.q_net.q_net[0].weight[3, 4] = torch.nan
    with pytest.raises(DivergedError, match=r"the policy's q_net.q_net.0.weight holds NaN"):
        agent.save(tmp_path / "mine")
    assert (tmp_path / "mine.safetensors").read_bytes() == before


@pytest.mark.parametrize("device", ["gpu", "cuda:7"])
def test_unknown_devices_are_refused(device):
    with pytest.raises(InputError, match=device):
        create_agent(AgentSpec(SHAPES, ("attributes",), "raw"), device=device)


# Failing sensors on the command line.


def test_failing_sensors_are_read():
    assert parse_faults(("image=blackout", "language=replaced:0.25")) == (
        Fault("image", "blackout", 1.0),
        Fault("language", "replaced", 0.25),
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("image",), "write MODALITY=KIND"),
        (("touch=blackout",), "unknown modality 'touch'"),
        (("image=blackot",), "unknown kind of failure of image 'blackot'.*blackout"),
        (("image=blackout:much",), "the severity in 'image=blackout:much' is 'much'"),
        (("image=blackout:2",), "severity is 2.0"),
        (("image=blackout", "image=noise"), "names image twice"),
    ],
)
def test_failing_sensors_that_make_no_sense(words, message):
    with pytest.raises(InputError, match=message):
        parse_faults(words)


def test_a_workspace_of_another_scene_is_no_agent_s():
    with pytest.raises(InputError, match="knows the scene 'factory'"):
        create_agent(AgentSpec(SHAPES, ("image",)), gw=GlobalWorkspace.from_pretrained("factory"))
