"""Where observations to learn from come from: one of our scenes, or any environment."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gw_agents.devices import resolve_device
from gw_agents.learning.random_observations import find_recipes, random_observations
from gw_agents.learning.recipes import Recipe, recipe
from gw_envs.errors import InputError, check_whole
from gw_envs.observation import MODALITIES, check_modalities


@dataclass(frozen=True)
class Folders:
    """Where to read and write."""

    weights: Path = Path("runs/weights")
    """Folder of weights; each scene or environment has a subfolder of its own."""
    runs: Path = Path("runs")
    """Folder of checkpoints, TensorBoard logs and cached latents."""
    device: str = "auto"
    """auto, cpu or cuda."""


@dataclass(frozen=True)
class DataSource:
    """Where observations come from: one of our scenes, or any environment."""

    scene: Literal["simple_shapes", "factory"] | None = None
    """One of our scenes. Give either this or --env."""
    env: str | None = None
    """Id of any registered Gymnasium environment whose observation is a Dict; MODULE:ID imports the
    module first. Pictures (uint8, height x width x 3) and vectors of floats get a domain module;
    other keys are left out, and the reasons are printed."""
    layout: Literal["fixed", "random"] = "fixed"
    """Where the Factory's landmarks stand; nothing can be trained on random ones yet."""
    samples: int = 20_000
    """Observations of --env, gathered by random actions; 20,000 of 64 x 64 pixels take 250 MB."""

    @property
    def name(self) -> str:
        """The name of the scene, or of the environment without its module."""
        return self.scene or str(self.env).rpartition(":")[2]

    def folder(self, folders: Folders) -> Path:
        """The folder of its weights."""
        return folders.weights / self.name.replace("/", "-")

    def check(self, folders: Folders) -> None:
        """Raise InputError unless the arguments make sense together."""
        if (self.scene is None) == (self.env is None):
            given = "neither" if self.scene is None else "both"
            raise InputError(
                f"{given} of --scene and --env given: name a scene of ours or an environment's id"
            )
        if self.layout != "fixed":
            raise InputError(
                f"--layout {self.layout}: nothing can be trained on it yet, choose fixed"
            )
        check_whole("--samples", self.samples, 2)
        resolve_device(folders.device)

    def observe(self, keys: Iterable[str], seed: int, samples: int | None = None) -> Any:
        """Gather observations of --env by random actions: {key: (samples, ...)}."""
        return random_observations(str(self.env), keys, samples or self.samples, seed)


@dataclass(frozen=True)
class ModalitySource(DataSource):
    """Where observations come from, and which of their modalities are used."""

    modalities: tuple[str, ...] | None = None
    """Which modalities, or keys of the environment's observation; all by default."""

    def find_recipes(self) -> dict[str, Recipe]:
        """Find how to build and train the domain module of each modality; print what is left out.

        Raises InputError with the reasons if a modality can't have a domain module.
        """
        if self.scene is not None:
            names = check_modalities(MODALITIES if self.modalities is None else self.modalities)
            return {modality: recipe(self.scene, modality) for modality in names}
        recipes, left_out = find_recipes(str(self.env), self.modalities)
        if left_out:
            print(f"left out: {'; '.join(f'{key} ({why})' for key, why in left_out.items())}")
        return recipes
