"""A learned bias for each bucket of relative distance, as in T5 (Raffel et al. 2020, arXiv 1910.10683)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig
from formarium.context import Context, LayerState
from formarium.parts.part import Position


class T5Bias(Position):
    """Adds table[bucket(key position - query position), h] to the scores of head h; one table for all layers.

    Half of the buckets are exact distances, the rest grow logarithmically up to ``max_distance``; without ``causal``
    one half of them is for keys ahead.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        buckets: int = 32
        max_distance: int = 128
        std: float = 0.02

    acts: ClassVar[frozenset[str]] = frozenset({"bias"})

    def __init__(self, heads: int, causal: bool = True, config: Config | None = None) -> None:
        super().__init__()
        self.config, self.causal = config or self.Config(), causal
        self.weight = nn.Parameter(torch.randn(self.config.buckets, heads) * self.config.std)

    def prepare(self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None) -> Tensor:
        """The bias (B or 1, H, T, S)."""
        keys = context.positions if context.key_positions is None else context.key_positions
        offset = keys[:, None, :] - context.positions[:, :, None]
        bucket = t5_bucket(offset, self.config.buckets, self.config.max_distance, self.causal)
        return self.weight[bucket].permute(0, 3, 1, 2)

    def bias(self, prepared: Tensor) -> Tensor:
        return prepared


def t5_bucket(offset: Tensor, buckets: int, max_distance: int, causal: bool) -> Tensor:
    """The bucket 0..buckets-1 of each offset (key position minus query position), any shape."""
    base = torch.zeros_like(offset)
    if causal:
        distance = (-offset).clamp(min=0)
    else:
        buckets //= 2
        base = (offset > 0).to(offset.dtype) * buckets
        distance = offset.abs()
    exact = buckets // 2
    scale = (buckets - exact) / math.log(max_distance / exact)
    far = exact + (torch.log(distance.clamp(min=1).float() / exact) * scale).to(offset.dtype)
    return base + torch.where(distance < exact, distance, far.clamp(max=buckets - 1))
