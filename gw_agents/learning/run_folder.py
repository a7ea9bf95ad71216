"""The folder of a training run: checkpoint, TensorBoard log, and a lock against other processes."""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import Tensor, nn

from gw_agents.run_file import DivergedError, read_run, write_run
from gw_envs.outputs import locked

FORMAT = 2
"""Raised whenever a checkpoint of an earlier release would continue differently."""


class RunFolder:
    """Everything a run leaves behind. Without a folder, nothing is written.

    Use it as a context: it holds the folder's lock until the end.
    """

    def __init__(
        self,
        folder: Path | None,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        settings: Mapping[str, Any],
        checkpoint_seconds: float,
    ) -> None:
        """Describe a run; nothing is touched yet.

        Args:
            folder: where to write; None to write nothing.
            module: what is trained.
            optimizer: trains it.
            settings: everything the result depends on, as JSON.
            checkpoint_seconds: time between checkpoints.
        """
        self.folder, self.module, self.optimizer = folder, module, optimizer
        self.settings = {**settings, "format": FORMAT}
        self.checkpoint_seconds = checkpoint_seconds
        self.saved = monotonic()
        self.log: Any = None
        self.held = ExitStack()

    @property
    def path(self) -> Path:
        """The checkpoint."""
        assert self.folder is not None
        return self.folder / "state.pt"

    def resume(self) -> int:
        """Load the last checkpoint, if any. Returns the number of steps it has seen."""
        state = None if self.folder is None else read_run(self.path, self.settings)
        if state is None:
            return 0
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        return int(state["step"])

    def save(self, step: int) -> None:
        """Write a checkpoint that has seen `step` steps."""
        if self.folder is None:
            return
        parts = {"module": self.module.state_dict(), "optimizer": self.optimizer.state_dict()}
        write_run(self.path, self.settings, {**parts, "step": step})
        self.saved = monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last checkpoint is old enough for the next."""
        return self.folder is not None and (monotonic() - self.saved > self.checkpoint_seconds)

    @property
    def last_checkpoint(self) -> str:
        """The end of a sentence that says which checkpoint is left."""
        if self.folder is None or not self.path.exists():
            return "there is no checkpoint"
        return f"the last good checkpoint is {self.path}"

    def check_finite(self, values: Mapping[str, float], step: int) -> None:
        """Raise DivergedError naming the first value that is not finite."""
        for name, value in values.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"training diverged: {name} is {value} at step {step}; {self.last_checkpoint}."
                    " Lower the learning rate, or look for values in the data that are not finite"
                )

    def report(self, loss: Tensor, terms: Mapping[str, Tensor], step: int, bar: Any) -> None:
        """Show and log the unweighted terms; DivergedError if one is not finite."""
        values = {name: float(term.detach()) for name, term in terms.items()}
        named = {f"the loss term {name!r}": value for name, value in values.items()}
        self.check_finite({**named, "the total loss": float(loss.detach())}, step)
        if self.folder is not None:
            if self.log is None:
                # slow to import, so only where a log is written
                from torch.utils.tensorboard import SummaryWriter

                self.log = SummaryWriter(str(self.folder))
            for name, value in values.items():
                self.log.add_scalar(f"loss/{name}", value, step)
        bar.set_postfix({name: f"{value:.4g}" for name, value in values.items()}, refresh=False)

    def __enter__(self) -> "RunFolder":
        if self.folder is not None:
            busy = f"another process trains in {self.folder}: wait for it, or name another folder"
            self.held.enter_context(locked(self.folder / "lock", busy))
        return self

    def __exit__(self, *error: object) -> None:
        if self.log is not None:
            self.log.close()
        self.held.close()
