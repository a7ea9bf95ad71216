"""Watch an agent.

Examples:
    python -m gw_agents.enjoy runs/agents/mine/agent                 # in a window; q ends it
    python -m gw_agents.enjoy runs/agents/mine/agent --out play.gif  # or .mp4
    python -m gw_agents.enjoy factory_fused --corrupt image=blackout --out play.gif
    python -m gw_agents.enjoy agent.zip --trust --env GWFactory-v0 --modalities image --out play.mp4
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from gw_agents.acting.agent import Agent
from gw_agents.acting.arguments import AgentSource, Senses
from gw_agents.acting.panel import Moment, draw
from gw_agents.acting.playing import play
from gw_agents.acting.video import check_output, show, write_video
from gw_agents.command import parse_arguments, run_command
from gw_envs.errors import check_whole


@dataclass(frozen=True)
class EnjoyConfig:
    """Watch an agent in a window or in a file."""

    source: tyro.conf.OmitArgPrefixes[AgentSource]
    """The agent to watch."""
    out: Path | None = None
    """A file to write, .gif or .mp4, instead of opening a window."""
    senses: tyro.conf.OmitArgPrefixes[Senses] = field(default_factory=Senses)
    """The agent's observations."""
    episodes: int = 3
    """Number of episodes."""
    split: Literal["validation", "test"] = "validation"
    """Split of the episodes."""
    seed: int = 0
    """Seed of the episodes."""
    size: int = 480
    """Side of the rendered scene in pixels, 64 to 2048."""
    fps: int = 12
    """Steps shown per second."""

    def check(self) -> None:
        """Raise InputError or OSError if a number is out of range, or the video can't be
        written."""
        check_whole("episodes", self.episodes, 1)
        check_whole("seed", self.seed)
        check_whole("size", self.size, 64, 2048)
        check_whole("fps", self.fps, 1, 100)
        self.senses.faults()
        check_output(self.out)


def main(config: EnjoyConfig) -> None:
    """Play the episodes, and show or write them."""
    config.check()
    agent = config.source.load()
    representation = config.senses.of(agent)
    _warn_if_unfinished(agent)
    moments = play(
        agent,
        config.episodes,
        representation,
        split=config.split,
        seed=config.seed,
        size=config.size,
        faults=config.senses.faults(),
    )
    pictures = lingering(_reporting(moments), config.fps)
    if config.out is None:
        show("gw_agents.enjoy", pictures, config.fps)
    else:
        kind = write_video(config.out, tqdm(pictures, "drawing", unit="frame"), config.fps)
        print(f"wrote {config.out} ({kind})")


def _warn_if_unfinished(agent: Agent) -> None:
    """Print a warning if the agent's training was interrupted."""
    steps, planned = agent.training.get("steps", 0), agent.training.get("planned_steps", 0)
    if steps < planned:
        print(f"the agent's training is unfinished: {steps:,} of {planned:,} steps")


def lingering(moments: Iterable[Moment], fps: int) -> Iterator[NDArray[np.uint8]]:
    """Draw every moment, and hold the last picture of each episode for a second."""
    for moment in moments:
        picture = draw(moment)
        for _ in range(fps if moment.outcome else 1):
            yield picture


def _reporting(moments: Iterable[Moment]) -> Iterator[Moment]:
    """Pass the moments on, and print how each episode ended."""
    for moment in moments:
        yield moment
        if moment.outcome:
            total, steps = sum(moment.rewards), len(moment.rewards)
            tqdm.write(
                f"episode {moment.episode}: {moment.outcome} after {steps} steps, return"
                f" {total:.2f}"
            )


if __name__ == "__main__":
    run_command(lambda: main(parse_arguments(EnjoyConfig, description=__doc__)))
