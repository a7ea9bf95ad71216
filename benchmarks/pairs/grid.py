"""Translation results of one scene and setup, by model and number of pairs, and the label
efficiencies that follow from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

from benchmarks.harness.rows import Entry, mean_value, over_seeds
from benchmarks.pairs.label_efficiency import HIGH, LOW, Efficiency, label_efficiency

if TYPE_CHECKING:
    from benchmarks.pairs.translation import Translation

Runs = Sequence[Sequence[Entry]]
"""The entries of every seed, as `Translation` measures them."""


@dataclass(frozen=True)
class Grid:
    """All results of one scene and setup of workspaces."""

    scene: str
    modalities: tuple[str, ...]
    width: int
    """Z, numbers in the workspace vector."""
    steps: int
    """Optimizer steps of each workspace."""
    runs: Mapping[tuple[str, int], Runs]
    """{(model, pairs): the entries of every seed}."""

    @property
    def condition(self) -> dict[str, Any]:
        """The entries that the conditions of all rows share."""
        return {"modalities": self.modalities, "width": self.width, "steps": self.steps}

    @property
    def directions(self) -> list[tuple[str, str]]:
        """Every (source, target)."""
        return list(permutations(self.modalities, 2))

    @property
    def models(self) -> list[str]:
        """The models, in the order in which they were run."""
        return list(dict.fromkeys(model for model, _ in self.runs))

    @property
    def pairs(self) -> list[int]:
        """The numbers of pairs, ascending."""
        return sorted({pairs for _, pairs in self.runs})

    @property
    def comparable(self) -> bool:
        """Whether `tr` was run over the range of pairs that label efficiency compares."""
        return "tr" in self.models and self.pairs[0] <= LOW and self.pairs[-1] >= HIGH

    def curve(self, model: str, source: str, target: str, seed: int) -> list[float]:
        """Return a seed's translation errors by ascending number of pairs."""
        wanted = {"kind": "translation", "test": "reset", "source": source, "target": target}
        return [mean_value(self.runs[model, pairs][seed], **wanted) for pairs in self.pairs]

    def efficiencies(self, model: str, source: str, target: str) -> list[Efficiency]:
        """Return the label efficiency of each seed, against `tr` with the same matched scenes."""
        efficiencies = []
        for seed in range(len(self.runs[model, self.pairs[0]])):
            reference = self.curve("tr", source, target, seed)
            own = self.curve(model, source, target, seed)
            efficiencies.append(label_efficiency(self.pairs, reference, own))
        return efficiencies


def grids_of(results: Mapping["Translation", Any]) -> list[Grid]:
    """Sort results by scene and setup."""
    grouped: dict[Any, dict[tuple[str, int], Runs]] = {}
    for cell, runs in over_seeds(results).items():
        trained = cell.workspaces
        of_setup = grouped.setdefault((cell.scene, trained.search.setup), {})
        of_setup[trained.search.model.name, trained.pairs] = runs
    grids = []
    for (scene, setup), runs_of in grouped.items():
        grids.append(Grid(scene, setup.modalities, setup.shape.width, setup.steps, runs_of))
    return grids
