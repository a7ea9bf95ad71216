"""How fast scenes are drawn, described and moved, beside other ways to do it, on one thread.

    python benchmarks/throughput.py --preset quick

Every ratio is of two rates measured one after the other in the same run, in seconds of this process' own CPU time, so
that it changes little with the machine and with what else it does. Writes a table, `throughput.json` and a picture of
how the cost of a scene falls with their number.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything that reads it

import cv2
import gymnasium as gym
import numpy as np
import tyro
from tqdm import tqdm

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import Cells, Row, figure, make_row, table, write_summary
from benchmarks.speed.other_renderers import Matplotlib, supersampled
from benchmarks.network_speed import BATCH, IDS, STACKED, encoding, learning, training
from gw_agents.command import run_command
from gw_envs.dataset import Sampler
from gw_envs.factory.camera import FactoryCamera
from gw_envs.factory.sim import FactorySimulation
from gw_envs.language import tokens
from gw_envs.simple_shapes import render

SIZES = (1, 16, 64, 256)
"""How many scenes side by side."""
MODALITIES = (
    ("attributes",),
    ("image",),
    ("language",),
    ("image", "attributes"),
    ("image", "attributes", "language"),
)
"""What steps observe."""
BASELINES = {
    ("simple_shapes", "render"): (("render", "matplotlib"), ("render", "copy")),
    ("simple_shapes", "steps"): (("render", "matplotlib"),),
    ("factory", "steps"): (("steps", "full_render"), ("steps", "physics")),
}
"""(scene, subject) -> what it stands beside at every number of scenes, as (subject, name)."""
PPO_STEPS = 128
"""Steps in each environment that PPO learns from while it is timed."""
REDRAWS = "nothing: the measurement is repeated"


@dataclass(frozen=True)
class Arguments:
    """Throughput of renderers, captions and environments."""

    preset: Literal["quick", "full"] = "full"
    """Quick times everything for 0.05 s instead of 0.3 s, lets PPO learn for a quarter of the steps, and leaves out 256
    Factory scenes."""
    repeats: int = 5
    """How often everything is measured."""
    out: Path = Path("results")
    """Where results go."""


Rates = dict[str, float]
"""Things a second, by name."""


def rate(work: Callable[[], Any], count: int, seconds: float) -> float:
    """How many things a second `work` does, which does `count` of them a call."""
    work()
    calls, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds or not calls:
        work()
        calls += 1
    return count * calls / spent


def one_by_one(draw: Callable[[Any, int], Any], state: Any) -> Callable[[], Any]:
    """Work that draws the next row of a state at every call."""
    rows = _endless(len(state))
    return lambda: draw(state, next(rows))


def _endless(count: int) -> Any:
    while True:
        yield from range(count)


def drawing(seconds: float) -> Rates:
    """Simple Shapes pictures a second, ours and others'."""
    state = Sampler("simple_shapes", "test").states(0, max(SIZES))
    pictures, matplotlib = render(state), Matplotlib()
    others = {
        "matplotlib": matplotlib.one_figure,
        "matplotlib_new_figure": matplotlib.new_figure,
        "matplotlib_one_patch": matplotlib.one_patch,
        "opencv_supersampled": supersampled,
    }
    found = {name: rate(one_by_one(draw, state), 1, seconds) for name, draw in others.items()}
    found |= {f"ours {n}": rate(partial(render, state[:n]), n, seconds) for n in SIZES}
    found |= {f"copy {n}": rate(pictures[:n].copy, n, seconds) for n in SIZES}
    matplotlib.close()
    return found


def captions(scene: str, seconds: float) -> Rates:
    """Captions a second, as token ids."""
    state = Sampler(scene, "test", modalities=("language",)).states(0, max(SIZES))
    return {f"ours {n}": rate(partial(tokens, state[:n]), n, seconds) for n in SIZES}


def stepping(env: gym.vector.VectorEnv, seconds: float) -> float:
    """Steps a second of a random policy, resets included."""
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(6, size=(997, env.num_envs))
    turn = _endless(len(actions))
    found = rate(lambda: env.step(actions[next(turn)]), env.num_envs, seconds)
    env.close()
    return found


