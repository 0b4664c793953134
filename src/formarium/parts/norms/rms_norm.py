"""Root-mean-square normalisation (Zhang and Sennrich 2019, arXiv 1910.07467)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.parts.part import Norm


class RMSNorm(Norm):
    """x / sqrt(mean(x^2) + eps) * gain over the last axis: (..., D) to (..., D); at least float32 inside.

    groups: the mean is taken within each of so many equal stripes of channels (the phase-aware norm of Abu Ayyash 2026,
    arXiv 2604.14430). Raises ConfigError where they do not divide the width.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        eps: float = 1e-6
        gain: bool = True
        groups: int = 1

    def __init__(self, width: int, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        if config.groups < 1 or width % config.groups:
            raise ConfigError(f"a width of {width} cannot be normed in {config.groups} equal groups of channels")
        self.width, self.eps, self.groups = width, config.eps, config.groups
        self.weight = nn.Parameter(torch.ones(width)) if config.gain else None

    def forward(self, x: Tensor) -> Tensor:
        if self.groups == 1:
            return F.rms_norm(x, (self.width,), self.weight, self.eps)
        size = self.width // self.groups
        y = F.rms_norm(x.unflatten(-1, (self.groups, size)), (size,), None, self.eps).flatten(-2)
        return y if self.weight is None else y * self.weight
