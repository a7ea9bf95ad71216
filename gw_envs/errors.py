"""The error for bad input, and the checks that raise it."""

import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class InputError(ValueError):
    """An argument or file is invalid; the message names it and says how to fix it.

    Commands print it as one sentence. Every other exception is a fault of the program and keeps
    its traceback.
    """


class InputTypeError(InputError, TypeError):
    """An argument has a wrong type; also a TypeError, for callers who catch that."""


class MissingPackageError(ImportError):
    """A package cannot be imported; the message names it and says how to install it.

    Commands print it as one sentence.
    """


def describe(value: Any, longest: int = 80) -> str:
    """Describe a value in an error message: arrays by type and shape, the rest by a short repr."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"{value.dtype} of shape {value.shape}"
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python writes out no integer of more than 4300 digits
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def is_whole(value: Any) -> bool:
    """Tell whether `value` is an integer of Python or of NumPy; booleans are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_whole(what: str, value: Any, least: int = 0, most: int | None = None) -> int:
    """Return `value` as an int; InputError unless it is a whole number in [least, most]."""
    if not is_whole(value) or value < least or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InputError(f"{what} is {describe(value)}: give a whole number {bounds}")
    return int(value)


def check_flag(what: str, value: Any) -> bool:
    """Return `value` as a bool; InputError unless it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{what} is {describe(value)}: give True or False")
    return bool(value)


def check_path(what: str, value: Any) -> Path:
    """Return `value` as a Path; InputError unless it is a path, or text that can be one."""
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str) or not path or not _can_be_a_path(path):
        raise InputError(f"{what} is {describe(value)}: give the path of a file or folder")
    return Path(path)


def _can_be_a_path(text: str) -> bool:
    """Tell whether text could name a file: no system allows NUL or a name of over 255 bytes."""
    try:
        names = os.fsencode(text).replace(b"\\", b"/").split(b"/")
    except UnicodeEncodeError:
        return False
    return "\0" not in text and max(map(len, names)) <= 255


def _is_finite(value: Any) -> bool:
    """Tell whether `value` is a number of Python or of NumPy that a finite float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def check_number(
    what: str, value: Any, low: float = -math.inf, high: float = math.inf, above: float = -math.inf
) -> float:
    """Return `value` as a float; InputError unless finite, in [low, high] and above `above`."""
    if not _is_finite(value) or not low <= value <= high or not value > above:
        if above > -math.inf:
            bounds = f" greater than {above:g}"
        elif low > -math.inf and high < math.inf:
            bounds = f" from {low:g} to {high:g}"
        elif low > -math.inf:
            bounds = f" of at least {low:g}"
        else:
            bounds = ""
        raise InputError(f"{what} is {describe(value)}: give a finite number{bounds}")
    return float(value)


def check_choice(what: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return `value` if it is one of `choices`; InputError naming them otherwise."""
    known = list(choices)
    if not any(
        value is choice or (type(value) is type(choice) and value == choice) for choice in known
    ):
        named = " or ".join(map(repr, known)) if known else "nothing: there is none"
        hint = _hint(value, known)
        raise InputError(f"unknown {what} {describe(value)}{hint}: choose {named}")
    return value


def _hint(value: Any, known: Iterable[Any]) -> str:
    """Return " (did you mean ...?)" with the closest known name, or "" if none is close."""
    names = [str(name) for name in known]
    close = get_close_matches(value, names, 1) if isinstance(value, str) else []
    return f" (did you mean {close[0]!r}?)" if close else ""


def check_keys(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise InputError naming the keys of `given` that are not among `known`."""
    if not isinstance(given, Mapping):
        raise InputError(
            f"{what} is {describe(given)}: give a dict with keys among {', '.join(known)}"
        )
    unknown = [key for key in given if key not in known]
    if unknown:
        hint = _hint(unknown[0], known)
        raise InputError(
            f"{what} has the unknown key {unknown[0]!r}{hint}: the keys are {', '.join(known)}"
        )


def check_arguments(function: Callable[..., Any], unknown: Iterable[str]) -> None:
    """Raise InputError if there is an unknown keyword argument, naming those of `function`."""
    for name in unknown:
        parameters = inspect.signature(function).parameters.values()
        named = [entry.name for entry in parameters if entry.kind is not entry.VAR_KEYWORD]
        known = [other for other in named if other != "self"]
        raise InputError(
            f"unknown argument {name!r}{_hint(name, known)}: the arguments are {', '.join(known)}"
        )


def check_seed(seed: Any) -> int | None:
    """Return a seed as an int, or None for none; InputError unless it is a whole number from 0."""
    return None if seed is None else check_whole("seed", seed)


def check_seeds(seed: Any, count: int) -> list[int | None]:
    """Return the seeds of `count` rows.

    Args:
        seed: None for no seeds; one whole number s for s, s + 1, ...; or a list or an array
            with a whole number or None for each row.
        count: how many rows there are.

    Raises:
        InputError: the seed is none of these, or the number of seeds is not `count`.
    """
    if seed is None:
        return [None] * count
    if isinstance(seed, list | tuple | range) or (isinstance(seed, np.ndarray) and seed.ndim == 1):
        if len(seed) != count:
            raise InputError(f"{len(seed)} seeds were given for {count} environments")
        return [check_seed(row_seed) for row_seed in seed]
    if not is_whole(seed):
        raise InputError(f"seed is {describe(seed)}: give a whole number, or one for each row")
    first = check_whole("seed", seed)
    return [first + row for row in range(count)]


def check_array(
    what: str,
    value: Any,
    kinds: str = "iuf",
    shape: tuple[int | None, ...] | None = None,
    low: float | None = None,
    high: float | None = None,
) -> NDArray:
    """Return `value` as an array; InputError unless its dtype, shape and numbers fit.

    Args:
        what: the name of the value in the message.
        value: anything that NumPy makes an array of.
        kinds: NumPy's dtype kinds: i and u integers, f floats, b booleans, U strings.
        shape: the length of every axis, None where any length fits; None if any shape fits.
        low: the smallest number allowed; with `high`, NaN is refused too.
        high: the largest number allowed.
    """
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{what} is {describe(value)}, which is no array: rows must have one length"
        ) from error
    names = {"i": "integers", "u": "integers", "f": "floats", "b": "booleans", "U": "strings"}
    if array.dtype.kind not in kinds:
        wanted = " or ".join(dict.fromkeys(names[kind] for kind in kinds))
        raise InputError(f"{what} is {describe(array)}: give an array of {wanted}")
    fits = shape is None or (
        array.ndim == len(shape)
        and all(
            wanted is None or wanted == length
            for wanted, length in zip(shape, array.shape, strict=True)
        )
    )
    if not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape or ())
        raise InputError(f"{what} is {describe(array)}: give an array of shape ({wanted})")
    if low is not None and high is not None:
        outside = array[~((array >= low) & (array <= high))]  # NaN compares false
        if outside.size:
            raise InputError(f"{what} holds {outside[0]}: give numbers in [{low:g}, {high:g}]")
    return array
