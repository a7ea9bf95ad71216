"""Speed against quality of image encoders that share one latent space: a trained one and those
distilled from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.harness.cells import Cell, Place
from benchmarks.harness.figures import Figure
from benchmarks.harness.rows import (
    Entry,
    Row,
    by_scene,
    entry,
    entry_rows,
    find_row,
    over_seeds,
)
from benchmarks.harness.tables import Table
from benchmarks.latents.errors import LENGTHS, UNITS, load_once, redrawn_errors
from benchmarks.speed.networks import BATCH, encoding_rates
from benchmarks.speed.timing import Budget, Series
from gw_agents.checkpoint import fingerprint, read_config
from gw_agents.domains.base import Domain
from gw_agents.learning.latents import BATCH as SCENES_AT_ONCE
from gw_agents.learning.probes import attribute_errors
from gw_agents.learning.recipes import recipe
from gw_agents.pretrained import load_workspace
from gw_envs.dataset import Sampler
from gw_envs.scenes import SCENES

SPEED, ERROR = "times NatureCNN", "error through the workspace"
"""The metrics."""
REPEATS = 5
"""How often both rates of a ratio are measured in turn; the median ratio counts."""
DRAWN = ("position", "rotation", "rgb")
"""Attributes in the picture."""
REDRAWS = "scenes, time of measurement"
"""What differs from seed to seed."""


@dataclass(frozen=True)
class EncoderTrade(Cell):
    """Measures the speed of an image encoder, and how well attributes are read from its latents.

    The attributes go through the workspace and the decoder of the attributes domain, as in
    `GlobalWorkspace.translate`. Metrics: an entry of the metric `SPEED`, and entries of the metric
    `ERROR` with attribute, unit and images, which are ours or those of matplotlib.
    """

    FILE = "domains"

    encoder: str
    """The widths of its patches, or "convolutions"."""
    weights: str
    """Fingerprint of the image module."""
    workspace: str
    """Fingerprint of the workspace."""
    seed: int
    test: int
    """Held-out scenes."""
    redrawn: int = 300
    """Held-out scenes that matplotlib draws."""

    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Measure."""
        domain, _ = load_once(self._folder(place), "image", self.scene)
        read = attributes_reader(place.weights_of(self.scene), self.scene)
        errors = {"ours": workspace_errors(self.scene, domain, read, self.seed, self.test)}
        if self.scene == "simple_shapes":
            errors["matplotlib"] = redrawn_errors(domain, read, self.seed, self.redrawn)
        results = [entry(SPEED, speed(self.scene, domain), at_a_time=BATCH)]
        for images, by_attribute in errors.items():
            for attribute, error in by_attribute.items():
                unit = LENGTHS[self.scene] if attribute == "position" else UNITS[attribute]
                condition = {"attribute": attribute, "images": images, "unit": unit}
                results.append(entry(ERROR, error, **condition))
        return results

    def _folder(self, place: Place) -> Path:
        """Find the folder of the image module."""
        for folder in place.encoders:
            if fingerprint(folder / "image.safetensors")[:16] == self.weights:
                return folder
        raise LookupError(f"no folder of --encoders holds the image module {self.weights}")


def encoder_cells(place: Place, scenes: Sequence[str], seeds: int, test: int) -> list[Cell]:
    """List a cell for each of the place's encoders and each seed.

    Raises CheckpointError if a folder holds no image module of one of the scenes.
    """
    cells: list[Cell] = []
    for folder in place.encoders:
        config = read_config(folder, "image", "domain")
        scene, widths = config["scene"], config["arguments"].get("patch_widths")
        if scene not in scenes:
            continue
        weights = fingerprint(folder / "image.safetensors")[:16]
        workspace = fingerprint(place.weights_of(scene) / "workspace.safetensors")[:16]
        for seed in range(seeds):
            name = encoder_name(widths)
            cells.append(EncoderTrade(scene, name, weights, workspace, seed, test))
    return cells


def encoder_name(widths: Sequence[int] | None) -> str:
    """Return the name of an encoder of patches with these widths, or of one without patches."""
    return "-".join(map(str, widths)) if widths else "convolutions"


def attributes_reader(folder: Path, scene: str) -> Callable[[Tensor], NDArray[np.float32]]:
    """Return a function that translates (N, L) image latents into (N, A) attribute vectors."""
    workspace = load_workspace(folder, read_config(folder, "workspace", "workspace", scene))
    attributes, _ = load_once(folder, "attributes", scene)
    return lambda latents: attributes.decode(
        workspace.translate({"image": latents}, "attributes")
    ).numpy()


@torch.inference_mode()
def workspace_errors(
    scene: str, domain: Domain, read: Callable[[Tensor], NDArray], seed: int, count: int
) -> dict[str, float]:
    """Return the errors of attributes that are read from images, on held-out scenes."""
    sampler = Sampler(scene, "test", seed, ("image", "attributes"))
    sizes = [min(SCENES_AT_ONCE, count - start) for start in range(0, count, SCENES_AT_ONCE)]
    predicted, truth = [], []
    for index, size in enumerate(sizes):
        rows = sampler.batch(index, size)
        predicted.append(read(domain.encode(torch.from_numpy(rows["image"]))))
        truth.append(rows["attributes"])
    return attribute_errors(scene, np.concatenate(predicted), np.concatenate(truth))


