"""Choose where tensors live, and keep forked processes from hanging."""

import os

import torch

from gw_envs.errors import InputError, describe


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device of that name; `auto` is CUDA if this machine has it, else the CPU.

    Raises InputError if the name is unknown, or this machine has no such device.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"unknown device {describe(device)}: choose auto, cpu, cuda, or cuda:N for GPU number N"
        ) from error
    if chosen.type == "cpu" and not chosen.index:
        return chosen
    if chosen.type == "mps" and torch.backends.mps.is_available():
        return chosen
    if chosen.type != "cuda":
        raise InputError(
            f"the device {str(device)!r} can't be used here:"
            " choose auto, cpu, cuda, or cuda:N for GPU number N"
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (chosen.index or 0) >= count:
        found = f"{count} CUDA devices" if count else "no CUDA device"
        raise InputError(
            f"the device {str(device)!r} does not exist, PyTorch finds {found}: choose auto or cpu"
        )
    return chosen


def _use_one_thread() -> None:
    torch.set_num_threads(1)


# A forked child has none of its parent's threads and would wait for them forever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread)
