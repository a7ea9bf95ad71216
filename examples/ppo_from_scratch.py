"""PPO in one file and in plain torch, on workspace vectors: a loop to read, copy and change.

    python examples/ppo_from_scratch.py --env GWSimpleShapes-v0 --modalities attributes
    python examples/ppo_from_scratch.py --env GWFactory-v0 --modalities image --test-modalities language --steps 150000

The environments are a native Gymnasium batch; the workspace encodes all rows of a step at once. Nothing of
Stable-Baselines3 is used in training.
"""

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Categorical
from tqdm import tqdm

from gw_agents import GlobalWorkspace
from gw_agents.acting.evaluation import Scores, run_episodes
from gw_agents.command import parse_arguments, run_command
from gw_envs.errors import check_choice, check_whole
from gw_envs.observation import check_modalities
from gw_envs.scenes import ENV_IDS


@dataclass(frozen=True)
class Arguments:
    """Train a policy with PPO on the vectors of a frozen workspace, and score it in held-out episodes."""

    env: str = "GWSimpleShapes-v0"
    """Id of the environment."""
    modalities: tuple[str, ...] = ("attributes",)
    """What is observed in training: any of image, attributes, language."""
    test_modalities: tuple[str, ...] | None = None
    """What is observed in a second test, without more training."""
    seed: int = 0
    """Seed of the networks, of exploration and of the training episodes."""
    steps: int = 100_000
    """Environment steps."""
    num_envs: int = 32
    """Environments side by side."""
    horizon: int = 128
    """Steps of each environment between two updates."""
    epochs: int = 10
    """Passes over a rollout."""
    batch_size: int = 512
    """Samples of one gradient step."""
    learning_rate: float = 1e-3
    """Of Adam; falls linearly to zero."""
    gamma: float = 0.98
    """Discount of the return."""
    gae_lambda: float = 0.95
    """Between one-step (0) and whole-return (1) advantages."""
    clip: float = 0.2
    """How far the ratio of new to old probabilities counts."""
    value_weight: float = 0.5
    """Weight of the value's squared error."""
    episodes: int = 200
    """Held-out episodes of each test."""


class Policy(nn.Module):
    """(B, Z) workspace vectors -> a distribution over actions, and (B,) values."""

    def __init__(self, inputs: int, actions: int, width: int = 64) -> None:
        super().__init__()

        def network(outputs: int, gain: float) -> nn.Sequential:
            layers = nn.Linear(inputs, width), nn.Linear(width, width), nn.Linear(width, outputs)
            for layer, own_gain in zip(layers, (2**0.5, 2**0.5, gain), strict=True):
                nn.init.orthogonal_(layer.weight, own_gain)
                nn.init.zeros_(layer.bias)
            return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])

        self.actor, self.critic = network(actions, 0.01), network(1, 1.0)

    def forward(self, z: Tensor) -> tuple[Categorical, Tensor]:
        return Categorical(logits=self.actor(z), validate_args=False), self.critic(z).squeeze(-1)


def advantages_of(
    rewards: Tensor, values: Tensor, over: Tensor, last: Tensor, gamma: float, decay: float
) -> Tensor:
    """Generalised advantage estimates (arXiv 1506.02438).

    Args:
        rewards: (T, N), with the discounted value of the last state added where an episode was truncated.
        values: (T, N) of the states that were acted in.
        over: (T, N), 1 where the step ended an episode.
        last: (N,) values of the states after the last step.
        gamma: discount.
        decay: lambda.
    """
    following = torch.cat([values[1:], last[None]])
    errors = rewards + gamma * (1.0 - over) * following - values
    advantages, running = torch.zeros_like(rewards), torch.zeros_like(last)
    for t in reversed(range(len(rewards))):
        running = errors[t] + gamma * decay * (1.0 - over[t]) * running
        advantages[t] = running
    return advantages


