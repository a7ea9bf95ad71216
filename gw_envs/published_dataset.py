"""The published Simple Shapes dataset's layout on disk (github.com/ruflab/simple-shapes-dataset), read and written.

A split is a folder `SPLIT/` of pictures `K.png`, 32 x 32 RGB, with `SPLIT_labels.npy` and `SPLIT_captions.npy` beside
it. A row of labels is twelve float32 numbers: class, x, y and size in pixels (y upwards), rotation in radians, red,
green, blue, then hue, lightness and saturation as OpenCV stores them, and a number that belongs to no modality.
"""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gw_envs.display import opencv
from gw_envs.files import whole_folder, write_atomically
from gw_envs.language import sentences
from gw_envs.observation import attributes_from_values
from gw_envs.progress import progress
from gw_envs.simple_shapes import SimpleShapesState, render
from gw_envs.simple_shapes.state import CANVAS, SHAPES

PUBLISHED_SPLITS = ("train", "val", "test")
"""The splits, as their files are named."""

COLUMNS = 12
"""Numbers in a row of labels; the last four are not part of a scene and may be missing when read."""

SCENE_COLUMNS = 8
READERS = 4
"""Threads that read pictures."""
RENDER_BATCH = 1024


def load_published(path: str | Path, split: str, trust: bool = False) -> dict[str, Any]:
    """Read a split.

    Args:
        path: the folder that holds it.
        split: "train", "val" or "test".
        trust: whether captions may be read that are stored as pickled objects, which can run code when they are read.

    Returns:
        A dict of `image` (N, 32, 32, 3) uint8, `attributes` (N, 11) float32 as environments show them, `caption` (N,)
        str, `labels` (N, 8 to 12) float32 as stored, and `state`, N scenes whose wording seed is their number.

    Raises:
        FileNotFoundError: the folder or one of its files is missing.
        ValueError: an unknown split, or files that are damaged or do not fit each other; the message names them.
    """
    folder = _checked(path, split)
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
    """Write scenes as a split; each file is there whole or not at all, the labels last.

    Args:
        path: the folder to write into, made if it is not there.
        split: "train", "val" or "test".
        state: N scenes, or one. Rotations are stored as float32; all else is kept exactly.
        captions: N sentences; those of the environments by default.
        labels: (N, 12) labels as read, whose last four columns are kept; by default OpenCV's conversion of the color,
            and 0.

    Raises:
        FileExistsError: the split is there already.
        ValueError: an unknown split, or captions or labels of another number than the scenes.
    """
    folder, state = _checked(path, split), state.batched()
    labels_path = folder.with_name(f"{split}_labels.npy")
    if labels_path.exists():
        raise FileExistsError(
            f"{labels_path} is there already: delete the split or name another folder"
        )
    table = _labels(state, labels)
    texts = np.asarray(sentences(state) if captions is None else captions, dtype=np.str_)
    if texts.shape != (len(state),):
        raise ValueError(
            f"captions of shape {texts.shape} for {len(state)} scenes: give one for each"
        )
    if folder.is_dir():  # without labels: what an interrupted export left
        shutil.rmtree(folder)
    with whole_folder(folder) as temporary:
        _write_images(temporary, state)
    write_atomically(folder.with_name(f"{split}_captions.npy"), lambda file: np.save(file, texts))
    write_atomically(labels_path, lambda file: np.save(file, table))


def _checked(path: str | Path, split: str) -> Path:
    if split not in PUBLISHED_SPLITS:
        raise ValueError(
            f"unknown split {split!r}: the published splits are {', '.join(PUBLISHED_SPLITS)}"
        )
    return Path(path) / split


def _read_array(path: Path, trust: bool = False) -> NDArray:
    """An array from a .npy file; objects only if trusted."""
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {path}: a split has labels and captions beside its folder of pictures"
        )
    try:
        with path.open("rb") as file:
            read_header = (
                npy.read_array_header_1_0
                if npy.read_magic(file) == (1, 0)
                else npy.read_array_header_2_0
            )
            pickled = read_header(file)[2].hasobject
        if trust or not pickled:
            return np.load(path, allow_pickle=pickled)
    except (ValueError, EOFError, OSError, UnpicklingError) as error:
        raise ValueError(
            f"{path} is damaged, it cannot be read as an array: write or download it again"
        ) from error
    raise ValueError(
        f"{path} holds pickled objects, which can run code when read: pass trust=True if you trust them"
    )


