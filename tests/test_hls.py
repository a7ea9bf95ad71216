"""Colors equal OpenCV's to the bit, without OpenCV."""

import builtins

import cv2
import numpy as np
import pytest

from gw_envs import display as vision
from gw_envs.hls import rgb_from_hls


def test_equal_to_opencv_on_every_color_that_is_drawn():
    grid = np.stack(
        np.meshgrid(np.arange(181), np.arange(0, 256), np.arange(0, 256, 5), indexing="ij"), -1
    ).reshape(-1, 3)
    expected = cv2.cvtColor(grid.astype(np.uint8)[:, None], cv2.COLOR_HLS2RGB)[:, 0]
    assert np.array_equal(rgb_from_hls(grid), expected)


def test_missing_system_libraries_are_named(monkeypatch):
    real = builtins.__import__

    def fail(name, *rest, **named):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file")
        return real(name, *rest, **named)

    vision.opencv.cache_clear()
    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ImportError, match="apt-get install libxcb1 libgl1"):
        vision.opencv()
    monkeypatch.undo()
    vision.opencv.cache_clear()
