"""The forecast that learns nothing: the last season once more (Hyndman and Athanasopoulos, Forecasting, 5.2)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from formarium.config import ConfigError
from formarium.models.forecaster import Forecaster


class SeasonalNaive(Forecaster):
    """Repeats the last ``season`` steps; a season of 1 is the naive last value. Covariates are ignored."""

    @dataclass(frozen=True)
    class Config(Forecaster.Config):
        season: int = 24

    model_type: ClassVar[str] = "formarium-seasonal-naive"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config)
        if not 1 <= config.season <= config.history:
            raise ConfigError(f"a season of {config.season} steps does not fit a history of {config.history}")
        if config.quantiles:
            raise ConfigError("the seasonal naive forecast has no quantiles; conformal intervals give it some")

    def forward(self, history: Tensor, marks: Tensor | None = None, future_marks: Tensor | None = None) -> Tensor:
        self._check(history)
        ahead = torch.arange(self.config.horizon, device=history.device) % self.config.season
        return history[:, self.config.history - self.config.season + ahead]
