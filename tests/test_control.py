"""The control benchmark, at a size that takes seconds: its cells, rows and picture, resuming, bad
arguments."""

import json

import pytest

from benchmarks.agents import control, scores
from benchmarks.agents.control import CONTROL, Arguments, Size
from benchmarks.agents.rows import rows, steps_to
from benchmarks.agents.scores import (
    FAILURES,
    MODALITY_SETS,
    AgentScores,
    ReferenceScores,
    Situation,
    TrainedAgent,
)
from benchmarks.agents.weights import (
    GivenWeights,
    TrainedAttention,
    TrainedWorkspace,
    given_weights,
)
from benchmarks.harness.benchmark import run
from benchmarks.harness.cells import Cells, Place
from benchmarks.harness.engines import Sweep
from gw_agents.global_workspace import GlobalWorkspace
from gw_envs.observation import MODALITIES

TINY = Size({"gw": 1, "concatenation": 1}, {"simple_shapes": 2048, "factory": 2048}, 4)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(control.SIZES, "quick", TINY)


def test_every_agent_is_trained_once_and_tested_on_all_it_can_be_given(tiny, tmp_path, monkeypatch):
    trained, train = [], scores.train

    def counted(config, **more):
        trained.append(config.out)
        return train(config, **more)

    monkeypatch.setattr(scores, "train", counted)
    arguments = Arguments("simple_shapes", sources=("attributes", "all"), out=tmp_path)
    run(CONTROL, arguments)
    run(CONTROL, arguments)
    wanted = [(agent.encoder, agent.observed) for agent in arguments.agents("simple_shapes")]
    assert wanted == [
        ("gw", ("attributes",)),
        ("gw", MODALITIES),
        ("concatenation", MODALITIES),
    ]
    assert len(trained) == len(set(trained)) == len(wanted)

    found = json.loads((tmp_path / "control.json").read_text())["rows"]
    tested = set()
    for row in found:
        if row["claim"].startswith(("control/in_modality", "control/transfer")):
            condition = row["condition"]
            tested.add((condition["encoder"], condition["train"], condition["test"]))
    sources = set(MODALITY_SETS)
    of_all = {(encoder, "all", test) for encoder in ("gw", "concatenation") for test in sources}
    assert tested == of_all | {("gw", "attributes", test) for test in sources}
    failing = [row for row in found if row["claim"].startswith("control/corrupted")]
    kinds = {row["claim"].split("/")[2] for row in failing}
    assert kinds == {*(failure.name for failure in FAILURES), "missing"}
    # With and without attention, two metrics.
    assert len(failing) == 2 * 2 * (len(FAILURES) + len(MODALITIES))
    assert all(0.0 <= row["measured"] <= 1.0 for row in found if row["metric"] == "success")
    assert (tmp_path / "control_simple_shapes.png").stat().st_size > 10_000


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"unknown source 'touch'.*image, attributes, language, all"
    ):
        run(CONTROL, Arguments(sources=("touch",), out=tmp_path))
    with pytest.raises(ValueError, match=r"unknown encoder 'clip'.*gw"):
        run(CONTROL, Arguments(encoders=("clip",), out=tmp_path))
    with pytest.raises(ValueError, match="at least 1"):
        run(CONTROL, Arguments(seeds=0, out=tmp_path))
    with pytest.raises(ValueError, match="nothing to train"):
        run(CONTROL, Arguments(sources=(), out=tmp_path))


def results(returns: dict[str, dict[str, float]]) -> dict:
    """Results of gw agents with one seed: {trained on: {tested on: return}}; random actions get -2
    and the expert 8."""
    made = {}
    for actor, value in {"random": -2.0, "expert": 8.0}.items():
        made[ReferenceScores("simple_shapes", actor, 10)] = {"return": value, "success": 0.5}
    for source, tests in returns.items():
        observed = MODALITY_SETS[source]
        agent = TrainedAgent("simple_shapes", "gw", observed, 0, 1000, GivenWeights("0123"))
        made[agent] = {"curve": [], "seconds": 1.0}
        for test, value in tests.items():
            cell = AgentScores("simple_shapes", agent, Situation(MODALITY_SETS[test]), 10)
            made[cell] = {"return": value, "success": 0.5}
    return made


def shares(returns: dict[str, dict[str, float]]) -> dict[tuple[str, str], float]:
    """{(trained on, tested on): share} of the rows."""
    return {
        (row.condition["train"], row.condition["test"]): row.measured
        for row in rows(results(returns))
        if row.metric == "share"
    }


def test_transfer_is_a_share_of_what_is_learned_in_the_modality_itself():
    returns = {
        "image": {"image": 7.0, "attributes": 6.0, "language": 0.0},
        "attributes": {"image": 3.0, "attributes": 8.0, "language": 1.0},
        "language": {"image": 2.0, "attributes": 3.0, "language": 4.0},
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
    assert shares(returns) == pytest.approx(between | of_captions)

    returns["image"]["image"] = 6.9  # now no policy is good at images
    assert {test for _, test in shares(returns)} == {"attributes", "language"}


def test_seeds_are_a_limit():
    arguments = Arguments(preset="full", seeds=4, sources=("image",))
    agents = arguments.agents("simple_shapes")
    seeds: dict[str, int] = {}
    for agent in agents:
        seeds[agent.encoder] = seeds.get(agent.encoder, 0) + 1
    assert seeds == {"gw": 4, "contrastive": 4, "unimodal": 3, "raw": 3}


def test_agents_read_the_workspace_of_their_seed_if_asked_to():
    arguments = Arguments(preset="full", workspaces="per_seed")
    for agent in arguments.agents("factory"):
        if agent.encoder in ("gw", "contrastive"):
            assert isinstance(agent.weights, TrainedWorkspace)
            assert agent.weights.seed == agent.seed
            assert agent.needs() == (agent.weights,)
        for cell in arguments.scores(agent):
            if cell.situation.attention is not None:
                attention = TrainedAttention("factory", agent.weights, agent.seed)
                assert cell.needs() == (agent, attention)


def test_agents_read_the_shipped_workspace_otherwise():
    arguments = Arguments(preset="full")
    weights: dict[str, set] = {}
    for agent in arguments.agents("factory"):
        weights.setdefault(agent.encoder, set()).add(agent.weights)
    assert {encoder: len(different) for encoder, different in weights.items()} == {
        "gw": 1,
        "contrastive": 1,
        "unimodal": 1,
        "concatenation": 1,
        "raw": 1,
    }
    assert isinstance(*weights["gw"], GivenWeights)
    assert weights["gw"] != weights["unimodal"]
    assert weights["raw"] == {None}


def test_the_first_evaluation_with_so_much_success():
    curve = [
        {"steps": 0, "success": 0.1},
        {"steps": 20, "success": 0.9},
        {"steps": 40, "success": 0.8},
    ]
    assert steps_to(curve, 0.9) == 20
    assert steps_to(curve, 0.95) is None


def test_a_trained_workspace_is_a_folder_of_weights(tmp_path):
    place = Place(tmp_path)
    domains = given_weights(place, "simple_shapes", MODALITIES)
    cell = TrainedWorkspace("simple_shapes", domains, "cont", seed=3, scenes=300, steps=2)
    assert Sweep().compute(Cells(tmp_path), [cell], place) == {cell: {}}
    folder = cell.folder("simple_shapes", place)
    gw = GlobalWorkspace.from_pretrained(folder, device="cpu")
    assert (gw.scene_name, gw.width) == ("simple_shapes", 12)
    assert given_weights(Place(tmp_path, folder.parent), "simple_shapes", MODALITIES) == domains
