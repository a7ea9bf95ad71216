"""The fixed camera of the Factory: state in, picture out, with no memory of what it saw before.

Everything but the table stands still. The scenery is drawn once for each layout of the landmarks, with its depth; a
frame draws only the table, cropped to the table's bounding box, and the nearer of the two wins in every pixel. The
result is the picture of everything drawn together, which `render_full` draws.

TinyRenderer's 32-bit numbers round differently in a crop, and an edge within some millionths of a pixel of a pixel's
centre may fall on its other side. Where one of the table's edges comes so close (in one frame of 40 at 64 x 64 pixels,
of 10 at 128 x 128), the whole picture is drawn instead of a crop. What is left is a side of the table whose brightness
lies on the border of two levels: pixels of it were one level off in 2 frames of 100,000 at 128 x 128.
"""

import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.assets import asset_path
from gw_envs.compiled import compiled
from gw_envs.factory.sim import bullet, connect
from gw_envs.factory.state import LANDMARKS, TABLE, FactoryState

PITCH = np.radians(61.0)
"""How far below the horizon the camera looks, in radians; it looks north."""
DISTANCE = 14.0
"""From the camera to the point it looks at, in metres."""
TARGET = np.array([0.0, 0.17, 0.0])
"""The point in the middle of the picture, in metres."""
FIELD_OF_VIEW = np.radians(17.6)
"""Across the picture and up it, in radians."""
DEPTH_RANGE = (DISTANCE - 4.0, DISTANCE + 4.0)
"""Nearest and farthest distance drawn, in metres."""
SHADOW_DEPTH_RANGE = (0.01, 1000.0)
"""The same where shadows are drawn: TinyRenderer compares depths rightly only if the near plane is close to 0."""
LIGHT = {
    "lightDirection": [-3.0, -0.6, 4.5],
    "lightDistance": 18.0,
    "lightAmbientCoeff": 0.6,
    "lightDiffuseCoeff": 0.42,
    "lightSpecularCoeff": 0.0,
}
"""The one light, from the left and above."""

SMALLEST, LARGEST = 32, 512
"""Bounds of a picture's side in pixels."""
TABLE_HEIGHT = 0.36
"""Metres from the floor to the table's top."""
ROUNDING = 2e-7
"""How far rounding may move an edge of the table, as a part of the picture's side; 6e-8 is the farthest seen."""
OUT_OF_SIGHT = (0.0, 0.0, -100.0)
CACHE_BYTES = 2**26
"""How much memory a camera may take to remember the scenery of different layouts."""

CORNERS = np.array(
    [
        (x, y, z)
        for x in (-TABLE[0], TABLE[0])
        for y in (-TABLE[1], TABLE[1])
        for z in (0, TABLE_HEIGHT)
    ]
)
"""(8, 3) corners of the box around the table, in the table's own frame, metres."""


