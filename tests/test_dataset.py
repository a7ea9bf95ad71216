"""Samples are seeded, in splits that share no seed; shards store them; the experts solve all."""

import json
import shutil

import gymnasium as gym
import numpy as np
import pytest
from rollouts import digest

import gw_envs
from gw_envs import dataset
from gw_envs.dataset import (
    SPLITS,
    Sampler,
    collect,
    collect_unpaired,
    episode_seed,
    load_shards,
    make_core,
    save_shards,
)
from gw_envs.errors import InputError
from gw_envs.expert import expert_actions
from gw_envs.language import sentences
from gw_envs.observation import values_from_attributes
from gw_envs.scenes import SCENES

IDS = dict(zip(("simple_shapes", "factory"), gw_envs.ENV_IDS, strict=True))

every_scene = pytest.mark.parametrize("scene", SCENES)


def plain(sample: dict) -> dict:
    """Return a sample with the arrays of its state in place of the state."""
    return {**sample, "state": sample["state"].arrays()}


# Samples.


@every_scene
@pytest.mark.parametrize("policy", dataset.POLICIES)
def test_collecting_is_seeded_and_batched_alike(scene, policy, monkeypatch):
    arguments = {"seed": 2, "policy": policy, "steps_per_episode": 6}
    sample = collect(scene, "train", 5, **arguments)
    rows = len(sample["episode"])
    assert rows == 5 if policy == "reset" else rows > 25
    assert {len(sample[name]) for name in ("image", "attributes", "language", "step", "state")} == {
        rows
    }
    assert digest(plain(collect(scene, "train", 5, **arguments))) == digest(plain(sample))
    monkeypatch.setattr(dataset, "EPISODE_BATCH", 2)
    monkeypatch.setattr(dataset, "VIEW_BATCH", 3)
    assert digest(plain(collect(scene, "train", 5, **arguments))) == digest(plain(sample))
    later = collect(scene, "train", 3, **arguments, first_episode=2)
    assert np.array_equal(later["image"], sample["image"][sample["episode"] >= 2])
    other = collect(scene, "train", 5, seed=3, modalities="attributes")["attributes"]
    assert not np.array_equal(other, sample["attributes"][sample["step"] == 0])


@every_scene
def test_collecting_is_what_environments_show(scene):
    sample = collect(scene, "test", 2, policy="expert", actions="continuous")
    env = gym.make(IDS[scene], actions="continuous")
    for episode in range(2):
        rows = np.flatnonzero(sample["episode"] == episode)
        assert sample["step"][rows].tolist() == list(range(len(rows)))
        observation, done = env.reset(seed=episode_seed("test", 0, episode))[0], False
        for row in rows:
            assert done == (row == rows[-1])
            for name, value in observation.items():
                assert np.array_equal(sample[name][row], value)
            if row != rows[-1]:
                observation, _, done, _, _ = env.step(
                    expert_actions(scene, observation["attributes"], "continuous")
                )
    env.close()


@every_scene
@pytest.mark.parametrize("policy", ["random", "expert"])
@pytest.mark.parametrize("actions", ["discrete", "continuous"])
def test_collected_steps_are_what_environments_return(scene, policy, actions):
    """Row t holds the action taken on its observation, and what `env.step` returned for it."""
    limit = 9
    sample = collect(
        scene,
        "test",
        4,
        policy=policy,
        actions=actions,
        modalities="attributes",
        steps_per_episode=limit,
        first_episode=1,
    )
    shape = (len(sample["step"]), 3) if actions == "continuous" else (len(sample["step"]),)
    assert sample["action"].shape == shape
    env = gym.make(IDS[scene], actions=actions, modalities="attributes", max_episode_steps=limit)
    for episode in range(1, 5):
        *rows, last = np.flatnonzero(sample["episode"] == episode)
        env.reset(seed=episode_seed("test", 0, episode))
        for row in rows:
            observation, reward, terminated, truncated, _ = env.step(sample["action"][row])
            assert np.array_equal(observation["attributes"], sample["attributes"][row + 1])
            assert sample["reward"][row] == reward
            assert (sample["terminated"][row], sample["truncated"][row]) == (terminated, truncated)
        assert terminated or truncated
        assert not sample["action"][last].any()
        assert (sample["reward"][last], sample["terminated"][last]) == (0, False)
        assert not sample["truncated"][last]
    env.close()


