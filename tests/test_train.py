"""Training runs that go on where they were, and what there is to see of an agent."""

import json
import signal
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image

import gw_envs
from gw_agents import enjoy, train
from gw_agents.acting.algorithms import ALGORITHMS
from gw_agents.acting.arguments import AgentSource
from gw_agents.acting.loading import create_agent, load_agent
from gw_agents.acting.playing import play
from gw_agents.acting.policy_inputs import POLICY_INPUTS
from gw_agents.acting.run_state import RunState
from gw_agents.acting.spec import AgentSpec
from gw_agents.command import run_command
from gw_agents.run_file import write_run
from gw_agents.train import TrainConfig

SHAPES, FACTORY = gw_envs.ENV_IDS


def config(folder, **changes):
    """A short run; `changes` are of the run or of its agent."""
    run = {"steps": 600, "n_envs": 2, "episodes": 2, "evaluate_every": 512, "out": folder}
    agent = {"env_id": SHAPES, "modalities": ("attributes",)}
    for name, value in changes.items():
        (agent if name in AgentSpec.__dataclass_fields__ else run)[name] = value
    return TrainConfig(AgentSpec(**agent), **run)


def run(folder, **changes):
    return train.train(config(folder, **changes), quiet=True)


def test_the_same_command_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(train.ProgressCallback, "_on_step", lambda self: stop_at(self, 700))
    with pytest.raises(
        KeyboardInterrupt,
        match="stopped after 700 of 1,500 steps; rerun the same command to resume",
    ):
        run(tmp_path, steps=1500)
    monkeypatch.undo()
    agent = run(tmp_path, steps=1500)
    assert agent.model.num_timesteps == 700 + 2 * 512
    steps = [point["steps"] for point in agent.training["curve"]]
    assert steps == [0, 512, 700 + 512, 700 + 2 * 512]
    assert agent.model._n_updates == 3 * 10
    assert list(tmp_path.glob("events.out.tfevents.*"))
    finished = run(tmp_path, steps=1500)
    assert finished.model.num_timesteps == agent.model.num_timesteps
    assert load_agent(tmp_path / "agent").training["curve"] == agent.training["curve"]
    weights = agent.model.policy.state_dict()
    assert all(
        torch.equal(value, weights[key])
        for key, value in finished.model.policy.state_dict().items()
    )


def stop_at(follower, steps):
    """As if Ctrl-C were pressed after `steps` steps."""
    if follower.model.num_timesteps >= steps:
        signal.raise_signal(signal.SIGINT)
    return not follower.interrupted.is_set()


def test_a_run_of_other_settings_is_not_taken_up(tmp_path):
    run(tmp_path)
    with pytest.raises(ValueError, match=r"other settings \(seed\)"):
        run(tmp_path, seed=1)
    (tmp_path / "state.pt").write_bytes(b"PK")
    with pytest.raises(ValueError, match="damaged"):
        run(tmp_path)


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path):
    class Code:
        def __reduce__(self):
            return (print, ("this ran",))

    write_run(tmp_path / "state.pt", {}, {"parameters": Code()})
    with pytest.raises(ValueError, match="damaged"):
        run(tmp_path)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    run(tmp_path)
    before = (tmp_path / "state.pt").read_bytes()

    def full(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="the checkpoint before it is intact"):
        run(tmp_path, steps=1200, checkpoint_seconds=0.0)
    assert (tmp_path / "state.pt").read_bytes() == before
    monkeypatch.undo()
    assert run(tmp_path, steps=1200).model.num_timesteps == 3 * 512


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_log_that_cannot_be_written_does_not_end_the_training(tmp_path, monkeypatch, capsys):
    def full(self, data):
        raise OSError(28, "No space left on device")

    run(tmp_path)
    with monkeypatch.context() as changed:
        changed.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
        with pytest.raises(
            OSError, match=r"the log in .* could not be written .*No space left.*; the checkpoint"
        ):
            run(tmp_path, steps=1200)
    log_opens = train.RunLog.__init__

    def full_once_open(self, folder):
        log_opens(self, folder)
        monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)

    monkeypatch.setattr(train.RunLog, "__init__", full_once_open)
    assert run(tmp_path, steps=1200).model.num_timesteps == 3 * 512
    assert capsys.readouterr().out.count("training continues without it") == 1


