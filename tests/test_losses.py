"""The losses against numbers worked out by hand."""

import math

import pytest
import torch

from gw_agents.workspace import losses


def test_squared_errors_by_hand():
    predicted, target = (
        torch.tensor([[1.0, 2.0], [0.0, 0.0]]),
        torch.tensor([[0.0, 0.0], [3.0, 0.0]]),
    )
    assert losses.squared_error(predicted, target).item() == pytest.approx((1 + 4 + 9 + 0) / 4)


def test_squared_errors_refuse_shapes_that_would_broadcast():
    with pytest.raises(ValueError, match=r"\(B, L\)"):
        losses.squared_error(torch.zeros(4, 3), torch.zeros(1, 3))


def test_contrastive_by_hand():
    a = torch.tensor([[2.0, 0.0], [0.0, 5.0]])  # lengths must not matter
    b = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    half = math.sqrt(0.5)
    rows = [[1.0, half], [0.0, half]]  # cosine of a_i and b_j
    scale = 2.0

    def cross_entropy(similarities, right):
        return (
            math.log(sum(math.exp(scale * s) for s in similarities)) - scale * similarities[right]
        )

    given_a = [cross_entropy(rows[0], 0), cross_entropy(rows[1], 1)]
    given_b = [
        cross_entropy([rows[0][0], rows[1][0]], 0),
        cross_entropy([rows[0][1], rows[1][1]], 1),
    ]
    expected = (sum(given_a) / 2 + sum(given_b) / 2) / 2
    assert losses.contrastive(a, b, torch.tensor(math.log(scale))).item() == pytest.approx(
        expected, rel=1e-5
    )


def test_contrastive_of_a_batch_of_one_is_zero():
    one = torch.tensor([[0.3, -0.7, 0.1]])
    assert losses.contrastive(one, one, torch.tensor(1.0)).item() == pytest.approx(0.0, abs=1e-6)


def test_the_temperature_is_clamped_as_in_clip():
    torch.manual_seed(0)
    codes, others = torch.randn(8, 4), torch.randn(8, 4)
    at_100 = losses.contrastive(codes, others, torch.tensor(math.log(100.0)))
    for log_scale in (5.0, 89.0, math.inf):
        assert losses.contrastive(codes, others, torch.tensor(log_scale)) == at_100
    assert losses.contrastive(codes, others, torch.tensor(math.log(99.0))) != at_100


def test_the_table_holds_every_loss_of_the_presets():
    paired = {"translation", "contrastive", "broadcast"}
    assert paired == losses.PAIRED_LOSSES
    assert {name for preset in losses.PRESETS.values() for name in preset} == set(losses.LOSSES)
    assert all(losses.LOSSES[name].name == name for name in losses.LOSSES)


def test_contrastive_prefers_the_matched_order():
    codes = torch.eye(4)
    matched = losses.contrastive(codes, codes, torch.tensor(2.0))
    assert matched < losses.contrastive(codes, codes.roll(1, 0), torch.tensor(2.0))


def test_broadcast_by_hand():
    predicted = {"image": torch.tensor([[1.0, 1.0]]), "language": torch.tensor([[0.0]])}
    targets = {"image": torch.tensor([[0.0, 1.0]]), "language": torch.tensor([[2.0]])}
    assert losses.broadcast(predicted, targets).item() == pytest.approx((0.5 + 4.0) / 2)


def test_broadcast_names_what_differs():
    with pytest.raises(ValueError, match="image"):
        losses.broadcast({"image": torch.zeros(1, 2)}, {"language": torch.zeros(1, 2)})


def test_nothing_lets_gradients_leak_into_targets():
    target = torch.ones(2, 3, requires_grad=True)
    loss = losses.squared_error(torch.zeros(2, 3), target.detach())
    assert not loss.requires_grad
