"""A training run on disk: what is needed to go on where it was, written whole or not at all, and read without pickles.

Kept are the policy, the optimisers, the replay buffer, the count of steps and the learning curve. Episodes that were
under way are not: a run that is taken up goes on with fresh ones.
"""

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch

from gw_envs.files import write_atomically

_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
"""What a replay buffer of Stable-Baselines3 holds."""


@dataclass
class RunState:
    """A run's file and what it holds beside the model."""

    path: Path
    """The file."""
    settings: Mapping[str, Any]
    """All that the result depends on but the number of steps, as JSON: a run of other settings is never taken up."""
    curve: list[dict[str, float]] = field(default_factory=list)
    """The evaluations so far."""
    seconds: float = 0.0
    """Time spent on training, evaluations left out."""
    saved: float = field(default_factory=monotonic)
    """When it was last written."""

    def resume(self, model: Any) -> bool:
        """Bring the model to where the run was; False if there is no run yet.

        Raises:
            ValueError: the file belongs to a run with other settings, or is damaged.
        """
        if not self.path.exists():
            return False
        try:
            state = torch.load(self.path, weights_only=True)
            told = json.loads(state["told"])
        except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
            raise ValueError(f"{self.path} is damaged: delete it to begin the run anew") from error
        wanted = json.loads(json.dumps(self.settings))
        if told["settings"] != wanted:
            names = [name for name in wanted if told["settings"].get(name) != wanted[name]]
            raise ValueError(
                f"{self.path} belongs to a run with other settings ({', '.join(names)}): name another folder or delete"
                " it"
            )
        model.set_parameters(state["parameters"], device=model.device)
        for name, value in state["variables"].items():
            getattr(model, name).data.copy_(value)
        if "replay" in state:
            fill_replay(model.replay_buffer, state["replay"])
        model.num_timesteps, model._n_updates = told["steps"], told["updates"]
        self.curve, self.seconds = told["curve"], told["seconds"]
        return True

    def save(self, model: Any) -> None:
        """Write the file; OSError with one sentence, and the file before it intact, if that fails."""
        names = model._get_torch_save_params()[1]
        told = {
            "settings": self.settings,
            "steps": model.num_timesteps,
            "updates": model._n_updates,
            "curve": self.curve,
            "seconds": self.seconds,
        }
        state = {
            "parameters": model.get_parameters(),
            "variables": {
                name: getattr(model, name).detach()
                for name in names
                if getattr(model, name) is not None
            },
            "told": json.dumps(told),
        }
        if getattr(model, "replay_buffer", None) is not None:
            state["replay"] = read_replay(model.replay_buffer)

        def write(temporary: Path) -> None:
            with temporary.open(
                "wb"
            ) as file:  # given the path, torch would not say why it can't write
                torch.save(state, file)

        try:
            write_atomically(self.path, write)
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"{self.path} could not be written ({error}); the checkpoint before it is intact"
            ) from error
        self.saved = monotonic()


def read_replay(buffer: Any) -> dict[str, Any]:
    """The filled part of a replay buffer as tensors."""
    count = buffer.buffer_size if buffer.full else buffer.pos

    def part(rows: Any) -> Any:
        if isinstance(rows, dict):
            return {name: part(own) for name, own in rows.items()}
        return torch.from_numpy(rows[:count]).clone()

    arrays = {name: part(getattr(buffer, name)) for name in _ARRAYS}
    return {"arrays": arrays, "position": buffer.pos, "full": buffer.full}


def fill_replay(buffer: Any, replay: Mapping[str, Any]) -> None:
    """Put what `read_replay` gave into a buffer of the same size."""

    def put(rows: Any, kept: Any) -> None:
        if isinstance(rows, dict):
            for name in rows:
                put(rows[name], kept[name])
        else:
            np.copyto(rows[: len(kept)], kept.numpy())

    for name in _ARRAYS:
        put(getattr(buffer, name), replay["arrays"][name])
    buffer.pos, buffer.full = replay["position"], replay["full"]
