"""What can happen to a sensor: one table of pure functions over batches.

Severity lies in [0, 1]: 0 changes nothing, to the bit; 1 is the worst of its kind. Chance comes as arrays drawn before,
so that a fault can stay as it is for a whole episode, and the same chance at a higher severity does more harm.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.errors import describe
from gw_envs.language import VOCABULARY
from gw_envs.language.vocabulary import END, PAD
from gw_envs.observation import check_modalities


class Draws(NamedTuple):
    """The random numbers that a kind needs for one row: uniform in [0, 1), or standard normal; float32."""

    numbers: int = 0
    per_entry: bool = False
    """Whether there are so many numbers for each entry of the row, or in all."""
    normal: bool = False

    def empty(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Room for the numbers of rows of shape (N, ...): (N, numbers), or (N, numbers, ...) if they are per entry."""
        return np.empty(
            (shape[0], self.numbers, *(shape[1:] if self.per_entry else ())), np.float32
        )

    def fill(self, rng: np.random.Generator, out: NDArray[np.float32]) -> None:
        """Draw into `out`, which must be contiguous."""
        if self.numbers:
            (rng.standard_normal if self.normal else rng.random)(dtype=np.float32, out=out)


class Kind(NamedTuple):
    """One thing that can happen to a sensor."""

    apply: Callable[..., NDArray]
    """(rows (N, ...), severity (N, 1, ...) float32 above 0, draws) -> rows of the same shape and dtype."""
    draws: Draws = Draws()
    other: Literal["previous", "others"] | None = None
    """What `apply` gets as a fourth argument (N, ...): what the sensor showed before, or another scene."""


def _mix(rows: NDArray, other: NDArray, severity: NDArray) -> NDArray:
    return (1 - severity) * rows + severity * other


def _pixels(values: NDArray) -> NDArray[np.uint8]:
    """Rounds and clips `values` in place."""
    np.rint(values, out=values)
    return np.clip(values, 0, 255, out=values).astype(np.uint8)


def substitute(rows: NDArray, severity: NDArray, draws: NDArray, other: NDArray) -> NDArray:
    """With probability `severity`, the whole of another observation."""
    return np.where(draws[:, 0].reshape(severity.shape) < severity, other, rows)


