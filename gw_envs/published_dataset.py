"""Read and write the published Simple Shapes dataset (github.com/ruflab/simple-shapes-dataset).

A split is a folder `SPLIT/` of pictures `K.png`, 32 x 32 RGB, with `SPLIT_labels.npy` and
`SPLIT_captions.npy` beside it. A row of labels is twelve float32 numbers: class, x, y and size in
pixels (y upwards), rotation in radians, red, green, blue, then hue, lightness and saturation as
OpenCV stores them, and a number that is not part of the scene.
"""

import os
import re
import shutil
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gw_envs.display import opencv
from gw_envs.errors import InputError, check_array, check_flag, check_path, describe
from gw_envs.files import whole_folder, write_atomically
from gw_envs.language import sentences
from gw_envs.observation import attributes_from_values
from gw_envs.progress import progress
from gw_envs.simple_shapes import SimpleShapesState, render
from gw_envs.simple_shapes.state import CANVAS, SHAPES

PUBLISHED_SPLITS = ("train", "val", "test")
"""The splits, as their files are named."""

COLUMNS = 12
"""Numbers in a row of labels; the last four do not define the scene and may be missing."""

SCENE_COLUMNS = 8
"""Numbers at the start of a row that define the scene."""
READERS = 4
"""Threads that read pictures."""
RENDER_BATCH = 1024
"""Scenes that are drawn at a time."""

_RANGES = ((0, len(SHAPES) - 1), *[(0, CANVAS)] * 3, (-100, 100), *[(-0.5, 255.5)] * 3)
"""Smallest and largest value in each of the scene's columns."""

