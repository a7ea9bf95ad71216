"""The public object on the shipped weights: every subset, one observation or a batch, and clear refusals."""

import json
import shutil
from itertools import combinations

import gymnasium as gym
import numpy as np
import pytest

import gw_envs  # noqa: F401 - registers the environments
from gw_agents import CheckpointError, GlobalWorkspace, GWObservation
from gw_agents.checkpoint import config_hash
from gw_envs.assets import asset_path
from gw_envs.dataset import Sampler
from gw_envs.errors import InputError
from gw_envs.language import VOCABULARY, captions_true
from gw_envs.observation import MODALITIES
from gw_envs.scenes import SCENES

SUBSETS = [names for size in (1, 2, 3) for names in combinations(MODALITIES, size)]
IDS = {"simple_shapes": "GWSimpleShapes-v0", "factory": "GWFactory-v0"}


@pytest.fixture(scope="module", params=list(SCENES))
def gw(request):
    return GlobalWorkspace.from_pretrained(request.param, device="cpu")


@pytest.fixture(scope="module")
def shown(gw):
    return Sampler(gw.scene_name, "test", 0).batch(0, 200)


@pytest.mark.parametrize("names", SUBSETS)
@pytest.mark.parametrize("attention", [None, "best", "one_step", "two_step"])
def test_one_observation_is_a_row_of_the_batch(gw, shown, names, attention):
    some = {name: shown[name][:3] for name in names}
    z, weights = gw.encode_with_weights(some, attention)
    assert z.shape == (3, gw.width)
    assert z.dtype == np.float32
    assert np.abs(z).max() <= 1
    assert np.allclose(sum(weights.values()), 1, atol=1e-5)
    one, its_weights = gw.encode_with_weights(
        {name: rows[1] for name, rows in some.items()}, attention
    )
    assert one.shape == (gw.width,)
    assert np.allclose(one, z[1], atol=1e-4)
    assert all(np.isclose(its_weights[name], weights[name][1], atol=1e-4) for name in names)


def test_explicit_weights(gw, shown):
    pair = {name: shown[name][:4] for name in ("image", "attributes")}
    alone = gw.encode({"image": pair["image"]})
    assert np.allclose(gw.encode(pair, {"image": 1.0, "attributes": 0.0}), alone, atol=1e-5)
    for bad in (
        {"image": 1.0},
        {"image": 0.7, "attributes": 0.7},
        {"image": -1.0, "attributes": 2.0},
    ):
        with pytest.raises(ValueError, match="weights"):
            gw.encode(pair, bad)


def test_translations_are_in_the_environments_own_spaces(gw, shown):
    spaces = gym.make(IDS[gw.scene_name]).observation_space
    for source in MODALITIES:
        for target in MODALITIES:
            batch = gw.translate(shown, source=source, target=target)
            one = gw.translate({name: rows[0] for name, rows in shown.items()}, source, target)
            assert batch.shape == shown[target].shape
            assert batch.dtype == shown[target].dtype
            assert spaces[target].contains(one)
    assert (
        gw.translate(shown, ("image", "language"), "attributes").shape == shown["attributes"].shape
    )


def test_translations_mean_what_they_should(gw, shown):
    """Far from chance in every direction: position and color from image and language, captions mostly true."""
    true = shown["attributes"]
    for source in ("image", "language"):
        guess = gw.translate(shown, source, "attributes")
        assert np.abs(guess - true).mean() < 0.5 * np.abs(true.mean(0) - true).mean(), source
    pixels = shown["image"].astype(float)
    drawn = gw.translate(shown, "attributes", "image").astype(float)
    assert ((drawn - pixels) ** 2).mean() < 0.5 * ((pixels.mean(0) - pixels) ** 2).mean()
    said = VOCABULARY.decode_rows(gw.translate(shown, "attributes", "language"))
    truth = captions_true(said, Sampler(gw.scene_name, "test", 0).states(0, 200))
    assert truth.mean() > 0.5


def test_the_wrapper_shows_workspace_vectors(gw):
    env = GWObservation(gym.make(IDS[gw.scene_name]), gw, ("image", "language"), attention="best")
    assert env.observation_space.shape == (gw.width,)
    z, _ = env.reset(seed=0)
    assert env.observation_space.contains(z)
    again, *_ = env.step(env.action_space.sample())
    assert env.observation_space.contains(again)
    env.close()


