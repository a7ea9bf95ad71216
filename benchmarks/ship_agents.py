"""Make the agents that are shipped in `assets/agents`, for `load_agent(NAME)` and `python -m gw_agents.enjoy NAME`.

    python benchmarks/ship_agents.py

Each is trained by `gw_agents.train` on the shipped workspace, scored in 500 episodes of the test split with every
modality, and written (safetensors and JSON, some 50 kB) if it reaches the goal in nine of ten. To be run anew whenever
the workspace's weights change: an agent is refused with other weights than its own. Interrupted, the same command goes
on.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import table
from gw_agents.acting.agent import Agent
from gw_agents.acting.evaluation import evaluate
from gw_agents.acting.spec import AgentSpec
from gw_agents.command import run_command
from gw_agents.train import TrainConfig, train
from gw_envs.assets import asset_path
from gw_envs.observation import MODALITIES

AGENTS = {
    "simple_shapes": TrainConfig(AgentSpec("GWSimpleShapes-v0", ("image",)), steps=200_000),
    "factory": TrainConfig(AgentSpec("GWFactory-v0", ("image",)), steps=100_000),
    "simple_shapes_fused": TrainConfig(
        AgentSpec("GWSimpleShapes-v0", MODALITIES, attention="best"), steps=200_000
    ),
    "factory_fused": TrainConfig(
        AgentSpec("GWFactory-v0", MODALITIES, attention="best"), steps=100_000
    ),
}
"""How each is trained: from images, or from all modalities fused by attention."""
NEEDED = 0.9
"""Success on what it was trained on, below which an agent is not shipped."""


@dataclass(frozen=True)
class Arguments:
    """Train, test and write the agents that are shipped."""

    names: tuple[str, ...] = tuple(AGENTS)
    """Which of them."""
    steps: int | None = None
    """Environment steps of training, if not those of `AGENTS`."""
    episodes: int = 500
    """Held-out episodes of each test."""
    runs: Path = Path("runs/shipped_agents")
    """Where the runs are kept."""
    out: Path | None = None
    """Where the agents go; assets/agents by default."""


def scores_of(agent: Agent, episodes: int) -> dict[str, dict[str, float]]:
    """Return, success and length on what the agent was trained on, and on each modality alone."""
    shown = {"trained on": agent.spec.modalities, **{name: (name,) for name in MODALITIES}}
    return {
        name: evaluate(agent, episodes=episodes, split="test", modalities=modalities).summary()
        for name, modalities in shown.items()
    }


def main(arguments: Arguments) -> None:
    """Train, test, write, print."""
    unknown = [name for name in arguments.names if name not in AGENTS]
    if unknown:
        raise ValueError(f"unknown agent {unknown[0]!r}: choose of {', '.join(AGENTS)}")
    folder = arguments.out or asset_path("weights").parent / "agents"
    changes: dict[str, Any] = {} if arguments.steps is None else {"steps": arguments.steps}
    lines, short = [], []
    for name in arguments.names:
        agent = train(replace(AGENTS[name], out=arguments.runs / name, **changes))
        agent.training["test"] = scores = scores_of(agent, arguments.episodes)
        if scores["trained on"]["success"] >= NEEDED:
            agent.save(folder / name)
        else:
            short.append(name)
        success = (f"{score['success']:.1%}" for score in scores.values())
        lines.append(
            (name, "+".join(agent.spec.modalities), *success, "no" if name in short else "yes")
        )
    columns = ("as trained", *MODALITIES)
    print(
        table(
            ("agent", "trained on", *(f"success, {column}" for column in columns), "written"), lines
        )
    )
    print(f"folder: {folder}")
    if short:
        raise ValueError(
            f"not written, for success below {NEEDED:.0%}: {', '.join(short)}; try more --steps"
        )


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
