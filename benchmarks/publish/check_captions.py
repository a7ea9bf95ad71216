"""Check the captions of random scenes: each can be read back, is true, and stops being true when
its scene moves.

    python -m benchmarks.publish.check_captions --count 100000
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.harness.tables import Table
from gw_agents.command import run_command
from gw_envs.errors import InputError, check_whole
from gw_envs.factory.state import FIXED_LAYOUT, FactoryState
from gw_envs.language import VOCABULARY, captions_true, plain_tokens, tokens
from gw_envs.language.parser import read
from gw_envs.language.registry import grammar_of_scene
from gw_envs.simple_shapes.state import SimpleShapesState

RED, BLUE = (255, 0, 0), (0, 0, 255)


@dataclass(frozen=True)
class Arguments:
    """Check the captions of random scenes."""

    count: int = 100_000
    """Random scenes of each kind."""
    batch: int = 2_000
    """Scenes at a time."""
    seed: int = 0
    """Seed of the scenes."""

    def check(self) -> None:
        """Raise InputError for impossible numbers."""
        check_whole("--count", self.count, 1)
        check_whole("--batch", self.batch, 1)
        check_whole("--seed", self.seed)


@dataclass
class Tally:
    """Counts over the captions of one kind of scene."""

    captions: int = 0
    unread: int = 0
    """Captions that the parser does not understand."""
    false: int = 0
    """Captions with a claim that is not true of their scene."""
    plain_false: int = 0
    """Plain captions with a claim that is not true of their scene."""
    still_true: int = 0
    """Claims that stay true although the scene left their region."""
    wordings: set[tuple[int, int, int]] = field(default_factory=set)
    """Wordings that occur: (column, meaning, wording) of the grammar's phrases."""
    structures: set[int] = field(default_factory=set)
    """Sentence structures that occur."""
    longest: int = 0
    """Tokens of the longest caption."""
    seconds: float = 0.0
    """Time spent on writing the captions as tokens."""


def sample_factory(rng: np.random.Generator, count: int) -> FactoryState:
    """Draw tables anywhere on the floor; in every other scene the landmarks are anywhere too."""
    looks = SimpleShapesState.sample(rng, count)
    x, y = rng.uniform(-1.5, 1.5, (2, count))
    anywhere = (np.arange(count) % 2 == 1)[:, None, None]
    landmarks = np.where(anywhere, rng.uniform(-1.7, 1.7, (count, 4, 2)), FIXED_LAYOUT)
    return FactoryState(x, y, looks.rotation, looks.rgb, landmarks, looks.wording_seed)


def _aside(value: NDArray, middle: float, step: float) -> NDArray:
    """Move values by a step towards the middle and beyond."""
    return np.where(value > middle, value - step, value + step)


def move_out(state: Any) -> Any:
    """Return the scenes with everything moved out of the region of any claim.

    What is blue or green most of all becomes red, and everything else blue, since regions of basic
    colors are wide.
    """
    is_reddish = state.rgb[:, :1] == state.rgb.max(1, keepdims=True)
    changes = {
        "rgb": np.where(is_reddish, BLUE, RED).astype(np.uint8),
        "rotation": (state.rotation + 0.8) % (2 * np.pi),
    }
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
    """Add the captions of a batch to the tally."""
    start = time.perf_counter()
    rows = tokens(state)
    tally.seconds += time.perf_counter() - start
    captions = VOCABULARY.decode_rows(rows)
    for caption in captions:
        try:
            structure, phrases = read(scene, caption)
        except ValueError:
            tally.unread += 1
            continue
        tally.structures.add(structure)
        for phrase in phrases:
            tally.wordings.add((phrase.column, phrase.meaning, phrase.wording))
    plain = VOCABULARY.decode_rows(plain_tokens(state))
    tally.captions += len(captions)
    tally.longest = max(tally.longest, int((rows > 0).sum(1).max()))
    tally.false += int((~captions_true(captions, state)).any(1).sum())
    tally.plain_false += int((~captions_true(plain, state)).any(1).sum())
    tally.still_true += int(captions_true(captions, move_out(state)).sum())


Sample = Callable[[np.random.Generator, int], Any]
"""(generator, count) -> that many states."""


def run(scene: str, sample: Sample, arguments: Arguments) -> Tally:
    """Check `arguments.count` scenes of one kind."""
    rng, tally = np.random.default_rng(arguments.seed), Tally()
    tokens(sample(rng, 1))  # compiles
    starts = range(0, arguments.count, arguments.batch)
    for start in tqdm(starts, desc=scene, unit="batch", disable=None):
        count = min(arguments.batch, arguments.count - start)
        check(scene, sample(rng, count), tally)
    return tally


def report(scene: str, tally: Tally) -> bool:
    """Print the table of one kind of scene; return whether every count is as wanted."""
    grammar = grammar_of_scene(scene)
    counts = {
        "captions not understood": (tally.unread, 0),
        "captions with a false claim": (tally.false, 0),
        "plain captions with a false claim": (tally.plain_false, 0),
        "claims still true outside their region": (tally.still_true, 0),
        "sentence structures seen": (len(tally.structures), len(grammar.structures)),
        "wordings seen": (len(tally.wordings), len(grammar.phrases)),
    }
    lines = []
    for name, (count, wanted) in counts.items():
        lines.append((name, f"{count:,}", f"{wanted:,}", "" if count == wanted else "<--"))
    speed = f"{tally.captions / tally.seconds:,.0f} a second as tokens"
    longest = f"at most {tally.longest} tokens of a vocabulary of {len(VOCABULARY)}"
    title = f"{scene}: {tally.captions:,} captions, {speed}, {longest}"
    print(f"\n{Table(title, ('what', 'counted', 'wanted', ''), lines)}")
    return all(count == wanted for count, wanted in counts.values())


SAMPLES: dict[str, Sample] = {"simple_shapes": SimpleShapesState.sample, "factory": sample_factory}
"""How states are drawn: Simple Shapes from the published distribution."""


def main(arguments: Arguments) -> None:
    """Check both scenes; raise InputError if a count is not as wanted."""
    arguments.check()
    results = [report(scene, run(scene, sample, arguments)) for scene, sample in SAMPLES.items()]
    if not all(results):
        raise InputError("some captions are wrong: see the lines marked <-- in the tables")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
