"""The translation and classification benchmarks, at a size that takes seconds: cells, rows,
resuming and bad arguments."""

import numpy as np
import pytest
import torch

from benchmarks.harness.benchmark import run
from benchmarks.harness.cells import Cells
from benchmarks.pairs import classification, models, translation
from benchmarks.pairs.classification import CLASSIFICATION
from benchmarks.pairs.models import Shape, load_workspaces, matched_scenes
from benchmarks.pairs.translation import TRANSLATION

PAIRS = (60, 300, 5000)
MODALITIES = ("attributes", "language")
SHAPE = Shape(width=6, hidden=8, batch_size=16)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(models.SIZES, "quick", models.Size(2, PAIRS, 4, 300))
    monkeypatch.setattr(classification, "PAIRS", {"quick": (300,)})
    monkeypatch.setattr(models, "SCENES", 5000)


def test_the_grid_is_trained_once_for_both_benchmarks(tiny, tmp_path, monkeypatch, capsys):
    trained, train = [], models.train_workspaces

    def counted(config, latents, pairs, seeds, plan):
        trained.append((tuple(plan.losses), len(pairs[0]), tuple(seeds)))
        return train(config, latents, pairs, seeds, plan)

    monkeypatch.setattr(models, "train_workspaces", counted)
    names = ("tr", "cont")
    options = {"models": names, "modalities": MODALITIES, "shape": SHAPE, "out": tmp_path}
    rows = run(TRANSLATION, translation.Arguments("factory", **options))
    assert len(trained) == len(names) * (len(models.SEARCH) + len(PAIRS))
    assert run(TRANSLATION, translation.Arguments("factory", **options)) == rows
    recognized = run(CLASSIFICATION, classification.Arguments("factory", **options))
    assert len(trained) == len(names) * (len(models.SEARCH) + len(PAIRS))

    ratios = [row for row in rows if row.claim == "translation/label_efficiency/tr"]
    assert {row.condition["of"] for row in ratios} == {
        "attributes->language",
        "language->attributes",
        "all",
    }
    # More pairs may be left unused, so that no model needs more than it has.
    assert all(row.measured >= 1.0 and row.n_seeds == 2 for row in ratios)
    assert "Few pairs:" in capsys.readouterr().out
    assert {row.condition["kind"] for row in recognized} == {"linear", "zero_shot", "chance"}
    known = [row.measured for row in recognized if row.matches(kind="linear", model="unimodal")]
    assert np.mean(known) > 0.6
    assert (tmp_path / "classification_factory.png").stat().st_size > 10_000
    assert (tmp_path / "translation_factory_2_z6_4.png").stat().st_size > 10_000


def test_workspaces_come_back_from_disk_to_the_bit(tiny, tmp_path, monkeypatch):
    made, train = [], models.train_workspaces
    monkeypatch.setattr(
        models, "train_workspaces", lambda *a, **k: made.extend(train(*a, **k)) or made
    )
    options = {"models": ("tr",), "modalities": MODALITIES, "shape": SHAPE, "out": tmp_path}
    arguments = translation.Arguments("factory", **options)
    cell = arguments.workspaces("factory", "tr", 60)
    trials = [{"learning_rate": 3e-3, "decay": 1e-3, "error": 0.5}]
    trials.append({"learning_rate": 1e-2, "decay": 1e-1, "error": 0.4})
    assert cell.compute(arguments.place, [trials]) == {"learning_rate": 1e-2, "decay": 1e-1}
    loaded = load_workspaces(cell, arguments.place)
    for seed in (0, 1):
        tensors = loaded[seed].state_dict()
        for name, value in made[seed].state_dict().items():
            assert torch.equal(value, tensors[name])
    first, second = (loaded[seed].encoders["language"][0].weight for seed in (0, 1))
    assert not torch.equal(first, second)


def test_a_search_is_shared_by_all_numbers_of_pairs(tmp_path):
    arguments = translation.Arguments("factory", models=("tr",), out=tmp_path)
    cells = TRANSLATION.cells(arguments)
    assert len({cell.workspaces for cell in cells}) == len(arguments.numbers_of_pairs)
    assert len({cell.workspaces.search for cell in cells}) == 1
    assert not any(Cells(tmp_path).has(cell) for cell in cells)


def test_fewer_pairs_are_among_the_more():
    assert torch.equal(matched_scenes(3, 50), matched_scenes(3, 500)[:50])
    assert not torch.equal(matched_scenes(3, 50), matched_scenes(4, 50))
    assert len(matched_scenes(3, 500).unique()) == 500


def test_zero_shot_by_hand():
    prototypes = np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 3.0]])
    known, rows = np.array([4, 4, 7]), np.array([[5.0, 1.0], [0.1, 0.2], [1.0, 0.0]])
    assert classification.zero_shot(prototypes, known, rows, np.array([4, 7, 7])) == pytest.approx(
        2 / 3
    )


@pytest.mark.parametrize(
    ("benchmark", "arguments"),
    [(TRANSLATION, translation.Arguments), (CLASSIFICATION, classification.Arguments)],
)
def test_one_modality_and_unknown_models_are_refused(benchmark, arguments, tmp_path):
    with pytest.raises(ValueError, match="at least two"):
        run(benchmark, arguments(modalities=("image",), out=tmp_path))
    with pytest.raises(ValueError, match=r"unknown model 'tr\+magic'.*fusion"):
        run(benchmark, arguments(models=("tr+magic",), out=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_pairs_that_there_cannot_be_are_refused(tmp_path):
    for pairs in ((2, 500), (500, 200_000), ()):
        with pytest.raises(ValueError, match=r"--pairs .* from 5 to 100,000"):
            run(TRANSLATION, translation.Arguments(pairs=pairs, out=tmp_path))
    assert translation.Arguments(pairs=(500, 50, 50)).numbers_of_pairs == (50, 500)
