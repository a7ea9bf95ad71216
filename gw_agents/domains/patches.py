"""A fast encoder of images without convolutions: linear layers on patches, which are cut by
reshaping."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gw_agents.domains.base import mlp
from gw_envs.errors import InputError, check_whole

GRID = 8
"""Patches along each side of an image."""


class PatchEncoder(nn.Module):
    """(B, H, W, 3) images of 0 to 255 -> (B, outputs).

    An image is cut into 8 x 8 patches, which share one linear layer but not its bias. Each block of
    2 x 2 patches then shares a second one, and three more read all blocks; ReLU between them. The
    rows of the first layer are sorted by blocks, so the pixels are put in order once and all later
    steps are views.
    """

    def __init__(self, height: int, width: int, widths: Sequence[int], outputs: int) -> None:
        """Build the layers.

        Args:
            height: of the images, in pixels; padded with 0 to a multiple of 8.
            width: of the images, likewise.
            widths: numbers for each patch, for each block and in the two hidden layers.
            outputs: numbers that come out.
        """
        super().__init__()
        if len(widths) != 3:
            raise InputError(
                f"patch widths are {tuple(widths)}: give three, for a patch, a block and the image"
            )
        of_patch, of_block, hidden = (check_whole("a patch width", width, 1) for width in widths)
        self.patch = (-(-height // GRID), -(-width // GRID))
        self.padding = (0, 0, 0, -width % GRID, 0, -height % GRID)
        first = nn.Linear(self.patch[0] * self.patch[1] * 3, of_patch)
        self.weight = nn.Parameter(first.weight.detach().T.contiguous())
        self.bias = nn.Parameter(first.bias.detach().repeat(GRID * GRID))
        self.blocks = (GRID // 2) ** 2
        self.merge = nn.Linear(4 * of_patch, of_block)
        self.head = mlp([self.blocks * of_block, hidden, hidden, outputs])

    def patches(self, images: Tensor) -> Tensor:
        """Cut (B, H, W, 3) images into (B * 64, pixels * 3) float32 patches, block after block."""
        if any(self.padding):
            images = pad(images, self.padding)
        count, half, (height, width) = len(images), GRID // 2, self.patch
        # floats are put in order faster than bytes
        pixels = images.to(torch.float32).reshape(count, half, 2, height, half, 2, width * 3)
        rows = count * GRID * GRID
        return pixels.permute(0, 1, 4, 2, 5, 3, 6).reshape(rows, height * width * 3)

    def forward(self, images: Tensor) -> Tensor:
        """Encode (B, H, W, 3) images, uint8 or float32 of 0 to 255."""
        count = len(images)
        products = self.patches(images).mm(self.weight).view(count, self.bias.numel())
        patches = torch.add(self.bias, products, alpha=1.0 / 255.0).relu_()
        blocks = patches.view(count * self.blocks, self.merge.in_features)
        merged = self.merge.forward(blocks).relu_()
        return self.head.forward(merged.view(count, self.blocks * self.merge.out_features))

    @torch.no_grad()
    def fold_background(self, background: Tensor) -> None:
        """Make a network of differences from an (H, W, 3) background one of whole images."""
        products = self.patches(background.unsqueeze(0)).mm(self.weight).flatten()
        self.bias.sub_(products / 255.0)

    @torch.no_grad()
    def fold_scale(self, mean: Tensor, scale: Tensor) -> None:
        """Multiply the outputs by (outputs,) `scale` and add `mean`, within the last layer."""
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(scale.unsqueeze(1))
        last.bias.mul_(scale).add_(mean)
