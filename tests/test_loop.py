"""The training loop: interrupted runs end with the same weights, and faults end in a sentence."""

import os
import signal
from dataclasses import replace

import pytest
import torch

from gw_agents.learning.loop import DivergedError, FitConfig, fit, seed_torch
from gw_envs.errors import InputError

CONFIG = FitConfig(steps=40, batch_size=8, learning_rate=1e-2, seed=3)


def run(run_dir, at=lambda step: None, config=CONFIG, **arguments):
    seed_torch(config.seed)
    module = torch.nn.Linear(4, 1)

    def loss(step, progress):
        at(step)
        inputs = torch.randn(config.batch_size, 4)
        error = (module(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        return error, {"error": error}

    fit(module, loss, config, run_dir, **arguments)
    return module


def test_training_reduces_the_loss_and_is_a_function_of_the_seed():
    assert torch.equal(run(None).weight, run(None).weight)
    longer = run(None, config=FitConfig(steps=800, batch_size=64, learning_rate=2e-2))
    assert torch.allclose(longer.weight, torch.ones(1, 4), atol=0.05)


def test_training_inside_inference_mode_learns_all_the_same():
    with torch.inference_mode(False):
        alone = run(None)
    module, inputs = torch.nn.Linear(4, 1), torch.randn(8, 4)

    def loss(step, progress):
        return module(inputs).square().mean(), {}

    before = module.weight.clone()
    with torch.inference_mode():
        fit(module, loss, CONFIG)
    assert not torch.equal(module.weight, before)
    assert torch.equal(run(None).weight, alone.weight)


def test_a_module_is_left_frozen_where_asked():
    frozen, trained = run(None, freeze=True), run(None)
    assert not frozen.training
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert trained.training
    assert torch.equal(frozen.weight, trained.weight)


def test_an_interrupted_run_resumes_and_ends_the_same(tmp_path):
    steps, done = [], []

    def interrupt(step):
        steps.append(step)
        if step == 17:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="resumes"):
        run(tmp_path, interrupt, after_step=done.append)
    resumed = run(tmp_path, steps.append, after_step=done.append)
    assert steps == list(range(40))
    assert done == list(range(1, 41))
    assert torch.equal(resumed.weight, run(None).weight)
    finished = run(tmp_path, lambda step: pytest.fail("a finished run was trained again"))
    assert torch.equal(finished.weight, resumed.weight)


def test_a_run_folder_of_other_settings_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(InputError, match=r"other settings \(inputs, steps\)"):
        run(tmp_path, config=replace(CONFIG, steps=41, inputs="others"))


def test_every_flipped_bit_of_a_checkpoint_is_noticed(tmp_path):
    run(tmp_path)
    path = tmp_path / "state.pt"
    good = path.read_bytes()
    for place in range(0, len(good), len(good) // 40):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(InputError, match="damaged"):
            run(tmp_path)
    for cut in (0, 20, len(good) - 1):
        path.write_bytes(good[:cut])
        with pytest.raises(InputError, match="damaged"):
            run(tmp_path)


def test_a_loss_that_is_not_a_number_stops_with_its_name_and_step(tmp_path):
    module = torch.nn.Linear(1, 1)

    def loss(step, progress):
        error = module(torch.ones(1, 1)).mean() * (float("nan") if step == 5 else 1.0)
        return error, {"contrastive": error}

    with pytest.raises(FloatingPointError, match=r"'contrastive' is nan at step 5"):
        fit(module, loss, CONFIG, tmp_path)


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change():
    module = torch.nn.Linear(1, 1)

    def loss(step, progress):
        error = module(torch.zeros(1, 1)).square().sum()
        return error + (module.weight - module.weight).abs().sqrt().sum(), {"error": error}

    before = module.weight.clone()
    with pytest.raises(DivergedError, match="norm of the gradient is nan at step 0"):
        fit(module, loss, CONFIG)
    assert torch.equal(module.weight, before)


def test_a_run_that_diverges_keeps_its_last_good_checkpoint(tmp_path):
    often = replace(CONFIG, checkpoint_seconds=0.0)
    module = torch.nn.Linear(1, 1)

    def loss(step, progress):
        error = module(torch.ones(1, 1)).mean() * (float("inf") if step == 5 else 1.0)
        return error, {"error": error}

    with pytest.raises(DivergedError, match=r"last good checkpoint is .*state\.pt"):
        fit(module, loss, often, tmp_path)
    steps = []

    def count(step, progress):
        steps.append(step)
        return module(torch.ones(1, 1)).mean(), {}

    fit(module, count, often, tmp_path)
    assert steps == list(range(5, 40))
    assert module.weight.isfinite().all()


def test_two_processes_cannot_train_in_one_folder(tmp_path):
    def begin_another(step):
        if step == 3:
            run(tmp_path)

    with pytest.raises(BlockingIOError, match="another process trains in"):
        run(tmp_path, begin_another)
    run(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"warmup": 1.5}, "warmup is 1.5"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        replace(CONFIG, **changes)
