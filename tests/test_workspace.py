"""Fusion, attention and noise, against numbers worked out by hand and on batches of one."""

import math

import pytest
import torch

from gw_agents.learning.attention import (
    Damage,
    SelectionConfig,
    classification_loss,
    restoration_loss,
    train_attention,
    train_classifier,
)
from gw_agents.workspace.attention import PRESETS, Attention, AttentionConfig
from gw_agents.workspace.latent_noise import corrupt, draw_directions
from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import random_weights
from gw_envs.errors import InputError

LATENTS = {"image": 5, "attributes": 4, "language": 3}


@pytest.fixture
def workspace():
    torch.manual_seed(0)
    return Workspace(GWConfig(LATENTS, z_width=6, hidden=8)).requires_grad_(False)


def batch(count, names=tuple(LATENTS)):
    generator = torch.Generator().manual_seed(count)
    return {name: torch.randn(count, LATENTS[name], generator=generator) for name in names}


def test_fusion_is_tanh_of_the_weighted_sum():
    workspace = Workspace(GWConfig(LATENTS, z_width=2, hidden=8))
    codes = {"image": torch.tensor([[1.0, 0.0]]), "attributes": torch.tensor([[0.0, -2.0]])}
    z = workspace.fuse(codes, torch.tensor([[0.25, 0.75]]))
    assert z.tolist()[0] == pytest.approx([math.tanh(0.25), math.tanh(-1.5)])
    assert workspace.fuse(codes).tolist()[0] == pytest.approx([math.tanh(0.5), math.tanh(-1.0)])


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("names", [("image",), ("attributes", "language"), tuple(LATENTS)])
def test_every_subset_and_batch_size_broadcasts_to_all(workspace, count, names):
    z = workspace.fuse(workspace.encode(batch(count, names)))
    assert z.shape == (count, 6)
    assert z.abs().max() < 1
    assert {name: tuple(rows.shape) for name, rows in workspace.broadcast(z).items()} == {
        name: (count, width) for name, width in LATENTS.items()
    }


def test_attention_by_hand():
    """Identity keys and query: the weights are softmax of o . z / sqrt(2)."""
    workspace = Workspace(GWConfig({"image": 2, "attributes": 2}, z_width=2, hidden=2))
    attention = Attention(AttentionConfig({"image": 2, "attributes": 2}, z_width=2, key_width=2))
    for layer in (attention.keys["image"][0], attention.keys["attributes"][0], attention.query):
        layer.weight.data = torch.eye(2)
        layer.bias.data = torch.zeros(2)
    attention.random_z.copy_(torch.tensor([0.5, -1.0]))
    latents = {"image": torch.tensor([[2.0, 1.0]]), "attributes": torch.tensor([[0.0, -1.0]])}
    codes = {"image": torch.tensor([[0.0, 0.0]]), "attributes": torch.tensor([[3.0, 3.0]])}
    scores = [(2 * 0.5 - 1.0) / math.sqrt(2), 1.0 / math.sqrt(2)]
    total = sum(math.exp(score) for score in scores)
    first = [math.exp(score) / total for score in scores]
    assert attention(latents, codes, workspace).tolist()[0] == pytest.approx(first)

    two = Attention(AttentionConfig({"image": 2, "attributes": 2}, z_width=2, key_width=2, steps=2))
    two.load_state_dict(attention.state_dict())
    z = math.tanh(3.0 * first[1])  # both components of the first pass's workspace vector
    scores = [(2 * z + z) / math.sqrt(2), -z / math.sqrt(2)]
    total = sum(math.exp(score) for score in scores)
    assert two(latents, codes, workspace).tolist()[0] == pytest.approx(
        [math.exp(s) / total for s in scores]
    )


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("names", [("language",), ("image", "language"), tuple(LATENTS)])
@pytest.mark.parametrize("count", [1, 5])
def test_attention_weights_are_a_distribution(workspace, preset, names, count):
    torch.manual_seed(1)
    attention = Attention(AttentionConfig(LATENTS, z_width=6, **PRESETS[preset])).requires_grad_(
        False
    )
    latents = batch(count, names)
    weights = attention(latents, workspace.encode(latents), workspace)
    assert weights.shape == (count, len(names))
    assert torch.allclose(weights.sum(1), torch.ones(count))
    alone = [
        attention(one, workspace.encode(one), workspace)
        for one in ({name: rows[i : i + 1] for name, rows in latents.items()} for i in range(count))
    ]
    assert torch.allclose(weights, torch.cat(alone), atol=1e-6)


