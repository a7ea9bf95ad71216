"""Compiled functions run wherever the package and the home are, and cache only in safe folders."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from gw_envs.compiled import compiled, is_private

ROOT = Path(__file__).resolve().parents[1]
SOURCE = """
from gw_envs.compiled import compiled

@compiled()
def double(number):
    return 2 * number
"""
FIRST_IMAGE = """
import sys
import gymnasium as gym
import gw_envs

assert gw_envs.__file__.startswith(sys.argv[1]), gw_envs.__file__
from gw_envs.hls import rgb_from_hls
assert not rgb_from_hls.signatures, "the import compiled a function"
env = gym.make("GWSimpleShapes-v0", modalities="image")
observation, _ = env.reset(seed=0)
print(observation["image"].max() > 0, rgb_from_hls.stats.cache_path)
"""
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="uses XDG_CACHE_HOME")


def block_bytecode(folder):
    """Put a file where Python and numba would make a cache folder: it stops root as well."""
    (folder / "__pycache__").write_text("")


def double_of(folder):
    """Import `double` from a module of its own in `folder`."""
    path = folder / "doubling.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("doubling", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.double


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder for a module, no cache folder chosen by the user, and a user's cache in tmp_path."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def test_works_where_neither_the_package_nor_the_home_can_be_written(tmp_path):
    package, nowhere = tmp_path / "gw_envs", tmp_path / "file"
    shutil.copytree(ROOT / "gw_envs", package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in {path.parent for path in package.rglob("*.py")}:
        block_bytecode(folder)
    nowhere.write_text("")
    homes = ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME")
    environment = os.environ | dict.fromkeys(homes, str(nowhere)) | {"PYTHONPATH": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-c", FIRST_IMAGE, str(tmp_path)]
    used = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert used.returncode == 0, used.stderr
    assert used.stdout.split() == ["True", "None"]


def test_caches_beside_the_source_where_that_can_be_written(source):
    double = double_of(source)
    assert double(21) == 42
    assert double.stats.cache_path == str(source / "__pycache__")
    assert list((source / "__pycache__").glob("doubling.double*.nbc"))


def test_any_change_of_the_package_compiles_anew(source, monkeypatch):
    first, second = double_of(source), double_of(source)
    assert first(21) == second(21) == 42
    assert not first.stats.cache_hits
    assert second.stats.cache_hits
    monkeypatch.setattr("gw_envs.compiled._sources_stamp", lambda: "other sources")
    third = double_of(source)
    assert third(21) == 42
    assert not third.stats.cache_hits


@on_linux
def test_caches_in_the_users_own_folder_otherwise(source):
    block_bytecode(source)
    double = double_of(source)
    assert double(21) == 42
    assert list(source.parent.glob("cache/numba/*/doubling.double*.nbc"))


@on_linux
def test_does_not_cache_in_a_folder_that_others_can_write(source):
    block_bytecode(source)
    (source.parent / "cache").chmod(0o777)
    double = double_of(source)
    assert double(21) == 42
    assert double.stats.cache_path is None
    assert not list(source.parent.rglob("*.nb?"))


def test_caches_where_the_user_says(source, monkeypatch):
    chosen = source.parent / "chosen"
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(chosen))
    assert double_of(source)(21) == 42
    assert list(chosen.glob("*/doubling.double*.nbc"))


def test_a_full_disk_only_costs_the_cache(source, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile._save_data", full)
    assert double_of(source)(21) == 42
    assert not list(source.parent.rglob("*.nbc"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such owners and modes")
def test_a_folder_is_private_if_no_other_user_can_write_to_it_or_replace_it(tmp_path):
    (tmp_path / "open" / "closed").mkdir(parents=True)
    (tmp_path / "sticky" / "closed").mkdir(parents=True)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "sticky").chmod(0o1777)
    assert is_private(tmp_path)
    assert not is_private(tmp_path / "open")
    assert not is_private(tmp_path / "open" / "closed")
    assert not is_private(tmp_path / "sticky")
    assert is_private(tmp_path / "sticky" / "closed")


def test_options_reach_numba():
    assert compiled(error_model="numpy")(lambda x: 1.0 / x)(0.0) == float("inf")
