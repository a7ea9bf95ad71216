"""Train an agent.

    python -m gw_agents.train --env GWFactory-v0 --modalities image --algo ppo --seed 0
    python -m gw_agents.train --env GWSimpleShapes-v0 --modalities attributes --test-modalities image --steps 100000

Interrupted by Ctrl-C or by anything else, the same command goes on from the last checkpoint; with more `--steps` it
takes a finished run further. The agent is left in the run's folder, beside a TensorBoard log of its training.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Literal

import tyro
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from tqdm import tqdm

from gw_agents.acting.agent import Agent, create_agent
from gw_agents.acting.evaluation import evaluate
from gw_agents.acting.run_state import RunState
from gw_agents.acting.spec import AgentSpec
from gw_agents.command import run_command
from gw_agents.learning.loop import deferred_interrupt
from gw_envs.dataset import episode_seed


@dataclass(frozen=True)
class TrainConfig:
    """One run: what is trained, for how long, and how it is followed."""

    env: str
    """Id of the environment: GWSimpleShapes-v0 or GWFactory-v0."""
    modalities: tuple[str, ...]
    """What the agent observes: any of image, attributes, language."""
    encoder: Literal["gw", "unimodal", "concatenation", "raw", "gw_tuned"] = "gw"
    """What its policy is given: workspace vectors, the latent of one modality, the latents of all side by side, the
    observation itself, or workspace vectors of encoders that are trained on with the policy."""
    algo: Literal["ppo", "sac", "a2c", "dqn", "td3", "recurrent_ppo"] = "ppo"
    """Algorithm of Stable-Baselines3, or of sb3-contrib for recurrent_ppo; sac and td3 act in continuous actions."""
    seed: int = 0
    """Seed of the policy's weights, of exploration and of the episodes."""
    steps: int = 200_000
    """Environment steps."""
    n_envs: int = 16
    """Environments side by side."""
    attention: str | None = None
    """Attention module that fuses the modalities (best, two_step, ...); the even mean by default."""
    actions: Literal["discrete", "continuous"] | None = None
    """Action mode; what the algorithm is mostly used for by default."""
    layout: Literal["fixed", "random"] = "fixed"
    """Where the Factory's landmarks stand."""
    weights: str | None = None
    """Folder of the workspace's weights; those shipped for the scene by default."""
    net_arch: tuple[int, ...] | None = None
    """Widths of the policy's hidden layers; those of Stable-Baselines3 by default."""
    learning_rate: float | None = None
    """Learning rate; the algorithm's own by default."""
    test_modalities: tuple[str, ...] | None = None
    """Observed in a last evaluation instead of the modalities of training: zero-shot transfer."""
    evaluate_every: int = 20_000
    """Steps between evaluations."""
    episodes: int = 50
    """Held-out episodes of an evaluation, the same ones each time."""
    out: Path | None = None
    """Folder of the run; below runs/agents by default."""
    device: str = "cpu"
    """auto, cpu or cuda."""
    checkpoint_seconds: float = 180.0
    """Time between checkpoints."""

    def spec(self) -> AgentSpec:
        """What is trained."""
        shape: dict[str, Any] = {} if self.net_arch is None else {"net_arch": list(self.net_arch)}
        return AgentSpec(
            self.env,
            self.modalities,
            self.encoder,
            self.attention,
            self.algo,
            self.actions,
            self.layout,
            self.weights,
            shape,
        )

    def folder(self) -> Path:
        """Where the run is kept."""
        parts = [
            self.env,
            self.encoder,
            *([self.attention] if self.attention else []),
            "-".join(self.modalities),
        ]
        return self.out or Path("runs/agents") / "_".join([*parts, self.algo, f"seed{self.seed}"])

    def settings(self) -> dict[str, Any]:
        """What a run that is taken up must have in common with this one."""
        same = {"seed": self.seed, "n_envs": self.n_envs, "learning_rate": self.learning_rate}
        return {**asdict(self.spec()), **same}


def train(config: TrainConfig, quiet: bool = False) -> Agent:
    """Train an agent, or go on training it, and leave it in the run's folder.

    Raises:
        ValueError: the settings don't go together, or the folder holds a run with others.
        OSError: nothing can be written there.
        KeyboardInterrupt: on Ctrl-C, after a checkpoint; the message says how to resume.
    """
    if config.steps < 1 or config.episodes < 1 or config.evaluate_every < 1:
        raise ValueError("steps, episodes and evaluate_every must be at least 1")
    chosen: dict[str, Any] = (
        {} if config.learning_rate is None else {"learning_rate": config.learning_rate}
    )
    agent = create_agent(config.spec(), config.n_envs, config.seed, config.device, **chosen)
    if config.test_modalities is not None:
        agent.represent(
            config.test_modalities
        )  # so that what can't be tested is told before the training
    model, folder = agent.model, config.folder()
    state = RunState(
        folder / "state.pt", {**config.settings(), "workspace": agent.representation.fingerprint()}
    )
    if state.resume(model):
        model.set_random_seed((config.seed + 1_000_003 * model.num_timesteps) % 2**32)
    else:
        state.save(model)  # so that a folder that can't be written is told at once
    assert model.env is not None
    model.env.seed(episode_seed("train", config.seed, model.num_timesteps))
    model.set_logger(Logger(str(folder), [_Log(folder)]))
    try:
        if model.num_timesteps < config.steps:
            _learn(agent, config, state, quiet)
        agent.training = {
            "steps": model.num_timesteps,
            "seconds": round(state.seconds, 1),
            "curve": state.curve,
        }
        agent.training |= {"seed": config.seed, "n_envs": config.n_envs}
        agent.save(folder / "agent")
    finally:
        model.logger.close()
        model.env.close()
    return agent


