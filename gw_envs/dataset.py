"""Draw seeded samples of a scene as arrays, in splits that share no seed.

`Sampler` draws independent scenes for training. `collect` and `collect_unpaired` record episodes
that begin as `env.reset(seed=episode_seed(...))` does. `save_shards` and `load_shards` write and
read samples; `load_published` and `export_published` read and write the published dataset.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from gw_envs import MAX_EPISODE_STEPS
from gw_envs.core import Core, core_type, make_core
from gw_envs.errors import (
    InputError,
    check_choice,
    check_flag,
    check_keys,
    check_number,
    check_whole,
    describe,
    is_whole,
)
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
"""The number of each split, which is a part of all its seeds."""

POLICIES = ("reset", "random", "expert")
"""The policies of `collect`: no action, random actions, or the expert of `gw_envs.expert`."""

MAX_ROWS = 2**24
"""Largest number of scenes in a batch, and of episodes in a sample."""

MAX_STEPS = 10**6
"""Largest number of steps of an episode."""

EPISODE_BATCH, VIEW_BATCH = 64, 1024
"""Number of episodes that run side by side, and of states observed at a time."""

_ACTING, _MISSING = 1, 2
"""Parts of the seeds with which `collect` draws actions and missing modalities."""


def split_number(split: str) -> int:
    """Return the number of a split; InputError if there is no such split."""
    if not isinstance(split, str) or split not in SPLITS:
        raise InputError(f"unknown split {describe(split)}: the splits are {', '.join(SPLITS)}")
    return SPLITS[split]


def generator(split: str, *seeds: int) -> np.random.Generator:
    """Return a random generator whose numbers depend on the split and all seeds."""
    checked = [check_whole("seed", seed) for seed in seeds]
    return np.random.default_rng((split_number(split), *checked))


def episode_seed(split: str, seed: int, episode: int) -> int:
    """Return the seed that resets an environment to an episode of a split.

    Split k owns the seeds from (k + 1) 2**60 up to (k + 2) 2**60, so that no two splits share an
    episode; `seed` is below 2**28 and `episode` below 2**32.
    """
    number = split_number(split)
    whole = is_whole(seed) and is_whole(episode)
    if not whole or not 0 <= seed < 2**28 or not 0 <= episode < 2**32:
        raise InputError(
            f"seed {describe(seed)}, episode {describe(episode)}: they must lie in [0, 2**28) and "
            "[0, 2**32), as whole numbers"
        )
    return (number + 1) * 2**60 + int(seed) * 2**32 + int(episode)


class Sampler:
    """Draws batches of independent scenes, each a pure function of (split, seed, index)."""

    def __init__(
        self,
        scene: str,
        split: str,
        seed: int = 0,
        modalities: Iterable[str] = MODALITIES,
        jitter: bool = False,
        image_size: int | None = None,
        layout: str = "fixed",
    ) -> None:
        """Open the scene.

        Args:
            scene: a name in `gw_envs.scenes.SCENES`.
            split: "train", "validation" or "test".
            seed: different seeds draw independent scenes.
            modalities: the modalities to observe.
            jitter: move half of the scenes off the whole pixels on which episodes begin, as
                continuous actions do.
            image_size: side of the images in pixels; the scene's own by default.
            layout: where the Factory's landmarks stand, "fixed" or "random".
        """
        split_number(split)
        self.split, self.seed = split, check_whole("seed", seed)
        self.modalities = check_modalities(modalities)
        self.jitter = check_flag("jitter", jitter)
        self.core = make_core(
            scene, modalities=self.modalities, image_size=image_size, layout=layout
        )

    def states(self, index: int, count: int) -> Any:
        """Draw the `count` states of batch `index`."""
        count = check_whole("count", count, 1, MAX_ROWS)
        rng = generator(self.split, self.seed, check_whole("index", index))
        states = self.core.sample(rng, count)
        return self.core.jitter(states, rng) if self.jitter else states

    def batch(self, index: int, count: int) -> dict[str, Any]:
        """Draw the `count` observations of batch `index`: {modality: (count, ...)}."""
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
    actions: str = "discrete",
    image_size: int | None = None,
    layout: str = "fixed",
    missing: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Record seeded episodes as paired samples: a row for the reset and for each step, in order.

    Args:
        scene: a name in `gw_envs.scenes.SCENES`.
        split: "train", "validation" or "test"; splits share no episode, see `episode_seed`.
        episodes: number of episodes.
        seed: different seeds give different episodes.
        policy: "random" or "expert" to act, "reset" to record first observations only.
        modalities: the modalities to observe.
        steps_per_episode: actions after which an episode is truncated.
        first_episode: the number of the first episode.
        actions: "discrete" or "continuous".
        image_size: side of the images in pixels; the scene's own by default.
        layout: where the Factory's landmarks stand, "fixed" or "random".
        missing: {modality: share of the rows that lack it}. Each row keeps at least one modality.

    Returns:
        A dict with an array (M, ...) for each modality (`language` as token ids), `episode` and
        `step` (M,) int64, and `state`, the M scenes. Four more describe the step from a row to the
        next: `action`, chosen from the row's observation, (M,) int64 or (M, 3) float64;
        `reward` (M,) float64, `terminated` and `truncated` (M,) bool, as `env.step` returns them
        for that action. They are 0 and False in the last row of an episode, which no step follows.
        With `missing`, `present` is {modality: (M,) bool}, and missing observations are 0. Every
        row is a function of its seeds alone.
    """
    policy = check_choice("policy", policy, POLICIES)
    seeds = _episode_seeds(split, seed, first_episode, episodes, steps_per_episode)
    core_arguments = {"actions": actions, "image_size": image_size, "layout": layout}
    viewer = make_core(scene, modalities=modalities, **core_arguments)
    shares = _checked_shares(missing, viewer.modalities)
    steps = 0 if policy == "reset" else int(steps_per_episode)
    states, parts = [], []
    with progress(None, f"{scene} {split}, {policy}", len(seeds), "episode") as bar:
        for start in range(0, len(seeds), EPISODE_BATCH):
            batch = seeds[start : start + EPISODE_BATCH]
            state, part = _run(viewer, batch, policy, steps, core_arguments)
            part["episode"] += first_episode + start
            states.append(state)
            parts.append(part)
            bar.update(len(batch))
    columns, state = _concatenated(parts), type(states[0]).concatenate(states)
    views = _observe(viewer, state)
    viewer.close()
    sample = {**views, **columns, "state": state}
    if missing is not None:
        sample["present"] = _hide(views, shares, seeds, columns["episode"])
    return sample


