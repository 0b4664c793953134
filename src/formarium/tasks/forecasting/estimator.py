"""Forecasting as one object: fit it to a table, ask it for the steps ahead; with the manners of scikit-learn."""

import dataclasses
import importlib.util
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch

import formarium
from formarium.config import ConfigError, suggestion
from formarium.errors import CheckpointError, DataError, FormariumError
from formarium.files import read_object, replacing, write_json
from formarium.models.exponential_smoothing import AutoETS
from formarium.models.forecaster import Forecaster as ForecastModel
from formarium.models.inverted_forecaster import InvertedForecaster
from formarium.models.model import CONFIG
from formarium.models.naive_forecaster import SeasonalNaive
from formarium.progress import notice
from formarium.tasks.forecasting import backtest, planning
from formarium.tasks.forecasting.backtest import FITS, LAST, NAIVE, Coverage, Rolled, Score
from formarium.tasks.forecasting.intervals import Reach
from formarium.tasks.forecasting.planning import Plan
from formarium.tasks.forecasting.scaling import Scaler
from formarium.tasks.forecasting.stream import open_table
from formarium.tasks.forecasting.table import Reading, Table, with_future
from formarium.tasks.forecasting.task import Forecasting
from formarium.training.harness import fit

Source = str | Path | pd.DataFrame
TITLES = {
    "itransformer": "iTransformer",
    "dlinear": "DLinear",
    NAIVE: "seasonal naive",
    LAST: "last value",
    "auto-ets": "AutoETS",
}
KEPT = "forecaster.json"
_ETS_HISTORY = 500
_MAP_WINDOWS, _MAP_STRIDE = 16, 7


@dataclass(frozen=True)
class Forecast:
    """The steps behind the end of each series.

    names: of the series. times: (S,) for each series, None where there are none. point: (S, M). bounds: for each level
    of coverage its lower and upper bounds, (S, M). table: what was forecast. by: which forecaster's.
    """

    names: tuple[str, ...]
    times: tuple[Any, ...]
    point: np.ndarray
    bounds: dict[float, tuple[np.ndarray, np.ndarray]]
    table: Table
    by: str

    def frame(self) -> pd.DataFrame:
        """A data frame shaped as the table was.

        Long tables: a row for each series and time, with columns ``forecast``, ``forecast-lo-80``, ``forecast-hi-80``.
        Wide ones: a row for each time, for each series its own column and, behind it, ``<series>-lo-80`` and so on;
        if series end at different times, as long ones.
        """
        table, steps = self.table, len(self.point)
        series, time = table.series_column, table.time_column or "step"
        times = [np.arange(1, steps + 1) if t is None else t for t in self.times]
        if series is None and table.ends is None:
            columns: dict[str, Any] = {time: times[0]}
            for i, name in enumerate(self.names):
                columns |= self._columns(name, i)
            return pd.DataFrame(columns)
        named, key = series or "series", "forecast"
        frames = [
            pd.DataFrame({named: name, time: times[i], **self._columns(key, i)}) for i, name in enumerate(self.names)
        ]
        return pd.concat(frames, ignore_index=True)

    def _columns(self, name: str, series: int) -> dict[str, np.ndarray]:
        found = {name: self.point[:, series]}
        for level, (low, high) in self.bounds.items():
            found |= {f"{name}-lo-{100 * level:g}": low[:, series], f"{name}-hi-{100 * level:g}": high[:, series]}
        return found


@dataclass(frozen=True)
class Fitted:
    """A forecaster with what brings its series to one scale, and how far its intervals reach at each level."""

    model: ForecastModel
    scaler: Scaler
    reaches: tuple[Reach, ...]


