"""Rotary positions on several axes, with a trainable frequency of each axis in each plane (RoPE-Mixed).

Heo et al. 2024, Rotary Position Embedding for Vision Transformer, arXiv 2403.13298.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig
from formarium.context import Context, LayerState
from formarium.parts.part import Position
from formarium.parts.positions.axial_rotary import axis_scales, pairs_by_axis
from formarium.parts.positions.plane_rotation import precise, tables, turn_pairs


class RoPEMixed(Position):
    """Turns channel pair t by the angle sum_i omega_it x_i, with omega trainable for each layer, head, axis and pair.

    The pairs start as those of axial RoPE with this base, in a frame of axes that is turned at random for each head.
    scale: of the coordinates, which only decides the start; by default that which puts neighbouring cells of the grid
    that the model was built for one apart. With grouped queries the heads of keys have the frequencies.
    Raises ConfigError for heads with an odd number of channels, or fewer pairs than axes.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        base: float = 10.0
        scale: float | None = None

    acts: ClassVar[frozenset[str]] = frozenset({"turn"})
    shared = False
    decays = False

    def __init__(
        self,
        head_width: int,
        heads: int,
        kv_heads: int | None = None,
        axes: int = 1,
        spacing: Sequence[float] | None = None,
        config: Config | None = None,
    ) -> None:
        super().__init__()
        config = config or self.Config()
        self.axes = axes
        magnitudes = [config.base ** (-torch.arange(n) / n) for n in pairs_by_axis(head_width, axes)]
        frames = torch.stack([random_frame(axes) for _ in range(kv_heads or heads)])
        # Column i of a frame is the direction along which the pairs of axis i turn.
        along = [frames[:, :, i, None] * magnitude for i, magnitude in enumerate(magnitudes)]
        scales = torch.tensor(axis_scales(config.scale, axes, spacing))
        self.frequencies = nn.Parameter(torch.cat(along, dim=-1) * scales[:, None])

    def prepare(
        self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None
    ) -> tuple[Tensor, Tensor]:
        """cos and sin of the angles, each (B or 1, G, T, K/2)."""
        where = precise(context.on_axes(self.axes))
        tokens = torch.float32 if context.embeddings is None else context.embeddings.dtype
        angles = torch.einsum("btn,hnp->bhtp", where, self.frequencies.to(where.dtype))
        return tables(angles, torch.promote_types(tokens, torch.float32))

    def turn(self, queries: Tensor, keys: Tensor, prepared: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return turn_pairs(queries, *prepared), turn_pairs(keys, *prepared)


def random_frame(axes: int) -> Tensor:
    """A random rotation of N axes, (N, N)."""
    if axes == 2:
        angle = 2 * math.pi * torch.rand(())
        return torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos())).view(2, 2)
    frame, upper = torch.linalg.qr(torch.randn(axes, axes))
    frame = frame * upper.diagonal().sign()
    frame[:, 0] *= torch.linalg.det(frame).sign()
    return torch.as_tensor(frame)