def test_episodes_that_nobody_acts_in_have_empty_steps():
    sample = collect("simple_shapes", "train", 3, modalities="attributes")
    assert sample["action"].tolist() == [0, 0, 0]
    assert sample["reward"].tolist() == [0, 0, 0]
    assert not sample["terminated"].any()
    assert not sample["truncated"].any()


def test_missing_modalities_are_masked():
    arguments = {"policy": "random", "steps_per_episode": 9}
    whole = collect("simple_shapes", "train", 60, **arguments)
    shares = {"image": 0.25, "attributes": 0.5}
    sample = collect("simple_shapes", "train", 60, **arguments, missing=shares)
    present = sample["present"]
    assert list(present) == ["image", "attributes", "language"]
    for name, mask in present.items():
        assert mask.dtype == bool
        assert np.array_equal(sample[name][mask], whole[name][mask])
        assert not sample[name][~mask].any()
        assert abs(1 - mask.mean() - shares.get(name, 0.0)) < 0.08
    later = collect("simple_shapes", "train", 20, **arguments, missing=shares, first_episode=40)
    assert np.array_equal(later["present"]["image"], present["image"][whole["episode"] >= 40])
    everything = dict.fromkeys(("image", "attributes"), 1.0)
    alone = collect(
        "simple_shapes", "train", 60, modalities=("image", "attributes"), missing=everything
    )["present"]
    assert (alone["image"] ^ alone["attributes"]).all()  # one of the two always stays
    assert 15 < alone["image"].sum() < 45


def test_splits_share_no_seed():
    last = 2**28 - 1
    seeds = {
        episode_seed(split, seed, n) for split in SPLITS for seed in (0, 1, last) for n in range(50)
    }
    assert len(seeds) == 3 * 3 * 50
    assert min(seeds) >= 2**60
    ends = [(episode_seed(split, 0, 0), episode_seed(split, last, 2**32 - 1)) for split in SPLITS]
    assert all(first <= last for first, last in ends)
    assert all(ends[n][1] < ends[n + 1][0] for n in range(2))
    firsts = [
        digest(collect("simple_shapes", split, 3, modalities="attributes")["attributes"])
        for split in SPLITS
    ]
    assert len(set(firsts)) == 3
    for wrong in ((-1, 0), (2**28, 0), (0, 2**32)):
        with pytest.raises(ValueError, match="must lie in"):
            episode_seed("train", *wrong)


def test_unpaired_samples_share_no_episode():
    samples = collect_unpaired("simple_shapes", "train", 4, policy="random", steps_per_episode=2)
    assert list(samples) == ["image", "attributes", "language"]
    for number, (name, sample) in enumerate(samples.items()):
        assert set(sample["episode"]) == set(range(4 * number, 4 * number + 4))
        assert {"image", "attributes", "language"} & set(sample) == {name}
        paired = collect("simple_shapes", "train", 12, policy="random", steps_per_episode=2)
        assert np.array_equal(
            sample[name], paired[name][np.isin(paired["episode"], sample["episode"])]
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scene": "kitchen"}, "unknown scene 'kitchen'"),
        ({"split": "val"}, "unknown split 'val': the splits are train, validation, test"),
        ({"policy": "lazy"}, "unknown policy 'lazy'"),
        ({"modalities": ()}, "modalities is empty"),
        ({"episodes": 0}, "0 episodes"),
        ({"steps_per_episode": -1, "policy": "random"}, "-1 steps"),
    ],
)
def test_wrong_arguments_of_collect_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        collect(**{"scene": "simple_shapes", "split": "train", "episodes": 2, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"missing": {"smell": 0.5}}, "missing has the unknown key 'smell'"),
        ({"missing": {"image": 2}}, "a finite number from 0 to 1"),
        ({"missing": {"image": 0.5}, "modalities": "image"}, "a row has image alone"),
        ({"episodes": 1.5}, "1.5 episodes"),
        ({"episodes": 2**40}, "episodes is 1099511627776: give a whole number from 1 to"),
        ({"first_episode": 2**32}, "they must lie in"),
        ({"seed": None}, "seed None"),
    ],
)
def test_wrong_numbers_of_collect_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        collect(**{"scene": "simple_shapes", "split": "train", "episodes": 2, **change})


