"""Record short rollouts of both scenes, which every Python and machine must repeat.

`python tests/golden.py` writes `tests/data/golden_rollouts.npz` anew. Do that only when the
environments are meant to change: the file is what shows that they did not.
"""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

PATH = Path(__file__).with_name("data") / "golden_rollouts.npz"
ROLLOUTS: dict[str, dict[str, Any]] = {
    "shapes": {"id": "gw_envs:GWSimpleShapes-v0"},
    "shapes_continuous": {"id": "gw_envs:GWSimpleShapes-v0", "actions": "continuous"},
    "factory": {"id": "gw_envs:GWFactory-v0"},
    "factory_random": {"id": "gw_envs:GWFactory-v0", "actions": "continuous", "layout": "random"},
}
"""Arguments of `gym.make` for every recorded rollout."""
SEED, STEPS = 7, 60
HOLD = 6
"""Steps for which an action is repeated, so that tables reach walls and landmarks."""
IMAGE_EVERY = 20
"""Steps between the recorded images, which take most of the room."""


def commands(space: gym.Space) -> NDArray[Any]:
    """Return (STEPS,) discrete or (STEPS, 3) continuous actions, each held for a while."""
    rng = np.random.default_rng(SEED)
    if isinstance(space, gym.spaces.Discrete):
        return np.repeat(rng.integers(6, size=STEPS // HOLD), HOLD)
    return np.repeat(rng.uniform(-1, 1, (STEPS // HOLD, 3)).astype(np.float32), HOLD, axis=0)


def record(arguments: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Return what one rollout shows: a row for the reset and for each step, images now and then."""
    env = gym.make(**arguments, disable_env_checker=True)
    observation, info = env.reset(seed=SEED)
    observations, infos, rewards, ends = [observation], [info], [0.0], [False]
    for action in commands(env.action_space):
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(observation)
        infos.append(info)
        rewards.append(float(reward))
        ends.append(terminated or truncated)
    env.close()
    return {
        "attributes": np.stack([row["attributes"] for row in observations]),
        "language": np.stack([row["language"] for row in observations]).astype(np.int16),
        "image": np.stack([row["image"] for row in observations[::IMAGE_EVERY]]),
        "reward": np.array(rewards),
        "end": np.array(ends),
        "collision": np.array([row["collision"] for row in infos]),
    }


if __name__ == "__main__":
    arrays = {}
    for name, arguments in ROLLOUTS.items():
        arrays |= {f"{name}.{key}": array for key, array in record(arguments).items()}
    np.savez_compressed(PATH, **arrays)
    print(f"wrote {PATH}")
