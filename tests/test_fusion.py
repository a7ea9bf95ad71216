"""Fusion with learned precisions, and losses that score a vague modality only where it did not
enter."""

import numpy as np
import pytest
import torch

from gw_agents.checkpoint import CheckpointError
from gw_agents.domains.base import vague_modalities
from gw_agents.domains.language import LanguageDomain
from gw_agents.domains.vector import VectorDomain
from gw_agents.global_workspace import GlobalWorkspace
from gw_agents.learning.loop import FitConfig, fit
from gw_agents.learning.sampler import BatchSampler, Needs, held_out_batch
from gw_agents.learning.stack import Stack
from gw_agents.learning.workspaces import TrainingPlan, train_workspace
from gw_agents.pretrained import save_domain, save_workspace
from gw_agents.workspace.fusion import LARGEST, component_shares, precisions
from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import Objective, random_weights
from gw_envs.errors import InputError

WIDTHS = {"image": 5, "attributes": 4, "language": 6}
NAMES = tuple(WIDTHS)


@pytest.fixture
def workspace():
    torch.manual_seed(0)
    made = Workspace(GWConfig(WIDTHS, z_width=3, hidden=8))
    with torch.no_grad():
        made.log_precision.copy_(torch.tensor([[2.0, -1, 0], [0.5, 1, 0], [-3, 0, 0]]))
    return made.requires_grad_(False)


def latents(rows, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(rows, wide, generator=generator) for name, wide in WIDTHS.items()}


def test_z_is_the_mean_weighted_by_trust_and_precision(workspace):
    codes = workspace.encode(latents(4))
    weights = torch.tensor([[0.2, 0.5, 0.3]]).expand(4, -1)
    centred = workspace.log_precision - workspace.log_precision.mean(0)
    products = weights[0, :, None] * centred.exp()
    expected = sum(
        codes[name] * (products[row] / products.sum(0)) for row, name in enumerate(NAMES)
    ).tanh()
    torch.testing.assert_close(workspace.fuse(codes, weights), expected)


def test_a_modality_alone_enters_as_it_is(workspace):
    codes = workspace.encode(latents(4))
    for column, name in enumerate(NAMES):
        only = torch.eye(3)[column].expand(4, -1)
        assert torch.equal(workspace.fuse(codes, only), codes[name].tanh())
        assert torch.equal(workspace.fuse({name: codes[name]}), codes[name].tanh())


def test_a_weight_of_0_excludes_whatever_the_precision(workspace):
    workspace.log_precision[0] += 100.0
    codes = workspace.encode(latents(4))
    without = torch.tensor([0.0, 0.5, 0.5]).expand(4, -1)
    changed = {**codes, "image": codes["image"] + 7.0}
    assert torch.equal(workspace.fuse(codes, without), workspace.fuse(changed, without))
    assert not workspace.fuse(codes, torch.zeros(4, 3)).any()


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_no_precision_is_so_extreme_that_z_is_not_finite(workspace, size):
    workspace.log_precision.copy_(torch.tensor([[size], [-size], [-size]]).expand(3, 3))
    codes = workspace.encode(latents(4))
    for weights in (None, torch.tensor([0.0, 0.5, 0.5]), torch.tensor([1e-20, 0.0, 1.0])):
        z = workspace.fuse(codes, weights)
        assert torch.isfinite(z).all()
    spread = precisions(workspace.log_precision, range(3)).log()
    assert spread.abs().max() <= LARGEST + 1e-4


def test_shares_sum_to_one_and_follow_trust(workspace):
    weights = torch.tensor([[0.01, 0.99], [0.5, 0.5], [0.0, 0.0]])
    shares = workspace.shares(("image", "language"), weights)
    assert shares.sum(1).tolist() == pytest.approx([1.0, 1.0, 0.0])
    assert shares[0, 0] < shares[1, 0]
    even = Workspace(GWConfig(WIDTHS, z_width=3, hidden=8, fusion="even"))
    assert torch.equal(even.shares(("image", "language"), weights), weights)
    assert even.log_precision is None