@every_scene
def test_batches_of_a_sampler_are_seeded(scene):
    sampler, again = (Sampler(scene, "train", seed=1, jitter=True) for _ in range(2))
    assert digest(sampler.batch(3, 20)) == digest(again.batch(3, 20))
    assert digest(sampler.batch(4, 20)) != digest(again.batch(3, 20))
    with pytest.raises(ValueError, match="unknown split"):
        Sampler(scene, "nowhere")


# The experts.


@every_scene
@pytest.mark.parametrize("actions", ["discrete", "continuous"])
def test_the_expert_solves_every_episode(scene, actions):
    sample = collect(
        scene, "test", 60, seed=7, policy="expert", modalities="attributes", actions=actions
    )
    last = np.flatnonzero(np.diff(sample["episode"], append=60))
    task = make_core(scene).task
    values = values_from_attributes(scene, sample["attributes"][last])
    poses = np.stack([values["x"], values["y"], values["rotation"]], -1)
    assert len(last) == 60
    assert task.success(*(distance - 1e-6 for distance in task.distances(poses))).all()
    assert sample["step"].max() < gw_envs.MAX_EPISODE_STEPS / 2


@every_scene
def test_expert_actions_fit_the_space(scene):
    vectors = collect(scene, "test", 4, modalities="attributes")["attributes"]
    discrete, continuous = (
        expert_actions(scene, vectors, actions) for actions in ("discrete", "continuous")
    )
    assert discrete.shape == (4,)
    assert set(discrete) <= set(range(6))
    assert continuous.shape == (4, 3)
    assert np.abs(continuous).max() <= 1
    assert expert_actions(scene, vectors[0]) == discrete[0]
    assert gym.make(IDS[scene], actions="continuous").action_space.contains(continuous[0])
    with pytest.raises(ValueError, match="unknown action mode"):
        expert_actions(scene, vectors, "telepathic")


# Shards.


@every_scene
def test_shards_come_back(scene, tmp_path):
    sample = collect(scene, "train", 7)
    save_shards(tmp_path / "shards", sample, rows_per_shard=3, scene=scene, seed=0)
    loaded = load_shards(tmp_path / "shards")
    assert digest(plain(loaded)) == digest(plain(sample))
    assert sentences(loaded["state"]) == sentences(sample["state"])
    manifest = json.loads((tmp_path / "shards" / "manifest.json").read_text())
    assert manifest["about"] == {"scene": scene, "seed": 0}
    assert [shard["rows"] for shard in manifest["shards"]] == [3, 3, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "shards"
    ]  # nothing temporary is left
    with pytest.raises(FileExistsError, match="holds something already"):
        save_shards(tmp_path / "shards", sample)


def test_shards_keep_presence(tmp_path):
    sample = collect("simple_shapes", "train", 7, missing={"image": 0.5, "language": 0.5})
    save_shards(tmp_path / "shards", sample, rows_per_shard=3)
    assert digest(plain(load_shards(tmp_path / "shards"))) == digest(plain(sample))


MANIFEST_FAULTS = {
    "path outside": lambda m: m["shards"][0].update(file="../secret/shard-00000.npz"),
    "absolute path": lambda m: m["shards"][0].update(file="/etc/passwd"),
    "file is a number": lambda m: m["shards"][0].update(file=3),
    "no shards": lambda m: m.update(shards=[]),
    "shards are text": lambda m: m.update(shards="shard-00000.npz"),
    "shards are lists": lambda m: m.update(shards=[["shard-00000.npz", 2]]),
    "rows are text": lambda m: m["shards"][0].update(rows="2"),
    "rows are negative": lambda m: m["shards"][0].update(rows=-2),
    "rows do not add up": lambda m: m.update(rows=5),
    "rows are True": lambda m: m.update(rows=True),
    "arrays are numbers": lambda m: m.update(arrays=[1, 2]),
    "arrays are missing": lambda m: m.pop("arrays"),
    "rows are missing": lambda m: m.pop("rows"),
    "shards are missing": lambda m: m.pop("shards"),
    "state is missing": lambda m: m.pop("state"),
    "state is unknown": lambda m: m.update(state="KitchenState"),
    "state is a list": lambda m: m.update(state=[]),
    "state is forgotten": lambda m: m.update(state=None),
    "another scene's state": lambda m: m.update(state="FactoryState"),
    "a field of the state is forgotten": lambda m: m["arrays"].remove("state.x"),
    "notes are text": lambda m: m.update(about="notes"),
}


