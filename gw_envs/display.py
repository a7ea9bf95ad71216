"""Import OpenCV when it is first needed, check for a display, and wrap text."""

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from gw_envs.errors import MissingPackageError


@cache
def opencv() -> Any:
    """Import cv2 when first needed; MissingPackageError names the system libraries it needs."""
    try:
        import cv2
    except ImportError as error:
        raise MissingPackageError(
            f"OpenCV could not be loaded ({error}): on Debian or Ubuntu, apt-get install libxcb1 "
            "libgl1 libglib2.0-0"
        ) from error
    return cv2


def has_display() -> bool:
    """Tell whether a window can be opened; without an X server, OpenCV would end the process."""
    if sys.platform in ("win32", "darwin"):
        return True
    if not os.environ.get("DISPLAY"):
        return False
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return False
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    refused = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return not refused


def wrapped(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Break a text into lines that fit; a word that is too long gets its own line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if fits(longer):
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
