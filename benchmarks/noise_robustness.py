"""Does attention keep the workspace right when a modality is drowned in noise?

    python benchmarks/noise_robustness.py

Observations come from the running environments (episode beginnings and random rollouts), split by episode. A classifier
of the scene's three-class task reads clean workspace vectors; then one modality of every sample is corrupted in its
latent, o + k C with k ~ N(0, sigma^2), C ~ N(0, I) drawn once ("fixed") or for each sample ("random"). Methods:

    constant   the one modality that does best on the validation split, always
    none       the even mean of all modalities
    one_step   key-query attention, the query from a fixed random vector, as published
    two_step   the same with a second query from the first pass's workspace vector, as published
    best       the attention that the shipped weights call best
    oracle     the even mean of the uncorrupted modalities: knows what no method knows

Published figures are those of the talk behind the project (three shapes, image + attributes, sigma not told).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import Cells, Row, figure, interval, make_row, table, write_summary
from benchmarks.observed import observed
from gw_agents import GlobalWorkspace
from gw_agents.checkpoint import fingerprint
from gw_agents.command import say_errors
from gw_agents.latents import encode_rows
from gw_agents.selection import SelectionConfig, train_attention, train_classifier
from gw_agents.workspace.attention import PRESETS
from gw_agents.workspace.corruption import Corrupted, corrupt, draw_directions
from gw_envs.assets import asset_path
from gw_envs.labels import LABELS, labels
from gw_envs.observation import MODALITIES

SETS = {"image+attributes": ("image", "attributes"), "all": MODALITIES}
"""The slides' pair, and all three."""
SIGMAS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0)
NOISES = ("fixed", "random")
TRAINED = ("one_step", "two_step", "best")
LEVELS = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Edges of the bins of |k| in which attention weights are averaged."""
PUBLISHED = {("fixed", "none"): 0.33, ("random", "one_step"): 0.37, ("random", "two_step"): 0.89}
REDRAWS = "classifier, attention, noise"


@dataclass(frozen=True)
class Size:
    """How much is done."""

    seeds: int
    """Runs."""
    episodes: int
    """Episodes of the training split that give their beginning; validation and test have half as many."""
    selection: SelectionConfig
    """How classifier and attention are trained."""


SIZES = {
    "quick": Size(3, 4000, SelectionConfig(steps=600)),
    "full": Size(5, 10_000, SelectionConfig(steps=3000)),
}


@dataclass(frozen=True)
class Arguments:
    """Accuracy under noise on one modality, with and without attention."""

    scene: Literal["simple_shapes", "factory", "both"] = "both"
    """Which scene."""
    preset: Literal["quick", "full"] = "quick"
    """How much is done: minutes, or about an hour."""
    seeds: int | None = None
    """Runs; the preset's by default. A seed redraws classifier, attention and noise."""
    weights: Path | None = None
    """Folder with a subfolder for each scene; the shipped weights by default."""
    out: Path = Path("results")
    """Where results go. The same command again goes on where it was."""


@dataclass
class Study:
    """One scene: its data, encoded once and only if a cell needs it, and what is trained on it."""

    scene: str
    folder: Path
    size: Size
    _classifiers: dict[int, Any] = field(default_factory=dict)

    @cached_property
    def gw(self) -> GlobalWorkspace:
        """The frozen workspace."""
        return GlobalWorkspace.from_pretrained(self.folder, device="cpu")

    @cached_property
    def data(self) -> dict[str, tuple[dict[str, Tensor], Tensor]]:
        """By split: latents {modality: (N, L_d)} and (N,) classes, of episode beginnings and random rollouts."""
        return {split: self._encode(split) for split in ("train", "validation", "test")}

    def _encode(self, split: str) -> tuple[dict[str, Tensor], Tensor]:
        episodes = self.size.episodes if split == "train" else self.size.episodes // 2
        parts = observed(self.scene, split, episodes).values()
        shown = {name: np.concatenate([part[name] for part in parts]) for name in MODALITIES}
        latents = encode_rows(self.gw.domain_modules, shown)
        return latents, torch.from_numpy(labels(self.scene, shown["attributes"]))

    def classifier(self, seed: int) -> Any:
        """The frozen classifier of a seed."""
        if seed not in self._classifiers:
            self._classifiers[seed] = train_classifier(
                self.gw.workspace, *self.data["train"], seed, self.size.selection
            )
        return self._classifiers[seed]

    def latents(self, split: str, present: tuple[str, ...]) -> dict[str, Tensor]:
        """Those of some modalities."""
        return {name: self.data[split][0][name] for name in present}

    def directions(self, noise: str, seed: int) -> dict[str, Tensor] | None:
        """The fixed directions of a seed, or None for random noise; the same for every set of modalities."""
        generator = torch.Generator().manual_seed(seed)
        return draw_directions(self.data["train"][0], generator) if noise == "fixed" else None

    def corrupted(self, split: str, present: tuple[str, ...], noise: str, sigma: float, seed: int) -> Corrupted:
        """The same noise for every method: a function of its arguments alone."""
        number = seed * 1000 + SIGMAS.index(sigma) * 10 + NOISES.index(noise)
        generator = torch.Generator().manual_seed(number + (500_000 if split == "validation" else 0))
        return corrupt(self.latents(split, present), sigma, generator, self.directions(noise, seed))

    @torch.no_grad()
    def accuracy(self, batch: Corrupted, split: str, weights: Tensor | None, seed: int) -> float:
        """Of the classifier, under given fusion weights (B, D)."""
        z = self.gw.workspace.fuse(self.gw.workspace.encode(batch.latents), weights)
        return float((self.classifier(seed)(z).argmax(-1) == self.data[split][1]).float().mean())


