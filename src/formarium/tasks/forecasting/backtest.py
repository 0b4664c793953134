"""Forecasts as they would have been: rolled over the last rows of a table, against simple ones, in plain words.

Shapes: K windows, S steps ahead, M series to be forecast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from formarium.errors import DataError
from formarium.models.exponential_smoothing import AutoETS
from formarium.models.forecaster import Forecaster
from formarium.tasks.forecasting.intervals import Reach
from formarium.tasks.forecasting.planning import Plan
from formarium.tasks.forecasting.table import Table
from formarium.tasks.forecasting.task import Forecasting

NAIVE, LAST = "seasonal-naive", "last-value"
_VALUES = 1 << 22  # of one forecaster's windows, to bound memory
_MOST, _LEAST = 300, 16  # windows
FITS = 40  # of a forecaster that is fitted to each series of each window anew


@dataclass(frozen=True)
class Rolled:
    """What forecasters would have said from some rows on, and what came; in the series' own units.

    origins: (K,), the first row ahead. blocks: (K,), which stretch of the table it lies in. target: (K, S, M), NaN
    where nothing was observed. forecasts: by forecaster, (K, S, M) or (K, S, M, Q), NaN in windows that it left out.
    """

    origins: np.ndarray
    blocks: np.ndarray
    target: np.ndarray
    forecasts: dict[str, np.ndarray]

    def of_series(self, values: np.ndarray, series: int, separate: bool) -> np.ndarray:
        """(K, S, ...) of one series: a column, or the windows of its stretch."""
        return values[self.blocks == series, :, 0] if separate else values[:, :, series]


@dataclass(frozen=True)
class Score:
    """How well a forecaster did.

    windows: that it was rolled over. mase: its mean absolute error in units of the seasonal naive error in training.
    mae, rmse: in own units where one series was forecast, else in standard deviations of each. smape: in percent.
    against_naive: its error as a share of that of the seasonal naive forecast on the same windows. better: the share
    of windows in which it was better than that. by_step: mase of each step ahead.
    """

    name: str
    windows: int
    mase: float
    mae: float
    rmse: float
    smape: float
    against_naive: float
    better: float
    by_step: tuple[float, ...]


@dataclass(frozen=True)
class Coverage:
    """How often intervals held on windows that they were not made from. width: their mean, in units of mase."""

    promised: float
    measured: float
    width: float


def rolling_origins(
    table: Table, plan: Plan, held_back: int, behind: int, history: int
) -> tuple[np.ndarray, np.ndarray]:
    """First rows ahead, evenly over ``held_back`` rows before the last ``behind`` ones of each stretch, and its number.

    Only where there is a history of ``history`` rows. Raises DataError where there is no such row.
    """
    series = table.values.shape[1]
    most = max(_LEAST, min(_MOST, _VALUES // (plan.horizon * series)))
    each = max(1, (most if table.ends is None else 5 * most) // len(table.blocks))
    origins, blocks = [], []
    for number, (first, stop) in enumerate(table.blocks):
        begin, last = max(first + history, stop - behind - held_back), stop - behind - plan.horizon
        if begin <= last:
            chosen = np.unique(np.linspace(last, begin, min(each, last - begin + 1)).round().astype(np.int64))
            origins.append(chosen)
            blocks.append(np.full(len(chosen), number))
    if not origins:
        raise DataError(f"no series has a history of {history} steps before those that forecasts are measured on")
    return np.concatenate(origins), np.concatenate(blocks)


def roll(task: Forecasting, models: Mapping[str, Forecaster], where: tuple[np.ndarray, np.ndarray]) -> Rolled:
    """Rolls forecasters over the same windows; one that fits each series of each window anew over fewer of them.

    where: as ``rolling_origins`` returns it.
    """
    origins, blocks = where
    target, observed = task.arrived(origins)
    if observed is not None:
        target = np.where(observed, target, np.nan)
    forecasts: dict[str, np.ndarray] = {}
    for name, model in models.items():
        if isinstance(model, AutoETS):
            some = max(1, min(len(origins), FITS // task.table.values.shape[1]))
            chosen = np.linspace(0, len(origins) - 1, some).round().astype(np.int64)
            found = task.rolled(model, origins[chosen])
            forecasts[name] = np.full((len(origins), *found.shape[1:]), np.nan, dtype=np.float32)
            forecasts[name][chosen] = found
        else:
            forecasts[name] = task.rolled(model, origins)
    return Rolled(origins, blocks, target, forecasts)


def units_of(task: Forecasting, rolled: Rolled) -> tuple[np.ndarray, np.ndarray]:
    """The seasonal naive error and the standard deviation of each window's series, in own units: (K or 1, 1, M) each.

    Where a series never changed in training both are its standard deviation, 1 for a constant.
    """
    scale = task.scaler.scale
    naive = np.where(np.isfinite(task.naive) & (task.naive > 0), task.naive * scale, scale)
    if task.table.ends is None:
        columns = slice(None) if task.table.targets is None else list(task.table.targets)
        return naive[None, None, columns], scale[None, None, columns]
    return naive[rolled.blocks][:, None, None], scale[rolled.blocks][:, None, None]


def scores(task: Forecasting, rolled: Rolled, points: Mapping[str, np.ndarray]) -> list[Score]:
    """The scores of point forecasts (K, S, M), the best first."""
    naive, scale = units_of(task, rolled)
    one = len(task.table.names if task.table.targets is None else task.table.targets) == 1
    unit = np.ones_like(scale) if one else scale
    reference = np.abs(points[NAIVE] - rolled.target) / naive
    found = []
    for name, point in points.items():
        error = np.abs(point - rolled.target)
        scaled = error / naive
        there = np.isfinite(scaled)
        ran = there.any(axis=(1, 2))
        beside = float(np.nanmean(np.where(there, reference, np.nan)))
        mase = float(np.nanmean(scaled))
        total = np.abs(point) + np.abs(rolled.target)
        by_window = [np.nanmean(x[ran], axis=(1, 2)) for x in (scaled, np.where(there, reference, np.nan))]
        found.append(
            Score(
                name=name,
                windows=int(ran.sum()),
                mase=mase,
                mae=float(np.nanmean(error / unit)),
                rmse=float(np.sqrt(np.nanmean((error / unit) ** 2))),
                smape=float(np.nanmean(200 * error / np.where(total > 0, total, 1))),
                against_naive=mase / beside if beside > 0 else (1.0 if mase == 0 else float("inf")),
                better=float(np.mean(by_window[0] < by_window[1])),
                by_step=tuple(float(x) for x in np.nanmean(scaled, axis=(0, 2))),
            )
        )
    return sorted(found, key=lambda score: (score.against_naive, score.name != NAIVE))


def outer(model: Forecaster, forecast: np.ndarray, coverage: float) -> tuple[np.ndarray, np.ndarray]:
    """What intervals of a coverage are laid around: the model's quantiles for it, else its point forecast twice."""
    quantiles = np.array(model.config.quantiles)
    if not len(quantiles):
        return forecast, forecast
    low, high = (int(np.abs(quantiles - q).argmin()) for q in ((1 - coverage) / 2, (1 + coverage) / 2))
    return forecast[..., low], forecast[..., high]


