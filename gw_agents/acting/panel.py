"""A picture of a moment of an agent's life: the scene, what it sees of it, what it attends to, and how it fares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gw_envs.display import wrapped
from gw_envs.observation import MODALITIES

_INK, _FAINT, _PAPER = (235, 235, 235), (130, 130, 130), (24, 24, 28)
_COLORS = {"image": (86, 180, 233), "attributes": (230, 159, 0), "language": (0, 158, 115)}
"""Of Okabe and Ito, whom the color-blind can read."""


@dataclass(frozen=True)
class Moment:
    """One step of an episode, as people and as the agent see it."""

    title: str
    """Who acts where."""
    frame: NDArray[np.uint8]
    """(S, S, 3) rendered picture of the scene."""
    image: NDArray[np.uint8]
    """(s, s, 3) image modality."""
    caption: str
    """Sentence of the language modality."""
    observed: Sequence[str]
    """What the agent observes."""
    weights: Mapping[str, float]
    """Fusion weight of each modality; empty where nothing is fused."""
    rewards: Sequence[float]
    """Rewards of the episode so far."""
    episode: int
    """Number of the episode."""
    steps: int
    """Steps after which an episode is truncated."""
    outcome: str = ""
    """How the episode ended, once it has."""


def draw(moment: Moment) -> NDArray[np.uint8]:
    """(S, 1.7 S, 3) uint8: the frame, and beside it image, fusion weights, caption and rewards."""
    side = len(moment.frame)
    column = Image.new("RGB", (round(0.7 * side) // 2 * 2, side), _PAPER)
    pen = _Pen(column, side / 480)
    pen.text((0.04, 0.02), moment.title, _FAINT)
    total = sum(moment.rewards)
    pen.text(
        (0.04, 0.065),
        f"episode {moment.episode}   step {len(moment.rewards)}   return {total:.2f}",
        _INK,
    )
    pen.text(
        (0.04, 0.11),
        moment.outcome,
        (120, 220, 120) if moment.outcome == "success" else (230, 120, 120),
    )
    _draw_image(pen, moment)
    _draw_weights(pen, moment)
    _draw_caption(pen, moment)
    _draw_rewards(pen, moment)
    return np.concatenate([moment.frame, np.asarray(column)], 1)


class _Pen:
    """Draws in a column with places given as fractions of the frame's side."""

    def __init__(self, column: Image.Image, scale: float) -> None:
        self.column, self.side = column, column.height
        self.draw = ImageDraw.Draw(column)
        self.font = _font(max(6, round(14 * scale)))

    def at(self, across: float, down: float) -> tuple[int, int]:
        """Fractions -> pixels."""
        return round(across * self.side), round(down * self.side)

    def width(self, fraction: float) -> int:
        """A fraction -> a width of at least a pixel."""
        return max(1, round(fraction * self.side))

    def box(self, left: float, top: float, right: float, foot: float, **style: Any) -> None:
        """A rectangle."""
        self.draw.rectangle([self.at(left, top), self.at(right, foot)], **style)

    def text(self, place: tuple[float, float], words: str, color: tuple[int, int, int]) -> None:
        """One line of text, its upper left corner at `place`."""
        self.draw.text(self.at(*place), words, color, self.font)

    def lines(self, words: str, width: float) -> list[str]:
        """Text broken between words into lines of at most `width`."""
        return wrapped(
            words, lambda line: self.draw.textlength(line, self.font) <= width * self.side
        )


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _named(pen: _Pen, place: tuple[float, float], name: str, observed: Sequence[str]) -> None:
    """A modality's name over what it shows; pale where the agent does not observe it."""
    known = name in observed
    pen.text(place, name if known else f"{name} (not observed)", _COLORS[name] if known else _FAINT)


def _draw_image(pen: _Pen, moment: Moment) -> None:
    _named(pen, (0.04, 0.17), "image", moment.observed)
    side = pen.width(0.24)
    picture = Image.fromarray(moment.image).resize((side, side), Image.Resampling.NEAREST)
    pen.column.paste(picture, pen.at(0.04, 0.215))


def _draw_weights(pen: _Pen, moment: Moment) -> None:
    pen.text((0.36, 0.17), "fusion weights" if moment.weights else "no fusion", _FAINT)
    for number, name in enumerate(MODALITIES if moment.weights else ()):
        top, weight = 0.215 + 0.085 * number, moment.weights.get(name)
        color = _FAINT if weight is None else _COLORS[name]
        pen.text((0.36, top), f"{name} {'-' if weight is None else f'{weight:.2f}'}", color)
        pen.box(0.36, top + 0.045, 0.66, top + 0.065, outline=(70, 70, 70))
        if weight:
            pen.box(0.36, top + 0.045, 0.36 + 0.30 * weight, top + 0.065, fill=color)


def _draw_caption(pen: _Pen, moment: Moment) -> None:
    _named(pen, (0.04, 0.48), "language", moment.observed)
    lines = pen.lines(moment.caption, 0.62)
    shown = lines if len(lines) <= 4 else [*lines[:3], f"{lines[3]} ..."]
    for number, line in enumerate(shown):
        pen.text(
            (0.04, 0.525 + 0.04 * number), line, _INK if "language" in moment.observed else _FAINT
        )


def _draw_rewards(pen: _Pen, moment: Moment) -> None:
    """Return so far as a line, the reward of each step as a bar from zero."""
    left, top, right, foot = 0.11, 0.765, 0.66, 0.955
    curve = np.concatenate([[0.0], np.cumsum(moment.rewards)])
    high, low = max(1.0, curve.max()), min(0.0, curve.min(), *moment.rewards, 0.0)

    def place(step: float, value: float) -> tuple[int, int]:
        return pen.at(
            left + (right - left) * step / moment.steps,
            foot - (foot - top) * (value - low) / (high - low),
        )

    pen.text((0.04, 0.695), "return, and reward of each step", _FAINT)
    pen.draw.line([place(0, 0), place(moment.steps, 0)], fill=(70, 70, 70))
    for value in (
        0.0,
        *(end for end in (low, high) if abs(end) > 0.12 * (high - low)),
    ):  # or they lie on one another
        pen.draw.text(place(0, value), f"{round(value, 1):g} ", _FAINT, pen.font, anchor="rm")
    pen.draw.text(place(moment.steps, low), f"{moment.steps} steps", _FAINT, pen.font, anchor="ra")
    for step, reward in enumerate(moment.rewards, 1):
        pen.draw.line(
            [place(step, 0), place(step, reward)], fill=(110, 110, 150), width=pen.width(0.004)
        )
    points = [place(step, value) for step, value in enumerate(curve)]
    if len(points) > 1:
        pen.draw.line(points, fill=_INK, width=pen.width(0.005))
