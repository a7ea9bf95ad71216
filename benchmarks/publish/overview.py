"""Draw the project in one picture: a scene, its three senses, the workspace, and the agent.

python -m benchmarks.publish.overview
"""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import matplotlib
import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

import gw_envs  # noqa: F401  registers the environments
from benchmarks.harness.figures import BLUE, GREEN, ORANGE
from gw_agents import GlobalWorkspace
from gw_agents.command import run_command

matplotlib.use("Agg")

INK = "#222222"
ATTRIBUTE_NAMES = ("x", "y", "cos", "sin", "R", "G", "B")


@dataclass(frozen=True)
class Overview:
    """Draw the picture at the top of the README."""

    out: Path = Path("docs/pictures/overview.png")
    """The picture's file."""
    seed: int = 4
    """Seed of the scene."""

    def __call__(self) -> None:
        """Draw and save."""
        env = gym.make("GWFactory-v0", render_mode="rgb_array", render_size=480, image_size=64)
        observation, info = env.reset(seed=self.seed)
        gw = GlobalWorkspace.from_pretrained("factory", device="cpu")
        figure = draw(env.unwrapped, observation, info["caption"], gw)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(self.out, dpi=110, facecolor="white")
        env.close()
        print(f"written: {self.out}")


def draw(env: Any, observation: dict[str, Any], caption: str, gw: GlobalWorkspace) -> Figure:
    """Lay out the panels from left to right and join them with arrows."""
    figure = Figure(figsize=(11, 3.9))
    scene = _panel(figure, (0.015, 0.22, 0.2, 0.56), "scene", INK)
    scene.imshow(env.core.portrait(env.state, 480))
    image = _panel(figure, (0.3, 0.64, 0.1, 0.28), "image", BLUE)
    image.imshow(observation["image"])
    attributes = _panel(figure, (0.29, 0.335, 0.12, 0.19), "attributes", ORANGE)
    _bars(attributes, observation["attributes"], ORANGE)
    attributes.set_xticks(range(len(ATTRIBUTE_NAMES)), ATTRIBUTE_NAMES, fontsize=7)
    language = _panel(figure, (0.265, 0.05, 0.17, 0.17), "language", GREEN)
    words = "\n".join(textwrap.wrap(caption, 27))
    language.text(0.5, 0.5, words, ha="center", va="center", fontsize=8, color=INK)
    workspace = _panel(figure, (0.53, 0.35, 0.17, 0.3), "Global Workspace: z", INK)
    _bars(workspace, gw.encode({"image": observation["image"]}), INK)
    _draw_uses(figure, gw, observation)
    for height, color in ((0.78, BLUE), (0.43, ORANGE), (0.135, GREEN)):
        _arrow(figure, (0.22, 0.5), (0.285 if height > 0.2 else 0.26, height), INK)
        _arrow(figure, (0.415 if height > 0.2 else 0.44, height), (0.525, 0.5), color)
    _arrow(figure, (0.705, 0.52), (0.785, 0.76), INK)
    _arrow(figure, (0.705, 0.48), (0.785, 0.24), INK)
    figure.text(0.535, 0.73, "any subset of the senses,\nfused by attention", fontsize=8, color=INK)
    return figure


def _draw_uses(figure: Figure, gw: GlobalWorkspace, observation: dict[str, Any]) -> None:
    """Draw the two uses of z: another sense decoded from it, and an agent that acts on it."""
    decoded = _panel(figure, (0.8, 0.58, 0.14, 0.34), "decoded: caption → image", INK)
    decoded.imshow(gw.translate(observation, source="language", target="image"))
    agent = _panel(figure, (0.79, 0.08, 0.19, 0.28), "agent", INK)
    lines = "a policy trained on one sense\nacts on another\nwithout further training"
    agent.text(0.5, 0.5, lines, ha="center", va="center", fontsize=8.5, color=INK)


def _panel(
    figure: Figure, place: tuple[float, float, float, float], title: str, color: str
) -> Axes:
    """Return an empty frame; `place` is left, bottom, width and height as parts of the figure."""
    axes = figure.add_axes(place)
    axes.set_title(title, fontsize=10, color=color, pad=4, weight="bold")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_color(color)
        side.set_linewidth(1.4)
    return axes


def _bars(axes: Axes, values: np.ndarray, color: str) -> None:
    """Draw numbers in [-1, 1] as bars."""
    axes.bar(range(len(values)), values, color=color)
    axes.axhline(0, color=color, linewidth=0.8)
    axes.set_ylim(-1.1, 1.1)


def _arrow(
    figure: Figure, start: tuple[float, float], end: tuple[float, float], color: str
) -> None:
    """Draw an arrow between two points of the figure."""
    arrow = FancyArrowPatch(
        start,
        end,
        transform=figure.transFigure,
        arrowstyle="-|>",
        mutation_scale=12,
        linewidth=1.3,
        color=color,
    )
    figure.add_artist(arrow)


if __name__ == "__main__":
    run_command(tyro.cli(Overview))
