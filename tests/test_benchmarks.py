"""What benchmarks share: cells that are computed once, intervals, and label efficiency by hand."""

import json

import numpy as np
import pytest

from benchmarks.common import Cells, interval, make_row, write_summary
from benchmarks.label_efficiency import error_at, label_efficiency, pairs_for


def test_finished_cells_are_not_computed_again(tmp_path):
    computed = []

    def work(seeds):
        computed.append(list(seeds))
        return [{"accuracy": seed / 10} for seed in seeds]

    cells = Cells(tmp_path, "trial")
    assert cells.run("factory", {"sigma": 1.0}, 1, "weights", lambda: work([1])[0]) == {
        "accuracy": 0.1
    }
    found = cells.run_together("factory", {"sigma": 1.0}, range(3), "weights", work)
    assert found == [{"accuracy": 0.0}, {"accuracy": 0.1}, {"accuracy": 0.2}]
    assert (
        Cells(tmp_path, "trial").run_together("factory", {"sigma": 1.0}, range(3), "weights", work)
        == found
    )
    assert computed == [[1], [0, 2]]
    Cells(tmp_path, "trial").run_together("factory", {"sigma": 1.0}, [0], "other weights", work)
    assert computed[-1] == [0]


def test_a_line_cut_short_is_passed_over(tmp_path):
    cells = Cells(tmp_path, "trial")
    cells.run("factory", {}, 0, "", lambda: {"accuracy": 1.0})
    path = tmp_path / "trial.jsonl"
    path.write_text(path.read_text() + '{"benchmark": "trial", "sce')
    again = Cells(tmp_path, "trial")
    assert again.has("factory", {}, 0, "")
    again.run("factory", {}, 1, "", lambda: {"accuracy": 0.5})
    assert json.loads(path.read_text().splitlines()[-1])["seed"] == 1


def test_an_output_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file.*writable|writable.*file"):
        Cells(tmp_path / "file" / "results", "trial")


def test_intervals():
    assert interval([0.2, 0.4]) == (pytest.approx(0.3), 0.2, 0.4)
    assert interval([0.5] * 5) == (0.5, 0.5, 0.5)
    mean, low, high = interval([0.1, 0.2, 0.3, 0.4, 0.5])
    assert mean == pytest.approx(0.3)
    assert 0.1 < low < mean < high < 0.5


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
    assert set(document) == {"benchmark", "command", "versions", "rows"}
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
