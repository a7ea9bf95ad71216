"""Watch an agent.

python -m gw_agents.enjoy runs/agents/mine/agent                       # in a window; q ends it
python -m gw_agents.enjoy runs/agents/mine/agent --out play.gif        # or .mp4
python -m gw_agents.enjoy agent.zip --trust --env GWFactory-v0 --modalities image --out play.mp4
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import tyro
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from gw_agents.acting.agent import Agent, import_zip, load_agent
from gw_agents.acting.panel import Moment, draw
from gw_agents.acting.policy_inputs import Representation, WorkspaceVectors
from gw_agents.acting.spec import AgentSpec
from gw_agents.command import run_command
from gw_envs.dataset import episode_seed
from gw_envs.display import has_display, opencv
from gw_envs.files import write_atomically
from gw_envs.observation import MODALITIES


@dataclass(frozen=True)
class EnjoyConfig:
    """Watch an agent in a window or in a file."""

    agent: tyro.conf.Positional[Path]
    """The agent's file, with or without suffix; or a shipped agent's name; or a zip file of Stable-Baselines3."""
    out: Path | None = None
    """A file to write, .gif or .mp4, instead of opening a window."""
    episodes: int = 3
    """How many episodes."""
    test_modalities: tuple[str, ...] | None = None
    """What the agent observes; what it was trained on by default, anything else is zero-shot transfer."""
    split: Literal["validation", "test"] = "validation"
    """Split of the episodes."""
    seed: int = 0
    """Another seed has other episodes."""
    size: int = 480
    """Side of the rendered scene in pixels."""
    fps: int = 12
    """Steps a second."""
    weights: str | None = None
    """Folder of the workspace's weights, if not where the agent's file says."""
    env: str | None = None
    """What the agent must have been trained for; needed for a zip file."""
    modalities: tuple[str, ...] | None = None
    """What an agent in a zip file observes."""
    encoder: str | None = None
    """What the agent must have been trained with; gw for a zip file by default."""
    algo: str = "ppo"
    """Algorithm of an agent in a zip file."""
    actions: str | None = None
    """Action mode that the agent must have."""
    trust: bool = False
    """Load a zip file of Stable-Baselines3 although that can run any code its maker put into it."""

    def load(self) -> Agent:
        """The agent."""
        if self.agent.suffix != ".zip":
            return load_agent(self.agent, self.env, self.encoder, self.actions, self.weights)
        if self.env is None or self.modalities is None:
            raise ValueError(
                "a zip file does not say what the agent observes: name --env and --modalities"
            )
        spec = AgentSpec(
            self.env,
            self.modalities,
            self.encoder or "gw",
            None,
            self.algo,
            self.actions,
            weights=self.weights,
        )
        return import_zip(self.agent, spec, self.trust)


def play(
    agent: Agent,
    episodes: int = 1,
    modalities: Sequence[str] | None = None,
    split: str = "validation",
    seed: int = 0,
    size: int = 480,
) -> Iterator[Moment]:
    """Every moment of held-out episodes, the first and the last of each included.

    Args:
        agent: who acts.
        episodes: how many.
        modalities: what it observes; what it was trained on by default.
        split: of the episodes.
        seed: of the episodes.
        size: side of the rendered scene in pixels.
    """
    if episodes < 1:
        raise ValueError(f"{episodes} episodes: there is nothing to see in fewer than 1")
    spec, given = agent.spec, agent.represent(modalities)
    layout: dict[str, Any] = {} if spec.layout == "fixed" else {"layout": spec.layout}
    env = gym.make(
        spec.env_id,
        render_mode="rgb_array",
        render_size=size,
        modalities=MODALITIES,
        actions=spec.actions,
        **layout,
    )
    try:
        for episode in range(episodes):
            yield from _episode(agent, given, env, episode, episode_seed(split, seed, episode))
    finally:
        env.close()


def _episode(
    agent: Agent, given: Representation, env: gym.Env, episode: int, seed: int
) -> Iterator[Moment]:
    steps = int(env.spec.max_episode_steps or 100) if env.spec else 100
    title = f"{agent.spec.env_id}   {agent.spec.encoder}   {agent.spec.algorithm}"
    shown, info = env.reset(seed=seed)
    rewards: list[float] = []
    memory: Any = None
    outcome = ""
    while True:
        features = given(shown)
        fused = given.weights if isinstance(given, WorkspaceVectors) else {}
        weights = {name: float(weight) for name, weight in fused.items()}
        frame: Any = env.render()
        yield Moment(
            title,
            frame,
            shown["image"],
            info["caption"],
            given.modalities,
            weights,
            tuple(rewards),
            episode + 1,
            steps,
            outcome,
        )
        if outcome:
            return
        begins = np.array([not rewards])
        action, memory = agent.model.predict(features, memory, begins, deterministic=True)
        shown, reward, terminated, truncated, info = env.step(action)
        rewards.append(float(reward))
        if terminated or truncated:
            outcome = "success" if info["is_success"] else "not reached"


def write_video(path: Path, pictures: Iterable[NDArray[np.uint8]], fps: int) -> None:
    """Write (H, W, 3) pictures as a GIF or an mp4, whole or not at all; ValueError on another suffix."""
    writers = {".gif": _write_gif, ".mp4": _write_mp4}
    if path.suffix.lower() not in writers:
        raise ValueError(f"{path} is neither .gif nor .mp4: name a file of one of these")
    write_atomically(path, lambda temporary: writers[path.suffix.lower()](temporary, pictures, fps))


def _write_gif(path: Path, pictures: Iterable[NDArray[np.uint8]], fps: int) -> None:
    images = [
        Image.fromarray(picture).quantize(128, dither=Image.Dither.NONE) for picture in pictures
    ]
    images[0].save(
        path, "GIF", save_all=True, append_images=images[1:], duration=1000 // fps, loop=0
    )


def _write_mp4(path: Path, pictures: Iterable[NDArray[np.uint8]], fps: int) -> None:
    cv2 = opencv()
    writer = None
    for picture in pictures:
        height, width = (
            len(picture) // 2 * 2,
            picture.shape[1] // 2 * 2,
        )  # the codec wants even sides
        if writer is None:
            writer = cv2.VideoWriter(
                str(path), cv2.VideoWriter_fourcc(*"mp4v"), fps, (width, height)
            )
            if not writer.isOpened():
                raise OSError("this OpenCV can't write mp4: name a .gif instead")
        writer.write(np.ascontiguousarray(picture[:height, :width, ::-1]))
    if writer is not None:
        writer.release()


def lingering(moments: Iterable[Moment], fps: int) -> Iterator[NDArray[np.uint8]]:
    """The picture of every moment, that of an episode's end for a second."""
    for moment in moments:
        picture = draw(moment)
        for _ in range(fps if moment.outcome else 1):
            yield picture


