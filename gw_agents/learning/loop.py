"""One resumable optimizer loop, which trains everything here."""

import math
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, current_thread, main_thread
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from gw_agents.learning.run_folder import RunFolder
from gw_agents.run_file import DivergedError
from gw_envs.errors import check_number, check_whole

__all__ = ["DivergedError", "FitConfig", "StepLoss", "deferred_interrupt", "fit", "seed_torch"]

REPORT_EVERY = 100
"""Steps between two reports. On CUDA, numbers reach the host at these steps only."""


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast to train."""

    steps: int
    """Optimizer steps."""
    batch_size: int = 64
    """Samples in a batch."""
    learning_rate: float = 1e-3
    """Peak learning rate of Adam; it rises during the warm-up and falls to zero along a cosine."""
    warmup: float = 0.01
    """Fraction of the steps over which the learning rate rises."""
    weight_decay: float = 0.0
    """Decoupled weight decay."""
    clip: float = 10.0
    """Largest norm of the gradient."""
    seed: int = 0
    """Seed of the initial weights, the batches and every other draw."""
    inputs: str = ""
    """Names everything else the result depends on (data, shapes): other inputs are another run."""
    checkpoint_seconds: float = 120.0
    """Seconds between checkpoints."""

    def __post_init__(self) -> None:
        """Raise InputError on a number that makes no sense."""
        check_whole("steps", self.steps, 1)
        check_whole("batch_size", self.batch_size, 1)
        check_number("learning_rate", self.learning_rate, above=0.0)
        check_number("warmup", self.warmup, 0.0, 1.0)
        check_number("weight_decay", self.weight_decay, 0.0)
        check_number("clip", self.clip, above=0.0)
        check_whole("seed", self.seed)


StepLoss = Callable[[int, float], tuple[Tensor, dict[str, Tensor]]]
"""(step, progress in 0..1) -> (loss to minimize, unweighted terms for the log)."""


Clip = Callable[[list[nn.Parameter], float], Tensor]
"""(parameters, largest norm) -> () the norm of their gradient before it is clipped."""


def seed_torch(*seeds: int) -> None:
    """Seed torch from several numbers at once."""
    mixed = 0
    for seed in seeds:
        mixed = (mixed * 6364136223846793005 + seed + 1442695040888963407) % 2**63
    torch.manual_seed(mixed)


def fit(
    module: nn.Module,
    step_loss: StepLoss,
    config: FitConfig,
    run_dir: Path | None = None,
    label: str | None = None,
    after_step: Callable[[int], None] | None = None,
    freeze: bool = False,
    clip: Clip = nn.utils.clip_grad_norm_,
    undecayed: Collection[nn.Parameter] = (),
) -> None:
    """Minimize `step_loss` over the module's trainable parameters.

    Each step is a pure function of (seed, step). An interrupted run therefore resumes from its last
    checkpoint and ends with the same weights; a finished run returns at once with its weights.

    Args:
        module: what is trained, in place.
        step_loss: computes the loss of a step.
        config: how to train.
        run_dir: folder of checkpoints and logs; None writes nothing.
        label: text of the progress bar; None shows no bar.
        after_step: called after each optimizer step, before any checkpoint, with the number of
            steps done so far.
        clip: clips the gradient to `config.clip`; a stack of models clips each on its own.
        freeze: whether the module is left in evaluation mode and without gradients.
        undecayed: parameters without weight decay.

    Raises:
        InputError: `run_dir` holds a run with other settings, or a damaged one.
        BlockingIOError: another process trains in `run_dir`.
        DivergedError: a loss or a gradient is NaN or infinite; the message names the step, the term
            and the last good checkpoint.
        KeyboardInterrupt: on Ctrl-C, after the current step and a checkpoint; the message says how
            to resume.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    free = set(map(id, undecayed))
    decayed = [parameter for parameter in parameters if id(parameter) not in free]
    groups: list[dict[str, Any]] = [{"params": decayed}]
    if len(decayed) < len(parameters):
        rest = [parameter for parameter in parameters if id(parameter) in free]
        groups.append({"params": rest, "weight_decay": 0.0})
    optimizer = torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=(0.9, 0.99),
        fused=True,
    )
    settings = asdict(config)
    del settings["checkpoint_seconds"]
    # Callers may be inside `inference_mode`, for instance where a measurement needs the module.
    with (
        RunFolder(run_dir, module, optimizer, settings, config.checkpoint_seconds) as run,
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        start = run.resume()
        if start < config.steps:
            module.train()
            _train(run, parameters, step_loss, config, start, label, after_step, clip)
    if freeze:
        module.requires_grad_(False).eval()


def _train(
    run: RunFolder,
    parameters: list[nn.Parameter],
    step_loss: StepLoss,
    config: FitConfig,
    start: int,
    label: str | None,
    after_step: Callable[[int], None] | None,
    clip: Clip,
) -> None:
    """Run the steps from `start` to the last, with a checkpoint at the end."""
    optimizer = run.optimizer
    on_host = all(parameter.device.type == "cpu" for parameter in parameters)
    bar = tqdm(
        total=config.steps, initial=start, desc=label, mininterval=2.0, disable=label is None
    )
    with bar, deferred_interrupt() as interrupted:
        for step in range(start, config.steps):
            seed_torch(config.seed, step)
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(config, step)
            loss, terms = step_loss(step, step / config.steps)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = clip(parameters, config.clip)
            done = step + 1
            is_checkpoint = run.is_due or interrupted.is_set() or done == config.steps
            is_report = step % REPORT_EVERY == 0 or is_checkpoint
            # Reading the norm at every step would make any device but the CPU wait for the host.
            if is_report or (on_host and not math.isfinite(float(norm))):
                run.report(loss, terms, step, bar)
                run.check_finite({"the norm of the gradient": float(norm)}, step)
            optimizer.step()
            if after_step is not None:
                after_step(done)
            bar.update()
            if is_checkpoint:
                run.save(done)
            if is_checkpoint and interrupted.is_set():
                where = f"; the same command resumes from {run.path}" if run.folder else ""
                raise KeyboardInterrupt(f"stopped after step {done} of {config.steps}{where}")


@contextmanager
def deferred_interrupt() -> Iterator[Event]:
    """Turn the first Ctrl-C into an event instead of an exception; a second one raises as usual."""
    event = Event()
    if current_thread() is not main_thread():
        yield event
        return

    def handle(number: int, frame: Any) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _learning_rate(config: FitConfig, step: int) -> float:
    """The learning rate of a step: a linear warm-up, then a cosine to zero."""
    warmup = max(1, int(config.warmup * config.steps))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, config.steps - warmup)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))
