"""Progress bars for what may take long."""

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(
    items: Iterable[Any] | None, text: str, total: int | None = None, unit: str = "batch"
) -> tqdm:
    """A bar over `items`, or to be moved by hand; it appears after three seconds, and only on a terminal."""
    return tqdm(items, total=total, desc=text, unit=unit, delay=3, disable=None, leave=False)
