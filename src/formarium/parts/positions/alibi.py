"""Attention with linear biases (Press, Smith and Lewis 2022, arXiv 2108.12409)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from formarium.config import BaseConfig
from formarium.context import Context, LayerState
from formarium.parts.part import Position


class ALiBi(Position):
    """Lowers the score of a query and a key by slope_h times their distance; the slopes are fixed, geometric in h."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        pass

    acts: ClassVar[frozenset[str]] = frozenset({"bias"})

    def __init__(self, heads: int, config: Config | None = None) -> None:
        super().__init__()
        self.slopes = alibi_slopes(heads)

    def prepare(self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None) -> Tensor:
        """The bias (B or 1, H, T, S)."""
        keys = context.positions if context.key_positions is None else context.key_positions
        distance = (context.positions[:, :, None] - keys[:, None, :]).abs()[:, None]
        dtype = torch.float32 if context.embeddings is None else context.embeddings.dtype
        slopes = torch.tensor(self.slopes, dtype=dtype, device=distance.device)
        return -slopes[:, None, None] * distance

    def bias(self, prepared: Tensor) -> Tensor:
        return prepared


def alibi_slopes(heads: int) -> list[float]:
    """2^(-8/n), 2^(-16/n), ... for n heads; where n is no power of two, filled from the sequence of twice as many."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    between = [2 ** (-8 * (i + 1) / (2 * power)) for i in range(0, 2 * (heads - power), 2)]
    return slopes + between