def blackout(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """The light goes: black at 1."""
    return _pixels((1 - severity) * rows)


def image_noise(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """The picture fades into Gaussian noise about middle grey, its deviation half the range: nothing else at 1."""
    return _pixels(_mix(rows, 127.5 + 127.5 * draws[:, 0], severity))


def blur(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """Gaussian blur, its deviation half the picture's side times `severity ** 1.5`: little but the mean color at 1."""
    size = rows.shape[1]
    sigma = np.maximum(severity[:, 0, 0, 0, None, None] ** 1.5 * (size / 2), 1e-3)
    apart = np.subtract.outer(np.arange(size), np.arange(size)).astype(np.float32)
    kernel = np.exp(-0.5 * (apart / sigma) ** 2)  # (N, S, S)
    kernel /= kernel.sum(-1, keepdims=True)
    picture = rows.astype(np.float32)
    for _ in range(2):  # down the columns, then, the axes swapped, along the rows
        picture = (
            (kernel @ picture.reshape(len(rows), size, 3 * size)).reshape(rows.shape).swapaxes(1, 2)
        )
    return _pixels(picture)


def occlusion(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """A square of one color hides the fraction `severity` of the picture, anywhere in it."""
    size = rows.shape[1]
    side = np.rint(np.sqrt(severity[:, :, 0, 0]) * size)
    corner = np.floor(draws[:, :2] * (size - side + 1))[..., None]
    inside = (np.arange(size) >= corner) & (np.arange(size) < corner + side[..., None])  # (N, 2, S)
    hidden = inside[:, 0, :, None, None] & inside[:, 1, None, :, None]
    return np.where(hidden, _pixels(255 * draws[:, None, None, 2:]), rows)


def color_cast(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """Light of one pure hue: shades of it alone at 1."""
    sextant = (6 * draws + np.array([0, 4, 2], np.float32)) % 6
    tint = np.clip(np.abs(sextant - 3) - 1, 0, 1)[:, None, None]  # hue -> (N, 1, 1, 3)
    grey = rows @ np.array([0.299, 0.587, 0.114], np.float32)
    return _pixels(_mix(rows, grey[..., None] * tint, severity))


def attribute_noise(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """The readings fade into standard normal noise, clipped to [-1, 1]: nothing else at 1."""
    return np.clip(_mix(rows, draws[:, 0], severity), -1, 1)


def drop_entries(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """Each entry reads 0 with probability `severity`."""
    return np.where(draws[:, 0] < severity, np.float32(0), rows)


def bias(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """Each entry is off by an amount uniform in plus or minus 2 `severity`, clipped to [-1, 1]."""
    return np.clip(rows + severity * (4 * draws[:, 0] - 2), -1, 1)


def drop_words(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """Each word or sign is lost with probability `severity`; the rest closes up."""
    kept = (rows != PAD) & (draws[:, 0] >= severity)
    order = np.argsort(~kept, axis=1, kind="stable")
    return np.take_along_axis(np.where(kept, rows, PAD), order, 1)


def replace_words(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """Each word or sign becomes, with probability `severity`, any other of the vocabulary."""
    words = END + 1 + pick(draws[:, 1], len(VOCABULARY) - END - 2)
    words += words >= rows  # never the same
    return np.where((rows != PAD) & (draws[:, 0] < severity), words, rows)


def shuffle_words(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """Each word or sign is, with probability `severity`, among those that change places at random."""
    moved = (rows != PAD) & (draws[:, 0] < severity)
    places = np.argsort(~moved, axis=1, kind="stable")
    order = np.argsort(np.where(moved, draws[:, 1], 1), axis=1, kind="stable")
    mixed = np.empty_like(rows)
    np.put_along_axis(mixed, places, np.take_along_axis(rows, order, 1), 1)
    return mixed


def no_words(rows: NDArray, severity: NDArray, draws: NDArray) -> NDArray:
    """With probability `severity`, no caption at all."""
    return np.where(draws < severity, PAD, rows)


_HELD = Kind(substitute, Draws(1), "previous")
_ELSEWHERE = Kind(substitute, Draws(2), "others")

KINDS: dict[str, dict[str, Kind]] = {
    "image": {
        "blackout": Kind(blackout),
        "noise": Kind(image_noise, Draws(1, per_entry=True, normal=True)),
        "blur": Kind(blur),
        "occlusion": Kind(occlusion, Draws(5)),
        "color_cast": Kind(color_cast, Draws(1)),
        "frozen": _HELD,
        "other_scene": _ELSEWHERE,
    },
    "attributes": {
        "noise": Kind(attribute_noise, Draws(1, per_entry=True, normal=True)),
        "dropped": Kind(drop_entries, Draws(1, per_entry=True)),
        "bias": Kind(bias, Draws(1, per_entry=True)),
        "stale": _HELD,
        "other_scene": _ELSEWHERE,
    },
    "language": {
        "dropped": Kind(drop_words, Draws(1, per_entry=True)),
        "replaced": Kind(replace_words, Draws(2, per_entry=True)),
        "shuffled": Kind(shuffle_words, Draws(2, per_entry=True)),
        "empty": Kind(no_words, Draws(1)),
        "other_scene": _ELSEWHERE,
    },
}
"""Everything that can happen to a sensor, by modality and kind."""

_ROWS: dict[str, tuple[str, int, str]] = {
    "image": ("uint8", 4, "(N, S, S, 3)"),
    "attributes": ("float32", 2, "(N, A)"),
    "language": ("int64", 2, "(N, L)"),
}


def get_kind(modality: str, kind: str) -> Kind:
    """An entry of `KINDS`; raises ValueError naming the known ones if there is none."""
    (name,) = check_modalities(modality)
    if kind not in KINDS[name]:
        raise ValueError(
            f"unknown kind {kind!r} of corrupted {name}: the kinds are {', '.join(KINDS[name])}"
        )
    return KINDS[name][kind]


def check_severity(severity: Any) -> NDArray[np.float32]:
    """Severity as float32 of its own shape; ValueError unless all of it is in [0, 1]."""
    try:
        array = np.asarray(severity, np.float64)
        unfit = array[~((array >= 0) & (array <= 1))].tolist()  # so written that NaN is caught
    except (TypeError, ValueError):
        array, unfit = np.zeros(()), [severity]
    if unfit:
        raise ValueError(
            f"severity is {unfit[0]!r}: it must lie in [0, 1], 0 for no corruption and 1 for the worst"
        )
    return array.astype(np.float32)


def pick(draws: NDArray, count: int) -> NDArray[np.int64]:
    """Uniform draws in [0, 1) -> whole numbers in [0, count)."""
    return (draws.astype(np.float64) * count).astype(np.int64)


def choose_other(draws: NDArray, others: NDArray) -> NDArray:
    """The rows of `others` (M, ...) that the (N, 2) draws of a kind with `other="others"` fall on: (N, ...)."""
    return others[pick(draws[:, 1], len(others))]


def apply_kind(
    kind: Kind, rows: NDArray, severity: NDArray[np.float32], draws: NDArray, other: NDArray | None
) -> NDArray:
    """A kind on rows (N, ...) with severity (N,) and draws already made; rows of severity 0 stay as they are."""
    column = severity.reshape(-1, *[1] * (rows.ndim - 1))
    arguments = (rows, column, draws) if other is None else (rows, column, draws, other)
    changed = kind.apply(*arguments)
    return changed if severity.all() else np.where(column > 0, changed, rows)


def corrupt(
    modality: str,
    kind: str,
    rows: NDArray,
    severity: ArrayLike,
    rng: np.random.Generator,
    previous: NDArray | None = None,
    others: NDArray | None = None,
) -> NDArray:
    """A batch of observations of one modality as a failing sensor shows them.

    Args:
        modality: "image", "attributes" or "language".
        kind: a kind of that modality, see `KINDS`.
        rows: images (N, S, S, 3) uint8, attribute vectors (N, A) float32 in [-1, 1], or captions (N, L) int64 ids
            padded with 0. They are not changed.
        severity: in [0, 1], one for all rows or (N,).
        rng: where chance comes from; how much of it is drawn depends on kind and shape alone.
        previous: what the sensors showed before, shaped as `rows`; needed by "frozen" and "stale".
        others: (M, ...) observations of other scenes for "other_scene"; by default the other rows of the batch.

    Returns:
        An array of the same shape and dtype, within the observation space.

    Raises:
        ValueError: unknown modality or kind; severity NaN or outside [0, 1]; rows of the wrong kind; `previous` or
            `others` missing or of another shape.
    """
    entry = get_kind(modality, kind)
    check_rows(modality, rows)
    strength = check_severity(severity)
    if strength.shape not in ((), (len(rows),)):
        raise ValueError(
            f"severity has shape {strength.shape}: give one number, or one for each of {len(rows)} rows"
        )
    draws = entry.draws.empty(rows.shape)
    entry.draws.fill(rng, draws)
    other = None
    if entry.other == "previous":
        if previous is None or previous.shape != rows.shape:
            raise ValueError(
                f"{kind!r} needs `previous`, an array of shape {rows.shape}: what was shown before"
            )
        other = previous
    elif entry.other == "others":
        other = _elsewhere(modality, rows, draws, others)
    return apply_kind(entry, rows, np.broadcast_to(strength, len(rows)), draws, other)


def _elsewhere(modality: str, rows: NDArray, draws: NDArray, others: NDArray | None) -> NDArray:
    """For each row one of `others`, or any other row of the batch."""
    if others is not None:
        check_others(modality, others, rows.shape[1:])
        return choose_other(draws, others)
    count = len(rows)
    if count == 1:
        raise ValueError(
            f"'other_scene' needs `others`, (M, ...) {modality} of other scenes: the batch has one row"
        )
    return rows[(np.arange(count) + 1 + pick(draws[:, 1], count - 1)) % max(count, 1)]


def check_rows(modality: str, rows: NDArray) -> None:
    """ValueError unless `rows` is a batch of a modality's observations by dtype and shape."""
    dtype, dimensions, shape = _ROWS[modality]
    if (
        rows.dtype != dtype
        or rows.ndim != dimensions
        or (modality == "image" and rows.shape[2:] != (rows.shape[1], 3))
    ):
        raise ValueError(f"{modality} rows are {describe(rows)}: give {dtype} of shape {shape}")


def check_others(modality: str, others: NDArray, shape: tuple[int, ...]) -> None:
    """ValueError unless `others` holds at least one observation of the given shape."""
    check_rows(modality, others)
    if not len(others) or others.shape[1:] != shape:
        raise ValueError(
            f"`others` of {modality} has shape {others.shape}: give (M, {', '.join(map(str, shape))})"
        )
