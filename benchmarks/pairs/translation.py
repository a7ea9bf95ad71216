"""Translation, alignment and cycles of every model against the number of matched scenes; described
in `benchmarks/translation.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.cells import Cell, Place, TrainingCell
from benchmarks.harness.observed import observed
from benchmarks.harness.rows import Entry, entry
from benchmarks.harness.tensors import write_tensors
from benchmarks.pairs import models, translation_report
from benchmarks.pairs.models import TrainedWorkspaces, domains_of, latents_of, load_workspaces
from gw_agents.domains.base import mlp
from gw_agents.learning.latents import encode_rows, scene_attributes
from gw_agents.learning.probes import attribute_errors, fit_mlp_probe
from gw_agents.workspace.losses import squared_error
from gw_agents.workspace.model import Workspace
from gw_envs.language import VOCABULARY, captions_true
from gw_envs.scenes import get_scene

RETRIEVED = 1000
"""Number of scenes among which retrieval looks for the match."""


@dataclass(frozen=True)
class Arguments(models.Arguments):
    """Translation, alignment and cycles of every model against the number of matched scenes."""

    preset: Literal["quick", "full", "long"] = "quick"  # type: ignore[assignment]
    """How much to do: minutes, hours, or three times the steps at a few numbers of pairs."""
    pairs: tuple[int, ...] | None = None
    """Numbers of matched scenes; the preset's by default."""

    def check(self) -> None:
        """Raise InputError as in every benchmark of these models, and for impossible pairs."""
        super().check()
        if self.pairs is not None:
            models.check_pairs(self.pairs)

    @property
    def numbers_of_pairs(self) -> tuple[int, ...]:
        """Numbers of matched scenes, ascending."""
        return tuple(sorted(set(self.size.pairs if self.pairs is None else self.pairs)))


@dataclass(frozen=True)
class ImageReader(TrainingCell):
    """Trains a probe that reads attribute vectors from image latents, which have no attributes."""

    modalities: tuple[str, ...]
    domains: str
    """Fingerprint of the domain modules."""
    scenes: int
    """Training scenes."""
    steps: int = 10_000

    def compute(self, place: Place, needed: Sequence[Any]) -> dict[str, Any]:
        """Fit and save."""
        latents = latents_of(place, self.scene, self.modalities, self.scenes)["image"]
        attributes = torch.from_numpy(scene_attributes(self.scene, "train", 0, self.scenes))
        probe = fit_mlp_probe(self.scene, latents, attributes, steps=self.steps)
        write_tensors(self.product(place), probe.state_dict())
        return {}

    def read(self, place: Place, latents: Tensor) -> NDArray[np.float32]:
        """Read (N, L) image latents as (N, A) attribute vectors."""
        width = get_scene(self.scene).attribute_width
        probe = mlp([latents.shape[1], 256, 256, 256, width])
        probe.load_state_dict(safetensors.torch.load_file(self.product(place)))
        return probe.requires_grad_(False)(latents).numpy()


@dataclass(frozen=True)
class Test:
    """Held-out observations of one kind."""

    latents: dict[str, Tensor]
    """{modality: (N, L_d)}."""
    attributes: NDArray[np.float32]
    """(N, A)."""
    state: Any


@lru_cache(maxsize=1)
def tests_of(
    place: Place, scene: str, modalities: tuple[str, ...], episodes: int
) -> dict[str, Test]:
    """Return {"reset": episode beginnings, "rollout": random rollouts} of the test split."""
    domains, tests = domains_of(place, scene, modalities), {}
    for name, rows in observed(scene, "test", episodes).items():
        tests[name] = Test(encode_rows(domains, rows), rows["attributes"], rows["state"])
    return tests


