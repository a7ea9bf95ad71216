"""Report cards of the domain modules: what each latent knows, and how well it is decoded.

    python benchmarks/domains.py --scene simple_shapes

Probes are fitted on 100,000 scenes of the train split and judged on 4,000 of the test split; a seed redraws the probe's
weights and its scenes. Writes a table, `domains.json` and a picture of reconstructions.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from torch import Tensor

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import Cells, Row, figure, make_row, table, write_summary
from benchmarks.drawing import Matplotlib
from benchmarks.engines import Sweep, Task
from gw_agents.command import run_command
from gw_agents.domains.base import Domain
from gw_agents.learning.latents import scene_attributes, scene_latents
from gw_agents.learning.probes import attribute_errors, linear_probe, mlp_probe
from gw_agents.pretrained import load_domain
from gw_envs.assets import asset_path
from gw_envs.dataset import Sampler
from gw_envs.display import opencv
from gw_envs.language import VOCABULARY, captions_true
from gw_envs.observation import MODALITIES

UNITS = {
    "shape": "fraction wrong",
    "size": "px",
    "rotation": "degrees",
    "rgb": "of 255",
    "variance": "fraction not explained",
    "caption_truth": "fraction not wholly true",
}
LENGTHS = {"simple_shapes": "px", "factory": "m"}


@dataclass(frozen=True)
class Arguments:
    """Report cards of the domain modules."""

    scene: Literal["simple_shapes", "factory", "both"] = "both"
    """Which scene."""
    modalities: tuple[str, ...] = MODALITIES
    """Which domains."""
    seeds: int = 1
    """Probes to train for each latent."""
    train: int = 100_000
    """Scenes to fit probes on."""
    test: int = 4_000
    """Held-out scenes."""
    weights: Path | None = None
    """Folder with a subfolder for each scene; the shipped weights by default."""
    out: Path = Path("results")
    """Where results go. The same command again goes on where it was."""
    sweep: tyro.conf.OmitArgPrefixes[Sweep] = field(default_factory=Sweep)
    """Where cells are computed."""


def main(arguments: Arguments) -> None:
    """Probe, print, draw."""
    cells = Cells(arguments.out, "domains")
    rows: list[Row] = []
    scenes = ("simple_shapes", "factory") if arguments.scene == "both" else (arguments.scene,)
    for scene in scenes:
        folder = (arguments.weights or asset_path("weights")) / scene
        rows += cards(cells, scene, folder, arguments)
        if "image" in arguments.modalities:
            domain, _ = domain_at(folder, "image", scene)
            print(reconstructions(scene, domain, arguments.out / f"domains_{scene}.png"))
    lines = [
        (
            row.claim,
            row.scene,
            row.condition.get("probe", ""),
            f"{row.measured:.4g}",
            f"{row.low:.4g}..{row.high:.4g}",
        )
        for row in rows
    ]
    print(table(("claim", "scene", "probe", "measured", "interval"), lines))
    print(f"written: {write_summary(arguments.out, 'domains', rows)}")


domain_at = lru_cache(maxsize=len(MODALITIES))(load_domain)
"""The domain modules of a scene, each read once by a process."""


def cards(cells: Cells, scene: str, folder: Path, arguments: Arguments) -> list[Row]:
    """The rows of a scene's domain modules."""
    tasks, sizes = [], (arguments.train, arguments.test)
    for modality, seed in product(arguments.modalities, range(arguments.seeds)):
        inputs = f"{domain_at(folder, modality, scene)[1][:12]}-{arguments.train}-{arguments.test}"
        tasks.append(
            Task(
                scene,
                {"modality": modality},
                [seed],
                inputs,
                compute,
                (scene, folder, modality, *sizes),
            )
        )
    measured: dict[str, list[Any]] = {modality: [] for modality in arguments.modalities}
    for task, found in zip(
        tasks, arguments.sweep.compute(cells, tasks, f"{scene} domains"), strict=True
    ):
        measured[task.condition["modality"]] += found
    return [row for modality, runs in measured.items() for row in card(scene, modality, runs)]


def compute(
    seeds: Sequence[int], scene: str, folder: Path, modality: str, train: int, test: int
) -> list[dict[str, dict[str, float]]]:
    """The errors of each seed's probes."""
    domain, _ = domain_at(folder, modality, scene)
    return [measure(scene, modality, domain, seed, train, test) for seed in seeds]


