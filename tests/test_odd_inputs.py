"""Every parameter of the data API refuses odd values in one sentence."""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gw_envs.corruption import (
    Corruption,
    CorruptObservation,
    CorruptVectorObservation,
    corrupt,
    other_scenes,
)
from gw_envs.dataset import (
    Sampler,
    collect,
    collect_unpaired,
    episode_seed,
    export_published,
    generator,
    load_published,
    load_shards,
    save_shards,
)
from gw_envs.errors import InputError
from gw_envs.expert import expert_actions
from gw_envs.labels import labels
from gw_envs.language import (
    VOCABULARY,
    Claim,
    caption_truth,
    captions_true,
    paraphrases,
    parse,
    plain_tokens,
    read_loosely,
    sentences,
    tokens,
)

ODD = {
    "None": None,
    "True": True,
    "-1": -1,
    "0": 0,
    "1": 1,
    "0.5": 0.5,
    "1.0": 1.0,
    "nan": math.nan,
    "inf": math.inf,
    "1e300": 1e300,
    "2**63": 2**63,
    "10**5000": 10**5000,
    "1j": 1j,
    "no text": "",
    "text": "a",
    "long text": "x" * 10_000,
    "NUL": "a\0b",
    "surrogate": "\ud800",
    "bytes": b"abc",
    "()": (),
    "[]": [],
    "{}": {},
    "[None]": [None],
    "ragged": [[1], [1, 2]],
    "(1, 'a')": (1, "a"),
    "{1: 2}": {1: 2},
    "object": object(),
    "class": int,
    "function": lambda: 0,
    "fraction": Fraction(1, 2),
    "empty array": np.zeros(0),
    "square": np.zeros((3, 3)),
    "NaN rows": np.full((2, 11), math.nan),
    "far rows": np.full((2, 11), 1e300),
    "objects": np.array([None, 1], object),
    "texts": np.array(["a", "b"]),
    "complex": np.zeros(2, complex),
    "negative ids": np.full((2, 48), -5),
    "large ids": np.full((2, 48), 5000),
    "unsigned": np.array([2**64 - 1], np.uint64),
    "date": np.datetime64("2020-01-01"),
    "generator": np.random.default_rng(0),
}

COUNT = {"1"}
SEED = {"0", "1", "2**63", "10**5000"}
FRACTION = {"0", "1", "0.5", "1.0"}
FLAG = {"True"}

SHAPES = Sampler("simple_shapes", "train")
STATE, BATCH = SHAPES.states(0, 3), SHAPES.batch(0, 3)
CAPTIONS = sentences(STATE)
SPACE = SHAPES.core.observation_space
PUBLISHED = Path(__file__).parent / "data" / "published_sample"
BLUR = {"image": "blur"}


def attributes_sampler(**arguments: Any) -> Any:
    arguments = {"scene": "factory", "split": "train", "modalities": "attributes", **arguments}
    return Sampler(**arguments).batch(0, 2)


def sensors(call: Any = None, **arguments: Any) -> Any:
    corruption = Corruption(**{"space": SPACE, "faults": BLUR, "num_rows": 3, **arguments})
    return corruption(BATCH)


def sensors_reset(seed: Any) -> None:
    Corruption(SPACE, BLUR, num_rows=3).reset(seed)


def sensors_called(observation: Any = BATCH, image: Any = BATCH["image"]) -> None:
    corruption = Corruption(SPACE, BLUR, num_rows=3)
    corruption(observation if observation is not BATCH else {**BATCH, "image": image})


def wrapped(env: Any = "one", **arguments: Any) -> None:
    env = gym.make("GWSimpleShapes-v0") if isinstance(env, str) and env == "one" else env
    CorruptObservation(env, **{"faults": BLUR, **arguments})


def wrapped_batch(env: Any = "two", **arguments: Any) -> None:
    two = isinstance(env, str) and env == "two"
    env = gym.make_vec("GWSimpleShapes-v0", num_envs=2) if two else env
    CorruptVectorObservation(env, **{"faults": BLUR, **arguments})


def claim_holds(**arguments: Any) -> None:
    Claim(**{"slot": "size", "variant": "bins", "meaning": 0, "text": "", **arguments}).holds(STATE)


def frozen(**arguments: Any) -> None:
    image = BATCH["image"]
    given = {"rows": image, "severity": 0.5, "rng": np.random.default_rng(0), "previous": image}
    corrupt(**{"modality": "image", "kind": "frozen", **given, **arguments})


def elsewhere(**arguments: Any) -> None:
    given = {"rows": BATCH["attributes"], "severity": 0.5, "rng": np.random.default_rng(0)}
    corrupt(**{"modality": "attributes", "kind": "other_scene", **given, **arguments})


def replaced_words(**arguments: Any) -> None:
    given = {"rows": BATCH["language"], "severity": 0.5, "rng": np.random.default_rng(0)}
    corrupt(**{"modality": "language", "kind": "replaced", **given, **arguments})


FEW = {"scene": "simple_shapes", "split": "train", "episodes": 1, "modalities": "attributes"}


def save(folder: Path, **arguments: Any) -> None:
    save_shards(folder, **{"sample": {"a": np.zeros(2)}, **arguments})


def save_array(folder: Path, array: Any) -> None:
    save_shards(folder, {"array": array, "b": np.zeros(2)})


def save_state(folder: Path, state: Any) -> None:
    save_shards(folder, {"a": np.zeros(3), "state": state})


def save_mask(folder: Path, mask: Any) -> None:
    save_shards(folder, {"a": np.zeros(2), "present": {"image": mask}})


def export(folder: Path, **arguments: Any) -> None:
    export_published(folder, **{"split": "train", "state": STATE, **arguments})


