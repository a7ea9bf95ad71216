"""The image domain: a convolutional variational autoencoder, kept small because agents wait for
it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gw_agents.domains.base import Domain, Layers, kl_divergence, mlp, sample_latent
from gw_agents.domains.patches import PatchEncoder
from gw_envs.errors import InputError, check_number, check_whole


class ImageDomain(Domain):
    """(B, S, S, 3) or (B, H, W, 3) uint8 images <-> (B, latent_width) latents.

    A plain squared error learns outlines first and hue very late, so the error is split into
    luminance (the mean over the channels) and chroma (the rest), which weighs more. A fixed camera
    shows a background that never changes, so the networks read and draw the difference from it. The
    background is the median of training images.
    """

    kind = "image"
    dtype, accepts = np.uint8, np.uint8

    def __init__(
        self,
        size: int | Sequence[int] = 32,
        latent_width: int = 12,
        channels: tuple[int, ...] = (24, 48, 48),
        hidden: int = 256,
        beta: float = 0.02,
        chroma_weight: float = 6.0,
        input_noise: float = 0.008,
        patch_widths: Sequence[int] | None = None,
    ) -> None:
        """Build the networks.

        Args:
            size: side S of the images in pixels, or their height and width. Images are padded with
                background to a multiple of 2 ** len(channels).
            latent_width: numbers in the latent.
            channels: feature maps of each 4 x 4 convolution of stride 2; the decoder mirrors them.
            hidden: width of the one hidden layer between the last feature maps and the latent.
            beta: weight of the KL term.
            chroma_weight: weight of the squared chroma error against the squared luminance error.
            input_noise: standard deviation of the noise added to training inputs where they differ
                from the background, as a fraction of full scale. It keeps the encoder from
                depending on a renderer's rounding.
            patch_widths: widths of a `PatchEncoder`, which then encodes in place of convolutions;
                it is distilled from a domain without it (see `gw_agents.learning.distillation`).
        """
        check_whole("latent_width", latent_width, 1)
        check_whole("hidden", hidden, 1)
        super().__init__(latent_width)
        self.size, self.channels, self.hidden = size, tuple(channels), hidden
        self.height, self.width = _sides(size)
        self.beta, self.chroma_weight, self.input_noise = beta, chroma_weight, input_noise
        for name in ("beta", "chroma_weight", "input_noise"):
            check_number(name, getattr(self, name), 0.0)
        if not self.channels:
            raise InputError("channels is empty: give the feature maps of at least one convolution")
        maps = [3, *(check_whole("an entry of channels", count, 1) for count in self.channels)]
        step = 2 ** len(self.channels)
        self.coarse = (maps[-1], -(-self.height // step), -(-self.width // step))
        self.padding = (0, -self.width % step, 0, -self.height % step)
        flat = self.coarse[0] * self.coarse[1] * self.coarse[2]
        down: list[nn.Module] = []
        for inputs, outputs in pairwise(maps):
            down += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.ReLU()]
        up: list[nn.Module] = []
        for inputs, outputs in pairwise(reversed(maps)):
            up += [nn.ReLU(), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)]
        self.patch_widths = None if patch_widths is None else tuple(patch_widths)
        if self.patch_widths is None:
            self.down = Layers(*down)
            self.to_latent = mlp([flat, hidden, 2 * latent_width])
        else:
            self.patches = PatchEncoder(self.height, self.width, self.patch_widths, latent_width)
        self.from_latent = mlp([latent_width, hidden, flat])
        self.up = Layers(*up)
        self.background: Tensor
        self.register_buffer("background", torch.zeros(*self.shape, dtype=torch.uint8))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as JSON."""
        names = (
            "size",
            "latent_width",
            "channels",
            "hidden",
            "beta",
            "chroma_weight",
            "input_noise",
            "patch_widths",
        )
        return {name: getattr(self, name) for name in names}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image: (H, W, 3)."""
        return (self.height, self.width, 3)

    def prepare(self, observations: Tensor) -> None:
        """Store the median of (N, H, W, 3) training images as the background."""
        self.background.copy_(observations.median(0).values)

    def _pixels(self, images: Tensor) -> Tensor:
        """Subtract the background from (B, H, W, 3) uint8 images; (B, 3, H, W) float32, channels
        last in memory."""
        difference = images.to(torch.int16) - self.background
        return difference.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)

    def _posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (B, 3, H, W) as mean and log variance, (B, L) each."""
        mean, log_variance = self._both(pixels).chunk(2, -1)
        return mean, log_variance.clamp(-12.0, 4.0)

    def _both(self, pixels: Tensor) -> Tensor:
        """Encode (B, 3, H, W) as mean and unclamped log variance side by side, (B, 2 L)."""
        padded = pad(pixels, self.padding) if any(self.padding) else pixels
        return self.to_latent(self.down(padded).flatten(1))

    def _reconstruct(self, latents: Tensor) -> Tensor:
        """Decode (B, L) raw latents into (B, 3, H, W) differences from the background."""
        padded = self.up(self.from_latent(latents).unflatten(1, self.coarse))
        return padded[..., : self.height, : self.width]

    def encode_raw(self, observations: Tensor) -> Tensor:
        """Encode (B, H, W, 3) uint8 images into (B, L) raw latents."""
        if self.patch_widths is not None:
            return self.patches.forward(observations)
        return self._both(self._pixels(observations))[:, : self.latent_width]

    def decode_raw(self, latents: Tensor) -> Tensor:
        """Decode (B, L) raw latents into (B, H, W, 3) uint8 images."""
        pixels = self._reconstruct(latents).permute(0, 2, 3, 1)
        return pixels.mul(255.0).add(self.background).round().clamp(0, 255).to(torch.uint8)

    def loss(
        self, observations: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum the luminance error, the weighted chroma error and the KL term, whose weight warms
        up.

        Raises InputError if the encoder is made of patches.
        """
        if self.patch_widths is not None:
            raise InputError(
                "an image domain with patch_widths is not trained by its loss: distil it from one"
                " without"
            )
        pixels = self._pixels(observations)
        wanted = pixels if targets is observations else self._pixels(targets)
        # normal numbers are drawn much faster into memory without gaps than channels last
        noise = torch.randn(observations.shape, device=pixels.device).permute(0, 3, 1, 2)
        noisy = torch.addcmul(pixels, noise, (pixels != 0).float(), value=self.input_noise)
        mean, log_variance = self._posterior(noisy)
        error = self._reconstruct(sample_latent(mean, log_variance)) - wanted
        count = len(error)
        # the squares of a color's three channels are those of its luminance and of its chroma
        flat = error.permute(0, 2, 3, 1).reshape(-1)
        total = flat.dot(flat) / count
        luminance = error.sum(1).square().sum() / (3.0 * count)
        terms = {
            "luminance": luminance,
            "chroma": total - luminance,
            "kl": kl_divergence(mean, log_variance),
        }
        beta = self.beta * min(1.0, progress / 0.1)
        return terms["luminance"] + self.chroma_weight * terms["chroma"] + beta * terms["kl"], terms


def _sides(size: int | Sequence[int]) -> tuple[int, int]:
    """Return height and width in pixels; InputError unless `size` is one whole number or two."""
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2:
        raise InputError(f"size is {size!r}: give the side of the images, or height and width")
    return check_whole("height", sides[0], 1), check_whole("width", sides[1], 1)
