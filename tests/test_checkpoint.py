"""Files that are whole or not there, and clear words for those that do not fit."""

import json
import pathlib
from contextlib import suppress

import pytest
import torch

from gw_agents.checkpoint import (
    CheckpointError,
    build_module,
    load_into,
    read_config,
    read_entry,
    read_tensors,
    save_checkpoint,
    write_atomically,
)

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2)}


@pytest.fixture
def folder(tmp_path):
    save_checkpoint(tmp_path, "thing", TENSORS, {"kind": "domain", "scene": "factory"})
    return tmp_path


def test_round_trip(folder):
    config = read_config(folder, "thing", "domain", "factory")
    tensors = read_tensors(folder, "thing", config)
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    layer = torch.nn.Linear(3, 2)
    load_into(layer, tensors, "thing")
    assert torch.equal(layer.weight, TENSORS["weight"])


def test_missing(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint 'thing'"):
        read_config(tmp_path, "thing", "domain")


def test_truncated(folder):
    weights = folder / "thing.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match="truncated"):
        read_tensors(folder, "thing", read_config(folder, "thing", "domain"))


def test_damaged_config(folder):
    (folder / "thing.json").write_text("{")
    with pytest.raises(CheckpointError, match="no JSON"):
        read_config(folder, "thing", "domain")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 99}, "version 99"),
        ({"kind": "agent"}, "'agent'"),
        ({"scene": "moon"}, "'moon'"),
    ],
)
def test_config_that_does_not_fit(folder, change, message):
    path = folder / "thing.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=message):
        read_config(folder, "thing", "domain", "factory")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "\x00", "NaN", "7" * 5000, "[]", '"thing"', "null"]
)
def test_a_config_that_is_no_object(folder, text):
    (folder / "thing.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"thing\.json is damaged"):
        read_config(folder, "thing", "domain")


def test_a_config_that_was_changed(folder):
    path = folder / "thing.json"
    config = json.loads(path.read_text())
    read_config(folder, "thing", "domain")
    for change in ({"arguments": {"one_hot": 2}}, {"config_sha256": None}, {"sha256": "0" * 64}):
        path.write_text(json.dumps(config | change))
        with pytest.raises(CheckpointError, match="changed after it was written"):
            read_config(folder, "thing", "domain")
    path.write_text(json.dumps(dict(reversed(config.items()))))
    assert read_config(folder, "thing", "domain") == config  # the order of keys is no change


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_kill_between_two_renames_leaves_a_pair_that_loads(folder, monkeypatch, renames):
    """Each rename that is missing because the process was killed leaves the old or the new pair."""
    rename, done = pathlib.Path.replace, []

    def killed(path, target):
        if len(done) == renames + 1:
            raise KeyboardInterrupt
        done.append(target)
        return rename(path, target)

    new = {name: tensor + 1 for name, tensor in TENSORS.items()}
    monkeypatch.setattr(pathlib.Path, "replace", killed)
    monkeypatch.setattr(pathlib.Path, "unlink", lambda path, missing_ok=False: None)
    with suppress(KeyboardInterrupt):  # a kill also leaves temporary files
        save_checkpoint(folder, "thing", new, {"kind": "domain", "scene": "factory"})
    monkeypatch.undo()
    config = read_config(folder, "thing", "domain")
    tensors = read_tensors(folder, "thing", config)
    expected = TENSORS if renames == 0 else new
    assert all(torch.equal(tensors[name], expected[name]) for name in TENSORS)
    save_checkpoint(folder, "thing", new, {"kind": "domain", "scene": "factory"})
    tensors = read_tensors(folder, "thing", read_config(folder, "thing", "domain"))
    assert all(torch.equal(tensors[name], new[name]) for name in TENSORS)
    assert not (folder / "thing.next.safetensors").exists()


def test_entries_of_a_config():
    assert read_entry({"scene": "factory"}, "scene", str, "thing.json") == "factory"
    with pytest.raises(CheckpointError, match=r"thing\.json is damaged, its 'scene' is missing"):
        read_entry({}, "scene", str, "thing.json")
    with pytest.raises(CheckpointError, match="its 'scene' is 7 where a str belongs"):
        read_entry({"scene": 7}, "scene", str, "thing.json")


def test_sizes_are_compared_before_memory_is_taken():
    made = []

    def huge():
        made.append(torch.empty(0).device.type)
        return torch.nn.Linear(10**7, 10**7)  # 400 TB

    with pytest.raises(CheckpointError, match="does not fit its own config"):
        build_module(huge, TENSORS, "thing")
    assert made == ["meta"]
    with pytest.raises(CheckpointError, match="describes something that can't be built"):
        build_module(lambda: torch.nn.Linear("a", 2), TENSORS, "thing")
    layer = build_module(lambda: torch.nn.Linear(3, 2), TENSORS, "thing")
    assert torch.equal(layer.weight, TENSORS["weight"])


def test_weights_of_another_shape(folder):
    with pytest.raises(CheckpointError, match="does not fit"):
        load_into(torch.nn.Linear(4, 2), TENSORS, "thing")


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write"):
        write_atomically(tmp_path / "file" / "below.txt", lambda path: path.write_text(""))
