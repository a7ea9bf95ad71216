"""Train an agent.

Examples:
    python -m gw_agents.train --env GWFactory-v0 --modalities image --algo ppo --seed 0
    python -m gw_agents.train --env GWSimpleShapes-v0 --modalities attributes --steps 100000
    python -m gw_agents.train --env GWFactory-v0 --modalities image --test-modalities attributes
    python -m gw_agents.train --env examples.own_environment:PictureGrid-v0 --modalities image \\
        --weights FOLDER

Rerun the same command to resume an interrupted run from its last checkpoint, or give more `--steps`
to train a finished one further. The command writes the agent to the run's folder, with a
TensorBoard log of its training.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import numpy as np
import tyro
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from tqdm import tqdm

from gw_agents.acting.agent import Agent, check_finite
from gw_agents.acting.arguments import name_senses
from gw_agents.acting.evaluation import evaluate
from gw_agents.acting.loading import create_agent
from gw_agents.acting.run_log import RunLog
from gw_agents.acting.run_state import RunState
from gw_agents.acting.spec import AgentSpec
from gw_agents.command import parse_arguments, run_command
from gw_agents.learning.loop import deferred_interrupt
from gw_agents.run_file import DivergedError
from gw_envs.dataset import episode_seed
from gw_envs.errors import check_number, check_whole
from gw_envs.outputs import locked

CHECK_STEPS = 1_000
"""Environment steps between two searches of the weights for NaN."""


@dataclass(frozen=True)
class TrainConfig:
    """The settings of one run: the agent, its training, evaluations and checkpoints."""

    agent: tyro.conf.OmitArgPrefixes[AgentSpec]
    """The agent to train."""
    seed: int = 0
    """Seed of the policy's weights, of exploration and of the episodes."""
    steps: int = 200_000
    """Environment steps."""
    n_envs: int = 16
    """Environments stepped together."""
    learning_rate: float | None = None
    """Learning rate; the algorithm's own by default."""
    test_modalities: tuple[str, ...] | None = None
    """Modalities for one more evaluation after training, to test zero-shot transfer."""
    evaluate_every: int = 20_000
    """Steps between evaluations."""
    episodes: int = 50
    """Held-out episodes per evaluation, the same ones each time."""
    out: Path | None = None
    """Folder of the run; below runs/agents by default."""
    device: str = "cpu"
    """Where the policy and the workspace run: auto, cpu or cuda."""
    checkpoint_seconds: float = 180.0
    """Seconds between checkpoints."""

    def folder(self) -> Path:
        """Return the folder of the run."""
        spec = self.agent
        parts = [spec.env_id.replace("/", "-"), spec.policy_input]
        parts += [spec.attention] if spec.attention else []
        parts += ["-".join(spec.modalities), spec.algorithm, f"seed{self.seed}"]
        return self.out or Path("runs/agents") / "_".join(parts)

    def settings(self) -> dict[str, Any]:
        """Return the settings that a stored run must share with this one to be resumed."""
        same = {"seed": self.seed, "n_envs": self.n_envs, "learning_rate": self.learning_rate}
        return {**self.agent.as_json(), **same}

    def check(self) -> None:
        """Raise InputError if a number is out of range."""
        for name in ("steps", "n_envs", "evaluate_every", "episodes"):
            check_whole(name, getattr(self, name), 1)
        check_whole("seed", self.seed)
        check_number("checkpoint_seconds", self.checkpoint_seconds, 0.0)
        if self.learning_rate is not None:
            check_number("learning_rate", self.learning_rate, above=0.0)


def train(config: TrainConfig, quiet: bool = False) -> Agent:
    """Train an agent, or resume its training, and write it to the run's folder.

    Raises:
        InputError: the settings contradict each other, or the folder holds a run with other
            settings.
        DivergedError: the weights became NaN; the last good agent and checkpoint are in the folder.
        OSError: the folder can't be written, or another run is using it.
        KeyboardInterrupt: on Ctrl-C, after a checkpoint; the message says how to resume.
    """
    config.check()
    rate: dict[str, Any] = (
        {} if config.learning_rate is None else {"learning_rate": config.learning_rate}
    )
    agent = create_agent(config.agent, config.n_envs, config.seed, config.device, **rate)
    if config.test_modalities is not None:
        agent.represent(config.test_modalities)  # fails now, not after training
    folder = config.folder()
    busy = f"another run is writing to {folder}: wait until it ends, or name another --out"
    with locked(folder / "lock", busy):
        _run(agent, config, folder, quiet)
    return agent


def _run(agent: Agent, config: TrainConfig, folder: Path, quiet: bool) -> None:
    """Train the agent up to `config.steps`, from the last checkpoint in the folder if there is
    one."""
    model: Any = agent.model
    workspace = {"workspace": agent.representation.fingerprint()}
    state = RunState(folder / "state.pt", {**config.settings(), **workspace})
    if state.resume(model):
        model.set_random_seed((config.seed + 1_000_003 * model.num_timesteps) % 2**32)
    else:
        state.save(model)  # fails at once if the folder can't be written
    model.env.seed(episode_seed("train", config.seed, model.num_timesteps))
    model.set_logger(Logger(str(folder), [RunLog(folder)]))
    try:
        if model.num_timesteps < config.steps:
            _learn(agent, config, state, quiet)
        _save_agent(agent, config, state)
    finally:
        model.logger.close()
        model.env.close()


def _save_agent(agent: Agent, config: TrainConfig, state: RunState) -> None:
    """Write the agent with a record of its training so far."""
    agent.training = {
        "steps": agent.model.num_timesteps,
        "planned_steps": config.steps,
        "seconds": round(state.seconds, 1),
        "curve": state.curve,
        "seed": config.seed,
        "n_envs": config.n_envs,
    }
    agent.save(state.path.parent / "agent")


