"""Seeded samples of a scene as arrays, in splits that share no seed.

`Sampler` draws independent scenes for training. `collect` and `collect_unpaired` bring what is seen in episodes, as
`env.reset(seed=episode_seed(...))` begins them. `save_shards` and `load_shards` keep samples on disk; `load_published`
and `export_published` read and write the published dataset's layout.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from gw_envs import MAX_EPISODE_STEPS
from gw_envs.core import Core, core_type, make_core
from gw_envs.errors import check_choice
from gw_envs.expert import expert_actions
from gw_envs.observation import MODALITIES, check_modalities
from gw_envs.progress import progress
from gw_envs.published_dataset import export_published, load_published
from gw_envs.shards import load_shards, save_shards

__all__ = [
    "SPLITS",
    "Sampler",
    "collect",
    "collect_unpaired",
    "core_type",
    "episode_seed",
    "export_published",
    "generator",
    "load_published",
    "load_shards",
    "make_core",
    "save_shards",
]

SPLITS = {"train": 0, "validation": 1, "test": 2}
"""Every split by name; its number is part of every seed drawn from in it."""

POLICIES = ("reset", "random", "expert")
"""Who acts in `collect`: nobody, chance, or the expert of `gw_envs.expert`."""

EPISODE_BATCH, VIEW_BATCH = 64, 1024
"""How many episodes run side by side, and how many states are observed at a time."""


def split_number(split: str) -> int:
    """The number of a split; raises ValueError if there is no such split."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: the splits are {', '.join(SPLITS)}")
    return SPLITS[split]


def generator(split: str, *seeds: int) -> np.random.Generator:
    """A random generator that no other split can repeat; raises ValueError on an unknown split."""
    return np.random.default_rng((split_number(split), *seeds))


def episode_seed(split: str, seed: int, episode: int) -> int:
    """The seed with which an environment begins an episode of a split.

    Split k owns the seeds from (k + 1) 2**60 up to (k + 2) 2**60, so that no two splits share an episode; `seed` is
    below 2**28 and `episode` below 2**32.
    """
    if not (0 <= seed < 2**28 and 0 <= episode < 2**32):
        raise ValueError(
            f"seed {seed}, episode {episode}: they must lie in [0, 2**28) and [0, 2**32)"
        )
    return (split_number(split) + 1) * 2**60 + seed * 2**32 + episode


class Sampler:
    """Batches of independent scenes, each a pure function of (split, seed, index)."""

    def __init__(
        self,
        scene: str,
        split: str,
        seed: int = 0,
        modalities: Iterable[str] = MODALITIES,
        jitter: bool = False,
        **core: Any,
    ) -> None:
        """Open the scene.

        Args:
            scene: a name in `gw_envs.scenes.SCENES`.
            split: "train", "validation" or "test".
            seed: draws of different seeds share nothing.
            modalities: what is observed.
            jitter: move half of the scenes off the whole pixels on which episodes begin, as continuous actions do.
            core: further arguments of `Core` (image_size, layout).
        """
        self.split, self.seed, self.modalities = split, seed, check_modalities(modalities)
        self.jitter = jitter
        self.core = make_core(scene, modalities=self.modalities, **core)
        generator(split)

    def states(self, index: int, count: int) -> Any:
        """`count` states of batch `index`."""
        rng = generator(self.split, self.seed, index)
        states = self.core.sample(rng, count)
        return self.core.jitter(states, rng) if self.jitter else states

    def batch(self, index: int, count: int) -> dict[str, Any]:
        """`count` observations of batch `index`: a dict with an array (count, ...) for each modality."""
        return self.core.observe(self.states(index, count))