def test_presets_are_small():
    for preset in PRESETS.values():
        attention = Attention(
            AttentionConfig({"image": 12, "attributes": 10, "language": 32}, **preset)
        )
        assert sum(parameter.numel() for parameter in attention.parameters()) < 5000


@pytest.mark.parametrize("at_once", [1, 2])
def test_corruption_hits_so_many_modalities_of_each_row(at_once):
    clean = batch(200)
    directions = draw_directions(clean, torch.Generator().manual_seed(1))
    for fixed in (None, directions):
        noisy = corrupt(clean, 2.0, torch.Generator().manual_seed(0), fixed, at_once)
        changed = torch.stack([(noisy.latents[name] != clean[name]).any(1) for name in clean], 1)
        assert torch.equal(changed, noisy.is_corrupted)
        assert (changed.sum(1) == at_once).all()
        assert changed.sum(0).min() > 40 * at_once
        assert torch.equal(noisy.noise_scale > 0, noisy.is_corrupted)
    shift = noisy.latents["image"] - clean["image"]
    hit = noisy.is_corrupted[:, 0]
    along = shift[hit] / directions["image"]
    assert torch.allclose(along, along[:, :1].expand_as(along), atol=1e-4)
    assert torch.allclose(along[:, 0].abs(), noisy.noise_scale[hit, 0], atol=1e-4)


def test_each_row_may_have_its_own_number_of_corrupted_modalities():
    number = torch.tensor([0, 1, 2, 3])
    noisy = corrupt(batch(4), 2.0, torch.Generator().manual_seed(0), None, number)
    assert torch.equal(noisy.is_corrupted.sum(1), number)


def test_damage_leaves_one_modality_clean_and_shows_failing_sensors():
    clean, rows = batch(600), torch.arange(600)
    failures = {name: torch.full((2, 600, wide), 77.0) for name, wide in LATENTS.items()}
    damage = Damage(SelectionConfig(), None, failures, max_corrupted=2, p_clean=0.2)
    torch.manual_seed(0)
    shown = damage(clean, rows)
    changed = torch.stack([(shown[name] != clean[name]).any(1) for name in clean], 1)
    failing = torch.stack([(shown[name] == 77.0).all(1) for name in clean], 1)
    assert changed.sum(1).max() == 2
    assert (changed.sum(1) == 0).float().mean() == pytest.approx(0.2, abs=0.05)
    assert (failing.sum() / changed.sum()).item() == pytest.approx(0.5, abs=0.07)


def test_noise_of_sigma_zero_changes_nothing():
    clean = batch(10)
    noisy = corrupt(clean, 0.0, torch.Generator().manual_seed(0)).latents
    assert all(torch.equal(noisy[name], clean[name]) for name in clean)


def test_random_weights_sum_to_one_and_half_name_one_modality():
    weights = random_weights(1000, 3)
    assert torch.allclose(weights.sum(1), torch.ones(1000), atol=1e-5)
    assert (weights[1::2].max(1).values == 1).all()
    assert (weights[::2].max(1).values < 1).float().mean() > 0.9


