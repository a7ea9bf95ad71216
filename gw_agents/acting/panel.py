"""Draw one step of an episode: the scene, what the agent observes, its shares in z, and rewards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gw_envs.display import wrapped
from gw_envs.observation import MODALITIES

_INK, _FAINT, _PAPER = (235, 235, 235), (130, 130, 130), (24, 24, 28)
_GOOD, _BAD = (120, 220, 120), (230, 120, 120)
_COLORS = {"image": (86, 180, 233), "attributes": (230, 159, 0), "language": (0, 158, 115)}
"""Okabe-Ito palette: safe for color-blind readers."""
_OTHER = (204, 121, 167)
"""The color of any other modality."""


@dataclass(frozen=True)
class Moment:
    """One step of an episode, as people and as the agent see it."""

    title: str
    """The environment, policy input and algorithm."""
    frame: NDArray[np.uint8]
    """(S, S, 3) rendered picture of the scene."""
    image: NDArray[np.uint8] | None
    """(h, w, 3) picture among the modalities; None if there is none."""
    caption: str | None
    """Sentence of the language modality; None if there is none."""
    observed: Sequence[str]
    """The modalities that the agent observes."""
    shares: Mapping[str, float]
    """How much of the workspace vector each modality makes up; empty if nothing is fused."""
    rewards: Sequence[float]
    """Rewards of the episode so far."""
    episode: int
    """Number of the episode."""
    steps: int
    """Steps after which an episode is truncated."""
    size: int
    """S, side in pixels of the frame in the drawn picture."""
    outcome: str = ""
    """How the episode ended; empty while it runs."""
    failing: Mapping[str, str] = field(default_factory=dict)
    """{modality: kind of failure} of sensors that fail."""


def draw(moment: Moment) -> NDArray[np.uint8]:
    """Draw the frame, and beside it modalities, image, shares of z, caption and rewards.

    Returns (S, 1.7 S, 3) uint8.
    """
    side = moment.size
    column = Image.new("RGB", (round(0.7 * side) // 2 * 2, side), _PAPER)
    pen = _Pen(column, side / 480)
    total = sum(moment.rewards)
    counts = f"episode {moment.episode}   step {len(moment.rewards)}   return {total:.2f}"
    pen.text((0.04, 0.02), moment.title, _FAINT)
    pen.text((0.04, 0.055), counts, _INK)
    pen.text((0.47, 0.055), moment.outcome, _GOOD if moment.outcome == "success" else _BAD)
    _draw_senses(pen, moment)
    _draw_image(pen, moment)
    _draw_shares(pen, moment)
    _draw_caption(pen, moment)
    _draw_rewards(pen, moment)
    return np.concatenate([_square(moment.frame, side), np.asarray(column)], 1)


def _square(frame: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return a frame as (side, side, 3), scaled and centered in a black square if it has another
    shape."""
    if frame.shape[:2] == (side, side):
        return frame
    scale = side / max(frame.shape[:2])
    height, width = (max(1, round(scale * length)) for length in frame.shape[:2])
    square = Image.new("RGB", (side, side))
    picture = Image.fromarray(frame).resize((width, height))
    square.paste(picture, ((side - width) // 2, (side - height) // 2))
    return np.asarray(square)


class _Pen:
    """Draws in a column; places are fractions of the frame's side."""

    def __init__(self, column: Image.Image, scale: float) -> None:
        self.column, self.side = column, column.height
        self.draw = ImageDraw.Draw(column)
        self.font = _font(max(6, round(14 * scale)))

    def at(self, across: float, down: float) -> tuple[int, int]:
        """Convert fractions to pixels."""
        return round(across * self.side), round(down * self.side)

    def width(self, fraction: float) -> int:
        """Convert a fraction to a width of at least one pixel."""
        return max(1, round(fraction * self.side))

    def box(self, left: float, top: float, right: float, foot: float, **style: Any) -> None:
        """Draw a rectangle."""
        self.draw.rectangle([self.at(left, top), self.at(right, foot)], **style)

    def text(self, place: tuple[float, float], words: str, color: tuple[int, int, int]) -> None:
        """Write a line of text, its upper left corner at `place`."""
        self.draw.text(self.at(*place), words, color, self.font)

    def length(self, words: str) -> float:
        """Return the length of a line of text, as a fraction."""
        return self.draw.textlength(words, self.font) / self.side

    def lines(self, words: str, width: float) -> list[str]:
        """Break a text between words into lines of at most `width`."""
        return wrapped(
            words, lambda line: self.draw.textlength(line, self.font) <= width * self.side
        )


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _color(name: str) -> tuple[int, int, int]:
    return _COLORS.get(name, _OTHER)


def _draw_senses(pen: _Pen, moment: Moment) -> None:
    """List the modalities in a row, unused ones pale, and failing sensors below it."""
    others = [name for name in MODALITIES if name not in moment.observed]
    if set(moment.observed) - set(MODALITIES):
        others = []  # the environment is not ours
    left = 0.04
    for name in (*moment.observed, *others):
        used = name in moment.observed
        pen.box(left, 0.105, left + 0.018, 0.123, **_box_style(name, used))
        pen.text((left + 0.028, 0.095), name, _color(name) if used else _FAINT)
        left += 0.028 + pen.length(name) + 0.03
    failing = ", ".join(f"{name} ({kind})" for name, kind in moment.failing.items())
    if failing:
        pen.text((0.04, 0.13), f"failing: {failing}", _BAD)


def _box_style(name: str, used: bool) -> dict[str, Any]:
    return {"fill": _color(name)} if used else {"outline": _FAINT}


def _heading(pen: _Pen, place: tuple[float, float], name: str, observed: Sequence[str]) -> None:
    """Write a modality's name above its content; pale if the agent does not use it."""
    if name in observed:
        pen.text(place, name, _color(name))
    else:
        pen.text(place, f"{name} (not used)", _FAINT)


def _draw_image(pen: _Pen, moment: Moment) -> None:
    if moment.image is None:
        return
    _heading(pen, (0.04, 0.17), "image", moment.observed)
    height, width = moment.image.shape[:2]
    side = pen.width(0.24)
    size = (max(1, side * width // max(height, width)), max(1, side * height // max(height, width)))
    picture = Image.fromarray(moment.image).resize(size, Image.Resampling.NEAREST)
    pen.column.paste(picture, pen.at(0.04, 0.215))


def _draw_shares(pen: _Pen, moment: Moment) -> None:
    pen.text((0.36, 0.17), "shares of z" if moment.shares else "no fusion", _FAINT)
    for number, (name, share) in enumerate(list(moment.shares.items())[:3]):
        top = 0.215 + 0.085 * number
        pen.text((0.36, top), f"{name} {share:.2f}", _color(name))
        pen.box(0.36, top + 0.045, 0.66, top + 0.065, outline=(70, 70, 70))
        if share:
            pen.box(0.36, top + 0.045, 0.36 + 0.30 * share, top + 0.065, fill=_color(name))


def _draw_caption(pen: _Pen, moment: Moment) -> None:
    if moment.caption is None:
        return
    _heading(pen, (0.04, 0.48), "language", moment.observed)
    lines = pen.lines(moment.caption, 0.62)
    if len(lines) > 4:
        lines = [*lines[:3], f"{lines[3]} ..."]
    color = _INK if "language" in moment.observed else _FAINT
    for number, line in enumerate(lines):
        pen.text((0.04, 0.525 + 0.04 * number), line, color)


def _draw_rewards(pen: _Pen, moment: Moment) -> None:
    """Draw the return so far as a line, and the reward of each step as a bar from zero."""
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
    ends = [end for end in (low, high) if abs(end) > 0.12 * (high - low)]  # others would overlap 0
    for value in (0.0, *ends):
        pen.draw.text(place(0, value), f"{round(value, 1):g} ", _FAINT, pen.font, anchor="rm")
    pen.draw.text(place(moment.steps, low), f"{moment.steps} steps", _FAINT, pen.font, anchor="ra")
    for step, reward in enumerate(moment.rewards, 1):
        pen.draw.line(
            [place(step, 0), place(step, reward)], fill=(110, 110, 150), width=pen.width(0.004)
        )
    points = [place(step, value) for step, value in enumerate(curve)]
    if len(points) > 1:
        pen.draw.line(points, fill=_INK, width=pen.width(0.005))
