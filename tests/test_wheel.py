"""The wheel without the checkout: an environment, a shipped workspace, an agent that learns."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch

ROOT = Path(__file__).resolve().parents[1]
USE = """
import os, sys

checkout, wheel = sys.argv[1:]
sys.path = [path for path in sys.path if path != checkout]


def away_from_the_checkout(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith(checkout + os.sep) and not path.startswith(sys.prefix + os.sep):
            raise AssertionError(f"{path} is read, which is in the checkout")


sys.addaudithook(away_from_the_checkout)

import gymnasium as gym
from stable_baselines3 import PPO

import gw_agents
import gw_envs
from gw_agents import GlobalWorkspace
from gw_agents.sb3 import GWVecObservation, make_vec

for package in (gw_agents, gw_envs):
    assert package.__file__.startswith(wheel + os.sep), package.__file__

env = gym.make("gw_envs:GWFactory-v0")
obs, info = env.reset(seed=0)
gw = GlobalWorkspace.from_pretrained("factory")
assert gw.encode(obs).shape == (gw.workspace.config.z_width,)
venv = make_vec("GWFactory-v0", n_envs=2, modalities=("image", "language"))
small = {"n_steps": 16, "batch_size": 16, "n_epochs": 1, "seed": 0}
model = PPO("MlpPolicy", GWVecObservation(venv, gw), **small)
print("steps:", model.learn(64).num_timesteps)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The folder into which the wheel is unpacked."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    made, unpacked = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("unpacked")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(made),
        str(ROOT),
    ]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = made.glob("*.whl")
    with zipfile.ZipFile(path) as file:
        file.extractall(unpacked)
    return unpacked


def test_the_wheel_holds_packages_assets_and_license(wheel):
    assert {path.name for path in wheel.iterdir() if path.suffix != ".dist-info"} == {
        "gw_envs",
        "gw_agents",
    }
    assert {path.name for path in (wheel / "gw_envs" / "_assets" / "weights").iterdir()} >= {
        "simple_shapes",
        "factory",
    }
    assert list(wheel.glob("*.dist-info/licenses/LICENSE"))


def test_it_works_away_from_the_checkout(wheel, tmp_path):
    environment = os.environ | {
        "PYTHONPATH": str(wheel),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", USE, str(ROOT), str(wheel)]
    used = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert used.returncode == 0, used.stderr
    assert used.stdout.splitlines()[-1] == "steps: 64"
    assert list(tmp_path.iterdir()) == []
