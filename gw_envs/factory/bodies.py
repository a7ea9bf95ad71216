"""Read the triangles of the Factory's bodies from URDF and OBJ files."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_BOX_SIDES = (
    (((-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1)), ((0, 1, 2), (0, 2, 3)), (0, 0, 1)),
    (((-1, -1, -1), (1, -1, -1), (1, 1, -1), (-1, 1, -1)), ((2, 1, 0), (3, 2, 0)), (0, 0, -1)),
    (((-1, -1, -1), (-1, 1, -1), (-1, 1, 1), (-1, -1, 1)), ((2, 1, 0), (3, 2, 0)), (-1, 0, 0)),
    (((1, -1, -1), (1, 1, -1), (1, 1, 1), (1, -1, 1)), ((0, 1, 2), (0, 2, 3)), (1, 0, 0)),
    (((-1, -1, -1), (-1, -1, 1), (1, -1, 1), (1, -1, -1)), ((2, 1, 0), (3, 2, 0)), (0, -1, 0)),
    (((-1, 1, -1), (-1, 1, 1), (1, 1, 1), (1, 1, -1)), ((0, 1, 2), (0, 2, 3)), (0, 1, 0)),
)
"""Corners, triangles and normal of each side of a box, in the order in which Bullet lists them."""


class Body(NamedTuple):
    """The triangles of a body in its own frame, in the order in which they are drawn."""

    vertices: NDArray[np.float32]
    """(V, 3) distinct corners in meters."""
    triangles: NDArray[np.int64]
    """(T, 3) corners of each triangle, counter-clockwise from outside."""
    normals: NDArray[np.float32]
    """(T, 3) unit normals."""
    colors: NDArray[np.uint8]
    """(T, 3) colors before shading."""
    parts: NDArray[np.int64]
    """(T,) number of each triangle's visual in the URDF."""


def load_body(path: Path) -> Body:
    """Read a URDF with one link. Returns the triangles of its visuals.

    The visuals are unturned boxes and OBJ meshes, whose files lie beside the URDF.
    """
    root = ElementTree.parse(path).getroot()
    materials: dict[str, NDArray[np.uint8]] = {}
    corners, normals, colors, parts = [], [], [], []
    for number, visual in enumerate(root.iter("visual")):
        material = _attribute(visual, "material", "name")
        if visual.find("material/color") is not None:
            rgba = _numbers(_attribute(visual, "material/color", "rgba"))
            materials[material] = full_light(rgba[:3])
        if visual.find("geometry/box") is not None:
            own_corners, own_normals = _box(_numbers(_attribute(visual, "geometry/box", "size")))
        else:
            mesh = _attribute(visual, "geometry/mesh", "filename")
            own_corners, own_normals = _mesh(path.parent / mesh)
        origin = _numbers(_attribute(visual, "origin", "xyz"))
        corners.append((own_corners + origin).astype(np.float32))
        normals.append(own_normals)
        colors += [materials[material]] * len(own_corners)
        parts += [number] * len(own_corners)
    points = np.concatenate(corners).reshape(-1, 3)
    vertices, places = np.unique(points, axis=0, return_inverse=True)
    return Body(
        vertices,
        places.reshape(-1, 3).astype(np.int64),
        _unit_normals(np.concatenate(normals)),
        np.array(colors),
        np.array(parts),
    )


def full_light(color: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Round colors in [0, 1] to the levels from 0 to 255 that TinyRenderer shades."""
    return (np.float32(255) * color.astype(np.float32)).astype(np.uint8)


def _attribute(visual: ElementTree.Element, path: str, name: str) -> str:
    """Return an attribute of the element at `path` in a visual."""
    element = visual.find(path)
    assert element is not None
    return element.attrib[name]


def _numbers(text: str) -> NDArray[np.float64]:
    """Read numbers separated by spaces."""
    return np.array(text.split(), dtype=np.float64)


def _box(size: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return corners (12, 3, 3) and normals (12, 3) of a box around the origin."""
    corners, normals = [], []
    for points, triangles, normal in _BOX_SIDES:
        corners += [np.array(points)[list(triangle)] for triangle in triangles]
        normals += [normal] * len(triangles)
    return (np.array(corners) * (size / 2)).astype(np.float32), np.array(normals, np.float32)


def _mesh(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read corners (T, 3, 3) and normals (T, 3) from an OBJ file with one normal per triangle."""
    entries: dict[str, list] = {"v": [], "vn": [], "f": []}
    for line in path.read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind in ("v", "vn"):
            entries[kind].append(_numbers(rest))
        elif kind == "f":
            entries["f"].append([corner.split("/") for corner in rest.split()])
    faces = np.array(entries["f"], dtype=np.int64) - 1
    corners = np.array(entries["v"], np.float32)[faces[:, :, 0]]
    return corners, np.array(entries["vn"], np.float32)[faces[:, 0, 2]]


def _unit_normals(normals: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return unit normals (T, 3).

    TinyRenderer normalizes its normals again for every picture; eight rounds reach the float32
    numbers that another one no longer changes.
    """
    for _ in range(8):
        x, y, z = normals.T
        normals = normals * (np.float32(1) / np.sqrt(x * x + y * y + z * z))[:, None]
    return normals
