"""Batches of a stack: drawn from each model's own seed, evenly, and where the latents are."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gw_agents.learning import loop
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.sampler import BLOCK, BatchSampler, Needs, fusion_weights, hash_numbers
from gw_agents.learning.workspaces import TrainingPlan, train_workspaces
from gw_agents.workspace.losses import PRESETS
from gw_agents.workspace.model import GWConfig

LATENTS = {"image": 5, "attributes": 4, "language": 3}
ALL = Needs(batch_size=64, paired=True, unpaired=True, weights=True)


def latents(count=100, device="cpu"):
    """Latents whose first component is the number of the row."""
    rows = {name: torch.randn(count, width) for name, width in LATENTS.items()}
    for values in rows.values():
        values[:, 0] = torch.arange(count)
    return {name: values.to(device) for name, values in rows.items()}


def split_mix(number):
    """SplitMix64's output function in Python's own numbers, its upper 32 bits."""
    mask = (1 << 64) - 1
    bits = number * 0x9E3779B97F4A7C15 & mask
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9 & mask
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB & mask
    return (bits ^ (bits >> 31)) >> 32


def test_hashes_are_those_of_splitmix():
    numbers = [0, 1, 2, 77, 123_456_789, (1 << 62) + 5]
    assert hash_numbers(torch.tensor(numbers)).tolist() == [split_mix(n) for n in numbers]


def test_a_model_draws_the_same_alone_and_beside_others():
    rows, pairs = latents(), torch.stack([torch.arange(50), torch.arange(50, 100)])
    both = BatchSampler(rows, pairs, [3, 4], ALL)
    alone = BatchSampler(rows, pairs[1:], [4], ALL)
    for step in (0, 5, BLOCK, 3 * BLOCK + 1, 2):
        stacked, single = both(step), alone(step)
        for name in LATENTS:
            assert torch.equal(stacked.paired[name][1], single.paired[name][0])
            assert torch.equal(stacked.unpaired[name][1], single.unpaired[name][0])
        assert torch.equal(stacked.weights[1], single.weights[0])
        assert not torch.equal(stacked.weights[0], stacked.weights[1])


def test_paired_rows_are_of_one_scene_and_among_the_pairs():
    sampler = BatchSampler(latents(), torch.arange(10, 30)[None], [0], ALL)
    seen = set()
    for step in range(20):
        batch = sampler(step)
        scenes = torch.stack([batch.paired[name][0, :, 0] for name in LATENTS])
        assert (scenes == scenes[0]).all()
        seen |= set(scenes[0].int().tolist())
    assert seen == set(range(10, 30))


def test_unpaired_rows_are_of_any_scene_and_evenly_drawn():
    sampler = BatchSampler(latents(), torch.arange(10)[None], [0], ALL)
    drawn = [
        torch.stack([batch.unpaired[name][0, :, 0] for name in LATENTS])
        for batch in map(sampler, range(500))
    ]
    scenes = torch.cat(drawn, 1)
    assert not torch.equal(scenes[0], scenes[1])
    for own in scenes:
        counts = torch.bincount(own.int(), minlength=100)  # 32,000 draws: 320 +- 18 of each
        assert 230 < counts.min() < counts.max() < 410


def test_every_other_row_of_weights_is_dirichlet_and_the_rest_name_one_modality():
    weights = fusion_weights(hash_numbers(torch.arange(70_000).view(10_000, 7)), 3)
    assert torch.allclose(weights.sum(1), torch.ones(10_000), atol=1e-5)
    mixed, alone = weights[::2], weights[1::2]
    # Dirichlet(1/2, 1/2, 1/2): mean 1/3, variance (1/3)(2/3) / (3/2 + 1)
    assert mixed.mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
    assert mixed.var(0).tolist() == pytest.approx([0.0889] * 3, abs=0.005)
    assert (alone.max(1).values == 1).all()
    assert alone.mean(0).tolist() == pytest.approx([1 / 3] * 3, abs=0.03)


@pytest.mark.parametrize("model", ["tr", "cont", "broad+cont", "tr+cont+dcy+bt"])
def test_only_what_the_losses_need_is_drawn(model):
    rows, drawn = latents(), []
    plan = TrainingPlan(FitConfig(2, 8), losses=PRESETS[model], back_translation_from=0.0)
    draw = BatchSampler.__call__

    def spy(sampler, step):
        drawn.append(draw(sampler, step))
        return drawn[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchSampler, "__call__", spy)
        train_workspaces(GWConfig(LATENTS, hidden=8), rows, [torch.arange(50)], [0], plan)
    assert bool(drawn[0].paired)
    assert bool(drawn[0].unpaired) == (model == "tr+cont+dcy+bt")
    assert bool(drawn[0].weights.numel()) == ("broadcast" in PRESETS[model])


def test_a_gradient_is_clipped_for_each_model_alone():
    """A model whose gradient is huge must not slow down its neighbor."""
    rows = latents(50)
    rows = {name: values / 50 for name, values in rows.items()}
    far = {name: torch.cat([values, 1e3 * values]) for name, values in rows.items()}
    plan = TrainingPlan(FitConfig(20, 16, 1e-2, clip=0.1), losses=PRESETS["tr"])
    near, wild = torch.arange(50), torch.arange(50, 100)
    config = GWConfig(LATENTS, z_width=4, hidden=8, layers=1)
    beside, _ = train_workspaces(config, far, [near, wild], [1, 2], plan)
    (alone,) = train_workspaces(config, far, [near], [1], plan)
    for one, other in zip(beside.parameters(), alone.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


# Nothing moves between host and device.


class ReadsOfTheHost(TorchDispatchMode):
    """Counts the operations that would make a GPU wait: numbers read, and tensors copied across."""

    def __init__(self):
        super().__init__()
        self.counts = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        across = name == "_to_copy" and (kwargs or {}).get("device") is not None
        if name in ("_local_scalar_dense", "nonzero") or across:
            self.counts[name] = self.counts.get(name, 0) + 1
        return function(*args, **(kwargs or {}))


def test_a_step_reads_nothing_on_the_host_but_what_it_reports(monkeypatch):
    """On the CPU too: what a loop of 40 steps reads must not grow with the steps."""
    monkeypatch.setattr(loop.math, "isfinite", lambda value: True)  # looked at on the CPU alone
    counts = []
    for steps in (10, 40):
        plan = TrainingPlan(FitConfig(steps, 8), losses=PRESETS["tr+cont+dcy+bt"])
        watch = ReadsOfTheHost()
        with watch:
            train_workspaces(GWConfig(LATENTS, hidden=8), latents(), [torch.arange(50)], [0], plan)
        counts.append(watch.counts)
    norms = counts[1].pop("_local_scalar_dense") - counts[0].pop("_local_scalar_dense")
    assert norms == 30  # the norm of the gradient, which is read at every step on the CPU alone
    assert counts[0] == counts[1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_nothing_moves_between_host_and_gpu_within_a_step():
    rows, pairs = latents(device="cuda"), [torch.arange(50)] * 2
    plan = TrainingPlan(
        FitConfig(60, 32), losses=PRESETS["tr+cont+dcy+bt"] | PRESETS["broad+cont"], held_out=0.2
    )
    draw = BatchSampler.__call__

    def strict(sampler, step):
        # synchronizing raises between the first report and the last step
        torch.cuda.set_sync_debug_mode("error" if 2 <= step < 58 else "default")
        return draw(sampler, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BatchSampler, "__call__", strict)
        found = train_workspaces(GWConfig(LATENTS, hidden=16), rows, pairs, [0, 1], plan)
    assert all(parameter.is_cuda for parameter in found[0].parameters())
    (host,) = train_workspaces(GWConfig(LATENTS, hidden=16), latents(), pairs[:1], [0], plan)
    assert host.log_scale.device.type == "cpu"
