"""Train the agents that are shipped in `assets/agents`, for `load_agent(NAME)` and
`python -m gw_agents.enjoy NAME`.

    python -m benchmarks.publish.ship_agents

Each agent is trained by `gw_agents.train` on the shipped workspace and scored in 500 episodes of
the test split with every modality. It is written (safetensors and JSON, some 50 kB) if it reaches
the goal in nine of ten. Rerun the command whenever the workspace's weights change: an agent is
refused with other weights than its own. Rerun an interrupted command to resume.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from benchmarks.harness.tables import Table
from gw_agents.acting.agent import Agent
from gw_agents.acting.evaluation import evaluate
from gw_agents.acting.spec import AgentSpec
from gw_agents.command import run_command
from gw_agents.train import TrainConfig, train
from gw_envs.assets import asset_path
from gw_envs.errors import InputError, check_choice, check_whole
from gw_envs.observation import MODALITIES


def _agent(
    env_id: str, modalities: tuple[str, ...], attention: str | None, steps: int
) -> TrainConfig:
    return TrainConfig(AgentSpec(env_id, modalities, attention=attention), steps=steps)


AGENTS: dict[str, TrainConfig] = {
    "simple_shapes": _agent("GWSimpleShapes-v0", ("image",), None, 200_000),
    "factory": _agent("GWFactory-v0", ("image",), None, 100_000),
    "simple_shapes_fused": _agent("GWSimpleShapes-v0", MODALITIES, "best", 200_000),
    "factory_fused": _agent("GWFactory-v0", MODALITIES, "best", 100_000),
}
"""How each is trained: from images, or from all modalities fused by attention."""
NEEDED = 0.9
"""Least success on the training modalities with which an agent is shipped."""
AS_TRAINED = "as trained"
"""The test on the modalities of training."""


@dataclass(frozen=True)
class Arguments:
    """Train, test and write the agents that are shipped."""

    names: tuple[str, ...] = tuple(AGENTS)
    """Which of them."""
    steps: int | None = None
    """Environment steps of training; those of `AGENTS` by default."""
    episodes: int = 500
    """Held-out episodes of each test."""
    runs: Path = Path("runs/shipped_agents")
    """Folder of the runs."""
    out: Path | None = None
    """Folder of the agents; assets/agents by default."""

    def check(self) -> None:
        """Raise InputError for unknown agents and numbers below 1."""
        for name in self.names:
            check_choice("agent", name, tuple(AGENTS))
        check_whole("--episodes", self.episodes, 1)
        if self.steps is not None:
            check_whole("--steps", self.steps, 1)

    def config(self, name: str) -> TrainConfig:
        """Return how an agent is trained."""
        config = replace(AGENTS[name], out=self.runs / name)
        return config if self.steps is None else replace(config, steps=self.steps)


def scores_of(agent: Agent, episodes: int) -> dict[str, dict[str, float]]:
    """Return mean return, success and length on the training modalities, and on each modality
    alone."""
    tests = {AS_TRAINED: agent.spec.modalities, **{name: (name,) for name in MODALITIES}}
    scores = {}
    for name, modalities in tests.items():
        scores[name] = evaluate(agent, episodes, "test", modalities=modalities).summary()
    return scores


def main(arguments: Arguments) -> None:
    """Train, test and write the agents; InputError at the end if one succeeds too rarely."""
    arguments.check()
    folder = arguments.out or asset_path("weights").parent / "agents"
    lines, failed = [], []
    for name in arguments.names:
        agent = train(arguments.config(name))
        agent.training["test"] = scores = scores_of(agent, arguments.episodes)
        is_good = scores[AS_TRAINED]["success"] >= NEEDED
        if is_good:
            agent.save(folder / name)
        else:
            failed.append(name)
        success = [f"{score['success']:.1%}" for score in scores.values()]
        senses = "+".join(agent.spec.modalities)
        lines.append((name, senses, *success, "yes" if is_good else "no"))
    headers = ("agent", "trained on", AS_TRAINED, *MODALITIES, "written")
    print(Table("Success in held-out episodes", headers, lines, f"Folder: {folder}"))
    if failed:
        raise InputError(
            f"not written, for success below {NEEDED:.0%}: {', '.join(failed)}; try more --steps"
        )


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