@pytest.mark.parametrize("fault", MANIFEST_FAULTS)
def test_wrong_manifests_are_refused(fault, tmp_path):
    folder = tmp_path / "shards"
    save_shards(folder, collect("simple_shapes", "train", 4, modalities="attributes"), 2)
    manifest = json.loads((folder / "manifest.json").read_text())
    MANIFEST_FAULTS[fault](manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "secret").mkdir()
    shutil.copy(folder / "shard-00000.npz", tmp_path / "secret")
    with pytest.raises(InputError) as caught:
        load_shards(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "3", "null", '"text"'])
def test_manifests_that_are_no_objects_are_refused(text, tmp_path):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="damaged"):
        load_shards(tmp_path)


def test_every_damaged_byte_of_a_shard_is_noticed_or_harmless(tmp_path):
    folder = tmp_path / "shards"
    sample = collect("simple_shapes", "train", 1, modalities="attributes")
    save_shards(folder, sample)
    shard = folder / "shard-00000.npz"
    whole = shard.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.choice(len(whole), 150, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        shard.write_bytes(damaged)
        try:
            assert digest(plain(load_shards(folder))) == digest(plain(sample))
        except InputError:
            refused += 1
    assert refused > 75  # the rest are times and other notes of the archive


def test_damaged_shards_are_refused(tmp_path):
    folder = tmp_path / "shards"
    with pytest.raises(FileNotFoundError, match=r"no .*manifest.json"):
        load_shards(folder)
    save_shards(folder, collect("simple_shapes", "train", 4), rows_per_shard=2)
    shard = folder / "shard-00001.npz"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"shard-00001.npz is missing or damaged"):
        load_shards(folder)
    shutil.copy(folder / "shard-00000.npz", shard)
    assert len(load_shards(folder)["step"]) == 4
    save_shards(tmp_path / "one", collect("simple_shapes", "train", 1))
    shutil.copy(tmp_path / "one" / "shard-00000.npz", shard)
    with pytest.raises(ValueError, match="does not hold the 2 rows"):
        load_shards(folder)
    for text, message in (
        ("{", "damaged"),
        ('{"schema_version": 99, "state": null}', "version 99"),
    ):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            load_shards(folder)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (None, "give a dict of arrays"),
        ({3: np.zeros(2)}, "the key 3"),
        ({"file": np.zeros(2)}, "the key 'file'"),
        ({"../a": np.zeros(2)}, "the key '../a'"),
        ({"a": [[1], [1, 2]]}, "a is no array"),
        ({"a": 1.0}, "plain arrays of one length"),
        ({"a": np.zeros((0, 3))}, "plain arrays of one length"),
        ({"present": np.ones(2, bool)}, "present is"),
        ({"present": {"smell": np.ones(2, bool)}}, "present is"),
        ({"present": {"image": np.ones(2)}}, "give \\(M,\\) booleans"),
    ],
)
def test_samples_that_shards_refuse(sample, message, tmp_path):
    with pytest.raises(InputError, match=message):
        save_shards(tmp_path / "wrong", sample)
    assert not list(tmp_path.iterdir())


def test_notes_that_shards_refuse(tmp_path):
    for notes in ({"a": object()}, {"b": float("nan")}, {"c": {1j: 2}}):
        with pytest.raises(InputError, match=f"the notes {min(notes)} can't be written"):
            save_shards(tmp_path / "wrong", {"x": np.zeros(3)}, **notes)
    assert not list(tmp_path.iterdir())


def test_arrays_that_shards_refuse(tmp_path):
    for sample in ({}, {"a": np.zeros(3), "b": np.zeros(2)}, {"a": np.array([None])}):
        with pytest.raises(ValueError, match="plain arrays of one length"):
            save_shards(tmp_path / "wrong", sample)
    assert not list(tmp_path.iterdir())
