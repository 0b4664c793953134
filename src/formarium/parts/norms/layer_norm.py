"""Layer normalisation (Ba, Kiros and Hinton 2016, arXiv 1607.06450)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig
from formarium.parts.part import Norm


class LayerNorm(Norm):
    """(x - mean(x)) / sqrt(var(x) + eps) * gain + offset over the last axis: (..., D) to (..., D)."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        eps: float = 1e-5
        gain: bool = True
        bias: bool = True

    def __init__(self, width: int, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        self.width, self.eps = width, config.eps
        self.weight = nn.Parameter(torch.ones(width)) if config.gain else None
        self.bias = nn.Parameter(torch.zeros(width)) if config.bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (self.width,), self.weight, self.bias, self.eps)
