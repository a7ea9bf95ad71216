"""Corrupt observations as failing sensors do: one table of pure functions over batches.

Severity lies in [0, 1]: 0 changes nothing, to the bit; 1 is the worst of its kind. The random
numbers are drawn beforehand, so that a fault can stay the same for a whole episode, and the same
numbers at a higher severity do more harm.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gw_envs.errors import InputError, check_array, check_choice, describe
from gw_envs.language import VOCABULARY
from gw_envs.language.vocabulary import END, PAD
from gw_envs.observation import MAX_VOCABULARY, MODALITIES


class NoiseSpec(NamedTuple):
    """The random numbers that a kind needs for one row: float32, uniform in [0, 1) or normal."""

    numbers: int = 0
    """How many numbers it needs."""
    per_entry: bool = False
    """Whether `numbers` counts for each entry of the row, or for the row as a whole."""
    normal: bool = False
    """Whether the numbers are standard normal."""

    def empty(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Return an array for the numbers of rows of shape (N, ...).

        It is (N, numbers), or (N, numbers, ...) if the numbers are per entry.
        """
        entries = shape[1:] if self.per_entry else ()
        return np.empty((shape[0], self.numbers, *entries), np.float32)

    def fill(self, rng: np.random.Generator, out: NDArray[np.float32]) -> None:
        """Draw the numbers into `out`, which must be contiguous."""
        if self.numbers:
            (rng.standard_normal if self.normal else rng.random)(dtype=np.float32, out=out)


class Kind(NamedTuple):
    """One way in which a sensor can fail."""

    apply: Callable[..., NDArray]
    """Function of rows (N, ...), severity (N, 1, ...) float32 above 0, and noise. Returns corrupted
    rows of the same shape and dtype."""
    noise: NoiseSpec = NoiseSpec()
    other: Literal["previous", "others"] | None = None
    """Fourth argument of `apply`, (N, ...), if any: the sensor's last output, or other scenes."""


def _mix(rows: NDArray, other: NDArray, severity: NDArray) -> NDArray:
    """Blend `rows` with the share `severity` of `other`."""
    return (1 - severity) * rows + severity * other


def _pixels(values: NDArray) -> NDArray[np.uint8]:
    """Round and clip `values` in place, and return them as pixels."""
    np.rint(values, out=values)
    return np.clip(values, 0, 255, out=values).astype(np.uint8)


def substitute(rows: NDArray, severity: NDArray, noise: NDArray, other: NDArray) -> NDArray:
    """Replace the whole observation by another one with probability `severity`."""
    return np.where(noise[:, 0].reshape(severity.shape) < severity, other, rows)