def test_attention_learns_to_leave_the_noisy_modality():
    """Two modalities that both hold the class: under noise, attention must beat the even mean."""
    torch.manual_seed(0)
    widths = {"image": 3, "attributes": 3}
    workspace = Workspace(GWConfig(widths, z_width=3, hidden=8))
    for name in widths:  # the identity, so that the workspace is aligned without training
        workspace.encoders[name] = torch.nn.Identity()
    workspace.requires_grad_(False)
    classes = torch.randint(3, (3000,))
    points = torch.nn.functional.one_hot(classes, 3).float() * 2 - 1
    latents = {name: points + 0.1 * torch.randn_like(points) for name in widths}
    config = SelectionConfig(steps=300, batch_size=256)
    classifier = train_classifier(workspace, latents, classes, 0, config)
    loss, damage = classification_loss(classifier, classes), Damage(config)
    attention = train_attention("one_step_fused", workspace, loss, latents, 0, damage)
    noisy = corrupt(latents, 30.0, torch.Generator().manual_seed(5)).latents
    codes = workspace.encode(noisy)

    def accuracy(weights):
        return (
            (classifier(workspace.fuse(codes, weights)).argmax(1) == classes).float().mean().item()
        )

    assert accuracy(attention(noisy, codes, workspace)) > accuracy(None) + 0.15
    again = train_attention("one_step_fused", workspace, loss, latents, 0, damage)
    assert all(
        torch.equal(a, b) for a, b in zip(attention.parameters(), again.parameters(), strict=True)
    )


def aligned():
    """Make three modalities that say the same, each decoded from the code of any: identities."""
    torch.manual_seed(0)
    widths = dict.fromkeys(LATENTS, 4)
    workspace = Workspace(GWConfig(widths, z_width=4, hidden=8))
    for name in widths:
        workspace.encoders[name] = torch.nn.Identity()
        workspace.decoders[name] = Atanh()
    points = torch.randn(2000, 4)
    clean = {name: points + 0.05 * torch.randn_like(points) for name in widths}
    return workspace.requires_grad_(False), clean


class Atanh(torch.nn.Module):
    """Undoes the tanh of the workspace, up to its bounds: what is far out is not reconstructed."""

    def forward(self, z):
        return z.clamp(-0.999, 0.999).atanh()


@pytest.mark.parametrize("preset", ["demi_cycle", "agreement", "evidence", "evidence_fused"])
def test_evidence_leaves_what_cannot_be_reconstructed(preset):
    workspace, clean = aligned()
    damage = Damage(SelectionConfig(steps=200, batch_size=256))
    attention = train_attention(preset, workspace, restoration_loss, clean, 0, damage)
    noisy = corrupt(clean, 100.0, torch.Generator().manual_seed(5))
    weights = attention(noisy.latents, workspace.encode(noisy.latents), workspace)
    far = noisy.is_corrupted & (noisy.noise_scale > 20)
    assert weights[far].mean() < 0.05
    assert weights.sum(1).tolist() == pytest.approx([1.0] * len(weights), abs=1e-5)
    codes = workspace.encode(clean)
    assert attention(clean, codes, workspace).mean(0).tolist() == pytest.approx(
        [1 / 3] * 3, abs=0.05
    )


def test_agreement_lets_a_third_settle_what_two_contradict():
    """A plausible but false latent is reconstructed as well as a true one: only the others tell."""
    workspace, clean = aligned()
    false = {**clean, "attributes": clean["attributes"].roll(1, 0)}
    damage = Damage(SelectionConfig(steps=1))
    for preset, most in (("agreement", 0.1), ("demi_cycle", 1.0)):
        attention = train_attention(preset, workspace, restoration_loss, clean, 0, damage)
        weights = attention(false, workspace.encode(false), workspace)[:, 1]
        assert weights.mean() <= most
    assert weights.mean().item() == pytest.approx(1 / 3, abs=0.05)
    two = {name: false[name] for name in ("image", "attributes")}
    attention = train_attention("agreement", workspace, restoration_loss, clean, 0, damage)
    assert attention(two, workspace.encode(two), workspace).mean(0).tolist() == pytest.approx(
        [0.5, 0.5]
    )


