"""Which grammar belongs to a scene's name or to a state; the scenes' modules are imported when first asked for."""

from functools import cache
from typing import Any

from gw_envs.language.grammar import Grammar
from gw_envs.scenes import SCENES, get_scene


@cache
def grammar_of_scene(scene: str) -> Grammar:
    """The grammar of the scene called `scene`."""
    return get_scene(scene).load("captions", "GRAMMAR")


def grammar_of_state(state: Any) -> Grammar:
    """The grammar of the scene whose state this is."""
    name = type(state).__name__
    known = {f"{scene.class_prefix}State": scene.name for scene in SCENES.values()}
    if name not in known:
        raise TypeError(f"a {name} has no captions: give a {' or a '.join(known)}")
    return grammar_of_scene(known[name])
