"""The public object on the shipped weights: every subset, one or a batch, and clear refusals."""

import json
import shutil
from itertools import combinations

import gymnasium as gym
import numpy as np
import pytest
import torch

import gw_envs  # noqa: F401 - registers the environments
from gw_agents import CheckpointError, GlobalWorkspace, GWObservation
from gw_agents.checkpoint import config_hash
from gw_envs.assets import asset_path
from gw_envs.corruption import KINDS, corrupt
from gw_envs.dataset import Sampler, collect
from gw_envs.errors import InputError
from gw_envs.language import VOCABULARY, captions_true, sentences
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
    """Position and color from image and language are far from chance, and captions mostly true."""
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
        (lambda o: {"image": 5}, "image is int64 of shape"),
        (lambda o: {"attributes": [[1.0], [1.0, 2.0]]}, "not an array"),
        (lambda o: {"language": None}, "language is object"),
        (lambda o: {1: o["image"]}, "unknown modality 1"),
        (lambda o: [o], "an observation is a dict"),
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
    for name in (["image", "sound"], np.zeros(3), {}, 7, []):
        with pytest.raises(InputError, match="modalit"):
            gw.translate(shown, source=name, target="image")
    for attention in (["best"], True, 0.5, {}):
        with pytest.raises(InputError, match=r"attention is|weights were given"):
            gw.encode(shown, attention)
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


def rewritten(folder, name, change):
    """Change a config as `change` says, its hash included."""
    path = folder / f"{name}.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config | {"config_sha256": config_hash(config)}))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("workspace", lambda c: c.pop("scene")),
        ("workspace", lambda c: c.pop("arguments")),
        ("workspace", lambda c: c.pop("domains")),
        ("workspace", lambda c: c.update(domains=[])),
        ("workspace", lambda c: c.update(scene=7)),
        ("workspace", lambda c: c["arguments"].update(hidden=60_000)),
        ("workspace", lambda c: c["arguments"].update(hidden="many")),
        ("workspace", lambda c: c["arguments"].update(hidden=-1)),
        ("workspace", lambda c: c["arguments"].update(layers=10**9)),
        ("workspace", lambda c: c["arguments"].update(colour=1)),
        ("workspace", lambda c: c["arguments"].update(latent_widths=5)),
        ("workspace", lambda c: c["arguments"]["latent_widths"].update(image=10**9)),
        ("image", lambda c: c["arguments"].update(size=10**6)),
        ("image", lambda c: c["arguments"].update(channels=[])),
        ("image", lambda c: c["arguments"].update(channels=5)),
        ("attributes", lambda c: c["arguments"].update(one_hot=40)),
        ("attributes", lambda c: c.update(arguments=None)),
        ("language", lambda c: c.pop("vocabulary")),
        ("attention", lambda c: c.pop("modules")),
        ("attention", lambda c: c.update(best="worst")),
        ("attention", lambda c: c.update(best=["evidence"])),
        ("attention", lambda c: c["modules"].update(two_step=None)),
        ("attention", lambda c: c["modules"]["two_step"].update(similarity="dto")),
        ("attention", lambda c: c["modules"]["two_step"].update(steps=10**12)),
    ],
)
def test_a_damaged_config_is_refused(tmp_path, name, change):
    folder = shutil.copytree(asset_path("weights/simple_shapes"), tmp_path / "damaged")
    rewritten(folder, name, change)
    with pytest.raises(CheckpointError, match=str(folder)):
        GlobalWorkspace.from_pretrained(folder, "cpu")


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


