"""The control benchmark, at a size that takes seconds: its cells, resuming, bad arguments, and the
weights that agents read."""

import json

import pytest
import torch
from tiny_weights import write_tiny_weights

from benchmarks.agents import control, scores
from benchmarks.agents.control import CONTROL, Arguments, Size, cells, situations
from benchmarks.agents.scores import (
    FAILURES,
    MODALITY_SETS,
    TESTS,
    AgentScores,
    Situation,
    TrainedAgent,
)
from benchmarks.agents.tuning import candidates, even_weights, read_columns
from benchmarks.agents.weights import (
    GivenWeights,
    TrainedAttention,
    TrainedWorkspace,
    TunedWorkspace,
    given_weights,
)
from benchmarks.harness.benchmark import run
from benchmarks.harness.cells import Cells, Place
from benchmarks.harness.engines import Sweep
from gw_agents.global_workspace import GlobalWorkspace
from gw_envs.observation import MODALITIES

STEPS = {"simple_shapes": 2048, "factory": 2048}
TINY = Size({"gw": 1, "concatenation": 1}, STEPS, 4, "shipped")
SCENE = "simple_shapes"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of untrained weights of both scenes."""
    folder = tmp_path_factory.mktemp("weights")
    for scene in STEPS:
        write_tiny_weights(folder, scene)
    return folder


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(control.SIZES, "quick", TINY)


def agents_of(arguments: Arguments, scene: str = SCENE) -> list[TrainedAgent]:
    """The agents of a scene, seed by seed."""
    seeds = range(max(arguments.seeds_of.values()))
    return [agent for seed in seeds for agent in arguments.agents(scene, seed)]


def test_every_agent_is_trained_once_and_tested_on_all_it_can_be_given(
    tiny, weights, tmp_path, monkeypatch
):
    trained, train = [], scores.train

    def counted(config, **more):
        trained.append(config.out)
        return train(config, **more)

    monkeypatch.setattr(scores, "train", counted)
    arguments = Arguments(SCENE, weights, tmp_path, sources=("attributes", "all"))
    run(CONTROL, arguments)
    run(CONTROL, arguments)
    wanted = [(agent.encoder, agent.observed) for agent in agents_of(arguments)]
    assert wanted == [
        ("gw", ("attributes",)),
        ("gw", MODALITIES),
        ("concatenation", MODALITIES),
    ]
    assert len(trained) == len(set(trained)) == len(wanted)

    rows = json.loads((tmp_path / "control.json").read_text())["rows"]
    rows = [row for row in rows if row["metric"] == "success"]
    tested = set()
    for row in rows:
        if "test" in row["condition"]:
            condition = row["condition"]
            tested.add((condition["encoder"], condition["train"], condition["test"]))
    of_all = {(encoder, "all", test) for encoder in ("gw", "concatenation") for test in TESTS}
    of_attributes = {("gw", "attributes", test) for test in TESTS}
    without = {("gw", "all", "image+attributes"), ("gw", "all", "attributes+language")}
    assert tested == of_all | of_attributes | without
    failing = [row["condition"] for row in rows if row["claim"].startswith("control/corrupted")]
    with_attention = [found for found in failing if found["attention"] == "best"]
    names = {failure.name for failure in FAILURES}
    assert {found["failure"] for found in with_attention} == {*names, "missing", "none"}
    assert len(with_attention) == len(FAILURES) + len(MODALITIES) + 1
    without_attention = [found for found in failing if found["attention"] == "none"]
    gw = [found for found in without_attention if found["encoder"] == "gw"]
    assert len(gw) == len(FAILURES) + len(MODALITIES)
    assert all(0.0 <= row["measured"] <= 1.0 for row in rows)
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


def test_seeds_are_a_limit(weights):
    arguments = Arguments(preset="full", seeds=4, sources=("image",), weights=weights)
    seeds: dict[str, int] = {}
    for agent in agents_of(arguments):
        seeds[agent.encoder] = seeds.get(agent.encoder, 0) + 1
    assert seeds == {"gw": 4, "gw_even": 4, "contrastive": 4, "unimodal": 3, "raw": 2}


def test_cells_come_seed_by_seed(weights):
    listed = cells(Arguments(preset="full", weights=weights))
    assert len(listed) == len(set(listed))
    seeds = [cell.seed for cell in listed if isinstance(cell, TrainedAgent)]
    assert seeds == sorted(seeds)
    assert {cell.scene for cell in listed if isinstance(cell, TrainedAgent) and not cell.seed} == {
        "simple_shapes",
        "factory",
    }


def test_in_the_full_form_agents_read_the_workspace_of_their_seed(weights):
    arguments = Arguments(preset="full", weights=weights)
    fusions = {"gw": "precision", "gw_even": "even", "contrastive": "precision"}
    for agent in agents_of(arguments, "factory"):
        if agent.encoder not in fusions:
            assert agent.needs() == ()
            continue
        assert agent.needs() == (agent.weights,)
        assert agent.weights.seed == agent.seed
        is_tuned = isinstance(agent.weights, TunedWorkspace)
        assert is_tuned == (agent.encoder == "contrastive")
        trained = agent.weights.workspace if is_tuned else agent.weights
        assert isinstance(trained, TrainedWorkspace)
        assert trained.fusion == fusions[agent.encoder]
        for cell in arguments.scores(agent):
            if cell.situation.attention is not None:
                attention = TrainedAttention("factory", agent.weights, agent.seed)
                assert cell.needs() == (agent, attention)


@pytest.mark.parametrize(("preset", "workspaces"), [("quick", None), ("full", "shipped")])
def test_agents_read_the_shipped_workspace_otherwise(weights, preset, workspaces):
    arguments = Arguments(preset=preset, workspaces=workspaces, weights=weights)
    read: dict[str, set] = {}
    for agent in agents_of(arguments, "factory"):
        read.setdefault(agent.encoder, set()).add(agent.weights)
    assert {len(different) for different in read.values()} == {1}
    assert isinstance(*read["gw"], GivenWeights)
    if preset == "full":
        assert read["gw"] != read["unimodal"]
        assert read["raw"] == {None}


def test_what_needs_a_workspace_is_tested_while_sensors_fail():
    for encoder in ("gw", "contrastive", "gw_even"):
        listed = situations(encoder, MODALITIES)
        attentions = {situation.attention for situation in listed if situation.failure}
        assert attentions == ({None} if encoder == "gw_even" else {None, "best"})
        assert {situation.missing for situation in listed} == {"", *MODALITIES}
        alone = situations(encoder, ("image",))
        assert [situation.observed for situation in alone] == list(TESTS.values())
    assert situations("raw", MODALITIES) == [Situation(MODALITIES)]


def trained_workspace(place: Place, losses: str = "cont", **more) -> TrainedWorkspace:
    """A workspace that learns for two steps."""
    domains = given_weights(place, SCENE, MODALITIES)
    return TrainedWorkspace(SCENE, domains, losses, seed=3, scenes=300, steps=2, **more)


def test_a_trained_workspace_is_a_folder_of_weights(weights, tmp_path):
    place = Place(tmp_path, weights)
    even = trained_workspace(place, "broad+cont", fusion="even")
    for cell in (trained_workspace(place), even):
        assert Sweep().compute(Cells(tmp_path), [cell], place) == {cell: {}}
        folder = cell.folder(SCENE, place)
        gw = GlobalWorkspace.from_pretrained(folder, device="cpu")
        assert (gw.scene_name, gw.width) == (SCENE, 12)
        assert gw.workspace.config.fusion == cell.fusion
        assert given_weights(Place(tmp_path, folder.parent), SCENE, MODALITIES) == cell.domains


def test_attention_is_trained_into_the_folder_of_its_workspace(weights, tmp_path):
    place = Place(tmp_path, weights)
    cell = TrainedAttention(SCENE, trained_workspace(place), 3, scenes=20, steps=1)
    assert Sweep().compute(Cells(tmp_path), [cell], place) == {cell: {}}
    gw = GlobalWorkspace.from_pretrained(cell.workspace.folder(SCENE, place), device="cpu")
    assert gw.best in gw.attentions


def test_fixed_weights_are_those_with_the_least_error(weights, tmp_path, monkeypatch):
    best = candidates()[17]
    errors = {weights: 1.0 for weights in candidates()} | {best: 0.5}
    monkeypatch.setattr("benchmarks.agents.weights.tune", lambda *_: errors)
    place = Place(tmp_path, weights)
    cell = TunedWorkspace(SCENE, trained_workspace(place))
    (metrics,) = Sweep().compute(Cells(tmp_path), [cell], place).values()
    assert metrics == {"weights": dict(best), "error": 0.5, "even_error": 1.0}
    before, after = (
        GlobalWorkspace.from_pretrained(folder, device="cpu").workspace
        for folder in (cell.workspace.folder(SCENE, place), cell.folder(SCENE, place))
    )
    codes = {name: torch.randn(4, 12) for name in MODALITIES}
    fused = after.fuse(codes)
    assert torch.allclose(fused, before.fuse(codes, torch.tensor([w for _, w in best])), atol=1e-6)
    assert not torch.allclose(fused, before.fuse(codes), atol=1e-2)
    # Two modalities share what is left in the same proportion.
    pair = {name: codes[name] for name in ("image", "language")}
    share = torch.tensor([dict(best)[name] for name in pair])
    assert torch.allclose(after.fuse(pair), before.fuse(pair, share / share.sum()), atol=1e-6)


def test_tuning_gives_a_sense_that_knows_nothing_little_weight(weights, tmp_path, monkeypatch):
    """Images and attributes say the same, probes read it exactly, and language knows nothing."""
    place = Place(tmp_path, weights)
    cell = TunedWorkspace(SCENE, trained_workspace(place), scenes=100)

    def encoded(gw, scene, split, count):
        attributes = torch.rand(count, 11) * 2 - 1
        exact = torch.nn.functional.pad(attributes, (0, 1))
        codes = {"image": exact, "attributes": exact, "language": torch.randn(count, 12)}
        return codes, attributes

    monkeypatch.setattr("benchmarks.agents.tuning._encode", encoded)
    monkeypatch.setattr(
        "benchmarks.agents.tuning.fit_mlp_probe", lambda *_: lambda z: z.atanh()[:, :11]
    )
    (metrics,) = Sweep().compute(Cells(tmp_path), [cell], place).values()
    chosen = metrics["weights"]
    assert chosen["language"] == pytest.approx(0.001 / 2.001)
    assert chosen["image"] == chosen["attributes"]
    assert metrics["error"] < 0.01 * metrics["even_error"]


def test_candidates_are_weights_and_hold_the_even_ones():
    listed = candidates()
    assert len(listed) == len(set(listed)) == 6**3 - 5**3
    assert even_weights() in listed
    for weights in listed:
        assert sum(dict(weights).values()) == pytest.approx(1.0)
        assert [name for name, _ in weights] == list(MODALITIES)


def test_probes_read_position_and_rotation():
    assert read_columns("factory") == [0, 1, 2, 3]
    assert read_columns("simple_shapes") == [3, 4, 6, 7]


def test_cells_of_different_fusions_differ(weights, tmp_path):
    place = Place(tmp_path, weights)
    even, precise = trained_workspace(place, fusion="even"), trained_workspace(place)
    agents = [
        TrainedAgent(SCENE, "gw", MODALITY_SETS["all"], 0, 100, read) for read in (even, precise)
    ]
    tests = [AgentScores(SCENE, agent, Situation(MODALITIES), 4) for agent in agents]
    assert len({cell.digest for cell in (even, precise, *agents, *tests)}) == 6
