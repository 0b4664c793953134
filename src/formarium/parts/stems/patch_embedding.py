"""The stem of images and videos: a token for each patch, and where the patches are (ViT, arXiv 2010.11929)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.errors import DataError
from formarium.parts.part import Part

Unit = Literal["image", "patch"]
FrameUnit = Literal["frames", "rows"]


class ImageStem(Part):
    """Turns images (B, C, H, W) or videos (B, F, C, H, W) into tokens (B, T, D), row by row and frame by frame."""

    def grid(self, size: Sequence[int]) -> tuple[int, ...]:
        """How many tokens images of (H, W), or videos of (F, H, W), have along each axis."""
        raise NotImplementedError


class PatchEmbedding(ImageStem):
    """One linear map of each patch of ``patch`` x ``patch`` pixels, in a video of ``frames`` frames at a time.

    The map reads channels first, then frames, rows and columns: the weight of a convolution whose stride is its size.
    Raises DataError for images that are no whole number of patches.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        patch: int = 16
        frames: int = 1
        bias: bool = True

    def __init__(self, width: int, channels: int, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        if min(config.patch, config.frames) < 1:
            raise ConfigError("a patch has at least one pixel and one frame")
        self.embed = nn.Linear(channels * config.frames * config.patch**2, width, bias=config.bias)

    def grid(self, size: Sequence[int]) -> tuple[int, ...]:
        steps = (self.config.frames, self.config.patch, self.config.patch)[-len(size) :]
        if any(extent < 1 or extent % step for extent, step in zip(size, steps, strict=True)):
            whole = " x ".join(map(str, size))
            patch = " x ".join(map(str, steps))
            raise DataError(
                f"{whole} cannot be cut into patches of {patch}; resize or crop it to a whole number of them"
            )
        return tuple(extent // step for extent, step in zip(size, steps, strict=True))

    def forward(self, images: Tensor) -> Tensor:
        video = images if images.dim() == 5 else images[:, None]
        frames = self.config.frames if images.dim() == 5 else 1
        side = self.config.patch
        cut = video.unflatten(4, (-1, side)).unflatten(3, (-1, side)).unflatten(1, (-1, frames))
        # (B, frames, frame, C, rows, row, columns, column): what lies within a patch goes last.
        patches = cut.permute(0, 1, 4, 6, 3, 2, 5, 7).flatten(4).flatten(1, 3)
        embedded: Tensor = self.embed(patches)
        return embedded


def cell_size(grid: Sequence[int], unit: Unit = "image", frame_unit: FrameUnit = "frames") -> list[float]:
    """How long a cell is on each axis, in units of the coordinates.

    unit: each side of the image measures 1 (``image``), or each cell does (``patch``). frame_unit: in units of the
    image the first of three axes measures 1 as well (``frames``), or a frame is as long as a row (``rows``, as in the
    code of ComRoPE, arXiv 2506.03737).
    """
    if unit == "patch":
        return [1.0] * len(grid)
    sides = (grid[1], *grid[1:]) if len(grid) == 3 and frame_unit == "rows" else grid
    return [1 / side for side in sides]


def grid_coordinates(grid: Sequence[int], cell: Sequence[float], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The middle of each cell of a grid, (1, T, N) in the order of tokens, for cells of that size."""
    places = [(torch.arange(n, dtype=dtype, device=device) + 0.5) * size for n, size in zip(grid, cell, strict=True)]
    return torch.stack(torch.meshgrid(*places, indexing="ij"), dim=-1).flatten(0, -2)[None]