def view_matrix() -> NDArray[np.float64]:
    """(4, 4) from the floor's frame to the camera's (x right, y up, z backwards)."""
    sine, cosine = np.sin(PITCH), np.cos(PITCH)
    axes = np.array([[1.0, 0.0, 0.0], [0.0, sine, cosine], [0.0, -cosine, sine]])
    eye = TARGET + DISTANCE * axes[2]
    return np.block([[axes, -(axes @ eye)[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])


def projection_matrix(depth_range: tuple[float, float] = DEPTH_RANGE) -> NDArray[np.float64]:
    """(4, 4) from the camera's frame to clip space."""
    near, far = depth_range
    matrix = np.diag([1 / np.tan(FIELD_OF_VIEW / 2)] * 2 + [(near + far) / (near - far), 0.0])
    matrix[2, 3], matrix[3, 2] = 2 * near * far / (near - far), -1.0
    return matrix


def project(points: ArrayLike, size: int = 64) -> NDArray[np.float64]:
    """Points of the floor's frame -> where they are in a picture of `size` x `size` pixels.

    Args:
        points: (..., 3) x, y and height in metres.
        size: the picture's side in pixels.

    Returns:
        (..., 2) column and row in pixels from the top left corner, not rounded; outside [0, size) if out of sight.
    """
    array = np.asarray(points, dtype=np.float64)
    clip = array @ (_CLIP[:, :3].T) + _CLIP[:, 3]  # (..., 4)
    return (clip[..., :2] / clip[..., 3:] * (1, -1) + 1) * (size / 2)


_CLIP = projection_matrix() @ view_matrix()


def on_picture(points: NDArray[np.float64], state: FactoryState, size: int) -> NDArray[np.float64]:
    """(N, P, 2) column and row of (P, 3) points of each table, as `project` gives them."""
    cosine, sine = np.cos(state.rotation)[:, None], np.sin(state.rotation)[:, None]
    x, y, z = points.T
    placed = [
        state.x[:, None] + cosine * x - sine * y,
        state.y[:, None] + sine * x + cosine * y,
        z + 0 * cosine,
    ]
    return project(np.stack(placed, -1), size)


def crop_boxes(state: FactoryState, size: int, parts: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N, 4) left, top, right and bottom (both exclusive) around each table of (M, 8, 3) `parts`, or of the picture."""
    pixels = on_picture(CORNERS, state, size)
    box = np.concatenate([np.floor(pixels.min(1)) - 1, np.ceil(pixels.max(1)) + 1], -1)
    corners = on_picture(parts.reshape(-1, 3), state, size).reshape(-1, *parts.shape[:2], 2)
    box[[_is_close(table, size * ROUNDING) for table in corners]] = 0, 0, size, size
    return np.clip(box, 0, size).astype(np.int64)


@compiled(error_model="numpy")
def _is_close(parts: NDArray[np.float64], margin: float) -> bool:  # pragma: no cover - compiled
    """Whether a line between two of the (8, 2) corners of a part passes a pixel's centre, in whole numbers, closely."""
    for corners in parts:
        for first in range(8):
            for second in range(first):
                steep = abs(corners[second, 1] - corners[first, 1]) > abs(
                    corners[second, 0] - corners[first, 0]
                )
                along, across = (1, 0) if steep else (0, 1)
                start, end = corners[first, along], corners[second, along]
                slope = (corners[second, across] - corners[first, across]) / (end - start)
                for centre in range(
                    math.ceil(min(start, end) - margin), math.floor(max(start, end) + margin) + 1
                ):
                    place = corners[first, across] + (centre - start) * slope
                    if abs(place - math.floor(place + 0.5)) < margin:
                        return True
    return False


def cropped(
    projection: NDArray[np.float64], size: int, box: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The projection whose whole picture is the pixels of `box` in a picture of `size` x `size`."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    matrix = projection.copy()
    matrix[0] = projection[0] * (size / width) + projection[3] * ((size - left - right) / width)
    matrix[1] = projection[1] * (size / height) - projection[3] * ((size - top - bottom) / height)
    return matrix


class FactoryCamera:
    """Draws batches of Factory states with PyBullet's software renderer.

    Nothing is loaded before the first picture. A picture depends on its state alone: neither on the pictures before
    nor on the other states of the batch.
    """

    def __init__(self, size: int = 64, layouts: int = 16) -> None:
        """Nothing is drawn yet.

        Args:
            size: side of the pictures in pixels, 32 to 512; ValueError otherwise.
            layouts: how many layouts of the landmarks to remember the scenery of, as far as memory allows.
        """
        self.size = _checked(size)
        self._view = view_matrix().T.ravel().tolist()
        self._scenery: int | None = None
        affordable = CACHE_BYTES // (self.size**2 * 7)  # 3 bytes of color and 4 of depth a pixel
        self._most_backgrounds = max(1, min(layouts, affordable))
        self._backgrounds: OrderedDict[bytes, tuple[NDArray[np.uint8], NDArray[np.float32]]] = (
            OrderedDict()
        )

    def render(self, state: FactoryState) -> NDArray[np.uint8]:
        """The pictures of N states: (N, size, size, 3) uint8 RGB, without shadows."""
        self._load()
        state = state.batched()
        pictures = np.empty((len(state), self.size, self.size, 3), dtype=np.uint8)
        projection = projection_matrix()
        for row, box in enumerate(crop_boxes(state, self.size, self._parts)):
            picture, depth = self._background(state.landmarks[row])
            pictures[row] = picture
            left, top, right, bottom = box.tolist()
            if left >= right or top >= bottom:
                continue
            self._place_table(self._table_client, self._table, state, row)
            crop, crop_depth = self._shoot(
                self._table_client, right - left, bottom - top, cropped(projection, self.size, box)
            )
            nearer = crop_depth < depth[top:bottom, left:right]
            np.copyto(pictures[row, top:bottom, left:right], crop, where=nearer[..., None])
        return pictures

    def render_full(
        self, state: FactoryState, size: int | None = None, shadow: bool = True
    ) -> NDArray[np.uint8]:
        """The pictures of N states, everything drawn together: slow, for people and as the reference of `render`.

        Args:
            state: N states.
            size: side of the pictures in pixels, 32 to 512; the camera's own if not given.
            shadow: whether the light throws shadows.

        Returns:
            (N, size, size, 3) uint8 RGB; what `render` draws where `shadow` is False and the sizes are the same.
        """
        side = self.size if size is None else _checked(size)
        self._load()
        assert self._scenery is not None
        state = state.batched()
        projection = projection_matrix(SHADOW_DEPTH_RANGE if shadow else DEPTH_RANGE)
        pictures = np.empty((len(state), side, side, 3), dtype=np.uint8)
        for row in range(len(state)):
            self._place_landmarks(state.landmarks[row])
            self._place_table(self._scenery, self._scenery_table, state, row)
            pictures[row] = self._shoot(self._scenery, side, side, projection, shadow)[0]
        return pictures

    def close(self) -> None:
        """Frees the renderer; a later picture loads it anew."""
        if self._scenery is not None:
            self._free_scenery()
            self._free_table()
            self._scenery = None
            self._backgrounds.clear()

    def __reduce__(self) -> tuple[type, tuple[int, int]]:
        """A copy, also in another process, loads a renderer of its own."""
        return type(self), (self.size, self._most_backgrounds)

    def _load(self) -> None:
        """Makes two clients: the scenery with a table, and a table alone."""
        if self._scenery is not None:
            return
        self._scenery, self._free_scenery = connect(self)
        self._table_client, self._free_table = connect(self)
        _load_body("floor", self._scenery)
        self._landmarks = [
            _load_body(landmark.name.replace(" ", "_"), self._scenery) for landmark in LANDMARKS
        ]
        self._scenery_table = _load_body("table", self._scenery)
        self._table = _load_body("table", self._table_client)
        self._parts = _corners_of_parts(self._table, self._table_client)

    def _background(
        self, landmarks: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """(size, size, 3) colors and (size, size) depths of the scenery, for (4, 2) centres of the landmarks."""
        key = landmarks.tobytes()
        if key in self._backgrounds:
            self._backgrounds.move_to_end(key)
            return self._backgrounds[key]
        assert self._scenery is not None
        self._place_landmarks(landmarks)
        bullet().resetBasePositionAndOrientation(
            self._scenery_table, OUT_OF_SIGHT, (0, 0, 0, 1), physicsClientId=self._scenery
        )
        picture, depth = self._shoot(self._scenery, self.size, self.size, projection_matrix())
        self._backgrounds[key] = picture.copy(), depth.copy()
        if len(self._backgrounds) > self._most_backgrounds:
            self._backgrounds.popitem(last=False)
        return self._backgrounds[key]

    def _place_landmarks(self, landmarks: NDArray[np.float64]) -> None:
        for body, (x, y) in zip(self._landmarks, landmarks.tolist(), strict=True):
            bullet().resetBasePositionAndOrientation(
                body, (x, y, 0), (0, 0, 0, 1), physicsClientId=self._scenery
            )

    @staticmethod
    def _place_table(client: int, table: int, state: FactoryState, row: int) -> None:
        half = float(state.rotation[row]) / 2
        position = (float(state.x[row]), float(state.y[row]), 0.0)
        turn = (0.0, 0.0, np.sin(half), np.cos(half))
        color = [*(state.rgb[row] / 255).tolist(), 1.0]
        bullet().resetBasePositionAndOrientation(table, position, turn, physicsClientId=client)
        bullet().changeVisualShape(table, -1, shapeIndex=0, rgbaColor=color, physicsClientId=client)

    def _shoot(
        self,
        client: int,
        width: int,
        height: int,
        projection: NDArray[np.float64],
        shadow: bool = False,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """(height, width, 3) colors and (height, width) depths in [0, 1] of what `client` holds."""
        pybullet = bullet()
        _, _, rgba, depth, _ = pybullet.getCameraImage(
            width,
            height,
            self._view,
            projection.T.ravel().tolist(),
            shadow=int(shadow),
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=client,
            **LIGHT,
        )
        colors = np.asarray(rgba, dtype=np.uint8).reshape(height, width, 4)[..., :3]
        return colors, np.asarray(depth, dtype=np.float32).reshape(height, width)


def _checked(size: int) -> int:
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"a picture of {size} pixels: its side must be {SMALLEST} to {LARGEST}")
    return int(size)


def _load_body(name: str, client: int) -> int:
    """The body described by assets/factory/`name`.urdf, loaded as something that does not move."""
    path = asset_path(f"factory/{name}.urdf")
    return bullet().loadURDF(str(path), useFixedBase=True, physicsClientId=client)


def _corners_of_parts(body: int, client: int) -> NDArray[np.float64]:
    """(M, 8, 3) corners of what `body` is made of, boxes and meshes of eight corners, in its own frame, metres."""
    parts, box = (
        [],
        np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]),
    )
    for _, _, _, extents, mesh, centre, *_ in bullet().getVisualShapeData(
        body, physicsClientId=client
    ):
        lines = Path(mesh.decode()).read_text().splitlines() if mesh else []
        vertices = np.array(
            [line.split()[1:] for line in lines if line.startswith("v ")], dtype=float
        )
        parts.append(np.unique(vertices, axis=0) if mesh else box * extents + centre)
    return np.stack(parts)