def blackout(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Dim the light: black at 1."""
    return _pixels((1 - severity) * rows)


def image_noise(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Fade into Gaussian noise around middle gray, as wide as half the range: only noise at 1."""
    return _pixels(_mix(rows, 127.5 + 127.5 * noise[:, 0], severity))


def blur(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Blur with a Gaussian as wide as half the side times `severity ** 1.5`.

    At 1, little but the mean color remains.
    """
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


def occlusion(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Hide the fraction `severity` of the picture behind a square of one color, anywhere in it."""
    size = rows.shape[1]
    side = np.rint(np.sqrt(severity[:, :, 0, 0]) * size)
    corner = np.floor(noise[:, :2] * (size - side + 1))[..., None]
    inside = (np.arange(size) >= corner) & (np.arange(size) < corner + side[..., None])  # (N, 2, S)
    hidden = inside[:, 0, :, None, None] & inside[:, 1, None, :, None]
    return np.where(hidden, _pixels(255 * noise[:, None, None, 2:]), rows)


def color_cast(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Cast light of one pure hue: at 1, only shades of it remain."""
    sextant = (6 * noise + np.array([0, 4, 2], np.float32)) % 6
    tint = np.clip(np.abs(sextant - 3) - 1, 0, 1)[:, None, None]  # hue -> (N, 1, 1, 3)
    gray = rows @ np.array([0.299, 0.587, 0.114], np.float32)
    return _pixels(_mix(rows, gray[..., None] * tint, severity))


def attribute_noise(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Fade into standard normal noise, clipped to [-1, 1]: only noise at 1."""
    return np.clip(_mix(rows, noise[:, 0], severity), -1, 1)


def drop_entries(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Set each entry to 0 with probability `severity`."""
    return np.where(noise[:, 0] < severity, np.float32(0), rows)


def bias(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Add a uniform offset of at most 2 `severity` to each entry, clipped to [-1, 1]."""
    return np.clip(rows + severity * (4 * noise[:, 0] - 2), -1, 1)


def drop_words(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Drop each word or punctuation mark with probability `severity`, and close the gaps."""
    keep = (rows != PAD) & (noise[:, 0] >= severity)
    order = np.argsort(~keep, axis=1, kind="stable")
    return np.take_along_axis(np.where(keep, rows, PAD), order, 1)


def replace_words(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Replace each word or punctuation mark by a different one with probability `severity`."""
    words = END + 1 + pick(noise[:, 1], len(VOCABULARY) - END - 2)
    words += words >= rows  # never the same
    return np.where((rows != PAD) & (noise[:, 0] < severity), words, rows)


def shuffle_words(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Choose each word or punctuation mark with probability `severity`, and shuffle the chosen."""
    moves = (rows != PAD) & (noise[:, 0] < severity)
    places = np.argsort(~moves, axis=1, kind="stable")
    order = np.argsort(np.where(moves, noise[:, 1], 1), axis=1, kind="stable")
    mixed = np.empty_like(rows)
    np.put_along_axis(mixed, places, np.take_along_axis(rows, order, 1), 1)
    return mixed


def no_words(rows: NDArray, severity: NDArray, noise: NDArray) -> NDArray:
    """Drop the whole caption with probability `severity`."""
    return np.where(noise < severity, PAD, rows)


_SHOW_PREVIOUS = Kind(substitute, NoiseSpec(1), "previous")
_SHOW_OTHER = Kind(substitute, NoiseSpec(2), "others")

KINDS: dict[str, dict[str, Kind]] = {
    "image": {
        "blackout": Kind(blackout),
        "noise": Kind(image_noise, NoiseSpec(1, per_entry=True, normal=True)),
        "blur": Kind(blur),
        "occlusion": Kind(occlusion, NoiseSpec(5)),
        "color_cast": Kind(color_cast, NoiseSpec(1)),
        "frozen": _SHOW_PREVIOUS,
        "other_scene": _SHOW_OTHER,
    },
    "attributes": {
        "noise": Kind(attribute_noise, NoiseSpec(1, per_entry=True, normal=True)),
        "dropped": Kind(drop_entries, NoiseSpec(1, per_entry=True)),
        "bias": Kind(bias, NoiseSpec(1, per_entry=True)),
        "stale": _SHOW_PREVIOUS,
        "other_scene": _SHOW_OTHER,
    },
    "language": {
        "dropped": Kind(drop_words, NoiseSpec(1, per_entry=True)),
        "replaced": Kind(replace_words, NoiseSpec(2, per_entry=True)),
        "shuffled": Kind(shuffle_words, NoiseSpec(2, per_entry=True)),
        "empty": Kind(no_words, NoiseSpec(1)),
        "other_scene": _SHOW_OTHER,
    },
}
"""Every way in which a sensor can fail, by modality and kind."""

_ROWS: dict[str, tuple[str, int, str]] = {
    "image": ("uint8", 4, "(N, S, S, 3)"),
    "attributes": ("float32", 2, "(N, A)"),
    "language": ("int64", 2, "(N, L)"),
}
"""The dtype, number of axes and shape of a batch of observations."""

_RANGES = {
    "image": (None, None),  # whatever uint8 can hold
    "attributes": (-1.001, 1.001),
    "language": (0, MAX_VOCABULARY - 1),
}
"""Smallest and largest number of an observation; attributes may be rounded."""


def pick(uniform: NDArray, count: int) -> NDArray[np.int64]:
    """Turn uniform numbers in [0, 1) into whole numbers in [0, count)."""
    return (uniform.astype(np.float64) * count).astype(np.int64)


def choose_other(noise: NDArray, others: NDArray) -> NDArray:
    """Return the rows (N, ...) of `others` (M, ...) that the noise of "other_scene" picks."""
    return others[pick(noise[:, 1], len(others))]


def apply_kind(
    kind: Kind, rows: NDArray, severity: NDArray[np.float32], noise: NDArray, other: NDArray | None
) -> NDArray:
    """Apply a kind to rows (N, ...) with severity (N,); rows of severity 0 stay as they are."""
    column = severity.reshape(-1, *[1] * (rows.ndim - 1))
    arguments = (rows, column, noise) if other is None else (rows, column, noise, other)
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
    """Return a batch of observations of one modality as a failing sensor shows them.

    Args:
        modality: "image", "attributes" or "language".
        kind: a kind of that modality, see `KINDS`.
        rows: images (N, S, S, 3) uint8, attribute vectors (N, A) float32 in [-1, 1], or captions
            (N, L) int64 ids padded with 0. They are not changed.
        severity: in [0, 1], one for all rows or (N,).
        rng: the source of randomness; how much of it is drawn depends on kind and shape alone.
        previous: the sensors' last output, shaped as `rows`; needed by "frozen" and "stale".
        others: (M, ...) observations of other scenes for "other_scene"; by default the other rows
            of the batch.

    Returns:
        An array of the same shape and dtype, within the observation space.

    Raises:
        InputError: unknown modality or kind; severity NaN or outside [0, 1]; rows of the wrong
            type, shape or range; `previous` or `others` missing or of another shape.
    """
    entry = get_kind(modality, kind)
    rows = check_observations(modality, rows)
    strength = check_severity(severity)
    if strength.shape not in ((), (len(rows),)):
        raise InputError(
            f"severity has shape {strength.shape}: give one number, or one for each of "
            f"{len(rows)} rows"
        )
    if not isinstance(rng, np.random.Generator):
        raise InputError(f"rng is {describe(rng)}: give a generator, as of np.random.default_rng")
    if previous is not None:
        previous = check_observations(modality, previous, "previous")
    if others is not None:
        others = check_others(modality, others, rows.shape[1:])
    noise = entry.noise.empty(rows.shape)
    entry.noise.fill(rng, noise)
    other = None
    if entry.other == "previous":
        if previous is None or previous.shape != rows.shape:
            raise InputError(
                f"{kind!r} needs `previous`, the last output of the sensors, of shape {rows.shape}"
            )
        other = previous
    elif entry.other == "others":
        other = _other_rows(modality, rows, noise, others)
    return apply_kind(entry, rows, np.broadcast_to(strength, len(rows)), noise, other)


def get_kind(modality: str, kind: str) -> Kind:
    """Return an entry of `KINDS`; InputError naming the known ones if there is none."""
    check_choice("modality", modality, MODALITIES)
    if not isinstance(kind, str) or kind not in KINDS[modality]:
        raise InputError(
            f"unknown kind {describe(kind)} of corrupted {modality}: the kinds are "
            f"{', '.join(KINDS[modality])}"
        )
    return KINDS[modality][kind]


def check_severity(severity: Any) -> NDArray[np.float32]:
    """Return severities as float32 of the same shape; InputError unless all are in [0, 1]."""
    try:
        array = np.asarray(severity)
    except (TypeError, ValueError):
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise InputError(f"severity is {describe(severity)}: give numbers in [0, 1]")
    outside = array[~((array >= 0) & (array <= 1))].tolist()  # NaN compares false
    if outside:
        raise InputError(
            f"severity is {outside[0]!r}: it must lie in [0, 1], 0 for no corruption and 1 for the "
            "worst"
        )
    return array.astype(np.float32)


def check_observations(modality: str, rows: Any, name: str = "rows") -> NDArray:
    """Return a modality's observations; InputError unless dtype, shape and range fit."""
    array = check_rows(modality, check_array(f"`{name}` of {modality}", rows))
    low, high = _RANGES[modality]
    return check_array(f"`{name}` of {modality}", array, low=low, high=high)


def check_rows(modality: str, rows: NDArray) -> NDArray:
    """Return `rows`; InputError unless their dtype and shape are those of a modality."""
    dtype, dimensions, shape = _ROWS[modality]
    fits = rows.dtype == dtype and rows.ndim == dimensions and 0 not in rows.shape[1:]
    if not fits or (modality == "image" and rows.shape[2:] != (rows.shape[1], 3)):
        raise InputError(f"{modality} rows are {describe(rows)}: give {dtype} of shape {shape}")
    return rows


def check_others(modality: str, others: Any, shape: tuple[int, ...]) -> NDArray:
    """Return `others`; InputError unless it holds at least one observation of the given shape."""
    array = check_observations(modality, others, "others")
    if not len(array) or array.shape[1:] != shape:
        wanted = ", ".join(map(str, shape))
        raise InputError(f"`others` of {modality} has shape {array.shape}: give (M, {wanted})")
    return array


def _other_rows(modality: str, rows: NDArray, noise: NDArray, others: NDArray | None) -> NDArray:
    """Pick one of `others` for each row, by default another row of the batch."""
    if others is not None:
        return choose_other(noise, others)
    count = len(rows)
    if count == 1:
        raise InputError(
            f"'other_scene' needs `others`, (M, ...) {modality} of other scenes: the batch has one "
            "row"
        )
    return rows[(np.arange(count) + 1 + pick(noise[:, 1], count - 1)) % max(count, 1)]
