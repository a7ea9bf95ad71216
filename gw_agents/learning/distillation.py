"""Distil the convolutional encoder of an image domain into a fast one of patches."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gw_agents.domains.image import ImageDomain
from gw_agents.learning.latents import BATCH
from gw_agents.learning.loop import FitConfig, fit, seed_torch


class Targets:
    """A pool of images with the latents that a student should give them."""

    def __init__(self, teacher: ImageDomain, pool: Tensor, batch_size: int) -> None:
        """Encode (N, H, W, 3) uint8 images by the teacher."""
        self.pool, self.count, self.teacher = pool, batch_size, teacher
        with torch.no_grad():
            self.latents = torch.cat([teacher.encode(images) for images in pool.split(BATCH)])
        # drawing normal numbers anew would take as long as the rest of a step
        size = 2 * batch_size * pool[0].numel()
        self.noise = torch.randn(size, device=pool.device).mul_(255.0 * teacher.input_noise)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Draw differences from the background, (B, H, W, 3) float32, and their (B, L) latents."""
        rows = torch.randint(len(self.pool), (self.count,)).to(self.pool.device)
        images = self.pool[rows]
        different = images != self.teacher.background
        pixels = images.float().sub_(self.teacher.background)
        size = pixels.numel()
        start = int(torch.randint(size, ()))
        noise = self.noise[start : start + size].view_as(pixels)
        return pixels.addcmul_(noise, different), self.latents[rows]


def distil(
    teacher: ImageDomain,
    widths: Sequence[int],
    draw_pool: Callable[[], Tensor],
    config: FitConfig,
    run_dir: Path | None = None,
    label: str | None = None,
) -> ImageDomain:
    """Train an encoder of patches to give the latents that a trained domain gives.

    Decoder, background and the scale of the latents stay those of the teacher, so what was trained
    on its latents works with the student's.

    Args:
        teacher: trained, with standardized latents.
        widths: three widths of the `PatchEncoder`.
        draw_pool: draws (N, H, W, 3) uint8 images on the teacher's device; not called if the run
            is finished.
        config: how to train.
        run_dir: folder of checkpoints and logs; None writes nothing.
        label: text of the progress bar; None shows no bar.

    Returns:
        A new frozen domain.
    """
    seed_torch(config.seed)
    student = ImageDomain(**teacher.config() | {"patch_widths": tuple(widths)})
    student.to(teacher.latent_mean.device)
    kept = student.state_dict().keys() & teacher.state_dict().keys()
    shared = {name: value for name, value in teacher.state_dict().items() if name in kept}
    student.load_state_dict(shared, strict=False)
    targets: list[Targets] = []

    def step_loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        if not targets:
            pool = draw_pool()
            seed_torch(config.seed)
            targets.append(Targets(teacher, pool, config.batch_size))
            seed_torch(config.seed, step)
        pixels, latents = targets[0].batch()
        error = (student.patches(pixels) - latents).square().mean()
        return error, {"latent": error}

    fit(student.patches, step_loss, config, run_dir, label)
    student.patches.fold_background(teacher.background)
    student.patches.fold_scale(teacher.latent_mean, teacher.latent_scale)
    student.freeze()
    return student
