"""Simple Shapes: one shape on a black square, after the published dataset."""

from gw_envs.simple_shapes.render import render
from gw_envs.simple_shapes.state import SimpleShapesState

__all__ = ["SimpleShapesState", "render"]