def test_component_shares_of_equal_precisions_are_the_weights():
    weights = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    shares = component_shares(weights, torch.full((2, 5), 3.0))
    torch.testing.assert_close(shares, weights.unsqueeze(-1).expand(-1, -1, 5))


def test_unknown_fusion_is_refused():
    with pytest.raises(InputError, match="fusion"):
        GWConfig(WIDTHS, fusion="precise")


def test_precisions_have_no_weight_decay(workspace):
    stack = Stack([workspace], {"broadcast": 1.0})
    before = [parameter.detach().clone() for parameter in stack.weights]

    def nothing(step, progress):
        return 0.0 * sum(weight.sum() for weight in stack.weights), {}

    fit(stack, nothing, FitConfig(5, 4, 1e-2, weight_decay=10.0), undecayed=stack.undecayed())
    for name, old, new in zip(stack.names, before, stack.weights, strict=True):
        assert torch.equal(old, new) == (name == "log_precision" or not old.any()), name


def test_precisions_are_learned(workspace):
    data = latents(500)
    data["image"] = torch.cat([data["attributes"], data["attributes"][:, :1]], 1)
    plan = TrainingPlan(FitConfig(200, 64, 1e-2, seed=0), losses={"broadcast": 1.0})
    learned = train_workspace(GWConfig(WIDTHS, z_width=3, hidden=8), data, plan)
    assert learned.log_precision.std(0).min() > 0.05


def only_image_and_language():
    return {name: rows for name, rows in latents(8).items() if name != "attributes"}


def broadcast_error(vague, weights):
    torch.manual_seed(0)
    widths = {"image": 5, "language": 6}
    objective = Objective(
        Workspace(GWConfig(widths, z_width=3, hidden=8)), {"broadcast": 1.0}, vague
    )
    paired = only_image_and_language()
    return objective(paired, {}, weights, {})["broadcast"], objective.workspace, paired


def test_the_broadcast_counts_a_vague_modality_only_in_rows_without_it():
    weights = torch.tensor([[0.5, 0.5]] * 6 + [[1.0, 0.0]] * 2)
    error, workspace, paired = broadcast_error(("language",), weights)
    z = workspace.fuse(workspace.encode(paired), weights)
    squares = {
        name: (rows - paired[name]).square().mean(1)
        for name, rows in workspace.broadcast(z).items()
    }
    expected = (squares["image"].mean() + squares["language"][6:].mean()) / 2
    torch.testing.assert_close(error, expected)
    plain, _, _ = broadcast_error((), weights)
    assert plain != error


def test_a_batch_in_which_the_vague_modality_always_entered_scores_0_for_it():
    weights = torch.full((8, 2), 0.5)
    error, workspace, paired = broadcast_error(("language",), weights)
    z = workspace.fuse(workspace.encode(paired), weights)
    image = (workspace.broadcast(z)["image"] - paired["image"]).square().mean()
    torch.testing.assert_close(error, image / 2)
    error.backward()
    gradients = [parameter.grad for parameter in workspace.decoders["language"].parameters()]
    assert all(gradient is None or not gradient.any() for gradient in gradients)


@pytest.mark.parametrize("loss", ["demi_cycle", "cycle"])
def test_what_goes_in_and_comes_out_as_the_same_vague_modality_scores_0(loss):
    torch.manual_seed(0)
    made = Workspace(GWConfig({"caption": 4, "sound": 3}, z_width=3, hidden=8))
    rows = {"caption": torch.randn(5, 4), "sound": torch.randn(5, 3)}

    def term(vague):
        return Objective(made, {loss: 1.0}, vague)({}, rows, torch.zeros(0, 2), {})[loss]

    assert term(("caption", "sound")) == 0.0
    parts = term(("caption",)) + term(("sound",))
    torch.testing.assert_close(parts, term(()))


def test_language_calls_itself_vague_and_vectors_do_not():
    domains = {"words": LanguageDomain(10), "pose": VectorDomain(3)}
    assert vague_modalities(domains) == ("words",)