def show(pictures: Iterable[NDArray[np.uint8]], fps: int) -> None:
    """Show pictures in a window until they end or q or Escape is pressed."""
    if not has_display():
        raise ValueError(
            "no display is there to open a window on: name a file, such as --out play.gif"
        )
    cv2 = opencv()
    for picture in pictures:
        cv2.imshow("gw_agents.enjoy", picture[..., ::-1])
        if cv2.waitKey(1000 // fps) & 0xFF in (ord("q"), 27):
            break
    cv2.destroyAllWindows()


def main(config: EnjoyConfig) -> None:
    """Play and show or write."""
    agent = config.load()
    moments = play(
        agent, config.episodes, config.test_modalities, config.split, config.seed, config.size
    )
    pictures = lingering(_telling(moments), config.fps)
    if config.out is None:
        show(pictures, config.fps)
    else:
        write_video(config.out, tqdm(pictures, "drawing", unit="frame"), config.fps)
        print(f"wrote {config.out}")


def _telling(moments: Iterable[Moment]) -> Iterator[Moment]:
    """The same moments; how each episode ended is printed."""
    for moment in moments:
        yield moment
        if moment.outcome:
            total, steps = sum(moment.rewards), len(moment.rewards)
            tqdm.write(
                f"episode {moment.episode}: {moment.outcome} after {steps} steps, return {total:.2f}"
            )


if __name__ == "__main__":
    arguments = tyro.cli(EnjoyConfig)
    run_command(lambda: main(arguments))
