"""Check that a workspace can read what an environment shows, before the first observation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3.common.vec_env import VecEnv

from gw_agents.domains.base import Domain
from gw_agents.global_workspace import (
    AttentionChoice,
    GlobalWorkspace,
    explicit_weights,
    usable_modalities,
)
from gw_envs.errors import InputError, describe
from gw_envs.scenes import find_scene


def load_workspace(gw: GlobalWorkspace | str | Path) -> GlobalWorkspace:
    """Return a workspace as it is, or load it by a scene's name or from a folder of weights."""
    if isinstance(gw, str | Path):
        return GlobalWorkspace.from_pretrained(gw)
    if not isinstance(gw, GlobalWorkspace):
        raise InputError(
            f"the workspace is {describe(gw)}: give a GlobalWorkspace, the name of a scene, or a"
            " folder of weights"
        )
    return gw


def core_of(venv: VecEnv) -> Any:
    """Return the core of our environments; that of the first row if each has its own.

    Returns None if the environments are not ours, or run in their own processes.
    """
    in_process = not hasattr(venv.unwrapped, "remotes") and venv.has_attr("core")
    return venv.get_attr("core", 0)[0] if in_process else None


def scene_of_env(env: gym.Env | VecEnv) -> str | None:
    """Return the name of the built-in scene that an environment shows; None if it is not ours."""
    if isinstance(env, VecEnv):
        core = core_of(env)
        spec = env.get_attr("spec", 0)[0] if core is None and env.has_attr("spec") else None
    else:
        core, spec = getattr(env.unwrapped, "core", None), env.spec
    scene = getattr(core, "scene", None) or (find_scene(spec.id) if spec else None)
    return getattr(scene, "name", None)


def check_scene(gw: GlobalWorkspace, scene: str | None) -> None:
    """Raise InputError if the environment shows another built-in scene than the workspace's."""
    known = find_scene(gw.scene_name)
    if scene is not None and scene != (known.name if known else gw.scene_name):
        raise InputError(
            f"the workspace knows the scene {gw.scene_name!r}, and the environments show {scene!r}:"
            " give the workspace of their scene"
        )


def check_attention(
    gw: GlobalWorkspace, attention: AttentionChoice, modalities: tuple[str, ...]
) -> None:
    """Raise InputError unless `GlobalWorkspace.encode` could fuse `modalities` with `attention`."""
    if isinstance(attention, str):
        gw.attention_called(attention)
    elif attention is not None:
        explicit_weights(attention, modalities)


def readable_modalities(
    space: gym.Space, gw: GlobalWorkspace, modalities: Sequence[str] | None
) -> tuple[tuple[str, ...], int | None]:
    """Return the modalities to encode, and the number of stacked frames (None without stacking).

    Raises InputError naming the keys that the observation lacks, or a shape that does not fit.
    """
    names = usable_modalities(space, gw, modalities)
    assert isinstance(space, gym.spaces.Dict)
    frames = {_frames(space[name], gw.domain_modules[name], name, gw) for name in names}
    if len(frames) > 1:
        raise InputError(
            f"of the modalities {', '.join(names)} some are stacked and some are not: stack all"
            " frames or none"
        )
    return names, frames.pop()


def _frames(space: gym.Space, domain: Domain, name: str, gw: GlobalWorkspace) -> int | None:
    """Return the length of an additional first axis; None without one. InputError if the rest does
    not fit."""
    shape = space.shape
    if shape is None or fits(shape, domain):  # a text has no shape
        return None
    if fits(shape[1:], domain):
        return shape[0]
    message = f"{name} has the shape {shape} here, and the workspace reads {domain.shape}"
    axes = len(domain.shape)
    if name == "attributes" and len(shape) == axes == 1 and shape[0] % domain.shape[0]:
        message += (
            ": layout='random' appends the places of landmarks to the attributes; choose"
            " layout='fixed', or train a workspace on this layout"
        )
    elif len(shape) == axes:
        message += (
            ": if frames are stacked, stack workspace vectors instead, as in"
            " VecFrameStack(GWVecObservation(venv, gw))"
        )
    raise InputError(message)


def fits(shape: tuple[int, ...], domain: Domain) -> bool:
    """Return whether the domain module reads observations of that shape."""
    wanted = domain.shape
    return len(shape) == len(wanted) and all(
        length in (-1, size) for length, size in zip(wanted, shape, strict=True)
    )
