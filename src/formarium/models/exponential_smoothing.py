"""Exponential smoothing chosen for each window by information criterion (Hyndman and Khandakar 2008), a classical peer.

The fitting is that of the ``statsforecast`` library, which is not installed with formarium.
"""

import importlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from formarium.config import ConfigError
from formarium.models.forecaster import Forecaster


class AutoETS(Forecaster):
    """Fits error, trend and season of each series of each window anew; see ``Forecaster`` for the shapes.

    Nothing is trained, no gradient passes, and a window takes some 0.1 to 0.5 s a series. Covariates are ignored.
    Raises ConfigError where ``statsforecast`` is not installed.
    """

    @dataclass(frozen=True)
    class Config(Forecaster.Config):
        season: int = 24

    model_type: ClassVar[str] = "formarium-auto-ets"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config)
        if config.season < 1:
            raise ConfigError(f"a season has at least one step, not {config.season}")
        try:
            self._library: Any = importlib.import_module("statsforecast.models")
        except ImportError:
            raise ConfigError("AutoETS needs the library statsforecast: pip install statsforecast") from None

    def forward(self, history: Tensor, marks: Tensor | None = None, future_marks: Tensor | None = None) -> Tensor:
        self._check(history)
        batch, _, variates = history.shape
        series = history.detach().double().cpu().transpose(1, 2).reshape(batch * variates, -1).numpy()
        found = np.stack([self._fitted(one) for one in series])  # (B N, S, max(Q, 1))
        y = torch.from_numpy(found).to(history).view(batch, variates, self.config.horizon, self.levels)
        return self._answer(y.transpose(1, 2))

    def _fitted(self, series: np.ndarray) -> np.ndarray:
        model = self._library.AutoETS(season_length=self.config.season)
        levels = sorted({self._level(q) for q in self.config.quantiles} - {0.0})
        answer = model.forecast(y=series, h=self.config.horizon, level=levels or None)
        if not self.config.quantiles:
            return np.asarray(answer["mean"])[:, None]
        return np.stack([answer[self._key(q)] for q in self.config.quantiles], axis=1)

    @staticmethod
    def _level(quantile: float) -> float:
        """The central interval, in percent, that the quantile bounds."""
        return round(100 * abs(1 - 2 * quantile), 6)

    def _key(self, quantile: float) -> str:
        level = self._level(quantile)
        return "mean" if level == 0 else f"{'lo' if quantile < 0.5 else 'hi'}-{level}"