def collect_unpaired(
    scene: str,
    split: str,
    episodes: int,
    modalities: Iterable[str] = MODALITIES,
    first_episode: int = 0,
    **arguments: Any,
) -> dict[str, dict[str, Any]]:
    """Record each modality in episodes of its own. Returns {modality: a sample as of `collect`}.

    The first modality has `episodes` episodes from `first_episode` on, the second one the next
    `episodes`, and so on; `arguments` are as for `collect`.
    """
    check_keys("the arguments of collect_unpaired", arguments, _UNPAIRED_ARGUMENTS)
    names = check_modalities(modalities)
    episodes = check_whole("episodes", episodes, 1, MAX_ROWS)
    first_episode = check_whole("first_episode", first_episode)
    return {
        name: collect(
            scene,
            split,
            episodes,
            modalities=name,
            first_episode=first_episode + n * episodes,
            **arguments,
        )
        for n, name in enumerate(names)
    }


_UNPAIRED_ARGUMENTS = ("seed", "policy", "steps_per_episode", "actions", "image_size", "layout")


def _episode_seeds(split: str, seed: int, first: int, episodes: int, steps: int) -> list[int]:
    """Check the numbers of episodes and steps. Returns the seed of each episode."""
    if not is_whole(episodes) or not is_whole(steps) or episodes < 1 or steps < 0:
        raise InputError(
            f"{describe(episodes)} episodes of {describe(steps)} steps: give whole numbers, at "
            "least 1 episode of at least 0 steps"
        )
    check_whole("episodes", episodes, 1, MAX_ROWS)
    check_whole("steps_per_episode", steps, 0, MAX_STEPS)
    check_whole("first_episode", first)
    episode_seed(split, seed, first + episodes - 1)
    return [episode_seed(split, seed, number) for number in range(first, first + episodes)]


def _checked_shares(missing: Any, modalities: Sequence[str]) -> dict[str, float]:
    """Check `missing`. Returns {modality: share of the rows that lack it}."""
    if missing is None:
        return {}
    check_keys("missing", missing, modalities)
    if len(modalities) < 2:
        raise InputError(f"missing is {describe(missing)}: a row has {modalities[0]} alone")
    return {name: check_number(f"missing[{name!r}]", missing[name], 0, 1) for name in missing}


