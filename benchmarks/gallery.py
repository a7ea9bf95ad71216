"""Pictures to look at: observations with their captions, and translations between the modalities.

    python benchmarks/gallery.py

Draws held-out scenes: `gallery_observations.png` and, for each scene, `gallery_translation_SCENE.png` (a caption and
the image made of it; an image and what is said of it).
"""

import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import figure
from gw_agents import GlobalWorkspace
from gw_agents.command import run_command
from gw_envs.dataset import Sampler
from gw_envs.language import VOCABULARY
from gw_envs.scenes import SCENES


@dataclass(frozen=True)
class Arguments:
    """Draw what the environments show and what the workspace makes of it."""

    columns: int = 4
    """Scenes a picture."""
    seed: int = 5
    """Which scenes of the test split."""
    weights: Path | None = None
    """Folder with a subfolder for each scene; the shipped weights by default."""
    out: Path = Path("results")
    """Where pictures go."""


def show(axes: Any, image: Any, title: str = "", below: str = "") -> None:
    """One picture with words around it."""
    axes.imshow(image)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(textwrap.fill(title, 34), fontsize=8)
    axes.set_xlabel(textwrap.fill(below, 34), fontsize=8)


def observations(arguments: Arguments) -> Path:
    """A row for each scene: images with their captions."""
    samples = {
        scene: Sampler(scene, "test", arguments.seed).batch(0, arguments.columns)
        for scene in SCENES
    }

    def draw(axes: Any) -> None:
        for line, shown in zip(axes, samples.values(), strict=True):
            for column, image, caption in zip(
                line, shown["image"], captions(shown["language"]), strict=True
            ):
                show(column, image, below=caption)

    path = arguments.out / "gallery_observations.png"
    figure(
        path,
        draw,
        width=2.6 * arguments.columns,
        height=6.4,
        columns=arguments.columns,
        lines=len(SCENES),
    )
    return path


def translations(arguments: Arguments, scene: str) -> Path:
    """Above, captions with their image and the image made of the caption; below, images and what is said of them."""
    gw = GlobalWorkspace.from_pretrained(
        arguments.weights / scene if arguments.weights else scene, device="cpu"
    )
    shown = Sampler(scene, "test", arguments.seed).batch(0, arguments.columns)
    drawn = gw.translate(shown, source="language", target="image")
    said = captions(gw.translate(shown, source="image", target="language"))
    told = captions(shown["language"])

    def draw(axes: Any) -> None:
        for index in range(arguments.columns):
            show(axes[0, index], drawn[index], title=told[index], below="image from this caption")
            show(
                axes[1, index],
                shown["image"][index],
                title="the scene",
                below="from this image: " + said[index],
            )

    path = arguments.out / f"gallery_translation_{scene}.png"
    figure(
        path, draw, width=2.6 * arguments.columns, height=6.8, columns=arguments.columns, lines=2
    )
    return path


def captions(tokens: Any) -> list[str]:
    """(N, MAX_TOKENS) token ids -> N sentences."""
    return VOCABULARY.decode_rows(tokens)


def main(arguments: Arguments) -> None:
    """Draw all."""
    print(f"picture: {observations(arguments)}")
    for scene in SCENES:
        print(f"picture: {translations(arguments, scene)}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
