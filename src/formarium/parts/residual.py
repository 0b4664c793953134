"""What acts on a branch before it joins the residual stream: a scale for each channel, and dropping it whole."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.parts.part import Part


class LayerScale(Part):
    """x times a trainable number for each channel that starts small: (..., D) to (..., D).

    Touvron et al. 2021, Going deeper with image Transformers, arXiv 2103.17239.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        start: float = 1e-4

    def __init__(self, width: int, config: Config | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), (config or self.Config()).start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class DropPath(Part):
    """While training, leaves a branch out for a share ``rate`` of the samples, the rest divided by 1 - rate: (B, ...).

    Stochastic depth (Huang et al. 2016, arXiv 1603.09382). Raises ConfigError unless 0 <= rate < 1.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        rate: float = 0.1

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.rate = (config or self.Config()).rate
        if not 0 <= self.rate < 1:
            raise ConfigError(f"the share of dropped branches lies from 0 to below 1, not at {self.rate:g}")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1 - self.rate
        kept = x.new_empty((len(x),) + (1,) * (x.dim() - 1)).bernoulli_(keep)
        return x * (kept / keep)
