"""Normalising each series of each window, and undoing it behind the model (Kim et al., RevIN, ICLR 2022).

Without a trainable gain this is also the series stationarisation of Liu et al. (2022, arXiv 2205.14415).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from formarium.config import BaseConfig
from formarium.parts.part import Part

Statistics = tuple[Tensor | None, Tensor | None]


class ReversibleInstanceNorm(Part):
    """Windows (B, L, N) to windows of mean 0 and variance 1 in each series, and forecasts (B, S, N, ...) back.

    centre: what is subtracted, the window's mean or its last value. scale: divide by sqrt(variance + eps), the variance
    over all L steps. What is subtracted passes no gradient; the scale does.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        eps: float = 1e-5
        centre: Literal["mean", "last"] = "mean"
        scale: bool = True

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config or self.Config()

    def forward(self, x: Tensor) -> tuple[Tensor, Statistics]:
        """The normalised window and what ``restore`` needs."""
        centre = (x[:, -1:] if self.config.centre == "last" else x.mean(dim=1, keepdim=True)).detach()
        x = x - centre
        if not self.config.scale:
            return x, (centre, None)
        scale = torch.sqrt(x.var(dim=1, keepdim=True, correction=0) + self.config.eps)
        return x / scale, (centre, scale)

    def restore(self, y: Tensor, statistics: Statistics) -> Tensor:
        """Forecasts (B, S, N) or (B, S, N, Q) in the units of the window."""
        centre, scale = (s if s is None or y.dim() == s.dim() else s[..., None] for s in statistics)
        if scale is not None:
            y = y * scale
        return y if centre is None else y + centre
