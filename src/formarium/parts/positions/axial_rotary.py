"""Rotary positions on several axes, with fixed frequencies, an axis for each channel pair (axial RoPE).

Heo et al. 2024, Rotary Position Embedding for Vision Transformer, arXiv 2403.13298.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.part import Position
from formarium.parts.positions.plane_rotation import precise, tables
from formarium.parts.positions.rotary import Layout, rotate


class AxialRoPE(Position):
    """Turns channel pair t of the n pairs of axis i by the angle scale x_i base^(-t/n).

    The K/2 pairs of a head are cut into N runs, one an axis (of which the first are a pair longer where N does not
    divide K/2). scale: by default that which puts neighbouring cells of the grid that the model was built for one
    apart; with 1 and coordinates from 0 to 1, as in the rotary baseline of ComRoPE, tokens are hardly turned. Angles in
    float64.
    Raises ConfigError for heads with an odd number of channels, or fewer pairs than axes.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        base: float = 100.0
        scale: float | None = None
        layout: Layout = "interleaved"

    acts: ClassVar[frozenset[str]] = frozenset({"turn"})

    def __init__(
        self, head_width: int, axes: int = 1, spacing: Sequence[float] | None = None, config: Config | None = None
    ) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.axes = axes
        self.scales = axis_scales(config.scale, axes, spacing)
        self.sizes = pairs_by_axis(head_width, axes)

    def prepare(
        self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None
    ) -> tuple[Tensor, Tensor]:
        """cos and sin of the angles, each (B or 1, 1, T, K/2), in the precision of the tokens."""
        where = precise(context.on_axes(self.axes))
        dtype = torch.float32 if context.embeddings is None else context.embeddings.dtype
        return tables((where @ self.frequencies(where))[:, None], dtype)

    def frequencies(self, like: Tensor) -> Tensor:
        """Radians that each pair turns for a step of one along each axis, (N, K/2), in the precision of a tensor."""
        runs = [
            scale * self.config.base ** (-torch.arange(n, dtype=like.dtype, device=like.device) / n)
            for scale, n in zip(self.scales, self.sizes, strict=True)
        ]
        together: Tensor = torch.block_diag(*runs)
        return together

    def turn(self, queries: Tensor, keys: Tensor, prepared: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        cos, sin = prepared
        return rotate(queries, cos, sin, self.config.layout), rotate(keys, cos, sin, self.config.layout)


def pairs_by_axis(head_width: int, axes: int) -> list[int]:
    """How many of the channel pairs of a head each axis has: as evenly as can be, the first axes one more."""
    pairs, odd = divmod(head_width, 2)
    if odd or pairs < axes:
        raise ConfigError(f"rotary positions need a pair of channels for each axis: a head has {head_width} for {axes}")
    return [pairs // axes + (axis < pairs % axes) for axis in range(axes)]


def axis_scales(scale: float | None, axes: int, spacing: Sequence[float] | None) -> list[float]:
    """What the coordinates of each axis are multiplied by: ``scale``, or what puts neighbours one apart."""
    if scale is not None:
        return [scale] * axes
    return [1.0] * axes if spacing is None else [1 / apart for apart in spacing]
