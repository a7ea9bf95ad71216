"""The rows and aims of the control benchmark, from made-up results."""

from dataclasses import replace
from itertools import product

import pytest

from benchmarks.agents import aims
from benchmarks.agents.aims import AIMS, MET, MISSED, WITHIN, count_outcomes, judge, list_missed
from benchmarks.agents.control import situations
from benchmarks.agents.reports import FAILURE_NAMES, tables
from benchmarks.agents.rows import rows, steps_to
from benchmarks.agents.scores import (
    MODALITY_SETS,
    TESTS,
    AgentScores,
    ReferenceScores,
    Situation,
    TrainedAgent,
)
from benchmarks.agents.weights import GivenWeights, TrainedWorkspace, TunedWorkspace
from benchmarks.harness.rows import Row, find_row

SCENE = "simple_shapes"
DOMAINS = GivenWeights("0123")


def references() -> dict:
    """Random actions get -2 and the expert 8."""
    made = {}
    for actor, value in {"random": -2.0, "expert": 8.0}.items():
        made[ReferenceScores(SCENE, actor, 10)] = {"return": value, "success": 0.5}
    return made


def results(returns: dict[str, dict[str, float]]) -> dict:
    """Results of gw agents with one seed: {trained on: {tested on: return}}."""
    made = references()
    for source, tests in returns.items():
        agent = TrainedAgent(SCENE, "gw", MODALITY_SETS[source], 0, 1000, DOMAINS)
        made[agent] = {"curve": [], "seconds": 1.0}
        for test, value in tests.items():
            cell = AgentScores(SCENE, agent, Situation(TESTS[test]), 10)
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


def test_the_first_evaluation_with_so_much_success():
    curve = [
        {"steps": 0, "success": 0.1},
        {"steps": 20, "success": 0.9},
        {"steps": 40, "success": 0.8},
    ]
    assert steps_to(curve, 0.9) == 20
    assert steps_to(curve, 0.95) is None


def success_of(agent: TrainedAgent, situation: Situation) -> float:
    """A made-up success, by which every ratio and difference below is known."""
    success = {"gw": 0.96, "contrastive": 0.8}[agent.encoder]
    if situation.observed == ("language",):
        success *= 0.25
    if situation.failure is not None:
        success *= 0.95 if situation.attention else 0.5
    return success * (1.0 - 0.01 * agent.seed)


@pytest.fixture(scope="module")
def measured() -> list[Row]:
    """The rows of two encoders with five seeds."""
    made = references()
    for seed in range(5):
        trained = TrainedWorkspace(SCENE, DOMAINS, "broad+cont", seed)
        contrastive = TrainedWorkspace(SCENE, DOMAINS, "cont", seed)
        tuned = TunedWorkspace(SCENE, contrastive)
        weights = {"image": 0.5, "attributes": 0.4, "language": 0.1}
        made[tuned] = {"weights": weights, "error": 0.1, "even_error": 0.4}
        for encoder, read in {"gw": trained, "contrastive": tuned}.items():
            for observed in MODALITY_SETS.values():
                agent = TrainedAgent(SCENE, encoder, observed, seed, 1000, read)
                made[agent] = {"curve": [{"steps": 10, "success": 0.95}], "seconds": 1.0}
                for situation in situations(encoder, observed):
                    success = success_of(agent, situation)
                    made[AgentScores(SCENE, agent, situation, 10)] = {
                        "return": 10 * success - 2,
                        "success": success,
                    }
    return rows(made)


def test_kept_success_compares_an_agent_with_itself(measured):
    kept = [row for row in measured if row.metric == "success_kept" and row.matches(encoder="gw")]
    clean = [row for row in kept if "failure" not in row.condition]
    assert {(row.condition["train"], row.condition["test"]) for row in clean} == {
        (train, test)
        for train in ("image", "attributes", "all")
        for test in TESTS
        if test not in (train, "language") and (train, test) != ("all", "image+language")
    }
    assert all(row.interval == "100.0% (100.0% to 100.0%)" for row in clean)
    noise = find_row(kept, "success_kept", SCENE, failure="noise", attention="best")
    assert noise.measured == pytest.approx(0.95)
    assert noise.condition["relative_to"] == "all"
    missing = find_row(kept, "success_kept", SCENE, missing="image", attention="none")
    assert missing.condition["test"] == "attributes+language"
    assert missing.n_seeds == 5