@dataclass(frozen=True)
class Translation(Cell):
    """Tests one workspace. Metrics: figures by kind, test, source and target.

    `kind` is translation, retrieval (between two modalities), demi_cycle (source = target), cycle
    (source -> target -> source) or units (a translation in the units of the attributes, or as the
    fraction of true captions and claims).
    """

    FILE = "translation"

    workspaces: TrainedWorkspaces
    episodes: int
    """Held-out episode beginnings; rollouts bring as many observations again."""
    seed: int

    @property
    def reader(self) -> ImageReader | None:
        """The probe that reads images, where images are among the modalities."""
        setup = self.workspaces.search.setup
        if "image" not in setup.modalities:
            return None
        return ImageReader(self.scene, setup.modalities, setup.domains, setup.scenes)

    def needs(self) -> tuple[Cell, ...]:
        """Return the training of the workspace and of the probe."""
        return (self.workspaces, *(() if self.reader is None else (self.reader,)))

    @torch.no_grad()
    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Measure everything on episode beginnings and on rollouts."""
        modalities = self.workspaces.search.setup.modalities
        workspace = load_workspaces(self.workspaces, place)[self.seed]
        results = []
        for name, test in tests_of(place, self.scene, modalities, self.episodes).items():
            figures = latent_figures(workspace, test.latents)
            for source, target in permutations(test.latents, 2):
                translated = predicted(workspace, test.latents, source, target)
                for unit, value in self.in_units(place, target, translated, test).items():
                    figures.append(entry(unit, value, kind="units", source=source, target=target))
            results += [{"test": name, **figure} for figure in figures]
        return results

    def in_units(self, place: Place, target: str, latents: Tensor, test: Test) -> dict[str, float]:
        """Return the errors of predicted latents in the attributes' units, or the fractions of true
        captions and claims."""
        if target == "image" and self.reader is not None:
            return attribute_errors(self.scene, self.reader.read(place, latents), test.attributes)
        modalities = self.workspaces.search.setup.modalities
        decoded = domains_of(place, self.scene, modalities)[target].decode(latents).numpy()
        if target != "language":
            return attribute_errors(self.scene, decoded, test.attributes)
        true = captions_true(VOCABULARY.decode_rows(decoded), test.state)
        return {"caption_truth": float(true.all(1).mean()), "claims_true": float(true.mean())}


def predicted(
    workspace: Workspace, latents: Mapping[str, Tensor], source: str, target: str
) -> Tensor:
    """Translate (N, L_source) latents into (N, L_target)."""
    return workspace.broadcast(workspace.enter(source, latents[source]), [target])[target]


def latent_figures(workspace: Workspace, latents: Mapping[str, Tensor]) -> list[Entry]:
    """Return the errors in standard deviations of latents, and R@1."""
    z = {name: workspace.enter(name, rows) for name, rows in latents.items()}
    figures: list[Entry] = []
    for name, rows in latents.items():
        decoded = predicted(workspace, latents, name, name)
        condition = {"kind": "demi_cycle", "source": name, "target": name}
        figures.append(entry("squared_error", squared_error(decoded, rows), **condition))
    for a, b in combinations(latents, 2):
        condition = {"kind": "retrieval", "source": a, "target": b}
        figures.append(entry("recall_at_1", retrieval(z[a], z[b]), **condition))
    for source, target in permutations(latents, 2):
        translated = predicted(workspace, latents, source, target)
        back = predicted(workspace, {target: translated}, target, source)
        ends = {"source": source, "target": target}
        error = squared_error(translated, latents[target])
        figures.append(entry("squared_error", error, kind="translation", **ends))
        error = squared_error(back, latents[source])
        figures.append(entry("squared_error", error, kind="cycle", **ends))
    return figures


def retrieval(a: Tensor, b: Tensor) -> float:
    """Return R@1: how often the match is the nearest vector of the other modality by angle."""
    similar = normalize(a[:RETRIEVED], dim=-1) @ normalize(b[:RETRIEVED], dim=-1).T
    matched = torch.arange(len(similar))
    forth = (similar.argmax(0) == matched).float().mean()
    back = (similar.argmax(1) == matched).float().mean()
    return float(0.5 * (forth + back))


def cells(arguments: Arguments) -> list[Translation]:
    """List a cell for every scene, number of pairs, model and seed."""
    listed = []
    for scene in arguments.scenes:
        for pairs in arguments.numbers_of_pairs:
            for model in arguments.models:
                trained = arguments.workspaces(scene, model, pairs)
                for seed in trained.seeds:
                    listed.append(Translation(scene, trained, arguments.size.episodes, seed))
    return listed


TRANSLATION = Benchmark(
    name="translation",
    arguments=Arguments,
    cells=cells,
    rows=translation_report.rows,
    tables=translation_report.tables,
    figures=translation_report.figures,
    quoted=translation_report.quoted,
    variant=("modalities", "width", "steps"),
)