def test_the_wrapper_says_which_keys_are_missing(gw):
    with pytest.raises(ValueError, match="misses image"):
        GWObservation(gym.make("CartPole-v1"), gw, ("image",))
    with pytest.raises(ValueError, match="misses language"):
        GWObservation(
            gym.make(IDS[gw.scene_name], modalities=("image",)), gw, ("image", "language")
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda o: {}, "at least one of"),
        (lambda o: {"sound": o["image"]}, "unknown modality 'sound'"),
        (lambda o: {"image": o["image"].astype(np.float32)}, "uint8"),
        (lambda o: {"image": o["image"][:5]}, "shape"),
        (lambda o: {"attributes": o["attributes"][:-1]}, "shape"),
        (lambda o: {"attributes": np.full_like(o["attributes"], np.nan)}, "NaN"),
        (lambda o: {"attributes": np.full_like(o["attributes"], np.inf)}, "infinite"),
        (lambda o: {"language": o["language"].astype(float)}, "int64"),
        (lambda o: {"language": o["language"] + 10_000}, "vocabulary"),
        (lambda o: {"image": o["image"], "attributes": o["attributes"][None]}, "disagree"),
    ],
)
def test_bad_observations(gw, shown, change, message):
    with pytest.raises(ValueError, match=message):
        gw.encode(change({name: rows[0] for name, rows in shown.items()}))


def test_bad_names(gw, shown):
    with pytest.raises(ValueError, match="best"):
        gw.encode(shown, attention="worst")
    with pytest.raises(ValueError, match="unknown modality 'sound'"):
        gw.translate(shown, source="image", target="sound")
    with pytest.raises(ValueError, match="no 'image'"):
        gw.translate({"language": shown["language"]}, source="image", target="language")


def test_from_pretrained_refuses_what_does_not_fit(tmp_path):
    with pytest.raises(ValueError, match="simple_shapes, factory"):
        GlobalWorkspace.from_pretrained("moon")
    with pytest.raises(CheckpointError, match="missing"):
        GlobalWorkspace.from_pretrained(tmp_path)

    def copy(name):
        return shutil.copytree(asset_path("weights/simple_shapes"), tmp_path / name)

    truncated = copy("truncated")
    path = truncated / "image.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="truncated"):
        GlobalWorkspace.from_pretrained(truncated)

    mixed = copy("mixed")
    for suffix in (".json", ".safetensors"):
        shutil.copy(asset_path("weights/factory") / f"image{suffix}", mixed / f"image{suffix}")
    with pytest.raises(CheckpointError, match="'factory'"):
        GlobalWorkspace.from_pretrained(mixed)

    old = copy("old")
    config = json.loads((old / "workspace.json").read_text())
    (old / "workspace.json").write_text(json.dumps(config | {"schema_version": 0}))
    with pytest.raises(CheckpointError, match="schema version 0"):
        GlobalWorkspace.from_pretrained(old)

    renamed = copy("renamed")
    config["domains"]["image"] = "0" * 64
    config["config_sha256"] = config_hash(config)
    (renamed / "workspace.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="another image domain"):
        GlobalWorkspace.from_pretrained(renamed)


def test_a_reading_that_is_not_a_number_is_a_failed_sensor_only_when_asked(gw):
    shown = Sampler(gw.scene_name, "test", 0).batch(0, 3)
    broken = {**shown, "attributes": shown["attributes"].copy()}
    broken["attributes"][1, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        gw.encode(broken)
    for attention in (None, "best", {"image": 0.2, "attributes": 0.5, "language": 0.3}):
        z, weights = gw.encode_with_weights(broken, attention, on_nan="ignore")
        usual = gw.encode(shown, attention)
        assert np.allclose(z[[0, 2]], usual[[0, 2]], atol=1e-6)
        assert weights["attributes"][1] == 0
        assert sum(rows[1] for rows in weights.values()) == pytest.approx(1.0, abs=1e-5)
    rest = {name: rows[1] for name, rows in shown.items() if name != "attributes"}
    one = gw.encode({name: rows[1] for name, rows in broken.items()}, on_nan="ignore")
    assert np.allclose(one, gw.encode(rest), atol=1e-6)
    with pytest.warns(UserWarning, match="every modality"):
        assert not gw.encode({"attributes": broken["attributes"][1]}, on_nan="ignore").any()
    with pytest.raises(InputError, match=r"unknown on_nan 'perhaps'.*'refuse' or 'ignore'"):
        gw.encode(shown, on_nan="perhaps")
