"""Play held-out episodes one after another, and yield every moment for drawing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from gw_agents.acting.agent import Agent, PolicyMemory
from gw_agents.acting.faults import Fault, corrupt_env
from gw_agents.acting.panel import Moment
from gw_agents.acting.policy_inputs import Representation
from gw_agents.acting.spec import AgentSpec
from gw_envs.dataset import episode_seed
from gw_envs.errors import InputError, check_whole
from gw_envs.language import VOCABULARY
from gw_envs.observation import MODALITIES


def play(
    agent: Agent,
    episodes: int = 1,
    representation: Representation | None = None,
    *,
    split: str = "validation",
    seed: int = 0,
    size: int = 480,
    faults: Sequence[Fault] = (),
) -> Iterator[Moment]:
    """Yield every moment of held-out episodes, the first and the last of each included.

    Args:
        agent: the agent.
        episodes: number of episodes.
        representation: what feeds its policy; as in training by default.
        split: split that the episodes belong to.
        seed: seed of the episodes.
        size: side of the rendered scene in pixels.
        faults: sensors that fail.
    """
    check_whole("episodes", episodes, 1)
    given = representation or agent.represent()
    env = corrupt_env(_environment(agent.spec, size), faults)
    failing = {fault.modality: fault.kind for fault in faults}
    try:
        for number in range(episodes):
            seed_of_episode = episode_seed(split, seed, number)
            for moment in _episode(agent, given, env, seed_of_episode):
                yield Moment(**moment, size=size, episode=number + 1, failing=failing)
    finally:
        env.close()


def _environment(spec: AgentSpec, size: int) -> gym.Env:
    if spec.known_scene is None:
        try:
            return gym.make(spec.env_id, render_mode="rgb_array")
        except (TypeError, gym.error.Error) as error:
            raise InputError(
                f"{spec.env_id} can't be watched ({error}): it needs render_mode='rgb_array'"
            ) from error
    layout: dict[str, Any] = {} if spec.layout == "fixed" else {"layout": spec.layout}
    return gym.make(
        spec.env_id,
        render_mode="rgb_array",
        render_size=size,
        modalities=MODALITIES,
        actions=spec.actions,
        **layout,
    )


def _episode(
    agent: Agent, given: Representation, env: gym.Env, seed: int
) -> Iterator[dict[str, Any]]:
    """Yield the fields of a `Moment` at every step of one episode."""
    memory = PolicyMemory(agent.model)
    observation, info = env.reset(seed=seed)
    limit = env.spec.max_episode_steps if env.spec else None
    rewards: list[float] = []
    outcome = ""
    while True:
        features, shares = given.with_shares(observation)
        yield {
            "title": f"{agent.spec.env_id}   {agent.spec.policy_input}   {agent.spec.algorithm}",
            "frame": _frame(env),
            "image": _picture(observation, given.modalities),
            "caption": _caption(observation),
            "observed": given.modalities,
            "shares": {name: float(share) for name, share in shares.items()},
            "rewards": tuple(rewards),
            "steps": limit or max(100, len(rewards)),
            "outcome": outcome,
        }
        if outcome:
            return
        action = memory.predict(features)
        observation, reward, terminated, truncated, info = env.step(action)
        rewards.append(float(reward))
        if terminated or truncated:
            outcome = _outcome(info)


def _outcome(info: Mapping[str, Any]) -> str:
    if "is_success" not in info:
        return "end"
    return "success" if info["is_success"] else "not reached"


def _frame(env: gym.Env) -> NDArray[np.uint8]:
    """Render the scene for people, without the caption, which the panel beside it shows."""
    inner: Any = env.unwrapped
    if hasattr(inner, "core"):
        return inner.core.portrait(inner.state, inner.render_size, inner.core.marks(0))
    frame: Any = env.render()
    if not isinstance(frame, np.ndarray) or frame.ndim != 3:
        raise InputError("the environment renders no picture: it needs render_mode='rgb_array'")
    return frame


def _picture(observation: Mapping[str, Any], modalities: Sequence[str]) -> NDArray[np.uint8] | None:
    """Return the picture that the agent sees: `image`, or the first modality that is one."""
    for name in ("image", *modalities):
        value = observation.get(name)
        if isinstance(value, np.ndarray) and value.ndim == 3 and value.dtype == np.uint8:
            return value
    return None


def _caption(observation: Mapping[str, Any]) -> str | None:
    """Return the sentence that the agent reads, as a failing sensor may have changed it."""
    tokens = observation.get("language")
    if tokens is None:
        return None
    if isinstance(tokens, str):
        return tokens
    return VOCABULARY.decode_rows(np.asarray(tokens)[None])[0]
