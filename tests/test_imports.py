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
    for name in (
        "assets",
        "corruption",
        "dataset",
        "display",
        "errors",
        "files",
        "labels",
        "language",
        "observation",
        "outputs",
        "scenes",
    )
)
"""What agents may know of the environments."""
COMMANDS = ("pretrain", "train", "evaluate", "enjoy")
"""The modules of `gw_agents` that parse arguments and save results."""
FLOORS = (
    ("devices", "checkpoint", "command", "run_file"),
    ("domains",),
    ("workspace",),
    ("pretrained",),
    ("global_workspace",),
    ("learning", "acting"),
    ("sb3",),
    COMMANDS,
)
"""The parts of `gw_agents`, from the ground up: each imports only itself and lower floors."""
STABLE_BASELINES = (
    "gw_agents/acting/",
    "gw_agents/train.py",
)


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
    assert "gw_agents.workspace.losses" in imports("gw_agents/workspace/objective.py")


def test_environments_know_no_agents():
    assert importers("gw_agents", "torch", "stable_baselines3", folders=("gw_envs/",)) == set()


@pytest.mark.parametrize(
    ("scene", "other"), [("simple_shapes", "factory"), ("factory", "simple_shapes")]
)
def test_scenes_do_not_know_each_other(scene, other):
    assert importers(f"gw_envs.{other}", folders=(f"gw_envs/{scene}/",)) == set()


def test_what_scenes_share_knows_no_scene():
    shared = ("core", "env", "observation", "goal_task", "state", "assets", "annotated_frames")
    shared += ("scene_methods", "reading", "goals", "goal_draws", "hindsight", "expert_plans")
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


def floor_of(name: str) -> int | None:
    """The floor of a module of `gw_agents`; None if it is on none."""
    for floor, parts in enumerate(FLOORS):
        if within(name, *(f"gw_agents.{part}" for part in parts)):
            return floor
    return None


def part_of(name: str) -> str:
    return name.split(".")[1]


def module_of(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


AGENT_FILES = [file for file in FILES if file.startswith("gw_agents/")]


def test_every_module_of_agents_has_a_floor():
    lost = [file for file in AGENT_FILES if floor_of(module_of(file)) is None]
    assert lost == ["gw_agents/__init__.py"]


@pytest.mark.parametrize("file", [file for file in AGENT_FILES if file != "gw_agents/__init__.py"])
def test_agents_import_downwards(file):
    own = module_of(file)
    for name in imports(file):
        if within(name, "gw_agents") and name != "gw_agents" and part_of(name) != part_of(own):
            known, here = floor_of(name), floor_of(own)
            assert known is not None, (file, name)
            assert here is not None, file
            ground = known == here == 0  # small helpers may know each other
            assert known < here or ground, (file, name)


def test_no_library_imports_a_command():
    commands = [f"gw_agents.{name}" for name in COMMANDS]
    files = {f"gw_agents/{name}.py" for name in COMMANDS}
    assert importers(*commands, folders=("gw_agents/",)) <= files


def test_nothing_imports_in_a_circle():
    """Modules are removed once all they import is gone; a circle would be left."""
    modules = {
        module_of(file): file for file in FILES if file.startswith(("gw_envs/", "gw_agents/"))
    }
    needs = {}
    for module, file in modules.items():
        needs[module] = {name for name in imports(file) if name in modules and name != module}
        needs[module] = {name for name in needs[module] if not module.startswith(f"{name}.")}
    while needs:
        free = {module for module, wanted in needs.items() if not wanted & needs.keys()}
        assert free, f"a circle among {sorted(needs)}"
        needs = {module: wanted for module, wanted in needs.items() if module not in free}


def test_the_workspace_knows_the_base_of_domains_only():
    for file in FILES:
        if file.startswith("gw_agents/workspace/"):
            known = {name for name in imports(file) if within(name, "gw_agents", "gw_envs")}
            allowed = ("gw_agents.workspace", "gw_agents.domains.base", "gw_envs.errors")
            assert all(within(name, *allowed) for name in known), (file, known)


def test_losses_import_no_model():
    assert not {
        name
        for name in imports("gw_agents/workspace/losses.py")
        if within(name, "gw_agents", "gw_envs")
    }


def test_one_caller_of_pybullet():
    assert importers("pybullet") == {"gw_envs/factory/sim.py"}


def test_stable_baselines_stays_at_the_edge():
    assert all(file.startswith(STABLE_BASELINES) for file in importers("stable_baselines3"))


def test_one_caller_of_numba():
    assert importers("numba") == {"gw_envs/compiled.py"}