def point(model: Forecaster, forecast: np.ndarray) -> np.ndarray:
    """One number for each step: the forecast itself, or its quantile nearest to the median."""
    quantiles = np.array(model.config.quantiles)
    return forecast[..., int(np.abs(quantiles - 0.5).argmin())] if len(quantiles) else forecast


def reaches(
    task: Forecasting, rolls: Sequence[Rolled], name: str, model: Forecaster, levels: Sequence[float]
) -> list[Reach]:
    """How far intervals of each coverage go, by all windows of some rolls."""
    separate = task.table.ends is not None
    chosen = task.table.targets
    numbers = range(len(task.table.names)) if separate or chosen is None else range(len(chosen))
    scale = task.scaler.scale if separate or chosen is None else task.scaler.scale[list(chosen)]

    def by_series(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [
            np.concatenate([r.of_series(v, i, separate) for r, v in zip(rolls, values, strict=True)]) for i in numbers
        ]

    forecasts = [roll.forecasts[name] for roll in rolls]
    errors = by_series([np.abs(point(model, f) - roll.target) for f, roll in zip(forecasts, rolls, strict=True)])
    means = [float(np.nanmean(e)) if np.isfinite(e).any() else float("nan") for e in errors]
    found = []
    for level in levels:
        beyond = []
        for forecast, roll in zip(forecasts, rolls, strict=True):
            low, high = outer(model, forecast, level)
            beyond.append(np.maximum(low - roll.target, roll.target - high))
        found.append(Reach.fit(level, by_series(beyond), means, scale))
    return found


def coverage(
    task: Forecasting, rolled: Rolled, name: str, model: Forecaster, reaches: Sequence[Reach]
) -> list[Coverage]:
    """What intervals hold on windows other than those that they were made from."""
    naive, _ = units_of(task, rolled)
    found = []
    for reach in reaches:
        far = reach.by_series[None] if task.table.ends is None else reach.by_series.T[rolled.blocks][:, :, None]
        low, high = outer(model, rolled.forecasts[name], reach.coverage)
        low, high = low - far, high + far
        known = np.isfinite(rolled.target) & np.isfinite(low)
        inside = (rolled.target >= low) & (rolled.target <= high)
        width = float(np.mean(((high - low) / naive)[known])) if known.any() else float("nan")
        found.append(Coverage(reach.coverage, float(inside[known].mean()) if known.any() else float("nan"), width))
    return found
