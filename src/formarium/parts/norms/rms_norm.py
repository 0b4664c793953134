"""Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv 1910.07467)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig
from formarium.parts.part import Norm


class RMSNorm(Norm):
    """x / sqrt(mean(x^2) + eps) * gain over the last axis: (..., D) to (..., D); at least float32 inside."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        eps: float = 1e-6
        gain: bool = True

    def __init__(self, width: int, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        self.width, self.eps = width, config.eps
        self.weight = nn.Parameter(torch.ones(width)) if config.gain else None

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (self.width,), self.weight, self.eps)
