"""Print what the tests without torch need: the dependencies in pyproject.toml that use no torch."""

import tomllib
from pathlib import Path

NEED_TORCH = ("torch", "stable-baselines3", "sb3-contrib", "tensorboard")

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
for requirement in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
    if not requirement.startswith(NEED_TORCH):
        print(requirement)
