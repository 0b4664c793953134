"""Polynomial composition activations: PolyReLU and PolyNorm (Zhuo et al., ICLR 2025, arXiv 2411.03884)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.parts.part import Activation


class _Polynomial(Activation):
    """y = a_0 + sum_{p=1..r} a_p u_p with trainable scalars; a subclass says what the powers u_p are of.

    ``weight`` holds a_1 .. a_r (ascending powers; published weights are descending), ``bias`` holds a_0.
    At the start a_p = 1/r and a_0 = 0.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        order: int = 3

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        if config.order < 1:
            raise ConfigError(f"the order of {type(self).__name__} is at least 1, not {config.order}")
        self.order = config.order
        self.weight = nn.Parameter(torch.full((self.order,), 1 / self.order))
        self.bias = nn.Parameter(torch.zeros(1))


class PolyReLU(_Polynomial):
    """a_0 + sum_p a_p ReLU(x)^p, each channel by itself: (..., D) to (..., D) (paper, type I)."""

    def forward(self, x: Tensor) -> Tensor:
        # Horner's rule: one multiplication and one addition a power, in the precision of at least float32.
        u = F.relu(x.to(torch.promote_types(x.dtype, torch.float32)))
        y = self.weight[-1] * u
        for power in range(self.order - 1, 0, -1):
            y = (y + self.weight[power - 1]) * u
        return (y + self.bias).to(x.dtype)


class PolyNorm(_Polynomial):
    """a_0 + sum_p a_p x^p / sqrt(mean(x^2p) + eps), the mean over all channels: (..., D) to (..., D) (paper, type II).

    Per token, so a causal model stays causal. Powers and means are taken in at least float32: x^6 overflows float16
    beyond |x| = 6.
    """

    @dataclass(frozen=True)
    class Config(_Polynomial.Config):
        eps: float = 1e-6

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.eps = (config or self.Config()).eps

    def forward(self, x: Tensor) -> Tensor:
        u = x.to(torch.promote_types(x.dtype, torch.float32))
        y, power = self.bias, torch.ones_like(u)
        for a in self.weight:
            power = power * u
            y = y + (a * torch.rsqrt(power.square().mean(-1, keepdim=True) + self.eps)) * power
        return y.to(x.dtype)
