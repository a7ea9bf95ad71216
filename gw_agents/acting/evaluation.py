"""Score an agent in held-out episodes, also on modalities that it was not trained on."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from gw_agents.acting.agent import Agent, PolicyMemory
from gw_agents.acting.policy_inputs import Representation
from gw_agents.acting.spec import AgentSpec
from gw_envs.dataset import episode_seed
from gw_envs.errors import InputError, check_whole
from gw_envs.scenes import find_scene

Actor = Callable[[dict[str, Any], NDArray[np.bool_]], NDArray]
"""(observations of N rows, (N,) whether an episode begins in the row) -> N actions."""
Wrap = Callable[[VectorEnv], VectorEnv]
"""Puts a wrapper around a batch of environments, for example to corrupt their observations."""
WAITING = -1
"""Stands for the episode of a row that has none."""
ENOUGH = 0.25
"""Fraction of the rows that must wait before episodes begin in them: beginning some computes the
observations of all rows once more."""


class Scores(NamedTuple):
    """The outcome of E episodes: arrays of shape (E,), episode i being the same one for every
    agent."""

    returns: NDArray[np.float64]
    """Sum of rewards."""
    success: NDArray[np.bool_] | None
    """Whether the goal was reached; None if the environment does not report `is_success`."""
    lengths: NDArray[np.int64]
    """Number of steps."""

    def summary(self) -> dict[str, float]:
        """Return the means over the episodes by name: return, success (if known) and length."""
        means = {"return": float(self.returns.mean())}
        if self.success is not None:
            means["success"] = float(self.success.mean())
        return {**means, "length": float(self.lengths.mean())}

    def __str__(self) -> str:
        mean = self.summary()
        success = f"success {mean['success']:.1%}, " if "success" in mean else ""
        return (
            f"{success}return {mean['return']:.2f}, length {mean['length']:.1f}"
            f" ({len(self.returns)} episodes)"
        )


def evaluate(
    agent: Agent,
    episodes: int = 100,
    split: str = "validation",
    seed: int = 0,
    *,
    modalities: Sequence[str] | None = None,
    representation: Representation | None = None,
    n_envs: int = 50,
    wrap: Wrap | None = None,
    **arguments: Any,
) -> Scores:
    """Score an agent's most likely actions in held-out episodes.

    Args:
        agent: the agent.
        episodes: number of episodes, counted from the first of the split.
        split: "validation", or "test" for figures that are reported.
        seed: seed of the episodes.
        modalities: those to observe; those of training by default. Others test zero-shot transfer.
        representation: what feeds the policy; `agent.represent(modalities)` by default.
        n_envs: episodes that run at the same time; the scores depend on it only by rounding.
        wrap: puts a wrapper around the environments, for example to corrupt their observations.
        arguments: arguments of the environments, as for `gymnasium.make`.

    Raises:
        InputError: the policy can't read `modalities`, or was trained on another layout.
    """
    spec = agent.spec
    layout = arguments.get("layout", spec.layout)
    if layout != spec.layout:
        raise InputError(
            f"the agent was trained on the layout {spec.layout!r}, not on {layout!r}: train one"
            f" with --layout {layout}"
        )
    representation = representation or agent.represent(modalities)
    memory = PolicyMemory(agent.model)

    def actor(observations: dict[str, Any], begins: NDArray[np.bool_]) -> NDArray:
        return memory.predict(representation(observations), begins)

    arguments = {**environment_arguments(spec, representation.modalities), **arguments}
    return run_episodes(spec.env_id, actor, episodes, split, seed, n_envs, wrap, **arguments)


def environment_arguments(spec: AgentSpec, modalities: Sequence[str]) -> dict[str, Any]:
    """Return arguments of `gymnasium.make` for an agent that observes `modalities`; {} if not
    ours."""
    if spec.known_scene is None:
        return {}
    arguments: dict[str, Any] = {"modalities": tuple(modalities), "actions": spec.actions}
    return arguments if spec.layout == "fixed" else {**arguments, "layout": spec.layout}


def run_episodes(
    env_id: str,
    actor: Actor,
    episodes: int,
    split: str = "validation",
    seed: int = 0,
    n_envs: int = 50,
    wrap: Wrap | None = None,
    **arguments: Any,
) -> Scores:
    """Score any function that chooses actions, in exactly `episodes` episodes.

    Episode i begins with the seed `episode_seed(split, seed, i)`, whatever row it runs in and
    whatever runs beside it. Every episode counts, however long it takes, so that short episodes are
    not overrepresented.

    Args:
        env_id: a built-in scene, or the id of any registered environment.
        actor: chooses the actions.
        episodes: number of episodes.
        split: split that the episodes belong to.
        seed: seed of the episodes.
        n_envs: number of rows.
        wrap: puts a wrapper around the environments.
        arguments: as for `gymnasium.make`; built-in scenes show attributes by default.
    """
    check_whole("episodes", episodes, 1)
    rows = min(check_whole("n_envs", n_envs, 1), episodes)
    episode_seed(split, seed, 0)  # refuse an unknown split before making environments
    env = _batch(env_id, rows, arguments)
    env = wrap(env) if wrap else env
    seeds = [episode_seed(split, seed, number) for number in range(episodes)]
    try:
        return _play(env, actor, seeds)
    finally:
        env.close()


def _batch(env_id: str, rows: int, arguments: dict[str, Any]) -> VectorEnv:
    scene = find_scene(env_id)
    if scene is None:
        return gym.make_vec(env_id, rows, vectorization_mode="sync", **arguments)
    arguments = {"modalities": ("attributes",), **arguments}
    return gym.make_vec(scene.env_id, rows, vectorization_mode="vector_entry_point", **arguments)


def _play(env: VectorEnv, actor: Actor, seeds: list[int]) -> Scores:
    """Run one episode for each seed, as many at a time as there are rows.

    A row whose episode has ended waits until enough others do, and then begins the next one.
    """
    rows, total = env.num_envs, len(seeds)
    returns, lengths = np.zeros(total), np.zeros(total, np.int64)
    success, reports_success = np.zeros(total, np.bool_), False
    episodes = np.full(rows, WAITING)
    begun, observations = 0, {}
    while begun < total or (episodes != WAITING).any():
        begins = _rows_to_begin(episodes, total - begun)
        if begins.any():
            numbers = np.arange(begun, begun + begins.sum())
            episodes[begins] = numbers
            begun += len(numbers)
            observations = _begin(env, begins, [seeds[number] for number in numbers])
        observations, reward, terminated, truncated, info = env.step(actor(observations, begins))
        active = np.flatnonzero(episodes != WAITING)
        running = episodes[active]
        returns[running] += np.asarray(reward)[active]
        lengths[running] += 1
        reports_success |= "is_success" in info
        succeeded = np.broadcast_to(np.asarray(info.get("is_success", False), np.bool_), rows)
        success[running] |= succeeded[active]
        episodes[terminated | truncated] = WAITING
    return Scores(returns, success if reports_success else None, lengths)


def _rows_to_begin(episodes: NDArray[np.int64], left: int) -> NDArray[np.bool_]:
    """Choose the (N,) rows in which new episodes begin, if `left` are left: all that wait, once
    they are enough or nothing else is running."""
    waits = episodes == WAITING
    if waits.all() or waits.sum() >= min(left, ENOUGH * len(waits)):
        return waits & (np.cumsum(waits) <= left)
    return np.zeros_like(waits)


def _begin(env: VectorEnv, begins: NDArray[np.bool_], seeds: Sequence[int]) -> dict[str, Any]:
    """Begin episodes in the rows of a mask; return the observations of all rows."""
    if begins.all():
        return env.reset(seed=list(seeds))[0]  # type: ignore[arg-type]
    of_rows: list[int | None] = [None] * len(begins)
    for row, seed in zip(np.flatnonzero(begins), seeds, strict=True):
        of_rows[row] = seed
    return env.reset(seed=of_rows, options={"reset_mask": begins.copy()})[0]  # type: ignore[arg-type]
