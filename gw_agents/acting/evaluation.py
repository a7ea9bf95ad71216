"""Score an agent in held-out episodes, also on other modalities than it was trained on."""

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
    """Whether the goal was reached; None if the environment does not say `is_success`."""
    lengths: NDArray[np.int64]
    """Steps."""

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
        episodes: how many, from the first of the split on.
        split: "validation", or "test" for figures that are reported.
        seed: another seed has other episodes.
        modalities: what is observed; what the agent was trained on by default. Others test
            zero-shot transfer.
        representation: what the policy is given, if not `agent.represent(modalities)`.
        n_envs: episodes that run side by side; the scores do not depend on it, except for rounding.
        wrap: puts a wrapper around the environments, for example to corrupt their observations.
        arguments: of the environments, as for `gymnasium.make`.

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
    given = representation or agent.represent(modalities)
    memory = PolicyMemory(agent.model)

    def actor(observations: dict[str, Any], begins: NDArray[np.bool_]) -> NDArray:
        return memory.predict(given(observations), begins)

    arguments = {**environment_arguments(spec, given.modalities), **arguments}
    return run_episodes(spec.env_id, actor, episodes, split, seed, n_envs, wrap, **arguments)


def environment_arguments(spec: AgentSpec, modalities: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of `gymnasium.make` for an agent that observes `modalities`; none for
    others' environments."""
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
    """Score anyone who acts, in exactly `episodes` episodes.

    Episode i begins with the seed `episode_seed(split, seed, i)`, whatever row it runs in. Rows
    begin together, and each is watched until its first episode ends, so that short episodes count
    no more than long ones.

    Args:
        env_id: the environment: a scene of ours, or anybody's registered id.
        actor: chooses the actions.
        episodes: how many.
        split: of the seeds.
        seed: of the seeds.
        n_envs: rows that run side by side.
        wrap: puts a wrapper around the environments.
        arguments: as for `gymnasium.make`; scenes of ours show attributes by default.
    """
    check_whole("episodes", episodes, 1)
    rows = min(check_whole("n_envs", n_envs, 1), episodes)
    episode_seed(split, seed, 0)  # refuse what is no split before environments are made
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


def _first_episodes(env: VectorEnv, actor: Actor, seeds: list[int], watched: int) -> Scores:
    """Begin an episode in each row and run the first `watched` of them to their ends."""
    count = len(seeds)
    returns, lengths = np.zeros(count), np.zeros(count, np.int64)
    success, done = np.zeros(count, np.bool_), np.arange(count) >= watched
    observations, _ = env.reset(seed=seeds)  # type: ignore[arg-type]
    begins, tells_success = np.ones(count, np.bool_), False
    while not done.all():
        observations, reward, terminated, truncated, info = env.step(actor(observations, begins))
        begins = np.zeros(count, np.bool_)
        returns += np.where(done, 0.0, reward)
        lengths += ~done
        tells_success |= "is_success" in info
        success |= np.asarray(info.get("is_success", False), np.bool_) & ~done
        done |= terminated | truncated
    known = success[:watched] if tells_success else None
    return Scores(returns[:watched], known, lengths[:watched])