class Forecaster:
    """Forecasts the next ``horizon`` steps of every series of a table, with intervals, by what did best on its past.

    ``fit`` reads a data frame or a file (wide, or long with columns ``unique_id``, ``ds``, ``y``), trains an inverted
    Transformer and DLinear, rolls both, the last season and the last value once more (and AutoETS where
    ``statsforecast`` is installed) over the last rows, and trains the one that ``use`` names, or the best, once more on
    everything. ``predict`` returns a data frame. As scikit-learn has it, the constructor only keeps its arguments, and
    what was learnt ends in an underscore.

    target: series to be forecast, the others only inform; all where None. time, series, value: names of columns, where
    they are not found by themselves. freq: the step, as h, 15min, D, MS, where timestamps do not show it. timezone: of
    the clocks. covariates: columns known ahead. level: percentages that intervals shall cover. lookback: steps that
    models see. season: steps of the naive season. together: all series inform each other; else each is forecast by
    itself; None for together where they mostly overlap. missing: forward, interpolate, zero or refuse. duplicates:
    refuse, mean, first or last. intervals: ``conformal`` around point forecasts, or around ``quantiles`` that the
    Transformer learns. use: ``best``, ``itransformer``, ``dlinear``, ``seasonal-naive``, ``last-value`` or
    ``auto-ets``. nonnegative: nothing below 0. refit: the last training. model, training: settings of the Transformer
    and of its training by name, as ``{"width": 256}`` and ``{"steps": 2000}``.

    Raises DataError and ConfigError, in one paragraph that says what to do.
    """

    def __init__(
        self,
        horizon: int = 24,
        *,
        target: str | Sequence[str] | None = None,
        time: str | None = None,
        series: str | None = None,
        value: str | None = None,
        freq: str | None = None,
        timezone: str | None = None,
        covariates: Sequence[str] | None = None,
        level: Sequence[float] = (80, 95),
        lookback: int | None = None,
        season: int | None = None,
        together: bool | None = None,
        missing: str = "forward",
        duplicates: str = "refuse",
        intervals: Literal["conformal", "quantiles"] = "conformal",
        use: str = "best",
        nonnegative: bool = False,
        refit: bool = True,
        model: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.horizon = horizon
        self.target = target
        self.time = time
        self.series = series
        self.value = value
        self.freq = freq
        self.timezone = timezone
        self.covariates = covariates
        self.level = level
        self.lookback = lookback
        self.season = season
        self.together = together
        self.missing = missing
        self.duplicates = duplicates
        self.intervals = intervals
        self.use = use
        self.nonnegative = nonnegative
        self.refit = refit
        self.model = model
        self.training = training
        self.seed = seed

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Changes arguments of the constructor; ConfigError for an unknown one."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ConfigError(f"a forecaster has no parameter {name!r}{suggestion(name, known)}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = {name: p.default for name, p in inspect.signature(type(self)).parameters.items()}
        changed = [f"{name}={value!r}" for name, value in self.get_params().items() if value != defaults[name]]
        return f"Forecaster({', '.join(changed)})"

    # ------------------------------------------------------------------------------------------------------ learning

    def fit(self, X: Source, y: None = None, future: Source | None = None) -> Self:
        """Learns from a table (a data frame, or the path of a CSV, TSV or Parquet file).

        future: a table with the covariates ahead, if they are not rows without targets in X. y: nothing; scikit-learn
        passes it.
        """
        levels = self._levels()
        self._check_use(self.use)
        if self.intervals not in ("conformal", "quantiles"):
            raise ConfigError(f"intervals are conformal or quantiles, not {self.intervals!r}")
        table, reading = self._read(X, future, self._reading())
        plan = planning.plan(table, self.horizon, self.lookback, self.season)
        for block in range(len(table.blocks) if table.covariates is not None else 0):
            table.future_marks(self.horizon, block)  # before anything is trained
        self.table_, self.plan_, self._covariates = table, plan, reading.covariates
        self.frequency_, self.names_, self.targets_ = _step(table), table.names, _targets(table)
        held_back = self._task(table, plan.held_back)
        quantiles = _quantiles(levels) if self.intervals == "quantiles" else ()
        models, steps = self._train(held_back, quantiles)
        models |= self._untrained(table)
        self._compare(held_back, models, levels)
        if self.refit and self.chosen_ in steps:
            self._train_again(models[self.chosen_].config, steps[self.chosen_])
        return self

    def _train(
        self, task: Forecasting, quantiles: tuple[float, ...]
    ) -> tuple[dict[str, ForecastModel], dict[str, int]]:
        """Those that are trained, stopped by the validation rows, and behind how many steps their weights were best."""
        plan, table = self.plan_, task.table
        configs: dict[str, ForecastModel.Config] = {
            "itransformer": planning.transformer(table, plan, quantiles, self.model),
            "dlinear": planning.linear(plan),
        }
        models: dict[str, ForecastModel] = {}
        steps = {}
        windows = len(task.windows("train"))
        for name, config in configs.items():
            settings = planning.training(config, table, windows, self.training if name == "itransformer" else None)
            notice(
                f"{TITLES[name]}: at most {settings.steps} steps of {settings.batch_size} windows out of {windows:,}"
            )
            model, result = fit(task.adapt(config), task, settings, seed=self.seed, metrics=None)
            assert isinstance(model, ForecastModel)
            models[name], steps[name] = model, result.kept
        return models, steps

    def _untrained(self, table: Table) -> dict[str, ForecastModel]:
        plan = self.plan_
        found: dict[str, ForecastModel] = {}
        for name, season in ((NAIVE, plan.season), (LAST, 1)):
            if name == NAIVE or plan.season > 1:
                found[name] = SeasonalNaive.Config(history=season, horizon=plan.horizon, season=season).build()
        series = table.values.shape[1]
        if importlib.util.find_spec("statsforecast") is None:
            return found
        if series > FITS and self.use != "auto-ets":
            notice(f"AutoETS is left out: it would have to be fitted to {series} series for every window")
            return found
        held_back = plan.validation + plan.test
        history = plan.history if table.ends is not None else min(_ETS_HISTORY, len(table.values) - held_back)
        config = AutoETS.Config(history=max(history, plan.history), horizon=plan.horizon, season=plan.season)
        return found | {"auto-ets": config.build()}

    def _compare(self, task: Forecasting, models: dict[str, ForecastModel], levels: tuple[float, ...]) -> None:
        """Rolls all over the rows that were held back, and chooses."""
        plan, table = self.plan_, task.table
        history = max(model.config.history for model in models.values())
        validation = plan.validation, plan.test, history
        notice(f"rolling {', '.join(TITLES[name] for name in models)} over the last {plan.test} steps")
        before = backtest.roll(task, models, backtest.rolling_origins(table, plan, *validation))
        rolled = backtest.roll(task, models, backtest.rolling_origins(table, plan, plan.test, 0, history))
        points = {name: backtest.point(model, rolled.forecasts[name]) for name, model in models.items()}
        self.scores_ = tuple(backtest.scores(task, rolled, points))
        self.chosen_ = self.scores_[0].name if self.use == "best" else self.use
        self.coverage_: dict[str, tuple[Coverage, ...]] = {}
        self.models_: dict[str, Fitted] = {}
        for name, model in models.items():
            trial = backtest.reaches(task, [before], name, model, levels)
            self.coverage_[name] = tuple(backtest.coverage(task, rolled, name, model, trial))
            reaches = backtest.reaches(task, [before, rolled], name, model, levels)
            self.models_[name] = Fitted(model, task.scaler, tuple(reaches))
        self.rolled_: Rolled | None = rolled

    def _train_again(self, config: ForecastModel.Config, steps: int) -> None:
        """The chosen one on all rows, as long as was best for it."""
        task = self._task(self.table_, self.plan_.whole)
        windows = len(task.windows("train"))
        mine = self.training if self.chosen_ == "itransformer" else None
        settings = planning.training(config, self.table_, windows, mine)
        settings = settings.replace(steps=max(1, steps), evaluate_every=None, patience=None, keep="last")
        notice(f"{TITLES[self.chosen_]} once more, on everything: {settings.steps} steps")
        model, _ = fit(config, task, settings, seed=self.seed, metrics=None)
        assert isinstance(model, ForecastModel)
        self.models_[self.chosen_] = Fitted(model, task.scaler, self.models_[self.chosen_].reaches)

    # ---------------------------------------------------------------------------------------------------- forecasting

    def predict(
        self,
        horizon: int | None = None,
        X: Source | None = None,
        future: Source | None = None,
        use: str | None = None,
    ) -> pd.DataFrame:
        """The steps behind the end of each series as a data frame; see ``Forecast.frame`` for its columns.

        horizon: at most the one fitted. X: another table of the same frequency, with whatever series; that of ``fit``
        where None. future: the covariates ahead. use: another forecaster than the chosen one.
        """
        return self.forecast(horizon, X, future, use).frame()

    def forecast(
        self,
        horizon: int | None = None,
        X: Source | None = None,
        future: Source | None = None,
        use: str | None = None,
    ) -> Forecast:
        """What ``predict`` returns, as arrays with all that belongs to them."""
        self._check_fitted()
        steps = self.plan_.horizon if horizon is None else horizon
        if not 1 <= steps <= self.plan_.horizon:
            raise ConfigError(
                f"this forecaster was trained for 1 to {self.plan_.horizon} steps ahead, not for {steps}; train another"
            )
        name = self._named(use)
        fitted, table = self.models_[name], self._table_for(X, future)
        scaler = self._scaler_for(table, fitted.scaler)
        task = Forecasting(self._task(table, "all-0-0").config, table, scaler)
        said = task.forecast(fitted.model)
        columns = list(range(len(table.names)) if table.targets is None else table.targets)
        said, names = said[:steps, columns], tuple(table.names[c] for c in columns)
        bounds = {}
        for reach in fitted.reaches:
            low, high = backtest.outer(fitted.model, said, reach.coverage)
            far = self._reach_for(reach, names, scaler.scale[columns])[:steps]
            bounds[reach.coverage] = (low - far, high + far)
        point = backtest.point(fitted.model, said)
        if self.nonnegative:
            point = np.maximum(point, 0)
            bounds = {c: (np.maximum(low, 0), np.maximum(high, 0)) for c, (low, high) in bounds.items()}
        separate = table.ends is not None
        times = tuple(_shown(table, table.future_times(steps, c if separate else 0)) for c in columns)
        return Forecast(names, times, point, bounds, table, name)

    def attention(self, table: Table | None = None) -> tuple[tuple[str, ...], np.ndarray] | None:
        """How much series attend to each other in each block, (M, N, N), mean over heads and recent windows.

        With the names of the N series; None where there is nothing to see: one series at a time, or other mixers.
        table: that of a ``Forecast``; of the training where None.
        """
        self._check_fitted()
        table, fitted = table or self._table_for(None, None), self.models_["itransformer"]
        model, series = fitted.model, table.values.shape[1]
        if series < 2 or not isinstance(model, InvertedForecaster):
            return None
        task = Forecasting(self._task(table, "all-0-0").config, table, self._scaler_for(table, fitted.scaler))
        last = len(table.values) - model.config.history - model.config.horizon
        starts = range(max(0, last) % _MAP_STRIDE, last + 1, _MAP_STRIDE)[-_MAP_WINDOWS:]
        maps = []
        try:
            for start in starts:
                batch = task.windows_at(np.array([start])).gather(np.array([0]))
                seen = model.attention(batch["history"], batch.get("marks"), batch.get("future_marks"))
                maps.append(torch.stack([layer.mean(dim=(0, 1)) for layer in seen]))
        except ConfigError:
            return None
        return (table.names, torch.stack(maps).mean(dim=0).numpy()) if maps else None

    @property
    def statement_(self) -> str:
        """What the backtest says, in a sentence or two."""
        self._check_fitted()
        return in_words(self.scores_, self.chosen_, self.use)

    @property
    def backtest_(self) -> pd.DataFrame:
        """The scores of all forecasters on the rolling windows, the best first."""
        self._check_fitted()
        frame = pd.DataFrame([dataclasses.asdict(score) for score in self.scores_]).drop(columns="by_step")
        for level in self._levels():
            measured = {
                name: next((c.measured for c in found if c.promised == level), np.nan)
                for name, found in self.coverage_.items()
            }
            frame[f"coverage-{100 * level:g}"] = frame["name"].map(measured)
        return frame

    # -------------------------------------------------------------------------------------------------------- keeping

    def save(self, folder: str | Path) -> None:
        """Writes everything that forecasting needs, whole or not at all; the training table is not among it."""
        self._check_fitted()
        data = {
            "formarium": formarium.__version__,
            "params": {k: list(v) if isinstance(v, tuple) else v for k, v in self.get_params().items()},
            "plan": dataclasses.asdict(self.plan_),
            "covariates": list(self._covariates),
            "frequency": self.frequency_,
            "series": list(self.names_),
            "targets": list(self.targets_),
            "chosen": self.chosen_,
            "scores": [dataclasses.asdict(score) for score in self.scores_],
            "coverage": {name: [dataclasses.asdict(c) for c in found] for name, found in self.coverage_.items()},
            "models": {
                name: {
                    "mean": fitted.scaler.mean.tolist(),
                    "scale": fitted.scaler.scale.tolist(),
                    "reaches": [
                        {"coverage": r.coverage, "by_series": r.by_series.tolist(), "pooled": r.pooled.tolist()}
                        for r in fitted.reaches
                    ],
                }
                for name, fitted in self.models_.items()
            },
        }
        with replacing(Path(folder)) as temporary:
            temporary.mkdir()
            for name, fitted in self.models_.items():
                fitted.model.save_pretrained(temporary / name)
            write_json(temporary / KEPT, data)

    @classmethod
    def load(cls, folder: str | Path) -> "Forecaster":
        """What ``save`` left in a folder; CheckpointError if it is another's, damaged or not whole."""
        folder = Path(folder)
        if not (folder / KEPT).is_file():
            what = "a model that no forecaster was saved with" if (folder / CONFIG).is_file() else "no saved forecaster"
            raise CheckpointError(f"{folder} holds {what}; 'formarium forecast' leaves one in the folder 'model'")
        data = read_object(folder / KEPT, "saved forecaster")
        try:
            params: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["params"].items()}
            found = cls(**params)
            found.plan_ = Plan(**data["plan"])
            found._covariates = tuple(data["covariates"])
            found.frequency_, found.names_ = data["frequency"], tuple(data["series"])
            found.targets_, found.chosen_ = tuple(data["targets"]), str(data["chosen"])
            found.scores_ = tuple(Score(**{**s, "by_step": tuple(s["by_step"])}) for s in data["scores"])
            found.coverage_ = {name: tuple(Coverage(**c) for c in own) for name, own in data["coverage"].items()}
            found.models_ = {}
            kept = {name: dict(own) for name, own in data["models"].items()}
            for name, own in kept.items():
                model = ForecastModel.from_pretrained(folder / name).eval()
                reaches = tuple(
                    Reach(r["coverage"], np.array(r["by_series"]), np.array(r["pooled"])) for r in own["reaches"]
                )
                scaler = Scaler(np.array(own["mean"], dtype=np.float64), np.array(own["scale"], dtype=np.float64))
                found.models_[name] = Fitted(model, scaler, reaches)
                found._check_whole(found.models_[name])
            found.models_[found.chosen_]
        except FormariumError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{folder / KEPT} is not that of a whole forecaster ({error!r}); train it anew"
            ) from None
        return found

    # -------------------------------------------------------------------------------------------------------- helpers

    def _reading(self) -> Reading:
        target = (self.target,) if isinstance(self.target, str) else tuple(self.target or ())
        return Reading().replace(
            time=self.time,
            series=self.series,
            value=self.value,
            targets=target,
            covariates=tuple(self.covariates or ()),
            frequency=self.freq,
            timezone=self.timezone,
            duplicates=self.duplicates,
            missing=self.missing,
            together=self.together,
        )

    @staticmethod
    def _read(source: Source, future: Source | None, reading: Reading) -> tuple[Table, Reading]:
        if future is not None:
            source, reading = with_future(source, future, reading)
        return open_table(source, reading), reading

    def _table_for(self, source: Source | None, future: Source | None) -> Table:
        """The table to be forecast, checked against what was trained."""
        if source is None:
            if not hasattr(self, "table_"):
                raise DataError("a saved forecaster has no data of its own; give it the table whose series go on")
            if future is not None:
                raise ConfigError("covariates ahead of the training table are given to fit")
            return self.table_
        reading = self._reading().replace(targets=(), covariates=self._covariates)
        table, _ = self._read(source, future, reading)
        own = _step(table)
        if own != self.frequency_:
            raise DataError(
                f"this forecaster was trained on steps of {self.frequency_ or 'no known length'}, and the table has "
                f"steps of {own or 'no known length'}; resample it, or train another forecaster"
            )
        if table.covariates is not None:
            for block in range(len(table.blocks)):
                table.future_marks(self.plan_.horizon, block)
        absent = [name for name in self.names_ if name not in table.names]
        if absent and table.ends is None:
            notice(f"{len(absent)} series of the training are not in this table: {', '.join(absent[:3])}")
        if table.ends is None and set(self.targets_) != set(self.names_):
            wanted = tuple(i for i, name in enumerate(table.names) if name in self.targets_)
            table = dataclasses.replace(table, targets=wanted or None)
        return table

    def _scaler_for(self, table: Table, own: Scaler) -> Scaler:
        """That of the training where it knows a series; a new series by its own rows."""
        if table.names == self.names_:
            return own
        fresh = Forecasting(self._task(table, "all-0-0").config, table).scaler
        place = {name: i for i, name in enumerate(self.names_)}
        known = np.array([place.get(name, -1) for name in table.names])
        mean, scale = (np.where(known >= 0, ours[known], theirs) for ours, theirs in (
            (own.mean, fresh.mean), (own.scale, fresh.scale)
        ))  # fmt: skip
        return Scaler(mean, scale)

    def _reach_for(self, reach: Reach, names: Sequence[str], scales: np.ndarray) -> np.ndarray:
        """(S, M): what the backtest found for a series, or for all where it is new."""
        place = {name: i for i, name in enumerate(self.targets_)}
        own = [
            reach.by_series[:, place[name]] if name in place else reach.pooled * scale
            for name, scale in zip(names, scales, strict=True)
        ]
        return np.stack(own, axis=1)

    def _task(self, table: Table, protocol: str) -> Forecasting:
        plan = self.plan_
        config = Forecasting.Config(
            data="table",
            history=plan.history,
            horizon=plan.horizon,
            protocol=protocol,
            variates=planning.variates(table),
            season=plan.season,
            evaluation_windows=planning.evaluation_windows(table, plan),
        )
        return Forecasting(config, table)

    def _levels(self) -> tuple[float, ...]:
        levels = tuple(sorted(float(x) / 100 for x in self.level))
        if not all(0 < level < 1 for level in levels):
            raise ConfigError(f"levels are percentages between 0 and 100, as 80,95, not {list(self.level)}")
        return levels

    def _check_use(self, use: str) -> None:
        if use != "best" and use not in TITLES:
            raise ConfigError(f"there is no forecaster {use!r}{suggestion(use, ('best', *TITLES))}")
        if use == "auto-ets" and importlib.util.find_spec("statsforecast") is None:
            raise ConfigError("AutoETS needs the library statsforecast: pip install 'formarium[ets]'")

    def _named(self, use: str | None) -> str:
        name = self.chosen_ if use in (None, "best") else str(use)
        self._check_use(name)
        if name not in self.models_:
            raise ConfigError(f"{name} was not among those that this forecaster compared: {', '.join(self.models_)}")
        return name

    def _check_whole(self, fitted: Fitted) -> None:
        """ValueError where the numbers that belong to a model are not as many as its series and steps."""
        series, targets, steps = len(self.names_), len(self.targets_), self.plan_.horizon
        config, scaler = fitted.model.config, fitted.scaler
        if (config.horizon, scaler.mean.shape, scaler.scale.shape) != (steps, (series,), (series,)):
            raise ValueError(f"{len(scaler.mean)} means for {series} series")
        for reach in fitted.reaches:
            if (reach.by_series.shape, reach.pooled.shape) != ((steps, targets), (steps,)):
                raise ValueError(f"intervals of {reach.by_series.shape} for {steps} steps of {targets} series")

    def _check_fitted(self) -> None:
        if not hasattr(self, "models_"):
            raise ConfigError("this forecaster has not been fitted; call fit with a table first")


