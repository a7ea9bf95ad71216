"""Draw the Factory as its fixed camera sees it: a picture depends on the scene's state alone.

Everything but the table stands still. The camera draws the background once for each layout of the
landmarks and keeps it with its depth; a frame then costs only the table's triangles. The pictures
equal those of PyBullet's TinyRenderer, which `render_full` uses for views shown to people.
"""

from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.assets import asset_path
from gw_envs.compiled import compiled
from gw_envs.errors import check_whole
from gw_envs.factory.bodies import Body, load_body
from gw_envs.factory.rasteriser import Optics, draw, draw_body, round_optics
from gw_envs.factory.sim import bullet, connect
from gw_envs.factory.state import FARTHEST, LANDMARKS, MOST_TURNED, FactoryState

PITCH = np.radians(61.0)
"""How far below the horizon the camera looks, in radians; it looks north."""
DISTANCE = 14.0
"""Meters from the camera to the point it looks at."""
TARGET = np.array([0.0, 0.17, 0.0])
"""The point in the middle of the picture: x, y and height in meters."""
FIELD_OF_VIEW = np.radians(17.6)
"""Angle across the picture, and from its bottom to its top, in radians."""
DEPTH_RANGE = (DISTANCE - 4.0, DISTANCE + 4.0)
"""Nearest and farthest distance that is drawn, in meters."""
SHADOW_DEPTH_RANGE = (0.01, 1000.0)
"""The same range for pictures with shadows, which need a near plane close to 0."""
LIGHT: dict[str, Any] = {
    "lightDirection": [-3.0, -0.6, 4.5],
    "lightDistance": 18.0,
    "lightAmbientCoeff": 0.6,
    "lightDiffuseCoeff": 0.42,
    "lightSpecularCoeff": 0.0,
}
"""The one light, from the left and above."""

SMALLEST, LARGEST = 32, 512
"""Bounds of a picture's side in pixels."""
CACHE_BYTES = 2**26
"""Memory in bytes that a camera may use for the backgrounds of different layouts."""
SCENERY = ("floor", *(landmark.name.replace(" ", "_") for landmark in LANDMARKS))
"""The bodies that stand still, in drawing order; `assets/factory` holds their descriptions."""


