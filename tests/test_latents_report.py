"""The report cards of the domain modules: cells, rows, the table and the picture."""

import pytest

from benchmarks.harness.benchmark import run
from benchmarks.harness.cells import Place
from benchmarks.harness.rows import entry
from benchmarks.latents import report
from benchmarks.latents.errors import DomainErrors, Reconstructions, decoded_errors, load_once
from benchmarks.latents.report import DOMAINS, Arguments, rows, tables

FACTORY = {"modality": "image", "weights": "0123", "train": 10, "test": 10}


def test_rows_are_means_over_seeds():
    results = {}
    for seed, (position, rotation) in enumerate([(0.1, 3.0), (0.3, 5.0)]):
        results[DomainErrors("factory", seed=seed, **FACTORY)] = [
            entry("error", position, attribute="position", probe="mlp", unit="m"),
            entry("error", rotation, attribute="rotation", probe="mlp", unit="degrees"),
        ]
    results[Reconstructions("factory", "0123")] = {}
    position, rotation = rows(results)
    assert position.claim == "domains/image/position"
    assert (position.measured, position.low, position.high) == pytest.approx((0.2, 0.1, 0.3))
    assert position.matches(modality="image", attribute="position", probe="mlp", unit="m")
    assert rotation.measured == pytest.approx(4.0)
    assert rotation.condition["unit"] == "degrees"

    (table,) = tables([position, rotation])
    assert table.headers == ("scene", "latent: attribute", "unit", "MLP probe")
    assert table.lines[0] == ("factory", "image: position", "m", "0.2 (0.1 to 0.3)")


def test_every_module_has_a_cell_for_each_seed_and_images_a_picture(tmp_path):
    arguments = Arguments("factory", seeds=2, out=tmp_path)
    cells = report.cells(arguments)
    modules = [(cell.modality, cell.seed) for cell in cells if isinstance(cell, DomainErrors)]
    assert modules == [
        ("image", 0),
        ("image", 1),
        ("attributes", 0),
        ("attributes", 1),
        ("language", 0),
        ("language", 1),
    ]
    assert sum(isinstance(cell, Reconstructions) for cell in cells) == 1


def test_the_picture_is_drawn(tmp_path):
    place = Place(tmp_path)
    cell = Reconstructions("simple_shapes", "0123", columns=3)
    assert cell.compute(place, []) == {}
    assert cell.product(place) == tmp_path / "domains_simple_shapes.png"
    assert cell.product(place).stat().st_size > 5_000


def test_decoded_attributes_are_close():
    domain, _ = load_once(Place().weights_of("factory"), "attributes", "factory")
    errors = decoded_errors("factory", "attributes", domain, seed=0, count=50)
    assert errors["position"] < 0.05
    assert errors["rotation"] < 1.0


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--seeds is 0"):
        run(DOMAINS, Arguments(seeds=0, out=tmp_path))
    with pytest.raises(ValueError, match="touch"):
        run(DOMAINS, Arguments(modalities=("touch",), out=tmp_path))