_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x00IEND\xaeB`\x82"


def load_published(path: str | Path, split: str, trust: bool = False) -> dict[str, Any]:
    """Read a split of the published dataset.

    Args:
        path: the folder that holds it.
        split: "train", "val" or "test".
        trust: whether to read captions stored as pickled objects, which can run code.

    Returns:
        A dict of `image` (N, 32, 32, 3) uint8, `attributes` (N, 11) float32 as environments return
        them, `caption` (N,) str, `labels` (N, 8 to 12) float32 as stored, and `state`, N scenes
        whose wording seeds are their row numbers.

    Raises:
        FileNotFoundError: the folder or one of its files is missing.
        InputError: an unknown split, or files that are damaged or contradict each other; the
            message names them.
    """
    folder = _split_folder(path, split)
    trust = check_flag("trust", trust)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}: point to the one that holds {split!r} and its files"
        )
    labels = _read_labels(folder.with_name(f"{split}_labels.npy"))
    captions = _read_captions(folder.with_name(f"{split}_captions.npy"), len(labels), trust)
    state = _state(labels)
    images = _read_images(folder, len(labels))
    attributes = attributes_from_values("simple_shapes", state.arrays())
    return {
        "image": images,
        "attributes": attributes,
        "caption": captions,
        "labels": labels,
        "state": state,
    }


def export_published(
    path: str | Path,
    split: str,
    state: SimpleShapesState,
    captions: Sequence[str] | NDArray[np.str_] | None = None,
    labels: NDArray[np.float32] | None = None,
) -> None:
    """Write scenes as a published split; each file appears whole or not at all, the labels last.

    Args:
        path: the folder to write into, made if it is missing.
        split: "train", "val" or "test".
        state: N scenes, or one. Rotations are stored as float32; all else is kept exactly.
        captions: N sentences; those of the environments by default.
        labels: (N, 12) labels as read, whose last four columns are kept; by default OpenCV's
            conversion of the color, and 0.

    Raises:
        FileExistsError: the split exists already, or its folder holds something else.
        InputError: an unknown split, or captions or labels that do not fit the scenes.
    """
    folder = _split_folder(path, split)
    if not isinstance(state, SimpleShapesState):
        raise InputError(f"state is {describe(state)}: give a SimpleShapesState")
    state = state.batched()
    labels_path = folder.with_name(f"{split}_labels.npy")
    if labels_path.exists():
        raise FileExistsError(
            f"{labels_path} is there already: delete the split or name another folder"
        )
    table = _labels(state, labels)
    texts = _texts(sentences(state) if captions is None else captions, len(state))
    if folder.is_dir():  # without labels: an interrupted export left it
        _remove_pictures(folder)
    with whole_folder(folder) as temporary:
        _write_images(temporary, state)
    write_atomically(folder.with_name(f"{split}_captions.npy"), lambda file: np.save(file, texts))
    write_atomically(labels_path, lambda file: np.save(file, table))


def _split_folder(path: str | Path, split: str) -> Path:
    """Check the name and path of a split. Returns the folder of its pictures."""
    if not isinstance(split, str) or split not in PUBLISHED_SPLITS:
        raise InputError(
            f"unknown split {describe(split)}: the published splits are "
            f"{', '.join(PUBLISHED_SPLITS)}"
        )
    return check_path("path", path) / split


def _read_array(path: Path, trust: bool = False) -> NDArray:
    """Read an array from a .npy file; objects only if trusted."""
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {path}: a split has labels and captions beside its folder of pictures"
        )
    try:
        with path.open("rb") as file:
            old = npy.read_magic(file) == (1, 0)
            read_header = npy.read_array_header_1_0 if old else npy.read_array_header_2_0
            shape, _, dtype = read_header(file)
            stored = path.stat().st_size - file.tell()
        cut = not dtype.hasobject and stored < dtype.itemsize * np.prod(shape, dtype=object)
        if not cut and (trust or not dtype.hasobject):
            return np.load(path, allow_pickle=dtype.hasobject)
    except Exception as error:  # damaged headers and pickles raise almost any exception
        raise _damaged(path) from error
    if cut:
        raise _damaged(path)
    raise InputError(
        f"{path} holds pickled objects, which can run code when read: pass trust=True if you trust "
        "them"
    )


def _damaged(path: Path) -> InputError:
    """Return the error for a file that is no array."""
    return InputError(
        f"{path} is damaged and cannot be read as an array: write or download it again"
    )


def _read_labels(path: Path) -> NDArray[np.float32]:
    """Read labels; InputError if a row is no scene. Returns (N, 8 to 12) float32."""
    labels = _read_array(path)
    if labels.ndim != 2 or labels.shape[1] < SCENE_COLUMNS or labels.dtype.kind not in "fiu":
        raise InputError(
            f"{path} holds {labels.dtype} of shape {labels.shape}: "
            f"labels are (N, {COLUMNS}) numbers"
        )
    low, high = np.array(_RANGES).T
    scenes, rest = labels[:, :SCENE_COLUMNS], labels[:, SCENE_COLUMNS:]
    inside = (scenes >= low) & (scenes <= high)  # NaN compares false
    whole = scenes[:, 0] == np.round(scenes[:, 0])
    storable = np.abs(rest) <= np.finfo(np.float32).max
    wrong = ~(inside.all(1) & whole & storable.all(1))
    if wrong.any():
        raise InputError(
            f"{path} has a row that is no scene, row {wrong.argmax()}: classes are 0, 1 or 2, "
            f"positions and sizes 0 to {CANVAS}, colors 0 to 255"
        )
    return labels.astype(np.float32)


def _read_captions(path: Path, count: int, trust: bool) -> NDArray[np.str_]:
    """Read captions; InputError unless there is one for each label. Returns (count,) str."""
    captions = _read_array(path, trust)
    if captions.shape != (count,):
        raise InputError(
            f"{path} holds captions of shape {captions.shape}, but there are {count} labels"
        )
    if captions.dtype.kind != "U" and not all(isinstance(caption, str) for caption in captions):
        raise InputError(f"{path} holds {captions.dtype}: captions are text")
    return captions.astype(np.str_)


def _state(labels: NDArray[np.float32]) -> SimpleShapesState:
    """Convert labels to scenes."""
    x, y, size, rotation = labels[:, 1:5].T.astype(np.float64)
    rgb = np.clip(np.round(labels[:, 5:8]), 0, 255).astype(np.uint8)
    seeds = np.arange(len(labels))
    return SimpleShapesState(
        labels[:, 0].astype(np.int64), x, y, size, rotation % (2 * np.pi), rgb, seeds
    )


def _texts(captions: Any, count: int) -> NDArray[np.str_]:
    """Check captions. Returns (count,) strings."""
    texts = [captions] if isinstance(captions, str) or not np.iterable(captions) else list(captions)
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"captions are {describe(captions)}: give text")
    if isinstance(captions, str) or len(texts) != count:
        raise InputError(f"{len(texts)} captions for {count} scenes: give one for each, as a list")
    return np.array(texts, dtype=np.str_)


def _labels(state: SimpleShapesState, known: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Return (N, COLUMNS) float32 labels of scenes, with the last columns of `known` if given."""
    table = np.zeros((len(state), COLUMNS), np.float32)
    for column, values in enumerate((state.shape, state.x, state.y, state.size, state.rotation)):
        table[:, column] = values
    below_a_turn = np.nextafter(np.float32(2 * np.pi), np.float32(0))
    table[:, 4] = np.minimum(table[:, 4], below_a_turn)
    table[:, 5:8] = state.rgb
    if known is not None:
        largest = float(np.finfo(np.float32).max)
        known = check_array("labels", known, low=-largest, high=largest)
        if known.shape != table.shape:
            raise InputError(
                f"labels of shape {known.shape} for {len(state)} scenes: give {table.shape}"
            )
        table[:, SCENE_COLUMNS:] = known[:, SCENE_COLUMNS:]
    elif len(state):
        pixels = np.ascontiguousarray(state.rgb)[:, None]
        table[:, 8:11] = opencv().cvtColor(pixels, opencv().COLOR_RGB2HLS)[:, 0]
    return table


def _read_images(folder: Path, count: int) -> NDArray[np.uint8]:
    """Read the pictures 0.png, 1.png and so on: (count, 32, 32, 3)."""
    pictures = sum(entry.name.endswith(".png") for entry in os.scandir(folder))
    if pictures != count:
        raise InputError(
            f"{folder} holds {pictures} pictures for {count} labels: write or download it again"
        )
    images = np.empty((count, CANVAS, CANVAS, 3), np.uint8)

    def read(number: int) -> None:
        images[number] = _read_image(folder / f"{number}.png")

    with ThreadPoolExecutor(READERS) as pool:
        reads = pool.map(read, range(count))
        try:
            for _ in progress(reads, f"reading {folder.name}", count, "picture"):
                pass
        except ValueError:
            pool.shutdown(cancel_futures=True)
            raise
    return images


def _read_image(path: Path) -> NDArray[np.uint8]:
    """Read one picture (32, 32, 3); its checksums and size are checked before it is decoded."""
    stored = path.read_bytes() if path.is_file() else b""
    if not _is_whole_png(stored):
        raise InputError(
            f"{path} is missing or cannot be read as a picture: write or download it again"
        )
    width, height = (int.from_bytes(stored[at : at + 4], "big") for at in (16, 20))
    if (width, height) != (CANVAS, CANVAS):
        raise InputError(f"{path} has {width} x {height} pixels: pictures have {CANVAS} x {CANVAS}")
    picture = opencv().imdecode(np.frombuffer(stored, np.uint8), opencv().IMREAD_COLOR)
    if picture is None or picture.shape != (CANVAS, CANVAS, 3):
        raise InputError(f"{path} cannot be read as a picture: write or download it again")
    return picture[..., ::-1]


def _is_whole_png(stored: bytes) -> bool:
    """Return whether bytes are a PNG file whose chunks all match their checksums."""
    if not stored.startswith(_PNG_START) or not stored.endswith(_PNG_END):
        return False
    at = len(_PNG_START)
    while at < len(stored):
        end = at + 8 + int.from_bytes(stored[at : at + 4], "big")
        checksum = int.from_bytes(stored[end : end + 4], "big")
        if end + 4 > len(stored) or zlib.crc32(stored[at + 4 : end]) != checksum:
            return False
        at = end + 4
    return True


def _remove_pictures(folder: Path) -> None:
    """Remove a folder of pictures; FileExistsError if it holds anything else."""
    for entry in os.scandir(folder):
        if not re.fullmatch(r"\d+\.png", entry.name):
            raise FileExistsError(
                f"{folder} holds {entry.name}, which no export wrote: name another folder"
            )
    shutil.rmtree(folder)


def _write_images(folder: Path, state: SimpleShapesState) -> None:
    """Draw scenes into the files 0.png, 1.png and so on."""
    for start in progress(range(0, len(state), RENDER_BATCH), f"writing {folder.name}"):
        for number, picture in enumerate(render(state[start : start + RENDER_BATCH]), start):
            stored = opencv().imencode(".png", picture[..., ::-1])[1]
            (folder / f"{number}.png").write_bytes(stored.tobytes())
