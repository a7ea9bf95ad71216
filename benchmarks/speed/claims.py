"""The claims of the throughput benchmark: each ratio is one entry of a table."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.speed.networks import BATCH, STACKED
from benchmarks.speed.rendering import CAMERA_SCENES
from benchmarks.speed.timing import Series

LARGEST = 0
"""A count that stands for the largest number of scenes that was measured."""


@dataclass(frozen=True)
class Measured:
    """One rate of a subject."""

    subject: str
    what: str
    count: int = 1

    def series(self, largest: int) -> Series:
        """Return its place among the rates of the subject."""
        return Series(self.what, self.count or largest)


@dataclass(frozen=True)
class Claim:
    """How many times as fast as a baseline something of ours is."""

    name: str
    """Id of the claim, after `throughput/`."""
    scene: str
    ours: Measured
    baseline: Measured
    texts: tuple[str, str]
    """What ours and the baseline are, in the words of the tables."""
    condition: dict[str, Any] = field(default_factory=dict)


def _drawing(other: str, text: str) -> Claim:
    """Return the claim of our Simple Shapes pictures against another way to draw them."""
    count = LARGEST if other == "copy" else 1
    return Claim(
        f"render/simple_shapes/{other}",
        "simple_shapes",
        Measured("render", "ours", LARGEST),
        Measured("render", other, count),
        ("drawing a shape", text),
        {"num_envs": LARGEST},
    )


def _shape_step(other: str, text: str) -> Claim:
    """Return the claim of a step of Simple Shapes against drawing alone."""
    return Claim(
        f"steps/simple_shapes/{other}",
        "simple_shapes",
        Measured("steps", "image+attributes", 64),
        Measured("render", other),
        ("a step of Simple Shapes", f"drawing alone, {text}"),
        {"num_envs": 64, "modalities": "image+attributes"},
    )


def _camera(size: int) -> Claim:
    """Return the claim of our Factory pictures of a size."""
    return Claim(
        "camera/full_render",
        "factory",
        Measured(f"camera {size}", "ours", CAMERA_SCENES),
        Measured(f"camera {size}", "full_render"),
        ("the Factory's picture", "PyBullet's render of everything"),
        {"size": size},
    )


def _encoding(scene: str) -> Claim:
    """Return the claim of our image encoder."""
    return Claim(
        f"encoding/{scene}/nature_cnn",
        scene,
        Measured("encoding", "ours", BATCH),
        Measured("encoding", "nature_cnn", BATCH),
        ("encoding an image", NATURE),
        {"batch": BATCH},
    )


def _encoding_one(scene: str) -> Claim:
    """Return the claim of encoding one observation of all senses."""
    return Claim(
        f"encode/{scene}/nature_cnn",
        scene,
        Measured("encode", "all senses, attention"),
        Measured("encode", "nature_cnn"),
        ("encoding all senses with attention", f"{NATURE}, on the image"),
        {"batch": 1},
    )


def _ppo(scene: str, other: str, text: str, **condition: str) -> Claim:
    """Return the claim of PPO on workspace vectors against PPO in another way."""
    trained = condition.get("trained")
    return Claim(
        f"ppo/{scene}/{other}",
        scene,
        Measured("ppo", "gw"),
        Measured("ppo", f"{other}_{trained}" if trained else other),
        ("PPO on images through the workspace", text),
        {"num_envs": BATCH, "modalities": "image", **condition},
    )


def _ppos(scene: str) -> list[Claim]:
    """Return the claims of PPO on workspace vectors in a scene."""
    inside = "the workspace's encoder inside the policy"
    return [
        _ppo(scene, "nature_cnn", f"{NATURE} end to end"),
        _ppo(scene, "raw_cnn", "the encoder `raw` end to end"),
        _ppo(scene, "extractor", f"{inside}, nothing trained", trained="nothing"),
        _ppo(scene, "extractor", f"{inside}, everything trained", trained="everything"),
    ]


def _single(scene: str, modality: str) -> Claim:
    """Return the claim of a single environment."""
    return Claim(
        f"single/{scene}/cart_pole",
        scene,
        Measured("single", modality),
        Measured("single", "cart_pole"),
        ("a step of one scene", "Gymnasium's CartPole-v1"),
        {"modalities": modality},
    )


NATURE = "Stable-Baselines3's NatureCNN"
STAYS, EACH = "matplotlib with a figure that stays", "matplotlib with a figure each, as published"
BEST = "matplotlib at its best"
IMAGES = {"num_envs": 16, "modalities": "image"}
_IMAGE_STEPS = Measured("steps", "image", 16)

CLAIMS: tuple[Claim, ...] = (
    _drawing("matplotlib", STAYS),
    _drawing("matplotlib_new_figure", EACH),
    _drawing("matplotlib_one_patch", BEST),
    _drawing("opencv_supersampled", "OpenCV, supersampled"),
    _drawing("copy", "copying finished pictures (the memory's limit)"),
    _shape_step("matplotlib", STAYS),
    _shape_step("matplotlib_new_figure", EACH),
    _shape_step("matplotlib_one_patch", BEST),
    _camera(64),
    _camera(128),
    Claim(
        "steps/factory/full_render",
        "factory",
        _IMAGE_STEPS,
        Measured("steps", "full_render"),
        ("a step of the Factory", "a step with PyBullet's render of everything"),
        IMAGES,
    ),
    Claim(
        "steps/factory/physics",
        "factory",
        _IMAGE_STEPS,
        Measured("steps", "physics", 16),
        ("a step of the Factory", "physics alone"),
        IMAGES,
    ),
    _single("simple_shapes", "attributes"),
    _single("factory", "image"),
    _encoding("simple_shapes"),
    _encoding("factory"),
    _encoding_one("simple_shapes"),
    _encoding_one("factory"),
    *_ppos("simple_shapes"),
    *_ppos("factory"),
    Claim(
        "training/stacked",
        "simple_shapes",
        Measured("training", "stacked", STACKED),
        Measured("training", "single"),
        ("training five workspaces in a stack", "one after the other"),
        {"model": "tr+cont+dcy+cy", "stacked": STACKED},
    ),
    *(
        Claim(
            f"captions/{scene}/batch",
            scene,
            Measured("captions", "ours", LARGEST),
            Measured("captions", "ours"),
            ("writing captions in a batch", "one at a time"),
            {"num_envs": LARGEST},
        )
        for scene in ("simple_shapes", "factory")
    ),
)
"""Every ratio, in the order of the table."""


@dataclass(frozen=True)
class Growth:
    """Ratios at every number of scenes."""

    scene: str
    subject: str
    """All its rates are compared, except for those named by `baselines`."""
    baseline: Measured
    """Count LARGEST stands for as many scenes as ours."""
    baselines: tuple[str, ...]
    """Rates of the subject that are not ours."""


_OTHERS = (
    "matplotlib",
    "matplotlib_new_figure",
    "matplotlib_one_patch",
    "opencv_supersampled",
    "copy",
)
_NOT_STEPS = ("full_render", "physics")

GROWTHS = (
    Growth("simple_shapes", "render", Measured("render", "matplotlib"), _OTHERS),
    Growth("simple_shapes", "render", Measured("render", "copy", LARGEST), _OTHERS),
    Growth("simple_shapes", "steps", Measured("render", "matplotlib"), ()),
    Growth("factory", "camera 64", Measured("camera 64", "full_render"), ("full_render",)),
    Growth("factory", "steps", Measured("steps", "full_render"), _NOT_STEPS),
    Growth("factory", "steps", Measured("steps", "physics", LARGEST), _NOT_STEPS),
)
"""Every comparison that is made at all numbers of scenes."""
