"""The translation and classification benchmarks, at a size that takes seconds: cells, rows, resuming, bad arguments."""

import json

import numpy as np
import pytest
import torch

from benchmarks import classification, compared, translation
from benchmarks.compared import Compared, Shape, matched_scenes

PAIRS = (60, 300, 5000)
TINY = translation.Size(2, PAIRS, 4, 300)
MODALITIES = ("attributes", "language")
SHAPE = Shape(width=6, hidden=8, batch_size=16)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(translation.SIZES, "quick", TINY)
    monkeypatch.setattr(classification, "PAIRS", {"quick": (300,)})
    for module in (compared, translation):
        monkeypatch.setattr(module, "SCENES", 5000)


def test_the_grid_is_trained_once_for_both_benchmarks(tiny, tmp_path, monkeypatch, capsys):
    trained, train = [], compared.train_workspaces

    def counted(config, latents, pairs, seeds, plan):
        trained.append((tuple(plan.losses), len(pairs[0]), tuple(seeds)))
        return train(config, latents, pairs, seeds, plan)

    monkeypatch.setattr(compared, "train_workspaces", counted)
    models = ("tr", "cont")
    arguments = translation.Arguments(
        "factory", models=models, modalities=MODALITIES, shape=SHAPE, out=tmp_path
    )
    translation.main(arguments)
    assert len(trained) == len(models) * (len(compared.SEARCH) + len(PAIRS))
    translation.main(arguments)
    reading = classification.Arguments(
        "factory", models=models, modalities=MODALITIES, shape=SHAPE, out=tmp_path
    )
    classification.main(reading)
    assert len(trained) == len(models) * (len(compared.SEARCH) + len(PAIRS))

    rows = json.loads((tmp_path / "translation.json").read_text())["rows"]
    ratios = [row for row in rows if row["claim"] == "translation/label_efficiency/tr"]
    assert {row["condition"]["of"] for row in ratios} == {
        "attributes->language",
        "language->attributes",
        "all",
    }
    assert all(
        row["measured"] >= 1.0 and row["n_seeds"] == 2 for row in ratios
    )  # more pairs may be left unused
    assert "Rules." in capsys.readouterr().out
    rows = json.loads((tmp_path / "classification.json").read_text())["rows"]
    kinds = {row["claim"].split("/")[1] for row in rows}
    assert kinds == {"linear", "zero_shot", "chance"}
    known = [row for row in rows if row["claim"] == "classification/linear/unimodal"]
    assert np.mean([row["measured"] for row in known]) > 0.6
    assert (tmp_path / "classification_factory.png").stat().st_size > 10_000


def test_workspaces_come_back_from_disk_to_the_bit(tiny, tmp_path):
    setting = (3e-3, 1e-3)
    made = Compared("factory", MODALITIES, SHAPE, 4, tmp_path).workspaces("tr", 60, [0, 1], setting)
    read = (
        Compared("factory", MODALITIES, SHAPE, 4, tmp_path)
        .workspaces("tr", 60, [1], setting)[0]
        .state_dict()
    )
    assert all(torch.equal(value, read[name]) for name, value in made[1].state_dict().items())
    assert not torch.equal(
        made[0].log_scale * 0 + made[0].encoders["language"][0].weight.sum(), read["log_scale"]
    )


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


@pytest.mark.parametrize("benchmark", [translation, classification])
def test_one_modality_and_unknown_models_are_refused(benchmark, tmp_path):
    with pytest.raises(ValueError, match="at least two"):
        benchmark.main(benchmark.Arguments(modalities=("image",), out=tmp_path))
    with pytest.raises(ValueError, match=r"unknown model 'tr\+magic'.*fusion"):
        benchmark.main(benchmark.Arguments(models=("tr+magic",), out=tmp_path))


def test_pairs_that_there_cannot_be_are_refused(tmp_path):
    for pairs in ((2, 500), (500, 200_000), ()):
        with pytest.raises(ValueError, match=r"--pairs .* from 5 to 100,000"):
            translation.main(translation.Arguments(pairs=pairs, out=tmp_path))
    assert translation.Arguments(pairs=(500, 50, 50)).numbers_of_pairs == (50, 500)