def measure(study: Study, present: tuple[str, ...], method: str, train: str, seed: int) -> dict[str, Any]:
    """One cell: {"accuracy": {test noise: {sigma: accuracy}}, "weights": {test noise: [per bin of |k|]}}."""
    attention = None
    if method in TRAINED:
        preset = study.gw.best if method == "best" else method
        assert preset is not None
        latents, classes = study.latents("train", present), study.data["train"][1]
        attention = train_attention(
            preset, study.gw.workspace, study.classifier(seed), latents, classes, seed, study.size.selection,
            study.directions(train, seed),
        )  # fmt: skip
    found: dict[str, Any] = {"accuracy": {}, "weights": {}}
    for noise in NOISES:
        found["accuracy"][noise] = {}
        levels, trusts = [], []
        for sigma in SIGMAS:
            batch = study.corrupted("test", present, noise, sigma, seed)
            weights = fusion_weights(study, attention, method, batch, present, noise, sigma, seed)
            found["accuracy"][noise][f"{sigma:g}"] = study.accuracy(batch, "test", weights, seed)
            if attention is not None and weights is not None:
                levels.append(batch.level)
                trusts.append(weights.gather(1, batch.victim.unsqueeze(1)).squeeze(1))
        if levels:
            trust, bins = torch.cat(trusts), np.digitize(torch.cat(levels).numpy(), LEVELS[1:])
            found["weights"][noise] = [float(trust[torch.from_numpy(bins == b)].mean()) for b in range(len(LEVELS))]
    return found


@torch.no_grad()
def fusion_weights(
    study: Study,
    attention: Any,
    method: str,
    batch: Corrupted,
    present: tuple[str, ...],
    noise: str,
    sigma: float,
    seed: int,
) -> Tensor | None:
    """(B, D) fusion weights of a method; None for the even mean."""
    count, one = len(batch.victim), torch.eye(len(present))
    if attention is not None:
        return attention(batch.latents, study.gw.workspace.encode(batch.latents), study.gw.workspace)
    if method == "oracle":
        return (1.0 - one)[batch.victim] / (len(present) - 1)
    if method == "constant":
        held = study.corrupted("validation", present, noise, sigma, seed)
        scores = [study.accuracy(held, "validation", row.expand(len(held.victim), -1), seed) for row in one]
        return one[int(np.argmax(scores))].expand(count, -1)
    return None


def conditions() -> list[tuple[str, str, str]]:
    """(set of modalities, method, noise of training) of every cell of a seed."""
    plain = [("constant", "clean"), ("none", "clean"), ("oracle", "clean")]
    return [(name, *rest) for name in SETS for rest in [*plain, *product(TRAINED, NOISES)]]


def run_scene(
    arguments: Arguments, scene: str, cells: Cells
) -> tuple[list[Row], dict[tuple[str, str, str], list[Any]]]:
    """All cells of a scene, and their rows."""
    size = SIZES[arguments.preset]
    folder = (arguments.weights or asset_path("weights")) / scene
    study = Study(scene, folder, size)
    hashes = "-".join(fingerprint(folder / f"{name}.safetensors")[:8] for name in ("workspace", "attention"))
    inputs = f"{hashes}-{size.episodes}-{size.selection}"
    seeds = range(size.seeds if arguments.seeds is None else arguments.seeds)
    found: dict[tuple[str, str, str], list[Any]] = {key: [] for key in conditions()}
    for seed, key in tqdm(list(product(seeds, found)), desc=f"{scene} cells"):
        condition = dict(zip(("modalities", "method", "train"), key, strict=True))
        work = lambda key=key, seed=seed: measure(study, SETS[key[0]], key[1], key[2], seed)  # noqa: E731
        found[key].append(cells.run(scene, condition, seed, inputs, work))
    return rows_of(scene, folder, found), found


