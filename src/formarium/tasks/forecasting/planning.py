"""What to set where the user has not: how long a history, which rows to hold back, which models, how long to train.

Everything follows from the table and the horizon alone, so that the same call gives the same forecast on any machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from formarium.config import ConfigError
from formarium.errors import DataError
from formarium.models.forecaster import Forecaster
from formarium.models.inverted_forecaster import InvertedForecaster
from formarium.models.linear_forecasters import DLinear
from formarium.tasks.forecasting.table import Table
from formarium.training.settings import Training

_SPARE = 8  # training windows at least
_TOKENS = 4096  # of a training batch: batches grow smaller with the number of series
_SAMPLES = 1024  # of a batch of a linear map, to which every series of a window is one
_VARIATES = 256  # of a training batch; wider tables are trained on ever other ones of their series
_WORK = 6e11  # floating-point operations of a training, forward and backward: some seconds on two cores
_EPOCHS = 60
_EVALUATIONS = 12


@dataclass(frozen=True)
class Plan:
    """How a table is to be forecast.

    history: steps that models look back. season: of the naive forecast. validation, test: rows held back at the end of
    each series, to stop training by and to roll forecasts over.
    """

    history: int
    horizon: int
    season: int
    validation: int
    test: int

    @property
    def held_back(self) -> str:
        """The protocol under which models are compared."""
        return f"tail-{self.validation}-{self.test}"

    @property
    def whole(self) -> str:
        """The protocol of the last training, on all rows."""
        return f"all-{self.validation}-{self.test}"


def plan(table: Table, horizon: int, history: int | None = None, season: int | None = None) -> Plan:
    """The plan for a table; DataError, with the longest horizon that would do, for one that is too short.

    A history of two horizons or four seasons, as far as half of the training rows; a tenth of the rows (1 to 20
    horizons) to validate and a fifth (1 to 40) to test.
    """
    if horizon < 1:
        raise ConfigError(f"a horizon has at least one step, not {horizon}")
    if history is not None and history < 2:
        raise ConfigError(f"a look-back has at least two steps, not {history}")
    if season is not None and season < 1:
        raise ConfigError(f"a season has at least one step, not {season}")
    lengths = sorted(stop - first for first, stop in table.blocks)
    rows = lengths[len(lengths) // 2]
    least = 4 if history is None else history
    if _room(rows, horizon) < least:
        needed = next(r for r in range(rows + 1, 100 * (horizon + least)) if _room(r, horizon) >= least)
        shorter = next((h for h in range(horizon - 1, 0, -1) if _room(rows, h) >= least), None)
        either = "" if shorter is None else f"forecast at most {shorter}, or "
        raise DataError(
            f"{rows} steps of history are too few to forecast {horizon}: a horizon each to train, validate and test "
            f"on, and a look-back of {least} or more, take {needed}; {either}bring more history"
        )
    validation, test = _held_back(rows, horizon)
    usual = season or (1 if table.frequency is None else table.frequency.season)
    wanted = min(max(2 * horizon, 4 * usual, 32), _room(rows, horizon), max(least, (rows - validation - test) // 2))
    return Plan(history or wanted, horizon, min(usual, rows - validation - test), validation, test)


def _held_back(rows: int, horizon: int) -> tuple[int, int]:
    """Rows to validate and to test on."""
    validation = min(max(horizon, rows // 10), max(20 * horizon, 200))
    return validation, min(max(horizon, rows // 5), max(40 * horizon, 400))


def _room(rows: int, horizon: int) -> int:
    """The longest history that leaves some windows to train on."""
    return rows - sum(_held_back(rows, horizon)) - horizon - _SPARE


def transformer(
    table: Table, plan: Plan, quantiles: tuple[float, ...] = (), changes: Mapping[str, Any] | None = None
) -> InvertedForecaster.Config:
    """The inverted Transformer: of the width that the paper uses for small data sets, with what is known ahead.

    Raises ConfigError for changes of what the plan decides.
    """
    for name, instead in (("history", "lookback"), ("horizon", "horizon"), ("quantiles", "level and intervals")):
        if name in (changes or {}):
            raise ConfigError(f"the {name} of the model is no setting of its own; it follows from {instead}")
    config = InvertedForecaster.Config(
        history=plan.history,
        horizon=plan.horizon,
        width=128,
        quantiles=quantiles,
        future_covariates=table.covariates is not None,
    )
    return config.override({"channel_mixer.hidden": 256, **(changes or {})})


def linear(plan: Plan) -> DLinear.Config:
    """DLinear, which it has to beat; a moving average of no more than the history."""
    kernel = min(25, plan.history - 1 + plan.history % 2)
    return DLinear.Config(history=plan.history, horizon=plan.horizon, kernel=kernel)


def variates(table: Table) -> int | None:
    """How many series a training batch sees; None for all."""
    return _VARIATES if table.values.shape[1] > 2 * _VARIATES else None


def training(
    model: Forecaster.Config, table: Table, windows: int, changes: Mapping[str, Any] | None = None
) -> Training:
    """Steps that come to a fixed amount of work, evaluated a dozen times; the best weights are kept.

    windows: to train on. changes: the user's own settings.
    """
    tokens = (variates(table) or table.values.shape[1]) + 8
    size = min(max(8, min(64, _TOKENS // tokens)), max(1, windows))
    if isinstance(model, InvertedForecaster.Config):
        hidden = getattr(model.channel_mixer, "hidden", None) or model.width
        maps = model.width * (model.history + model.horizon * max(1, len(model.quantiles)))
        block = 4 * model.width**2 + 2 * model.width * hidden + 2 * tokens * model.width
        work, rate = 6.0 * size * tokens * (maps + model.depth * block), 1e-3
    else:
        size = min(size, max(4, _SAMPLES // tokens))
        work, rate = 12.0 * size * tokens * model.history * model.horizon, 5e-3
    epoch = -(-windows // size)
    steps = int(min(_WORK / work, 1500, max(200, _EPOCHS * epoch)))
    steps = max(100, steps)
    chosen = Training(
        steps=steps,
        batch_size=size,
        optimizer="adam",
        beta2=0.999,
        learning_rate=rate,
        warmup=0.05,
        final=0.02,
        keep="best",
        patience=4,
    ).override(changes or {})
    return chosen if chosen.evaluate_every else chosen.replace(evaluate_every=max(1, chosen.steps // _EVALUATIONS))


def evaluation_windows(table: Table, plan: Plan) -> int:
    """On how many windows training is stopped: a few hundred, fewer of wide tables."""
    return max(16, min(400, (1 << 22) // (int(table.values.shape[1]) * plan.horizon)))
