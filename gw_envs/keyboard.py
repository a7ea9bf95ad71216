"""The keyboard controls for `gymnasium.utils.play`."""

from itertools import combinations
from typing import Any

import numpy as np

from gw_envs.goal_task import UNIT_ACTIONS

KEYS = "wsadqe"
"""The key of each discrete action: up, down, left, right, turn left, turn right."""


def keys_to_action(actions: str) -> dict[tuple[int, ...], Any]:
    """Return the action of every combination of held keys, by the keys' codes in rising order.

    With `actions="continuous"` it is the sum of the held keys' moves, (3,) float32; with "discrete"
    it is the int of the held key that comes first in `KEYS`.
    """
    table: dict[tuple[int, ...], Any] = {}
    for count in range(1, len(KEYS) + 1):
        for held in combinations(range(len(KEYS)), count):
            codes = tuple(sorted(ord(KEYS[action]) for action in held))
            total = UNIT_ACTIONS[list(held)].sum(0).astype(np.float32)
            table[codes] = held[0] if actions == "discrete" else total
    return table
