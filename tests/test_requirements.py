"""What is installed where: one PyBullet at most, and a constraint for every dependency."""

import tomllib
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = [Requirement(text) for text in PROJECT["dependencies"]]
PLATFORMS = {
    "linux": ("linux", "x86_64"),
    "linux_arm": ("linux", "aarch64"),
    "mac": ("darwin", "arm64"),
    "mac_intel": ("darwin", "x86_64"),
    "windows": ("win32", "AMD64"),
    "windows_arm": ("win32", "ARM64"),
}
UPSTREAM = {("linux", "3.11")}
FORK = {
    ("linux", "3.12"),
    ("linux", "3.13"),
    *product(("mac", "windows"), ("3.11", "3.12", "3.13")),
}
"""Platforms and Pythons for which PyBullet itself and its fork have wheels; elsewhere none has."""


def installed(platform: str, python: str, implementation: str = "cpython") -> set[str]:
    """Return the names of the dependencies that pip installs on a machine."""
    system, machine = PLATFORMS[platform]
    environment = {
        "implementation_name": implementation,
        "python_version": python,
        "sys_platform": system,
        "platform_machine": machine,
    }
    return {
        requirement.name
        for requirement in REQUIREMENTS
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_pybullet_that_has_a_wheel_is_installed(platform, python):
    names = installed(platform, python)
    assert ("pybullet" in names) == ((platform, python) in UPSTREAM)
    assert ("pybullet-arm64" in names) == ((platform, python) in FORK)


def test_other_pythons_get_no_pybullet():
    assert "pybullet" not in installed("linux", "3.11", implementation="pypy")


def test_every_dependency_has_a_constraint_that_it_admits():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pinned = {pin.name.lower().replace("_", "-"): pin.specifier for pin in constraints}
    optional = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *optional["test"], *optional["dev"]]:
        requirement = Requirement(text)
        (pin,) = pinned[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(pin.version), text