@pytest.mark.parametrize("attention", [None, "best", "two_step", "agreement"])
def test_an_absent_modality_is_as_if_it_were_left_out(gw, shown, attention):
    batch = {name: rows[:4] for name, rows in shown.items()}
    there = np.array([True, False, True, False])
    junk = {**batch, "image": batch["image"].copy(), "language": batch["language"] + 0}
    junk["image"][1:] = 7
    junk["language"][[1, 3]] = 10_000
    present = {"image": [True, False, False, False], "language": there}
    z, weights = gw.encode_with_weights(junk, attention, present)
    for row, names in enumerate(
        [MODALITIES, ("attributes",), ("attributes", "language"), ("attributes",)]
    ):
        alone = gw.encode({name: batch[name][row] for name in names}, attention)
        assert np.allclose(z[row], alone, atol=1e-5)
    assert weights["image"].tolist()[1:] == [0, 0, 0]
    assert weights["language"].tolist()[1::2] == [0, 0]
    whole = gw.encode(batch, attention)
    assert np.array_equal(gw.encode(batch, attention, dict.fromkeys(MODALITIES, True)), whole)
    assert np.array_equal(gw.encode({**junk, "present": present}, attention), z)


def test_one_observation_without_a_picture(gw, shown):
    one = {name: rows[0] for name, rows in shown.items()}
    rest = {name: one[name] for name in ("attributes", "language")}
    assert np.allclose(gw.encode(one, present={"image": False}), gw.encode(rest), atol=1e-6)
    blind = gw.translate(one, ("image", "language"), "attributes", present={"image": False})
    assert np.allclose(blind, gw.translate(one, "language", "attributes"), atol=1e-5)
    latents = gw.latents(one, present={"image": False})
    assert not latents["image"].any()
    assert np.array_equal(latents["language"], gw.latents(rest)["language"])


@pytest.mark.parametrize(
    ("present", "message"),
    [
        ({"imgae": True}, "unknown modality 'imgae' .did you mean 'image'"),
        ({"image": [True, False]}, r"present\['image'\] is bool of shape \(2,\): give one boolean"),
        ({"image": 1}, "give an array of booleans"),
        (["image"], "give a dict of booleans by modality"),
    ],
)
def test_presence_that_makes_no_sense(gw, shown, present, message):
    with pytest.raises(InputError, match=message):
        gw.encode({name: rows[:3] for name, rows in shown.items()}, present=present)


def test_keys_of_samples_are_ignored_and_typos_refused(gw):
    rows = collect(gw.scene_name, "test", 3)
    pictures = {name: rows[name] for name in gw.modalities}
    assert np.array_equal(gw.encode(rows), gw.encode(pictures))
    with pytest.raises(InputError, match=r"unknown modality 'imgae' .did you mean 'image'"):
        gw.encode({"imgae": rows["image"], "step": rows["step"]})
    with pytest.raises(InputError, match="holds none of image, attributes, language"):
        gw.encode({"step": rows["step"]})


@pytest.mark.parametrize("value", [1e300, 1e38, 255.0, -1.01, 1.01])
def test_numbers_outside_the_space_are_refused(gw, shown, value):
    rows = shown["attributes"][:2].astype(np.float64)
    rows[1, -1] = value
    with pytest.raises(InputError, match=r"attributes holds .*give finite numbers in \[-1, 1\]"):
        gw.encode({"attributes": rows})


def test_numbers_that_were_rounded_are_read(gw, shown):
    rows = np.ones((1, shown["attributes"].shape[1])) * (1 + 1e-4)
    assert np.isfinite(gw.encode({"attributes": rows})).all()
    half = shown["attributes"][:5].astype(np.float16)
    assert np.allclose(
        gw.encode({"attributes": half}), gw.encode({"attributes": half.astype(float)}), atol=1e-5
    )


@pytest.mark.parametrize("severity", [0.3, 1.0])
def test_what_failing_sensors_show_is_read(gw, severity):
    rows = Sampler(gw.scene_name, "test", 0).batch(0, 16)
    for modality, kinds in KINDS.items():
        for kind in kinds:
            previous = np.roll(rows[modality], 1, 0)
            rng = np.random.default_rng(0)
            shown = corrupt(modality, kind, rows[modality], severity, rng, previous)
            assert np.isfinite(gw.encode({**rows, modality: shown}, "best")).all()


