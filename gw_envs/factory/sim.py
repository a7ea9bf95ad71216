"""The physics of the Factory, and the only file that imports PyBullet.

The table hangs on three joints, along x, along y and about the vertical, so that it can neither leave the floor nor
tip. Motors hold each joint at the speed asked for as far as a bounded force can; walls and landmarks are in the way.
"""

import os
import sys
import weakref
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.errors import MissingPackageError
from gw_envs.factory.state import FLOOR, LANDMARKS, TABLE

STEP_SECONDS = 0.2
"""Simulated seconds in one step."""
SUBSTEPS = 10
"""Ticks of the simulation in one step: at full speed a corner moves 2 cm a tick."""
RUBBER = 0.015
"""Metres by which obstacles are thicker than they look: a corner sinks in as far before it is pushed back."""
MASSES = (0.1, 0.1, 10.0)
"""Of the two slides and of the table, in kg."""
MOTOR_LIMITS = (120.0, 120.0, 20.0)
"""Most that the motors give: newtons along x and y, newton metres about the vertical."""
FRICTION = 0.2
"""Coefficient of the table's sides; that of the obstacles is 0.5, and the two are multiplied."""
STOPPED = 1e-6
"""Metres or radians by which a step that met nothing may miss what was asked."""
HEIGHT = 0.2
"""Half the height of every body, in metres: only its plan matters."""
SOLVER = {
    "fixedTimeStep": STEP_SECONDS / SUBSTEPS,
    "numSolverIterations": 10,
    "erp": 0.4,
    "contactERP": 0.4,
    "deterministicOverlappingPairs": 1,
}

JOINTS = (0, 1, 2)
UPRIGHT = (0.0, 0.0, 0.0, 1.0)
ORIGIN = (0.0, 0.0, 0.0)
_THICK = 0.5  # half the thickness of the walls, metres
_WALLS = (
    ((FLOOR + _THICK, 0.0), (_THICK, FLOOR)),
    ((-FLOOR - _THICK, 0.0), (_THICK, FLOOR)),
    ((0.0, FLOOR + _THICK), (FLOOR, _THICK)),
    ((0.0, -FLOOR - _THICK), (FLOOR, _THICK)),
)
_OBSTACLE_HALVES = [half for _, half in _WALLS] + [
    (mark.half_width, mark.half_depth) for mark in LANDMARKS
]
_OBSTACLE_EXTENTS = [(width + RUBBER, depth + RUBBER, HEIGHT) for width, depth in _OBSTACLE_HALVES]


@cache
def bullet() -> ModuleType:
    """Import PyBullet when it is first needed, without the line that it prints to standard error.

    Raises MissingPackageError if it cannot be imported.
    """
    if sys.modules.get("pybullet"):
        return sys.modules["pybullet"]
    sys.stderr.flush()
    saved, silent = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(silent, 2)
        import pybullet
    except ImportError as error:
        raise MissingPackageError(
            f"the Factory needs PyBullet, which cannot be imported ({error}): run `pip install "
            "pybullet-arm64`, which needs a C++ compiler where it has no wheel (Linux aarch64)"
        ) from error
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(silent)
    return pybullet


def connect(owner: object) -> tuple[int, weakref.finalize]:
    """A new PyBullet world without a window, and the function that frees it, which `owner`'s end calls too.

    Raises RuntimeError if no more can be made. A world takes 28 MB, whatever is in it.
    """
    client = bullet().connect(bullet().DIRECT)
    if client < 0:
        raise RuntimeError(
            "PyBullet cannot open another world: close environments that are no longer used"
        )
    return client, weakref.finalize(owner, bullet().disconnect, client)