def steps(scene: str, sizes: tuple[int, ...], seconds: float) -> Rates:
    """Steps a second for every number of scenes and every set of modalities."""
    return {
        f"{'+'.join(shown)} {n}": stepping(
            gym.make_vec(IDS[scene], num_envs=n, modalities=shown), seconds
        )
        for shown in MODALITIES
        for n in sizes
    }


def steps_with_full_render(seconds: float) -> float:
    """Steps a second of one Factory whose image is PyBullet's picture of everything."""
    env = gym.make_vec(IDS["factory"], num_envs=1, modalities=("image",))
    core: Any = env.unwrapped.core  # type: ignore[attr-defined]
    camera = FactoryCamera(core.image_size)
    core.images = lambda state: camera.render_full(state, shadow=False)
    found = stepping(env, seconds)
    camera.close()
    return found


def physics(seconds: float) -> float:
    """Steps a second of one table in Bullet, driven about at random and put back after a hundred steps."""
    state = Sampler("factory", "test", modalities=("attributes",)).states(0, 64)
    pose = np.stack([state.x, state.y, state.rotation], -1)
    speeds = np.random.default_rng(0).uniform(-0.5, 0.5, (100, 3))
    simulation, turn = FactorySimulation(), _endless(len(state))

    def episode() -> None:
        row = next(turn)
        simulation.reset(pose[row], state.landmarks[row])
        for speed in speeds:
            simulation.step(speed)

    found = rate(episode, len(speeds), seconds)
    simulation.close()
    return found


def looking(size: int, seconds: float) -> Rates:
    """Factory pictures a second, ours and PyBullet's own of everything."""
    camera, state = (
        FactoryCamera(size),
        Sampler("factory", "test", modalities=("attributes",)).states(0, 64),
    )
    assert np.array_equal(camera.render(state[:8]), camera.render_full(state[:8], shadow=False))
    full = one_by_one(
        lambda states, row: camera.render_full(states[row : row + 1], shadow=False), state
    )
    found = {
        "ours": rate(lambda: camera.render(state), len(state), seconds),
        "full_render": rate(full, 1, seconds),
    }
    camera.close()
    return found


def jobs(arguments: Arguments) -> dict[tuple[str, str], Callable[[], Rates]]:
    """What is measured in every repeat: (scene, subject) -> rates."""
    quick = arguments.preset == "quick"
    seconds, sizes = (0.05, SIZES[:-1]) if quick else (0.3, SIZES)
    n_steps = PPO_STEPS // 4 if quick else PPO_STEPS
    return {
        ("simple_shapes", "render"): lambda: drawing(seconds),
        ("simple_shapes", "captions"): lambda: captions("simple_shapes", seconds),
        ("factory", "captions"): lambda: captions("factory", seconds),
        ("simple_shapes", "encoding"): lambda: encoding("simple_shapes", seconds, rate),
        ("factory", "encoding"): lambda: encoding("factory", seconds, rate),
        ("simple_shapes", "training"): lambda: training(seconds),
        ("simple_shapes", "ppo"): lambda: learning("simple_shapes", n_steps),
        ("factory", "ppo"): lambda: learning("factory", n_steps),
        ("simple_shapes", "steps"): lambda: steps("simple_shapes", SIZES, seconds),
        ("factory", "camera 64"): lambda: looking(64, seconds),
        ("factory", "camera 128"): lambda: looking(128, seconds),
        ("factory", "steps"): lambda: {
            **steps("factory", sizes, 2 * seconds),
            "full_render": steps_with_full_render(2 * seconds),
            "physics": physics(2 * seconds),
        },
    }


