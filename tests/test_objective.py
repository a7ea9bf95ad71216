"""Workspaces and their losses: terms by hand, stacks against single runs, and wrong input."""

import os
import signal

import pytest
import torch

from gw_agents.learning.loop import FitConfig
from gw_agents.learning.sampler import BatchSampler
from gw_agents.learning.workspaces import TrainingPlan, train_workspaces
from gw_agents.workspace.losses import LOSSES, PAIRED_LOSSES, PRESETS
from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import Objective, preset_called

LATENTS = {"image": 5, "attributes": 4}
SCENES = 400


def scenes(widths=LATENTS):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(SCENES, 3, generator=generator)
    return {
        name: hidden @ torch.randn(3, width, generator=generator) for name, width in widths.items()
    }


def config(widths=LATENTS):
    return GWConfig(widths, z_width=6, hidden=16, layers=2)


def plan(model, steps=30, **arguments):
    fit = FitConfig(steps, 32, 3e-3, inputs="test")
    return TrainingPlan(fit, check_every=10, losses=PRESETS[model], **arguments)


def pairs(count, *seeds):
    return [
        torch.randperm(SCENES, generator=torch.Generator().manual_seed(seed))[:count]
        for seed in seeds
    ]


def identity_objective(losses, scale=1.0):
    """Two modalities of width 1; encoders pass the latent on, decoders multiply z by `scale`."""
    shape = GWConfig({"image": 1, "attributes": 1}, z_width=1, hidden=1)
    objective = Objective(Workspace(shape), losses)
    for name in ("image", "attributes"):
        objective.workspace.encoders[name] = torch.nn.Identity()
        objective.workspace.decoders[name] = torch.nn.Linear(1, 1, bias=False)
        objective.workspace.decoders[name].weight.data.fill_(scale)
    return objective


def test_every_term_by_hand():
    """With z = tanh(o) and d(z) = 2 z, every term can be written down."""
    weights = {name: 1.0 for name in LOSSES}
    objective = identity_objective(weights, scale=2.0)
    paired = {"image": torch.tensor([[0.5]]), "attributes": torch.tensor([[-0.25]])}
    unpaired = {"image": torch.tensor([[1.0]]), "attributes": torch.tensor([[0.0]])}
    pseudo_targets = {"image": {"attributes": torch.tensor([[0.3]])}}
    terms = objective(paired, unpaired, torch.tensor([[0.75, 0.25]]), pseudo_targets)

    def through(value):
        return 2 * torch.tanh(torch.tensor(value)).item()

    assert terms["translation"].item() == pytest.approx(
        ((through(0.5) + 0.25) ** 2 + (through(-0.25) - 0.5) ** 2) / 2
    )
    mixed = through(0.75 * 0.5 + 0.25 * -0.25)
    assert terms["broadcast"].item() == pytest.approx(
        ((mixed - 0.5) ** 2 + (mixed + 0.25) ** 2) / 2
    )
    assert terms["contrastive"].item() == pytest.approx(
        0.0, abs=1e-6
    )  # a batch of one has nothing to confuse
    assert terms["demi_cycle"].item() == pytest.approx((through(1.0) - 1.0) ** 2 / 2)
    assert terms["cycle"].item() == pytest.approx((through(through(1.0)) - 1.0) ** 2 / 2)
    assert terms["back_translation"].item() == pytest.approx((through(0.3) - 1.0) ** 2)


@pytest.mark.parametrize("model", PRESETS)
def test_a_model_has_the_terms_it_names(model):
    objective = Objective(Workspace(config()), PRESETS[model])
    rows = {name: values[:8] for name, values in scenes().items()}
    pseudo_targets = {"image": {"attributes": rows["attributes"]}}
    terms = objective(rows, rows, torch.full((8, 2), 0.5), pseudo_targets)
    assert terms.keys() == PRESETS[model].keys()
    alone = objective(rows, {}, torch.full((8, 2), 0.5), {})
    assert alone.keys() == PRESETS[model].keys() & PAIRED_LOSSES


