"""Files and folders appear whole or not at all; the next writer removes what a killed one left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gw_envs import files
from gw_envs.files import whole_folder, write_atomically

WRITERS = {
    "file": "write_atomically(folder / 'data.txt', lambda path: (path.write_text('half'), wait()))",
    "folder": "with whole_folder(folder / 'data') as path: (path / 'a').write_text('half'); wait()",
}
START = """
import sys, time
from pathlib import Path
from gw_envs.files import whole_folder, write_atomically
folder = Path(sys.argv[1])
def wait():
    print("writing", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def start_writer(folder: Path, kind: str) -> subprocess.Popen:
    """Start a process that stays in the middle of writing into `folder`."""
    writer = subprocess.Popen(
        [sys.executable, "-c", START + WRITERS[kind], str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    return writer


@pytest.mark.parametrize("kind", WRITERS)
def test_what_a_killed_writer_left_is_removed_by_the_next_write(kind, tmp_path):
    writer = start_writer(tmp_path, kind)
    (temporary,) = names(tmp_path)
    write_atomically(tmp_path / "first.txt", lambda path: path.write_text("whole"))
    assert names(tmp_path) == [temporary, "first.txt"]  # a live writer is left alone
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    write_atomically(tmp_path / "second.txt", lambda path: path.write_text("whole"))
    assert names(tmp_path) == ["first.txt", "second.txt"]


def test_other_machines_files_are_removed_by_age(tmp_path):
    old, young = (tmp_path / f".data.tmp-00000000-1-{name}" for name in ("old", "young"))
    old.write_text("")
    young.write_text("")
    then = time.time() - files.ABANDONED_AFTER - 60
    os.utime(old, (then, then))
    (tmp_path / ".hidden").write_text("")
    with whole_folder(tmp_path / "data") as folder:
        (folder / "a").write_text("whole")
    assert names(tmp_path) == [young.name, ".hidden", "data"]


def write_until_full(path: Path) -> None:
    path.write_text("half")
    Path("/dev/full").write_text("the rest")


def save_until_short(path: Path) -> None:
    path.write_text("half")
    raise OSError("1000 requested and 24 written")  # as ndarray.tofile on a full disk


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("write", [write_until_full, save_until_short])
def test_a_full_disk_leaves_the_old_file_and_is_one_sentence(write, tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("old")
    with pytest.raises(OSError, match=r"the disk is full.*: free some space") as caught:
        write_atomically(path, write)
    assert "\n" not in str(caught.value)
    with (
        pytest.raises(OSError, match=r"the disk is full.*: free some space"),
        whole_folder(tmp_path / "folder") as folder,
    ):
        write(folder / "data.txt")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["data.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on file sizes")
def test_arrays_larger_than_a_file_may_be(tmp_path):
    code = """
import resource, sys
import numpy as np
from pathlib import Path
from gw_envs.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomically(Path(sys.argv[1]), lambda path: np.save(path, np.zeros(10_000)))
except OSError as error:
    print(error)
"""
    run = [sys.executable, "-c", code, str(tmp_path / "a.npy")]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert printed.startswith(f"cannot write in {tmp_path} (the disk is full")
    assert names(tmp_path) == []


def test_other_errors_of_a_writer_pass(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_atomically(tmp_path / "a", lambda path: (tmp_path / "nowhere").read_bytes())
    assert names(tmp_path) == []


def test_a_whole_array_is_there(tmp_path):
    write_atomically(tmp_path / "a.npy", lambda path: np.save(path, np.arange(3)))
    assert np.load(tmp_path / "a.npy").tolist() == [0, 1, 2]
    assert names(tmp_path) == ["a.npy"]
