"""The states of scenes: frozen dataclasses of arrays that share their first axis, the batch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gw_envs.errors import InputError, check_array, check_keys, describe

WHOLE_TOLERANCE = 0.01
"""Largest distance from a whole number at which `read_values` reads a float as that number."""


@dataclass(frozen=True)
class Column:
    """The type, range and row shape of one array of a state."""

    dtype: type
    """NumPy's type of the numbers."""
    low: float
    """Smallest number."""
    high: float
    """Largest number."""
    shape: tuple[int, ...]
    """Shape of one row."""

    def check(self, name: str, value: Any) -> NDArray:
        """Return `value` as an array of the column's type; InputError if it does not fit."""
        kinds = "iuf" if self.dtype is np.float64 else "iu"
        array = check_array(f"{name} of a state", value, kinds)
        batch_axes = array.ndim - len(self.shape)
        if batch_axes not in (0, 1) or array.shape[batch_axes:] != self.shape:
            row = f"numbers of shape {self.shape}" if self.shape else "one number"
            raise InputError(f"{name} of a state is {describe(array)}: a scene has {row}")
        fits = (array >= self.low) & (array <= self.high)  # False for NaN
        if not fits.all():
            raise InputError(
                f"a state is no scene: {name} is {array[~fits][0]:g}, "
                f"and must lie between {self.low:g} and {self.high:g}"
            )
        return array.astype(self.dtype, copy=False)


def column(
    dtype: type, low: float, high: float, shape: tuple[int, ...] = ()
) -> Mapping[str, Column]:
    """Return a `Column` as the metadata of a dataclass field; arguments as for `Column`."""
    return {"column": Column(dtype, low, high, shape)}


def columns(kind: Any) -> Mapping[str, Column]:
    """Return the columns of a class of states by name."""
    return {entry.name: entry.metadata["column"] for entry in fields(kind)}


class BatchState:
    """The base class of states: N scenes, or one scene whose arrays have no batch axis.

    Subclasses are frozen dataclasses whose fields are columns. Making a state by its class or by
    `dataclasses.replace` checks types, shapes, lengths and ranges. States derived from others
    (rows, concatenations, new poses) are valid by construction and not checked again.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    rotation: NDArray[np.float64]
    wording_seed: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check the arrays and convert them to their types; InputError if they are no scenes."""
        self.check()

    def check(self) -> None:
        """Check and convert the arrays; also of use after their numbers were changed in place."""
        lengths = {}
        for name, spec in columns(type(self)).items():
            array = spec.check(name, getattr(self, name))
            lengths[name] = len(array) if array.ndim > len(spec.shape) else None
            object.__setattr__(self, name, array if array.ndim else array[()])
        first, *others = lengths
        for name in others:
            if lengths[name] != lengths[first]:
                raise InputError(
                    f"the arrays of a state differ in length: {first} has {_rows(lengths[first])} "
                    f"and {name} {_rows(lengths[name])}"
                )

    @classmethod
    def unchecked(cls, arrays: Mapping[str, NDArray]) -> Self:
        """Make a state from valid arrays, given by name in the order of the fields."""
        state = object.__new__(cls)
        state.__dict__.update(arrays)
        return state

    def arrays(self) -> dict[str, Any]:
        """Return the arrays by name, not copied."""
        return dict(self.__dict__)

    def __len__(self) -> int:
        return len(self.rotation)

    def __eq__(self, other: object) -> bool:
        """Tell whether `other` is of the same class and equal in every number."""
        if type(other) is not type(self):
            return NotImplemented
        pairs = zip(self.arrays().values(), other.arrays().values(), strict=True)
        return all(np.array_equal(ours, theirs) for ours, theirs in pairs)

    __hash__ = None  # type: ignore[assignment]  # arrays can change

    def __getitem__(self, rows: Any) -> Self:
        """Return the rows of an index, slice, mask or index array, as a state of the same class."""
        return self._each(lambda array: array[rows])

    def batched(self) -> Self:
        """Return the state with a batch axis: a single scene becomes a batch of one."""
        if np.ndim(self.rotation):
            return self
        return self._each(lambda array: np.asarray(array)[None])

    def copy(self) -> Self:
        """Return a state that shares no array with this one."""
        return self._each(lambda array: array.copy())

    def with_poses(self, x: NDArray, y: NDArray, rotation: NDArray) -> Self:
        """Return the scenes at other poses, (N,) float64 each; these are not checked."""
        return self.unchecked({**self.__dict__, "x": x, "y": y, "rotation": rotation})

    def with_rows(self, rows: Any, other: Self) -> Self:
        """Return a copy in which `rows` are replaced by the rows of `other`."""
        arrays = {name: array.copy() for name, array in self.__dict__.items()}
        for name, array in other.__dict__.items():
            arrays[name][rows] = array
        return self.unchecked(arrays)

    def with_values(self, values: Mapping[str, NDArray]) -> Self:
        """Return the scenes with some arrays replaced by those of `read_values`."""
        return self.unchecked({**self.__dict__, **values})

    @classmethod
    def concatenate(cls, states: Sequence[Self]) -> Self:
        """Return the rows of all `states`, in order, as one batch."""
        arrays = {}
        for name in states[0].__dict__:
            arrays[name] = np.concatenate([getattr(state, name) for state in states])
        return cls.unchecked(arrays)

    def _each(self, change: Callable[[Any], Any]) -> Self:
        """Apply `change` to every array. Returns a state of the same class."""
        return self.unchecked({name: change(array) for name, array in self.__dict__.items()})


def _rows(length: int | None) -> str:
    """Describe the length of a batch, or a single scene."""
    return "no batch axis" if length is None else f"{length} rows"


def read_values(kind: type[BatchState], given: Any, count: int) -> dict[str, NDArray]:
    """Read a full or partial state of `count` scenes, as users give it to `reset` and `set_state`.

    Args:
        kind: the class of the scenes' states.
        given: a state of that class, or a dict of named values. Integer columns may be given as
            floats that are whole up to rounding, as `values_from_attributes` returns them.
        count: how many scenes there are.

    Returns:
        {name: (count, ...) array}: new arrays, each in the range of its column.

    Raises:
        InputError: a name is unknown, a value does not fit, or rows number neither 1 nor `count`.
    """
    if isinstance(given, BatchState):
        if not isinstance(given, kind):
            raise InputError(
                f"the state is a {type(given).__name__}: these environments take a {kind.__name__}"
            )
        given = given.arrays()
    specs = columns(kind)
    check_keys("the state", given, list(specs))
    values = {}
    for name, value in given.items():
        spec = specs[name]
        array = spec.check(name, _as_whole(value) if spec.dtype is not np.float64 else value)
        array = array if array.ndim > len(spec.shape) else array[None]
        if len(array) not in (1, count):
            raise InputError(
                f"{name} of the state has {len(array)} rows: give one row or {count}, "
                "as many as there are environments"
            )
        values[name] = np.array(np.broadcast_to(array, (count, *spec.shape)))
    return values


def _as_whole(value: Any) -> Any:
    """Convert floats that are whole up to rounding to integers; leave other arrays unchanged."""
    array = check_array("a state", value, "iuf")
    if array.dtype.kind != "f" or not (np.abs(array) < 2**62).all():
        return array
    whole = np.rint(array)
    is_whole = np.abs(array - whole).max(initial=0) < WHOLE_TOLERANCE
    return whole.astype(np.int64) if is_whole else array
