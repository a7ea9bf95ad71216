"""PPO in one file and in plain torch, on workspace vectors: a loop to read, copy and change.

    python examples/ppo_from_scratch.py --env GWSimpleShapes-v0 --modalities attributes
    python examples/ppo_from_scratch.py --env GWFactory-v0 --modalities image \\
        --test-modalities language --steps 150000

The environments are a native Gymnasium batch, and the workspace encodes all rows of a step at once.
Training does not use Stable-Baselines3.
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
    """Train a PPO policy on vectors of a frozen workspace; score it in held-out episodes."""

    env: str = "GWSimpleShapes-v0"
    """Id of the environment."""
    modalities: tuple[str, ...] = ("attributes",)
    """Modalities observed in training: any of image, attributes, language."""
    test_modalities: tuple[str, ...] | None = None
    """Modalities observed in a second test, without more training."""
    seed: int = 0
    """Seed of the networks, of exploration and of the training episodes."""
    steps: int = 100_000
    """Environment steps."""
    num_envs: int = 32
    """Environments stepped together."""
    horizon: int = 128
    """Steps of each environment in one rollout."""
    epochs: int = 10
    """Passes over a rollout."""
    batch_size: int = 512
    """Samples of one gradient step."""
    learning_rate: float = 1e-3
    """Initial learning rate of Adam; it falls linearly to zero."""
    gamma: float = 0.98
    """Discount factor."""
    gae_lambda: float = 0.95
    """Lambda of the advantage estimates, from one-step (0) to whole-return (1)."""
    clip: float = 0.2
    """Largest distance from 1 at which the ratio of new to old probabilities counts."""
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
    rewards: Tensor, values: Tensor, done: Tensor, last: Tensor, gamma: float, decay: float
) -> Tensor:
    """Compute generalized advantage estimates, (T, N) (arXiv 1506.02438).

    Args:
        rewards: (T, N), plus the discounted value of the last state where an episode was truncated.
        values: (T, N) values of the states that the policy acted in.
        done: (T, N), 1 where the step ended an episode.
        last: (N,) values of the states after the last step.
        gamma: discount factor.
        decay: lambda of the estimates.
    """
    following = torch.cat([values[1:], last[None]])
    errors = rewards + gamma * (1.0 - done) * following - values
    advantages, running = torch.zeros_like(rewards), torch.zeros_like(last)
    for t in reversed(range(len(rewards))):
        running = errors[t] + gamma * decay * (1.0 - done[t]) * running
        advantages[t] = running
    return advantages


class Rollouts:
    """Collects steps of a batch of environments, one rollout at a time."""

    def __init__(self, arguments: Arguments, gw: GlobalWorkspace) -> None:
        self.arguments, self.gw = arguments, gw
        self.envs = gym.make_vec(
            arguments.env,
            num_envs=arguments.num_envs,
            modalities=arguments.modalities,
            autoreset_mode=AutoresetMode.SAME_STEP,  # an ended episode returns the next one's start
        )
        observations, _ = self.envs.reset(seed=arguments.seed)
        self.z = torch.from_numpy(gw.encode(observations))  # (N, Z): all rows at once
        self.successes: list[bool] = []

    @torch.no_grad()
    def collect(self, policy: Policy) -> tuple[Tensor, ...]:
        """Take `horizon` steps in every environment.

        Returns z (T N, Z), and actions, log probabilities, advantages and returns, (T N,) each.
        """
        steps: list[tuple[Tensor, ...]] = []
        for _ in range(self.arguments.horizon):
            choice, value = policy(self.z)
            action = choice.sample()
            observations, reward, terminated, truncated, info = self.envs.step(action.numpy())
            done = terminated | truncated
            rewards = torch.as_tensor(reward, dtype=torch.float32)
            if done.any():
                unfinished = torch.as_tensor(truncated & ~terminated, dtype=torch.float32)[done]
                last = self._values_at_end(policy, info["final_obs"][done])
                rewards[torch.as_tensor(done)] += self.arguments.gamma * unfinished * last
                self.successes += info["final_info"]["is_success"][done].tolist()
            ended = torch.as_tensor(done).float()
            steps.append((self.z, action, choice.log_prob(action), value, rewards, ended))
            self.z = torch.from_numpy(self.gw.encode(observations))
        columns = zip(*steps, strict=True)
        z, action, log_probability, value, rewards, done = map(torch.stack, columns)
        advantage = advantages_of(
            rewards,
            value,
            done,
            policy(self.z)[1],
            self.arguments.gamma,
            self.arguments.gae_lambda,
        )
        rollout = (z, action, log_probability, advantage, advantage + value)
        return tuple(rows.flatten(0, 1) for rows in rollout)

    def _values_at_end(self, policy: Policy, observations: NDArray) -> Tensor:
        """Return (K,) values of the last observations, dicts of arrays, of K episodes."""
        batch = {}
        for name in observations[0]:
            batch[name] = np.stack([observation[name] for observation in observations])
        return policy(torch.from_numpy(self.gw.encode(batch)))[1]


def improve(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    rollout: tuple[Tensor, ...],
    arguments: Arguments,
) -> None:
    """Update the policy on one rollout, as PPO does (arXiv 1707.06347)."""
    for _ in range(arguments.epochs):
        for rows in torch.randperm(len(rollout[0])).split(arguments.batch_size):
            z, action, old, advantage, target = (column[rows] for column in rollout)
            choice, value = policy(z)
            ratio = (choice.log_prob(action) - old).exp()
            advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)
            clipped = ratio.clamp(1.0 - arguments.clip, 1.0 + arguments.clip)
            loss = -torch.min(ratio * advantage, clipped * advantage).mean()
            loss = loss + arguments.value_weight * (value - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
            optimizer.step()


def train(arguments: Arguments, gw: GlobalWorkspace) -> Policy:
    """Train for `arguments.steps` environment steps, rounded up to whole rollouts."""
    torch.manual_seed(arguments.seed)
    rollouts = Rollouts(arguments, gw)
    policy = Policy(gw.width, int(rollouts.envs.single_action_space.n))  # type: ignore[attr-defined]
    optimizer = torch.optim.Adam(policy.parameters(), arguments.learning_rate, eps=1e-5)
    size = arguments.num_envs * arguments.horizon
    updates = -(-arguments.steps // size)
    with tqdm(total=updates * size, desc=arguments.env, unit="step", unit_scale=True) as bar:
        for update in range(updates):
            optimizer.param_groups[0]["lr"] = arguments.learning_rate * (1.0 - update / updates)
            improve(policy, optimizer, rollouts.collect(policy), arguments)
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
    for name in ("steps", "num_envs", "horizon", "batch_size", "episodes"):
        check_whole(name, getattr(arguments, name), 1)
    tested = {"": check_modalities(arguments.modalities)}  # fails now, not after training
    if arguments.test_modalities is not None:
        tested[", without more training"] = check_modalities(arguments.test_modalities)
    gw = GlobalWorkspace.from_pretrained(arguments.env, device="cpu")
    rng = np.random.default_rng(arguments.seed)

    def act_randomly(observations: dict[str, Any], begins: NDArray[np.bool_]) -> NDArray:
        return rng.integers(6, size=len(begins))

    results = {"random actions": run_episodes(arguments.env, act_randomly, arguments.episodes)}
    policy = train(arguments, gw)
    for remark, modalities in tested.items():
        results[" + ".join(modalities) + remark] = score(policy, gw, arguments, modalities)
    for name, scores in results.items():
        print(f"{name}: {scores}")
    return results


if __name__ == "__main__":
    run_command(lambda: main(parse_arguments(Arguments, description=__doc__)))
