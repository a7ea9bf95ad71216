"""The observations of every scene: names and spaces of the modalities, scaling of the attributes.

This file is the only contract between the environments and the models. It knows the name and the
attribute fields of a scene, but not how the scene is drawn or moved.
"""

import string
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from gw_envs.compiled import compiled
from gw_envs.errors import InputError, check_array, check_choice, describe
from gw_envs.scenes import Scene, get_scene

MODALITIES = ("image", "attributes", "language")
"""Every modality, in the order in which observations list them."""

MAX_TOKENS = 48
"""Length of the `language` observation: a caption's token ids, padded with 0."""

MAX_VOCABULARY = 1024
"""Largest number of words in a vocabulary; `gw_envs.language.VOCABULARY` has fewer."""

MAX_SENTENCE = 400
"""Upper bound of a caption's length in characters."""

SENTENCE_CHARACTERS = string.ascii_letters + " -',."
"""All characters that captions use."""


def check_modalities(
    modalities: Iterable[str], known: Sequence[str] = MODALITIES
) -> tuple[str, ...]:
    """Return the given modalities, in the order of `known`.

    A single string counts as one name. Raises InputError if there are no names, or unknown or
    repeated ones.
    """
    names = ", ".join(known)
    try:
        given = (modalities,) if isinstance(modalities, str) else tuple(modalities)
    except TypeError as error:
        raise InputError(
            f"modalities is {describe(modalities)}: name at least one of {names}"
        ) from error
    for name in given:
        if not isinstance(name, str) or name not in known:
            raise InputError(f"unknown modality {describe(name)}: the modalities are {names}")
    if not given:
        raise InputError(f"modalities is empty: name at least one of {names}")
    if len(set(given)) != len(given):
        raise InputError(f"modalities {given} names one twice: name each at most once")
    return tuple(name for name in known if name in given)


def observation_space(
    scene: Scene,
    modalities: Iterable[str],
    image_size: int,
    extra_attributes: int = 0,
    language: str = "tokens",
    vocabulary_size: int = MAX_VOCABULARY,
    goal: str | None = None,
) -> spaces.Dict:
    """Return the space of one observation, a Dict with one entry for each modality, and the goal.

    Args:
        scene: the scene.
        modalities: the modalities to observe.
        image_size: S; `image` is (S, S, 3) uint8.
        extra_attributes: number of values appended to the scene's own (A,) float32
            `attributes` in [-1, 1], such as the landmark positions of a random layout.
        language: "tokens" for `language` as (MAX_TOKENS,) int64 ids, "text" for a sentence.
        vocabulary_size: number of ids.
        goal: the modality in whose space the entry `goal` lies; None for no such entry.
    """
    width = scene.attribute_width + extra_attributes
    known: dict[str, spaces.Space] = {
        "image": spaces.Box(0, 255, (image_size, image_size, 3), np.uint8),
        "attributes": spaces.Box(-1.0, 1.0, (width,), np.float32),
    }
    if check_choice("language form", language, ("tokens", "text")) == "tokens":
        known["language"] = spaces.Box(0, vocabulary_size - 1, (MAX_TOKENS,), np.int64)
    else:
        known["language"] = spaces.Text(MAX_SENTENCE, min_length=1, charset=SENTENCE_CHARACTERS)
    entries = {name: known[name] for name in check_modalities(modalities)}
    if goal is not None:
        entries["goal"] = known[goal]
    return spaces.Dict(entries)


def attributes_from_values(scene: str, values: Mapping[str, ArrayLike]) -> NDArray[np.float32]:
    """Write named values in their own units as attribute vectors.

    Args:
        scene: a name in `SCENES`.
        values: one entry for each field of the scene, shaped (...,), or (..., width) where the
            field is wider than one number and not one-hot. Units are the fields': pixels or meters,
            radians, 0-255, class index.

    Returns:
        (..., A) float32, in [-1, 1]; the one-hot in 0..1. Values outside a field's range are
        clipped.

    Raises:
        InputError: a field of the scene has no value.
    """
    columns, low, gain, shift = _layout(scene)
    missing = [name for name in columns if name not in values]
    if missing:
        raise InputError(f"no value for {', '.join(missing)}: {scene} needs {', '.join(columns)}")
    raw = np.empty((*np.shape(values["rotation"]), len(low)))
    for name, (kind, place, classes) in columns.items():
        value = np.asarray(values[name])
        if kind == "one_hot":
            raw[..., place] = value[..., None] == classes
        elif kind == "angle":
            raw[..., place.start], raw[..., place.start + 1] = np.cos(value), np.sin(value)
        else:
            raw[..., place] = value
    return _scaled(raw.reshape(-1, len(low)), low, gain, shift).reshape(raw.shape)


@compiled()
def _scaled(raw, low, gain, shift):  # pragma: no cover - compiled
    """Return (N, A) float32, (raw - low) gain - shift, clipped to [-1, 1]; NaN stays NaN."""
    scaled = np.empty(raw.shape, np.float32)
    for n in range(raw.shape[0]):
        for a in range(raw.shape[1]):
            value = (raw[n, a] - low[a]) * gain[a] - shift[a]
            value = -1.0 if value < -1.0 else value
            scaled[n, a] = 1.0 if value > 1.0 else value
    return scaled


Column = tuple[str, Any, NDArray[np.int64]]
"""A field's kind, its place in the attribute vector (index or slice), and its class numbers."""


@cache
def _layout(scene: str) -> tuple[dict[str, Column], NDArray, NDArray, NDArray]:
    """Return the column of each field by name, and (A,) low, gain and shift for `_scaled`."""
    columns: dict[str, Column] = {}
    scalings: list[tuple[float, float, float]] = []
    for field in get_scene(scene).fields:
        start = len(scalings)
        is_scalar = field.kind == "linear" and field.width == 1
        place = start if is_scalar else slice(start, start + field.components)
        columns[field.name] = (field.kind, place, np.arange(field.width))
        scaling = (0.0, 1.0, 0.0)
        if field.kind == "linear":
            scaling = (field.low, 2.0 / (field.high - field.low), 1.0)
        scalings += [scaling] * field.components
    low, gain, shift = np.array(scalings).T.copy()
    return columns, low, gain, shift


def values_from_attributes(scene: str, vectors: ArrayLike) -> dict[str, NDArray]:
    """Read attribute vectors as named values in their own units.

    This is the inverse of `attributes_from_values`. Vectors need not be exact, so that a model's
    output can be read: the one-hot is read by its largest entry, the angle by its direction.

    Args:
        scene: a name in `SCENES`.
        vectors: (..., A) or longer; numbers appended by a random layout are ignored.

    Returns:
        A dict with one entry for each field: (...,) int64 for the one-hot, (...,) float64 radians
        in [0, 2 pi) for the angle, (...,) or (..., width) float64 in the field's units for the
        rest.

    Raises:
        InputError: the vectors do not hold numbers, or are too short.
    """
    fields, width = get_scene(scene).fields, get_scene(scene).attribute_width
    array = check_array("attributes", vectors).astype(np.float64)
    if array.ndim == 0 or array.shape[-1] < width:
        raise InputError(
            f"attribute vectors of {scene} end in {width} numbers, not shape {array.shape}"
        )
    values: dict[str, NDArray] = {}
    start = 0
    for field in fields:
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
