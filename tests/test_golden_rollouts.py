"""Recorded rollouts come out again: to the bit on Linux x86-64, and closely elsewhere."""

import platform
import sys

import numpy as np
import pytest
from golden import PATH, ROLLOUTS, record

EXACT = sys.platform == "linux" and platform.machine() == "x86_64"
TOLERANCE = {"attributes": 1e-4, "reward": 1e-2, "image": 1.0}
"""Largest difference elsewhere: of attributes, of rewards, and of images on average, in levels."""


@pytest.fixture(scope="module")
def golden():
    with np.load(PATH) as file:
        return dict(file)


@pytest.mark.parametrize("name", ROLLOUTS)
def test_rollouts_are_the_recorded_ones(name, golden):
    for key, array in record(ROLLOUTS[name]).items():
        expected = golden[f"{name}.{key}"]
        assert array.shape == expected.shape, key
        assert array.dtype == expected.dtype, key
        if EXACT or key not in TOLERANCE:
            np.testing.assert_array_equal(array, expected, err_msg=key)
        elif key == "image":
            difference = np.abs(array.astype(float) - expected)
            assert difference.mean() < TOLERANCE[key]
        else:
            np.testing.assert_allclose(array, expected, atol=TOLERANCE[key], err_msg=key)


def test_the_recorded_rollouts_move_and_collide(golden):
    for name in ROLLOUTS:
        assert 5 <= golden[f"{name}.collision"].sum() < 60, name
        moved = np.abs(np.diff(golden[f"{name}.attributes"], axis=0)).sum(1) > 0
        assert moved.sum() > 25, name
        assert not golden[f"{name}.end"].any(), name
