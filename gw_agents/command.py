"""What every command shares: one thread, and errors told in a sentence."""

from collections.abc import Callable
from typing import Any

import torch

from gw_envs.errors import MissingPackageError


def run_command(command: Callable[[], Any]) -> None:
    """Run a command; what is wrong with its input, and Ctrl-C, are told in one sentence and without a traceback."""
    torch.set_flush_denormal(True)  # a dark background makes subnormal numbers, which are slow
    torch.set_num_threads(1)
    try:
        command()
    except (ValueError, OSError, MissingPackageError) as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped")
        raise SystemExit(130) from stop
    finally:
        torch.set_flush_denormal(
            False
        )  # whoever called the command in this process keeps exact arithmetic
