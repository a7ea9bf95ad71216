"""What every scene's state is: a frozen dataclass of arrays that share their first axis, the batch."""

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any, Self

import numpy as np


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass: asked for in every step, and slow to look up."""
    return tuple(field.name for field in fields(kind))


class BatchState:
    """Row access for a dataclass of arrays: `state[rows]`, `len(state)`, `concatenate`, `with_rows`."""

    def arrays(self) -> dict[str, Any]:
        """The fields by name, not copied."""
        return {name: getattr(self, name) for name in _names(type(self))}  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(next(iter(self.arrays().values())))

    def __getitem__(self, rows: Any) -> Self:
        """The rows asked for (an index, slice, mask or index array), as a state of the same kind."""
        return type(self)(**{name: array[rows] for name, array in self.arrays().items()})

    def batched(self) -> Self:
        """The same state with a batch axis: a single state becomes a batch of one."""
        if np.ndim(self.arrays()["rotation"]):
            return self
        return type(self)(
            **{name: np.asarray(array)[None] for name, array in self.arrays().items()}
        )

    def with_rows(self, rows: Any, other: Self) -> Self:
        """A copy in which `rows` are replaced by the rows of `other`."""
        arrays = {name: array.copy() for name, array in self.arrays().items()}
        for name, array in other.arrays().items():
            arrays[name][rows] = array
        return type(self)(**arrays)

    @classmethod
    def concatenate(cls, states: Sequence[Self]) -> Self:
        """The rows of all `states`, in order, as one batch."""
        columns = [state.arrays() for state in states]
        return cls(
            **{name: np.concatenate([column[name] for column in columns]) for name in columns[0]}
        )
