"""Check observations, and turn them into batches for the domain modules."""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from gw_agents.domains.base import Domain
from gw_envs.errors import InputError, check_array, check_choice, describe
from gw_envs.observation import check_modalities

SIDE_KEYS = (
    "episode",
    "step",
    "state",
    "action",
    "reward",
    "terminated",
    "truncated",
    "present",
    "goal",
)
"""Keys of data-set samples and of environments with goals that are not modalities: ignored, except
that `present` is the mask."""

OnNan = Literal["refuse", "ignore"]
"""How to treat a reading that holds NaN or infinite values."""

Present = Mapping[str, ArrayLike]
"""{modality: () or (B,) booleans}, false where a reading is missing; others are present."""


class Reading(NamedTuple):
    """A checked observation or batch."""

    tensors: dict[str, Tensor]
    """{modality: (B, ...)} in the workspace's order, on the CPU."""
    absent: NDArray[np.bool_] | None
    """(B, D) true where a modality is missing or has failed; None if nothing is."""
    single: bool
    """Whether there was no batch axis: B is 1."""


def known_names(modalities: Any, known: Iterable[str]) -> tuple[str, ...]:
    """Return the modalities asked for, in the order of `known`; InputError if there are none, or
    unknown ones."""
    known = tuple(known)
    listed = isinstance(modalities, Collection) and not isinstance(modalities, str | np.ndarray)
    asked = list(modalities) if listed else [modalities]
    for name in asked:
        known_name(name, known)
    return check_modalities(asked, known)


def known_name(modality: Any, known: Iterable[str]) -> str:
    """Return the modality if it is one of `known`; InputError naming them otherwise."""
    known = tuple(known)
    if isinstance(modality, str) and modality in known:
        return modality
    close = get_close_matches(modality, known, 1) if isinstance(modality, str) else []
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise InputError(
        f"unknown modality {describe(modality)}{hint}, this workspace has no {modality}:"
        f" it knows {', '.join(known)}"
    )


def read_observation(
    domains: Mapping[str, Domain],
    observation: Mapping[str, Any],
    present: Present | None = None,
    on_nan: OnNan = "refuse",
) -> Reading:
    """Check an observation or a batch, and note which readings are missing.

    Args:
        domains: the domain module of each modality that may be read.
        observation: {modality: array}; `SIDE_KEYS` are ignored, other keys are refused.
        present: which readings are present; `observation["present"]` by default, if there is one.
        on_nan: "refuse" NaN and infinite values, or "ignore" such readings as those of a failed
            sensor.

    Raises:
        InputError: the observation does not fit; the message names the first fault.
    """
    check_choice("on_nan", on_nan, ("refuse", "ignore"))
    names = _names_of(observation, domains)
    if present is None and "present" not in domains:
        present = observation.get("present")
    masks = present if isinstance(present, Mapping) else {}
    arrays = {}
    for name in names:
        arrays[name] = _read_one(domains[name], observation[name], name, masks.get(name, True))
    single, count = _batch_size(domains, arrays)
    if single:
        arrays = {name: array[None] for name, array in arrays.items()}
    absent = {} if present is None else _not_present(present, names, domains, single, count)
    if on_nan == "ignore":
        absent = _with_failed(absent, arrays)
    tensors = {}
    for name, array in arrays.items():
        if name in absent:
            array = _blank(array, absent[name])
        tensors[name] = domains[name].check(array, name)
    if not absent:
        return Reading(tensors, None, single)
    nothing = np.zeros(count, bool)
    return Reading(tensors, np.stack([absent.get(name, nothing) for name in names], 1), single)


def _names_of(observation: Any, domains: Mapping[str, Domain]) -> list[str]:
    """List the modalities of an observation, in the order of `domains`; InputError on unknown
    keys."""
    if not isinstance(observation, Mapping) or not observation:
        raise InputError(
            f"an observation is a dict with at least one of {', '.join(domains)},"
            f" not {describe(observation)}"
        )
    strange = [key for key in observation if key not in domains and key not in SIDE_KEYS]
    if strange:
        known_names(strange, domains)
    names = [name for name in domains if name in observation]
    if not names:
        raise InputError(f"the observation holds none of {', '.join(domains)}")
    return names


def _read_one(domain: Domain, value: Any, name: str, present: Any) -> NDArray:
    """Return the observation or batch under the key `name` as an array; InputError if it is text,
    and the domain module reads none. Text is not read where `present` is false."""
    mask, single = np.asarray(present), isinstance(value, str)
    texts = [value] if single else value
    partial = mask.dtype == bool and not mask.all() and _are_texts(texts)
    if partial and mask.shape in ((), (len(texts),)):
        chosen = np.broadcast_to(mask, len(texts))
        rows = domain.as_array(np.asarray(texts, str)[chosen], name)
        array = np.zeros((len(texts), *rows.shape[1:]), rows.dtype)
        array[chosen] = rows
        array = array[0] if single else array
    else:
        array = domain.as_array(value, name)
    if array.dtype.kind in "SU" and not np.issubdtype(array.dtype, domain.accepts):
        first = next(iter(array.reshape(-1).tolist()), "")
        raise InputError(
            f"{name} is the text {describe(first)}: its domain module reads"
            f" {domain.dtype.__name__} of shape {domain.shape}, and no text"
        )
    return array


def _are_texts(value: Any) -> bool:
    """Tell whether an observation is a batch of texts."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "U" and value.ndim == 1
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


def _batch_size(domains: Mapping[str, Domain], arrays: Mapping[str, NDArray]) -> tuple[bool, int]:
    """Return whether the batch axis is missing, and the number of rows; InputError if modalities
    disagree."""
    singles = [array.ndim == len(domains[name].shape) for name, array in arrays.items()]
    counts = {len(array) for array in arrays.values() if array.ndim}
    if any(singles) != all(singles) or (not any(singles) and len(counts) > 1):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"the modalities disagree on the batch: {shapes}")
    return singles[0], 1 if singles[0] else next(iter(counts), 1)


def _not_present(
    present: Any, names: Iterable[str], domains: Mapping[str, Domain], single: bool, count: int
) -> dict[str, NDArray[np.bool_]]:
    """Turn a presence mask into {modality: (B,) true where absent}, for modalities with absent
    rows."""
    if not isinstance(present, Mapping):
        raise InputError(f"present is {describe(present)}: give a dict of booleans by modality")
    absent = {}
    for name in known_names(present, domains) if present else ():
        mask = check_array(f"present[{name!r}]", present[name], "b")
        if mask.shape not in ((), (count,)) or (single and mask.ndim):
            wanted = "one boolean" if single else f"one boolean or {count}"
            raise InputError(f"present[{name!r}] is {describe(mask)}: give {wanted}")
        if name in names and not mask.all():
            absent[name] = np.broadcast_to(~mask, count)
    return absent


def _with_failed(
    absent: dict[str, NDArray[np.bool_]], arrays: Mapping[str, NDArray]
) -> dict[str, NDArray[np.bool_]]:
    """Count readings that hold NaN or infinite values as absent."""
    both = dict(absent)
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            continue
        failed = ~np.isfinite(array).all(tuple(range(1, array.ndim)))
        if failed.any():
            both[name] = failed | absent.get(name, False)
    return both


def _blank(array: NDArray, absent: NDArray[np.bool_]) -> NDArray:
    """Return a copy with zeros, or empty strings, in the absent rows."""
    if not array.ndim:
        return array
    blank = array.copy()
    blank[absent] = array.dtype.type()
    return blank