@pytest.mark.parametrize("modalities", [2, 3])
def test_left_out_modalities_are_a_third_and_never_all(modalities):
    torch.manual_seed(0)
    weights = random_weights(6000, modalities, leave_out=True)
    mixed = weights[::2]
    assert torch.allclose(weights.sum(1), torch.ones(6000))
    share = (mixed == 0).float().mean().item()
    expected = {2: 5 / 18, 3: 26 / 81}[modalities]  # a third, but one stays where all would go
    assert share == pytest.approx(expected, abs=0.02)
    assert (weights[1::2].amax(1) == 1).all()


def test_batches_and_held_out_pairs_leave_out_alike():
    data = latents(500)
    pairs = torch.arange(500).unsqueeze(0)
    needs = Needs(256, paired=True, unpaired=False, weights=True, leave_out=True)
    batch = BatchSampler(data, pairs, [0], needs)(3)
    held_out = held_out_batch(data, pairs, leave_out=True)
    for weights in (batch.weights[0], held_out.weights[0]):
        mixed = weights[::2]
        assert 0.2 < (mixed == 0).float().mean() < 0.4
        assert torch.allclose(weights.sum(1), torch.ones(len(weights)), atol=1e-5)


def test_a_fused_z_does_not_carry_the_wording_of_the_caption_in_it():
    """The vague latent holds a scene and a wording; only the first is shared with the image."""
    torch.manual_seed(0)
    scene, wording = torch.randn(3000, 2), torch.randn(3000, 2)
    data = {"image": scene @ torch.randn(2, 4), "language": torch.cat([scene, wording], 1)}
    fit = FitConfig(600, 128, 5e-3, seed=0)

    def wording_in_z(vague):
        plan = TrainingPlan(fit, losses={"broadcast": 1.0}, vague=vague)
        made = train_workspace(GWConfig({"image": 4, "language": 4}, 4, 16, 1), data, plan)
        z = made.fuse(made.encode(data))
        fitted = torch.linalg.lstsq(z, wording).solution
        return float(1 - (z @ fitted - wording).square().mean() / wording.square().mean())

    assert wording_in_z(("language",)) < 0.3 < wording_in_z(())


def saved(folder, change):
    torch.manual_seed(0)
    domains = {"sound": VectorDomain(3, 2, 4), "pose": VectorDomain(4, 2, 4)}
    for name, domain in domains.items():
        save_domain(folder, name, domain.freeze(), "mine")
    made = Workspace(GWConfig({"sound": 2, "pose": 2}, z_width=3, hidden=4))
    with torch.no_grad():
        made.log_precision[1, 2] = change
    save_workspace(folder, made, "mine")


def test_a_precision_that_is_not_finite_is_refused(tmp_path):
    saved(tmp_path, float("-inf"))
    with pytest.raises(CheckpointError, match="precision"):
        GlobalWorkspace.from_pretrained(tmp_path)


def test_translate_takes_attention_and_shares_take_weights(tmp_path):
    saved(tmp_path, 0.7)
    gw = GlobalWorkspace.from_pretrained(tmp_path)
    rows = {
        "sound": np.ones((2, 3), np.float32),
        "pose": np.zeros((2, 4), np.float32),
    }
    weights = {"sound": 1.0, "pose": 0.0}
    alone = gw.translate(rows, "sound", "pose")
    both = gw.translate(rows, ("sound", "pose"), "pose", attention=weights)
    np.testing.assert_array_equal(alone, both)
    assert not np.array_equal(alone, gw.translate(rows, ("sound", "pose"), "pose"))
    with pytest.raises(InputError, match="unknown attention"):
        gw.translate(rows, "sound", "pose", attention="bset")
    shares = gw.shares({"sound": 0.5, "pose": 0.5})
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["pose"] > shares["sound"]
    _, used = gw.encode_with_weights(rows)
    assert gw.shares(used)["pose"].shape == (2,)
    for wrong in ({"sound": np.nan}, {"sound": -1.0}, {"sound": [0.5], "pose": 0.5}, {"nose": 1.0}):
        with pytest.raises(InputError):
            gw.shares(wrong)
