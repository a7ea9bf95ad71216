"""The one table of scenes: their names, environment ids, attribute fields and image sizes.

Everything else about a scene is found by convention: its package is `gw_envs.NAME`, which holds
`captions.GRAMMAR`, `state.PREFIXState` and `env.PREFIXCore`, `env.PREFIXEnv`,
`env.PREFIXVectorEnv`.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from gw_envs.errors import InputError, describe


@dataclass(frozen=True)
class Field:
    """One named attribute of a scene and its form in the attribute vector.

    A `linear` field maps [low, high] to [-1, 1], one number for each of `width`. An `angle` in
    radians becomes its cosine and its sine. A `one_hot` index becomes `width` numbers, one of them
    1 and the others 0.
    """

    name: str
    kind: Literal["linear", "angle", "one_hot"]
    unit: str
    low: float = 0.0
    high: float = 1.0
    width: int = 1

    @property
    def components(self) -> int:
        """Return how many numbers of the attribute vector the field takes."""
        return 2 if self.kind == "angle" else self.width


@dataclass(frozen=True)
class Scene:
    """A scene's observable attributes, and the names by which its code is found."""

    name: str
    """The scene's name, which is also the name of its package in `gw_envs`."""
    env_id: str
    """The id of the Gymnasium environment."""
    class_prefix: str
    """The first part of the names of the scene's classes."""
    fields: tuple[Field, ...]
    """The attributes, in the order of the attribute vector."""
    image_size: int
    """The default side of an image in pixels."""

    @property
    def attribute_width(self) -> int:
        """Return the length A of the attribute vector."""
        return sum(field.components for field in self.fields)

    def range_of(self, name: str) -> tuple[float, float]:
        """Return the smallest and the largest value of the attribute called `name`."""
        (field,) = (field for field in self.fields if field.name == name)
        return field.low, field.high

    def load(self, module: str, name: str) -> Any:
        """Import `name` from a module of the scene's package."""
        return getattr(import_module(f"gw_envs.{self.name}.{module}"), name)

    def state_type(self) -> Any:
        """Return the class of the scene's states."""
        return self.load("state", f"{self.class_prefix}State")


SCENES: dict[str, Scene] = {
    scene.name: scene
    for scene in (
        Scene(
            "simple_shapes",
            "GWSimpleShapes-v0",
            "SimpleShapes",
            (
                Field("shape", "one_hot", "index", width=3),
                Field("x", "linear", "pixels", 7.0, 24.0),
                Field("y", "linear", "pixels", 7.0, 24.0),
                Field("size", "linear", "pixels", 7.0, 14.0),
                Field("rotation", "angle", "radians"),
                Field("rgb", "linear", "0-255", 0.0, 255.0, width=3),
            ),
            image_size=32,
        ),
        Scene(
            "factory",
            "GWFactory-v0",
            "Factory",
            (
                Field("x", "linear", "meters", -2.0, 2.0),
                Field("y", "linear", "meters", -2.0, 2.0),
                Field("rotation", "angle", "radians"),
                Field("rgb", "linear", "0-255", 0.0, 255.0, width=3),
            ),
            image_size=64,
        ),
    )
}
"""All scenes by name."""

ENV_IDS = tuple(scene.env_id for scene in SCENES.values())
"""The environment ids of all scenes."""

SCENES_BY_STATE = {f"{scene.class_prefix}State": scene for scene in SCENES.values()}
"""Every scene by the name of the class of its states."""

_BY_ID = {scene.env_id: scene for scene in SCENES.values()}


def find_scene(name: str) -> Scene | None:
    """Return the scene of a name or id, with or without `gw_envs:` before it; None if unknown."""
    own = name.removeprefix("gw_envs:") if isinstance(name, str) else ""
    return SCENES.get(own) or _BY_ID.get(own)


def get_scene(name: str) -> Scene:
    """Return the scene of a name or environment id; InputError naming the known ones otherwise."""
    scene = find_scene(name)
    if scene is None:
        raise InputError(
            f"unknown scene {describe(name)}: the scenes are {', '.join(SCENES)}, "
            f"and their ids {', '.join(ENV_IDS)}"
        )
    return scene
