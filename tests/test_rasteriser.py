"""Triangles fill the pixels that TinyRenderer fills, in the shades worked out by hand."""

import numpy as np
import pytest

from gw_envs.assets import asset_path
from gw_envs.factory.bodies import Body, full_light, load_body
from gw_envs.factory.rasteriser import Optics, draw, draw_body

SIZE = 8
FAR = np.float32(-100)


def flat_optics(light=(0, 0, 1)):
    """A camera that looks straight down, and for which x and y are columns and lines."""
    to_clip = np.diag([2 / SIZE, 2 / SIZE, -1, 1])
    to_clip[0, 3] = to_clip[1, 3] = -1
    return Optics(
        to_camera=np.eye(4, dtype=np.float32),
        to_clip=to_clip.astype(np.float32),
        eye=np.array([0, 0, 10], np.float32),
        light=np.array(light, np.float32),
        ambient=np.float32(0.5),
        diffuse=np.float32(0.25),
        farthest=FAR,
    )


def flat_body(*heights, colors=((200, 100, 40),)):
    """A triangle for each height, with legs of 4 pixels along the left and the lower border."""
    corners = [[(0, 0, height), (4, 0, height), (0, 4, height)] for height in heights]
    return Body(
        vertices=np.array(corners, np.float32).reshape(-1, 3),
        triangles=np.arange(3 * len(heights)).reshape(-1, 3),
        normals=np.tile(np.array([0, 0, 1], np.float32), (len(heights), 1)),
        colors=np.array(colors, np.uint8),
        parts=np.arange(len(heights)),
    )


def drawn(body, optics=None, x=0.0, y=0.0, rotation=0.0):
    picture = np.full((SIZE, SIZE, 3), 255, np.uint8)
    depth = np.full((SIZE, SIZE), FAR)
    draw_body(picture, depth, body, body.colors, optics or flat_optics(), x, y, rotation)
    return picture


def test_pixels_on_the_edges_belong_to_a_triangle():
    columns, lines = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    expected = (columns + lines <= 4)[::-1]  # the picture's first row is its highest line
    assert ((drawn(flat_body(0)) != 255).any(-1) == expected).all()
    moved = drawn(flat_body(0), x=2.0, y=3.0)
    assert ((moved[:-3, 2:] != 255).any(-1) == expected[3:, :-2]).all()


def test_shades_by_hand():
    assert drawn(flat_body(0))[-1, 0].tolist() == [150, 75, 30]  # half by day, a quarter by light
    from_the_side = drawn(flat_body(0), flat_optics((1, 0, 0)))
    assert from_the_side[-1, 0].tolist() == [100, 50, 20]
    slanted = drawn(flat_body(0), flat_optics((0.6, 0, 0.8)))
    assert slanted[-1, 0].tolist() == [140, 70, 28]


def test_the_nearer_triangle_wins_and_the_later_one_at_equal_depth():
    colors = ((200, 0, 0), (0, 200, 0))
    assert drawn(flat_body(1, 0, colors=colors))[-1, 0].tolist() == [150, 0, 0]
    assert drawn(flat_body(0, 1, colors=colors))[-1, 0].tolist() == [0, 150, 0]
    assert drawn(flat_body(1, 1, colors=colors))[-1, 0].tolist() == [0, 150, 0]


def test_backs_are_not_drawn():
    body = flat_body(0)
    turned = body._replace(triangles=body.triangles[:, ::-1].copy())
    assert (drawn(turned) == 255).all()


def test_a_turn_is_counter_clockwise():
    turned = drawn(flat_body(0), x=4.75, y=0.5, rotation=np.pi / 2)[::-1]
    columns, lines = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    inside = (columns <= 4) & (lines >= 1) & (lines < columns)
    assert ((turned != 255).any(-1) == inside).all()


def test_a_batch_gives_the_first_part_each_row_its_color_and_leaves_other_rows_alone():
    body = flat_body(0, 1, colors=((0, 0, 0), (40, 40, 40)))
    pictures = np.full((3, SIZE, SIZE, 3), 255, np.uint8)
    depth = np.full((SIZE, SIZE), FAR)
    zeros = np.zeros(3)
    rgb = np.array([(200, 0, 0), (0, 0, 0), (0, 200, 0)], np.uint8)
    swapped = body._replace(parts=np.array([1, 0]))
    draw(pictures, np.array([0, 2]), depth, swapped, flat_optics(), zeros, zeros, zeros, rgb)
    assert pictures[:, -1, 0].tolist() == [[150, 0, 0], [255, 255, 255], [0, 150, 0]]
    assert (depth == FAR).all()


def test_colors_of_a_state_are_shaded_as_they_are():
    levels = np.arange(256)
    assert (full_light(levels / 255) == levels).all()


@pytest.mark.parametrize(("name", "boxes", "faces"), [("table", 7, 12), ("cones", 3, 3 * 58)])
def test_bodies_have_the_triangles_of_their_boxes_and_meshes(name, boxes, faces):
    body = load_body(asset_path(f"factory/{name}.urdf"))
    assert len(body.triangles) == len(body.colors) == len(body.normals) == 12 * boxes + faces
    corners = body.vertices[body.triangles].astype(float)
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing /= np.linalg.norm(facing, axis=-1, keepdims=True)
    np.testing.assert_allclose(facing, body.normals, atol=2e-3)  # meshes hold four decimals


def test_the_table_is_as_large_as_it_collides():
    vertices = load_body(asset_path("factory/table.urdf")).vertices
    np.testing.assert_allclose(vertices.min(0), (-0.5, -0.35, 0), atol=1e-7)
    np.testing.assert_allclose(vertices.max(0), (0.5, 0.35, 0.36), atol=1e-7)