def in_words(scores: Sequence[Score], chosen: str, use: str = "best") -> str:
    """What scores say, without flattery; and whose forecast it is."""
    best, by_name = scores[0], {score.name: score for score in scores}
    title = TITLES[best.name]
    windows = f"On {best.windows} rolling windows"
    if best.name in (NAIVE, LAST):
        others = ", ".join(f"{TITLES[s.name]} is {_higher(s, best)} worse" for s in scores[1:])
        said = f"{windows} nothing beats repeating the last {'value' if best.name == LAST else 'season'}: {others}."
    else:
        rivals = [s for s in scores[1:] if s.name != NAIVE]
        beside = "".join(
            f", {_percent(1 - best.against_naive / (s.against_naive or 1))} below that of {TITLES[s.name]}"
            for s in rivals
        )
        said = (
            f"{windows} {title} has the lowest error: {_percent(1 - best.against_naive)} below that of the seasonal "
            f"naive forecast{beside}; it is better than the naive one in {best.better:.0%} of the windows."
        )
        if best.name == "dlinear":
            said += " A linear map is enough here: the Transformer does not earn its keep on these series."
    transformer = by_name.get("itransformer")
    if transformer is not None and best.name != "itransformer" and transformer.against_naive > 1:
        said += " iTransformer does worse than the seasonal naive forecast on these series."
    mine = by_name[chosen]
    if chosen == best.name:
        return f"{said} The forecast is that of {TITLES[chosen]}."
    said += f" The forecast is that of {TITLES[chosen]}, as asked for, whose error is {_higher(mine, best)} higher."
    return said


def _step(table: Table) -> str | None:
    """The step between rows, as text."""
    return None if table.frequency is None else str(table.frequency)


def _targets(table: Table) -> tuple[str, ...]:
    """The series to be forecast."""
    if table.ends is not None or table.targets is None:
        return table.names
    return tuple(table.names[i] for i in table.targets)


def _higher(score: Score, best: Score) -> str:
    """By how much the error is above that of the best one."""
    if best.against_naive == 0 < score.against_naive:
        return "infinitely"
    return _percent(score.against_naive / best.against_naive - 1 if best.against_naive else 0)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _quantiles(levels: Sequence[float]) -> tuple[float, ...]:
    """The ends of central intervals of these coverages, and the median."""
    ends = {round((1 + sign * level) / 2, 6) for level in levels for sign in (-1, 1)}
    return tuple(sorted({*ends, 0.5}))


def _shown(table: Table, times: np.ndarray | None) -> Any:
    """Times as the table had them: of a known time zone with their offset."""
    if times is None or table.timezone is None:
        return times
    return pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(table.timezone)
