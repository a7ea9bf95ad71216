"""The noise benchmark, at a size that takes seconds: its cells, its rows, an interruption, wrong arguments."""

import json

import pytest
import torch
import tyro

from benchmarks import noise_robustness as benchmark
from benchmarks import noise_sensors, noise_study
from gw_agents.learning.attention import SelectionConfig

TINY = benchmark.Size(1, 40, SelectionConfig(steps=5, batch_size=32))


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(benchmark.SIZES, "quick", TINY)


def test_an_interrupted_run_goes_on_and_repeats_no_finished_cell(tiny, tmp_path, monkeypatch):
    measured, measure = [], benchmark.measure

    def interrupted(*arguments):
        if len(measured) == 3:
            measured.append(None)
            raise KeyboardInterrupt
        measured.append(arguments[1:])
        return measure(*arguments)

    monkeypatch.setattr(benchmark, "measure", interrupted)
    arguments = benchmark.Arguments("simple_shapes", out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        benchmark.main(arguments)
    benchmark.main(arguments)
    cells = [cell for cell in measured if cell]
    assert len(cells) == len(set(cells)) == len(benchmark.conditions(full=False))
    lines = (tmp_path / "noise_robustness.jsonl").read_text().splitlines()
    assert len(lines) == len(cells)
    assert {"benchmark", "scene", "condition", "seed", "metrics", "seconds"} <= json.loads(
        lines[0]
    ).keys()
    rows = json.loads((tmp_path / "noise_robustness.json").read_text())["rows"]
    accuracy = [row for row in rows if row["metric"] == "accuracy"]
    assert {row["claim"] for row in accuracy} == {
        f"noise/{noise}/{method}"
        for noise in ("fixed", "random")
        for method in ("constant", "none", "one_step", "two_step", "best", "oracle")
    }
    clean = [
        row["measured"]
        for row in accuracy
        if row["condition"]["sigma"] == 0 and "oracle" in row["claim"]
    ]
    assert len(clean) == 4
    assert {row["published"] for row in accuracy} == {None, 0.33, 0.37, 0.89}
    assert (tmp_path / "noise_robustness_simple_shapes.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("flag", "value"), [("--scene", "kitchen"), ("--preset", "huge"), ("--seeds", "few")]
)
def test_unknown_arguments_are_refused(flag, value, capsys):
    with pytest.raises(SystemExit):
        tyro.cli(benchmark.Arguments, args=[flag, value])
    assert value in capsys.readouterr().err


def test_no_seeds_and_no_weights_are_refused(tiny, tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        benchmark.main(benchmark.Arguments(seeds=0, out=tmp_path))
    with pytest.raises(ValueError, match="name a folder of weights"):
        benchmark.main(benchmark.Arguments(weights=tmp_path, out=tmp_path))


def test_the_full_form_goes_on_to_failing_sensors(monkeypatch, tmp_path, capsys):
    """Workspaces of its own for each seed, every sensor, transfer; the same command again computes nothing."""
    size = benchmark.Size(1, 60, SelectionConfig(steps=2, batch_size=16), workspace_steps=2)
    monkeypatch.setitem(benchmark.SIZES, "full", size)
    monkeypatch.setattr(noise_study, "WORKSPACE_SCENES", 500)
    monkeypatch.setattr(noise_study, "RATES", (5e-3,))
    monkeypatch.setattr(noise_sensors, "NAMES", ["blur", "other_scene"])
    arguments = benchmark.Arguments("simple_shapes", "full", out=tmp_path)
    benchmark.main(arguments)
    lines = (tmp_path / "noise_robustness.jsonl").read_text().splitlines()
    benchmark.main(arguments)
    assert (tmp_path / "noise_robustness.jsonl").read_text().splitlines() == lines
    claims = {
        row["claim"] for row in json.loads((tmp_path / "noise_robustness.json").read_text())["rows"]
    }
    assert {
        "noise/sensor/blur/best",
        "noise/sensor/shuffled/cross_attention",
        "noise/several/best",
        "noise/cost/best",
        "noise/transfer/no task",
        "noise/unseen/other_scene/best",
        "noise/unseen/modality/best",
    } <= claims
    assert (tmp_path / "noise_sensors_simple_shapes.png").stat().st_size > 10_000
    assert "one sensor fails" in capsys.readouterr().out


def test_the_oracle_weighs_what_is_clean_and_bears_that_nothing_is():
    hit = torch.tensor([[True, False, False], [True, True, False], [True, True, True]])
    weights = noise_study.fusion_weights(None, "oracle", {}, hit, 0)
    assert weights.tolist() == [[0, 0.5, 0.5], [0, 0, 1], pytest.approx([1 / 3] * 3)]
