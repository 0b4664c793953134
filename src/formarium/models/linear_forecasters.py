"""Linear forecasters, the baselines that Transformers have to beat.

DLinear and NLinear (Zeng et al., AAAI 2023, arXiv 2205.13504), RLinear (Li et al. 2023, arXiv 2305.10721).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import ConfigError
from formarium.models.forecaster import Forecaster
from formarium.parts.norms.reversible_instance_norm import ReversibleInstanceNorm, Statistics


class LinearForecaster(Forecaster):
    """One linear map of L steps to S, shared by all variates, without covariates; see ``Forecaster`` for the shapes.

    kernel: with this odd number of steps, trend (the moving average, ends repeated) and remainder get a map each.
    normalise: ``last`` subtracts each series' last value and adds it back, ``instance`` brings each series to mean 0
    and variance 1 and back.
    """

    @dataclass(frozen=True)
    class Config(Forecaster.Config):
        kernel: int | None = None
        normalise: Literal["none", "last", "instance"] = "none"

    model_type: ClassVar[str] = "formarium-linear-forecaster"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config)
        if config.kernel is not None and (config.kernel < 1 or config.kernel % 2 == 0):
            raise ConfigError(f"the kernel of a moving average is an odd number of steps, not {config.kernel}")
        outputs = config.horizon * self.levels
        self.linear = nn.Linear(config.history, outputs)
        self.trend = None if config.kernel is None else nn.Linear(config.history, outputs)
        last = config.normalise == "last"
        settings = ReversibleInstanceNorm.Config(centre="last" if last else "mean", scale=not last)
        self.instance_norm = None if config.normalise == "none" else ReversibleInstanceNorm(settings)

    def forward(self, history: Tensor, marks: Tensor | None = None, future_marks: Tensor | None = None) -> Tensor:
        self._check(history)
        statistics: Statistics = (None, None)
        if self.instance_norm is not None:
            history, statistics = self.instance_norm(history)
        x = history.transpose(1, 2)
        if self.trend is not None and self.config.kernel is not None:
            half = self.config.kernel // 2
            trend = F.avg_pool1d(F.pad(x, (half, half), mode="replicate"), self.config.kernel, stride=1)
            y = self.trend(trend) + self.linear(x - trend)
        else:
            y = self.linear(x)
        y = self._answer(y.unflatten(-1, (self.config.horizon, self.levels)).transpose(1, 2))
        return y if self.instance_norm is None else self.instance_norm.restore(y, statistics)


class DLinear(LinearForecaster):
    """Trend and remainder by a linear map each."""

    @dataclass(frozen=True)
    class Config(LinearForecaster.Config):
        kernel: int | None = 25


class NLinear(LinearForecaster):
    """A linear map of the distances from the last value."""

    @dataclass(frozen=True)
    class Config(LinearForecaster.Config):
        normalise: Literal["none", "last", "instance"] = "last"


class RLinear(LinearForecaster):
    """A linear map of the normalised window."""

    @dataclass(frozen=True)
    class Config(LinearForecaster.Config):
        normalise: Literal["none", "last", "instance"] = "instance"
