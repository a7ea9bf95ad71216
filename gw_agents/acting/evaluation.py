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

    Episode i begins with the seed `episode_seed(split, seed, i)`, whatever row it runs in. Rows
    begin together, and only the first episode of each row counts, so that short episodes are not
    overrepresented.

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
    parts = []
    try:
        for start in range(0, episodes, rows):
            numbers = [min(start + row, episodes - 1) for row in range(rows)]
            seeds = [episode_seed(split, seed, number) for number in numbers]
            parts.append(_first_episodes(env, actor, seeds, min(rows, episodes - start)))
    finally:
        env.close()
    successes = [part.success for part in parts if part.success is not None]
    return Scores(
        np.concatenate([part.returns for part in parts]),
        np.concatenate(successes) if successes else None,
        np.concatenate([part.lengths for part in parts]),
    )


def _batch(env_id: str, rows: int, arguments: dict[str, Any]) -> VectorEnv:
    scene = find_scene(env_id)
    if scene is None:
        return gym.make_vec(env_id, rows, vectorization_mode="sync", **arguments)
    arguments = {"modalities": ("attributes",), **arguments}
    return gym.make_vec(scene.env_id, rows, vectorization_mode="vector_entry_point", **arguments)


def _first_episodes(env: VectorEnv, actor: Actor, seeds: list[int], counted: int) -> Scores:
    """Begin an episode in each row, and run the first `counted` of them to their ends."""
    count = len(seeds)
    returns, lengths = np.zeros(count), np.zeros(count, np.int64)
    success, done = np.zeros(count, np.bool_), np.arange(count) >= counted
    observations, _ = env.reset(seed=seeds)  # type: ignore[arg-type]
    begins, reports_success = np.ones(count, np.bool_), False
    while not done.all():
        observations, reward, terminated, truncated, info = env.step(actor(observations, begins))
        begins = np.zeros(count, np.bool_)
        returns += np.where(done, 0.0, reward)
        lengths += ~done
        reports_success |= "is_success" in info
        success |= np.asarray(info.get("is_success", False), np.bool_) & ~done
        done |= terminated | truncated
    known = success[:counted] if reports_success else None
    return Scores(returns[:counted], known, lengths[:counted])