def _learn(agent: Agent, config: TrainConfig, state: RunState, quiet: bool) -> None:
    """Train from the run's current step to `config.steps`, and write a checkpoint."""
    model, spec = agent.model, config.agent
    bar = tqdm(
        total=config.steps,
        initial=model.num_timesteps,
        desc=f"{spec.env_id} {spec.policy_input} {'+'.join(spec.modalities)}",
        unit="step",
        unit_scale=True,
        disable=quiet,
    )
    with deferred_interrupt() as interrupted, bar:
        callback = ProgressCallback(agent, config, state, interrupted, bar)
        try:
            model.learn(config.steps - model.num_timesteps, callback, reset_num_timesteps=False)
        except (ValueError, RuntimeError):  # NaN reached a distribution: name the cause
            callback.check()
            raise
        callback.check()
        if not interrupted.is_set():
            callback.evaluate()
    state.save(model)
    if interrupted.is_set():
        _save_agent(agent, config, state)
        raise KeyboardInterrupt(
            f"stopped after {model.num_timesteps:,} of {config.steps:,} steps; rerun the same"
            f" command to resume from {state.path}, or watch the unfinished agent: python -m"
            f" gw_agents.enjoy {state.path.parent}/agent"
        )


class ProgressCallback(BaseCallback):
    """Shows progress, evaluates, writes checkpoints, and stops training on Ctrl-C."""

    def __init__(
        self, agent: Agent, config: TrainConfig, state: RunState, interrupted: Event, bar: Any
    ) -> None:
        """Start timing the training."""
        super().__init__()
        self.agent, self.config, self.state = agent, config, state
        self.interrupted, self.bar = interrupted, bar
        self.since = monotonic()
        self.checked = agent.model.num_timesteps

    def _on_step(self) -> bool:
        self.bar.update(min(self.model.num_timesteps, self.config.steps) - self.bar.n)
        return not self.interrupted.is_set()

    def _on_rollout_start(self) -> None:
        """Evaluate or write a checkpoint before the next rollout, when no update is half done."""
        steps = self.model.num_timesteps
        self._show_recent_episodes()
        last = self.state.curve[-1]["steps"] if self.state.curve else None
        if last is None or steps - last >= self.config.evaluate_every:
            self.evaluate()
        elif steps - self.checked >= CHECK_STEPS:
            self.check()
        if monotonic() - self.state.saved > self.config.checkpoint_seconds:
            with self._pause():
                self.check()
                self.state.saved = monotonic()
                self._try(lambda: self.state.save(self.model))

    def _on_training_end(self) -> None:
        self._show_recent_episodes()
        self._add_time()

    def _show_recent_episodes(self) -> None:
        """Show the mean return and success of the last 100 training episodes in the bar."""
        episodes, successes = self.model.ep_info_buffer, self.model.ep_success_buffer
        means = {}
        if episodes:
            means["return"] = f"{np.mean([episode['r'] for episode in episodes]):.2f}"
        if successes:
            means["success"] = f"{np.mean(successes):.2f}"
        self.bar.set_postfix(means, refresh=False)

    def _try(self, write: Callable[[], None]) -> None:
        """Call `write`; if the disk refuses, print the error and continue, as a later write may
        fit."""
        try:
            write()
        except OSError as error:
            self.bar.write(f"{error}; training continues")

    def check(self) -> None:
        """Raise DivergedError, naming the last good agent, if a weight is NaN or infinite."""
        self.checked = self.model.num_timesteps
        try:
            check_finite(self.model.policy)
        except DivergedError as error:
            path = self.state.path.parent / "agent"
            remains = (
                f"the last good agent is {path}"
                if path.with_suffix(".json").exists()
                else "no agent was written"
            )
            raise DivergedError(
                f"{error} after {self.checked:,} steps; {remains}. Try a lower --learning-rate"
            ) from error

    def evaluate(self) -> None:
        """Add a point to the learning curve; every point is measured on the same held-out
        episodes."""
        steps = self.model.num_timesteps
        if self.state.curve and self.state.curve[-1]["steps"] == steps:
            return
        self.check()
        with self._pause():
            scores = evaluate(self.agent, episodes=self.config.episodes).summary()
        self.state.curve.append({"steps": steps, "seconds": round(self.state.seconds, 1), **scores})
        for name, value in scores.items():
            self.model.logger.record(f"eval/{name}", value)
        self.model.logger.dump(steps)
        if steps:
            self._try(lambda: _save_agent(self.agent, self.config, self.state))

    @contextmanager
    def _pause(self) -> Iterator[None]:
        """Stop the training clock while the block runs."""
        self._add_time()
        yield
        self.since = monotonic()

    def _add_time(self) -> None:
        """Add the time since the clock was started to the training time, and restart it."""
        now = monotonic()
        self.state.seconds += now - self.since
        self.since = now


def main(config: TrainConfig) -> None:
    """Train, and print how well the agent does in held-out episodes."""
    agent = train(config)
    print(f"{name_senses(agent, agent.spec.modalities)}: {evaluate(agent, config.episodes)}")
    if config.test_modalities is not None:
        representation = agent.represent(config.test_modalities)
        scores = evaluate(agent, config.episodes, representation=representation)
        print(f"{name_senses(agent, representation.modalities)}: {scores}")
    path = config.folder() / "agent"
    print(f"the agent is {path}; watch it with: python -m gw_agents.enjoy {path}")


if __name__ == "__main__":
    run_command(lambda: main(parse_arguments(TrainConfig, description=__doc__)))
