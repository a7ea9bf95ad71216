"""The published dataset on disk is read and written, and wrong files are refused by name."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from rollouts import digest

from gw_envs.dataset import export_published, load_published
from gw_envs.errors import InputError
from gw_envs.language import sentences
from gw_envs.simple_shapes import SimpleShapesState, render

PUBLISHED = Path(__file__).parent / "data" / "published_sample"


def plain(sample: dict) -> dict:
    """Return all but the pictures, with the arrays of the state in place of the state."""
    return {**sample, "image": None, "state": sample["state"].arrays()}


def published_copy(folder: Path) -> Path:
    return Path(shutil.copytree(PUBLISHED, folder / "published"))


def test_published_sample_is_read():
    sample = load_published(PUBLISHED, "train")
    assert sample["image"].shape == (4, 32, 32, 3)
    assert sample["image"].dtype == np.uint8
    assert sample["attributes"].shape == (4, 11)
    assert sample["attributes"].dtype == np.float32
    assert sample["caption"][0].startswith("A small olive object pointing to the northeast")
    state = sample["state"]
    assert state.shape.tolist() == [0, 1, 0, 1]
    assert state.x.tolist() == [13, 8, 14, 24]
    assert state.y.tolist() == [19, 13, 21, 12]
    assert state.size.tolist() == [10, 12, 9, 11]
    assert state.rotation[0] == pytest.approx(5.2532377)
    assert state.rgb[3].tolist() == [224, 225, 217]
    brightest = (
        sample["image"].reshape(4, -1, 3).max(1)
    )  # channels in the labels' order, wholly covered pixels
    assert np.abs(brightest.astype(int) - state.rgb).max() <= 1


def test_published_labels_round_trip(tmp_path):
    sample = load_published(PUBLISHED, "train")
    export_published(tmp_path, "val", sample["state"], sample["caption"], sample["labels"])
    assert (tmp_path / "val_labels.npy").read_bytes() == (
        PUBLISHED / "train_labels.npy"
    ).read_bytes()
    again = load_published(tmp_path, "val")
    assert digest(plain(again)) == digest(plain(sample))
    assert np.array_equal(again["image"], render(sample["state"]))
    export_published(tmp_path, "test", sample["state"])
    rest = load_published(tmp_path, "test")
    assert np.array_equal(rest["labels"][:, :8], sample["labels"][:, :8])
    assert (
        np.abs(rest["labels"][:, 8:11] - sample["labels"][:, 8:11]).max() <= 2
    )  # published before their conversion
    assert rest["caption"].tolist() == sentences(sample["state"])


def test_exported_scenes_are_read_back(tmp_path):
    state = SimpleShapesState.sample(np.random.default_rng(0), 200)
    state.rotation[0] = np.nextafter(2 * np.pi, 0)  # rounds up to a whole turn in float32
    export_published(tmp_path / "new", "train", state)
    again = load_published(tmp_path / "new", "train")
    for name in ("shape", "x", "y", "size", "rgb"):
        assert np.array_equal(getattr(again["state"], name), getattr(state, name))
    assert np.abs(again["state"].rotation - state.rotation).max() < 5e-7
    difference = np.abs(again["image"].astype(int) - render(again["state"]))
    assert difference.max() <= 1  # drawn before the rotation was rounded
    export_published(tmp_path / "twice", "train", again["state"], again["caption"])
    for file in ("train_labels.npy", "train_captions.npy"):
        assert (tmp_path / "twice" / file).read_bytes() == (tmp_path / "new" / file).read_bytes()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "train",
        "train_captions.npy",
        "train_labels.npy",
    ]
    with pytest.raises(FileExistsError, match="is there already"):
        export_published(tmp_path / "new", "train", state)


def test_one_scene_is_exported(tmp_path):
    state = SimpleShapesState.sample(np.random.default_rng(0), 2)
    export_published(tmp_path, "train", state[1])
    assert load_published(tmp_path, "train")["state"].x.tolist() == [state.x[1]]


def test_an_interrupted_export_is_done_again(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "9.png").write_bytes(b"half")
    state = SimpleShapesState.sample(np.random.default_rng(0), 3)
    export_published(tmp_path, "train", state)
    assert len(load_published(tmp_path, "train")["image"]) == 3
    for change in ({"captions": ["one"]}, {"labels": np.zeros((2, 12), np.float32)}):
        with pytest.raises(ValueError, match="for 3 scenes"):
            export_published(tmp_path, "val", state, **change)
    assert not (tmp_path / "val").exists()


def test_an_export_removes_no_files_of_others(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "thesis.txt").write_text("precious")
    state = SimpleShapesState.sample(np.random.default_rng(0), 2)
    with pytest.raises(FileExistsError, match=r"holds thesis.txt, which no export wrote"):
        export_published(tmp_path, "train", state)
    assert (tmp_path / "train" / "thesis.txt").read_text() == "precious"


def test_pickled_captions_need_trust(tmp_path):
    folder = published_copy(tmp_path)
    texts = np.load(folder / "train_captions.npy").astype(object)
    np.save(folder / "train_captions.npy", texts, allow_pickle=True)
    with pytest.raises(
        ValueError,
        match=r"train_captions.npy holds pickled objects, which can run code.*trust=True",
    ):
        load_published(folder, "train")
    assert load_published(folder, "train", trust=True)["caption"].tolist() == texts.tolist()
    np.save(
        folder / "train_captions.npy",
        np.array([1, None, "a", "b"], dtype=object),
        allow_pickle=True,
    )
    with pytest.raises(ValueError, match="captions are text"):
        load_published(folder, "train", trust=True)


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def changed_label(column: int, value: float):
    """Return a function that stores labels as float64 with one number changed."""

    def change(path: Path) -> None:
        labels = np.load(path).astype(np.float64)
        labels[1, column] = value
        np.save(path, labels)

    return change


def huge_header(path: Path) -> None:
    """Claim a terabyte of labels in a file of a few bytes."""
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (2**35, 8)}
        np.lib.format.write_array_header_1_0(file, header)


def flip(at: int):
    """Return a function that changes one bit of a file."""

    def change(path: Path) -> None:
        stored = bytearray(path.read_bytes())
        stored[at] ^= 1
        path.write_bytes(stored)

    return change


UNREADABLE = r"train/2.png is missing or cannot be read"

WRONG_FILES = [
    *[
        ("train_labels.npy", changed_label(column, value), InputError, "no scene, row 1")
        for column, value in (
            *((0, 0.5), (0, 3), (1, 1e300), (1, 33), (2, -1), (3, -1e300)),
            *((4, 1e30), (5, 300), (7, -2), (11, 1e300), (11, np.nan)),
        )
    ],
    ("train_labels.npy", huge_header, InputError, "train_labels.npy is damaged"),
    ("train/2.png", lambda p: p.write_bytes(p.read_bytes()[:-30]), InputError, UNREADABLE),
    ("train/2.png", flip(18), InputError, UNREADABLE),
    ("train/2.png", flip(60), InputError, UNREADABLE),
    ("train", remove, FileNotFoundError, "no folder .*train"),
    ("train_labels.npy", remove, FileNotFoundError, "no .*train_labels.npy"),
    ("train_captions.npy", remove, FileNotFoundError, "no .*train_captions.npy"),
    (
        "train_labels.npy",
        lambda p: p.write_bytes(p.read_bytes()[:150]),
        ValueError,
        "train_labels.npy is damaged",
    ),
    ("train_labels.npy", lambda p: p.write_bytes(b""), ValueError, "train_labels.npy is damaged"),
    (
        "train_labels.npy",
        lambda p: np.save(p, np.load(p)[:, :5]),
        ValueError,
        r"shape \(4, 5\): labels are",
    ),
    (
        "train_labels.npy",
        lambda p: np.save(p, np.load(p) + 2),
        ValueError,
        "a row that is no scene",
    ),
    (
        "train_labels.npy",
        lambda p: np.save(p, np.load(p) * np.nan),
        ValueError,
        "a row that is no scene",
    ),
    (
        "train_captions.npy",
        lambda p: np.save(p, np.load(p)[:3]),
        ValueError,
        r"shape \(3,\), but there are 4 labels",
    ),
    ("train_captions.npy", lambda p: np.save(p, np.arange(4)), ValueError, "captions are text"),
    ("train/2.png", remove, ValueError, "holds 3 pictures for 4 labels"),
    (
        "train/2.png",
        lambda p: p.rename(p.with_name("7.png")),
        ValueError,
        r"train/2.png is missing",
    ),
    (
        "train/2.png",
        lambda p: p.write_bytes(b"no picture"),
        ValueError,
        r"train/2.png is missing or cannot be read",
    ),
    (
        "train/2.png",
        lambda p: p.write_bytes(b""),
        ValueError,
        r"train/2.png is missing or cannot be read",
    ),
    (
        "train/2.png",
        lambda p: cv2.imwrite(str(p), np.zeros((8, 9, 3), np.uint8)),
        ValueError,
        "has 9 x 8 pixels",
    ),
]


@pytest.mark.parametrize(("file", "damage", "error", "message"), WRONG_FILES)
def test_wrong_files_are_refused(file, damage, error, message, tmp_path):
    folder = published_copy(tmp_path)
    damage(folder / file)
    with pytest.raises(error, match=message) as caught:
        load_published(folder, "train")
    assert "\n" not in str(caught.value)


def test_unknown_splits_are_refused(tmp_path):
    for call in (
        lambda: load_published(PUBLISHED, "validation"),
        lambda: export_published(tmp_path, "x", None),
    ):
        with pytest.raises(ValueError, match="the published splits are train, val, test"):
            call()
    with pytest.raises(FileNotFoundError, match="no folder"):
        load_published(tmp_path / "nowhere", "train")
