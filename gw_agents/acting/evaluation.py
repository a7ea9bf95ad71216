"""Score an agent in held-out episodes, also on other modalities than it was trained on."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from gw_agents.acting.agent import Agent
from gw_agents.acting.policy_inputs import Representation
from gw_agents.acting.spec import scene_of
from gw_envs.dataset import episode_seed

Actor = Callable[[dict[str, Any], NDArray[np.bool_]], NDArray]
"""(observations of N rows, (N,) whether an episode begins in the row) -> N actions."""


class Scores(NamedTuple):
    """The outcome of E episodes: arrays of shape (E,), episode i being the same one for every agent."""

    returns: NDArray[np.float64]
    """Sum of rewards."""
    success: NDArray[np.bool_]
    """Whether the goal was reached."""
    lengths: NDArray[np.int64]
    """Steps."""

    def summary(self) -> dict[str, float]:
        """Means over the episodes."""
        means = self.returns.mean(), self.success.mean(), self.lengths.mean()
        return dict(zip(("return", "success", "length"), map(float, means), strict=True))

    def __str__(self) -> str:
        mean = self.summary()
        return (
            f"success {mean['success']:.1%}, return {mean['return']:.2f}, length {mean['length']:.1f}"
            f" ({len(self.returns)} episodes)"
        )


def evaluate(
    agent: Agent,
    env_id: str | None = None,
    episodes: int = 100,
    split: str = "validation",
    seed: int = 0,
    modalities: Sequence[str] | None = None,
    representation: Representation | None = None,
    deterministic: bool = True,
    n_envs: int = 50,
    wrap: Callable[[VectorEnv], VectorEnv] | None = None,
    **arguments: Any,
) -> Scores:
    """The agent's scores in held-out episodes.

    Args:
        agent: who acts.
        env_id: where; the environment it was trained in by default. Another scene is refused.
        episodes: how many, from the first of the split on.
        split: "validation", or "test" for figures that are reported.
        seed: another seed has other episodes.
        modalities: what is observed; what the agent was trained on by default. Others test zero-shot transfer.
        representation: what the policy is given, if not `agent.represent(modalities)`.
        deterministic: take the most likely action, or the policy's own chance.
        n_envs: episodes that run side by side; the scores do not depend on it, but for rounding.
        wrap: put around the environments, for example to corrupt their observations.
        arguments: as for `run_episodes`.
    """
    where = agent.spec.env_id if env_id is None else env_id
    if scene_of(where) != agent.spec.scene:
        raise ValueError(
            f"the agent was trained for the scene {agent.spec.scene!r}, and {where} shows another"
        )
    given = representation or agent.represent(modalities)
    memory: Any = None

    def actor(observation: dict[str, Any], begins: NDArray[np.bool_]) -> NDArray:
        nonlocal memory
        if begins.all():
            memory = None
        actions, memory = agent.model.predict(given(observation), memory, begins, deterministic)
        return actions

    arguments = (
        {"layout": agent.spec.layout, **arguments} if agent.spec.layout != "fixed" else arguments
    )
    return run_episodes(
        where,
        actor,
        episodes,
        split,
        seed,
        given.modalities,
        str(agent.spec.actions),
        n_envs,
        wrap,
        **arguments,
    )


def run_episodes(
    env_id: str,
    actor: Actor,
    episodes: int,
    split: str = "validation",
    seed: int = 0,
    modalities: Sequence[str] = ("attributes",),
    actions: str = "discrete",
    n_envs: int = 50,
    wrap: Callable[[VectorEnv], VectorEnv] | None = None,
    **arguments: Any,
) -> Scores:
    """The scores of anyone who acts, in exactly `episodes` episodes.

    Episode i begins with the seed `episode_seed(split, seed, i)` in whatever row it runs. Rows are begun together and
    each is watched until its first episode ends, so that short episodes count no more than long ones.

    Args:
        env_id: an id in `gw_envs.ENV_IDS`.
        actor: who acts; `actions` and `modalities` are what it gives and gets.
        episodes: how many.
        split: of the seeds.
        seed: of the seeds.
        modalities: what is observed.
        actions: "discrete" or "continuous".
        n_envs: rows that run side by side.
        wrap: put around the environments.
        arguments: as for `gymnasium.make`.
    """
    if episodes < 1 or n_envs < 1:
        raise ValueError(
            f"{episodes} episodes in {n_envs} rows: an evaluation needs at least 1 of each"
        )
    rows = min(n_envs, episodes)
    env: VectorEnv = gym.make_vec(
        env_id,
        rows,
        vectorization_mode="vector_entry_point",
        modalities=modalities,
        actions=actions,
        **arguments,
    )
    env = wrap(env) if wrap else env
    try:
        parts = []
        for start in range(0, episodes, rows):
            numbers = [min(start + row, episodes - 1) for row in range(rows)]
            first = [episode_seed(split, seed, number) for number in numbers]
            parts.append(_first_episodes(env, actor, first, min(rows, episodes - start)))
    finally:
        env.close()
    return Scores(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _first_episodes(env: VectorEnv, actor: Actor, seeds: list[int], watched: int) -> Scores:
    """Begin an episode in each row and see the first `watched` of them to their end."""
    count = len(seeds)
    returns, lengths = np.zeros(count), np.zeros(count, np.int64)
    success, over = np.zeros(count, np.bool_), np.arange(count) >= watched
    shown, _ = env.reset(seed=seeds)  # type: ignore[arg-type]
    begins = np.ones(count, np.bool_)
    while not over.all():
        shown, reward, terminated, truncated, info = env.step(actor(shown, begins))
        begins = np.zeros(count, np.bool_)
        returns += np.where(over, 0.0, reward)
        lengths += ~over
        success |= info["is_success"] & ~over
        over |= terminated | truncated
    return Scores(returns[:watched], success[:watched], lengths[:watched])