def card(scene: str, modality: str, measured: Sequence[dict[str, Any]]) -> list[Row]:
    """The rows of one domain module, of the figures of each seed."""
    rows = []
    for probe in ("linear", "mlp", "redrawn", "decoded"):
        for name in measured[0].get(probe, {}):
            values = [cell[probe][name] for cell in measured]
            condition = {
                "probe": probe,
                "unit": LENGTHS[scene] if name == "position" else UNITS[name],
            }
            rows.append(
                make_row(
                    f"domains/{modality}/{name}", scene, condition, "error", values, "probe, scenes"
                )
            )
    return rows


def measure(
    scene: str, modality: str, domain: Domain, seed: int, train: int, test: int
) -> dict[str, dict[str, float]]:
    """Probe errors, and what decoding loses, on held-out scenes; `train` and `test` are numbers of scenes."""
    only = {modality: domain}
    fitted = scene_latents(only, scene, "train", 1000 + seed, train)[modality]
    held_out = scene_latents(only, scene, "test", seed, test)[modality]
    known = torch.from_numpy(scene_attributes(scene, "train", 1000 + seed, train))
    truth = scene_attributes(scene, "test", seed, test)
    probe = mlp_probe(scene, fitted, known, seed)
    errors = {
        "linear": attribute_errors(scene, linear_probe(fitted, known, held_out), truth),
        "mlp": attribute_errors(scene, probe(held_out), truth),
        "decoded": decoded_errors(scene, modality, domain, seed),
    }
    if scene == "simple_shapes" and modality == "image":
        errors["redrawn"] = redrawn_errors(domain, probe, seed)
    return errors


@torch.no_grad()
def redrawn_errors(
    domain: Domain, probe: Callable[[Tensor], Any], seed: int, count: int = 300
) -> dict[str, float]:
    """What the probe reads from images that matplotlib drew, a figure each, as the published ones were."""
    sampler = Sampler("simple_shapes", "test", seed, ("attributes",))
    state, pencil = sampler.states(0, count), Matplotlib()
    files = [np.frombuffer(pencil.new_figure(state, row), np.uint8) for row in range(count)]
    pencil.close()
    images = np.stack([opencv().imdecode(file, opencv().IMREAD_COLOR)[..., ::-1] for file in files])
    return attribute_errors(
        "simple_shapes",
        probe(domain.encode(torch.from_numpy(images))),
        sampler.batch(0, count)["attributes"],
    )


@torch.inference_mode()
def decoded_errors(
    scene: str, modality: str, domain: Domain, seed: int, count: int = 2000
) -> dict[str, float]:
    """What is lost from observation to latent and back, on held-out scenes."""
    sampler = Sampler(scene, "test", seed, (modality,))
    shown = sampler.batch(0, count)[modality]
    again = domain.decode(domain.encode(torch.from_numpy(shown))).numpy()
    if modality == "attributes":
        return attribute_errors(scene, again, shown)
    if modality == "language":
        true = captions_true(VOCABULARY.decode_rows(again), sampler.states(0, count))
        return {"caption_truth": float(1.0 - true.all(1).mean())}
    pixels = shown.astype(np.float64)
    lost = ((again - pixels) ** 2).sum() / ((pixels - pixels.mean(0)) ** 2).sum()
    return {"variance": float(lost)}


@torch.inference_mode()
def reconstructions(scene: str, domain: Domain, path: Path, columns: int = 10) -> str:
    """Draw held-out images, what is decoded from their latents, samples of the latent and an interpolation."""
    shown = Sampler(scene, "test", 0, ("image",)).batch(0, columns)["image"]
    latents = domain.encode(torch.from_numpy(shown))
    steps = torch.linspace(0, 1, columns).unsqueeze(1)
    drawn = torch.randn(columns, domain.latent_width, generator=torch.Generator().manual_seed(0))
    lines = {
        "held out": shown,
        "decoded": domain.decode(latents).numpy(),
        "sampled": domain.decode(drawn).numpy(),
        "between two": domain.decode(latents[:1] * (1 - steps) + latents[1:2] * steps).numpy(),
    }

    def draw(axes: Any) -> None:
        axes.imshow(
            np.concatenate([np.concatenate(list(images), 1) for images in lines.values()], 0)
        )
        size = shown.shape[1]
        axes.set_yticks([size * (i + 0.5) for i in range(len(lines))], list(lines))
        axes.set_xticks([])

    figure(path, draw, width=columns * 1.1, height=len(lines) * 1.15)
    return f"picture: {path}"


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
