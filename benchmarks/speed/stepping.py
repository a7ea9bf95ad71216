"""How fast environments step, in batches and alone, and what memory they take."""

import subprocess
import sys
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.speed.timing import Budget, Rates, Series, endless, rate
from gw_envs.dataset import Sampler
from gw_envs.factory.camera import FactoryCamera
from gw_envs.factory.sim import FactorySimulation
from gw_envs.scenes import SCENES

MODALITIES = (
    ("attributes",),
    ("image",),
    ("language",),
    ("image", "attributes"),
    ("image", "attributes", "language"),
)
"""What steps observe."""
EPISODE = 100
"""Steps after which the physics-only tables are reset."""
MEMORY_SIZES = (1, 64)
"""Numbers of scenes whose memory is measured."""


def stepping(env: gym.vector.VectorEnv, seconds: float) -> float:
    """Return steps a second of a random policy, resets included; closes the environment."""
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(6, size=(997, env.num_envs))
    turn = endless(len(actions))
    steps_a_second = rate(lambda: env.step(actions[next(turn)]), env.num_envs, seconds)
    env.close()
    return steps_a_second


def batches(scene: str, budget: Budget) -> Rates:
    """Return steps a second for every number of scenes and every set of modalities."""
    rates = {}
    for modalities in MODALITIES:
        for count in budget.sizes:
            env = gym.make_vec(SCENES[scene].env_id, num_envs=count, modalities=modalities)
            rates[Series("+".join(modalities), count)] = stepping(env, budget.seconds)
    return rates


def factory_batches(budget: Budget) -> Rates:
    """Return the same for the Factory, and rates of physics alone and with PyBullet's render."""
    rates = batches("factory", budget)
    rates[Series("full_render")] = steps_with_full_render(budget.seconds)
    for count in budget.sizes:
        rates[Series("physics", count)] = physics(count, budget.seconds)
    return rates


def steps_with_full_render(seconds: float) -> float:
    """Return steps a second of one Factory whose image is PyBullet's picture of everything."""
    env = gym.make_vec(SCENES["factory"].env_id, num_envs=1, modalities=("image",))
    core: Any = env.unwrapped.core  # type: ignore[attr-defined]
    camera = FactoryCamera(core.image_size)
    core.images = lambda state: camera.render_full(state, shadow=False)
    steps_a_second = stepping(env, seconds)
    camera.close()
    return steps_a_second


def physics(count: int, seconds: float) -> float:
    """Return steps a second of tables in Bullet, driven at random."""
    state = Sampler("factory", "test", modalities=("attributes",)).states(0, count)
    poses = np.stack([state.x, state.y, state.rotation], -1)
    speeds = np.random.default_rng(0).uniform(-0.5, 0.5, (EPISODE, 3))
    simulations = [FactorySimulation() for _ in range(count)]

    def episode() -> None:
        for row, simulation in enumerate(simulations):
            simulation.reset(poses[row], state.landmarks[row])
        for speed in speeds:
            for simulation in simulations:
                simulation.step(speed)

    steps_a_second = rate(episode, count * EPISODE, seconds)
    for simulation in simulations:
        simulation.close()
    return steps_a_second


def single_environments(scene: str, budget: Budget) -> Rates:
    """Return steps a second of single environments, made with `gym.make`."""
    env_id = SCENES[scene].env_id
    rates = {}
    for modality in ("attributes", "image"):
        env = gym.make(env_id, modalities=(modality,))
        rates[Series(modality)] = alone(env, budget.seconds)
    return rates | {Series("cart_pole"): alone(gym.make("CartPole-v1"), budget.seconds)}


def alone(env: gym.Env, seconds: float) -> float:
    """Return steps a second of one environment under a random policy, resets included."""
    env.reset(seed=0)
    choices: Any = env.action_space
    actions = np.random.default_rng(0).integers(choices.n, size=997).tolist()
    turn = endless(len(actions))

    def step() -> None:
        _, _, terminated, truncated, _ = env.step(actions[next(turn)])
        if terminated or truncated:
            env.reset()

    steps_a_second = rate(step, 1, seconds)
    env.close()
    return steps_a_second


MEASURE_MEMORY = """
import sys
from pathlib import Path
import gymnasium as gym
import gw_envs
env = gym.make_vec(sys.argv[1], num_envs=int(sys.argv[2]))
env.reset(seed=0)
for _ in range(3):
    env.step(env.action_space.sample())
status = Path("/proc/self/status")
if status.exists():
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    print(float(line.split()[1]) / 2**10)
else:
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""
"""A program that prints its megabytes with so many scenes open; the `else` is for macOS."""


def memory(scene: str, budget: Budget) -> Rates:
    """Return megabytes of a process that steps so many scenes with all modalities; empty on
    Windows, which is not supported."""
    if sys.platform == "win32":
        return {}
    megabytes = {}
    for count in MEMORY_SIZES:
        command = [sys.executable, "-c", MEASURE_MEMORY, SCENES[scene].env_id, str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        megabytes[Series("process", count)] = float(done.stdout)
    first, last = MEMORY_SIZES
    growth = megabytes[Series("process", last)] - megabytes[Series("process", first)]
    megabytes[Series("each further scene")] = growth / (last - first)
    return megabytes
