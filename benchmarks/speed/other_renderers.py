"""Other ways to draw Simple Shapes, with the same outlines and colors: baselines of speed."""

import io
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gw_envs.simple_shapes import SimpleShapesState
from gw_envs.simple_shapes.render import LENGTHS, OUTLINES
from gw_envs.simple_shapes.state import CANVAS

_CURVE = 4
"""Matplotlib's code for the points of a cubic Bezier arc."""
_EGG = [
    (0.5, 0.0),
    (0.8, 0.0),
    (0.9, 0.1),
    (0.9, 0.3),
    (0.9, 0.5),
    (0.7, 1.0),
    (0.5, 1.0),
    (0.3, 1.0),
    (0.1, 0.5),
    (0.1, 0.3),
    (0.1, 0.1),
    (0.2, 0.0),
    (0.5, 0.0),
]


def _placed(points: NDArray[np.float64], state: SimpleShapesState, row: int) -> NDArray[np.float64]:
    """Place (P, 2) points of the centered unit square in a scene: in pixels, y upwards."""
    cosine = np.cos(state.rotation[row]) * state.size[row]
    sine = np.sin(state.rotation[row]) * state.size[row]
    return points @ np.array([[cosine, sine], [-sine, cosine]]) + (state.x[row], state.y[row])


class Matplotlib:
    """Draws one scene at a time with matplotlib's Agg canvas, 32 x 32 pixels."""

    def __init__(self) -> None:
        """Open the figures that are reused."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        self._pyplot, self._path, self._patch = pyplot, Path, PathPatch
        closed = [
            np.concatenate([OUTLINES[shape, : LENGTHS[shape]], OUTLINES[shape, :1]])
            for shape in (0, 2)
        ]
        egg = Path(np.array(_EGG) - 0.5, [1] + [_CURVE] * 12)
        self._outlines = [Path(closed[0], closed=True), egg, Path(closed[1], closed=True)]
        self._figure, self._axes = pyplot.subplots(figsize=(1, 1), dpi=CANVAS)
        self._bare = pyplot.figure(figsize=(1, 1), dpi=CANVAS, facecolor="black")
        bare = self._bare.add_axes((0, 0, 1, 1))
        bare.set(xlim=(0, CANVAS), ylim=(0, CANVAS))
        bare.axis("off")
        self._only: Any = bare.add_patch(PathPatch(egg, linewidth=0))

    def one_figure(self, state: SimpleShapesState, row: int) -> NDArray[np.uint8]:
        """Draw (32, 32, 3) in one figure for all scenes, its axes cleared and set up for each."""
        self._axes.clear()
        self._paint(self._axes, state, row)
        self._figure.tight_layout(pad=0)
        return self._pixels(self._figure)

    def new_figure(self, state: SimpleShapesState, row: int) -> bytes:
        """Return the PNG file of a figure of its own: how the published dataset was drawn."""
        figure, axes = self._pyplot.subplots(figsize=(CANVAS, CANVAS), dpi=1)
        self._paint(axes, state, row)
        figure.tight_layout(pad=0)
        file = io.BytesIO()
        figure.savefig(file, dpi=1, format="png")
        self._pyplot.close(figure)
        return file.getvalue()

    def one_patch(self, state: SimpleShapesState, row: int) -> NDArray[np.uint8]:
        """Draw (32, 32, 3) in bare axes whose outline and color alone change: matplotlib at its
        best."""
        self._only.set_path(self._outline(state, row))
        self._only.set_facecolor(state.rgb[row] / 255)
        return self._pixels(self._bare)

    def close(self) -> None:
        """Close the figures."""
        self._pyplot.close(self._figure)
        self._pyplot.close(self._bare)

    def _outline(self, state: SimpleShapesState, row: int) -> Any:
        outline = self._outlines[state.shape[row]]
        return self._path(_placed(outline.vertices, state, row), outline.codes)

    def _paint(self, axes: Any, state: SimpleShapesState, row: int) -> None:
        axes.add_patch(
            self._patch(self._outline(state, row), facecolor=state.rgb[row] / 255, linewidth=0)
        )
        axes.set(xlim=(0, CANVAS), ylim=(0, CANVAS), xticks=[], yticks=[], facecolor="black")

    @staticmethod
    def _pixels(figure: Any) -> NDArray[np.uint8]:
        figure.canvas.draw()
        return np.array(figure.canvas.buffer_rgba())[..., :3]


def drawn_as_published(state: SimpleShapesState) -> NDArray[np.uint8]:
    """Draw N scenes as the published dataset was drawn: (N, 32, 32, 3)."""
    renderer, images = Matplotlib(), []
    for row in range(len(state)):
        file = np.frombuffer(renderer.new_figure(state, row), np.uint8)
        images.append(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))[..., ::-1])
    renderer.close()
    return np.stack(images)


def supersampled(state: SimpleShapesState, row: int, factor: int = 4) -> NDArray[np.uint8]:
    """Draw (32, 32, 3) with OpenCV `factor` times as large, without anti-aliasing, and average."""
    points = _placed(OUTLINES[state.shape[row], : LENGTHS[state.shape[row]]], state, row)
    pixels = np.stack([points[:, 0], CANVAS - points[:, 1]], -1) * factor - 0.5
    picture = np.zeros((CANVAS * factor, CANVAS * factor, 3), np.uint8)
    cv2.fillPoly(
        picture, [np.round(pixels * 16).astype(np.int32)], state.rgb[row].tolist(), shift=4
    )
    return np.asarray(cv2.resize(picture, (CANVAS, CANVAS), interpolation=cv2.INTER_AREA), np.uint8)
