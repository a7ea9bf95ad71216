"""The odd-one-out benchmark, at a size that takes seconds: training, rows, table, bad arguments."""

import json

import numpy as np
import pytest
import torch

from benchmarks.harness.benchmark import run
from benchmarks.pairs import models
from benchmarks.pairs.models import Shape
from benchmarks.pairs.odd_one_out import (
    ODD_ONE_OUT,
    Arguments,
    Judge,
    OddOneOut,
    tables,
    triplets,
)

MODALITIES = ("attributes", "language")
SHAPE = Shape(width=6, hidden=8, batch_size=16)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(models.SIZES, "quick", models.Size(2, (60, 300, 5000), 4, 300))
    monkeypatch.setattr(models, "SCENES", 5000)


def test_models_are_trained_once_and_judged_on_every_modality(tiny, tmp_path, monkeypatch, capsys):
    trained, train = [], models.train_workspaces

    def counted(config, latents, pairs, seeds, plan):
        trained.append((tuple(plan.losses), len(pairs[0]), tuple(seeds)))
        return train(config, latents, pairs, seeds, plan)

    monkeypatch.setattr(models, "train_workspaces", counted)
    arguments = Arguments(
        "factory",
        pairs=300,
        models=("tr", "cont"),
        modalities=MODALITIES,
        shape=SHAPE,
        out=tmp_path,
    )
    rows = run(ODD_ONE_OUT, arguments)
    searched = [("translation",), ("contrastive",)]
    assert [losses for losses, pairs, _ in trained if pairs == 700] == 4 * [searched[0]] + 4 * [
        searched[1]
    ]
    assert [(losses, seeds) for losses, pairs, seeds in trained if pairs == 300] == [
        (losses, (0, 1)) for losses in searched
    ]
    assert run(ODD_ONE_OUT, arguments) == rows
    assert len(trained) == 10
    assert {row.condition["test"] for row in rows} == {"attributes", "language", "mixed"}
    assert len(rows) == 2 * 2 * 2 * 3  # models, labels, training modalities, tests
    (table,) = tables(rows)
    assert len(table.lines) == 2 * 2
    assert str(table) in capsys.readouterr().out
    assert (tmp_path / "odd_one_out_factory.png").stat().st_size > 10_000
    assert len(json.loads((tmp_path / "odd_one_out.json").read_text())["rows"]) == len(rows)


def test_measuring_never_trains_a_workspace(tiny, tmp_path):
    arguments = Arguments(models=("tr",), modalities=MODALITIES, shape=SHAPE, out=tmp_path)
    cells = ODD_ONE_OUT.cells(arguments)
    assert len(cells) == 2 * 2  # scenes, seeds
    assert all(isinstance(cell, OddOneOut) for cell in cells)
    with pytest.raises(FileNotFoundError):
        cells[0].compute(arguments.place, [])


def test_triplets_have_one_odd_item():
    classes = np.random.default_rng(0).integers(4, size=200)
    rows, odd = triplets(classes, 300, np.random.default_rng(1))
    shown = classes[rows]
    alone = shown[np.arange(300), odd]
    rest = np.array([np.delete(line, place) for line, place in zip(shown, odd, strict=True)])
    assert (rest[:, 0] == rest[:, 1]).all()
    assert (rest[:, 0] != alone).all()
    assert all(len(set(line)) == 3 for line in rows)
    assert np.bincount(odd).min() > 80


def test_the_judge_finds_what_is_least_like_the_others():
    judge = Judge(2, 2)
    judge.project.weight.data, judge.project.bias.data = torch.eye(2), torch.zeros(2)
    z = torch.tensor([[[1.0, 0.1], [0.0, 1.0], [1.0, 0.0]]])
    assert judge(z).argmax(-1).tolist() == [1]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"modalities": ("image",)}, "at least two"),
        ({"models": ("tr+magic",)}, r"unknown model 'tr\+magic'.*fusion"),
        ({"models": ()}, "--models is empty"),
        ({"pairs": -1}, "--pairs -1: give numbers from 5 to 100,000"),
        ({"shape": Shape(width=0)}, "--width is 0: give a whole number of at least 1"),
    ],
)
def test_bad_arguments_are_refused_before_work_starts(changes, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        run(ODD_ONE_OUT, Arguments(out=tmp_path, **changes))
    assert list(tmp_path.iterdir()) == []
