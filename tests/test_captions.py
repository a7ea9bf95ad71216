"""Translations through the shipped workspaces: claims, cells, rows, tables and pictures."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.agents.weights import GivenWeights
from benchmarks.harness.benchmark import run
from benchmarks.harness.cells import Place
from benchmarks.harness.rows import mean_value, rows_before
from benchmarks.pairs.translation import TRANSLATION
from benchmarks.publish.result_pages import render
from benchmarks.shipped import report, translations
from benchmarks.shipped.captions import CAPTIONS, Arguments
from benchmarks.shipped.report import missed, row_text, tables
from benchmarks.shipped.statements import GRADED, Statements, states_read
from benchmarks.shipped.translations import (
    ALL,
    CAPTION,
    COARSE,
    DRAWN,
    KEPT_ASIDE,
    MATPLOTLIB,
    SEEN,
    RedrawnImages,
    Translations,
)
from gw_agents.learning.recipes import RECIPES
from gw_agents.pretrain import Folders, PretrainDomains, PretrainWorkspace
from gw_envs.dataset import Sampler
from gw_envs.factory.state import FactoryState
from gw_envs.observation import MODALITIES
from gw_envs.scenes import SCENES

EVERY_SCENE = pytest.mark.parametrize("scene", SCENES)
WEIGHTS = GivenWeights("0123")


def tables_on_the_floor(*places):
    """Red tables that point north, at (x, y) in meters, without landmarks nearby."""
    x, y = np.array(places, dtype=float).T
    count = len(places)
    return FactoryState(
        x,
        y,
        np.zeros(count),
        np.tile([229, 0, 0], (count, 1)),
        np.full((count, 4, 2), 50.0),
        np.zeros(count, np.int64),
    )


COARSE_CAPTION = "A red table in the center, pointing north."
FINE_CAPTION = "A pure red table in the center, pointing due north."
NONSENSE = "A red table in the moon."


def test_captions_are_judged_by_hand():
    statements = Statements.of("factory", [COARSE_CAPTION, FINE_CAPTION, NONSENSE])
    states = tables_on_the_floor((0.0, 0.0), (1.4, 0.0), (0.0, 0.0))
    assert statements.slots == ("color", "place", "direction", "whole")
    assert statements.readable.tolist() == [True, True, False]
    assert statements.true_of(states).tolist() == [
        [True, True, True, True],
        [True, False, True, False],
        [False, False, False, False],
    ]
    assert statements.is_fine("color")[:2].tolist() == [False, True]
    assert statements.is_fine("place")[:2].tolist() == [False, False]
    others = tables_on_the_floor((0.0, 0.0), (0.1, 0.0), (1.4, 0.0), (1.4, 1.4))
    assert statements.shares_of(others).tolist() == [
        [1.0, 0.5, 1.0, 0.5],
        [1.0, 0.5, 1.0, 0.5],
        [0.0, 0.0, 0.0, 0.0],
    ]


def test_granularity_is_kept_or_not():
    given = Statements.of("factory", [COARSE_CAPTION, FINE_CAPTION, FINE_CAPTION, FINE_CAPTION])
    made = Statements.of("factory", [COARSE_CAPTION, FINE_CAPTION, COARSE_CAPTION, NONSENSE])
    kept = translations.granularity_kept("language", given, made)
    assert mean_value(kept, of="color") == 0.5
    assert mean_value(kept, of="place") == 0.75


@EVERY_SCENE
def test_states_are_read_from_attributes(scene):
    sampler = Sampler(scene, "test", 0, ("attributes",))
    states = sampler.states(0, 50)
    read = states_read(scene, states, sampler.core.observe(states)["attributes"])
    for name, array in states.arrays().items():
        np.testing.assert_allclose(getattr(read, name), array, atol=1e-4, err_msg=name)
    elsewhere = states_read(scene, states, -sampler.core.observe(states)["attributes"])
    assert np.abs(elsewhere.x - states.x).max() > 0.1


class Translator:
    """Translates the scenes of one cell perfectly, or each as if it was the scene before."""

    modalities = MODALITIES

    def __init__(self, scene, seed, count, shift=0):
        sampler = Sampler(scene, "test", KEPT_ASIDE + seed)
        self.observation, self.shift = sampler.batch(0, count), shift

    def translate(self, observation, source, target):
        return np.roll(self.observation[target], self.shift, 0)


def measured(scene, monkeypatch, shift):
    cell = Translations(scene, WEIGHTS, seed=1, scenes=60, others=200)
    gw = Translator(scene, 1, 60, shift)
    monkeypatch.setattr(translations, "workspace_of", lambda place, scene: gw)
    return cell.compute(Place(), [])


@EVERY_SCENE
def test_a_perfect_workspace_gets_full_marks(scene, monkeypatch):
    entries = measured(scene, monkeypatch, shift=0)
    values = {(e["metric"], e["source"], e["of"]): e["value"] for e in entries}
    assert len(values) == len(entries)
    for source in (*MODALITIES, ALL, CAPTION, COARSE):
        assert values["true", source, "whole"] == values["readable", source, "whole"] == 1.0
    for slot in GRADED:
        assert values["kept", "language", slot] == values["within", DRAWN, slot] == 1.0
        assert 0.2 < values["fine", CAPTION, slot] < 0.8
        assert values["fine", COARSE, slot] == 0.0
        assert values["also_true", COARSE, slot] > values["also_true", CAPTION, slot] > 0.0
    assert max(e["value"] for e in entries if e["metric"] == "error") < 1e-3


@EVERY_SCENE
def test_a_workspace_that_mixes_scenes_up_gets_low_marks(scene, monkeypatch):
    entries = measured(scene, monkeypatch, shift=1)
    assert mean_value(entries, metric="true", source="image", of="whole") < 0.1
    assert mean_value(entries, metric="true", source=CAPTION, of="whole") == 1.0
    assert mean_value(entries, metric="within", source=DRAWN, of="color") < 0.3
    assert mean_value(entries, metric="within_fine", source=DRAWN, of="color") < 0.2
    assert mean_value(entries, metric="error", source=SEEN, of="rotation") > 30.0


def test_images_by_matplotlib_are_read_through_the_workspace(monkeypatch):
    seen = []

    class Reader(Translator):
        def translate(self, observation, source, target):
            seen.append(observation["image"])
            return super().translate(observation, source, target)

    reader = Reader("simple_shapes", 0, 4)
    monkeypatch.setattr(translations, "workspace_of", lambda place, scene: reader)
    entries = RedrawnImages("simple_shapes", WEIGHTS, 0, 4).compute(Place(), [])
    assert {entry["source"] for entry in entries} == {MATPLOTLIB}
    difference = seen[0].astype(float) - reader.observation["image"]
    assert seen[0].shape == (4, 32, 32, 3)
    assert 0 < np.abs(difference).mean() < 3.0
    assert max(entry["value"] for entry in entries) < 1e-3


@pytest.fixture(scope="module")
def tiny_weights(tmp_path_factory):
    """Domain modules and workspaces of both scenes, trained for a few steps."""
    place = tmp_path_factory.mktemp("tiny")
    folders = Folders(place / "weights", place / "runs", "cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gw_agents.learning.domains.STANDARDIZED_ON", 100)
        for scene in SCENES:
            patch.setitem(RECIPES[scene], "image", replace(RECIPES[scene]["image"], pool=0))
            PretrainDomains(scene, steps=3, folders=folders).run()
            PretrainWorkspace(scene, scenes=300, steps=3, folders=folders).run()
    return folders.weights


def test_tiny_workspaces_are_measured_drawn_and_not_measured_again(
    tiny_weights, tmp_path, monkeypatch, capsys
):
    options = {"weights": tiny_weights, "seeds": 2, "count": 20, "images": 3, "out": tmp_path}
    rows = run(CAPTIONS, Arguments(**options))
    assert {row.n_seeds for row in rows} == {2}
    assert {row.scene for row in rows} == set(SCENES)
    shares = [row.measured for row in rows if row.metric != "error"]
    assert 0.0 <= min(shares) <= max(shares) <= 1.0
    printed = capsys.readouterr().out
    assert all(layout.title in printed for layout in report.LAYOUTS)
    assert CAPTIONS.quoted(rows)["factory_color"].endswith("%")
    for scene in SCENES:
        assert (tmp_path / f"captions_{scene}.png").stat().st_size > 10_000
    monkeypatch.setattr(Translations, "compute", None)
    assert run(CAPTIONS, Arguments(**options)) == rows


def committed(**changes):
    """The committed rows of the color of captions of images in the Factory, changed."""
    rows = [row for row in rows_before("captions") if row.scene == "factory"]
    picked = report.pick(rows, "factory", "true", "image")
    return [replace(picked["color"], **changes)]


def test_the_release_before_is_shown_where_it_differs():
    (table,) = tables(committed())
    assert [line[2] for line in table.lines] == ["now", "aim"]
    (table,) = tables(committed(measured=0.93, low=0.92, high=0.94))
    assert [line[2] for line in table.lines] == ["now", "before", "aim"]
    column = table.headers.index("color")
    assert table.lines[0][column] == "93.0% (92.0% to 94.0%)"
    assert table.lines[2][column] == "90.0%"
    assert rows_before("no such benchmark") == []


def test_an_aim_is_missed_by_more_than_the_interval():
    assert missed(committed(measured=0.89, low=0.87, high=0.91)) == []
    (text,) = missed(committed(measured=0.89, low=0.88, high=0.895))
    assert text == "factory: color, caption made from image: 89.0% (88.0% to 89.5%)"
    condition = {"source": SEEN, "of": "rotation"}
    error = {"metric": "error", "condition": condition, "measured": 1.6}
    assert missed(committed(**error, low=1.4, high=1.8)) == []
    assert missed(committed(**error, low=1.55, high=1.8)) == [
        "factory: rotation, attributes read from image of the scene: 1.6° (1.55 to 1.8)"
    ]


def test_small_shares_keep_their_digits():
    (row,) = committed(measured=0.000123, low=0.0001, high=0.0002)
    assert row_text(row) == "0.012% (0.01% to 0.02%)"


def test_the_tables_stand_on_the_page_about_translation():
    page = render(TRANSLATION)
    assert all(layout.title in page for layout in report.LAYOUTS)
    assert "captions_factory.png" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [({"seeds": 0}, "--seeds is 0"), ({"count": 0}, "--count is 0"), ({"images": 0}, "--images")],
)
def test_bad_arguments_are_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run(CAPTIONS, Arguments(**options, out=tmp_path))
    assert list(tmp_path.iterdir()) == []