def _run(
    viewer: Core, seeds: Sequence[int], policy: str, steps: int, arguments: dict[str, Any]
) -> tuple[Any, dict[str, NDArray]]:
    """Run an episode for each seed. Returns the states and columns of all, episode by episode."""
    generators = [seeding.np_random(seed)[0] for seed in seeds]
    running, done = np.arange(len(seeds)), np.zeros(len(seeds), np.bool_)
    if not steps:
        return viewer.sample_each(generators), _columns(viewer, running, 0)
    core = type(viewer)(num_envs=len(seeds), modalities="attributes", **arguments)
    core.start_episodes(running, generators)
    act = _policy(core, policy, seeds, steps)
    states, parts = [], []
    for step in range(steps + 1):
        states.append(core.current()[running])
        parts.append(_columns(core, running, step))
        acting = ~done[running]
        running = running[acting]
        if step == steps or not len(running):
            break
        action = act(step)
        outcome = core.step(action, running)
        parts[-1]["action"][acting] = action[running]
        parts[-1]["reward"][acting] = outcome.reward[running]
        parts[-1]["terminated"][acting] = outcome.terminated[running]
        parts[-1]["truncated"][acting] = step + 1 == steps
        done = outcome.terminated
    core.close()
    columns = _concatenated(parts)
    order = np.argsort(columns["episode"], kind="stable")
    state = type(states[0]).concatenate(states)[order]
    return state, {name: column[order] for name, column in columns.items()}


def _concatenated(parts: Sequence[Mapping[str, NDArray]]) -> dict[str, NDArray]:
    """Return the columns of all parts, in order."""
    columns = {}
    for name in parts[0]:
        columns[name] = np.concatenate([part[name] for part in parts])
    return columns


def _columns(core: Core, episodes: NDArray[np.int64], step: int) -> dict[str, NDArray]:
    """Return the columns of one row for each episode, in which no action is recorded yet."""
    count = len(episodes)
    continuous = core.actions == "continuous"
    return {
        "episode": episodes.copy(),
        "step": np.full(count, step),
        "action": np.zeros((count, 3)) if continuous else np.zeros(count, np.int64),
        "reward": np.zeros(count),
        "terminated": np.zeros(count, np.bool_),
        "truncated": np.zeros(count, np.bool_),
    }


def _policy(
    core: Core, policy: str, seeds: Sequence[int], steps: int
) -> Callable[[int], NDArray[Any]]:
    """Return the policy as a function from a step's number to the actions of all rows."""
    if policy == "expert":
        return lambda _: expert_actions(core.scene.name, core.observe()["attributes"], core.actions)
    # generators of their own, so that episodes begin alike under every policy
    rngs = [np.random.default_rng((seed, _ACTING)) for seed in seeds]
    if core.actions == "discrete":
        drawn = np.stack([rng.integers(6, size=steps) for rng in rngs])
    else:
        drawn = np.stack([rng.uniform(-1, 1, (steps, 3)) for rng in rngs])
    return lambda step: drawn[:, step]


def _observe(viewer: Core, state: Any) -> dict[str, Any]:
    """Observe M states, batch by batch. Returns {modality: (M, ...)}."""
    views: dict[str, Any] = {}
    text = f"{viewer.scene.name} {', '.join(viewer.modalities)}"
    with progress(None, text, len(state), "view") as bar:
        for start in range(0, len(state), VIEW_BATCH):
            part = viewer.observe(state[start : start + VIEW_BATCH])
            for name, rows in part.items():
                if name not in views:
                    views[name] = np.empty((len(state), *rows.shape[1:]), rows.dtype)
                views[name][start : start + len(rows)] = rows
            bar.update(min(VIEW_BATCH, len(state) - start))
    return views


def _hide(
    views: dict[str, NDArray],
    shares: Mapping[str, float],
    seeds: Sequence[int],
    episodes: NDArray[np.int64],
) -> dict[str, NDArray[np.bool_]]:
    """Set the modalities that rows lack to 0. Returns {modality: (M,) bool, present or not}."""
    counts = np.unique(episodes, return_counts=True)[1].tolist()
    draws = np.concatenate(
        [
            np.random.default_rng((seed, _MISSING)).random((count, len(MODALITIES)))
            for seed, count in zip(seeds, counts, strict=True)
        ]
    )[:, [MODALITIES.index(name) for name in views]]
    limits = np.array([shares.get(name, 0.0) for name in views])
    present = draws >= limits
    empty = ~present.any(1)
    # one stays in each of these rows, all equally likely
    present[empty, (draws[empty] / limits).argmax(1)] = True
    for column, name in enumerate(views):
        views[name][~present[:, column]] = 0
    return {name: present[:, column].copy() for column, name in enumerate(views)}