class Rollouts:
    """Steps of a batch of environments, collected piece by piece."""

    def __init__(self, arguments: Arguments, gw: GlobalWorkspace) -> None:
        self.arguments, self.gw = arguments, gw
        self.envs = gym.make_vec(
            arguments.env,
            num_envs=arguments.num_envs,
            modalities=arguments.modalities,
            autoreset_mode=AutoresetMode.SAME_STEP,  # the observation after an end is the next episode's first
        )
        shown, _ = self.envs.reset(seed=arguments.seed)
        self.z = torch.from_numpy(gw.encode(shown))  # (N, Z): all rows at once
        self.successes: list[bool] = []

    @torch.no_grad()
    def collect(self, policy: Policy) -> tuple[Tensor, ...]:
        """The next `horizon` steps: z (T N, Z), actions, log probabilities, advantages and returns, (T N,) each."""
        steps: list[tuple[Tensor, ...]] = []
        for _ in range(self.arguments.horizon):
            choice, value = policy(self.z)
            action = choice.sample()
            shown, reward, terminated, truncated, info = self.envs.step(action.numpy())
            over = terminated | truncated
            gained = torch.as_tensor(reward, dtype=torch.float32)
            if over.any():
                ended = info["final_obs"][over]
                last = self.gw.encode(
                    {name: np.stack([one[name] for one in ended]) for name in shown}
                )
                unfinished = torch.as_tensor(
                    truncated[over] & ~terminated[over], dtype=torch.float32
                )
                gained[torch.as_tensor(over)] += (
                    self.arguments.gamma * unfinished * policy(torch.from_numpy(last))[1]
                )
                self.successes += info["final_info"]["is_success"][over].tolist()
            steps.append(
                (
                    self.z,
                    action,
                    choice.log_prob(action),
                    value,
                    gained,
                    torch.as_tensor(over).float(),
                )
            )
            self.z = torch.from_numpy(self.gw.encode(shown))
        z, action, log_probability, value, gained, over = (
            torch.stack(column) for column in zip(*steps, strict=True)
        )
        after = policy(self.z)[1]
        advantage = advantages_of(
            gained, value, over, after, self.arguments.gamma, self.arguments.gae_lambda
        )
        return tuple(
            rows.flatten(0, 1)
            for rows in (z, action, log_probability, advantage, advantage + value)
        )


def improve(
    policy: Policy,
    optimiser: torch.optim.Optimizer,
    rollout: tuple[Tensor, ...],
    arguments: Arguments,
) -> None:
    """PPO's update (arXiv 1707.06347) on one rollout."""
    for _ in range(arguments.epochs):
        for rows in torch.randperm(len(rollout[0])).split(arguments.batch_size):
            z, action, old, advantage, target = (column[rows] for column in rollout)
            choice, value = policy(z)
            ratio = (choice.log_prob(action) - old).exp()
            advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)
            clipped = ratio.clamp(1.0 - arguments.clip, 1.0 + arguments.clip)
            loss = -torch.min(ratio * advantage, clipped * advantage).mean()
            loss = loss + arguments.value_weight * (value - target).square().mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
            optimiser.step()


def train(arguments: Arguments, gw: GlobalWorkspace) -> Policy:
    """Train for `arguments.steps` environment steps, rounded up to whole rollouts."""
    torch.manual_seed(arguments.seed)
    rollouts = Rollouts(arguments, gw)
    policy = Policy(gw.width, int(rollouts.envs.single_action_space.n))  # type: ignore[attr-defined]
    optimiser = torch.optim.Adam(policy.parameters(), arguments.learning_rate, eps=1e-5)
    size = arguments.num_envs * arguments.horizon
    updates = -(-arguments.steps // size)
    with tqdm(total=updates * size, desc=arguments.env, unit="step", unit_scale=True) as bar:
        for update in range(updates):
            optimiser.param_groups[0]["lr"] = arguments.learning_rate * (1.0 - update / updates)
            improve(policy, optimiser, rollouts.collect(policy), arguments)
            recent = rollouts.successes[-100:]
            bar.set_postfix(
                success=f"{np.mean(recent):.0%} of the last {len(recent)}" if recent else "-"
            )
            bar.update(size)
    rollouts.envs.close()
    return policy


def score(
    policy: Policy, gw: GlobalWorkspace, arguments: Arguments, modalities: tuple[str, ...]
) -> Scores:
    """Score the policy's most likely actions in held-out episodes."""

    @torch.no_grad()
    def act(observations: dict[str, Any], begins: NDArray[np.bool_]) -> NDArray:
        return policy(torch.from_numpy(gw.encode(observations)))[0].logits.argmax(-1).numpy()

    return run_episodes(arguments.env, act, arguments.episodes, modalities=modalities)


def main(arguments: Arguments) -> dict[str, Scores]:
    """Train, test, and print the scores beside those of random actions."""
    check_choice("environment", arguments.env, ENV_IDS)
    for what in ("steps", "num_envs", "horizon", "batch_size", "episodes"):
        check_whole(what, getattr(arguments, what), 1)
    tested = {"": check_modalities(arguments.modalities)}  # checked now, not after the training
    if arguments.test_modalities is not None:
        tested[", without more training"] = check_modalities(arguments.test_modalities)
    gw = GlobalWorkspace.from_pretrained(arguments.env, device="cpu")
    rng = np.random.default_rng(arguments.seed)

    def act_randomly(observations: dict[str, Any], begins: NDArray[np.bool_]) -> NDArray:
        return rng.integers(6, size=len(begins))

    results = {"random actions": run_episodes(arguments.env, act_randomly, arguments.episodes)}
    policy = train(arguments, gw)
    for remark, names in tested.items():
        results[" + ".join(names) + remark] = score(policy, gw, arguments, names)
    for name, scores in results.items():
        print(f"{name}: {scores}")
    return results


if __name__ == "__main__":
    run_command(lambda: main(parse_arguments(Arguments, description=__doc__)))
