"""Simulate the Factory with PyBullet, which no other file imports.

The table hangs on three joints, along x, along y and about the vertical, so that it can neither
leave the floor nor tip. A motor with a bounded force holds each joint at the speed that the action
asks for; walls and landmarks stop the table.
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

from gw_envs.errors import InputError, MissingPackageError, describe
from gw_envs.factory.state import FLOOR, LANDMARKS, MOST_TURNED, TABLE

STEP_SECONDS = 0.2
"""Simulated seconds in one step."""
SUBSTEPS = 10
"""Simulation ticks in one step: at full speed a corner moves 2 cm in each."""
RUBBER = 0.015
"""Meters by which obstacles are thicker than they look, because a corner sinks in a little."""
MASSES = (0.1, 0.1, 10.0)
"""Kilograms of the slide along x, of the slide along y, and of the table."""
MOTOR_LIMITS = (120.0, 120.0, 20.0)
"""Largest forces of the motors: newtons along x and y, newton meters about the vertical."""
FRICTION = 0.2
"""Coefficient of the table's sides; Bullet multiplies it with the obstacles' 0.5."""
STOPPED = 1e-6
"""Meters or radians by which an unobstructed step may miss its target pose."""
HEIGHT = 0.2
"""Half the height of every body in meters; all motion is horizontal."""
SOLVER = {
    "fixedTimeStep": STEP_SECONDS / SUBSTEPS,
    "numSolverIterations": 10,
    "erp": 0.4,
    "contactERP": 0.4,
    "deterministicOverlappingPairs": 1,
}
"""The parameters of Bullet's solver."""

JOINTS = (0, 1, 2)
TURN = 2 * np.pi
UPRIGHT = (0.0, 0.0, 0.0, 1.0)
ORIGIN = (0.0, 0.0, 0.0)
_HALF_THICKNESS = 0.5  # of the walls, in meters
_WALLS = (
    ((FLOOR + _HALF_THICKNESS, 0.0), (_HALF_THICKNESS, FLOOR)),
    ((-FLOOR - _HALF_THICKNESS, 0.0), (_HALF_THICKNESS, FLOOR)),
    ((0.0, FLOOR + _HALF_THICKNESS), (FLOOR, _HALF_THICKNESS)),
    ((0.0, -FLOOR - _HALF_THICKNESS), (FLOOR, _HALF_THICKNESS)),
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
    """Open a PyBullet world without a window.

    Returns its number and the function that frees it, which also runs when `owner` is deleted.
    Raises RuntimeError if no more worlds can be opened.

    Every world takes 28 MB, because Bullet writes to all memory it allocates: 16 MB of buffers for
    bulk data, 7 MB of pools for 4,096 contacts, 5 MB for a picture of 640 x 480 pixels. PyBullet
    has no parameter for these sizes. Sharing a world would save memory, but the steps of a scene
    would no longer equal those of the scene alone to the bit:

    - Of 24 scenes in one world, with tables that pass through one another, 16 differed within 60
      steps, each from the moment its table first touched two obstacles: a world has one list of
      contacts, and Bullet solves them in the order of that list.
    - Of three scenes that took turns in one world with `saveState` and `restoreState`, one differed
      in half of its steps. Saving also takes as long as several steps.
    """
    client = bullet().connect(bullet().DIRECT)
    if client < 0:
        raise RuntimeError(
            "PyBullet cannot open another world: close environments that are no longer used"
        )
    return client, weakref.finalize(owner, bullet().disconnect, client)


class FactorySimulation:
    """Simulate one scene in a PyBullet world of its own.

    Results depend only on the arguments of the last `reset` and on the steps since, to the bit.
    Every reset rebuilds the world, because Bullet's cached contacts would otherwise carry over.
    """

    def __init__(self) -> None:
        self._client: int | None = None
        self._table = -1
        self._pose = [0.0, 0.0, 0.0]

    def reset(self, pose: ArrayLike, landmarks: ArrayLike) -> None:
        """Put the table at a pose among the landmarks.

        Args:
            pose: (3,) x and y in meters, and the rotation in radians.
            landmarks: (4, 2) centers in meters.

        Raises:
            InputError: a number is not finite or too large for Bullet, which would never return.
        """
        numbers = [*np.ravel(pose).tolist(), *np.ravel(landmarks).tolist()]
        if not all(abs(number) <= MOST_TURNED for number in numbers):
            raise InputError(
                f"the table and the landmarks are at {describe(numbers)}: give finite numbers of "
                f"at most {MOST_TURNED:g}"
            )
        if self._client is None:
            self._client, self._free = connect(self)
        pybullet = bullet()
        pybullet.resetSimulation(physicsClientId=self._client)
        pybullet.setPhysicsEngineParameter(**SOLVER, physicsClientId=self._client)
        self._add_obstacles(np.asarray(landmarks, dtype=np.float64).tolist())
        self._table = self._add_table()
        self._pose = np.asarray(pose, dtype=np.float64).tolist()

    def step(self, velocity: ArrayLike) -> tuple[NDArray[np.float64], bool]:
        """Drive the table for 0.2 s of simulated time.

        Args:
            velocity: (3,) meters a second along x and y of the floor, and radians a second
                counter-clockwise.

        Returns:
            The pose (3,) where the table ends, its rotation in [0, 2 pi), and whether something
            stopped it.
        """
        if self._client is None:
            raise RuntimeError("reset the simulation before the first step")
        pybullet, client = bullet(), self._client
        speeds = np.asarray(velocity, dtype=np.float64).tolist()
        for joint, place, speed in zip(JOINTS, self._pose, speeds, strict=True):
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
        states = pybullet.getJointStates(self._table, JOINTS, physicsClientId=client)
        reached = [state[0] for state in states]
        missed = [
            abs(end - start - speed * STEP_SECONDS)
            for end, start, speed in zip(reached, self._pose, speeds, strict=True)
        ]
        turn = reached[2] % TURN
        reached[2] = 0.0 if turn == TURN else turn  # tiny negative angles round up to a whole turn
        self._pose = reached
        return np.array(reached), max(missed) > STOPPED

    def close(self) -> None:
        """Free the world; a later `reset` opens another."""
        if self._client is not None:
            self._free()
            self._client = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes to copy or pickle; TypeError while a world is open."""
        if self._client is not None:
            raise TypeError(
                "a running simulation cannot be copied or pickled: "
                "make another and reset it with its seed"
            )
        return self.__dict__

    def _add_obstacles(self, landmarks: list[list[float]]) -> None:
        """Add the walls and landmarks as one body that does not move."""
        pybullet, client = bullet(), self._client
        centers = [(*center, 0.0) for center, _ in _WALLS] + [(x, y, 0.0) for x, y in landmarks]
        shape = pybullet.createCollisionShapeArray(
            [pybullet.GEOM_BOX] * len(centers),
            halfExtents=_OBSTACLE_EXTENTS,
            collisionFramePositions=centers,
            physicsClientId=client,
        )
        pybullet.createMultiBody(0, shape, -1, ORIGIN, physicsClientId=client)

    def _add_table(self) -> int:
        """Add the table on its joints, at rest at the origin. Returns its number in the world."""
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
