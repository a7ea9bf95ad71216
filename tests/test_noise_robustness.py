"""The noise benchmark, at a size that takes seconds: cells, rows, an interruption, bad input."""

import json

import pytest
import torch
import tyro

from benchmarks.harness.benchmark import run
from benchmarks.noise import robustness, training
from benchmarks.noise.data import SETS
from benchmarks.noise.latent_noise import LatentNoise
from benchmarks.noise.methods import Method, best_attention, oracle, task_attention
from benchmarks.noise.robustness import NOISE_ROBUSTNESS, Arguments, Size, latent_noise_cells
from benchmarks.noise.training import Corruption
from gw_agents.learning.attention import SelectionConfig
from gw_envs.observation import MODALITIES

TINY = Size(1, 40, SelectionConfig(steps=5, batch_size=32))


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(robustness.SIZES, "quick", TINY)


def test_an_interrupted_run_resumes_and_repeats_no_finished_cell(tiny, tmp_path, monkeypatch):
    computed, compute = [], LatentNoise.compute

    def interrupted(cell, place, needed):
        if len(computed) == 3:
            computed.append(None)
            raise KeyboardInterrupt
        computed.append(cell)
        return compute(cell, place, needed)

    monkeypatch.setattr(LatentNoise, "compute", interrupted)
    arguments = Arguments("simple_shapes", out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(NOISE_ROBUSTNESS, arguments)
    trained = (tmp_path / "training.jsonl").read_text()
    run(NOISE_ROBUSTNESS, arguments)
    assert (tmp_path / "training.jsonl").read_text() == trained
    cells = [cell for cell in computed if cell]
    assert len(cells) == len(set(cells)) == len(latent_noise_cells(arguments, "simple_shapes"))
    lines = (tmp_path / "noise_robustness.jsonl").read_text().splitlines()
    assert len(lines) == len(cells)
    assert json.loads(lines[0]).keys() == {"key", "metrics", "seconds"}
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
        if row["condition"]["sigma"] == 0 and row["condition"]["method"] == "oracle"
    ]
    assert len(clean) == 4
    assert {row["published"] for row in accuracy} == {None, 0.33, 0.37, 0.89}
    assert (tmp_path / "noise_robustness_simple_shapes.png").stat().st_size > 10_000


def test_no_two_cells_share_a_key(monkeypatch):
    cells = robustness.cells(Arguments(preset="full"))
    keys = {cell.key_text for cell in cells}
    assert len(keys) == len(set(cells)) == len(cells)
    everything, waiting = set(cells), list(cells)
    while waiting:
        needed = set(waiting.pop().needs()) - everything
        everything |= needed
        waiting += needed
    assert len({cell.key_text for cell in everything}) == len(everything)


def test_what_a_method_learned_is_trained_before_it_is_measured():
    setup = Arguments(preset="full").setup("factory")
    best = best_attention("evidence", (1e-3, 1e-2))
    cell = LatentNoise("factory", setup, SETS[0], best, 3)
    kinds = [type(need).__name__ for need in cell.needs()]
    assert kinds == ["Workspaces", "TrainedAttention", "Classifier"]
    attention, classifier = cell.needs()[1:]
    assert attention.seed == classifier.seed == 3
    assert [type(need).__name__ for need in attention.needs()] == ["Workspaces", "RateSearch"]
    (search,) = attention.needs()[1:]
    assert search.rates == (1e-3, 1e-2)
    assert search.of.seed == 0  # one search for all seeds
    assert Method("none").needs("factory", setup, 0) == setup.needs()


def test_attention_that_learns_from_fixed_noise_is_not_searched():
    fixed = task_attention("one_step", "shape", SETS[0], Corruption("fixed"), (1e-3,))
    random = task_attention("one_step", "shape", SETS[0], Corruption("random"), (1e-3,))
    assert fixed.tried is None
    assert random.tried is not None
    assert random.tried.subsets == (MODALITIES,)
    assert random.subsets == (SETS[0],)


@pytest.mark.parametrize(
    ("flag", "value"), [("--scene", "kitchen"), ("--preset", "huge"), ("--seeds", "few")]
)
def test_unknown_arguments_are_refused(flag, value, capsys):
    with pytest.raises(SystemExit):
        tyro.cli(Arguments, args=[flag, value])
    assert value in capsys.readouterr().err


def test_no_seeds_and_no_weights_are_refused(tiny, tmp_path):
    with pytest.raises(ValueError, match="--seeds is 0: give a whole number of at least 1"):
        run(NOISE_ROBUSTNESS, Arguments(seeds=0, out=tmp_path))
    with pytest.raises(ValueError, match="name a folder of weights"):
        run(NOISE_ROBUSTNESS, Arguments(weights=tmp_path, out=tmp_path))


def test_the_full_form_goes_on_to_failing_sensors(monkeypatch, tmp_path, capsys):
    """Workspaces for each seed, every sensor, transfer; the same command again computes nothing."""
    size = Size(1, 60, SelectionConfig(steps=2, batch_size=16), workspace_steps=2)
    monkeypatch.setitem(robustness.SIZES, "full", size)
    monkeypatch.setattr(training, "WORKSPACE_SCENES", 500)
    monkeypatch.setattr(training, "RATES", (5e-3,))
    monkeypatch.setattr(robustness, "UNSEEN", ("blur", "other_scene"))
    arguments = Arguments("simple_shapes", preset="full", out=tmp_path)
    run(NOISE_ROBUSTNESS, arguments)
    files = ("noise_robustness.jsonl", "training.jsonl")
    lines = [(tmp_path / file).read_text() for file in files]
    rows = run(NOISE_ROBUSTNESS, arguments)
    assert [(tmp_path / file).read_text() for file in files] == lines
    claims = {row.claim for row in rows}
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
    assert "one of two sensors fails" in capsys.readouterr().out


def test_the_oracle_weighs_what_is_clean_and_bears_that_nothing_is():
    corrupted = torch.tensor([[True, False, False], [True, True, False], [True, True, True]])
    weights = oracle({}, corrupted)
    assert weights.tolist() == [[0, 0.5, 0.5], [0, 0, 1], pytest.approx([1 / 3] * 3)]
