"""OpenCV, imported when first needed: nothing but pictures for people and picture files needs it."""

from functools import cache
from typing import Any


@cache
def opencv() -> Any:
    """The module cv2; raises ImportError that says which system libraries it misses."""
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            f"OpenCV could not be loaded ({error}): on Debian or Ubuntu, apt-get install libxcb1 libgl1 libglib2.0-0"
        ) from error
    return cv2