def rows_of(scene: str, folder: Path, found: Mapping[tuple[str, str, str], list[Any]]) -> list[Row]:
    """A row for every method, noise and sigma; and how far the best is from the oracle, paired by seed."""
    best = GlobalWorkspace.from_pretrained(folder, device="cpu").best
    rows = []
    for (modalities, method, train), runs in found.items():
        preset = PRESETS.get(str(best) if method == "best" else method, {})
        query = preset.get("first_query", "random") if method in TRAINED else None
        for noise, sigma in product(NOISES, SIGMAS):
            condition = {
                "train": train, "test": noise, "sigma": sigma, "query": query, "modalities": list(SETS[modalities]),
                "task": LABELS[scene][0],
            }  # fmt: skip
            values = [run["accuracy"][noise][f"{sigma:g}"] for run in runs]
            slides = scene == "simple_shapes" and modalities == "image+attributes" and sigma >= 10
            published = PUBLISHED.get((noise, method)) if slides else None
            rows.append(make_row(f"noise/{noise}/{method}", scene, condition, "accuracy", values, REDRAWS, published))
            if method == "best":
                oracle = [run["accuracy"][noise][f"{sigma:g}"] for run in found[modalities, "oracle", "clean"]]
                gaps = [o - v for o, v in zip(oracle, values, strict=True)]
                rows.append(make_row(f"noise/{noise}/{method}", scene, condition, "oracle_minus_best", gaps, REDRAWS))
    return rows


def picture(scene: str, found: Mapping[tuple[str, str, str], list[Any]], path: Path) -> None:
    """Accuracy against noise, and attention on the corrupted modality against how corrupted it is."""
    colors = dict(zip(("constant", "none", "one_step", "two_step", "best", "oracle"), range(6), strict=True))

    def accuracy(axes: Any, noise: str) -> None:
        for method, color in colors.items():
            runs = found["image+attributes", method, noise if method in TRAINED else "clean"]
            band = [interval([run["accuracy"][noise][f"{sigma:g}"] for run in runs]) for sigma in SIGMAS]
            middle, low, high = np.array(band).T
            style = "--" if method == "oracle" else "-"
            axes.plot(range(len(SIGMAS)), middle, style, color=f"C{color}", label=method, marker="o", markersize=3)
            axes.fill_between(range(len(SIGMAS)), low, high, color=f"C{color}", alpha=0.2, linewidth=0)
        axes.axhline(1 / 3, color="gray", linewidth=0.8, linestyle=":", label="chance")
        axes.set_xticks(range(len(SIGMAS)), [f"{sigma:g}" for sigma in SIGMAS])
        axes.set(
            title=f"{noise} direction", xlabel="noise on one modality (sigma)", ylabel="accuracy", ylim=(0.25, 1.02)
        )
        axes.legend(fontsize=7)

    def trust(axes: Any) -> None:
        for method in TRAINED:
            runs = np.array([run["weights"]["random"] for run in found["image+attributes", method, "random"]])
            axes.plot(
                range(len(LEVELS)), runs.mean(0), color=f"C{colors[method]}", label=method, marker="o", markersize=3
            )
            axes.fill_between(
                range(len(LEVELS)), runs.min(0), runs.max(0), color=f"C{colors[method]}", alpha=0.2, linewidth=0
            )
        axes.axhline(0.5, color="gray", linewidth=0.8, linestyle=":", label="even")
        axes.set_xticks(range(len(LEVELS)), [*(f"<{edge:g}" for edge in LEVELS[1:]), f">{LEVELS[-1]:g}"])
        axes.set(title="attention", xlabel="noise |k| on the modality", ylabel="weight on the modality", ylim=(0, 1))
        axes.legend(fontsize=7)

    def draw(axes: Any) -> None:
        accuracy(axes[0], "fixed")
        accuracy(axes[1], "random")
        trust(axes[2])
        axes[0].figure.suptitle(f"{scene}: {LABELS[scene][0]} from the workspace, image + attributes")

    figure(path, draw, width=13, height=4.2, columns=3)


def print_table(rows: list[Row]) -> None:
    """The slides' setting first: image + attributes, sigma 10 and 30."""
    lines = []
    for row in rows:
        shown = row.condition["sigma"] in (10.0, 30.0) and len(row.condition["modalities"]) == 2
        if not shown or row.metric != "accuracy":
            continue
        published = "" if row.published is None else f"{row.published:.0%}"
        measured = (f"{row.measured:.1%}", f"{row.low:.1%}..{row.high:.1%}", published)
        lines.append((row.scene, row.claim, row.condition["train"], f"{row.condition['sigma']:g}", *measured))
    lines.sort(key=lambda line: (line[0], line[1].split("/")[1], float(line[3])))
    print(table(("scene", "claim", "trained on", "sigma", "accuracy", "interval", "published"), lines))


def main(arguments: Arguments) -> None:
    """Run, print, draw, write."""
    if arguments.seeds is not None and arguments.seeds < 1:
        raise ValueError(f"--seeds is {arguments.seeds}: run at least one")
    cells = Cells(arguments.out, "noise_robustness")
    rows: list[Row] = []
    pictures = []
    for scene in ("simple_shapes", "factory") if arguments.scene == "both" else (arguments.scene,):
        scene_rows, found = run_scene(arguments, scene, cells)
        rows += scene_rows
        pictures.append(arguments.out / f"noise_robustness_{scene}.png")
        picture(scene, found, pictures[-1])
    print_table(rows)
    print(f"written: {write_summary(arguments.out, 'noise_robustness', rows)}")
    print(f"pictures: {', '.join(map(str, pictures))}")


if __name__ == "__main__":
    say_errors(lambda: main(tyro.cli(Arguments, description=__doc__)))
