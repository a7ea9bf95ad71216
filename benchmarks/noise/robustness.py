"""The noise benchmark as a whole: its sizes, its cells and its page; described in
`benchmarks/noise_robustness.py`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from benchmarks.harness import benchmark
from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.cells import Cell
from benchmarks.harness.figures import Figure
from benchmarks.harness.rows import Row, find_row
from benchmarks.harness.tables import Table
from benchmarks.noise import latent_noise, reports
from benchmarks.noise import training as noise_training
from benchmarks.noise.data import NOISES, SETS, SIGMAS, main_label, shipped
from benchmarks.noise.latent_noise import LatentNoise
from benchmarks.noise.methods import (
    UNTRAINED,
    Method,
    best_attention,
    network,
    task_attention,
)
from benchmarks.noise.networks import NETWORKS
from benchmarks.noise.sensors import (
    SensorCell,
    SensorFailures,
    TrainingTime,
    Transfer,
    UnseenKind,
    UnseenModality,
)
from benchmarks.noise.training import Corruption, Setup, Workspaces
from gw_agents.checkpoint import fingerprint
from gw_agents.learning.attention import SelectionConfig
from gw_envs.corruption import KINDS
from gw_envs.errors import check_whole
from gw_envs.observation import MODALITIES

FURTHER = (
    "three_step",
    "five_step",
    "five_step_sum",
    "one_step_fused",
    "five_step_fused",
    "one_step_cosine",
    "demi_cycle",
    "agreement",
)
"""Other designs of attention, compared in the full form."""
UNSEEN = tuple(sorted({kind for kinds in KINDS.values() for kind in kinds}))
"""Kinds of failure that are left out of the training, one at a time."""


@dataclass(frozen=True)
class Size:
    """How much a preset does."""

    seeds: int
    episodes: int
    """Episodes of the training split that give their beginning; the other splits have half as many.
    """
    training: SelectionConfig
    """How classifiers, attention and networks are trained."""
    workspace_steps: int | None = None
    """Optimizer steps of each seed's own workspace; None for the shipped one. Presets that train
    workspaces also test failing sensors and search learning rates."""


SIZES = {
    "quick": Size(3, 3000, SelectionConfig(steps=500, batch_size=256)),
    "full": Size(5, 4000, SelectionConfig(steps=1000, batch_size=256), workspace_steps=2000),
}


@dataclass(frozen=True)
class Arguments(benchmark.Arguments):
    """Accuracy under noise and failing sensors, with and without attention."""

    preset: Literal["quick", "full"] = "quick"
    """How much to do: latent noise in minutes, or everything in hours."""
    seeds: int | None = None
    """Runs; the preset's by default."""

    def check(self) -> None:
        """Raise InputError if there are no seeds."""
        if self.seeds is not None:
            check_whole("--seeds", self.seeds, 1)

    @property
    def size(self) -> Size:
        """How much is done."""
        size = SIZES[self.preset]
        return size if self.seeds is None else replace(size, seeds=self.seeds)

    def setup(self, scene: str, layer_norm: bool = True) -> Setup:
        """Return what all cells of a scene share, with the shipped networks or published ones."""
        size, folder = self.size, self.place.weights_of(scene)
        parts = [fingerprint(folder / f"{part}.safetensors") for part in ("workspace", "attention")]
        weights, workspaces = "-".join(part[:16] for part in parts), None
        if size.workspace_steps is not None:
            seeds = tuple(range(1, size.seeds + 1))
            scenes = noise_training.WORKSPACE_SCENES
            workspaces = Workspaces(scene, weights, size.workspace_steps, layer_norm, seeds, scenes)
        return Setup(weights, size.episodes, size.training, workspaces)


def cells(arguments: Arguments) -> list[Cell]:
    """List the cells of every scene, latent noise first."""
    listed: list[Cell] = []
    for scene in arguments.scenes:
        listed += latent_noise_cells(arguments, scene)
        if arguments.size.workspace_steps is not None:
            listed += sensor_cells(arguments, scene)
    return listed


def latent_noise_cells(arguments: Arguments, scene: str) -> list[LatentNoise]:
    """List the cells of latent noise, seed by seed."""
    size, label = arguments.size, main_label(scene)
    full = size.workspace_steps is not None
    rates = noise_training.RATES if full else ()
    ours, pair = arguments.setup(scene), SETS[0]
    design = str(shipped(arguments.place, scene).best)

    def published(modalities: tuple[str, ...]) -> list[Method]:
        methods = []
        for name in ("one_step", "two_step"):
            for noise in NOISES:
                methods.append(task_attention(name, label, modalities, Corruption(noise), rates))
        return methods

    conditions = []
    for modalities in SETS:
        methods = [Method(name) for name in UNTRAINED]
        methods += [best_attention(design, rates), *published(modalities)]
        conditions += [(ours, modalities, method) for method in methods]
    if full:
        corruption = Corruption("random")
        methods = [task_attention(name, label, pair, corruption, rates) for name in FURTHER]
        for sigma in SIGMAS[1:]:
            corruption = Corruption("random", sigma)
            methods.append(task_attention("two_step", label, pair, corruption, rates))
        conditions += [(ours, pair, method) for method in methods]
        plain = arguments.setup(scene, layer_norm=False)
        methods = [Method("none"), Method("oracle"), *published(pair)]
        conditions += [(plain, pair, method) for method in methods]
    listed = []
    for seed in range(size.seeds):
        listed += [LatentNoise(scene, *condition, seed) for condition in conditions]
    return listed


