"""Read arguments, run a command on one thread, and report bad input in one sentence."""

import sys
from collections.abc import Callable
from typing import Any

import torch
import tyro

from gw_envs.errors import InputError, MissingPackageError


def program_name() -> str:
    """Return the command that starts this program: `python -m gw_agents.train`, or `python
    FILE`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None:
        return f"python {sys.argv[0]}"
    return f"python -m {spec.name.removesuffix('.__main__')}"


def parse_arguments(kind: Any, description: str | None = None) -> Any:
    """Read the command line into an instance of `kind`, a dataclass or a union of them.

    With `--help`, print the help and exit before anything else runs.
    """
    return tyro.cli(kind, prog=program_name(), description=description)


def run_command(command: Callable[[], Any]) -> None:
    """Run a command on one thread.

    Bad input (`InputError`), files that can't be read or written (`OSError`), a missing package
    (`MissingPackageError`) and Ctrl-C end it with one sentence. Any other exception is a fault of
    the program and keeps its traceback.
    """
    torch.set_flush_denormal(True)  # dark pictures lead to subnormal numbers, which are slow
    torch.set_num_threads(1)
    try:
        command()
    except (InputError, MissingPackageError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped")
        raise SystemExit(130) from stop
    finally:
        torch.set_flush_denormal(False)  # callers in this process get theirs back
