"""Agents that act on the workspace: how well, on modalities they never saw in training, and while sensors fail.

    python benchmarks/control.py

PPO learns each scene's task from one modality (or all three, fused) through one encoder, and is then scored in the same
held-out episodes with every modality that its policy can be given, without more training. Encoders: `gw`, the shipped
workspace; `contrastive`, a workspace of the same domain modules trained with the contrastive loss alone; `unimodal`,
the latent of the training modality; `concatenation`, all latents side by side; `raw`, the observation, end to end.
Returns are scaled so that random actions are 0 and the scripted expert is 1. Policies never meet a failing sensor in
training.
"""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from scipy.stats import trim_mean

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import Cells, Row, alone, figure, interval, make_row, table, write_summary
from benchmarks.engines import Sweep, Task
from gw_agents.acting.agent import Agent
from gw_agents.acting.evaluation import evaluate, run_episodes
from gw_agents.acting.spec import AgentSpec
from gw_agents.checkpoint import fingerprint
from gw_agents.command import run_command
from gw_agents.pretrain import Folders, WorkspaceTraining
from gw_agents.train import TrainConfig, train
from gw_envs.assets import asset_path
from gw_envs.corruption import CorruptVectorObservation
from gw_envs.expert import expert_actions
from gw_envs.observation import MODALITIES

IDS = {"simple_shapes": "GWSimpleShapes-v0", "factory": "GWFactory-v0"}
SOURCES = {
    "image": ("image",),
    "attributes": ("attributes",),
    "language": ("language",),
    "all": MODALITIES,
}
"""What is observed, in training and in tests."""
KINDS: dict[str, dict[str, str]] = {
    "noise": {"image": "noise", "attributes": "noise", "language": "replaced"},
    "loss": {"image": "blackout", "attributes": "dropped", "language": "empty"},
    "stale": {"image": "frozen", "attributes": "stale"},
    "other_scene": dict.fromkeys(MODALITIES, "other_scene"),
}
"""Failures of one of three sensors, a different one in each episode, for its whole length, at severity 1."""
REDRAWS = "policy, exploration, training episodes"
SHARED = ("gw", "contrastive")
"""Encoders whose vectors mean the same whatever they were read from."""
MASTERED = 0.9
"""Scaled return from which policies count as good at what they were trained on."""


@dataclass(frozen=True)
class Size:
    """How much is done."""

    seeds: Mapping[str, int]
    """Agents of each encoder."""
    steps: Mapping[str, int]
    """Environment steps of training, by scene."""
    episodes: int
    """Held-out episodes of each test."""


SIZES = {
    "quick": Size({"gw": 1}, {"simple_shapes": 60_000, "factory": 60_000}, 100),
    "full": Size(
        {"gw": 5, "contrastive": 5, "unimodal": 3, "concatenation": 3, "raw": 3},
        {"simple_shapes": 200_000, "factory": 60_000},
        500,
    ),
}


@dataclass(frozen=True)
class Arguments:
    """Training, zero-shot transfer between modalities, and control while sensors fail."""

    scene: Literal["simple_shapes", "factory", "both"] = "both"
    """Which scene."""
    preset: Literal["quick", "full"] = "quick"
    """How much is done: minutes, or many hours."""
    encoders: tuple[str, ...] | None = None
    """Which encoders; all of the preset's by default."""
    sources: tuple[str, ...] = tuple(SOURCES)
    """What agents are trained on: image, attributes, language, all."""
    seeds: int | None = None
    """Agents of each kind, at most; those of the preset by default."""
    out: Path = Path("results")
    """Where results go. The same command again goes on where it was."""
    sweep: tyro.conf.OmitArgPrefixes[Sweep] = field(default_factory=Sweep)
    """Where cells are computed."""


def ends(scene: str, who: str, episodes: int) -> dict[str, float]:
    """Mean return and success of the expert or of random actions."""
    rng = np.random.default_rng(0)

    def act(shown: dict[str, Any], begins: Any) -> Any:
        if who == "expert":
            return expert_actions(scene, shown["attributes"])
        return rng.integers(6, size=len(shown["attributes"]))

    return run_episodes(IDS[scene], act, episodes, "test").summary()


