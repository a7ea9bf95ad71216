"""The commands that publish: pictures, model cards, shipped agents, and the check of captions."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.publish import cards, check_captions, gallery, ship_agents
from gw_agents.acting.loading import load_agent
from gw_envs.assets import asset_path
from gw_envs.scenes import SCENES

ROOT = Path(__file__).parents[1]
COMMANDS = [
    *(
        f"benchmarks.publish.{path.stem}"
        for path in sorted((ROOT / "benchmarks/publish").glob("*.py"))
    ),
    "benchmarks.speed.sweeps",
]


@pytest.mark.parametrize("command", [name for name in COMMANDS if "__init__" not in name])
def test_help_writes_nothing(command, tmp_path):
    help_text = subprocess.run(
        [sys.executable, "-m", command, "--help"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "usage" in help_text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scene", SCENES)
def test_the_card_is_that_of_the_shipped_weights(scene):
    folder = asset_path(f"weights/{scene}")
    assert (folder / "README.md").read_text() == cards.card(scene, folder)


@pytest.mark.parametrize("scene", SCENES)
def test_captions_are_read_true_and_false_elsewhere(scene):
    tally = check_captions.Tally()
    sample = check_captions.SAMPLES[scene]
    check_captions.check(scene, sample(np.random.default_rng(0), 200), tally)
    assert tally.captions == 200
    assert (tally.unread, tally.false, tally.plain_false, tally.still_true) == (0, 0, 0, 0)


def test_too_few_captions_do_not_show_everything(capsys):
    assert not check_captions.report("factory", check_captions.Tally(captions=1, seconds=1.0))
    assert "sentence structures seen" in capsys.readouterr().out


def test_pictures_are_drawn(tmp_path):
    gallery.main(gallery.Arguments(columns=2, out=tmp_path))
    names = {path.name for path in tmp_path.iterdir()}
    translated = {f"gallery_translation_{scene}.png" for scene in SCENES}
    assert names == {"gallery_observations.png", *translated}


def test_an_agent_is_shipped_if_it_is_good_enough(tmp_path, monkeypatch):
    arguments = ship_agents.Arguments(
        ("factory",), steps=512, episodes=2, runs=tmp_path / "runs", out=tmp_path / "agents"
    )
    monkeypatch.setattr(ship_agents, "NEEDED", 1.1)
    with pytest.raises(ValueError, match="not written, for success below 110%: factory"):
        ship_agents.main(arguments)
    assert not (tmp_path / "agents").exists()
    monkeypatch.setattr(ship_agents, "NEEDED", 0.0)
    ship_agents.main(arguments)
    agent = load_agent(tmp_path / "agents" / "factory")
    assert set(agent.training["test"]) == {"as trained", "image", "attributes", "language"}


def test_unknown_agents_are_refused(tmp_path):
    with pytest.raises(ValueError, match="moon"):
        ship_agents.main(ship_agents.Arguments(("moon",), out=tmp_path))
