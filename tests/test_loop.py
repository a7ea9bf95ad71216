"""Training that can be interrupted: it ends with the same weights, and stops where a loss is not a number."""

import os
import signal

import pytest
import torch

from gw_agents.learning.loop import FitConfig, fit, seed_torch

CONFIG = FitConfig(steps=40, batch_size=8, learning_rate=1e-2, seed=3)


def run(run_dir, at=lambda step: None, config=CONFIG):
    seed_torch(config.seed)
    module = torch.nn.Linear(4, 1)

    def loss(step, progress):
        at(step)
        inputs = torch.randn(config.batch_size, 4)
        error = (module(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        return error, {"error": error}

    fit(module, loss, config, run_dir)
    return module


def test_training_reduces_the_loss_and_is_a_function_of_the_seed():
    assert torch.equal(run(None).weight, run(None).weight)
    longer = run(None, config=FitConfig(steps=800, batch_size=64, learning_rate=2e-2))
    assert torch.allclose(longer.weight, torch.ones(1, 4), atol=0.05)


def test_training_within_a_measurement_learns_all_the_same():
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


def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path):
    steps = []

    def interrupt(step):
        steps.append(step)
        if step == 17:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="resumes"):
        run(tmp_path, interrupt)
    resumed = run(tmp_path, lambda step: steps.append(step))
    assert steps == list(range(40))
    assert torch.equal(resumed.weight, run(None).weight)
    finished = run(tmp_path, lambda step: pytest.fail("a finished run was trained again"))
    assert torch.equal(finished.weight, resumed.weight)


def test_a_run_folder_of_other_settings_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(ValueError, match="other settings"):
        run(tmp_path, config=FitConfig(steps=41, batch_size=8))


def test_a_loss_that_is_not_a_number_stops_with_its_name_and_step(tmp_path):
    module = torch.nn.Linear(1, 1)

    def loss(step, progress):
        error = module(torch.ones(1, 1)).mean() * (float("nan") if step == 5 else 1.0)
        return error, {"contrastive": error}

    with pytest.raises(FloatingPointError, match=r"'contrastive' is nan at step 5"):
        fit(module, loss, CONFIG, tmp_path)
