"""Leave out the tests that need torch where it is not installed.

A test module needs torch if it imports torch, or a package that imports torch, at its top. In the
other modules, the mark `torch` says so of single tests.
"""

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

NEED_TORCH = {"torch", "stable_baselines3", "sb3_contrib", "gw_agents", "benchmarks", "tiny_cells"}
HAS_TORCH = find_spec("torch") is not None


def needs_torch(path: Path) -> bool:
    """Return whether a test module imports torch, directly or not, as soon as it is collected."""
    packages = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            packages.add(str(node.module).partition(".")[0])
    return not packages.isdisjoint(NEED_TORCH)


collect_ignore = []
if not HAS_TORCH:
    modules = sorted(Path(__file__).parent.glob("test_*.py"))
    collect_ignore = [path.name for path in modules if needs_torch(path)]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "torch: the test needs torch, directly or not")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if HAS_TORCH:
        return
    skip = pytest.mark.skip(reason="torch is not installed")
    for item in items:
        if item.get_closest_marker("torch"):
            item.add_marker(skip)
