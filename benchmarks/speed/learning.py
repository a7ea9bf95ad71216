"""How fast PPO learns from images, and where its time goes."""

import time
from pathlib import Path
from typing import Any

from stable_baselines3 import PPO

from benchmarks.speed.networks import BATCH, NATURE_SIDE
from benchmarks.speed.timing import Budget, Rates, Series, Stopwatch
from gw_agents.acting.algorithms import ALGORITHMS
from gw_agents.global_workspace import GlobalWorkspace
from gw_agents.sb3 import GWFeaturesExtractor, GWVecObservation, RawExtractor, make_vec
from gw_envs.scenes import SCENES

WARM_UP = 8
"""Steps in each environment before the time is taken."""
PARTS = ("step", "render", "encode", "policy", "update", "other")
"""Parts of PPO's time: moving the scenes, drawing them, encoding images into z, choosing actions,
updating the policy, and the rest of Stable-Baselines3."""


def make_model(policy: str, venv: Any, steps: int, policy_kwargs: dict[str, Any] | None) -> PPO:
    """Return PPO with our hyperparameters and rollouts of so many steps in each environment."""
    settings = {**ALGORITHMS["ppo"].settings, "n_steps": steps}
    settings["batch_size"] = min(settings["batch_size"], steps * BATCH)
    return PPO(policy, venv, policy_kwargs=policy_kwargs, seed=0, device="cpu", **settings)


def ppo(scene: str, weights: Path, budget: Budget) -> Rates:
    """Return environment steps a second of PPO from images, for every way to read them.

    Environments, hyperparameters and steps are the same for all: one rollout in each of `BATCH`
    environments, and the update on it. `gw` reads workspace vectors. `nature_cnn` and `raw_cnn`
    learn a CNN from pixels: Stable-Baselines3's own (on Simple Shapes of 36 pixels, the smallest it
    takes) and that of the encoder `raw`. The extractors have the workspace's encoder inside the
    policy, and train none or all of it.
    """
    gw, steps = GlobalWorkspace.from_pretrained(weights, device="cpu"), budget.ppo_steps

    def steps_a_second(policy_kwargs: dict[str, Any] | None, **arguments: Any) -> float:
        """Time PPO on images, or without `policy_kwargs` on workspace vectors."""
        env_id = SCENES[scene].env_id
        venv: Any = make_vec(env_id, BATCH, seed=0, modalities=("image",), **arguments)
        policy = "MultiInputPolicy"
        if policy_kwargs is None:
            policy, venv = "MlpPolicy", GWVecObservation(venv, gw)
        make_model(policy, venv, WARM_UP, policy_kwargs).learn(WARM_UP * BATCH)
        model = make_model(policy, venv, steps, policy_kwargs)
        start = time.process_time()
        model.learn(steps * BATCH)
        spent = time.process_time() - start
        venv.close()
        return steps * BATCH / spent

    def inside(trained: str) -> dict[str, Any]:
        """Return policy arguments that put the workspace's encoder inside."""
        return {
            "features_extractor_class": GWFeaturesExtractor,
            "features_extractor_kwargs": {"gw": gw, "trained": trained},
        }

    small = {"image_size": NATURE_SIDE} if scene == "simple_shapes" else {}
    return {
        Series("gw"): steps_a_second(None),
        Series("nature_cnn"): steps_a_second({}, **small),
        Series("raw_cnn"): steps_a_second({"features_extractor_class": RawExtractor}),
        Series("extractor_nothing"): steps_a_second(inside("nothing")),
        Series("extractor_everything"): steps_a_second(inside("everything")),
    }


def profile(scene: str, weights: Path, budget: Budget) -> Rates:
    """Return microseconds of each part of a step of PPO on workspace vectors from images."""
    gw: Any = GlobalWorkspace.from_pretrained(weights, device="cpu")
    venv: Any = make_vec(SCENES[scene].env_id, BATCH, seed=0, modalities=("image",))
    watch, core, batch = Stopwatch(), venv.get_attr("core")[0], venv.unwrapped
    core.images = watch.timed("render", core.images)
    batch.step_wait = watch.timed("step", batch.step_wait)
    gw.encode_with_weights = watch.timed("encode", gw.encode_with_weights)
    venv = GWVecObservation(venv, gw)
    make_model("MlpPolicy", venv, WARM_UP, None).learn(WARM_UP * BATCH)
    model: Any = make_model("MlpPolicy", venv, budget.ppo_steps, None)
    model.policy.forward = watch.timed("policy", model.policy.forward)
    model.train = watch.timed("update", model.train)
    watch.spent.clear()
    steps = budget.ppo_steps * BATCH
    watch.timed("other", model.learn)(steps)
    venv.close()
    return {Series(part): 1e6 * watch.spent.get(part, 0.0) / steps for part in PARTS}
