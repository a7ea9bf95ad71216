"""Which module may import which: data flows from scenes to agents, and never back."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {
    str(path.relative_to(ROOT)): path
    for folder in ("gw_envs", "gw_agents", "benchmarks", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
CONTRACT = tuple(
    f"gw_envs.{name}"
    for name in ("observation", "language", "labels", "dataset", "assets", "corruption", "vision")
)
"""What agents may know of the environments."""
STABLE_BASELINES = {"gw_agents/sb3.py", "gw_agents/agents.py", "gw_agents/train.py"}


def is_module(name: str) -> bool:
    place = ROOT / name.replace(".", "/")
    return place.is_dir() or place.with_suffix(".py").exists()


def imports(file: str) -> set[str]:
    """The dotted names of all modules that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(FILES[file].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in parts if is_module(name)}
            found.update(modules if modules == parts else modules | {str(node.module)})
    return found


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def importers(*packages: str, folders: tuple[str, ...] = ("gw_envs/", "gw_agents/")) -> set[str]:
    """The files under `folders` that import one of `packages` or a part of it."""
    return {
        file
        for file in FILES
        if file.startswith(folders) and any(within(name, *packages) for name in imports(file))
    }


def test_there_is_something_to_check():
    assert len(FILES) > 30
    assert "gw_envs.observation" in imports("gw_envs/core.py")
    assert "gw_agents.workspace.losses" in imports("gw_agents/objective.py")


def test_environments_know_no_agents():
    assert importers("gw_agents", "torch", "stable_baselines3", folders=("gw_envs/",)) == set()


@pytest.mark.parametrize(
    ("scene", "other"), [("simple_shapes", "factory"), ("factory", "simple_shapes")]
)
def test_scenes_do_not_know_each_other(scene, other):
    assert importers(f"gw_envs.{other}", folders=(f"gw_envs/{scene}/",)) == set()


def test_what_scenes_share_knows_no_scene():
    shared = ("core", "env", "observation", "tasks", "state", "assets", "portrait")
    files = (*(f"gw_envs/{name}.py" for name in shared), "gw_envs/corruption/")
    assert importers("gw_envs.simple_shapes", "gw_envs.factory", folders=files) == set()


def test_nothing_imports_benchmarks():
    assert importers("benchmarks") == set()


def test_agents_know_the_contract_only():
    for file in FILES:
        if file.startswith("gw_agents/"):
            known = {
                name for name in imports(file) if within(name, "gw_envs") and name != "gw_envs"
            }
            assert all(within(name, *CONTRACT) for name in known), (file, known)


def test_workspace_knows_the_domains_base_only():
    for file in FILES:
        if file.startswith("gw_agents/workspace/"):
            known = {name for name in imports(file) if within(name, "gw_agents", "gw_envs")}
            assert all(
                within(name, "gw_agents.workspace", "gw_agents.domains.base") for name in known
            ), (file, known)


def test_losses_import_no_model():
    assert not {
        name
        for name in imports("gw_agents/workspace/losses.py")
        if within(name, "gw_agents", "gw_envs")
    }


def test_one_caller_of_pybullet():
    assert importers("pybullet") == {"gw_envs/factory/sim.py"}


def test_stable_baselines_stays_at_the_edge():
    assert importers("stable_baselines3") <= STABLE_BASELINES


def test_one_caller_of_numba():
    assert importers("numba") == {"gw_envs/compiled.py"}