def sensor_cells(arguments: Arguments, scene: str) -> list[SensorCell]:
    """List the cells of failing sensors, of every seed."""
    setup, label, rates = arguments.setup(scene), main_label(scene), noise_training.RATES
    best = best_attention(str(shipped(arguments.place, scene).best), rates)
    learned = {"best": best}
    for name in ("one_step", "two_step", "demi_cycle", "agreement"):
        learned[name] = task_attention(name, label, MODALITIES, Corruption("random"), rates)
    for name in NETWORKS:
        learned[name] = network(name, label, rates)
    methods = [learned.get(name, Method(name)) for name in reports.METHODS]
    timed = tuple(learned[name] for name in ("one_step", "two_step", "best", *NETWORKS))
    pair_only = best_attention(str(best.design), rates, modalities=SETS[0])
    listed: list[SensorCell] = []
    for seed in range(arguments.size.seeds):
        listed += [SensorFailures(scene, setup, seed, method) for method in methods]
        listed += [
            Transfer(scene, setup, seed, best),
            UnseenModality(scene, setup, seed, pair_only),
        ]
        for kind in UNSEEN:
            rest = Corruption("everything", without=kind)
            unseen = (
                best_attention(str(best.design), rates, corruption=rest),
                network("cross_attention", label, rates, rest),
            )
            listed.append(UnseenKind(scene, setup, seed, kind, unseen))
        listed.append(TrainingTime(scene, setup, seed, timed))
    return listed


def split(results: Mapping[Cell, Any]) -> tuple[dict[LatentNoise, Any], dict[SensorCell, Any]]:
    """Divide the results into those of latent noise and those of failing sensors."""
    latent, sensor = {}, {}
    for cell, metrics in results.items():
        if isinstance(cell, LatentNoise):
            latent[cell] = metrics
        elif isinstance(cell, SensorCell):
            sensor[cell] = metrics
    return latent, sensor


def rows(results: Mapping[Cell, Any]) -> list[Row]:
    """Return the rows of both halves."""
    latent, sensor = split(results)
    return latent_noise.rows(latent) + reports.rows(sensor)


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return the tables of both halves."""
    return latent_noise.tables(rows) + reports.tables(rows)


def figures(results: Mapping[Cell, Any]) -> list[Figure]:
    """Return the pictures of both halves."""
    latent, sensor = split(results)
    return latent_noise.figures(latent) + reports.figures(sensor)


def quoted(rows: Sequence[Row]) -> dict[str, str]:
    """Return the figures that the page quotes."""
    shapes, pair, every = "simple_shapes", list(SETS[0]), list(MODALITIES)

    def accuracy(scene: str, method: str, **wanted: Any) -> str:
        return f"{find_row(rows, 'accuracy', scene, method=method, **wanted).measured:.1%}"

    def failing(scene: str, method: str, modalities: Sequence[str]) -> str:
        wanted = {"part": "all sensors", "severity": 1.0, "modalities": modalities}
        return accuracy(scene, method, **wanted)

    def noisy(method: str, noise: str = "random", **more: Any) -> str:
        wanted = {"test": noise, "sigma": 10.0, "modalities": pair, "networks": "layer_norm"} | more
        return accuracy(shapes, method, **wanted)

    figures = {
        "two_best_shapes": failing(shapes, "best", pair),
        "two_oracle_shapes": failing(shapes, "oracle", pair),
        "two_best_factory": failing("factory", "best", pair),
        "two_demi_factory": failing("factory", "demi_cycle", pair),
        "three_best_shapes": failing(shapes, "best", every),
        "three_none_shapes": failing(shapes, "none", every),
        "three_agreement_shapes": failing(shapes, "agreement", every),
        "three_best_factory": failing("factory", "best", every),
        "three_none_factory": failing("factory", "none", every),
        "three_oracle_factory": failing("factory", "oracle", every),
        "fixed_none": noisy("none", "fixed"),
        "fixed_none_published": noisy("none", "fixed", networks="published"),
        "random_two_step_of_fixed": noisy("two_step", train="fixed"),
    }
    for method in ("one_step", "two_step", "five_step", "five_step_sum", "five_step_fused"):
        figures[f"random_{method}"] = noisy(method, train="random")
    for method in ("best", "none", "constant"):
        figures[f"random_{method}"] = noisy(method)
    two_fail = {"part": "several", "at_once": 2, "corruption": "sensors"}
    figures["several_best_shapes"] = accuracy(shapes, "best", **two_fail)
    figures["several_cross_shapes"] = accuracy(shapes, "cross_attention", **two_fail)
    for name, scene in (("shapes", shapes), ("factory", "factory")):
        unseen = {"part": "unseen modality", "modalities": every}
        figures[f"unseen_{name}"] = accuracy(scene, "best", **unseen)
    return figures


NOISE_ROBUSTNESS = Benchmark(
    name="noise_robustness",
    arguments=Arguments,
    cells=cells,
    rows=rows,
    tables=tables,
    figures=figures,
    quoted=quoted,
)