class FactorySimulation:
    """The physics of one scene, in a PyBullet world of its own.

    What follows a `reset` depends on its arguments and on the steps alone, to the bit: every reset builds the world
    anew, because Bullet's caches of contacts would otherwise carry something over.
    """

    def __init__(self) -> None:
        self._client: int | None = None
        self._table = -1
        self._pose = np.zeros(3)

    def reset(self, pose: ArrayLike, landmarks: ArrayLike) -> None:
        """Put the table at `pose` (3,), x and y in metres and the rotation in radians, among `landmarks` (4, 2)."""
        if self._client is None:
            self._client, self._free = connect(self)
        pybullet = bullet()
        pybullet.resetSimulation(physicsClientId=self._client)
        pybullet.setPhysicsEngineParameter(**SOLVER, physicsClientId=self._client)
        self._add_obstacles(np.asarray(landmarks, dtype=np.float64).tolist())
        self._table = self._add_table()
        self._pose = np.array(pose, dtype=np.float64)

    def step(self, velocity: ArrayLike) -> tuple[NDArray[np.float64], bool]:
        """Drive the table for 0.2 s of simulated time.

        Args:
            velocity: (3,) metres a second along x and y of the floor, and radians a second counter-clockwise.

        Returns:
            The pose (3,) it ends at, its rotation in [0, 2 pi), and whether something was in its way.
        """
        if self._client is None:
            raise RuntimeError("reset the simulation before the first step")
        pybullet, client = bullet(), self._client
        asked = np.asarray(velocity, dtype=np.float64)
        speeds = asked.tolist()
        for joint, place, speed in zip(JOINTS, self._pose.tolist(), speeds, strict=True):
            pybullet.resetJointState(self._table, joint, place, speed, physicsClientId=client)
        pybullet.setJointMotorControlArray(
            self._table,
            JOINTS,
            pybullet.VELOCITY_CONTROL,
            targetVelocities=speeds,
            forces=MOTOR_LIMITS,
            physicsClientId=client,
        )
        for _ in range(SUBSTEPS):
            pybullet.stepSimulation(physicsClientId=client)
        reached = np.array(
            [
                state[0]
                for state in pybullet.getJointStates(self._table, JOINTS, physicsClientId=client)
            ]
        )
        collided = bool(np.abs(reached - self._pose - asked * STEP_SECONDS).max() > STOPPED)
        turn = reached[2] % (2 * np.pi)
        reached[2] = (
            0.0 if turn == 2 * np.pi else turn
        )  # a tiny negative angle rounds up to a whole turn
        self._pose = reached
        return reached.copy(), collided

    def close(self) -> None:
        """Free the world; a later `reset` makes a new one."""
        if self._client is not None:
            self._free()
            self._client = None

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled or copied; TypeError while a world is open: Bullet's contacts cannot be carried over."""
        if self._client is not None:
            raise TypeError(
                "a running simulation cannot be copied or pickled: make another and reset it with its seed"
            )
        return self.__dict__

    def _add_obstacles(self, landmarks: list[list[float]]) -> None:
        """Walls and landmarks, as one body that does not move."""
        pybullet, client = bullet(), self._client
        centres = [(*centre, 0.0) for centre, _ in _WALLS] + [(x, y, 0.0) for x, y in landmarks]
        shape = pybullet.createCollisionShapeArray(
            [pybullet.GEOM_BOX] * len(centres),
            halfExtents=_OBSTACLE_EXTENTS,
            collisionFramePositions=centres,
            physicsClientId=client,
        )
        pybullet.createMultiBody(0, shape, -1, ORIGIN, physicsClientId=client)

    def _add_table(self) -> int:
        """The table on its joints, at the origin and at rest."""
        pybullet, client = bullet(), self._client
        joints: Sequence[int] = (
            pybullet.JOINT_PRISMATIC,
            pybullet.JOINT_PRISMATIC,
            pybullet.JOINT_REVOLUTE,
        )
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=(*TABLE, HEIGHT), physicsClientId=client
        )
        table = pybullet.createMultiBody(
            0,
            -1,
            -1,
            ORIGIN,
            linkMasses=MASSES,
            linkCollisionShapeIndices=(-1, -1, shape),
            linkVisualShapeIndices=(-1, -1, -1),
            linkPositions=(ORIGIN,) * 3,
            linkOrientations=(UPRIGHT,) * 3,
            linkInertialFramePositions=(ORIGIN,) * 3,
            linkInertialFrameOrientations=(UPRIGHT,) * 3,
            linkParentIndices=(0, 1, 2),
            linkJointTypes=joints,
            linkJointAxis=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
            physicsClientId=client,
        )
        pybullet.changeDynamics(
            table, -1, linearDamping=0, angularDamping=0, physicsClientId=client
        )
        pybullet.changeDynamics(table, 2, lateralFriction=FRICTION, physicsClientId=client)
        return table