def _learn(agent: Agent, config: TrainConfig, state: RunState, quiet: bool) -> None:
    """From where the run is to its last step, followed by a checkpoint."""
    model = agent.model
    label = f"{config.env} {config.encoder} {'+'.join(config.modalities)}"
    bar = tqdm(
        total=config.steps,
        initial=model.num_timesteps,
        desc=label,
        unit="step",
        unit_scale=True,
        disable=quiet,
    )
    with deferred_interrupt() as interrupted, bar:
        callback = _Follower(agent, config, state, interrupted, bar)
        model.learn(config.steps - model.num_timesteps, callback, reset_num_timesteps=False)
        if not interrupted.is_set():
            callback.evaluate()
    state.save(model)
    if interrupted.is_set():
        raise KeyboardInterrupt(
            f"stopped after {model.num_timesteps:,} of {config.steps:,} steps; the same command goes on from"
            f" {state.path}"
        )


class _Log(TensorBoardOutputFormat):
    """TensorBoard's log; where it can't be written any more, that is said once, and training goes on without it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.failed = folder, False
        try:
            with _silent_threads():
                super().__init__(str(folder))
        except OSError as error:
            raise OSError(
                f"the log in {folder} could not be written ({error}); the checkpoint is intact"
            ) from error

    def write(self, *values: Any, **more: Any) -> None:
        if self.failed:
            return
        try:
            with _silent_threads():
                super().write(*values, **more)
        except OSError as error:
            self.failed = True
            tqdm.write(
                f"the log in {self.folder} could not be written ({error}); training goes on without it"
            )

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def _silent_threads() -> Iterator[None]:
    """What fails in TensorBoard's own thread is raised again where it is waited for: no traceback of the thread too."""
    before, threading.excepthook = threading.excepthook, lambda failure: None
    try:
        yield
    finally:
        threading.excepthook = before


class _Follower(BaseCallback):
    """What happens beside learning: progress, evaluations, checkpoints, and the stop that Ctrl-C asks for."""

    def __init__(
        self, agent: Agent, config: TrainConfig, state: RunState, interrupted: Event, bar: Any
    ) -> None:
        super().__init__()
        self.agent, self.config, self.state = agent, config, state
        self.interrupted, self.bar = interrupted, bar
        self.since = monotonic()

    def _on_step(self) -> bool:
        self.bar.update(min(self.model.num_timesteps, self.config.steps) - self.bar.n)
        return not self.interrupted.is_set()

    def _on_rollout_start(self) -> None:
        """Between an update and the next rollout nothing is half done."""
        last = self.state.curve[-1]["steps"] if self.state.curve else None
        if last is None or self.model.num_timesteps - last >= self.config.evaluate_every:
            self.evaluate()
        if monotonic() - self.state.saved > self.config.checkpoint_seconds:
            with self._pause():
                try:
                    self.state.save(self.model)
                except OSError as error:  # perhaps there is room again next time
                    self.state.saved = monotonic()
                    self.bar.write(f"{error}; training goes on")

    def _on_training_end(self) -> None:
        with self._pause():
            pass

    def evaluate(self) -> None:
        """A point of the learning curve, from the same held-out episodes each time."""
        steps = self.model.num_timesteps
        if self.state.curve and self.state.curve[-1]["steps"] == steps:
            return
        with self._pause():
            found = evaluate(self.agent, episodes=self.config.episodes).summary()
        self.state.curve.append({"steps": steps, "seconds": round(self.state.seconds, 1), **found})
        for name, value in found.items():
            self.model.logger.record(f"eval/{name}", value)
        self.model.logger.dump(steps)
        told = {name: f"{value:.2f}" for name, value in found.items()}
        self.bar.set_postfix(told, refresh=False)

    @contextmanager
    def _pause(self) -> Iterator[None]:
        """Time within does not count as training."""
        self.state.seconds += monotonic() - self.since
        yield
        self.since = monotonic()


def main(config: TrainConfig) -> None:
    """Train and tell how well the agent does in held-out episodes."""
    agent = train(config)
    print(f"{' + '.join(agent.spec.modalities)}: {evaluate(agent, episodes=config.episodes)}")
    if config.test_modalities is not None:
        scores = evaluate(agent, episodes=config.episodes, modalities=config.test_modalities)
        print(f"{' + '.join(config.test_modalities)}, not seen in training: {scores}")
    print(
        f"the agent is {config.folder() / 'agent'}; watch it with: python -m gw_agents.enjoy {config.folder()}/agent"
    )


if __name__ == "__main__":
    arguments = tyro.cli(TrainConfig)
    run_command(lambda: main(arguments))
