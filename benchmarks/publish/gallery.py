"""Draw observations with their captions, and translations between modalities.

    python -m benchmarks.publish.gallery

Draws held-out scenes: `gallery_observations.png` and, for each scene,
`gallery_translation_SCENE.png` (a caption and the image made from it; an image and the caption made
from it).
"""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks.harness.cells import Place
from benchmarks.harness.figures import Figure
from gw_agents import GlobalWorkspace
from gw_agents.command import run_command
from gw_envs.dataset import Sampler
from gw_envs.errors import check_whole
from gw_envs.language import VOCABULARY
from gw_envs.scenes import SCENES

LINE = 34
"""Letters in a line of text above or below a picture."""


@dataclass(frozen=True)
class Arguments:
    """Draw observations, and their translations through the workspace."""

    columns: int = 4
    """Scenes in a line."""
    seed: int = 5
    """Which scenes of the test split."""
    weights: Path | None = None
    """Folder with a subfolder for each scene; the shipped weights by default."""
    out: Path = Path("results")
    """Folder of the pictures."""

    def check(self) -> None:
        """Raise InputError for impossible numbers."""
        check_whole("--columns", self.columns, 1)
        check_whole("--seed", self.seed)

    def batch(self, scene: str) -> dict[str, Any]:
        """Return the observations of a scene that are drawn."""
        return Sampler(scene, "test", self.seed).batch(0, self.columns)


def show(axes: Any, image: Any, title: str = "", below: str = "") -> None:
    """Show one picture with words around it."""
    axes.imshow(image)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(textwrap.fill(title, LINE), fontsize=8)
    axes.set_xlabel(textwrap.fill(below, LINE), fontsize=8)


def observations(arguments: Arguments) -> Figure:
    """Return a line for each scene: images with their captions."""
    batches = [arguments.batch(scene) for scene in SCENES]

    def draw(axes: Any) -> None:
        for line, batch in zip(axes, batches, strict=True):
            captions = VOCABULARY.decode_rows(batch["language"])
            for panel, image, caption in zip(line, batch["image"], captions, strict=True):
                show(panel, image, below=caption)

    columns, lines = arguments.columns, len(SCENES)
    return Figure("gallery_observations", draw, 2.6 * columns, 3.2 * lines, columns, lines)


def translations(arguments: Arguments, scene: str) -> Figure:
    """Return captions with the image made of them above, and images with the caption made of them
    below."""
    folder = Place(arguments.out, arguments.weights).weights_of(scene)
    gw = GlobalWorkspace.from_pretrained(folder, device="cpu")
    batch = arguments.batch(scene)
    images = gw.translate(batch, source="language", target="image")
    tokens = gw.translate(batch, source="image", target="language")
    captions = VOCABULARY.decode_rows(batch["language"])
    translated = VOCABULARY.decode_rows(tokens)

    def draw(axes: Any) -> None:
        for index in range(arguments.columns):
            above, below = axes[0, index], axes[1, index]
            show(above, images[index], captions[index], "image from this caption")
            show(below, batch["image"][index], "the scene", f"from this image: {translated[index]}")

    name, columns = f"gallery_translation_{scene}", arguments.columns
    return Figure(name, draw, 2.6 * columns, 6.8, columns, lines=2)


def main(arguments: Arguments) -> None:
    """Draw all pictures."""
    arguments.check()
    figures = [observations(arguments)]
    figures += [translations(arguments, scene) for scene in SCENES]
    for figure in figures:
        print(f"picture: {figure.save(arguments.out)}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