def speed(scene: str, domain: Domain) -> float:
    """Return how many times as many images a second the encoder reads as NatureCNN does."""
    ratios = []
    for _ in range(REPEATS):
        rates = encoding_rates(scene, domain, Budget(0.1, (), 0))
        ratios.append(rates[Series("ours", BATCH)] / rates[Series("nature_cnn", BATCH)])
    return float(np.median(ratios))


def encoder_rows(results: Mapping[Cell, Any]) -> list[Row]:
    """Return the rows of all encoders."""
    measured = {cell: runs for cell, runs in results.items() if isinstance(cell, EncoderTrade)}
    rows: list[Row] = []
    for cell, runs in over_seeds(measured).items():
        rows += entry_rows(cell.scene, runs, {"encoder": cell.encoder}, _claim, REDRAWS)
    return rows


def _claim(condition: Mapping[str, str]) -> str:
    return f"domains/encoder/{condition.get('attribute', 'speed')}"


def encoder_tables(rows: Sequence[Row]) -> list[Table]:
    """One table, if there are encoders: a line for each of them, the fastest first."""
    own = [row for row in by_scene(rows) if "encoder" in row.condition]
    speeds = {(row.scene, row.condition["encoder"]): row for row in own if row.metric == SPEED}
    attributes = dict.fromkeys(row.condition["attribute"] for row in own if row.metric == ERROR)
    lines: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in sorted(own, key=lambda row: -speeds[row.scene, row.condition["encoder"]].measured):
        if row.metric == ERROR:
            condition = row.condition
            name = (row.scene, condition["encoder"], condition["images"])
            errors = lines.setdefault(name, dict.fromkeys(attributes, ""))
            unit = condition["unit"].removeprefix("fraction ")
            errors[condition["attribute"]] = f"{_spread(row)} {unit}"
    content = []
    for scene in dict.fromkeys(row.scene for row in own):
        for (of_scene, encoder, images), errors in lines.items():
            if of_scene == scene:
                times = _spread(speeds[scene, encoder])
                content.append((scene, encoder, times, images, *errors.values()))
    headers = ("scene", "encoder", SPEED, "images by", *attributes)
    title = f"Image encoders: speed with {BATCH} images at a time, and errors through the workspace"
    return [Table(title, headers, content)] if content else []


def quoted_speeds(rows: Sequence[Row]) -> dict[str, str]:
    """Return the speeds that the page quotes: those of the encoder that ships and of its
    teacher."""
    speeds = {}
    for scene in SCENES:
        student = recipe(scene, "image").student
        assert student is not None
        names = {"speed": encoder_name(student.widths), "teacher_speed": encoder_name(None)}
        for what, name in names.items():
            row = find_row(rows, SPEED, scene, encoder=name)
            speeds[f"{scene}_{what}"] = f"{row.measured:.2g}"
    return speeds


def _spread(row: Row) -> str:
    return f"{row.measured:.3g} ({row.low:.3g} to {row.high:.3g})"


def encoder_figures(results: Mapping[Cell, Any]) -> list[Figure]:
    """Draw the error of each attribute against speed; a line of panels for each scene."""
    rows = encoder_rows(results)
    scenes = list(dict.fromkeys(row.scene for row in by_scene(rows)))

    def draw(axes: Any) -> None:
        for panels, scene in zip(axes, scenes, strict=True):
            for panel, attribute in zip(panels, DRAWN, strict=True):
                _draw_trade(panel, [row for row in rows if row.scene == scene], attribute)
            panels[0].set_title(scene, loc="left")

    shape = {"columns": len(DRAWN), "lines": len(scenes)}
    return [Figure("domains_encoders", draw, 11.0, 3.2 * len(scenes), **shape)] if rows else []


def _draw_trade(panel: Any, rows: Sequence[Row], attribute: str) -> None:
    """Draw one attribute of one scene: a point for each encoder, with its name."""
    times = {row.condition["encoder"]: row.measured for row in rows if row.metric == SPEED}
    points, unit = [], ""
    for row in rows:
        if row.metric == ERROR and row.matches(attribute=attribute, images="ours"):
            points.append((times[row.condition["encoder"]], row.measured, row.condition["encoder"]))
            unit = row.condition["unit"]
    points.sort()
    panel.plot([x for x, _, _ in points], [y for _, y, _ in points], "o-", color="C0")
    for x, y, name in points:
        style = {"textcoords": "offset points", "fontsize": 7, "ha": "center"}
        panel.annotate(name, (x, y), (0, 7), **style)
    panel.axvline(1.0, color="black", linewidth=0.8, linestyle=":")
    panel.set(xlabel=SPEED, ylabel=f"{attribute}, {unit}")
    panel.set(xlim=(0, 1.2 * points[-1][0]), ylim=(0, 1.25 * max(y for _, y, _ in points)))