def test_replay_and_entropy_go_on(tmp_path):
    spec = AgentSpec(SHAPES, ("attributes",), "raw", algorithm="sac")
    small = {"learning_starts": 8, "buffer_size": 100, "batch_size": 16}
    first, second = (create_agent(spec, 2, seed=seed, **small).model for seed in (0, 1))
    first.learn(40)
    state = RunState(tmp_path / "state.pt", {"seed": 0})
    state.save(first)
    assert RunState(tmp_path / "state.pt", {"seed": 0}).resume(second)
    assert second.num_timesteps == 40
    assert second.replay_buffer.pos == first.replay_buffer.pos == 20
    kept = first.replay_buffer.observations["attributes"]
    assert np.array_equal(second.replay_buffer.observations["attributes"], kept)
    assert torch.equal(second.log_ent_coef, first.log_ent_coef)
    second.learn(20, reset_num_timesteps=False)
    assert second.num_timesteps == 60


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0: give a whole number of at least 1"),
        ({"algorithm": "sac", "actions": "discrete"}, "no discrete actions"),
        ({"weights": "nowhere"}, "no weights called 'nowhere'"),
        ({"modalities": ("sound",)}, "sound"),
        ({"test_modalities": ("sound",)}, "sound"),
        (
            {"policy_input": "raw", "test_modalities": ("language",)},
            "its policy can't be given language",
        ),
        ({"env_id": "GWMoon-v0"}, "GWMoon-v0"),
    ],
)
def test_refusals_in_one_sentence(tmp_path, changes, message):
    changes = {"modalities": ("image",), **changes}
    with pytest.raises(SystemExit, match=message):
        run_command(lambda: train.main(config(tmp_path / "new", **changes)))
    assert not (tmp_path / "new").exists()


def test_the_command_line_knows_every_encoder_and_algorithm():
    kinds = get_type_hints(AgentSpec)
    assert get_args(kinds["policy_input"]) == tuple(POLICY_INPUTS)
    assert get_args(kinds["algorithm"]) == tuple(ALGORITHMS)


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="cannot write"):
        run_command(lambda: train.main(config(tmp_path / "file" / "run")))


# Watching.


@pytest.fixture(scope="module", params=gw_envs.ENV_IDS)
def saved(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("agent") / "mine"
    agent = create_agent(
        AgentSpec(request.param, ("image", "language"), attention="best"), n_steps=4
    )
    agent.save(path)
    return path


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_video(saved, suffix, tmp_path, capsys):
    source = AgentSource(saved)
    wanted = enjoy.EnjoyConfig(source, tmp_path / f"play{suffix}", episodes=1, size=96, fps=5)
    enjoy.main(wanted)
    assert "episode 1: " in capsys.readouterr().out
    assert (tmp_path / f"play{suffix}").stat().st_size > 5_000
    if suffix == ".gif":
        with Image.open(tmp_path / "play.gif") as film:
            assert film.size == (96 + 66, 96)
            assert film.n_frames > 2


def test_moments(saved):
    agent = load_agent(saved)
    moments = list(play(agent, 1, size=96))
    assert moments[0].rewards == ()
    assert moments[-1].outcome in ("success", "not reached")
    assert len(moments) == len(moments[-1].rewards) + 1
    assert set(moments[0].shares) == {"image", "language"}
    assert sum(moments[0].shares.values()) == pytest.approx(1.0)
    again = list(play(agent, 1, agent.represent(("attributes",)), size=96))
    assert again[0].shares == {"attributes": pytest.approx(1.0)}
    assert np.array_equal(again[0].frame, moments[0].frame)


def test_nothing_to_watch(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("gw_agents.acting.video.has_display", lambda: False)
    film, theirs = {"out": tmp_path / "play.gif"}, {"agent": tmp_path / "theirs.zip"}
    for changes, source, message in (
        ({}, {}, "no display"),
        ({"out": tmp_path / "play.avi"}, {}, "neither .gif nor .mp4"),
        ({"episodes": 0, **film}, {}, "episodes is 0"),
        (film, {"policy_input": "raw"}, "with the encoder 'gw'"),
        (film, theirs, "name --env and --modalities"),
        (film, {**theirs, "env_id": SHAPES, "modalities": ("image",)}, "--trust"),
        ({"fps": 0, **film}, {}, "fps is 0"),
        ({"size": 10, **film}, {}, "size is 10"),
    ):
        wanted = enjoy.EnjoyConfig(
            AgentSource(**{"agent": saved, **source}), **{"size": 96, **changes}
        )
        with pytest.raises(SystemExit, match=message):
            run_command(lambda wanted=wanted: enjoy.main(wanted))
    assert not list(tmp_path.iterdir())


def test_config_of_a_run_is_told(tmp_path):
    run(tmp_path, attention=None, policy_kwargs={"net_arch": [8, 8]})
    about = json.loads((tmp_path / "agent.json").read_text())
    assert about["spec"]["policy_kwargs"] == {"net_arch": [8, 8]}
    assert about["training"]["steps"] == 1024
