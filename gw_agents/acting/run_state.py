"""A training run on disk: all that resuming it needs, written atomically and read without pickles.

The file holds the policy, the optimizers, the replay buffer, the count of steps and the learning
curve. It does not hold unfinished episodes: a resumed run begins new ones.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch

from gw_agents.run_file import read_run, write_run

_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
"""Arrays of Stable-Baselines3's replay buffers."""


@dataclass
class RunState:
    """The file of a run, and its contents besides the model."""

    path: Path
    """Path of the file."""
    settings: Mapping[str, Any]
    """Everything that the result depends on, except the number of steps, as JSON; a run with other
    settings is never resumed."""
    curve: list[dict[str, float]] = field(default_factory=list)
    """Learning curve: the evaluations so far."""
    seconds: float = 0.0
    """Time spent on training, without evaluations."""
    saved: float = field(default_factory=monotonic)
    """Time of the last write, on the clock `time.monotonic`."""

    def resume(self, model: Any) -> bool:
        """Restore the model from the file; return False if there is none yet.

        Raises:
            InputError: the file belongs to a run with other settings, or is damaged.
        """
        state = read_run(self.path, self.settings)
        if state is None:
            return False
        model.set_parameters(state["parameters"], device=model.device)
        for name, value in state["variables"].items():
            getattr(model, name).data.copy_(value)
        if "replay" in state:
            fill_replay(model.replay_buffer, state["replay"])
        model.num_timesteps, model._n_updates = state["steps"], state["updates"]
        self.curve, self.seconds = json.loads(state["curve"]), state["seconds"]
        return True

    def save(self, model: Any) -> None:
        """Write the file; if that fails, raise OSError and leave the previous file intact."""
        state = {
            "parameters": model.get_parameters(),
            "variables": _variables(model),
            "steps": model.num_timesteps,
            "updates": model._n_updates,
            "curve": json.dumps(self.curve),
            "seconds": self.seconds,
        }
        if getattr(model, "replay_buffer", None) is not None:
            state["replay"] = read_replay(model.replay_buffer)
        write_run(self.path, self.settings, state)
        self.saved = monotonic()


def _variables(model: Any) -> dict[str, Any]:
    """Return an algorithm's tensors outside its modules, such as SAC's entropy coefficient."""
    named = {name: getattr(model, name) for name in model._get_torch_save_params()[1]}
    return {name: value.detach() for name, value in named.items() if value is not None}


def read_replay(buffer: Any) -> dict[str, Any]:
    """Return the filled part of a replay buffer as tensors."""
    count = buffer.buffer_size if buffer.full else buffer.pos

    def part(rows: Any) -> Any:
        if isinstance(rows, dict):
            return {name: part(values) for name, values in rows.items()}
        return torch.from_numpy(rows[:count]).clone()

    arrays = {name: part(getattr(buffer, name)) for name in _ARRAYS}
    return {"arrays": arrays, "position": buffer.pos, "full": buffer.full}


def fill_replay(buffer: Any, replay: Mapping[str, Any]) -> None:
    """Restore a buffer of the same size from the output of `read_replay`."""

    def put(rows: Any, saved: Any) -> None:
        if isinstance(rows, dict):
            for name in rows:
                put(rows[name], saved[name])
        else:
            np.copyto(rows[: len(saved)], saved.numpy())

    for name in _ARRAYS:
        put(getattr(buffer, name), replay["arrays"][name])
    buffer.pos, buffer.full = replay["position"], replay["full"]
