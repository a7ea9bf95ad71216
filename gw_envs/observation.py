"""What an agent is shown: the names, spaces and scalings of every modality of every scene.

This file is the only contract between the environments and the models. A scene is known here by its name and its
attribute fields alone; nothing here knows how a scene is drawn or moved.
"""

import string
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from gw_envs.compiled import compiled
from gw_envs.errors import InputError, check_array, describe
from gw_envs.scenes import Scene, get_scene

MODALITIES = ("image", "attributes", "language")
"""Every modality, in the order in which observations list them."""

MAX_TOKENS = 48
"""Length of the `language` observation: a caption's token ids, padded with 0."""

MAX_VOCABULARY = 1024
"""Upper bound of the token ids; the vocabulary itself (`gw_envs.language.VOCABULARY`) is smaller."""


MAX_SENTENCE = 400
"""Upper bound of a caption's length in characters."""

SENTENCE_CHARACTERS = string.ascii_letters + " -',."
"""The characters of captions."""


def check_modalities(
    modalities: Iterable[str], known: Sequence[str] = MODALITIES
) -> tuple[str, ...]:
    """The modalities asked for, in the order of `known`; ValueError if there are none, or unknown or repeated ones."""
    if not isinstance(modalities, Iterable):
        raise ValueError(f"modalities is {modalities!r}: name at least one of {', '.join(known)}")
    asked = (modalities,) if isinstance(modalities, str) else tuple(modalities)
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise ValueError(f"unknown modality {unknown[0]!r}: the modalities are {', '.join(known)}")
    if not asked:
        raise ValueError(f"modalities is empty: name at least one of {', '.join(known)}")
    if len(set(asked)) != len(asked):
        raise ValueError(f"modalities {asked} names one twice: name each at most once")
    return tuple(name for name in known if name in asked)


def observation_space(
    scene: Scene,
    modalities: Iterable[str],
    image_size: int,
    extra_attributes: int = 0,
    language: str = "tokens",
) -> spaces.Dict:
    """The Dict space of one observation.

    `image` is (S, S, 3) uint8, `attributes` (A,) float32 in [-1, 1], `language` (MAX_TOKENS,) int64 token ids, or a
    sentence where `language` is "text". `extra_attributes` counts numbers appended to the attribute vector (landmark
    positions of a random layout).
    """
    width = scene.attribute_width + extra_attributes
    known: dict[str, spaces.Space] = {
        "image": spaces.Box(0, 255, (image_size, image_size, 3), np.uint8),
        "attributes": spaces.Box(-1.0, 1.0, (width,), np.float32),
        "language": spaces.Box(0, MAX_VOCABULARY - 1, (MAX_TOKENS,), np.int64)
        if language == "tokens"
        else spaces.Text(MAX_SENTENCE, min_length=1, charset=SENTENCE_CHARACTERS),
    }
    return spaces.Dict({name: known[name] for name in check_modalities(modalities)})


def attributes_from_values(scene: str, values: Mapping[str, ArrayLike]) -> NDArray[np.float32]:
    """Named values in their own units -> attribute vectors.

    Args:
        scene: a name in `SCENES`.
        values: one entry for each field of the scene, shaped (...,), or (..., width) where the field is wider than
            one number and not one-hot. Units are the fields': pixels or metres, radians, 0-255, class index.

    Returns:
        (..., A) float32, in [-1, 1]; the one-hot in 0..1. Values outside a field's range are clipped.
    """
    fields = get_scene(scene).fields
    missing = [field.name for field in fields if field.name not in values]
    if missing:
        raise ValueError(
            f"no value for {', '.join(missing)}: {scene} needs {', '.join(f.name for f in fields)}"
        )
    spans, low, gain, shift = _scaling(scene)
    raw = np.empty((*np.shape(values["rotation"]), len(low)))
    for field, span in zip(fields, spans, strict=True):
        value = np.asarray(values[field.name])
        if field.kind == "one_hot":
            raw[..., span] = value[..., None] == np.arange(field.width)
        elif field.kind == "angle":
            raw[..., span.start], raw[..., span.start + 1] = np.cos(value), np.sin(value)
        else:
            raw[..., span] = value if field.width > 1 else value[..., None]
    return _scaled(raw.reshape(-1, len(low)), low, gain, shift).reshape(raw.shape)


@compiled()
def _scaled(raw, low, gain, shift):  # pragma: no cover - compiled
    """(N, A) raw numbers -> (N, A) float32, (raw - low) gain - shift, clipped to [-1, 1]; NaN stays NaN."""
    scaled = np.empty(raw.shape, np.float32)
    for n in range(raw.shape[0]):
        for a in range(raw.shape[1]):
            value = (raw[n, a] - low[a]) * gain[a] - shift[a]
            value = -1.0 if value < -1.0 else value
            scaled[n, a] = 1.0 if value > 1.0 else value
    return scaled


@cache
def _scaling(scene: str) -> tuple[list[slice], NDArray, NDArray, NDArray]:
    """Where each field is in the attribute vector, and low, gain and shift of (raw - low) gain - shift, (A,) each."""
    spans, columns, start = [], [], 0
    for field in get_scene(scene).fields:
        spans.append(slice(start, start + field.components))
        start += field.components
        scaled = (
            (field.low, 2.0 / (field.high - field.low), 1.0)
            if field.kind == "linear"
            else (0.0, 1.0, 0.0)
        )
        columns += [scaled] * field.components
    low, gain, shift = np.array(columns).T.copy()
    return spans, low, gain, shift


def values_from_attributes(scene: str, vectors: ArrayLike) -> dict[str, NDArray]:
    """Attribute vectors -> named values in their own units: the inverse of `attributes_from_values`.

    Args:
        scene: a name in `SCENES`.
        vectors: (..., A) or longer; numbers appended by a random layout are ignored. Need not be exact: the one-hot
            is read by its largest entry and the angle by its direction, so a model's output can be read too.

    Returns:
        A dict with one entry for each field: (...,) int64 for the one-hot, (...,) float64 radians in [0, 2 pi) for
        the angle, (...,) or (..., width) float64 in the field's units for the rest.
    """
    spec = get_scene(scene)
    array = np.asarray(vectors, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] < spec.attribute_width:
        raise ValueError(
            f"attribute vectors of {scene} end in {spec.attribute_width} numbers, not shape {array.shape}"
        )
    values: dict[str, NDArray] = {}
    start = 0
    for field in spec.fields:
        part = array[..., start : start + field.components]
        start += field.components
        if field.kind == "one_hot":
            values[field.name] = part.argmax(-1)
        elif field.kind == "angle":
            values[field.name] = np.arctan2(part[..., 1], part[..., 0]) % (2 * np.pi)
        else:
            scaled = (part + 1.0) * ((field.high - field.low) / 2.0) + field.low
            values[field.name] = scaled if field.width > 1 else scaled[..., 0]
    return values


def check_attributes(scene: str, vectors: ArrayLike) -> NDArray:
    """Return attribute vectors as an array; InputError if they can't be those of a scene.

    A model's output may lie somewhat outside of [-1, 1]; numbers beyond [-2, 2], NaN among them,
    are refused.
    """
    array = check_array("attributes", vectors, low=-2.0, high=2.0)
    width = get_scene(scene).attribute_width
    if array.ndim not in (1, 2) or array.shape[-1] < width:
        raise InputError(
            f"attributes are {describe(array)}: {scene} has vectors (N, {width}), or ({width},)"
        )
    return array
