"""The examples: the loop learns, and the Zoo's hyperparameters name things that exist."""

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

import gw_envs

ROOT = Path(__file__).parents[1]
ZOO = ROOT / "examples/rl_zoo3.yml"


@pytest.fixture(scope="module")
def loop():
    spec = spec_from_file_location("ppo_from_scratch", ROOT / "examples/ppo_from_scratch.py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks up its types there
    spec.loader.exec_module(module)
    return module


def test_advantages_by_hand(loop):
    rewards, values = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([[0.5], [1.0], [2.0]])
    done = torch.tensor([[0.0], [1.0], [0.0]])
    last = torch.tensor([8.0])
    advantages = loop.advantages_of(rewards, values, done, last, gamma=0.5, decay=0.5)
    # Errors: 1 + 0.5 * 1 - 0.5 = 1; 2 - 1 = 1 (done); 4 + 0.5 * 8 - 2 = 6.
    # The first advantage also gets 0.25 of the second error.
    assert advantages[:, 0].tolist() == [1.25, 1.0, 6.0]


def test_the_loop_learns(loop):
    arguments = loop.Arguments(steps=60_000, episodes=50, test_modalities=("image",))
    scores = loop.main(arguments)
    assert scores["random actions"].success.mean() < 0.2
    assert scores["attributes"].success.mean() > 0.8
    assert scores["image, without more training"].success.mean() > 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env": "GWMoon-v0"}, "unknown environment 'GWMoon-v0'"),
        ({"steps": 0}, "at least 1"),
        ({"test_modalities": ("sound",)}, "unknown modality 'sound'"),
    ],
)
def test_the_loop_refuses(loop, changes, message):
    with pytest.raises(ValueError, match=message):
        loop.main(loop.Arguments(**changes))


@pytest.mark.parametrize("env_id", gw_envs.ENV_IDS)
def test_hyperparameters_for_the_zoo(env_id):
    yaml = pytest.importorskip("yaml")
    settings = yaml.safe_load(ZOO.read_text())[env_id]
    assert settings.pop("n_envs") * settings["n_steps"] >= settings["batch_size"]
    assert settings.pop("n_timesteps") > 0
    venv = make_vec_env(env_id, n_envs=2, env_kwargs=settings.pop("env_kwargs"))
    for wrapper in settings.pop("vec_env_wrapper"):
        ((name, arguments),) = wrapper.items()
        module, _, kind = name.rpartition(".")
        venv = getattr(import_module(module), kind)(venv, **arguments)
    PPO(
        settings.pop("policy"), venv, device="cpu", **{**settings, "n_steps": 8, "batch_size": 16}
    ).learn(16)
    venv.close()


@pytest.mark.skipif(find_spec("rl_zoo3") is None, reason="rl_zoo3 is not installed")
def test_the_zoo_trains(tmp_path):
    command = "-m rl_zoo3.train --gym-packages gw_envs --algo ppo --env GWSimpleShapes-v0"
    small = ["--seed", "0", "--eval-freq", "-1", "-n", "32"]
    small += ["--hyperparams", "n_envs:2", "n_steps:16", "batch_size:16"]
    files = ["--conf-file", str(ZOO), "--log-folder", str(tmp_path)]
    subprocess.run(
        [sys.executable, *command.split(), *files, *small],
        check=True,
        capture_output=True,
        timeout=300,
    )
    assert list(tmp_path.rglob("GWSimpleShapes-v0.zip"))
