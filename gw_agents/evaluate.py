"""Score an agent in held-out episodes, also on other modalities than it was trained on.

python -m gw_agents.evaluate runs/agents/mine/agent --episodes 500 --test-modalities image
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from gw_agents.acting.agent import load_agent
from gw_agents.acting.evaluation import Scores, evaluate
from gw_agents.command import run_command


@dataclass(frozen=True)
class Evaluation:
    """Score an agent in held-out episodes."""

    agent: tyro.conf.Positional[Path]
    """The agent's file, with or without suffix."""
    test_modalities: tuple[str, ...] | None = None
    """What it observes; what it was trained on by default, anything else is zero-shot transfer."""
    attention: str | None = None
    """An attention module to fuse with instead of what it was trained with."""
    episodes: int = 500
    """How many episodes."""
    split: str = "test"
    """validation or test."""
    seed: int = 0
    """Another seed has other episodes."""
    weights: str | None = None
    """Folder of the workspace's weights, if not where the agent's file says."""
    n_envs: int = 50
    """Episodes that run side by side."""
    out: Path | None = None
    """A JSON file for the outcome of every episode."""

    def __call__(self) -> Scores:
        """Evaluate and print."""
        agent = load_agent(self.agent, weights=self.weights)
        changes: Mapping[str, Any] = {} if self.attention is None else {"attention": self.attention}
        given = agent.represent(self.test_modalities, **changes)
        scores = evaluate(
            agent,
            None,
            self.episodes,
            self.split,
            self.seed,
            representation=given,
            n_envs=self.n_envs,
        )
        print(f"{' + '.join(given.modalities)}: {scores}")
        if self.out is not None:
            rows = {name: values.tolist() for name, values in scores._asdict().items()}
            self.out.write_text(json.dumps(rows) + "\n")
        return scores


if __name__ == "__main__":
    run_command(tyro.cli(Evaluation))