def test_weights_on_failed_senses_alone_give_zero_with_a_warning(gw, shown):
    broken = {name: rows[:2] for name, rows in shown.items()}
    broken["attributes"] = np.full_like(broken["attributes"], np.nan)
    weights = {"attributes": 1.0, "image": 0.0, "language": 0.0}
    with pytest.warns(UserWarning, match=r"every modality .* absent or has failed"):
        assert not gw.encode(broken, weights, on_nan="ignore").any()
    with pytest.warns(UserWarning, match="every modality"):
        assert not gw.encode(shown, present=dict.fromkeys(MODALITIES, False)).any()


@pytest.mark.parametrize("attention", [None, "best", "one_step", "evidence_fused"])
def test_torchs_default_precision_changes_nothing(gw, shown, attention):
    rows = {name: values[:4] for name, values in shown.items()}
    weights = {"image": 0.5, "attributes": 0.25, "language": 0.25}
    z, picture = gw.encode(rows, attention), gw.translate(rows, "language", "image")
    torch.set_default_dtype(torch.float64)
    try:
        loaded = GlobalWorkspace.from_pretrained(gw.scene_name, "cpu")
        for one in (gw, loaded):
            assert one.encode(rows, attention).dtype == np.float32
            assert np.array_equal(one.encode(rows, attention), z)
            assert one.encode(rows, weights).dtype == np.float32
            assert np.array_equal(one.translate(rows, "language", "image"), picture)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_sentence_is_read_as_its_caption(gw):
    states = Sampler(gw.scene_name, "test", 0).states(0, 3)
    said = sentences(states)
    ids = np.stack([VOCABULARY.encode(sentence) for sentence in said])
    assert np.array_equal(gw.encode({"language": said}), gw.encode({"language": ids}))
    one = gw.translate({"language": said[0]}, "language", "image")
    assert np.array_equal(one, gw.translate({"language": ids[0]}, "language", "image"))
    for sentence in ("red", "", "a zebra"):
        with pytest.raises(InputError, match=rf"language is .*not a caption of {gw.scene_name}"):
            gw.encode({"language": sentence})


def test_decoding_z(gw, shown):
    z = gw.encode({"attributes": shown["attributes"][:3]})
    picture = gw.decode(z, "image")
    assert np.array_equal(
        picture, gw.translate({"attributes": shown["attributes"][:3]}, "attributes", "image")
    )
    assert np.allclose(gw.decode(z[1], "attributes"), gw.decode(z, "attributes")[1], atol=1e-5)
    for bad in (z[:, :-1], z.astype(int), z * np.nan, z + 3, [], "z"):
        with pytest.raises(InputError, match=r"^z "):
            gw.decode(bad, "image")
    with pytest.raises(InputError, match="unknown modality 'sound'"):
        gw.decode(z, "sound")


def test_three_lines_say_what_it_is(gw):
    first, second, third = repr(gw).splitlines()
    assert first == f"GlobalWorkspace of the scene {gw.scene_name}, z of 12 numbers, on cpu"
    assert (
        "image (a latent of 12), attributes (a latent of 10), language (a latent of 32)" in second
    )
    assert "best is evidence" in third


def test_a_scene_has_three_names():
    names = ("factory", "GWFactory-v0", "gw_envs:GWFactory-v0")
    found = {GlobalWorkspace.from_pretrained(name, "cpu").scene_name for name in names}
    assert found == {"factory"}


def test_a_rule_without_training_is_added(gw, shown):
    plain = GlobalWorkspace(gw.scene_name, gw.domain_modules, gw.workspace)
    with pytest.raises(InputError, match="this workspace has none; add_attention adds demi_cycle"):
        plain.encode(shown, "agreement")
    plain.add_attention("agreement", shown)
    lie = {**shown, "attributes": np.roll(shown["attributes"], 1, 0)}
    _, weights = plain.encode_with_weights(lie, "agreement")
    assert weights["attributes"].mean() < 0.1
    for bad in ({"image": shown["image"]}, {name: rows[0] for name, rows in shown.items()}):
        with pytest.raises(InputError, match="give two rows or more of each"):
            plain.add_attention("agreement", bad)
    with pytest.raises(InputError, match="unknown untrained attention 'evidence'"):
        plain.add_attention("evidence", shown)
