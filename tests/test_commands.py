"""Commands: help, bad values before work starts, runs that are locked, stopped or diverge, and
films."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from gw_agents import AgentSpec, load_agent
from gw_agents import command as commands
from gw_agents import train as training
from gw_agents.acting import video
from gw_agents.acting.arguments import AgentSource, Senses, name_senses
from gw_agents.acting.faults import parse_faults
from gw_agents.acting.panel import Moment, draw
from gw_agents.acting.playing import play
from gw_agents.command import run_command
from gw_agents.enjoy import EnjoyConfig
from gw_agents.enjoy import main as enjoy
from gw_agents.evaluate import Evaluation
from gw_agents.train import TrainConfig
from gw_envs.dataset import episode_seed
from gw_envs.errors import InputError
from gw_envs.outputs import locked

ROOT = Path(__file__).parents[1]
SHAPES = "GWSimpleShapes-v0"


def run(*words, cwd=None, **settings):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=environment,
        **settings,
    )


def sentence(call):
    """The sentence with which a command ends."""
    with pytest.raises(SystemExit) as stop:
        run_command(call)
    return str(stop.value)


def config(folder, **changes):
    settings = {"steps": 600, "n_envs": 2, "episodes": 2, "evaluate_every": 512, "out": folder}
    spec = {"env_id": SHAPES, "modalities": ("attributes",)}
    for name, value in changes.items():
        (spec if name in AgentSpec.__dataclass_fields__ else settings)[name] = value
    return TrainConfig(AgentSpec(**spec), **settings)


# Help and errors.


@pytest.mark.parametrize("command", ["train", "evaluate", "enjoy"])
def test_help_names_the_program_as_it_is_typed(command, tmp_path):
    done = run("-m", f"gw_agents.{command}", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: python -m gw_agents.{command} [-h]")
    assert "--encoder" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_script_is_named_by_its_file(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    monkeypatch.setattr(sys, "argv", ["benchmarks/control.py", "--seeds", "1"])
    assert commands.program_name() == "python benchmarks/control.py"


def test_bad_input_is_a_sentence_and_faults_of_the_program_keep_their_traceback():
    def fail(error):
        raise error

    assert sentence(lambda: fail(InputError("fps is 0"))) == "error: fps is 0"
    assert sentence(lambda: fail(OSError("no room"))) == "error: no room"
    for fault in (ValueError("operands could not be broadcast"), TypeError("None"), KeyError("x")):
        with pytest.raises(type(fault)):
            run_command(lambda fault=fault: fail(fault))
    with pytest.raises(SystemExit) as stop:
        run_command(lambda: fail(KeyboardInterrupt("stopped after 3 steps")))
    assert stop.value.code == 130


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_envs": -1}, "n_envs is -1"),
        ({"episodes": 0}, "episodes is 0"),
        ({"evaluate_every": 0}, "evaluate_every is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"attention": "besst"}, "unknown attention 'besst'"),
        ({"layout": "randm"}, "unknown layout 'randm'"),
    ],
)
def test_training_refuses_bad_values_before_it_starts(changes, message, tmp_path):
    assert message in sentence(lambda: training.main(config(tmp_path / "new", **changes)))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"episodes": 0}, "episodes is 0"),
        ({"n_envs": 0}, "n_envs is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"out": Path("/proc/scores.json")}, "cannot write in /proc"),
        ({"out": Path(__file__).parent}, "is a folder: name a file in it"),
        ({"senses": Senses(corrupt=("image=fog",))}, "unknown kind of failure of image 'fog'"),
        ({"senses": Senses(corrupt=("language=empty",))}, "language is corrupted, and the agent"),
        ({"senses": Senses(attention="besst")}, "unknown attention 'besst'"),
    ],
)
def test_evaluation_refuses_bad_values_before_it_starts(changes, message, monkeypatch):
    monkeypatch.setattr("gw_agents.evaluate.evaluate", lambda *_, **__: pytest.fail("it started"))
    source = AgentSource(Path("simple_shapes"))
    assert message in sentence(lambda: Evaluation(source, **changes)())


# Evaluation.


def test_evaluation_with_failing_sensors_and_another_attention(tmp_path, capsys):
    def evaluated(*faults, attention=None, out=None):
        senses = Senses(attention=attention, corrupt=faults)
        source = AgentSource(Path("simple_shapes_fused"))
        return Evaluation(source, senses, episodes=12, n_envs=12, out=out)().summary()

    clean = evaluated(out=tmp_path / "scores.json")
    stored = json.loads((tmp_path / "scores.json").read_text())
    assert len(stored["success"]) == 12
    assert np.mean(stored["success"]) == clean["success"] >= 0.9
    blind = ("attributes=noise", "language=replaced")
    assert evaluated(*blind)["return"] > evaluated(*blind, attention="even")["return"]
    assert "image + attributes + language, attributes=noise, language=replaced: success" in (
        capsys.readouterr().out
    )


def test_only_what_was_not_trained_on_is_called_unseen():
    agent = load_agent("simple_shapes")  # of images
    assert name_senses(agent, ("image",)) == "image"
    assert name_senses(agent, ("attributes",)) == "attributes, not seen in training"
    both = name_senses(agent, ("image", "language"))
    assert both == "image + language (language not seen in training)"


# Runs.


def test_two_runs_in_one_folder_do_not_both_go_on(tmp_path):
    with locked(tmp_path / "lock", "busy"):
        message = sentence(lambda: training.main(config(tmp_path)))
    assert f"another run is writing to {tmp_path}" in message
    assert training.train(config(tmp_path), quiet=True).model.num_timesteps == 1024


def test_a_flipped_bit_in_a_checkpoint_is_found(tmp_path):
    training.train(config(tmp_path), quiet=True)
    content = (tmp_path / "state.pt").read_bytes()
    for place in np.linspace(0, len(content) - 1, 15).astype(int):
        flipped = bytearray(content)
        flipped[place] ^= 4
        (tmp_path / "state.pt").write_bytes(flipped)
        with pytest.raises(InputError, match=r"state.pt is damaged"):
            training.train(config(tmp_path), quiet=True)


def test_ctrl_c_leaves_an_agent_to_watch(tmp_path, monkeypatch, capsys):
    def on_step(self):
        if self.model.num_timesteps == 700:
            signal.raise_signal(signal.SIGINT)
        return not self.interrupted.is_set()

    monkeypatch.setattr(training.ProgressCallback, "_on_step", on_step)
    with pytest.raises(KeyboardInterrupt, match=r"python -m gw_agents.enjoy .*/agent"):
        training.train(config(tmp_path, steps=5000), quiet=True)
    wanted = EnjoyConfig(
        AgentSource(tmp_path / "agent"), tmp_path / "play.gif", episodes=1, size=64
    )
    enjoy(wanted)
    assert "the agent's training is unfinished: 700 of 5,000 steps" in capsys.readouterr().out


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_training_that_diverges_keeps_the_last_good_agent(tmp_path, algorithm, monkeypatch):
    settings = {"algorithm": algorithm, "steps": 1000, "evaluate_every": 512}
    good = training.train(config(tmp_path, **settings), quiet=True)
    before = (tmp_path / "agent.safetensors").read_bytes()
    poison = training.ProgressCallback._on_step

    def on_step(self):
        with torch.no_grad():
            next(self.model.policy.parameters())[0] = torch.nan
        return poison(self)

    monkeypatch.setattr(training.ProgressCallback, "_on_step", on_step)
    message = sentence(lambda: training.main(config(tmp_path, **{**settings, "steps": 5000})))
    assert "training has diverged" in message
    assert f"the last good agent is {tmp_path}/agent" in message
    assert (tmp_path / "agent.safetensors").read_bytes() == before
    again = load_agent(tmp_path / "agent")
    assert again.training["steps"] == good.model.num_timesteps


def test_the_bar_shows_the_returns_of_recent_episodes(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        training.tqdm, "set_postfix", lambda self, values, refresh: shown.append(dict(values))
    )
    training.train(config(tmp_path, steps=600), quiet=True)
    assert shown[0] == {}
    assert set(shown[-1]) == {"return", "success"}


# Films.


def test_a_picture_shows_which_senses_are_used_and_which_fail():
    agent = load_agent("simple_shapes_fused")

    def first_picture(modalities=None, faults=()):
        moments = play(agent, 1, agent.represent(modalities), size=240, faults=faults)
        return draw(next(moments)).astype(int)

    everything, part = first_picture(), first_picture(("image",))
    failing = first_picture(faults=parse_faults(("image=blackout", "language=empty")))
    env = gym.make(SHAPES)
    env.reset(seed=episode_seed("validation", 0, 0))
    scene = env.unwrapped.core.portrait(env.unwrapped.state, 240)
    for picture in (everything, part, failing):
        assert np.array_equal(picture[:, :240], scene)  # without the caption, which is beside it
    senses, image = (slice(20, 30), slice(240, None)), (slice(55, 105), slice(255, 300))
    assert not np.array_equal(part[senses], everything[senses])
    assert failing[image].max() < 40 < everything[image].max()


def test_a_picture_of_somebody_else_s_environment():
    moment = Moment(
        title="",
        frame=np.full((30, 60, 3), 200, np.uint8),
        image=None,
        caption=None,
        observed=("pose",),
        shares={"pose": 1.0},
        rewards=(0.0, 1.0),
        episode=1,
        steps=100,
        size=120,
    )
    picture = draw(moment)
    assert picture.shape == (120, 120 + 84, 3)
    assert (picture[40:80, :120] == 200).all()
    assert not picture[:28, :120].any()


@pytest.mark.parametrize("installed", [True, False])
def test_an_mp4_plays_in_a_browser(tmp_path, installed, monkeypatch):
    if installed:
        pytest.importorskip("imageio_ffmpeg")
    else:
        monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (9, 65, 97, 3)).astype(np.uint8)
    name = video.write_video(tmp_path / "x.mp4", pictures, 5)
    content = (tmp_path / "x.mp4").read_bytes()
    if installed:
        assert name == "H.264"
        assert b"avc1" in content
    else:
        assert name == "VP9; install imageio-ffmpeg for H.264, which every player reads"
        assert b"vp09" in content


NEARLY_FULL = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from gw_agents.acting.video import write_video
from gw_agents.command import run_command
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
pictures = np.random.default_rng(0).integers(0, 255, (60, 96, 96, 3)).astype(np.uint8)
run_command(lambda: write_video(Path(sys.argv[1]), pictures, 12))
print("wrote")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_a_nearly_full_disk_leaves_no_half_film(tmp_path, suffix):
    done = run("-c", NEARLY_FULL, str(tmp_path / f"play{suffix}"))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
    assert "wrote" not in done.stdout
    assert not list(tmp_path.iterdir())