class Summary:
    """The rows of ratios and rates, from the rates of all repeats."""

    def __init__(self, found: Mapping[tuple[str, str], list[Rates]]) -> None:
        self.found = found
        self.rows: list[Row] = []

    def add(
        self,
        claim: str,
        scene: str,
        condition: dict[str, Any],
        ours: tuple[str, str],
        theirs: tuple[str, str],
        metric: str = "ratio",
    ) -> None:
        """A row of how many times as fast `ours` is as `theirs`, both (subject, name), with the range over repeats."""
        ratios = [
            ours_found[ours[1]] / their_found[theirs[1]]
            for ours_found, their_found in zip(
                self.found[scene, ours[0]], self.found[scene, theirs[0]], strict=True
            )
        ]
        row = make_row(f"throughput/{claim}", scene, condition, metric, ratios, REDRAWS)
        self.rows.append(replace(row, low=min(ratios), high=max(ratios)))

    def add_rate(
        self, claim: str, scene: str, condition: dict[str, Any], subject: str, name: str
    ) -> None:
        """A row of how many a second."""
        rates = [rates[name] for rates in self.found[scene, subject]]
        self.rows.append(
            make_row(f"throughput/{claim}", scene, condition, "per second", rates, REDRAWS)
        )


def summarise(found: Mapping[tuple[str, str], list[Rates]]) -> list[Row]:
    """Every claim: ratios, then rates and their ratios at every number of scenes."""
    summary, shapes, factory = Summary(found), "simple_shapes", "factory"
    largest = {"num_envs": max(SIZES)}
    ours = ("render", f"ours {max(SIZES)}")
    for other in (
        "matplotlib",
        "matplotlib_new_figure",
        "matplotlib_one_patch",
        "opencv_supersampled",
    ):
        summary.add(f"render/simple_shapes/{other}", shapes, largest, ours, ("render", other))
    summary.add(
        "render/simple_shapes/copy", shapes, largest, ours, ("render", f"copy {max(SIZES)}")
    )
    for other in ("matplotlib", "matplotlib_new_figure", "matplotlib_one_patch"):
        condition = {"num_envs": 64, "modalities": "image+attributes"}
        summary.add(
            f"steps/simple_shapes/{other}",
            shapes,
            condition,
            ("steps", "image+attributes 64"),
            ("render", other),
        )
    for size in (64, 128):
        subject = f"camera {size}"
        summary.add(
            "camera/full_render",
            factory,
            {"size": size},
            (subject, "ours"),
            (subject, "full_render"),
        )
    condition = {"num_envs": 16, "modalities": "image"}
    summary.add(
        "steps/factory/full_render",
        factory,
        condition,
        ("steps", "image 16"),
        ("steps", "full_render"),
    )
    for scene in (shapes, factory):
        subject = "encoding"
        summary.add(
            f"encoding/{scene}/nature_cnn",
            scene,
            {"batch": BATCH},
            (subject, "ours"),
            (subject, "nature_cnn"),
        )
    for scene in (shapes, factory):
        condition = {"num_envs": BATCH, "modalities": "image"}
        for other in ("nature_cnn", "raw_cnn"):
            summary.add(f"ppo/{scene}/{other}", scene, condition, ("ppo", "gw"), ("ppo", other))
        for trained in ("nothing", "everything"):
            about = condition | {"trained": trained}
            summary.add(
                f"ppo/{scene}/extractor",
                scene,
                about,
                ("ppo", "gw"),
                ("ppo", f"extractor_{trained}"),
            )
    condition = {"model": "tr+cont+dcy+cy", "stacked": STACKED}
    summary.add(
        "training/stacked", shapes, condition, ("training", "stacked"), ("training", "single")
    )
    for scene in (shapes, factory):
        summary.add(
            f"captions/{scene}/batch",
            scene,
            largest,
            ("captions", f"ours {max(SIZES)}"),
            ("captions", "ours 1"),
        )
    for (scene, subject), repeats in found.items():
        for name in repeats[0]:
            what, _, count = name.rpartition(" ")
            condition = {"what": what or name} | ({"num_envs": int(count)} if what else {})
            summary.add_rate(
                f"{subject.replace(' ', '/')}/{scene}/rate", scene, condition, subject, name
            )
            for other, baseline in (
                BASELINES.get((scene, subject), ()) if what and what != "copy" else ()
            ):
                theirs = f"{baseline} {count}" if baseline == "copy" else baseline
                claim = f"{subject}/{scene}/{baseline}"
                summary.add(
                    claim, scene, condition, (subject, name), (other, theirs), "times at each count"
                )
    return summary.rows


