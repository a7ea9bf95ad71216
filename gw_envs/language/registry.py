"""Which grammar belongs to a scene's name or to a state; the scenes' modules are imported when first asked for."""

from functools import cache
from importlib import import_module
from typing import Any

from gw_envs.language.grammar import Grammar
from gw_envs.observation import get_scene

_SCENE_OF_STATE = {"SimpleShapesState": "simple_shapes", "FactoryState": "factory"}


@cache
def grammar_of_scene(scene: str) -> Grammar:
    """The grammar of the scene called `scene`."""
    return import_module(f"gw_envs.{get_scene(scene).name}.captions").GRAMMAR


def grammar_of_state(state: Any) -> Grammar:
    """The grammar of the scene whose state this is."""
    name = type(state).__name__
    if name not in _SCENE_OF_STATE:
        raise TypeError(f"a {name} has no captions: give a {' or a '.join(_SCENE_OF_STATE)}")
    return grammar_of_scene(_SCENE_OF_STATE[name])
