"""Check the captions of random scenes: each can be read back, is true, and stops being true when its scene moves.

python -m benchmarks.check_captions --count 100000
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from gw_envs.factory.state import FIXED_LAYOUT, FactoryState
from gw_envs.language import VOCABULARY, captions_true, plain_tokens, tokens
from gw_envs.language.parser import read
from gw_envs.language.registry import grammar_of_scene
from gw_envs.simple_shapes.state import SimpleShapesState


@dataclass(frozen=True)
class Config:
    """Which captions to check."""

    count: int = 100_000
    """Random scenes of each kind."""
    batch: int = 2_000
    """Scenes at a time."""
    seed: int = 0
    """Seed of the scenes."""


@dataclass
class Tally:
    """What was found in the captions of one kind of scene."""

    captions: int = 0
    unread: int = 0
    false: int = 0
    """Captions with a claim that is not true of their scene."""
    plain_false: int = 0
    """The same for the plain captions."""
    still_true: int = 0
    """Claims that stay true although the scene left their region."""
    wordings: set[tuple[int, int, int]] = field(default_factory=set)
    structures: set[int] = field(default_factory=set)
    longest: int = 0
    """Tokens of the longest caption."""
    seconds: float = 0.0
    """Time spent on writing the captions as tokens."""


def sample_shapes(rng: np.random.Generator, count: int) -> SimpleShapesState:
    """Simple Shapes from the published distribution."""
    return SimpleShapesState.sample(rng, count)


def sample_factory(rng: np.random.Generator, count: int) -> FactoryState:
    """Tables anywhere on the floor; in every other scene the landmarks are anywhere too."""
    looks = SimpleShapesState.sample(rng, count)
    x, y = rng.uniform(-1.5, 1.5, (2, count))
    anywhere = (np.arange(count) % 2 == 1)[:, None, None]
    landmarks = np.where(anywhere, rng.uniform(-1.7, 1.7, (count, 4, 2)), FIXED_LAYOUT)
    return FactoryState(x, y, looks.rotation, looks.rgb, landmarks, looks.wording_seed)


def _aside(value: NDArray, middle: float, step: float) -> NDArray:
    return np.where(value > middle, value - step, value + step)


def move_out(state: Any) -> Any:
    """The scenes with everything moved farther than the widest region of any claim."""
    changes = {"rgb": state.rgb ^ np.uint8(128), "rotation": (state.rotation + 0.8) % (2 * np.pi)}
    if isinstance(state, FactoryState):
        changes |= {"x": _aside(state.x, 0.0, 1.1), "landmarks": state.landmarks + 10.0}
    else:
        changes |= {
            "x": _aside(state.x, 15.5, 6.0),
            "size": 7 + (state.size - 3) % 8,
            "shape": (state.shape + 1) % 3,
        }
    return replace(state, **changes)


def check(scene: str, state: Any, tally: Tally) -> None:
    """Add what the captions of a batch show to the tally."""
    began = time.perf_counter()
    rows = tokens(state)
    tally.seconds += time.perf_counter() - began
    captions = VOCABULARY.decode_rows(rows)
    for caption in captions:
        try:
            structure, said = read(scene, caption)
        except ValueError:
            tally.unread += 1
            continue
        tally.structures.add(structure)
        tally.wordings.update((phrase.column, phrase.meaning, phrase.wording) for phrase in said)
    plain = VOCABULARY.decode_rows(plain_tokens(state))
    tally.captions += len(captions)
    tally.longest = max(tally.longest, int((rows > 0).sum(1).max()))
    tally.false += int((~captions_true(captions, state)).any(1).sum())
    tally.plain_false += int((~captions_true(plain, state)).any(1).sum())
    tally.still_true += int(captions_true(captions, move_out(state)).sum())


def run(scene: str, sample: Callable[[np.random.Generator, int], Any], config: Config) -> Tally:
    """Check `config.count` scenes of one kind."""
    rng, tally = np.random.default_rng(config.seed), Tally()
    tokens(sample(rng, 1))  # compiles
    for start in tqdm(range(0, config.count, config.batch), desc=scene, unit="batch", disable=None):
        check(scene, sample(rng, min(config.batch, config.count - start)), tally)
    return tally


def report(scene: str, tally: Tally) -> bool:
    """Print the table of one kind of scene; True if all is as it should be."""
    grammar = grammar_of_scene(scene)
    rows = (
        ("captions not understood", tally.unread, 0),
        ("captions with a false claim", tally.false, 0),
        ("plain captions with a false claim", tally.plain_false, 0),
        ("claims still true outside their region", tally.still_true, 0),
        ("sentence structures seen", len(tally.structures), len(grammar.structures)),
        ("wordings seen", len(tally.wordings), len(grammar.phrases)),
    )
    print(
        f"\n{scene}: {tally.captions:,} captions, {tally.captions / tally.seconds:,.0f} a second as tokens, ",
        end="",
    )
    print(f"at most {tally.longest} tokens of a vocabulary of {len(VOCABULARY)}")
    print(f"{'':<40}{'found':>8}{'wanted':>8}")
    for name, found, wanted in rows:
        print(f"{name:<40}{found:>8,}{wanted:>8,}{'' if found == wanted else '   <--'}")
    return all(found == wanted for _, found, wanted in rows)


def main(config: Config) -> int:
    """Check both scenes; 0 if every caption is as it should be."""
    good = [
        report(scene, run(scene, sample, config))
        for scene, sample in (("simple_shapes", sample_shapes), ("factory", sample_factory))
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config, description=__doc__)))
