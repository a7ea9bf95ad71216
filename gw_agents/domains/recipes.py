"""How the shipped domain modules are built and trained: one recipe for each scene and modality."""

from dataclasses import dataclass, field
from typing import Any

from gw_agents.domains.attributes import AttributesDomain
from gw_agents.domains.base import Domain
from gw_agents.domains.image import ImageDomain
from gw_agents.domains.language import LanguageDomain
from gw_agents.fitting import FitConfig
from gw_envs.language import VOCABULARY
from gw_envs.observation import get_scene

DOMAINS: dict[str, type[Domain]] = {
    domain.modality: domain for domain in (ImageDomain, AttributesDomain, LanguageDomain)
}
"""The domain class of each modality."""


@dataclass(frozen=True)
class Recipe:
    """A domain's constructor arguments and its training."""

    fit: FitConfig
    """Length and speed of the training."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Constructor arguments of the domain."""
    pool: int = 0
    """Where drawing costs more than it is worth: scenes drawn once and drawn from; 0 for fresh scenes at every step."""


def recipe(scene: str, modality: str) -> Recipe:
    """The recipe of a scene's modality."""
    return RECIPES[get_scene(scene).name][modality]


def _attributes(scene: str) -> Recipe:
    fields = get_scene(scene).fields
    one_hot = sum(entry.width for entry in fields if entry.kind == "one_hot")
    arguments = {"width": get_scene(scene).attribute_width, "one_hot": one_hot}
    return Recipe(FitConfig(steps=20_000, batch_size=256, learning_rate=2e-3), arguments)


def _language() -> Recipe:
    return Recipe(FitConfig(steps=16_000, batch_size=64, learning_rate=2e-3), {"vocabulary": len(VOCABULARY)})


RECIPES: dict[str, dict[str, Recipe]] = {
    "simple_shapes": {
        "image": Recipe(
            FitConfig(steps=55_000), {"size": 32, "latent_width": 12, "channels": (24, 48, 48), "beta": 0.01}
        ),
        "attributes": _attributes("simple_shapes"),
        "language": _language(),
    },
    "factory": {
        "image": Recipe(
            FitConfig(steps=26_000), {"size": 64, "latent_width": 12, "channels": (16, 24, 48, 48)}, pool=120_000
        ),
        "attributes": _attributes("factory"),
        "language": _language(),
    },
}
