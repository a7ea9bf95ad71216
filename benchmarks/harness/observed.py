"""What the running environments show, for benchmarks to learn from and be judged on."""

from typing import Any

from gw_envs.dataset import collect


def observed(scene: str, split: str, episodes: int) -> dict[str, dict[str, Any]]:
    """{"reset": beginnings of episodes, "rollout": as much of random rollouts}, each as `collect`
    gives it."""
    return {
        "reset": collect(scene, split, episodes),
        "rollout": collect(
            scene, split, episodes // 20, seed=1, policy="random", steps_per_episode=19
        ),
    }
