"""The control benchmark, at a size that takes seconds: its cells, rows and picture, resuming, bad arguments."""

import json

import pytest

from benchmarks import control
from benchmarks.control import Arguments, Size, steps_to

TINY = Size({"gw": 1, "concatenation": 1}, {"simple_shapes": 2048, "factory": 2048}, 4)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(control.SIZES, "quick", TINY)


def test_every_agent_is_trained_once_and_tested_on_all_it_can_be_given(tiny, tmp_path, monkeypatch):
    trained, train = [], control.train

    def counted(config, **more):
        trained.append((config.agent.policy_input, config.agent.modalities))
        return train(config, **more)

    monkeypatch.setattr(control, "train", counted)
    arguments = Arguments("simple_shapes", sources=("attributes", "all"), out=tmp_path)
    control.main(arguments)
    control.main(arguments)
    agents = [
        ("gw", ("attributes",)),
        ("gw", control.MODALITIES),
        ("concatenation", control.MODALITIES),
    ]
    assert set(trained) == set(agents)
    assert len(trained) == len(agents) + 1  # the one without a modality takes its finished agent up

    rows = json.loads((tmp_path / "control.json").read_text())["rows"]
    tested = {
        (row["condition"]["encoder"], row["condition"]["train"], row["condition"]["test"])
        for row in rows
        if row["claim"].startswith(("control/in_modality", "control/transfer"))
    }
    sources = set(control.SOURCES)
    of_all = {(encoder, "all", test) for encoder in ("gw", "concatenation") for test in sources}
    assert tested == of_all | {("gw", "attributes", test) for test in sources}
    failing = [row for row in rows if row["claim"].startswith("control/corrupted")]
    kinds = {row["claim"].split("/")[2] for row in failing}
    assert kinds == {*control.KINDS, "missing"}
    assert len(failing) == 2 * 2 * (
        len(control.KINDS) + len(control.MODALITIES)
    )  # attention or not; two metrics
    assert all(0.0 <= row["measured"] <= 1.0 for row in rows if row["metric"] == "success")
    assert (tmp_path / "control_simple_shapes.png").stat().st_size > 10_000


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"unknown source 'touch'.*image, attributes, language, all"
    ):
        control.main(Arguments(sources=("touch",), out=tmp_path))
    with pytest.raises(ValueError, match=r"unknown encoder 'clip'.*gw"):
        control.main(Arguments(encoders=("clip",), out=tmp_path))
    with pytest.raises(ValueError, match="at least 1"):
        control.main(Arguments(seeds=0, out=tmp_path))


def test_transfer_is_a_share_of_what_is_learned_in_the_modality_itself():
    def run(**returns):
        return {
            "curve": [],
            "tests": {test: {"return": value, "success": 0.5} for test, value in returns.items()},
        }

    scale = {"random": {"return": -2.0}, "expert": {"return": 8.0}}
    found = {
        ("gw", "image"): [run(image=7.0, attributes=6.0, language=0.0)],
        ("gw", "attributes"): [run(image=3.0, attributes=8.0, language=1.0)],
        ("gw", "language"): [run(image=2.0, attributes=3.0, language=4.0)],
    }
    rows = control.rows_of("simple_shapes", found, scale)
    shares = {
        (row.condition["train"], row.condition["test"]): row.measured
        for row in rows
        if row.metric == "share"
    }
    between = {
        ("image", "attributes"): 0.8,
        ("language", "attributes"): 0.5,
        ("attributes", "image"): 5 / 9,
    }
    of_captions = {
        ("image", "language"): 2 / 6,
        ("attributes", "language"): 3 / 6,
        ("language", "image"): 4 / 9,
    }
    assert shares == pytest.approx(between | of_captions)

    found["gw", "image"] = [
        run(image=6.9, attributes=6.0, language=0.0)
    ]  # now no policy is good at images
    rows = control.rows_of("simple_shapes", found, scale)
    assert {row.condition["test"] for row in rows if row.metric == "share"} == {
        "attributes",
        "language",
    }


def test_seeds_are_a_limit():
    counted = control.cells_of(Arguments(preset="full", seeds=4, sources=("image",)))
    seeds = {encoder: sum(cell[0] == encoder for cell in counted) for encoder, _, _ in counted}
    assert seeds == {"gw": 4, "contrastive": 4, "unimodal": 3, "raw": 3}


def test_the_first_evaluation_with_so_much_success():
    curve = [
        {"steps": 0, "success": 0.1},
        {"steps": 20, "success": 0.9},
        {"steps": 40, "success": 0.8},
    ]
    assert steps_to(curve, 0.9) == 20
    assert steps_to(curve, 0.95) is None
