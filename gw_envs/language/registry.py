"""Find the grammar of a scene or a state; scenes' modules are imported when first needed."""

from functools import cache
from typing import Any

from gw_envs.errors import InputTypeError, describe
from gw_envs.language.grammar import Grammar
from gw_envs.scenes import SCENES_BY_STATE, get_scene


def grammar_of_scene(scene: str) -> Grammar:
    """Return the grammar of a scene by its name or environment id; InputError if it is unknown."""
    return _load(get_scene(scene).name)


def grammar_of_state(state: Any) -> Grammar:
    """Return the grammar of the scene whose state this is; InputTypeError if it is no state."""
    scene = SCENES_BY_STATE.get(type(state).__name__)
    if scene is None:
        kinds = " or a ".join(SCENES_BY_STATE)
        raise InputTypeError(
            f"a {type(state).__name__} has no captions, {describe(state, 40)}: give a {kinds}"
        )
    return _load(scene.name)


@cache
def _load(scene: str) -> Grammar:
    """Import the grammar of a scene."""
    return get_scene(scene).load("captions", "GRAMMAR")