@pytest.mark.parametrize("model", ["tr+cont+dcy+cy", "tr+cont+dcy+bt"])
def test_a_stack_is_its_models_alone(model):
    both = train_workspaces(config(), scenes(), pairs(50, 3, 4), [3, 4], plan(model, held_out=0.2))
    (alone,) = train_workspaces(config(), scenes(), pairs(50, 4), [4], plan(model, held_out=0.2))
    for stacked, single in zip(both[1].parameters(), alone.parameters(), strict=True):
        assert torch.allclose(stacked, single, atol=1e-4)
    assert not torch.allclose(next(both[0].parameters()), next(both[1].parameters()))


def test_training_translates():
    rows = scenes()
    (workspace,) = train_workspaces(config(), rows, pairs(300, 0), [0], plan("tr", 600))
    there = workspace.broadcast(workspace.enter("image", rows["image"]), ["attributes"])[
        "attributes"
    ]
    assert (there - rows["attributes"]).square().mean() < 0.2 * rows["attributes"].square().mean()


def test_three_modalities_and_an_interrupted_run(tmp_path, monkeypatch):
    widths = {**LATENTS, "language": 3}
    whole = train_workspaces(config(widths), scenes(widths), pairs(50, 0), [0], plan("fusion"))
    draw = BatchSampler.__call__
    calls = []

    def interrupt(sampler, step):
        calls.append(step)
        if len(calls) == 17:
            os.kill(os.getpid(), signal.SIGINT)
        return draw(sampler, step)

    monkeypatch.setattr(BatchSampler, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt, match="resumes"):
        train_workspaces(
            config(widths), scenes(widths), pairs(50, 0), [0], plan("fusion"), tmp_path
        )
    resumed = train_workspaces(
        config(widths), scenes(widths), pairs(50, 0), [0], plan("fusion"), tmp_path
    )
    assert calls == list(range(30))
    for one, other in zip(whole[0].parameters(), resumed[0].parameters(), strict=True):
        assert torch.equal(one, other)


def test_held_out_pairs_choose_the_weights():
    """With pairs that are noise, the first weights are the best on held-out pairs, and are kept."""
    rows = {name: torch.randn(SCENES, width) for name, width in LATENTS.items()}
    (kept,) = train_workspaces(config(), rows, pairs(40, 0), [0], plan("tr", 1000, held_out=0.25))
    (last,) = train_workspaces(config(), rows, pairs(40, 0), [0], plan("tr", 1000))

    def error(workspace):
        there = workspace.broadcast(workspace.enter("image", rows["image"]), ["attributes"])[
            "attributes"
        ]
        return (there - rows["attributes"]).square().mean()

    assert error(kept) < error(last)


@pytest.mark.parametrize(
    ("model", "count", "message"),
    [
        ("tr", 0, "no pairs"),
        ("cont", 0, "contrastive"),
        ("tr", SCENES + 1, "401 pairs were asked for, of 400"),
    ],
)
def test_too_few_or_too_many_pairs(model, count, message):
    rows = [torch.arange(count)]
    with pytest.raises(ValueError, match=message):
        train_workspaces(config(), scenes(), rows, [0], plan(model))


def test_one_modality_or_other_widths_are_refused():
    one = {"image": scenes()["image"]}
    with pytest.raises(ValueError, match="two or more"):
        train_workspaces(GWConfig({"image": 5}), one, pairs(5, 0), [0], plan("tr"))
    with pytest.raises(ValueError, match="must agree"):
        train_workspaces(
            config({"image": 5, "attributes": 9}), scenes(), pairs(5, 0), [0], plan("tr")
        )


def test_unknown_losses_and_models_are_refused():
    with pytest.raises(ValueError, match=r"unknown loss 'translaton'.*translation"):
        TrainingPlan(FitConfig(1), losses={"translaton": 1.0})
    with pytest.raises(ValueError, match="weight of cycle is 0"):
        TrainingPlan(FitConfig(1), losses={"translation": 1.0, "cycle": 0.0})
    with pytest.raises(ValueError, match="no loss at all"):
        TrainingPlan(FitConfig(1), losses={})
    with pytest.raises(ValueError, match="tr\\+cont"):
        preset_called("tr+contrastive")


def test_a_loss_that_is_not_a_number_is_named():
    rows = scenes()
    rows["image"][7] = torch.nan
    with pytest.raises(FloatingPointError, match="translation"):
        train_workspaces(config(), rows, [torch.arange(20)], [0], plan("tr", 200))
