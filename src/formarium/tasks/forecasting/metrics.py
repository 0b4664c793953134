"""How far forecasts are from what came, and whether intervals hold what they promise.

Shapes: forecasts and targets (B, S, N), quantile forecasts (B, S, N, Q). ``observed`` (B, S, N) is true where a target
was measured; the others do not count.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_ROWS = 8192


def squared_error(forecast: Tensor, target: Tensor) -> Tensor:
    """(y - f)^2, one by one."""
    return (target - forecast) ** 2


def absolute_error(forecast: Tensor, target: Tensor) -> Tensor:
    """|y - f|, one by one."""
    return (target - forecast).abs()


def symmetric_percentage_error(forecast: Tensor, target: Tensor) -> Tensor:
    """200 |y - f| / (|y| + |f|), one by one, 0 where both are 0 (sMAPE of the M3 and M4 competitions)."""
    total = target.abs() + forecast.abs()
    return 200 * (target - forecast).abs() / torch.where(total > 0, total, torch.ones_like(total))


def scaled_error(forecast: Tensor, target: Tensor, naive: Tensor) -> Tensor:
    """|y - f| / ``naive`` (B or 1, 1, N), one by one: the MASE of Hyndman and Koehler (2006); see ``naive_error``."""
    return (target - forecast).abs() / naive


def naive_error(training: np.ndarray, season: int) -> np.ndarray:
    """The mean |y_t - y_{t - season}| of training rows, (T, N) to (N,) float64; NaN where T is not above the season."""
    total, count = np.zeros(training.shape[1]), max(0, len(training) - season)
    for start in range(0, count, _ROWS):  # some at a time: the table may lie on disk
        later = np.asarray(training[start + season : min(start + _ROWS, count) + season], dtype=np.float64)
        total += np.abs(later - training[start : start + len(later)]).sum(axis=0)
    return total / count if count else np.full(training.shape[1], np.nan)


def quantile_loss(forecast: Tensor, target: Tensor, quantiles: Sequence[float]) -> Tensor:
    """The pinball loss max(q e, (q - 1) e) with e = y - f, mean over the quantiles: (B, S, N, Q) to (B, S, N).

    For the median alone it is half the absolute error.
    """
    error = target[..., None] - forecast
    levels = forecast.new_tensor(quantiles)
    return torch.maximum(levels * error, (levels - 1) * error).mean(dim=-1)


def inside(lower: Tensor, upper: Tensor, target: Tensor) -> Tensor:
    """1 where the target lies in its interval, else 0."""
    return ((target >= lower) & (target <= upper)).to(target.dtype)


def mean(values: Tensor, observed: Tensor | None = None) -> Tensor:
    """The mean of what counts, a scalar; 0 where nothing does."""
    if observed is None:
        return values.mean()
    weights = observed.to(values.dtype)
    return (values * weights).sum() / weights.sum().clamp(min=1)


class Mean:
    """The mean of what comes in pieces."""

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0.0

    def add(self, values: Tensor, observed: Tensor | None = None) -> None:
        """Counts more values in."""
        values = values.double()
        if observed is None:
            self.total, self.count = self.total + float(values.sum()), self.count + values.numel()
        else:
            self.total += float((values * observed).sum())
            self.count += float(observed.sum())

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else float("nan")