def contrastive_weights(scene: str, out: Path) -> Path:
    """The folder of a workspace trained with the contrastive loss alone, trained there if it is not."""
    folder = out / "contrastive" / scene
    with alone(folder):
        if not (folder / "workspace.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            for modality, suffix in product(MODALITIES, (".json", ".safetensors")):
                shutil.copy(asset_path(f"weights/{scene}/{modality}{suffix}"), folder)
            WorkspaceTraining(scene, losses="cont", folders=Folders(folder.parent, out / "runs"))()  # type: ignore[arg-type]
    return folder


def agent_of(scene: str, encoder: str, source: str, seed: int, steps: int, out: Path) -> Agent:
    """A trained agent; its run is resumed if there is one."""
    weights = str(contrastive_weights(scene, out)) if encoder == "contrastive" else None
    policy_input: Any = "gw" if encoder == "contrastive" else encoder
    config = TrainConfig(
        AgentSpec(IDS[scene], SOURCES[source], policy_input, weights=weights),
        seed=seed,
        steps=steps,
        out=out / "agents" / f"{scene}_{encoder}_{source}_{seed}",
    )
    return train(config, quiet=True)


def measure(
    scene: str, encoder: str, source: str, seed: int, steps: int, episodes: int, out: Path
) -> dict[str, Any]:
    """One cell: the learning curve, and the scores of every test of an agent."""
    agent = agent_of(scene, encoder, source, seed, steps, out)
    score = partial(evaluate, agent, episodes=episodes, split="test")
    found: dict[str, Any] = {
        "curve": agent.training["curve"],
        "seconds": agent.training["seconds"],
        "tests": {
            name: score(modalities=SOURCES[name]).summary() for name in tests_of(encoder, source)
        },
    }
    if encoder == "gw" and source == "all":
        found["corrupted"] = {
            f"{kind}, attention {attention or 'none'}": score(
                representation=agent.represent(attention=attention),
                wrap=partial(CorruptVectorObservation, faults=faults, at_once=1),
            ).summary()
            for (kind, faults), attention in product(KINDS.items(), (None, "best"))
        }
    return found


def measure_without(
    scene: str, encoder: str, source: str, seed: int, steps: int, episodes: int, out: Path
) -> dict[str, dict[str, float]]:
    """One cell: the scores of an agent of all modalities while one of them is not there at all."""
    agent = agent_of(scene, encoder, source, seed, steps, out)
    found = {}
    for lost, attention in product(MODALITIES, (None, "best")):
        rest = [name for name in MODALITIES if name != lost]
        shown = agent.represent(rest, attention=attention)
        score = evaluate(agent, episodes, "test", representation=shown)
        found[f"{lost}, attention {attention or 'none'}"] = score.summary()
    return found


def compute(
    seeds: Sequence[int], scene: str, encoder: str, source: str, *rest: Any
) -> list[dict[str, Any]]:
    """The figures of each seed's agent."""
    return [measure(scene, encoder, source, seed, *rest) for seed in seeds]


def compute_without(
    seeds: Sequence[int],
    scene: str,
    encoder: str,
    source: str,
    steps: int,
    episodes: int,
    out: Path,
    agents: Any,
) -> list[dict[str, Any]]:
    """The same without one modality, of agents whose cells, `agents`, are finished."""
    return [measure_without(scene, encoder, source, seed, steps, episodes, out) for seed in seeds]


def compute_ends(
    seeds: Sequence[int], scene: str, who: str, episodes: int
) -> list[dict[str, float]]:
    """The figures of the expert or of random actions."""
    return [ends(scene, who, episodes) for _ in seeds]


def tests_of(encoder: str, source: str) -> tuple[str, ...]:
    """What the policy can be given: anything through a shared space, parts of what it was trained on side by side."""
    return (
        tuple(SOURCES)
        if encoder in SHARED or (encoder == "concatenation" and source == "all")
        else (source,)
    )


def cells_of(arguments: Arguments) -> list[tuple[str, str, int]]:
    """(encoder, source, seed) of every agent of a scene, seed by seed."""
    most = arguments.seeds
    seeds = {
        name: n if most is None else min(n, most)
        for name, n in SIZES[arguments.preset].seeds.items()
    }
    encoders = [name for name in seeds if arguments.encoders is None or name in arguments.encoders]
    pairs = [
        (encoder, source)
        for encoder, source in product(encoders, arguments.sources)
        if (encoder == "concatenation") <= (source == "all")
        and (encoder == "unimodal") <= (source != "all")
    ]
    return [
        (*pair, seed)
        for seed in range(max(seeds.values()))
        for pair in pairs
        if seed < seeds[pair[0]]
    ]


Found = dict[tuple[str, str], list[dict[str, Any]]]
"""By encoder and source, the figures of each seed."""


def run_scene(
    arguments: Arguments, scene: str, cells: Cells
) -> tuple[Found, dict[str, dict[str, float]]]:
    """All cells of a scene, and the two ends of the scale."""
    size = SIZES[arguments.preset]
    hashes = fingerprint(asset_path(f"weights/{scene}/workspace.safetensors"))[:12]
    inputs = f"{hashes}-{size.steps[scene]}-{size.episodes}"
    tasks = [
        Task(
            scene,
            {"actor": who},
            [0],
            str(size.episodes),
            compute_ends,
            (scene, who, size.episodes),
        )
        for who in ("random", "expert")
    ]
    for encoder, source, seed in cells_of(arguments):
        about = (scene, encoder, source, size.steps[scene], size.episodes, arguments.out)
        condition = {"encoder": encoder, "train": source}
        tasks.append(trained := Task(scene, condition, [seed], inputs, compute, about))
        if (encoder, source) == ("gw", "all"):
            tasks.append(
                Task(
                    scene,
                    condition | {"part": "missing"},
                    [seed],
                    inputs,
                    compute_without,
                    about,
                    [trained],
                )
            )
    found: Found = {}
    scale: dict[str, dict[str, float]] = {}
    for task, (run,) in zip(
        tasks, arguments.sweep.compute(cells, tasks, f"{scene} agents"), strict=True
    ):
        if "actor" in task.condition:
            scale[task.condition["actor"]] = run
            continue
        of_agent = found.setdefault((task.condition["encoder"], task.condition["train"]), [])
        if "part" in task.condition:
            of_agent[-1] = of_agent[-1] | {"missing": run}
        else:
            of_agent.append(run)
    return found, scale


def middle(values: Any, axis: int = 0) -> Any:
    """The interquartile mean."""
    return trim_mean(values, 0.25, axis=axis)


def rows_of(scene: str, found: Found, scale: Mapping[str, Mapping[str, float]]) -> list[Row]:
    """A row for every figure: interquartile means over seeds.

    `share` is a transferred policy's return over that of the policies trained on what it is tested on, where those are
    good at it; captions are too vague for any to be.
    """
    rows: list[Row] = []
    low, high = scale["random"]["return"], scale["expert"]["return"]

    def scaled(scores: Sequence[Mapping[str, float]]) -> Any:
        return (np.array([score["return"] for score in scores]) - low) / (high - low)

    def add(claim: str, condition: dict[str, Any], scores: Sequence[Mapping[str, float]]) -> None:
        for metric, values in (
            ("success", [score["success"] for score in scores]),
            ("return_scaled", scaled(scores)),
        ):
            rows.append(
                make_row(
                    f"control/{claim}", scene, condition, metric, values, REDRAWS, statistic=middle
                )
            )

    for (encoder, source), runs in found.items():
        about = {"encoder": encoder, "train": source}
        for test in runs[0]["tests"]:
            scores = [run["tests"][test] for run in runs]
            claim = f"in_modality/{encoder}" if test == source else f"transfer/{source}/{test}"
            add(claim, about | {"test": test}, scores)
            if test != source and (encoder, test) in found:
                own = middle(scaled([run["tests"][test] for run in found[encoder, test]]))
                if own >= MASTERED or test == "language":
                    of = about | {"test": test, "in_modality": float(own)}
                    shares = scaled(scores) / own
                    rows.append(
                        make_row(
                            f"control/{claim}",
                            scene,
                            of,
                            "share",
                            shares,
                            REDRAWS,
                            statistic=middle,
                        )
                    )
        steps = [steps for run in runs if (steps := steps_to(run["curve"], 0.9)) is not None]
        if steps:
            reached = about | {"agents_that_reached": len(steps)}
            rows.append(
                make_row(
                    f"control/in_modality/{encoder}", scene, reached, "steps_to_90", steps, REDRAWS
                )
            )
        for name in runs[0].get("corrupted", {}):
            kind, _, attention = name.partition(", attention ")
            scores = [run["corrupted"][name] for run in runs]
            add(f"corrupted/{kind}", about | {"attention": attention, "at_once": 1}, scores)
        for name in runs[0].get("missing", {}):
            lost, _, attention = name.partition(", attention ")
            scores = [run["missing"][name] for run in runs]
            add("corrupted/missing", about | {"attention": attention, "missing": lost}, scores)
    return rows


def steps_to(curve: Sequence[Mapping[str, float]], success: float) -> float | None:
    """Training steps at the first evaluation with so much success; None if there is none."""
    return next((point["steps"] for point in curve if point["success"] >= success), None)


def draw(scene: str, found: Found, path: Path) -> None:
    """Learning curves, a panel for each encoder, and success on every test modality."""
    encoders = list(dict.fromkeys(encoder for encoder, _ in found))

    def paint(axes: Any) -> None:
        for panel, encoder in zip(axes[0], encoders, strict=True):
            for color, source in enumerate(name for name in SOURCES if (encoder, name) in found):
                curves = [run["curve"] for run in found[encoder, source]]
                steps = [point["steps"] for point in curves[0]]
                bands = [
                    interval([curve[at]["success"] for curve in curves]) for at in range(len(steps))
                ]
                mean, low, high = np.array(bands).T
                panel.plot(
                    steps, mean, "-o", color=f"C{color}", markersize=3, label=f"from {source}"
                )
                panel.fill_between(steps, low, high, color=f"C{color}", alpha=0.2, linewidth=0)
            panel.set(
                title=encoder, xlabel="environment steps", ylabel="success", ylim=(-0.02, 1.02)
            )
            panel.legend(fontsize=7)
        for panel, encoder in zip(axes[1], encoders, strict=True):
            sources = [name for name in SOURCES if (encoder, name) in found]
            grid = np.full((len(sources), len(SOURCES)), np.nan)
            for line, source in enumerate(sources):
                for test, column in (
                    (test, list(SOURCES).index(test)) for test in found[encoder, source][0]["tests"]
                ):
                    grid[line, column] = middle(
                        [run["tests"][test]["success"] for run in found[encoder, source]]
                    )
                    panel.text(
                        column,
                        line,
                        f"{grid[line, column]:.0%}",
                        ha="center",
                        va="center",
                        fontsize=8,
                    )
            panel.imshow(grid, vmin=0, vmax=1, cmap="viridis", alpha=0.6, aspect="auto")
            panel.set_xticks(range(len(SOURCES)), [f"on {name}" for name in SOURCES], fontsize=7)
            panel.set_yticks(range(len(sources)), [f"from {name}" for name in sources], fontsize=7)
        axes[0, 0].figure.suptitle(
            f"{scene}: success while learning, and in held-out episodes on every modality"
        )

    def paint_all(axes: Any) -> None:
        paint(np.reshape(axes, (2, len(encoders))))

    figure(
        path,
        paint_all,
        width=max(8.0, 4.2 * len(encoders)),
        height=7.5,
        columns=len(encoders),
        lines=2,
    )


def main(arguments: Arguments) -> None:
    """Train, test, print, draw, write."""
    unknown = [name for name in arguments.sources if name not in SOURCES]
    if unknown:
        raise ValueError(f"unknown source {unknown[0]!r}: choose {', '.join(SOURCES)}")
    known = SIZES[arguments.preset].seeds
    unknown = [name for name in arguments.encoders or () if name not in known]
    if unknown:
        raise ValueError(f"unknown encoder {unknown[0]!r}: the preset has {', '.join(known)}")
    if arguments.seeds is not None and arguments.seeds < 1:
        raise ValueError(f"--seeds {arguments.seeds}: at least 1")
    cells = Cells(arguments.out, "control")
    rows: list[Row] = []
    for scene in ("simple_shapes", "factory") if arguments.scene == "both" else (arguments.scene,):
        found, scale = run_scene(arguments, scene, cells)
        rows += rows_of(scene, found, scale)
        draw(scene, found, arguments.out / f"control_{scene}.png")
        print(f"picture: {arguments.out / f'control_{scene}.png'}")
    lines = [
        (
            row.scene,
            row.claim,
            ", ".join(f"{key} {value}" for key, value in row.condition.items()),
            row.metric,
            f"{row.measured:,.3g}",
            f"{row.low:,.3g}..{row.high:,.3g}",
        )
        for row in rows
    ]
    print(table(("scene", "claim", "condition", "metric", "measured", "interval"), lines))
    print(f"written: {write_summary(arguments.out, 'control', rows, ('encoder',))}")


if __name__ == "__main__":
    run_command(lambda: main(tyro.cli(Arguments, description=__doc__)))
