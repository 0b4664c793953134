"""Attention on the unit sphere, as a branch of CAT (Lin, Ojha and Bai 2025, arXiv 2510.01634).

A reconstruction in the usual formulas: the paper names the branch, no code of it is public.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from formarium.config import BaseConfig
from formarium.parts.part import Position
from formarium.parts.token_mixers.geodesic_attention import GeodesicAttention

# How far cosines stay from +-1, where arccos has no slope, and what counts as a vector without direction.
_MARGIN = {torch.float32: 1e-6, torch.float64: 1e-12}
_NOTHING = {torch.float32: 1e-7, torch.float64: 1e-15}


class SphericalAttention(GeodesicAttention):
    """Scores are -exp(beta_h) times the angle of query and key; the output has a mean direction and a mean length.

    Direction: the weighted mean of the values' directions, normalised (a chordal mean); length: the weighted mean of
    their lengths. A vector of length 0 (below 1e-7 in single precision, 1e-15 in double) has no direction: it is at a
    right angle to all others, and adds none.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        bias: bool = False
        dropout: float = 0.0

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int | None = None,
        head_width: int | None = None,
        position: Position | None = None,
        causal: bool = False,
        config: Config | None = None,
    ) -> None:
        config = config or self.Config()
        super().__init__(width, heads, kv_heads, head_width, position, causal, config.bias, config.dropout)

    def query_features(self, queries: Tensor) -> Tensor:
        return _direction(_exact(queries))[0]

    def key_features(self, keys: Tensor) -> Tensor:
        return _direction(_exact(keys))[0]

    def distance(self, products: Tensor) -> Tensor:
        edge = 1 - _MARGIN[products.dtype]
        return torch.arccos(products.clamp(-edge, edge))

    def value_features(self, values: Tensor) -> Tensor:
        return torch.cat(_direction(_exact(values)), dim=-1)

    def mean(self, sums: Tensor) -> Tensor:
        return _direction(sums[..., :-1])[0] * sums[..., -1:]


def _exact(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _direction(x: Tensor) -> tuple[Tensor, Tensor]:
    """x / |x| (..., K), 0 and without gradient for a vector of no length, and |x| (..., 1)."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    short = length < _NOTHING[x.dtype]
    return torch.where(short, 0, x / torch.where(short, 1, length)), length
