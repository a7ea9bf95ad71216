"""The TensorBoard log of a training run."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import TensorBoardOutputFormat
from tqdm import tqdm


class RunLog(TensorBoardOutputFormat):
    """A TensorBoard log that reports a failed write once and then lets training continue without
    it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.failed = folder, False
        try:
            with _silent_threads():
                super().__init__(str(folder))
        except OSError as error:
            raise OSError(
                f"the log in {folder} could not be written ({error}); the checkpoint is intact"
            ) from error

    def write(self, *values: Any, **more: Any) -> None:
        if self.failed:
            return
        try:
            with _silent_threads():
                super().write(*values, **more)
        except OSError as error:
            self.failed = True
            tqdm.write(
                f"the log in {self.folder} could not be written ({error}); training continues"
                " without it"
            )

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def _silent_threads() -> Iterator[None]:
    """Hide tracebacks of threads: TensorBoard raises its thread's error again in the main
    thread."""
    before, threading.excepthook = threading.excepthook, lambda failure: None
    try:
        yield
    finally:
        threading.excepthook = before