def _read_labels(path: Path) -> NDArray[np.float32]:
    labels = _read_array(path)
    if labels.ndim != 2 or labels.shape[1] < SCENE_COLUMNS or labels.dtype.kind not in "fiu":
        raise ValueError(
            f"{path} holds {labels.dtype} of shape {labels.shape}: labels are (N, {COLUMNS}) numbers"
        )
    if not np.isfinite(labels).all() or not np.isin(labels[:, 0], range(len(SHAPES))).all():
        raise ValueError(
            f"{path} has a row that is no scene: a number is not finite, or a class is not 0, 1 or 2"
        )
    return labels.astype(np.float32)


def _read_captions(path: Path, count: int, trust: bool) -> NDArray[np.str_]:
    captions = _read_array(path, trust)
    if captions.shape != (count,):
        raise ValueError(
            f"{path} holds captions of shape {captions.shape}, but there are {count} labels"
        )
    if captions.dtype.kind != "U" and not all(isinstance(caption, str) for caption in captions):
        raise ValueError(f"{path} holds {captions.dtype}: captions are text")
    return captions.astype(np.str_)


def _state(labels: NDArray[np.float32]) -> SimpleShapesState:
    x, y, size, rotation = labels[:, 1:5].T.astype(np.float64)
    rgb = np.clip(np.round(labels[:, 5:8]), 0, 255).astype(np.uint8)
    seeds = np.arange(len(labels))
    return SimpleShapesState(
        labels[:, 0].astype(np.int64), x, y, size, rotation % (2 * np.pi), rgb, seeds
    )


def _labels(state: SimpleShapesState, known: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """(N, COLUMNS) float32: the scenes, and the last columns of `known`."""
    if known is not None and np.shape(known) != (len(state), COLUMNS):
        raise ValueError(
            f"labels of shape {np.shape(known)} for {len(state)} scenes: give ({len(state)}, {COLUMNS})"
        )
    table = np.zeros((len(state), COLUMNS), np.float32)
    for column, values in enumerate((state.shape, state.x, state.y, state.size, state.rotation)):
        table[:, column] = values
    table[:, 4] = np.minimum(
        table[:, 4], np.nextafter(np.float32(2 * np.pi), np.float32(0))
    )  # below a whole turn
    table[:, 5:8] = state.rgb
    if known is not None:
        table[:, SCENE_COLUMNS:] = known[:, SCENE_COLUMNS:]
    elif len(state):
        table[:, 8:11] = opencv().cvtColor(
            np.ascontiguousarray(state.rgb)[:, None], opencv().COLOR_RGB2HLS
        )[:, 0]
    return table


def _read_images(folder: Path, count: int) -> NDArray[np.uint8]:
    """(count, 32, 32, 3): the pictures 0.png, 1.png and so on."""
    pictures = sum(entry.name.endswith(".png") for entry in os.scandir(folder))
    if pictures != count:
        raise ValueError(
            f"{folder} holds {pictures} pictures for {count} labels: write or download it again"
        )
    images = np.empty((count, CANVAS, CANVAS, 3), np.uint8)

    def read(number: int) -> None:
        path = folder / f"{number}.png"
        stored = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
        picture = opencv().imdecode(stored, opencv().IMREAD_COLOR) if len(stored) else None
        if picture is None:
            raise ValueError(
                f"{path} is missing or cannot be read as a picture: write or download it again"
            )
        if picture.shape != images.shape[1:]:
            found = f"{picture.shape[1]} x {picture.shape[0]} pixels"
            raise ValueError(f"{path} has {found}: pictures have {CANVAS} x {CANVAS}")
        images[number] = picture[..., ::-1]

    with ThreadPoolExecutor(READERS) as pool:
        try:
            for _ in progress(
                pool.map(read, range(count)), f"reading {folder.name}", count, "picture"
            ):
                pass
        except ValueError:
            pool.shutdown(cancel_futures=True)
            raise
    return images


def _write_images(folder: Path, state: SimpleShapesState) -> None:
    for start in progress(range(0, len(state), RENDER_BATCH), f"writing {folder.name}"):
        for number, picture in enumerate(render(state[start : start + RENDER_BATCH]), start):
            stored = opencv().imencode(".png", picture[..., ::-1])[1]
            (folder / f"{number}.png").write_bytes(stored.tobytes())
