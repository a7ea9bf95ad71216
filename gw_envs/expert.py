"""Solve episodes with a policy that reads the attributes, moves to the goal and turns there."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.core import core_type
from gw_envs.errors import check_choice
from gw_envs.observation import check_attributes, values_from_attributes

MARGIN = 0.98
"""Fraction of the tolerance within which the expert stops: attributes are rounded to float32."""


def expert_actions(scene: str, attributes: ArrayLike, actions: str = "discrete") -> NDArray[Any]:
    """Return the expert's next actions.

    Args:
        scene: a name in `gw_envs.scenes.SCENES`.
        attributes: (N, A) attribute vectors, or (A,) a single one.
        actions: the environment's action mode, "discrete" or "continuous".

    Returns:
        (N,) int64 indices of actions or (N, 3) float32 in [-1, 1]; without the batch axis for a
        single vector.
    """
    check_choice("action mode", actions, ("discrete", "continuous"))
    task = core_type(scene).task
    values = values_from_attributes(scene, check_attributes(scene, attributes))
    across, along = task.goal[0] - values["x"], task.goal[1] - values["y"]
    turn = (task.goal[2] - values["rotation"] + np.pi) % (2 * np.pi) - np.pi
    if actions == "continuous":
        wanted = np.stack([across / task.step, along / task.step, turn / task.turn], -1)
        return np.clip(wanted, -1.0, 1.0).astype(np.float32)
    horizontal = np.where(across > 0, 3, 2)
    vertical = np.where(along > 0, 0, 1)
    move = np.where(np.abs(across) >= np.abs(along), horizontal, vertical)
    far = np.hypot(across, along) > MARGIN * task.tolerance
    return np.where(far, move, np.where(turn > 0, 4, 5))