CALLS: dict[Any, dict[str, set[str]]] = {
    attributes_sampler: {
        "scene": set(),
        "split": set(),
        "seed": SEED,
        "modalities": set(),
        "jitter": FLAG,
        "image_size": {"None"},
        "layout": set(),
    },
    SHAPES.states: {"index": SEED, "count": COUNT},
    SHAPES.batch: {"index": SEED, "count": COUNT},
    collect: {
        "scene": set(),
        "split": set(),
        "modalities": set(),
        "episodes": COUNT,
        "seed": {"0", "1"},
        "policy": set(),
        "steps_per_episode": {"0", "1"},
        "first_episode": {"0", "1"},
        "actions": set(),
        "layout": set(),
        "missing": {"None"},
    },
    collect_unpaired: {
        "split": set(),
        "episodes": COUNT,
        "seed": {"0", "1"},
        "policy": set(),
        "first_episode": {"0", "1"},
    },
    generator: {"split": set()},
    episode_seed: {"split": set(), "seed": {"0", "1"}, "episode": {"0", "1"}},
    save: {"sample": set(), "rows_per_shard": {"1", "2**63", "10**5000"}},
    save_array: {
        "array": {"(1, 'a')", "NaN rows", "far rows", "texts", "complex", "negative ids"}
        | {"large ids"}
    },
    save_state: {"state": {"square"}},
    save_mask: {"mask": set()},
    load_shards: {"folder": set()},
    load_published: {"path": set(), "split": set(), "trust": FLAG},
    export: {"split": set(), "state": set(), "captions": {"None"}, "labels": {"None"}},
    expert_actions: {
        "scene": set(),
        "attributes": set(),
        "actions": set(),
        "goals": {"None", "square"},
    },
    labels: {"scene": set(), "attributes": set()},
    tokens: {"state": set()},
    sentences: {"state": set()},
    plain_tokens: {"state": set(), "coarse": FLAG},
    paraphrases: {"state": set(), "count": COUNT},
    parse: {"scene": set(), "sentence": set()},
    read_loosely: {"scene": set(), "text": set()},
    caption_truth: {"sentence": set(), "state": set()},
    captions_true: {"sentences": set(), "states": set()},
    claim_holds: {"slot": set(), "variant": set(), "meaning": {"0", "1"}},
    VOCABULARY.encode: {"sentence": {"text", "no text"}},
    VOCABULARY.decode: {"ids": {"()", "[]"}},
    VOCABULARY.decode_rows: {"ids": {"()", "[]"}},
    frozen: {
        "modality": set(),
        "kind": set(),
        "rows": set(),
        "severity": FRACTION,
        "rng": {"generator"},
        "previous": set(),
        "others": {"None"},
    },
    elsewhere: {"rows": set(), "others": {"None"}},
    replaced_words: {"rows": set()},
    sensors: {
        "space": set(),
        "faults": set(),
        "severity": FRACTION,
        "every": set(),
        "at_once": {"None", "1"},
        "seed": SEED,
        "others": {"None", "{}", "{1: 2}"},
        "num_rows": set(),
    },
    sensors_reset: {"seed": SEED | {"None"}},
    sensors_called: {"observation": set(), "image": set()},
    wrapped: {"env": set(), "faults": set(), "severity": FRACTION, "no_such": set()},
    wrapped_batch: {"env": set(), "faults": set(), "every": set(), "no_such": set()},
    other_scenes: {"core": set(), "count": COUNT},
}
"""{function: {parameter: names of the odd values that it takes}}."""

OTHERS: dict[Any, dict[str, Any]] = {
    collect: FEW,
    collect_unpaired: FEW,
    SHAPES.states: {"index": 0, "count": 1},
    SHAPES.batch: {"index": 0, "count": 1},
    episode_seed: {"split": "train", "seed": 0, "episode": 0},
    load_published: {"path": PUBLISHED, "split": "train"},
    expert_actions: {"scene": "simple_shapes", "attributes": BATCH["attributes"]},
    labels: {"scene": "simple_shapes", "attributes": BATCH["attributes"]},
    plain_tokens: {"state": STATE},
    paraphrases: {"state": STATE, "count": 1},
    parse: {"scene": "simple_shapes", "sentence": CAPTIONS[0]},
    read_loosely: {"scene": "simple_shapes", "text": CAPTIONS[0]},
    caption_truth: {"sentence": CAPTIONS[0], "state": STATE[0]},
    captions_true: {"sentences": CAPTIONS, "states": STATE},
    other_scenes: {"core": SHAPES.core, "modalities": ("attributes",)},
}
"""{function: arguments that keep it valid while one parameter is odd}."""

WRITERS = (save, save_array, save_state, save_mask, export)
MISSING_FILES = {load_shards: {"folder": {"text"}}, load_published: {"path": {"text"}}}


def outcome(function: Any, arguments: dict[str, Any]) -> Exception | None:
    """Return what a call raised, None if it accepted its arguments; other errors pass."""
    try:
        function(**arguments)
    except (InputError, FileNotFoundError) as error:
        return error
    return None


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_odd_values_are_refused_in_one_sentence(function, tmp_path):
    for parameter, accepted in CALLS[function].items():
        missing = MISSING_FILES.get(function, {}).get(parameter, set())
        for name, value in ODD.items():
            arguments = {**OTHERS.get(function, {}), parameter: value}
            if function in WRITERS:
                arguments["folder"] = tmp_path / f"{parameter}-{list(ODD).index(name)}"
            error = outcome(function, arguments)
            where = f"{function.__name__}({parameter}={name}): {error}"
            assert (error is None) == (name in accepted), where
            assert isinstance(error, FileNotFoundError) == (name in missing), where
            assert "\n" not in str(error), where
            assert len(str(error)) < 400, where
