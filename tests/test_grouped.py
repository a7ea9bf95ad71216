"""Joined networks give what single networks give, on a few rows, and notice every change of a
weight."""

import copy
import pickle
from itertools import combinations

import numpy as np
import pytest
import torch

from gw_agents import GlobalWorkspace
from gw_agents.workspace import grouped
from gw_agents.workspace.attention import PRESETS, Attention, AttentionConfig
from gw_agents.workspace.grouped import FEW
from gw_agents.workspace.model import GWConfig, Workspace
from gw_envs.dataset import Sampler
from gw_envs.observation import MODALITIES
from gw_envs.scenes import SCENES

WIDTHS = {"image": 5, "attributes": 4, "language": 3, "sound": 7}
SUBSETS = [names for size in (1, 2, 3) for names in combinations(MODALITIES, size)]


def tolerance(attention):
    """Bound the difference of z: logarithms of small errors multiply rounding."""
    by_errors = attention in ("best", "demi_cycle", "agreement", "evidence", "evidence_fused")
    return 1e-4 if by_errors else 2e-6


@pytest.fixture(scope="module", params=list(SCENES))
def gw(request):
    loaded = GlobalWorkspace.from_pretrained(request.param, device="cpu")
    for rule in ("demi_cycle", "agreement"):
        loaded.add_attention(rule, Sampler(request.param, "test", 0).batch(0, 200))
    return loaded


@pytest.fixture(scope="module")
def shown(gw):
    return Sampler(gw.scene_name, "test", 0).batch(0, FEW)


@pytest.mark.parametrize("present", [None, {"image": False}, {"language": False}])
def test_every_attention_gives_the_same_either_way(gw, shown, monkeypatch, present):
    for attention in (None, "best", *gw.attentions):
        for names in SUBSETS:
            for rows in (slice(FEW), 0, 1):
                some = {name: shown[name][rows] for name in names}
                if present and len(names) == 1:
                    continue
                monkeypatch.setattr(grouped, "FEW", FEW)
                joined = gw.encode_with_weights(some, attention, present)
                monkeypatch.setattr(grouped, "FEW", 0)
                single = gw.encode_with_weights(some, attention, present)
                atol = tolerance(attention)
                assert np.allclose(joined.z, single.z, rtol=0, atol=atol), (attention, names)
                for name in names:
                    assert np.allclose(joined.weights[name], single.weights[name], 0, atol)


def build(**config):
    torch.manual_seed(0)
    return Workspace(GWConfig(WIDTHS, z_width=6, hidden=8, **config)).requires_grad_(False)


def batch(rows):
    generator = torch.Generator().manual_seed(rows)
    return {name: torch.randn(rows, width, generator=generator) for name, width in WIDTHS.items()}


def one_by_one(workspace, latents):
    """Encode without joining: outside of inference mode."""
    with torch.no_grad():
        return workspace.encode(latents)


def equal(codes, others):
    return all(torch.allclose(codes[name], others[name], atol=1e-6) for name in WIDTHS)


@pytest.mark.parametrize(
    "config", [{}, {"layer_norm": False}, {"layers": 1}, {"layers": 0}, {"layers": 5}]
)
def test_every_shape_of_a_workspace(config):
    workspace = build(**config)
    for rows in (1, FEW):
        latents = batch(rows)
        with torch.inference_mode():
            codes = workspace.encode(latents)
            errors = workspace.errors(latents, codes)
        assert equal(codes, one_by_one(workspace, latents))
        with torch.no_grad():
            expected = workspace.errors(latents, one_by_one(workspace, latents))
        assert torch.allclose(errors, expected, atol=1e-5)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("count", [2, 3, 4])
def test_any_number_of_modalities(preset, count):
    workspace = build()
    attention = Attention(AttentionConfig(WIDTHS, z_width=6, **PRESETS[preset]))
    attention.requires_grad_(False).calibrate(batch(50), workspace)
    latents = dict(list(batch(2).items())[-count:])
    with torch.no_grad():
        expected = attention(latents, workspace.encode(latents), workspace)
    with torch.inference_mode():
        weights = attention(latents, workspace.encode(latents), workspace)
    assert torch.allclose(weights, expected, atol=1e-5)


def other_layer(workspace):
    workspace.encoders["image"][3] = torch.nn.Linear(8, 8).requires_grad_(False)


def other_network(workspace):
    workspace.encoders["image"] = torch.nn.Sequential(torch.nn.Linear(5, 6)).requires_grad_(False)


def other_data(workspace):
    weight = workspace.encoders["sound"][0].weight
    weight.data = -weight.data


CHANGES = {
    "loaded": lambda workspace: workspace.load_state_dict(
        {name: value + 1.0 for name, value in workspace.state_dict().items()}
    ),
    "assigned": lambda workspace: workspace.load_state_dict(
        {name: value + 1.0 for name, value in workspace.state_dict().items()}, assign=True
    ),
    "in place": lambda workspace: workspace.encoders["language"][3].weight.neg_(),
    "other data": other_data,
    "other layer": other_layer,
    "other network": other_network,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_weight_counts_at_once(change):
    workspace, latents = build(), batch(1)
    with torch.inference_mode():
        before = workspace.encode(latents)
    CHANGES[change](workspace)
    with torch.inference_mode():
        after = workspace.encode(latents)
    assert equal(after, one_by_one(workspace, latents))
    assert not equal(after, before)


def test_precision_may_change():
    workspace, latents = build(), batch(1)
    with torch.inference_mode():
        workspace.encode(latents)
    workspace.double()
    wide = {name: rows.double() for name, rows in latents.items()}
    with torch.inference_mode():
        codes = workspace.encode(wide)
    assert codes["image"].dtype == torch.float64
    assert equal(codes, one_by_one(workspace, wide))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_has_weights_of_its_own(copied):
    workspace, latents = build(), batch(1)
    with torch.inference_mode():
        before = workspace.encode(latents)
        inside = copied(workspace)
    outside = copied(workspace)
    CHANGES["loaded"](workspace)
    for one in (inside, outside):
        with torch.inference_mode():
            assert equal(one.encode(latents), before)


def test_larger_batches_and_training_run_network_by_network():
    workspace, latents = build(), batch(FEW + 1)
    with torch.inference_mode():
        codes = workspace.encode(latents)
    alone = one_by_one(workspace, latents)
    assert all(torch.equal(codes[name], alone[name]) for name in WIDTHS)
    workspace.requires_grad_(True)
    assert all(code.requires_grad for code in workspace.encode(batch(1)).values())
