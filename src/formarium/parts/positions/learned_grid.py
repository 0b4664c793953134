"""Learned absolute positions on a grid, read between its cells where tokens are (ViT's table at any resolution).

Dosovitskiy et al. 2021, An image is worth 16x16 words, arXiv 2010.11929, resample their table for images of another
size; read where each token is, it also follows coordinates that are perturbed (ComRoPE, Yu et al. 2025, arXiv
2506.03737).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.parts.part import Position


class LearnedGrid(Position):
    """Adds what a trainable table (rows, columns, D), or one with frames in front, holds where a token is.

    Coordinates lie between 0 and 1 along each side of the image (``unit`` "image") or count patches ("patch"). Cell r
    of n is at (r + 1/2) / n, so that tokens on the grid of the table read their own cell; others, as those of another
    resolution, what lies linearly between. corners: the first and last cells lie at 0 and 1 instead, as in ComRoPE's
    code, where no token reads its own cell. The table starts at N(0, std^2).
    Raises ConfigError for grids of more than three axes.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        std: float = 0.02
        corners: bool = False

    acts: ClassVar[frozenset[str]] = frozenset({"add"})

    def __init__(self, width: int, grid: Sequence[int], unit: str = "image", config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        if not 1 <= len(grid) <= 3 or min(grid) < 1:
            raise ConfigError(
                f"a table of learned positions has one to three axes of at least one cell, not {tuple(grid)}"
            )
        self.unit = unit
        self.weight = nn.Parameter(torch.randn(*grid, width) * config.std)

    def add(self, x: Tensor, context: Context) -> Tensor:
        *grid, width = self.weight.shape
        places = context.on_axes(len(grid)).to(torch.promote_types(self.weight.dtype, torch.float32))
        if self.unit == "patch":
            if context.grid is None:
                raise ConfigError("LearnedGrid in units of patches needs the grid that the tokens lie on")
            places = places / places.new_tensor(context.grid)
        # The sampler knows two and three axes, and names them in the order of (x, y, z).
        spare = 1 if len(grid) == 1 else 0
        table = self.weight.to(places.dtype).movedim(-1, 0).reshape(1, width, *[1] * spare, *grid)
        points = F.pad(2 * places - 1, (spare, 0)).flip(-1)
        points = points.view(*points.shape[:2], *[1] * (table.dim() - 3), points.shape[-1])
        found = F.grid_sample(
            table.expand(len(points), *table.shape[1:]),
            points,
            padding_mode="border",
            align_corners=self.config.corners,
        )
        return x + found.flatten(2).mT.to(x.dtype)