def view_matrix() -> NDArray[np.float64]:
    """Return (4, 4) from the floor's frame to the camera's: x right, y up, z backwards."""
    sine, cosine = np.sin(PITCH), np.cos(PITCH)
    axes = np.array([[1.0, 0.0, 0.0], [0.0, sine, cosine], [0.0, -cosine, sine]])
    eye = TARGET + DISTANCE * axes[2]
    return np.block([[axes, -(axes @ eye)[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])


def projection_matrix(depth_range: tuple[float, float] = DEPTH_RANGE) -> NDArray[np.float64]:
    """Return (4, 4) from the camera's frame to clip space."""
    near, far = depth_range
    matrix = np.diag([1 / np.tan(FIELD_OF_VIEW / 2)] * 2 + [(near + far) / (near - far), 0.0])
    matrix[2, 3], matrix[3, 2] = 2 * near * far / (near - far), -1.0
    return matrix


def project(points: ArrayLike, size: int = 64) -> NDArray[np.float64]:
    """Project points of the floor's frame into a picture of `size` x `size` pixels.

    Args:
        points: (..., 3) x, y and height in meters.
        size: the picture's side in pixels.

    Returns:
        (..., 2) column and row in pixels from the top left corner, not rounded; outside [0, size)
        if out of sight.
    """
    array = np.asarray(points, dtype=np.float64)
    clip = array @ (_CLIP[:, :3].T) + _CLIP[:, 3]  # (..., 4)
    return (clip[..., :2] / clip[..., 3:] * (1, -1) + 1) * (size / 2)


_CLIP = projection_matrix() @ view_matrix()


@compiled()
def _can_be_drawn(x, y, rotation, landmarks):  # pragma: no cover - compiled
    """Tell whether all numbers of N states are finite and in the range of their columns."""
    for n in range(len(x)):
        if not (abs(x[n]) <= FARTHEST and abs(y[n]) <= FARTHEST):
            return False
        if not abs(rotation[n]) <= MOST_TURNED:
            return False
        for number in landmarks[n].flat:
            if not abs(number) <= FARTHEST:
                return False
    return True


class FactoryCamera:
    """Draw batches of Factory states.

    Nothing is loaded before the first picture. A picture depends on its own state alone, neither
    on earlier pictures nor on the other states of the batch.
    """

    def __init__(self, size: int = 64, layouts: int = 16) -> None:
        """Make a camera that has drawn nothing yet.

        Args:
            size: side of the pictures in pixels, 32 to 512; InputError otherwise.
            layouts: number of landmark layouts whose backgrounds are kept, as far as
                `CACHE_BYTES` allows.
        """
        self.size = check_whole("size", size, SMALLEST, LARGEST)
        affordable = CACHE_BYTES // (self.size**2 * 7)  # 3 bytes of color and 4 of depth a pixel
        self._most_backgrounds = max(1, min(layouts, affordable))
        self._backgrounds: OrderedDict[bytes, tuple[NDArray[np.uint8], NDArray[np.float32]]] = (
            OrderedDict()
        )
        self._client: int | None = None

    def render(self, state: FactoryState) -> NDArray[np.uint8]:
        """Draw N states without shadows. Returns (N, size, size, 3) uint8 RGB."""
        state = state.batched()
        pictures = np.empty((len(state), self.size, self.size, 3), dtype=np.uint8)
        x, y, rotation = (
            np.ascontiguousarray(field, dtype=np.float64)
            for field in (state.x, state.y, state.rotation)
        )
        if not _can_be_drawn(x, y, rotation, np.ascontiguousarray(state.landmarks)):
            state.check()  # raises InputError; drawing them would never end
        colors = np.ascontiguousarray(state.rgb)
        rows_of_layouts: dict[bytes, list[int]] = {}
        for row, landmarks in enumerate(state.landmarks):
            rows_of_layouts.setdefault(landmarks.tobytes(), []).append(row)
        for layout, rows in rows_of_layouts.items():
            background, depth = self._background(layout)
            chosen = np.array(rows)
            pictures[chosen] = background
            draw(pictures, chosen, depth, table(), optics(), x, y, rotation, colors)
        return pictures

    def render_full(
        self, state: FactoryState, size: int | None = None, shadow: bool = True
    ) -> NDArray[np.uint8]:
        """Draw N states with PyBullet, slowly: for people, and as the reference for `render`.

        Args:
            state: N states.
            size: side of the pictures in pixels, 32 to 512; the camera's own by default.
            shadow: whether bodies cast shadows.

        Returns:
            (N, size, size, 3) uint8 RGB, equal to `render` without shadows at the camera's size.
        """
        side = self.size if size is None else check_whole("size", size, SMALLEST, LARGEST)
        state = state.batched()
        state.check()  # Bullet never returns from very large numbers
        client = self._load()
        projection = projection_matrix(SHADOW_DEPTH_RANGE if shadow else DEPTH_RANGE)
        pictures = np.empty((len(state), side, side, 3), dtype=np.uint8)
        for row in range(len(state)):
            self._place(client, state, row)
            pictures[row] = _photograph(client, side, projection, shadow)
        return pictures

    def close(self) -> None:
        """Free PyBullet's world and the backgrounds; a later picture loads them again."""
        self._backgrounds.clear()
        if self._client is not None:
            self._free()
            self._client = None

    def __reduce__(self) -> tuple[type, tuple[int, int]]:
        """Copy or pickle the settings only."""
        return type(self), (self.size, self._most_backgrounds)

    def _background(self, layout: bytes) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Draw everything but the table. Returns (size, size, 3) colors and (size, size) depths.

        Args:
            layout: the bytes of (4, 2) float64 centers of the landmarks.
        """
        if layout in self._backgrounds:
            self._backgrounds.move_to_end(layout)
            return self._backgrounds[layout]
        picture = np.full((self.size, self.size, 3), 255, np.uint8)
        depth = np.full((self.size, self.size), optics().farthest)
        places = [(0.0, 0.0), *np.frombuffer(layout).reshape(-1, 2).tolist()]
        for body, (x, y) in zip(scenery(), places, strict=True):
            draw_body(picture, depth, body, body.colors, optics(), x, y, 0.0)
        self._backgrounds[layout] = picture, depth
        if len(self._backgrounds) > self._most_backgrounds:
            self._backgrounds.popitem(last=False)
        return picture, depth

    def _load(self) -> int:
        """Load the scene into a PyBullet world at the first call. Returns the world's number."""
        if self._client is None:
            self._client, self._free = connect(self)
            self._bodies = [
                bullet().loadURDF(
                    str(_description(name)), useFixedBase=True, physicsClientId=self._client
                )
                for name in (*SCENERY, "table")
            ]
        return self._client

    def _place(self, client: int, state: FactoryState, row: int) -> None:
        """Move and color PyBullet's bodies as in `row` of `state`."""
        *landmarks, table = self._bodies[1:]
        for body, (x, y) in zip(landmarks, state.landmarks[row].tolist(), strict=True):
            bullet().resetBasePositionAndOrientation(
                body, (x, y, 0), (0, 0, 0, 1), physicsClientId=client
            )
        half = float(state.rotation[row]) / 2
        position = (float(state.x[row]), float(state.y[row]), 0.0)
        turn = (0.0, 0.0, np.sin(half), np.cos(half))
        color = [*(state.rgb[row] / 255).tolist(), 1.0]
        bullet().resetBasePositionAndOrientation(table, position, turn, physicsClientId=client)
        bullet().changeVisualShape(table, -1, shapeIndex=0, rgbaColor=color, physicsClientId=client)


def _photograph(
    client: int, size: int, projection: NDArray[np.float64], shadow: bool
) -> NDArray[np.uint8]:
    """Draw a PyBullet world with TinyRenderer. Returns (size, size, 3) uint8 RGB."""
    pybullet = bullet()
    _, _, rgba, _, _ = pybullet.getCameraImage(
        size,
        size,
        view_matrix().T.ravel().tolist(),
        projection.T.ravel().tolist(),
        shadow=int(shadow),
        renderer=pybullet.ER_TINY_RENDERER,
        physicsClientId=client,
        **LIGHT,
    )
    # PyBullet returns tuples if it was built without NumPy
    return np.asarray(rgba, dtype=np.uint8).reshape(size, size, 4)[..., :3]


def _description(name: str) -> Path:
    """Return the path of the URDF that describes a body."""
    return asset_path(f"factory/{name}.urdf")


@cache
def table() -> Body:
    """Load the triangles of the table; its first part takes the color of the state."""
    return load_body(_description("table"))


@cache
def scenery() -> tuple[Body, ...]:
    """Load the triangles of the floor and of each landmark."""
    return tuple(load_body(_description(name)) for name in SCENERY)


@cache
def optics() -> Optics:
    """Return the camera and its light, rounded for the rasteriser."""
    return round_optics(
        view_matrix(),
        projection_matrix(),
        LIGHT["lightDirection"],
        LIGHT["lightAmbientCoeff"],
        LIGHT["lightDiffuseCoeff"],
    )
