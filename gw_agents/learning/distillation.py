"""Distil the encoder of a trained image domain into one of patches, which is several times as fast.

The student is trained by nothing but its distance from the teacher's standardized latents, on as
many images as can be drawn. Decoder, background and the scale of the latents stay the teacher's, so
whatever was trained on the teacher's latents works on the student's.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from numpy.typing import NDArray
from torch import Tensor

from gw_agents.checkpoint import modules_fingerprint
from gw_agents.domains.image import ImageDomain
from gw_agents.learning.domains import draw_pool
from gw_agents.learning.latents import encode_rows
from gw_agents.learning.loop import FitConfig, fit, seed_torch
from gw_agents.learning.recipes import Student
from gw_envs.dataset import Sampler
from gw_envs.errors import InputError

OTHER_IMAGES = 7
"""Added to the seed of the images: not those that the teacher was trained on."""


class Lessons:
    """Images with the latents that a teacher gives them."""

    def __init__(self, teacher: ImageDomain, pool: NDArray, config: FitConfig) -> None:
        """Encode (N, H, W, 3) uint8 images; InputError if they don't fit the teacher."""
        self.teacher, self.count = teacher, config.batch_size
        self.pool = teacher.check(pool, "the pool of images")
        self.latents = encode_rows({"image": teacher}, {"image": pool})["image"]
        # drawing normal numbers anew would take as long as the rest of a step
        seed_torch(config.seed)
        noise = torch.randn(2 * self.count * pool[0].size)
        self.noise = noise.mul_(255.0 * teacher.input_noise).to(self.latents.device)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Draw noisy differences from the background, (B, H, W, 3) float32 of -255 to 255, and the
        (B, L) latents of the images without noise.

        The noise is the teacher's, so that the student depends on a renderer's rounding no more
        than the teacher does.
        """
        device, background = self.latents.device, self.teacher.background
        rows = torch.randint(len(self.pool), (self.count,))
        images = self.pool[rows].to(device)
        pixels = images.float().sub_(background)
        size = pixels.numel()
        start = int(torch.randint(size, ()))
        noise = self.noise[start : start + size].view_as(pixels)
        return pixels.addcmul_(noise, images != background), self.latents[rows.to(device)]


def distil(
    teacher: ImageDomain,
    widths: Sequence[int],
    images: Callable[[], NDArray],
    config: FitConfig,
    run_dir: Path | None = None,
    label: str | None = None,
) -> ImageDomain:
    """Train an encoder of patches to give the latents that a trained domain gives.

    Args:
        teacher: trained, with standardized latents, on the device where the student is trained.
        widths: three widths of the `PatchEncoder`.
        images: draws (N, H, W, 3) uint8 images, in which the student finds everything it will ever
            know; they stay in memory. Not called if the run is finished.
        config: how to train; its `inputs` name the images.
        run_dir: folder of checkpoints and logs; None writes nothing.
        label: text of the progress bar; None shows no bar.

    Returns:
        A frozen domain with the teacher's decoder.

    Raises:
        InputError: the teacher is a student itself, or the images don't fit it.
    """
    if teacher.patch_widths is not None:
        raise InputError("the teacher's encoder is made of patches: distil from a trained one")
    seed_torch(config.seed)
    student = ImageDomain(**teacher.config() | {"patch_widths": tuple(widths)})
    student.to(teacher.latent_mean.device)
    known = teacher.state_dict()
    kept = student.state_dict().keys() & known.keys()
    student.load_state_dict({name: known[name] for name in kept}, strict=False)
    encoder = student.patches
    lessons: list[Lessons] = []

    def step_loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        if not lessons:
            lessons.append(Lessons(teacher, images(), config))
            seed_torch(config.seed, step)
        pixels, latents = lessons[0].draw()
        error = (encoder(pixels) - latents).square().mean()
        return error, {"latent": error}

    inputs = f"{config.inputs} {modules_fingerprint({'image': teacher})} {student.patch_widths}"
    fit(encoder, step_loss, replace(config, inputs=inputs), run_dir, label)
    encoder.fold_background(teacher.background)
    encoder.fold_scale(teacher.latent_mean, teacher.latent_scale)
    student.freeze()
    return student


def distil_scene(
    teacher: ImageDomain,
    plan: Student,
    scene: str,
    config: FitConfig,
    run_dir: Path | None = None,
    label: str | None = None,
) -> ImageDomain:
    """Distil as `distil` does, on images of a scene's train split."""
    count = min(plan.pool, config.steps * config.batch_size)
    sampler = Sampler(scene, "train", config.seed + OTHER_IMAGES, ("image",), jitter=True)
    config = replace(config, inputs=f"{scene} {count}")
    return distil(
        teacher,
        plan.widths,
        lambda: draw_pool(sampler, "image", count),
        config,
        run_dir,
        label,
    )
