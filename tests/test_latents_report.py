"""The report cards of the domain modules: cells, rows, the table and the picture."""

from dataclasses import replace

import pytest

from benchmarks.harness.benchmark import run
from benchmarks.harness.cells import Place
from benchmarks.harness.rows import entry, find_row, read_summary, write_summary
from benchmarks.latents import report
from benchmarks.latents.encoders import ERROR, SPEED, EncoderTrade
from benchmarks.latents.errors import DomainErrors, Reconstructions, decoded_errors, load_once
from benchmarks.latents.report import DOMAINS, Arguments, rows, tables
from gw_agents.checkpoint import CheckpointError

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


def encoder_of(scene, name, speed, position, seed=0):
    cell = EncoderTrade(scene, name, "01", "23", seed, 10)
    errors = [
        entry(ERROR, value, attribute=attribute, images="ours", unit="m")
        for attribute, value in (("position", position), ("rotation", 2.0), ("rgb", 3.0))
    ]
    return {cell: [entry(SPEED, speed, at_a_time=16), *errors]}


def test_encoders_are_listed_by_speed_and_drawn(tmp_path):
    results = encoder_of("factory", "convolutions", 0.8, 0.03)
    results |= encoder_of("factory", "32-64-128", 3.0, 0.04)
    results |= encoder_of("factory", "32-64-128", 5.0, 0.06, seed=1)
    found = rows(results)
    speed = find_row(found, SPEED, "factory", encoder="32-64-128")
    assert (speed.measured, speed.low, speed.high) == (4.0, 3.0, 5.0)
    assert speed.claim == "domains/encoder/speed"
    (table,) = tables(found)
    assert [line[1:3] for line in table.lines] == [
        ("32-64-128", "4 (3 to 5)"),
        ("convolutions", "0.8 (0.8 to 0.8)"),
    ]
    assert table.lines[0][4] == "0.05 (0.04 to 0.06) m"
    (figure,) = DOMAINS.figures(results)
    assert figure.save(tmp_path).stat().st_size > 5_000


def test_report_cards_are_kept_beside_encoders(tmp_path):
    card = DomainErrors("factory", seed=0, **FACTORY)
    card_rows = rows({card: [entry("error", 0.1, attribute="position", probe="mlp", unit="m")]})
    for written in (card_rows, rows(encoder_of("factory", "convolutions", 0.8, 0.03))):
        write_summary(tmp_path, "domains", written, DOMAINS.variant)
    _, kept = read_summary("domains", tmp_path)
    assert [table.title.split(":")[0] for table in tables(kept)] == [
        "Errors on held-out scenes",
        "Image encoders",
    ]


def test_an_encoder_is_measured_through_the_workspace(tmp_path):
    folder = Place().weights_of("simple_shapes")
    arguments = Arguments("simple_shapes", test=40, encoders=(folder,), out=tmp_path)
    (cell,) = report.cells(arguments)
    cell = replace(cell, redrawn=5)
    entries = cell.compute(arguments.place, [])
    assert [found["metric"] for found in entries[:2]] == [SPEED, ERROR]
    assert entries[0]["value"] > 0.2
    errors = {(e["images"], e["attribute"]): e["value"] for e in entries if e["metric"] == ERROR}
    for images in ("ours", "matplotlib"):
        assert errors[images, "position"] < 1.0
        assert errors[images, "rotation"] < 10.0
    assert report.cells(replace(arguments, scene="factory")) == []


def test_a_folder_without_an_image_module_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint 'image'"):
        run(DOMAINS, Arguments(encoders=(tmp_path,), out=tmp_path))
