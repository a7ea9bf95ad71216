"""How much the control benchmark does in each preset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Choice = Literal["shipped", "per_seed"]
"""The workspaces that agents read: the shipped one, or one for each seed."""


@dataclass(frozen=True)
class Size:
    """How much a preset does."""

    seeds: Mapping[str, int]
    """Agents of each encoder."""
    steps: Mapping[str, int]
    """Environment steps of training, by scene."""
    episodes: int
    """Held-out episodes of each test."""
    workspaces: Choice
    """The workspaces that agents read."""


SIZES = {
    "quick": Size({"gw": 1}, {"simple_shapes": 60_000, "factory": 60_000}, 100, "shipped"),
    "full": Size(
        {"gw": 5, "gw_even": 5, "contrastive": 5, "unimodal": 3, "concatenation": 3, "raw": 2},
        {"simple_shapes": 200_000, "factory": 60_000},
        300,
        "per_seed",
    ),
}
