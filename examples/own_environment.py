"""Train domain modules, a workspace and an agent on an environment that is not ours.

    pip install ".[examples]"
    python examples/own_environment.py

The environment is MiniGrid's empty room, in which the agent must find the green square. A wrapper
turns its observation into a Dict of a picture and a vector. Commands do the same training for any
environment with a Dict observation:

    python -m gw_agents.pretrain domains --env examples.own_environment:PictureGrid-v0
    python -m gw_agents.pretrain workspace --env examples.own_environment:PictureGrid-v0
    python -m gw_agents.pretrain attention --env examples.own_environment:PictureGrid-v0
    python -m gw_agents.train --env examples.own_environment:PictureGrid-v0 --modalities image \\
        --test-modalities pose --weights runs/weights/PictureGrid-v0
"""

from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv

from gw_agents import GlobalWorkspace
from gw_agents.command import parse_arguments, run_command
from gw_agents.learning.domains import make_domain, train_domain
from gw_agents.learning.latents import encode_rows
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.random_observations import find_recipes, random_observations
from gw_agents.learning.workspaces import TrainingPlan, train_workspace
from gw_agents.sb3 import GWVecObservation
from gw_agents.workspace.losses import PRESETS
from gw_agents.workspace.model import GWConfig

ENV_ID = "PictureGrid-v0"


class PictureGrid(gym.ObservationWrapper):
    """Turns the observation of MiniGrid's room into a Dict.

    `image` (48, 48, 3) uint8; `pose` (4,) float32: x and y in cells, cosine and sine of the
    heading.
    """

    def __init__(self, env: gym.Env) -> None:
        """Wrap a room of 6 x 6 cells."""
        super().__init__(env)
        image = gym.spaces.Box(0, 255, (48, 48, 3), np.uint8)
        pose = gym.spaces.Box(-1.0, 6.0, (4,), np.float32)
        self.observation_space = gym.spaces.Dict({"image": image, "pose": pose})

    def observation(self, observation: Any) -> dict[str, NDArray]:
        """Return a picture of the room from above and the agent's pose."""
        room: Any = self.unwrapped
        heading = room.agent_dir * np.pi / 2
        pose = np.array([*room.agent_pos, np.cos(heading), np.sin(heading)], np.float32)
        return {"image": room.grid.render(8, room.agent_pos, room.agent_dir), "pose": pose}


def make_room(**arguments: Any) -> gym.Env:
    """Make a room; raises ImportError without MiniGrid."""
    import minigrid  # noqa: F401 - registers the room

    return PictureGrid(gym.make("MiniGrid-Empty-Random-6x6-v0", **arguments))


gym.register(ENV_ID, entry_point=make_room)


@dataclass(frozen=True)
class Arguments:
    """Train domain modules, a workspace and an agent on MiniGrid's empty room."""

    samples: int = 5_000
    """Observations to gather with random actions."""
    domain_steps: int = 2_000
    """Optimizer steps of each domain module."""
    workspace_steps: int = 2_000
    """Optimizer steps of the workspace."""
    agent_steps: int = 20_000
    """Environment steps of PPO."""
    seed: int = 0
    """Seed of everything."""


class Chance:
    """Acts at random, with the interface that `evaluate_policy` expects of an agent."""

    def __init__(self, seed: int) -> None:
        """Seed the actions."""
        self.rng = np.random.default_rng(seed)

    def predict(self, observation: NDArray, *_: Any, **__: Any) -> tuple[NDArray, None]:
        """Draw (B,) of MiniGrid's seven actions."""
        return self.rng.integers(7, size=len(observation)), None


def train_on_rooms(arguments: Arguments) -> GlobalWorkspace:
    """Train domain modules and a workspace on observations gathered with random actions."""
    seed, steps = arguments.seed, arguments.domain_steps
    recipes, _ = find_recipes(ENV_ID)
    observations = random_observations(ENV_ID, recipes, arguments.samples, seed)
    domains = {}
    for key, recipe in recipes.items():
        fit = replace(recipe.fit, steps=steps, seed=seed)
        domains[key] = train_domain(make_domain(recipe, seed), observations[key], fit, label=key)
    latents = encode_rows(domains, observations)
    config = GWConfig({key: rows.shape[1] for key, rows in latents.items()})
    fit = FitConfig(arguments.workspace_steps, 256, 2e-3, weight_decay=1e-3, seed=seed)
    plan = TrainingPlan(fit, losses=PRESETS["broad+cont"])
    workspace = train_workspace(config, latents, plan, label="workspace")
    return GlobalWorkspace(ENV_ID, domains, workspace)


def run(arguments: Arguments, episodes: int = 200) -> dict[str, float]:
    """Train everything; print and return mean returns over `episodes`, which are below 1."""
    gw = train_on_rooms(arguments)

    def rooms(key: str, seed: int) -> VecEnv:
        return GWVecObservation(make_vec_env(ENV_ID, 8, seed), gw, (key,))

    def score(label: str, agent: Any, key: str) -> float:
        venv = rooms(key, arguments.seed + 1000)
        mean: Any = evaluate_policy(agent, venv, episodes, deterministic=False)[0]
        print(f"{label}: mean return {mean:.3f}")
        return mean

    agent = PPO(
        "MlpPolicy",
        rooms("image", arguments.seed),
        n_steps=128,
        batch_size=256,
        seed=arguments.seed,
    )
    agent.learn(arguments.agent_steps)
    return {
        "random": score("random actions", Chance(arguments.seed), "image"),
        "image": score("PPO on z of the picture", agent, "image"),
        "pose": score("the same agent, given z of the pose instead", agent, "pose"),
    }


def main() -> None:
    """Read the command line; without MiniGrid, say so."""
    arguments = parse_arguments(Arguments, description=__doc__)
    try:
        import minigrid  # noqa: F401
    except ImportError:
        print('skipped, for MiniGrid is not installed: pip install ".[examples]"')
        return
    run(arguments)


if __name__ == "__main__":
    run_command(main)
