"""Show progress bars for slow work."""

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(
    items: Iterable[Any] | None, text: str, total: int | None = None, unit: str = "batch"
) -> tqdm:
    """Return a bar over `items`, or one to update by hand if `items` is None.

    It appears after three seconds, and only on a terminal.
    """
    return tqdm(items, total=total, desc=text, unit=unit, delay=3, disable=None, leave=False)