def test_a_modality_never_trained_on_is_judged_too():
    workspace, clean = aligned()
    pair = {name: clean[name] for name in ("image", "attributes")}
    damage = Damage(SelectionConfig(steps=200, batch_size=256))
    attention = train_attention(
        "evidence_fused", workspace, restoration_loss, pair, 0, damage, every=clean
    )
    shown = {"image": clean["image"], "language": clean["language"] + 50.0}
    assert attention(shown, workspace.encode(shown), workspace)[:, 1].mean() < 0.05


def test_what_is_known_to_have_failed_has_no_weight(workspace):
    latents = batch(3)
    failed = torch.tensor([[True, False, False], [False, False, False], [True, True, True]])
    for preset in ("two_step", "evidence_fused"):
        attention = Attention(AttentionConfig(LATENTS, z_width=6, **PRESETS[preset]))
        weights = attention(latents, workspace.encode(latents), workspace, failed)
        assert weights[0, 0] == 0
        assert weights.sum(1).tolist() == pytest.approx([1.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"similarity": "dto"}, "unknown similarity 'dto' .did you mean 'dot'"),
        ({"first_query": "fuse"}, "unknown first_query 'fuse' .did you mean 'fused'"),
        ({"evidence": True}, "unknown evidence True"),
        ({"running_sum": "yes"}, "unknown running_sum 'yes'"),
        ({"steps": -1}, "steps is -1: give a whole number from 0 to 100"),
        ({"steps": 1.0}, "steps is 1.0"),
        ({"key_width": 0}, "key_width is 0"),
        ({"key_hidden": -1}, "key_hidden is -1"),
        ({"z_width": None}, "z_width is None"),
        ({"latent_widths": {"image": "12"}}, "the width of the image latent is '12'"),
        ({"latent_widths": {"a/b": 12}}, "the key 'a/b'"),
    ],
)
def test_settings_of_attention_that_make_no_sense(change, message):
    with pytest.raises(InputError, match=message):
        AttentionConfig(**{"latent_widths": LATENTS, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 0}, "hidden is 0: give a whole number of at least 1"),
        ({"layers": -1}, "layers is -1"),
        ({"layer_norm": "no"}, "unknown layer_norm 'no'"),
        ({"z_width": 2.5}, "z_width is 2.5"),
        ({"latent_widths": {"image": 0}}, "the width of the image latent is 0"),
    ],
)
def test_settings_of_a_workspace_that_make_no_sense(change, message):
    with pytest.raises(InputError, match=message):
        GWConfig(**{"latent_widths": LATENTS, **change})


@pytest.mark.parametrize("preset", PRESETS)
def test_an_absent_modality_says_nothing_of_the_others(workspace, preset):
    """Weights are those of the rest, whatever stands in the place of what is absent."""
    torch.manual_seed(1)
    attention = Attention(AttentionConfig(LATENTS, z_width=6, **PRESETS[preset]))
    clean = batch(50)
    attention.calibrate(clean, workspace)
    latents = {**batch(4), "attributes": torch.full((4, LATENTS["attributes"]), 30.0)}
    absent = torch.tensor([[False, True, False]]).expand(4, -1)
    weights = attention(latents, workspace.encode(latents), workspace, absent)
    rest = {name: latents[name] for name in ("image", "language")}
    alone = attention(rest, workspace.encode(rest), workspace)
    assert torch.allclose(weights[:, [0, 2]], alone, atol=1e-5)
    assert not weights[:, 1].any()


def test_unknown_attention_preset_is_refused(workspace):
    with pytest.raises(ValueError, match="one_step"):
        train_attention(
            "nine_step", workspace, restoration_loss, batch(4), 0, Damage(SelectionConfig())
        )
