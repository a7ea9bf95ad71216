"""Files that are whole or not there, and clear words for those that do not fit."""

import json

import pytest
import torch

from gw_agents.checkpoint import (
    CheckpointError,
    load_into,
    read_config,
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
