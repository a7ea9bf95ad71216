"""The pretraining commands and the functions behind them: what they write, take and refuse."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gw_agents import CheckpointError, GlobalWorkspace, pretrain
from gw_agents.domains.vector import VectorDomain
from gw_agents.learning import sources
from gw_agents.learning.attention import SelectionConfig, make_attention
from gw_agents.learning.attention_set import AttentionData, train_attentions
from gw_agents.learning.domains import DomainData, train_domain
from gw_agents.learning.latents import encode_rows
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.workspaces import TrainingPlan, train_workspace
from gw_agents.pretrain import (
    Folders,
    PretrainAttention,
    PretrainDomains,
    PretrainWorkspace,
)
from gw_agents.workspace.model import GWConfig
from gw_envs.assets import asset_path
from gw_envs.errors import InputError

SHAPES = "simple_shapes"


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path / "weights", tmp_path / "runs", "cpu")


def hashes(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).iterdir()
        if path.is_file()
    }


def test_nothing_is_written_among_the_shipped_weights_by_default():
    for command in (PretrainDomains, PretrainWorkspace, PretrainAttention):
        assert command(scene=SHAPES).folder(Folders()) == Path("runs/weights/simple_shapes")


def test_a_workspace_alone_is_trained_on_the_shipped_domain_modules(folders, capsys):
    shipped = hashes(asset_path(f"weights/{SHAPES}"))
    command = PretrainWorkspace(
        SHAPES, modalities=("image", "attributes"), scenes=500, steps=3, folders=folders
    )
    command.run()
    folder = folders.weights / SHAPES
    assert "has no image, attributes: copied the shipped weights" in capsys.readouterr().out
    assert hashes(folder)["image.safetensors"] == shipped["image.safetensors"]
    assert hashes(asset_path(f"weights/{SHAPES}")) == shipped
    gw = GlobalWorkspace.from_pretrained(folder, "cpu")
    assert gw.modalities == ("image", "attributes")
    config = json.loads((folder / "workspace.json").read_text())
    assert config["losses"] == {"broadcast": 1.0, "contrastive": 0.1}
    assert (config["pairs"], config["steps"]) == (500, 3)
    command.run()
    assert "copied" not in capsys.readouterr().out


def test_own_domain_modules_are_preferred_to_the_shipped_ones(folders, capsys):
    PretrainDomains(SHAPES, modalities=("attributes",), steps=2, folders=folders).run()
    folder = folders.weights / SHAPES
    own = hashes(folder)
    PretrainWorkspace(
        SHAPES, modalities=("image", "attributes"), scenes=500, steps=2, folders=folders
    ).run()
    assert "has no image: copied" in capsys.readouterr().out
    assert {name: digest for name, digest in hashes(folder).items() if name in own} == own
    PretrainDomains(SHAPES, modalities=("attributes",), seed=1, steps=2, folders=folders).run()
    with pytest.raises(CheckpointError, match="trained on another attributes domain"):
        GlobalWorkspace.from_pretrained(folder, "cpu")


def test_attention_alone_is_trained_on_the_shipped_workspace(folders, capsys):
    selection = SelectionConfig(steps=2, batch_size=16)
    PretrainAttention(SHAPES, scenes=40, selection=selection, folders=folders).run()
    assert "copied the shipped weights" in capsys.readouterr().out
    gw = GlobalWorkspace.from_pretrained(folders.weights / SHAPES, "cpu")
    assert set(gw.attentions) >= {"one_step", "two_step", "agreement", "evidence"}
    config = json.loads((folders.weights / SHAPES / "attention.json").read_text())
    assert set(config["validation_accuracy"]["agreement"]) == {"noise", "sensors"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("workspace --scene simple_shapes --losses trr", "trr"),
        ("workspace --scene simple_shapes --width 0", "--width is 0"),
        ("workspace --scene simple_shapes --hidden 0", "--hidden is 0"),
        ("workspace --scene simple_shapes --pairs -1", "--pairs is -1"),
        ("workspace --scene simple_shapes --pairs 0", "--pairs is 0"),
        ("workspace --scene simple_shapes --scenes 50 --pairs 51", "--pairs is 51.*to 50"),
        ("workspace --scene simple_shapes --scenes 0", "--scenes is 0"),
        ("workspace --scene simple_shapes --steps 0", "--steps is 0"),
        ("workspace --scene simple_shapes --seed -1", "--seed is -1"),
        ("workspace --scene simple_shapes --device gpu", "device 'gpu'"),
        ("workspace --scene simple_shapes --modalities image", "joins two"),
        ("workspace --scene simple_shapes --modalities smell", "smell"),
        ("workspace --scene factory --layout random", "--layout random"),
        ("domains --scene simple_shapes --steps 0", "--steps is 0"),
        ("domains --scene simple_shapes --device gpu", "device 'gpu'"),
        ("domains --env TinyWalk-v0 --samples 0", "--samples is 0"),
        ("attention --scene simple_shapes --scenes 0", "--scenes is 0"),
        ("attention --scene simple_shapes --steps 0", "steps is 0"),
        ("attention --scene simple_shapes --low-sigma 0", "low_sigma is 0"),
        ("attention --env Nowhere-v7", "there is no checkpoint|no weights"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(arguments, message, monkeypatch, tmp_path):
    def work(*arguments, **named):
        raise AssertionError("work has begun")

    for name in ("scene_latents", "encode_rows", "take_shipped"):
        monkeypatch.setattr(pretrain, name, work)
    monkeypatch.setattr(sources, "random_observations", work)
    folders = ["--weights", str(tmp_path / "weights"), "--runs", str(tmp_path / "runs")]
    monkeypatch.setattr("sys.argv", ["pretrain", *arguments.split(), *folders])
    with pytest.raises(SystemExit, match=message):
        pretrain.main()
    assert not list(tmp_path.iterdir())


# The functions that train, without a command line.


def sounds(count=300):
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((count, 3)).astype(np.float32)
    return {"sound": hidden @ rng.standard_normal((3, 8)).astype(np.float32), "touch": hidden**3}


def trained(rows):
    """Domain modules of a few steps, by key."""
    return {
        key: train_domain(VectorDomain(own.shape[1], latent_width=4), own, FitConfig(steps=20))
        for key, own in rows.items()
    }


def test_a_domain_module_is_prepared_trained_standardized_and_frozen():
    rows = sounds()["sound"]
    domain = trained({"sound": rows})["sound"]
    assert torch.allclose(domain.mean, torch.from_numpy(rows).mean(0), atol=1e-4)
    latents = domain.encode(torch.from_numpy(rows))
    assert torch.allclose(latents.mean(0), torch.zeros(4), atol=1e-4)
    assert torch.allclose(latents.std(0), torch.ones(4), atol=1e-4)
    assert not domain.training
    assert not any(parameter.requires_grad for parameter in domain.parameters())
    with pytest.raises(InputError, match="observations is float32 of shape"):
        train_domain(VectorDomain(3), rows, FitConfig(steps=1))


def test_a_domain_module_learns_from_batches_of_ones_own():
    rows, seen = torch.from_numpy(sounds()["sound"]), []

    def batch(index):
        seen.append(index)
        return rows[index : index + 50]

    train_domain(VectorDomain(8), DomainData(batch), FitConfig(steps=7, batch_size=10_000))
    assert seen == [*range(10), *range(7), *range(2)]  # prepared, trained, standardized


def test_one_workspace_is_the_first_of_a_stack_of_one(tmp_path):
    latents = {name: torch.randn(100, 4) for name in ("sound", "touch")}
    config = GWConfig({"sound": 4, "touch": 4}, z_width=3, hidden=8)
    plan = TrainingPlan(FitConfig(steps=5, batch_size=8, seed=3))
    one = train_workspace(config, latents, plan, run_dir=tmp_path / "run")
    other = train_workspace(config, latents, plan, torch.arange(100))
    for first, second in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second)
        assert not first.requires_grad
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_untrained_rules_work_on_any_domain_modules():
    rows = sounds()
    domains = trained(rows)
    latents = encode_rows(domains, rows)
    config = GWConfig({name: 4 for name in latents}, z_width=3, hidden=8)
    workspace = train_workspace(config, latents, TrainingPlan(FitConfig(steps=5, batch_size=32)))
    rules = {name: make_attention(name, workspace, latents) for name in ("demi_cycle", "agreement")}
    gw = GlobalWorkspace("noises", domains, workspace, rules)
    for name in rules:
        z, weights = gw.encode_with_weights(rows, attention=name)
        assert z.shape == (300, 3)
        assert np.allclose(sum(weights.values()), 1.0, atol=1e-5)


def test_attention_on_classes_is_refused_without_classes():
    latents = {name: torch.randn(50, 4) for name in ("sound", "touch")}
    config = GWConfig({name: 4 for name in latents}, z_width=3, hidden=8)
    workspace = train_workspace(config, latents, TrainingPlan(FitConfig(steps=1, batch_size=8)))
    data = AttentionData(latents)
    with pytest.raises(InputError, match="one_step is trained on classes"):
        train_attentions(workspace, data, data, ["one_step"])
    with pytest.raises(InputError, match="did you mean 'agreement'"):
        train_attentions(workspace, data, data, ["agrement"])
    steps = SelectionConfig(steps=2, batch_size=8)
    found = train_attentions(workspace, data, data, ["agreement", "evidence"], 0, steps)
    assert list(found.scores["evidence"]) == ["noise"]
    assert found.best == min(found.scores, key=lambda name: found.scores[name]["noise"])


def test_settings_of_a_plan_are_checked():
    plan = TrainingPlan(FitConfig(steps=1))
    for changes, message in (
        ({"held_out": 2.0}, "held_out is 2.0"),
        ({"check_every": 0}, "check_every is 0"),
        ({"ema_decay": 1.5}, "ema_decay is 1.5"),
        ({"losses": {"translaton": 1.0}}, "translaton"),
    ):
        with pytest.raises(InputError, match=message):
            replace(plan, **changes)
