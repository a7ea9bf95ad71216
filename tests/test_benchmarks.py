"""What benchmarks share: cells that are computed once, keys, intervals, rows, tables, summaries,
and label efficiency by hand."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from tiny_cells import Double, Measured, Trained

from benchmarks.harness.benchmark import Arguments
from benchmarks.harness.cells import Cell, Cells, Place
from benchmarks.harness.rows import by_scene, interval, make_row, over_seeds, write_summary
from benchmarks.harness.tables import Table
from benchmarks.harness.weights import outdated_note, outdated_scenes, weights_digest
from benchmarks.pairs.label_efficiency import error_at, label_efficiency, pairs_for
from gw_envs.scenes import SCENES


def test_finished_cells_come_back_from_disk(tmp_path):
    cell = Double("factory", 3, add=4)
    Cells(tmp_path, "trial").add(cell, {"value": 10}, seconds=0.25)
    cells = Cells(tmp_path, "trial")
    assert cells.has(cell)
    assert cells.metrics(cell) == {"value": 10}
    others = (Double("simple_shapes", 3, add=4), Double("factory", 4, add=4), Double("factory", 3))
    assert not any(cells.has(other) for other in others)


def test_a_key_holds_every_field_and_the_format():
    first = Trained("factory", 7)
    assert Measured("factory", first).key == {
        "cell": "Measured",
        "format": 1,
        "scene": "factory",
        "trained": {"cell": "Trained", "format": 1, "scene": "factory", "seed": 7},
    }
    assert Double("factory", 0, before=(first,)).key["before"] == [first.key]


def test_a_new_format_is_a_new_key(tmp_path, monkeypatch):
    cell = Double("factory", 1)
    Cells(tmp_path, "trial").add(cell, {"value": 2}, seconds=0.0)
    monkeypatch.setattr(Double, "FORMAT", 2)
    assert not Cells(tmp_path, "trial").has(cell)


def test_a_file_opens_when_a_cell_asks_for_it(tmp_path):
    cells = Cells(tmp_path, "trial")
    assert {path.name for path in tmp_path.iterdir()} == {"trial.jsonl", ".trial.jsonl.lock"}
    cells.add(Trained("factory", 0), {}, seconds=0.0)
    assert Cells(tmp_path, "training").has(Trained("factory", 0))


def test_a_line_cut_short_is_dropped(tmp_path):
    cells = Cells(tmp_path, "trial")
    cells.add(Double("factory", 0), {"value": 0}, seconds=0.0)
    path = tmp_path / "trial.jsonl"
    path.write_text(path.read_text() + '{"key": {"cell": "Double", "sce')
    again = Cells(tmp_path, "trial")
    assert again.has(Double("factory", 0))
    again.add(Double("factory", 1), {"value": 2}, seconds=0.0)
    assert json.loads(path.read_text().splitlines()[-1])["key"]["seed"] == 1


def test_an_output_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file.*writable|writable.*file"):
        Cells(tmp_path / "file" / "results", "trial")


def test_both_scenes_are_all_scenes():
    assert Arguments().scenes == tuple(SCENES)
    assert Arguments("factory").scenes == ("factory",)


def test_intervals():
    assert interval([0.2, 0.4]) == (pytest.approx(0.3), 0.2, 0.4)
    assert interval([0.5] * 5) == (0.5, 0.5, 0.5)
    mean, low, high = interval([0.1, 0.2, 0.3, 0.4, 0.5])
    assert mean == pytest.approx(0.3)
    assert 0.1 < low < mean < high < 0.5


def test_metrics_are_gathered_over_seeds():
    @dataclass(frozen=True)
    class Trial(Cell):
        seed: int
        sigma: float

    results = {
        Trial("factory", seed, sigma): 10 * sigma + seed for sigma in (1, 2) for seed in (3, 4)
    }
    first = Trial("factory", 0, 1)
    assert over_seeds(results) == {first: [13, 14], replace(first, sigma=2): [23, 24]}


def test_summaries_hold_what_readers_expect(tmp_path):
    row = make_row(
        "noise/fixed/none",
        "factory",
        {"sigma": 3.0},
        "accuracy",
        [0.5, 0.7],
        "noise",
        published=0.33,
    )
    document = json.loads(write_summary(tmp_path, "trial", [row]).read_text())
    assert set(document) == {"benchmark", "command", "weights", "versions", "rows"}
    assert document["rows"][0] == {
        "claim": "noise/fixed/none",
        "scene": "factory",
        "condition": {"sigma": 3.0},
        "metric": "accuracy",
        "published": 0.33,
        "measured": pytest.approx(0.6),
        "low": 0.5,
        "high": 0.7,
        "n_seeds": 2,
        "seed_redraws": "noise",
    }


def test_the_command_of_a_summary_leaves_out_where_it_was_written(tmp_path, monkeypatch):
    row = make_row("noise", "factory", {}, "accuracy", [0.5], "noise")
    for given in (["--out", "/some/where", "--seeds", "2"], ["--out=there", "--seeds", "2"]):
        monkeypatch.setattr("sys.argv", ["trial.py", *given])
        path = write_summary(tmp_path, "trial", [row])
        command = json.loads(path.read_text())["command"]
        assert command == "python benchmarks/trial.py --seeds 2"


def test_a_summary_has_one_row_a_line(tmp_path):
    row = make_row("noise", "factory", {"modalities": ("image",)}, "accuracy", [0.5], "noise")
    text = write_summary(tmp_path, "trial", [row, row]).read_text()
    assert sum(line.startswith('{"claim": "noise"') for line in text.splitlines()) == 2


def test_scenes_run_one_by_one_share_a_summary(tmp_path):
    for scene, value in (("factory", 0.5), ("simple_shapes", 0.6), ("factory", 0.7)):
        write_summary(
            tmp_path, "trial", [make_row("noise", scene, {}, "accuracy", [value], "noise")]
        )
    rows = json.loads((tmp_path / "trial.json").read_text())["rows"]
    assert {row["scene"]: row["measured"] for row in rows} == {"simple_shapes": 0.6, "factory": 0.7}


def test_variants_of_a_benchmark_share_a_summary(tmp_path):
    for width, value in ((12, 0.5), (32, 0.6), (12, 0.7)):
        row = make_row(
            "noise", "factory", {"width": width, "pairs": 50}, "accuracy", [value], "noise"
        )
        write_summary(tmp_path, "trial", [row], variant=("width",))
    rows = json.loads((tmp_path / "trial.json").read_text())["rows"]
    assert {row["condition"]["width"]: row["measured"] for row in rows} == {32: 0.6, 12: 0.7}


def test_a_summary_never_mixes_weights(tmp_path):
    def measure(width, value, scene, digest):
        row = make_row("noise", scene, {"width": width}, "accuracy", [value], "noise")
        write_summary(tmp_path, "trial", [row], ("width",), {scene: digest})

    measure(12, 0.1, "factory", "old")
    measure(32, 0.2, "factory", "old")
    measure(12, 0.3, "simple_shapes", "old")
    measure(12, 0.4, "factory", "new")
    document = json.loads((tmp_path / "trial.json").read_text())
    assert document["weights"] == {"factory": "new", "simple_shapes": "old"}
    assert sorted(row["measured"] for row in document["rows"]) == [0.3, 0.4]


def test_figures_of_earlier_weights_are_called_so():
    now = {scene: weights_digest(Place(), scene) for scene in ("factory", "simple_shapes")}
    assert outdated_note({"weights": now}, now) == ""
    assert "Factory on" in outdated_note({"weights": {**now, "factory": "0" * 16}}, now)
    assert outdated_scenes({}, now) == ["simple_shapes", "factory"]
    assert outdated_scenes({}, ["factory"]) == ["factory"]


def test_rows_are_sorted_by_scene_and_keep_their_order():
    rows = [
        make_row(claim, scene, {}, "accuracy", [1.0], "noise")
        for claim, scene in (("a", "factory"), ("b", "simple_shapes"), ("c", "factory"))
    ]
    assert [row.claim for row in by_scene(rows)] == ["b", "a", "c"]


def test_a_table_is_aligned_markdown():
    table = Table("Accuracy", ("model", "image"), [("tr", "41.0%"), ("fusion", "5%")], "A note.")
    assert str(table).splitlines() == [
        "**Accuracy**",
        "",
        "| model  | image |",
        "| ------ | ----- |",
        "| tr     | 41.0% |",
        "| fusion | 5%    |",
        "",
        "A note.",
    ]


PAIRS = (50, 500, 5000, 50_000)


def test_curves_are_read_along_log_axes():
    errors = (1.0, 0.1, 0.01, 0.001)  # error = 50 / pairs
    assert error_at(PAIRS, errors, 1000) == pytest.approx(0.05)
    assert pairs_for(PAIRS, errors, 0.05) == pytest.approx(1000)
    assert pairs_for(PAIRS, errors, 2.0) == 0.0
    assert pairs_for(PAIRS, errors, 1e-4) == np.inf
    assert pairs_for(PAIRS, (1.0, 0.1, 0.4, 0.05), 0.1) == pytest.approx(
        500
    )  # more pairs need not be used


def test_label_efficiency_by_hand():
    reference = (1.0, 0.1, 0.01, 0.001)
    same = label_efficiency(PAIRS, reference, reference)
    assert same.ratio == pytest.approx(1.0)
    fourfold = label_efficiency(PAIRS, reference, tuple(error / 4 for error in reference))
    assert fourfold.by_level == pytest.approx([4.0] * 7)
    assert (fourfold.at_least, fourfold.at_most) == (0, 0)
    never = label_efficiency(PAIRS, reference, (1.0, 1.0, 1.0, 1.0))
    assert never.at_most == 7
    assert never.ratio < 0.1
    at_once = label_efficiency(PAIRS, reference, (1e-3,) * 4)
    assert at_once.at_least == 7
    assert at_once.by_level[0] == pytest.approx(500 / 50)
