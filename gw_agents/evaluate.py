"""Score an agent in held-out episodes, also with other modalities or failing sensors.

Examples:
    python -m gw_agents.evaluate runs/agents/mine/agent --episodes 500 --test-modalities image
    python -m gw_agents.evaluate simple_shapes_fused --corrupt image=blackout --attention even
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from gw_agents.acting.arguments import AgentSource, Senses, name_senses
from gw_agents.acting.evaluation import Scores, evaluate
from gw_agents.acting.faults import corrupt_batch
from gw_agents.command import parse_arguments, run_command
from gw_envs.errors import check_whole
from gw_envs.files import write_atomically
from gw_envs.outputs import check_writable


@dataclass(frozen=True)
class Evaluation:
    """Score an agent in held-out episodes."""

    source: tyro.conf.OmitArgPrefixes[AgentSource]
    """The agent to score."""
    senses: tyro.conf.OmitArgPrefixes[Senses] = field(default_factory=Senses)
    """The agent's observations."""
    episodes: int = 500
    """Number of episodes."""
    split: Literal["validation", "test"] = "test"
    """Split of the episodes."""
    seed: int = 0
    """Seed of the episodes."""
    n_envs: int = 50
    """Episodes that run at the same time."""
    out: Path | None = None
    """A JSON file to write the outcome of every episode to."""

    def __call__(self) -> Scores:
        """Evaluate and print; write the outcomes if asked to."""
        for name in ("episodes", "n_envs"):
            check_whole(name, getattr(self, name), 1)
        check_whole("seed", self.seed)
        if self.out is not None:
            check_writable(self.out)
        faults = self.senses.faults()
        agent = self.source.load()
        representation = self.senses.of(agent)
        scores = evaluate(
            agent,
            self.episodes,
            self.split,
            self.seed,
            representation=representation,
            n_envs=self.n_envs,
            wrap=lambda env: corrupt_batch(env, faults),
        )
        failing = "".join(f", {word}" for word in self.senses.corrupt)
        print(f"{name_senses(agent, representation.modalities)}{failing}: {scores}")
        if self.out is not None:
            columns = {name: rows for name, rows in scores._asdict().items() if rows is not None}
            rows = {name: values.tolist() for name, values in columns.items()}
            text = json.dumps(rows) + "\n"
            write_atomically(self.out, lambda path: path.write_text(text))
            print(f"wrote {self.out}")
        return scores


if __name__ == "__main__":
    run_command(lambda: parse_arguments(Evaluation, description=__doc__)())
