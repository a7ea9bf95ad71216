"""One resumable optimiser loop for everything that is trained here."""

import json
import math
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, current_thread, main_thread
from time import monotonic
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from gw_envs.files import write_atomically


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast."""

    steps: int
    """Optimiser steps."""
    batch_size: int = 64
    """Samples a step."""
    learning_rate: float = 1e-3
    """Peak learning rate of Adam, reached after the warm-up and brought to zero along a cosine."""
    warmup: float = 0.01
    """Fraction of the steps over which the learning rate rises."""
    weight_decay: float = 0.0
    """Decoupled weight decay."""
    clip: float = 10.0
    """Largest norm of the gradient."""
    seed: int = 0
    """Seed of the initial weights, of every batch and of every draw."""
    inputs: str = ""
    """Names all else that the result depends on (data, shapes): a run of other inputs is never taken up."""
    checkpoint_seconds: float = 120.0
    """Time between checkpoints."""


StepLoss = Callable[[int, float], tuple[Tensor, dict[str, Tensor]]]
"""(step, progress in 0..1) -> (loss to minimise, unweighted terms for the log)."""


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
) -> None:
    """Minimise `step_loss` over the module's trainable parameters.

    Steps are pure functions of (seed, step), so a run that was interrupted goes on from its last checkpoint in
    `run_dir` and ends with the weights it would have had. A finished run returns at once with its weights loaded.
    Without a `run_dir` nothing is written; without a `label` no progress bar is shown.

    Raises:
        ValueError: `run_dir` holds a run with other settings.
        FloatingPointError: a loss is NaN or infinite; names the step, the term and the last good checkpoint.
        KeyboardInterrupt: on Ctrl-C, after the step in hand and a checkpoint; the message says how to resume.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=(0.9, 0.99),
        foreach=True,
    )
    keeper = _Keeper(run_dir, module, optimiser, config)
    start = keeper.resume()
    if start == config.steps:
        return
    module.train()
    bar = tqdm(
        total=config.steps, initial=start, desc=label, mininterval=2.0, disable=label is None
    )
    learning = torch.inference_mode(
        False
    )  # also where what is trained is first needed while something is measured
    with bar, keeper, learning, torch.enable_grad(), deferred_interrupt() as interrupted:
        for step in range(start, config.steps):
            seed_torch(config.seed, step)
            for group in optimiser.param_groups:
                group["lr"] = _learning_rate(config, step)
            loss, terms = step_loss(step, step / config.steps)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(parameters, config.clip)
            if step % 100 == 0 or not math.isfinite(float(norm)):
                keeper.report(loss, terms, step, bar)
            optimiser.step()
            bar.update()
            keeper.save_in_time(step + 1)
            if interrupted.is_set():
                keeper.save(step + 1)
                where = f"; the same command resumes from {keeper.path}" if run_dir else ""
                raise KeyboardInterrupt(f"stopped after step {step + 1} of {config.steps}{where}")
        keeper.save(config.steps)


@contextmanager
def deferred_interrupt() -> Iterator[Event]:
    """Within, the first Ctrl-C sets the event instead of breaking into whatever runs; the second breaks in."""
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


class _Keeper:
    """What a run leaves behind in its folder: checkpoints and the log. Does nothing where there is no folder."""

    def __init__(
        self,
        run_dir: Path | None,
        module: nn.Module,
        optimiser: torch.optim.Optimizer,
        config: FitConfig,
    ) -> None:
        self.path = None if run_dir is None else run_dir / "state.pt"
        self.module, self.optimiser, self.config = module, optimiser, config
        self.saved = monotonic()
        self.log: Any = None

    def resume(self) -> int:
        """Load the last checkpoint, if any; the number of steps it has seen."""
        if self.path is None or not self.path.exists():
            return 0
        state = torch.load(self.path, weights_only=True)
        if _comparable(json.loads(state["settings"])) != _comparable(asdict(self.config)):
            raise ValueError(
                f"{self.path} belongs to a run with other settings: name another folder or delete it"
            )
        self.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        return int(state["step"])

    def save_in_time(self, step: int) -> None:
        """Save if the last checkpoint is old enough."""
        if monotonic() - self.saved > self.config.checkpoint_seconds:
            self.save(step)

    def save(self, step: int) -> None:
        """Write a checkpoint that has seen `step` steps."""
        if self.path is None:
            return
        settings = json.dumps(asdict(self.config), sort_keys=True)
        parts = {"module": self.module.state_dict(), "optimiser": self.optimiser.state_dict()}
        state = {**parts, "step": step, "settings": settings}
        write_atomically(self.path, lambda temporary: torch.save(state, temporary))
        self.saved = monotonic()

    def report(self, loss: Tensor, terms: dict[str, Tensor], step: int, bar: Any) -> None:
        """Log the unweighted terms; FloatingPointError if one is not finite."""
        values = {name: float(term.detach()) for name, term in terms.items()}
        for name, value in [*values.items(), ("total", float(loss.detach()))]:
            if not math.isfinite(value):
                there = self.path is not None and self.path.exists()
                last = (
                    f"the last good checkpoint is {self.path}"
                    if there
                    else "there is no checkpoint"
                )
                raise FloatingPointError(
                    f"the loss term {name!r} is {value} at step {step}; {last}"
                )
        if self.path is not None:
            if self.log is None:
                from torch.utils.tensorboard import (
                    SummaryWriter,
                )  # slow to import, so only where something is logged

                self.log = SummaryWriter(str(self.path.parent))
            for name, value in values.items():
                self.log.add_scalar(f"loss/{name}", value, step)
        bar.set_postfix({name: f"{value:.4g}" for name, value in values.items()}, refresh=False)

    def __enter__(self) -> "_Keeper":
        return self

    def __exit__(self, *error: object) -> None:
        if self.log is not None:
            self.log.close()


def _learning_rate(config: FitConfig, step: int) -> float:
    warmup = max(1, int(config.warmup * config.steps))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    return (
        config.learning_rate
        * 0.5
        * (1.0 + math.cos(math.pi * (step - warmup) / max(1, config.steps - warmup)))
    )


def _comparable(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "checkpoint_seconds"}
