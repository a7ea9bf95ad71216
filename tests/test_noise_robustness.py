"""The noise benchmark, at a size that takes seconds: its cells, its rows, an interruption, wrong arguments."""

import json

import pytest
import tyro

from benchmarks import noise_robustness as benchmark
from gw_agents.selection import SelectionConfig

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
    assert len(cells) == len(set(cells)) == len(benchmark.conditions())
    lines = (tmp_path / "noise_robustness.jsonl").read_text().splitlines()
    assert len(lines) == len(cells)
    assert {"benchmark", "scene", "condition", "seed", "metrics", "seconds"} <= json.loads(lines[0]).keys()
    rows = json.loads((tmp_path / "noise_robustness.json").read_text())["rows"]
    accuracy = [row for row in rows if row["metric"] == "accuracy"]
    assert {row["claim"] for row in accuracy} == {
        f"noise/{noise}/{method}"
        for noise in ("fixed", "random")
        for method in ("constant", "none", "one_step", "two_step", "best", "oracle")
    }
    clean = [row["measured"] for row in accuracy if row["condition"]["sigma"] == 0 and "oracle" in row["claim"]]
    assert len(clean) == 4
    assert {row["published"] for row in accuracy} == {None, 0.33, 0.37, 0.89}
    assert (tmp_path / "noise_robustness_simple_shapes.png").stat().st_size > 10_000


@pytest.mark.parametrize(("flag", "value"), [("--scene", "kitchen"), ("--preset", "huge"), ("--seeds", "few")])
def test_unknown_arguments_are_refused(flag, value, capsys):
    with pytest.raises(SystemExit):
        tyro.cli(benchmark.Arguments, args=[flag, value])
    assert value in capsys.readouterr().err


def test_no_seeds_and_no_weights_are_refused(tiny, tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        benchmark.main(benchmark.Arguments(seeds=0, out=tmp_path))
    with pytest.raises(ValueError, match="name a folder of weights"):
        benchmark.main(benchmark.Arguments(weights=tmp_path, out=tmp_path))
