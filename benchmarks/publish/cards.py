"""Write the model cards beside the weights, from their configs and the committed report cards.

python -m benchmarks.publish.cards
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from benchmarks.harness.cells import Place
from benchmarks.harness.rows import read_summary
from benchmarks.harness.tables import markdown
from benchmarks.harness.weights import outdated_scenes
from benchmarks.latents.report import DOMAINS
from gw_agents.command import run_command
from gw_envs.files import write_atomically
from gw_envs.observation import MODALITIES
from gw_envs.scenes import SCENES, get_scene

TEMPLATE = Path(__file__).parent / "card.md"
"""The words of a card."""


@dataclass(frozen=True)
class Arguments:
    """Write the model card of every scene."""

    weights: Path | None = None
    """Folder with a subfolder for each scene; the shipped weights by default."""


def card(scene: str, folder: Path) -> str:
    """Return the card of the weights in a folder, as Markdown."""
    configs = {}
    for name in (*MODALITIES, "workspace", "attention"):
        configs[name] = json.loads((folder / f"{name}.json").read_text())
    workspace, attention = configs["workspace"], configs["attention"]
    losses = ", ".join(f"{weight:g} {name}" for name, weight in workspace["losses"].items())
    scores = []
    for name, score in attention["validation_accuracy"].items():
        scores.append(f"{name} {score['noise']:.1%} and {score['sensors']:.1%}")
    return TEMPLATE.read_text().format(
        title=get_scene(scene).name,
        scene=scene,
        parts=parts(configs),
        pairs=f"{workspace['pairs']:,}",
        losses=losses,
        scores=", ".join(scores),
        best=attention["best"],
        errors=errors(scene),
        width=workspace["arguments"]["z_width"],
    )


def parts(configs: dict[str, Any]) -> str:
    """Return the table of the checkpoints: what each is, and how it was trained."""
    described = {}
    for name in MODALITIES:
        arguments = configs[name]["arguments"]
        described[name] = f"latent of {arguments['latent_width']}"
        if arguments.get("patch_widths"):
            widths = ", ".join(map(str, arguments["patch_widths"]))
            described[name] += f", encoder of patches with widths {widths}"
    described["workspace"] = f"width {configs['workspace']['arguments']['z_width']}"
    described["attention"] = ", ".join(configs["attention"]["modules"])
    lines = []
    for name, what in described.items():
        steps = str(configs[name]["steps"])
        if "distilled" in configs[name]:
            steps += f", then {configs[name]['distilled']} to distil"
        lines.append((name, what, steps, str(configs[name]["seed"])))
    return markdown(("part", "what", "steps", "seed"), lines)


def errors(scene: str) -> str:
    """Return the table of the committed report card, without its column of scenes; a note says if
    it is of other weights than the shipped ones."""
    head, rows = read_summary(DOMAINS.name)
    latents = [row for row in rows if row.scene == scene and "probe" in row.condition]
    (table,) = DOMAINS.tables(latents)
    text = markdown(table.headers[1:], [line[1:] for line in table.lines])
    if not outdated_scenes(head, [scene]):
        return text
    return f"Not yet recomputed: these are figures of an earlier version of the weights.\n\n{text}"


def main(arguments: Arguments) -> None:
    """Write the card of every scene."""
    for scene in SCENES:
        folder = Place(weights=arguments.weights).weights_of(scene)
        path, text = folder / "README.md", card(scene, folder)
        write_atomically(path, partial(Path.write_text, data=text))
        print(f"written: {path}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