def test_differences_are_between_agents_with_the_same_seed(measured):
    differences = [row for row in measured if row.metric == "success_difference"]
    assert {row.condition["encoder"] for row in differences} == {"gw"}
    row = find_row(differences, "success_difference", SCENE, train="image", test="all")
    assert row.measured == pytest.approx(0.16 * 0.98)
    assert row.condition["compared_with"] == "contrastive"
    assert row.seed_redraws.startswith("workspace, ")


def test_the_weights_of_the_contrastive_workspace_are_rows(measured):
    weights = {
        row.condition["modality"]: row.measured for row in measured if row.metric == "fusion_weight"
    }
    assert weights == pytest.approx({"image": 0.5, "attributes": 0.4, "language": 0.1})
    assert find_row(measured, "tuned_error_share", SCENE).measured == pytest.approx(0.25)


def test_every_aim_is_judged_by_a_row(measured, monkeypatch):
    monkeypatch.setattr(aims, "before_rows", lambda: tuple(measured))
    judged = judge(measured)
    assert [aim.text for aim in judged[:-1]] == [aim.text for aim in AIMS]
    outcomes = {aim.text: aim.outcome for aim in judged}
    assert outcomes["trained on images, tested on all: of the success on images"] == MET
    assert outcomes["trained on all, tested on all: success"] == MISSED
    assert outcomes["one sensor fails (noise), attention: of the clean success"] == MISSED
    assert outcomes["one sensor fails (stale), attention: of the clean success"] == MET
    assert outcomes["trained on language, tested on captions: success"] == MET
    assert "tested on language" in judged[-1].text
    assert judged[-1].outcome == MET
    assert (
        count_outcomes(measured)
        == "11 of 16 aims are met, 2 lie within their intervals, 3 are missed"
    )
    assert "trained on all, no image: success: 94.1% (" in list_missed(measured)


def test_an_aim_is_missed_where_not_even_the_interval_reaches_it(measured, monkeypatch):
    monkeypatch.setattr(aims, "before_rows", tuple)
    (row,) = [
        row
        for row in measured
        if row.metric == "success" and row.matches(encoder="gw", train="all", test="all")
    ]
    outcomes = []
    for value, high in ((0.98, 0.99), (0.97, 0.985), (0.9, 0.97)):
        (aim,) = judge([replace(row, measured=value, low=0.9, high=high)])
        outcomes.append(aim.outcome)
    assert outcomes == [MET, WITHIN, MISSED]


def test_the_worst_test_beside_contrastive_may_be_within_its_interval(measured):
    (row, *_) = [row for row in measured if row.metric == "success_difference"]
    beside = replace(row, measured=-0.01, low=-0.03, high=0.01)
    noise = replace(beside, condition={**row.condition, "failure": "noise"}, high=-0.5)
    (aim,) = judge([row, beside, noise])
    assert aim.row == beside
    assert aim.outcome == MET
    below = replace(beside, high=-0.001)
    (aim,) = judge([beside, below])
    assert aim.row == below
    assert aim.outcome == MISSED


def test_tables_hold_a_line_for_every_kind_of_agent(measured, monkeypatch):
    monkeypatch.setattr(aims, "before_rows", tuple)
    shown = {table.title.split(",")[0]: table for table in tables(measured)}
    assert len(shown["Success in held-out episodes"].lines) == 2 * len(MODALITY_SETS)
    failing = shown["Success while one of three sensors fails"].lines
    assert [line[1:3] for line in failing] == list(product(("gw", "contrastive"), FAILURE_NAMES))
    assert all(line[4] for line in failing)  # with attention
    (weights,) = shown["Fixed weights of the contrastive workspace"].lines
    assert weights[1] == "50.0% (50.0% to 50.0%)"
    assert [table for table in tables([]) if table.lines] == []