def draw_costs(found: Mapping[tuple[str, str], list[Rates]], path: Path) -> None:
    """Draw the time a scene takes against the number of scenes side by side, one panel a scene."""

    def series(scene: str, subject: str, what: str) -> tuple[list[int], list[float]]:
        first = found[scene, subject][0]
        sizes = [n for n in SIZES if f"{what} {n}" in first]
        costs = [[1e6 / rates[f"{what} {n}"] for rates in found[scene, subject]] for n in sizes]
        return sizes, [float(np.median(cost)) for cost in costs]

    def draw(axes: Any) -> None:
        for panel, scene in zip(axes, IDS, strict=True):
            for shown in ("+".join(names) for names in MODALITIES):
                panel.loglog(*series(scene, "steps", shown), "o-", label=f"step with {shown}")
            panel.loglog(*series(scene, "captions", "ours"), "s:", label="caption alone")
            others: dict[str, tuple[str, ...]] = {"steps": ("full_render", "physics")}
            if scene == "simple_shapes":
                panel.loglog(*series(scene, "render", "ours"), "s--", label="picture alone")
                others = {"render": ("matplotlib", "matplotlib_one_patch")}
            for subject, names in others.items():
                for style, name in zip(("-.", ":"), names, strict=False):
                    cost = np.median([1e6 / rates[name] for rates in found[scene, subject]])
                    label = "physics alone" if name == "physics" else name.replace("_", " ")
                    panel.axhline(cost, color="black", linestyle=style, label=label)
            panel.set(title=scene, xlabel="scenes side by side", xticks=SIZES, xticklabels=SIZES)
            panel.minorticks_off()
            panel.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.12))
        axes[0].set_ylabel("microseconds a scene")

    figure(path, draw, width=11, height=5, columns=2)


def at_each_count(rows: list[Row]) -> str:
    """A table of how many times as fast as its baseline everything is, a column for each number of scenes."""
    lines: dict[tuple[str, str], dict[int, str]] = {}
    for row in rows:
        if row.metric == "times at each count":
            cell = f"{row.measured:,.3g} ({row.low:,.3g} to {row.high:,.3g})"
            lines.setdefault((row.claim, row.condition["what"]), {})[row.condition["num_envs"]] = (
                cell
            )
    return table(
        ("times as fast as", "what", *(f"{n} scenes" for n in SIZES)),
        [(*names, *(cells.get(n, "") for n in SIZES)) for names, cells in lines.items()],
    )


def main(arguments: Arguments) -> None:
    """Measure, print, draw."""
    cv2.setNumThreads(1)
    cells = Cells(arguments.out, "throughput")
    work = jobs(arguments)
    found: dict[tuple[str, str], list[Rates]] = {job: [] for job in work}
    inputs = f"{arguments.preset}, begun {time.strftime('%Y-%m-%d %H:%M:%S')}"  # rates of other times say nothing here
    with tqdm(total=arguments.repeats * len(work), unit="job") as bar:
        for repeat in range(arguments.repeats):
            for (scene, subject), measure in work.items():
                bar.set_description(f"{scene} {subject}")
                found[scene, subject].append(
                    cells.run(scene, {"subject": subject}, repeat, inputs, measure)
                )
                bar.update()
    rows = summarise(found)
    lines = [
        (
            row.claim,
            " ".join(f"{key}={value}" for key, value in row.condition.items()),
            f"{row.measured:,.4g}",
            f"{row.low:,.4g} to {row.high:,.4g}",
        )
        for row in rows
        if row.metric == "ratio"
    ]
    print(
        table(("claim", "condition", "times as fast", f"range of {arguments.repeats}"), lines),
        end="\n\n",
    )
    print(at_each_count(rows))
    print(f"rows: {write_summary(arguments.out, 'throughput', rows)}")
    draw_costs(found, arguments.out / "throughput.png")
    print(f"picture: {arguments.out / 'throughput.png'}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
