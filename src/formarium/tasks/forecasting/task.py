"""Forecasting: the next steps of many series, from their past."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError, digest
from formarium.errors import DataError
from formarium.files import write_json
from formarium.models.forecaster import Forecaster
from formarium.models.linear_forecasters import DLinear
from formarium.models.model import Model
from formarium.progress import notice, tracked
from formarium.tasks.data import digest_of_arrays
from formarium.tasks.forecasting import metrics as measures
from formarium.tasks.forecasting.datasets import is_named, load
from formarium.tasks.forecasting.intervals import ConformalIntervals
from formarium.tasks.forecasting.protocols import borders
from formarium.tasks.forecasting.scaling import Scaler
from formarium.tasks.forecasting.stream import open_table
from formarium.tasks.forecasting.table import Reading, Table
from formarium.tasks.forecasting.windows import Batch, Windows
from formarium.tasks.task import SPLITS, Metric, Split, Task

_NUMBERS = 1 << 23  # values of a layer in one evaluation batch, to bound memory
_CALIBRATION = 1000  # windows that intervals are calibrated on


class Forecasting(Task):
    """Forecasts of ``horizon`` steps from ``history`` steps, in units of each series' standard deviation in training.

    data: a benchmark (see ``formarium.tasks.forecasting.datasets``) or a file, read as ``reading`` says. protocol: the
    split; that of the benchmark, else 70-10-20. marks: calendar features and covariates go to the model. variates:
    each training batch sees that many series, drawn anew from all. train_share: only this share of the series, the
    first, is trained on; evaluation sees all. season: of the scaled error; by default that of the frequency. drop_last:
    evaluation leaves out the last incomplete batch of 32 windows, as many published tests do. evaluation_windows: at
    most so many, evenly spread; all where None.

    Metrics: ``mse``, ``mae`` of scaled series; ``mase``; ``smape`` in the series' own units; ``loss``, which is the mse
    or for quantiles the ``quantile_loss``; ``mse_by_step``, a list; ``coverage@0.9`` and ``width@0.9`` of conformal
    intervals calibrated on validation.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        data: str = "ETTh1"
        history: int = 96
        horizon: int = 96
        protocol: str | None = None
        reading: Reading = Reading()
        marks: bool = True
        variates: int | None = None
        train_share: float = 1.0
        season: int | None = None
        drop_last: bool = False
        evaluation_windows: int | None = None

    metrics: ClassVar[dict[str, Any]] = {
        "mse": "lower",
        "mae": "lower",
        "mase": "lower",
        "smape": "lower",
        "loss": "lower",
        "quantile_loss": "lower",
        "mse_by_step": "lower",
        "coverage": "higher",
        "width": "lower",
    }
    headline: ClassVar[str] = "mse"
    unit: ClassVar[str] = "windows"

    def __init__(self, config: Config | None = None, table: Table | None = None, scaler: Scaler | None = None) -> None:
        """table, scaler: those that are at hand, instead of the data and of what their training rows say."""
        self.config = config = config or self.Config()
        self._given, self._given_scaler = table, scaler
        if min(config.history, config.horizon) < 1:
            raise ConfigError("the history and the horizon of a forecast are at least one step")
        if not 0 < config.train_share <= 1:
            raise ConfigError(f"the share of series that is trained on lies in (0, 1], not at {config.train_share:g}")
        if config.variates is not None and config.variates < 1:
            raise ConfigError("a training batch sees at least one series")

    def prepare(self) -> None:
        for split in SPLITS:
            self.windows(split)

    @cached_property
    def _loaded(self) -> tuple[Table, str]:
        data, usual = self.config.data, "70-10-20"
        if self._given is not None:
            table, protocol = self._given, usual
        else:
            table, protocol = load(data) if is_named(data) else (open_table(data, self.config.reading), usual)
        return table, self.config.protocol or protocol

    @property
    def table(self) -> Table:
        """The series, read at first use."""
        return self._loaded[0]

    @property
    def season(self) -> int:
        """The steps of a season."""
        frequency = self.table.frequency
        return self.config.season or (1 if frequency is None else frequency.season)

    @cached_property
    def scaler(self) -> Scaler:
        """By series: of a column each, or with series by themselves of a stretch of rows each.

        Fitted on training rows, of a series that has none on all.
        """
        if self._given_scaler is not None:
            return self._given_scaler
        table, protocol = self._loaded
        rows = [range(a, b)[borders(protocol, b - a).train] or range(a, b) for a, b in table.blocks]
        fitted = [Scaler.fit(table.values[own.start : own.stop]) for own in rows]
        return Scaler(np.concatenate([s.mean for s in fitted]), np.concatenate([s.scale for s in fitted]))

    @cached_property
    def _all(self) -> Windows:
        """Every window, on which those of the splits are drawn."""
        table, config = self.table, self.config
        marks = table.marks() if config.marks else None
        values, scaler = table.values, self.scaler
        if table.ends is not None:
            rows = np.diff(table.ends, prepend=0)
            values = (values - np.repeat(scaler.mean, rows)[:, None]) / np.repeat(scaler.scale, rows)[:, None]
            return Windows(values, config.history, config.horizon, marks, table.observed)
        return Windows(values, config.history, config.horizon, marks, table.observed, scaler=scaler)

    def windows(self, split: Split) -> Windows:
        """The windows of a split, in their order; DataError where there are none."""
        return self._windows[split]

    @cached_property
    def _windows(self) -> dict[Split, Windows]:
        (table, protocol), config = self._loaded, self.config
        found: dict[Split, Windows] = {}
        for split in SPLITS:
            starts, short = [], 0
            for first, stop in table.blocks:
                rows = borders(protocol, stop - first).rows(split, config.history)
                count = rows.stop - rows.start - config.history - config.horizon + 1
                starts.append(first + rows.start + np.arange(max(0, count)))
                short += count < 1
            if short == len(starts):
                longest = max(stop - first for first, stop in table.blocks)
                raise DataError(
                    f"{longest} steps leave the {split} split no window of {config.history} + {config.horizon} steps; "
                    "take longer series, or a shorter history or horizon"
                )
            if short:
                notice(f"{short} of {len(starts)} series are too short for the {split} split and left out of it")
            found[split] = self._all.starting(np.concatenate(starts))
        return found

    def baseline(self) -> BaseConfig:
        return self.adapt(DLinear.Config())

    def adapt(self, model: BaseConfig) -> BaseConfig:
        if not isinstance(model, Forecaster.Config):
            raise ConfigError(f"forecasting takes a forecaster, which a {model.name()} is not")
        changes: dict[str, Any] = {"history": self.config.history, "horizon": self.config.horizon}
        if isinstance(getattr(model, "variates", None), int):
            changes["variates"] = self._all.variates
            limited = self.config.train_share < 1 or self.config.variates is not None
            if limited and not getattr(model, "channel_independent", False):
                raise ConfigError(f"{model.name()} is built for all series at once and cannot be trained on some only")
        covariates = getattr(model, "covariates", None)
        if isinstance(covariates, int) and not isinstance(covariates, bool):
            marks = self.table.marks() if self.config.marks else None
            changes["covariates"] = 0 if marks is None else marks.shape[1]
        return model.replace(**changes)

    @property
    def _trained(self) -> int:
        """How many series training sees."""
        share: float = self._all.variates * self.config.train_share
        return max(1, round(share))

    def batches_per_epoch(self, batch_size: int) -> int:
        return max(1, len(self.windows("train")) // batch_size)

    def batches(self, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        windows, trained, some = self.windows("train"), self._trained, self.config.variates
        count = len(windows)
        order = lru_cache(maxsize=2)(lambda epoch: np.random.default_rng([seed, epoch]).permutation(count))
        number = start
        while True:
            examples = (number * world + rank) * batch_size + np.arange(batch_size)
            epochs, within = examples // count, examples % count
            if epochs[0] == epochs[-1]:
                chosen = order(int(epochs[0]))[within]
            else:
                chosen = np.array([order(int(e))[w] for e, w in zip(epochs, within, strict=True)])
            variates = None
            if some is not None and some < trained:
                variates = torch.from_numpy(np.random.default_rng([seed, 1, number]).permutation(trained)[:some])
            elif trained < windows.variates:
                variates = torch.arange(trained)
            yield windows.gather(chosen, variates)
            number += 1

    def units(self, batch: Batch) -> int:
        return len(batch["history"])

    def loss(self, model: Model, batch: Batch) -> Tensor:
        forecast = _forecast(model, batch)
        target, observed = batch["target"], batch.get("observed")
        chosen = self.table.targets
        # Where only some series are drawn none may be a target: then all that are drawn count.
        if chosen is not None and target.shape[2] == self._all.variates:
            index = list(chosen)
            forecast, target = forecast[:, :, index], target[:, :, index]
            observed = None if observed is None else observed[:, :, index]
        quantiles = cast(Forecaster, model).config.quantiles  # a compiled model has no other type than its own
        return measures.mean(_objective(quantiles, forecast, target), observed)

    @torch.no_grad()
    def evaluate(self, model: Model, split: Split = "validation", metrics: Sequence[str] = ()) -> dict[str, Metric]:
        names = list(metrics) or [self.headline]
        unknown = next((n for n in names if n.partition("@")[0] not in self.metrics), None)
        if unknown is not None:
            raise ConfigError(f"forecasting measures no {unknown!r}; it measures {', '.join(self.metrics)}")
        forecaster = _forecaster(model)
        if "quantile_loss" in names and not forecaster.config.quantiles:
            raise ConfigError("quantile_loss needs a model with quantiles")
        levels = {float(n.partition("@")[2] or 0.9) for n in names if n.partition("@")[0] in ("coverage", "width")}
        intervals = {level: self.intervals(forecaster, level) for level in levels}
        sums = {name: measures.Mean() for name in names if name != "mse_by_step"}
        steps = [measures.Mean() for _ in range(self.config.horizon)] if "mse_by_step" in names else []
        for forecast, target, observed, starts in self._forecasts(forecaster, split):
            point = forecaster.point(forecast)
            for name, total in sums.items():
                kind, _, level = name.partition("@")
                if kind in ("coverage", "width"):
                    outer = (forecast[..., 0], forecast[..., -1]) if forecaster.config.quantiles else (point, point)
                    lower, upper = intervals[float(level or 0.9)].around(*outer)
                    values = measures.inside(lower, upper, target) if kind == "coverage" else upper - lower
                    total.add(values, observed)
                elif kind == "mase":
                    naive = self._scales(self.naive, starts, target)
                    known = (naive > 0).expand_as(target)  # nothing is as good as the naive forecast of a constant
                    errors = measures.scaled_error(point, target, naive).masked_fill(~known, 0)
                    total.add(errors, known if observed is None else known & observed)
                elif kind == "smape":
                    scale, mean = (self._scales(x, starts, target) for x in (self.scaler.scale, self.scaler.mean))
                    own = (point * scale + mean, target * scale + mean)
                    total.add(measures.symmetric_percentage_error(*own), observed)
                elif kind in ("loss", "quantile_loss"):
                    total.add(_objective(forecaster.config.quantiles, forecast, target), observed)
                else:
                    error = measures.squared_error if kind == "mse" else measures.absolute_error
                    total.add(error(point, target), observed)
            for step, total in enumerate(steps):
                seen = None if observed is None else observed[:, step]
                total.add(measures.squared_error(point[:, step], target[:, step]), seen)
        results: dict[str, Metric] = {name: total.value for name, total in sums.items()}
        return results | ({"mse_by_step": [total.value for total in steps]} if steps else {})

    @torch.no_grad()
    def intervals(self, model: Model, coverage: float = 0.9) -> ConformalIntervals:
        """Conformal intervals around a model's forecasts of scaled series, calibrated on validation windows."""
        forecaster = _forecaster(model)
        lower, upper, targets = [], [], []
        for forecast, target, _, _ in self._forecasts(forecaster, "validation", _CALIBRATION):
            quantiles = bool(forecaster.config.quantiles)
            lower.append(forecast[..., 0] if quantiles else forecast)
            upper.append(forecast[..., -1] if quantiles else forecast)
            targets.append(target)
        return ConformalIntervals.fit(torch.cat(lower), torch.cat(upper), torch.cat(targets), coverage)

    @torch.no_grad()
    def forecast(self, model: Model) -> np.ndarray:
        """The steps behind the end of the table, in the series' own units: (S, N), or (S, N, Q) with quantiles."""
        forecaster, table = _forecaster(model), self.table
        history, horizon, device = forecaster.config.history, forecaster.config.horizon, _device(forecaster)
        answers = []
        marks = table.marks() if self.config.marks else None
        for block, (first, stop) in enumerate(table.blocks):
            if stop - first < history:
                raise DataError(f"the series {table.names[block]!r} has {stop - first} steps, fewer than {history}")
            rows = slice(stop - history, stop)
            scaler = self.scaler
            if table.ends is not None:
                scaler = Scaler(scaler.mean[block : block + 1], scaler.scale[block : block + 1])
            scaled = scaler.apply(np.asarray(table.values[rows], dtype=np.float64))
            batch = {"history": torch.from_numpy(scaled)}
            if marks is not None:
                ahead = table.future_marks(horizon, block)
                batch |= {"marks": torch.from_numpy(marks[rows]), "future_marks": torch.from_numpy(ahead)}
            batch = {k: v[None].float().to(device) for k, v in batch.items()}
            answer = _evaluated(forecaster, batch)[0].double().cpu().numpy()
            if answer.ndim == 3:
                answers.append(np.moveaxis(scaler.revert(np.moveaxis(answer, -1, 1)), 1, -1))
            else:
                answers.append(scaler.revert(answer))
        return np.asarray(np.concatenate(answers, axis=1))

    @torch.no_grad()
    def rolled(self, model: Model, origins: np.ndarray) -> np.ndarray:
        """What a model says of the steps from each of these rows on, in the series' own units: (K, S, M) float32.

        (K, S, M, Q) with quantiles; M series to be forecast. The model reads its own length of history before each row.
        """
        forecaster = _forecaster(model)
        windows = self._all.with_history(forecaster.config.history).starting(origins - forecaster.config.history)
        answers = []
        for forecast, _, _, starts in self._answers(forecaster, windows, np.arange(len(windows))):
            answers.append(self._own_units(forecast, starts).cpu().numpy())
        return np.concatenate(answers)

    def windows_at(self, starts: np.ndarray) -> Windows:
        """Windows that begin at these rows, whatever the split."""
        return self._all.starting(starts)

    def arrived(self, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """What came at the steps from each of these rows on, in the series' own units: (K, S, M) float32.

        And which of it was observed, None for all.
        """
        windows = self._all.with_history(1).starting(origins - 1)
        batch = windows.gather(np.arange(len(windows)))
        seen = batch.get("observed")
        target = self._own_units(batch["target"][:, :, self._columns], windows.starts)
        return target.numpy(), None if seen is None else seen[:, :, self._columns].numpy()

    def _own_units(self, values: Tensor, starts: np.ndarray) -> Tensor:
        """Scaled values (K, S, M) or (K, S, M, Q) of windows in the series' own units, computed in double precision."""
        values = values.double()
        shape = values[..., 0] if values.dim() == 4 else values
        scale, mean = (self._scales(x, starts, shape) for x in (self.scaler.scale, self.scaler.mean))
        if values.dim() == 4:
            scale, mean = scale[..., None], mean[..., None]
        return (values * scale + mean).float()

    def identity(self) -> str:
        # Of values as they were read, not of means: those differ in their last digits from processor to processor.
        table = self.table
        edge = _NUMBERS // table.values.shape[1]
        parts = (table.values,) if len(table.values) <= 2 * edge else (table.values[:edge], table.values[-edge:])
        return digest([list(table.names), len(table.values), digest_of_arrays(*parts)])

    def save(self, folder: Path) -> None:
        table = self.table
        names = list(table.names)
        described = {
            "series": names,
            "mean": self.scaler.mean.tolist(),
            "scale": self.scaler.scale.tolist(),
            "frequency": None if table.frequency is None else str(table.frequency),
            "covariates": list(table.covariate_names),
        }
        write_json(Path(folder) / "series.json", described)

    @cached_property
    def naive(self) -> np.ndarray:
        """The naive error of each series in training, in standard deviations."""
        table, protocol = self._loaded
        errors = [
            measures.naive_error(table.values[first:stop][borders(protocol, stop - first).train], self.season)
            for first, stop in table.blocks
        ]
        return np.asarray(np.concatenate(errors) / self.scaler.scale)

    def _scales(self, by_series: np.ndarray, starts: np.ndarray, like: Tensor) -> Tensor:
        """Numbers of the series, (N,) or by stretch, so that they fit windows (B, S, N): (B or 1, 1, N)."""
        if self.table.ends is None:
            return like.new_tensor(by_series[self._columns])[None, None]
        return like.new_tensor(by_series[np.searchsorted(self.table.ends, starts, side="right")])[:, None, None]

    @property
    def _columns(self) -> Any:
        return slice(None) if self.table.targets is None else list(self.table.targets)

    def _forecasts(
        self, forecaster: Forecaster, split: Split, most: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor, Tensor | None, np.ndarray]]:
        """Forecasts, targets and what was observed of the series to be forecast, and where the windows start."""
        windows = self.windows(split)
        count = len(windows) // 32 * 32 if self.config.drop_last else len(windows)
        limit = most or self.config.evaluation_windows or count
        numbers = np.arange(count) if limit >= count else np.linspace(0, count - 1, limit).round().astype(np.int64)
        yield from self._answers(forecaster, windows, numbers)

    def _answers(
        self, forecaster: Forecaster, windows: Windows, numbers: np.ndarray
    ) -> Iterator[tuple[Tensor, Tensor, Tensor | None, np.ndarray]]:
        device = _device(forecaster)
        widest = max(windows.horizon * forecaster.levels, windows.history, 4 * getattr(forecaster.config, "width", 0))
        size = max(1, min(256, _NUMBERS // (widest * windows.variates)))
        for first in tracked(range(0, len(numbers), size), "forecasting"):
            chosen = numbers[first : first + size]
            batch = {k: v.to(device) for k, v in windows.gather(chosen).items()}
            forecast = _evaluated(forecaster, batch)
            columns, observed = self._columns, batch.get("observed")
            seen = None if observed is None else observed[:, :, columns]
            yield forecast[:, :, columns], batch["target"][:, :, columns], seen, windows.starts[chosen]


def _forecaster(model: Model) -> Forecaster:
    if not isinstance(model, Forecaster):
        raise ConfigError(f"forecasting takes a forecaster, which a {type(model).__name__} is not")
    return model


def _device(model: Model) -> torch.device:
    parameter = next(model.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def _evaluated(model: Forecaster, batch: Batch) -> Tensor:
    """The forecasts of a model in evaluation mode."""
    was_training = model.training
    model.eval()
    try:
        return _forecast(model, batch)
    finally:
        model.train(was_training)


def _forecast(model: Model, batch: Batch) -> Tensor:
    forecast: Tensor = model(batch["history"], batch.get("marks"), batch.get("future_marks"))
    return forecast


def _objective(quantiles: Sequence[float], forecast: Tensor, target: Tensor) -> Tensor:
    """The training objective of each value: squared error, or the quantile loss."""
    if quantiles:
        return measures.quantile_loss(forecast, target, quantiles)
    return measures.squared_error(forecast, target)
