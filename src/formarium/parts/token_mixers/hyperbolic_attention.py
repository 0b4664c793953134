"""Attention on the Poincaré ball, as a branch of CAT (Lin, Ojha and Bai 2025, arXiv 2510.01634).

A reconstruction in the usual formulas: the paper names the branch, no code of it is public. Scores by hyperbolic
distance and the gyromidpoint go back to Gulcehre et al. 2019 (hyperbolic attention networks, arXiv 1805.09786).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.parts import poincare_ball as ball
from formarium.parts.part import Position
from formarium.parts.token_mixers.geodesic_attention import GeodesicAttention

_FLATTEST = 1e-8  # smaller curvatures, and larger ones than 1 / _FLATTEST, leave the numbers of single precision


class HyperbolicAttention(GeodesicAttention):
    """Queries, keys and values times s = 1/sqrt(K) are tangent vectors at the origin of a ball of curvature -c.

    Scores are -exp(beta_h) times the distance of the points. aggregation: ``midpoint`` takes the gyromidpoint of the
    values and its logarithm; ``tangent`` the plain mean of the values' logarithms, which is the plain mean of values.
    Both divide by s again, and agree as c goes to 0. curvature: c, at the start where it is trainable (then the
    softplus of a parameter). Points, products and midpoints are computed in double precision, the rest in that of the
    tokens.
    Raises ConfigError unless 1e-8 <= c <= 1e8.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        curvature: float = 1.0
        trainable_curvature: bool = False
        aggregation: Literal["midpoint", "tangent"] = "midpoint"
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
        self.config = config = config or self.Config()
        super().__init__(width, heads, kv_heads, head_width, position, causal, config.bias, config.dropout)
        self.shrink = 1 / math.sqrt(self.head_width)
        if not _FLATTEST <= config.curvature <= 1 / _FLATTEST:
            raise ConfigError(
                f"the curvature c of the ball is above 0, from {_FLATTEST:g} to {1 / _FLATTEST:g}, not "
                f"{config.curvature:g}; without curvature take Attention"
            )
        start = torch.tensor(config.curvature + math.log(-math.expm1(-config.curvature)))  # softplus^-1
        self.raw_curvature = nn.Parameter(start) if config.trainable_curvature else None

    @property
    def curvature(self) -> float | Tensor:
        """c, of the ball of curvature -c."""
        return self.config.curvature if self.raw_curvature is None else F.softplus(self.raw_curvature)

    def query_features(self, queries: Tensor) -> Tensor:
        return ball.for_products(self._points(queries), self.curvature)[0]

    def key_features(self, keys: Tensor) -> Tensor:
        return ball.for_products(self._points(keys), self.curvature)[1]

    def distance(self, products: Tensor) -> Tensor:
        return ball.distance_from_products(products, self.curvature)

    def value_features(self, values: Tensor) -> Tensor:
        if self.config.aggregation == "tangent":
            return values
        return ball.lifted(self._points(values), self.curvature)

    def mean(self, sums: Tensor) -> Tensor:
        if self.config.aggregation == "tangent":
            return sums
        return ball.log0_of_midpoint(sums, self.curvature) / self.shrink

    def _points(self, x: Tensor) -> Tensor:
        return ball.exp0(x.to(ball.exact_dtype(x)) * self.shrink, self.curvature)