def collect(
    scene: str,
    split: str,
    episodes: int,
    seed: int = 0,
    policy: str = "reset",
    modalities: Iterable[str] = MODALITIES,
    steps_per_episode: int = MAX_EPISODE_STEPS,
    first_episode: int = 0,
    **core: Any,
) -> dict[str, Any]:
    """What is seen in seeded episodes: paired samples, a row for the reset and for each step, in order.

    Args:
        scene: a name in `gw_envs.scenes.SCENES`.
        split: "train", "validation" or "test"; splits share no episode, see `episode_seed`.
        episodes: how many.
        seed: other seeds bring other episodes.
        policy: "reset" for the beginnings alone, or who acts: "random" or "expert".
        modalities: what is observed.
        steps_per_episode: actions after which an episode is left, if it has not ended before.
        first_episode: the number of the first episode.
        core: further arguments of `Core` (actions, image_size, layout).

    Returns:
        A dict with an array (M, ...) for each modality (`language` as token ids), `episode` and `step` (M,) int64,
        and `state`, the M scenes. Every row is a function of its seeds alone.
    """
    check_choice("policy", policy, POLICIES)
    if episodes < 1 or steps_per_episode < 0:
        raise ValueError(
            f"{episodes} episodes of {steps_per_episode} steps: ask for at least 1 of at least 0"
        )
    viewer = make_core(scene, modalities=modalities, **core)
    numbers = range(first_episode, first_episode + episodes)
    seeds = [episode_seed(split, seed, number) for number in numbers]
    steps = 0 if policy == "reset" else steps_per_episode
    states, rows, times = [], [], []
    with progress(None, f"{scene} {split}, {policy}", episodes, "episode") as bar:
        for start in range(0, episodes, EPISODE_BATCH):
            batch = seeds[start : start + EPISODE_BATCH]
            state, row, time = _run(viewer, batch, policy, steps, core)
            states.append(state)
            rows.append(numbers[start] + row)
            times.append(time)
            bar.update(len(batch))
    whole = type(states[0]).concatenate(states)
    views = _observe(viewer, whole)
    viewer.close()
    return {**views, "episode": np.concatenate(rows), "step": np.concatenate(times), "state": whole}


def collect_unpaired(
    scene: str,
    split: str,
    episodes: int,
    modalities: Iterable[str] = MODALITIES,
    first_episode: int = 0,
    **arguments: Any,
) -> dict[str, dict[str, Any]]:
    """Unpaired samples: for each modality what `collect` brings of that modality alone, from episodes of its own.

    The n-th modality has the n-th run of `episodes` episodes from `first_episode` on; all else as in `collect`.
    """
    return {
        name: collect(
            scene,
            split,
            episodes,
            modalities=name,
            first_episode=first_episode + n * episodes,
            **arguments,
        )
        for n, name in enumerate(check_modalities(modalities))
    }


def _run(
    viewer: Core, seeds: Sequence[int], policy: str, steps: int, arguments: dict[str, Any]
) -> tuple[Any, NDArray[np.int64], NDArray[np.int64]]:
    """The states of episodes with these seeds, episode after episode, with each one's row and step."""
    generators = [seeding.np_random(seed)[0] for seed in seeds]
    if not steps:
        return viewer.sample_each(generators), np.arange(len(seeds)), np.zeros(len(seeds), np.int64)
    core = type(viewer)(**{**arguments, "num_envs": len(seeds), "modalities": "attributes"})
    running = np.arange(len(seeds))
    core.place(running, generators)
    act = _policy(core, policy, seeds, steps)
    states, rows, times = [core.state], [running], [np.zeros(len(seeds), np.int64)]
    for step in range(1, steps + 1):
        over = core.step(act(step - 1), running).terminated
        states.append(core.state[running])
        rows.append(running)
        times.append(np.full(len(running), step))
        running = running[~over[running]]
        if not len(running):
            break
    core.close()
    order = np.argsort(np.concatenate(rows), kind="stable")
    return (
        type(states[0]).concatenate(states)[order],
        np.concatenate(rows)[order],
        np.concatenate(times)[order],
    )


def _policy(core: Core, policy: str, seeds: Sequence[int], steps: int) -> Any:
    """A function from the step's number to the actions of all rows."""
    if policy == "expert":
        return lambda _: expert_actions(core.scene.name, core.observe()["attributes"], core.actions)
    rngs = [
        np.random.default_rng((seed, 1)) for seed in seeds
    ]  # not the scenes' own: the beginnings stay
    if core.actions == "discrete":
        drawn = np.stack([rng.integers(6, size=steps) for rng in rngs])
    else:
        drawn = np.stack([rng.uniform(-1, 1, (steps, 3)) for rng in rngs])
    return lambda step: drawn[:, step]


def _observe(viewer: Core, state: Any) -> dict[str, Any]:
    """All views of many states."""
    views: dict[str, Any] = {}
    with progress(
        None, f"{viewer.scene.name} {', '.join(viewer.modalities)}", len(state), "view"
    ) as bar:
        for start in range(0, len(state), VIEW_BATCH):
            part = viewer.observe(state[start : start + VIEW_BATCH])
            for name, rows in part.items():
                if name not in views:
                    views[name] = np.empty((len(state), *rows.shape[1:]), rows.dtype)
                views[name][start : start + len(rows)] = rows
            bar.update(min(VIEW_BATCH, len(state) - start))
    return views
