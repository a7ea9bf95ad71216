"""Which weights the figures of a summary were measured with."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.harness.cells import Place
from gw_agents.checkpoint import fingerprint
from gw_envs.observation import MODALITIES
from gw_envs.scenes import SCENES

CHECKPOINTS = (*MODALITIES, "workspace", "attention")
"""What a scene's folder of weights holds."""


def weights_digest(place: Place, scene: str) -> str:
    """Return sixteen hexadecimal digits of all checkpoints that a scene's folder holds."""
    folder, digest = place.weights_of(scene), hashlib.sha256()
    for name in CHECKPOINTS:
        path = folder / f"{name}.safetensors"
        if path.exists():
            digest.update(f"{name} {fingerprint(path)}\n".encode())
    return digest.hexdigest()[:16]


def outdated_scenes(head: Mapping[str, Any], scenes: Iterable[str]) -> list[str]:
    """Return those of a summary's scenes that were measured with other weights than the shipped
    ones."""
    measured, shipped = head.get("weights", {}), Place()
    listed = [scene for scene in SCENES if scene in set(scenes)]
    return [scene for scene in listed if measured.get(scene) != weights_digest(shipped, scene)]


def outdated_note(head: Mapping[str, Any], scenes: Iterable[str]) -> str:
    """Return a sentence for readers of figures that were measured with earlier weights; "" if all
    are of the shipped ones."""
    outdated = outdated_scenes(head, scenes)
    if not outdated:
        return ""
    titles = " and ".join(scene.replace("_", " ").title() for scene in outdated)
    return (
        f"> **Not yet recomputed.** The figures of {titles} on this page were measured with the"
        " weights of an earlier version; the commands below compute them for the present ones."
    )
