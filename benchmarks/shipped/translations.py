"""Cells that measure translations through the shipped workspaces."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from numpy.typing import NDArray

from benchmarks.agents.weights import GivenWeights
from benchmarks.harness.cells import Cell, Place
from benchmarks.harness.rows import Entry, entry
from benchmarks.shipped.statements import GRADED, WHOLE, Statements, states_read
from benchmarks.speed.other_renderers import drawn_as_published
from gw_agents import GlobalWorkspace
from gw_agents.learning.probes import attribute_errors
from gw_envs.dataset import Sampler
from gw_envs.language import VOCABULARY, plain_tokens

KEPT_ASIDE = 1000
"""Added to a cell's seed: test scenes that no other command draws."""
ALL, CAPTION, COARSE = "all senses", "environment", "environment, coarse"
"""Captions of all senses fused, those of the environment, and its plainest and coarsest ones."""
DRAWN, TOLD, SEEN, MATPLOTLIB = "drawn image", "caption", "environment's image", "matplotlib"
"""What attributes are read from: an image made from a caption, the caption, the environment's image
of the scene, and matplotlib's."""


@lru_cache(maxsize=1)
def workspace_of(place: Place, scene: str) -> GlobalWorkspace:
    """Load a scene's workspace, once for each process that measures one scene after the other."""
    return GlobalWorkspace.from_pretrained(place.weights_of(scene), "cpu", attention=False)


@dataclass(frozen=True)
class Translations(Cell):
    """Translates held-out scenes. Metrics: figures by source and `of`, a slot or an attribute.

    The metric is, of captions made from the source: "true", "readable", "also_true" (the share of
    other scenes), "fine" (the share of fine claims) or "kept" (of captions made from captions: the
    share of claims that are as coarse or as fine as before). Of attributes read from the source:
    "within" (the share that lies in what the environment's caption says), "within_coarse" and
    "within_fine" (the same of its coarse or fine claims), or "error".
    """

    FILE = "captions"

    weights: GivenWeights
    seed: int
    scenes: int
    """Held-out scenes."""
    others: int = 10_000
    """Other held-out scenes, of which captions may be true as well."""

    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Translate and judge."""
        gw = workspace_of(place, self.scene)
        sampler = Sampler(self.scene, "test", KEPT_ASIDE + self.seed, gw.modalities)
        states = sampler.states(0, self.scenes)
        observation = sampler.core.observe(states)
        others = sampler.states(1, self.others)
        told = Statements.of(self.scene, VOCABULARY.decode_rows(observation["language"]))
        results: list[Entry] = []
        for source, tokens in captions_of(gw, observation, states):
            made = Statements.of(self.scene, VOCABULARY.decode_rows(tokens))
            results += caption_figures(source, made, states, others)
            if source == "language":
                results += granularity_kept(source, told, made)
        for source, attributes in attributes_of(gw, observation):
            results += read_figures(source, told, states_read(self.scene, states, attributes))
            if source == SEEN:
                results += error_figures(self.scene, source, attributes, observation["attributes"])
        return results


def captions_of(
    gw: GlobalWorkspace, observation: Mapping[str, NDArray], states: Any
) -> Iterator[tuple[str, NDArray]]:
    """Yield the name of each kind of caption and its (N, MAX_TOKENS) ids."""
    for source in gw.modalities:
        yield source, gw.translate(observation, source, "language")
    yield ALL, gw.translate(observation, gw.modalities, "language")
    yield CAPTION, observation["language"]
    yield COARSE, plain_tokens(states, coarse=True)


def attributes_of(
    gw: GlobalWorkspace, observation: Mapping[str, NDArray]
) -> Iterator[tuple[str, NDArray]]:
    """Yield the name of each source of attributes and the (N, A) vectors that are read from it."""
    drawn = gw.translate(observation, "language", "image")
    yield DRAWN, gw.translate({"image": drawn}, "image", "attributes")
    yield TOLD, gw.translate(observation, "language", "attributes")
    yield SEEN, gw.translate(observation, "image", "attributes")


def caption_figures(source: str, statements: Statements, states: Any, others: Any) -> list[Entry]:
    """Return how true the captions of N states are, how fine, and of how many others true.

    Unreadable captions count as false, and not at all in the other figures.
    """
    readable = statements.readable
    count = max(int(readable.sum()), 1)
    true = statements.true_of(states).mean(0)
    also = statements.shares_of(others)[readable].sum(0) / count
    results = [entry("readable", readable.mean(), source=source, of=WHOLE)]
    for slot, share, other in zip(statements.slots, true, also, strict=True):
        results.append(entry("true", share, source=source, of=slot))
        results.append(entry("also_true", other, source=source, of=slot))
    for slot in GRADED:
        share = (statements.is_fine(slot) & readable).sum() / count
        results.append(entry("fine", share, source=source, of=slot))
    return results


def granularity_kept(source: str, given: Statements, made: Statements) -> list[Entry]:
    """Return the share of claims that have the granularity of the caption they were made from."""
    results = []
    for slot in GRADED:
        is_same = (given.granularity(slot) == made.granularity(slot)) & made.readable
        results.append(entry("kept", is_same.mean(), source=source, of=slot))
    return results


def read_figures(source: str, told: Statements, states: Any) -> list[Entry]:
    """Return the share of N states, read as attributes, that lie in what their captions say."""
    true = told.true_of(states)
    results = []
    for slot, share in zip(told.slots, true.mean(0), strict=True):
        results.append(entry("within", share, source=source, of=slot))
    for slot in GRADED:
        column, fine = true[:, told.slots.index(slot)], told.is_fine(slot)
        kinds = {"within_fine": fine}
        if told.has_coarse(slot):
            kinds["within_coarse"] = ~fine
        for metric, claims in kinds.items():
            share = (column & claims).sum() / max(int(claims.sum()), 1)
            results.append(entry(metric, share, source=source, of=slot))
    return results


def error_figures(scene: str, source: str, predicted: NDArray, truth: NDArray) -> list[Entry]:
    """Return the errors of (N, A) attribute vectors in the attributes' units."""
    errors = attribute_errors(scene, predicted, truth)
    return [entry("error", error, source=source, of=name) for name, error in errors.items()]


@dataclass(frozen=True)
class RedrawnImages(Cell):
    """Reads the attributes of images that matplotlib draws from the published outlines.

    Metrics: entries of the metric "error".
    """

    FILE = "captions"

    weights: GivenWeights
    seed: int
    images: int

    def compute(self, place: Place, needed: Sequence[Any]) -> list[Entry]:
        """Draw, and read through the workspace."""
        sampler = Sampler(self.scene, "test", KEPT_ASIDE + self.seed, ("attributes",))
        states = sampler.states(0, self.images)
        gw = workspace_of(place, self.scene)
        images = {"image": drawn_as_published(states)}
        predicted = gw.translate(images, "image", "attributes")
        truth = sampler.core.observe(states)["attributes"]
        return error_figures(self.scene, MATPLOTLIB, predicted, truth)
