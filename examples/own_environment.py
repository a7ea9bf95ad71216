"""A workspace on somebody else's environment, domain modules and all, and an agent on its vectors.

    pip install ".[examples]"
    python examples/own_environment.py

The environment is MiniGrid's empty room: find the green square from anywhere. What it shows is wrapped into a Dict of
a picture and a vector. The two training steps are commands too, for any environment with a Dict observation:

    python -m gw_agents.pretrain domains --env examples.own_environment:PictureGrid-v0
    python -m gw_agents.pretrain workspace --env examples.own_environment:PictureGrid-v0
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv

from gw_agents import GlobalWorkspace
from gw_agents.command import run_command
from gw_agents.pretrain import Domains, Folders, WorkspaceTraining
from gw_agents.sb3 import GWVecObservation

ENV_ID = "PictureGrid-v0"


class PictureGrid(gym.ObservationWrapper):
    """MiniGrid's room as a Dict: `image` (48, 48, 3) uint8, `pose` (4,) float32: x and y in cells, cosine and sine."""

    def __init__(self, env: gym.Env) -> None:
        """Wrap a room of 6 x 6 cells."""
        super().__init__(env)
        image, pose = (
            gym.spaces.Box(0, 255, (48, 48, 3), np.uint8),
            gym.spaces.Box(-1.0, 6.0, (4,), np.float32),
        )
        self.observation_space = gym.spaces.Dict({"image": image, "pose": pose})

    def observation(self, observation: Any) -> dict[str, NDArray]:
        """One observation, from above; what MiniGrid itself shows, symbols and a sentence, is left aside."""
        room: Any = self.unwrapped
        turn = room.agent_dir * np.pi / 2
        pose = np.array([*room.agent_pos, np.cos(turn), np.sin(turn)], np.float32)
        return {"image": room.grid.render(8, room.agent_pos, room.agent_dir), "pose": pose}


def make_room(**arguments: Any) -> gym.Env:
    """A room; raises ImportError without MiniGrid."""
    import minigrid  # noqa: F401 - registers the room

    return PictureGrid(gym.make("MiniGrid-Empty-Random-6x6-v0", **arguments))


gym.register(ENV_ID, entry_point=make_room)


@dataclass(frozen=True)
class Arguments:
    """Train domain modules, a workspace and an agent on MiniGrid's empty room."""

    samples: int = 5_000
    """Observations to gather by random actions."""
    domain_steps: int = 2_000
    """Optimiser steps of each domain module."""
    workspace_steps: int = 2_000
    """Optimiser steps of the workspace."""
    agent_steps: int = 20_000
    """Environment steps of PPO."""
    seed: int = 0
    """Seed of everything."""
    folders: tyro.conf.OmitArgPrefixes[Folders] = field(
        default_factory=lambda: Folders(Path("runs/examples"), Path("runs/examples"))
    )
    """Where things are read and written."""


class Chance:
    """Acts at random, where a trained agent would be asked."""

    def __init__(self, seed: int) -> None:
        """Seeded."""
        self.rng = np.random.default_rng(seed)

    def predict(self, observation: NDArray, *_: Any, **__: Any) -> tuple[NDArray, None]:
        """(B,) actions, any of MiniGrid's seven."""
        return self.rng.integers(7, size=len(observation)), None


def run(arguments: Arguments, episodes: int = 200) -> dict[str, float]:
    """Train all, print and return mean returns over `episodes`; the best possible is a little below 1."""
    common: dict[str, Any] = {"env": ENV_ID, "samples": arguments.samples, "seed": arguments.seed}
    Domains(**common, steps=arguments.domain_steps, folders=arguments.folders)()
    WorkspaceTraining(**common, steps=arguments.workspace_steps, folders=arguments.folders)()
    gw = GlobalWorkspace.from_pretrained(arguments.folders.weights / ENV_ID)

    def rooms(key: str, seed: int) -> VecEnv:
        return GWVecObservation(make_vec_env(ENV_ID, 8, seed), gw, (key,))

    def score(what: str, agent: Any, key: str) -> float:
        mean: Any = evaluate_policy(
            agent, rooms(key, arguments.seed + 1000), episodes, deterministic=False
        )[0]
        print(f"{what}: mean return {mean:.3f}")
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
    arguments = tyro.cli(Arguments, description=__doc__)
    try:
        import minigrid  # noqa: F401
    except ImportError:
        print('skipped, for MiniGrid is not installed: pip install ".[examples]"')
        return
    run(arguments)


if __name__ == "__main__":
    run_command(main)
