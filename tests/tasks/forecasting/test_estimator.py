"""``Forecaster``: fitted to whatever table, honest about the steps ahead, with the manners of scikit-learn."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from formarium.config import ConfigError
from formarium.errors import DataError
from formarium.forecasting import Forecaster
from formarium.tasks.forecasting.backtest import Score
from formarium.tasks.forecasting.estimator import in_words
from formarium.tasks.forecasting.stream import open_table

SMALL: dict[str, Any] = {"model": {"width": 16, "depth": 1, "heads": 2}, "training": {"steps": 40}}


def seasonal(rows: int = 400, series: int = 2, noise: float = 0.1, freq: str = "h", season: int = 24) -> pd.DataFrame:
    steps, random = np.arange(rows), np.random.default_rng(1)
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=rows, freq=freq)})
    for i in range(series):
        wave = np.sin(2 * np.pi * (steps + 3 * i) / season)
        frame[f"s{i}"] = 10 * (i + 1) + (2 + i) * wave + random.normal(0, noise, rows)
    return frame


def long(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.melt("date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    return Forecaster(6, level=(50, 90), **SMALL).fit(seasonal())


def test_tables_on_disk_are_forecast_as_those_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seasonal(300, series=3).to_parquet(tmp_path / "wide.parquet", index=False)
    resident = Forecaster(4, use="dlinear", **SMALL).fit(tmp_path / "wide.parquet")
    monkeypatch.setattr("formarium.tasks.forecasting.estimator.open_table", partial(open_table, large=8 * 300 * 4))
    streamed = Forecaster(4, use="dlinear", **SMALL).fit(tmp_path / "wide.parquet")
    assert isinstance(streamed.table_.values, np.memmap)
    assert not isinstance(resident.table_.values, np.memmap)
    left, right = (f.predict().drop(columns="date").to_numpy() for f in (streamed, resident))
    np.testing.assert_allclose(left, right, rtol=1e-3)


def test_is_cloned_and_asked_for_its_parameters() -> None:
    clone = pytest.importorskip("sklearn.base").clone
    given: dict[str, Any] = {"horizon": 5, "level": [70], "target": "s0", **SMALL}
    forecaster = Forecaster(**given)
    twin = clone(forecaster)
    assert twin is not forecaster
    assert twin.get_params() == forecaster.get_params()
    assert {name: twin.get_params()[name] for name in given} == given
    assert repr(twin).startswith("Forecaster(horizon=5, target='s0', level=[70], ")
    assert twin.set_params(horizon=7, use="dlinear") is twin
    assert (twin.horizon, twin.use) == (7, "dlinear")
    with pytest.raises(ConfigError, match="no parameter 'horizn'; did you mean 'horizon'"):
        twin.set_params(horizn=3)


def test_fitting_changes_no_parameter(fitted: Forecaster) -> None:
    assert fitted.get_params() == Forecaster(6, level=(50, 90), **SMALL).get_params()
    learnt = [name for name in vars(fitted) if name not in fitted.get_params() and not name.startswith("_")]
    assert all(name.endswith("_") for name in learnt)


def test_asks_to_be_fitted_first() -> None:
    for ask in (lambda f: f.predict(), lambda f: f.save("nowhere"), lambda f: f.backtest_):
        with pytest.raises(ConfigError, match="call fit with a table first"):
            ask(Forecaster(3))


def test_the_same_seed_gives_the_same_forecast() -> None:
    frame = seasonal(300)
    once, again = (Forecaster(4, use="itransformer", seed=3, **SMALL).fit(frame).predict() for _ in range(2))
    pd.testing.assert_frame_equal(once, again)


def test_forecasts_a_wide_table(fitted: Forecaster) -> None:
    found = fitted.predict()
    assert list(found["date"]) == list(pd.date_range("2024-01-17 16:00", periods=6, freq="h"))
    truth = seasonal(406, noise=0)[["s0", "s1"]].to_numpy()[400:]
    assert np.abs(found[["s0", "s1"]].to_numpy() - truth).max() < 1.0
    assert [c for c in found.columns if c.startswith("s0")] == ["s0", "s0-lo-50", "s0-hi-50", "s0-lo-90", "s0-hi-90"]
    assert (found["s0-lo-90"] < found["s0-lo-50"]).all()
    pd.testing.assert_frame_equal(fitted.predict(2), found.iloc[:2])
    with pytest.raises(ConfigError, match="trained for 1 to 6 steps ahead, not for 7"):
        fitted.predict(7)


def test_series_that_it_has_never_seen(fitted: Forecaster) -> None:
    other = seasonal(300, series=4).rename(columns={"s3": "new"})
    other["large"] = 1e4 * other["new"] - 5
    found = fitted.predict(X=other)
    assert {"s0", "s1", "s2", "new", "large", "large-lo-90"} <= set(found.columns)
    for bound in ("", "-lo-90", "-hi-50"):
        np.testing.assert_allclose(found[f"large{bound}"], 1e4 * found[f"new{bound}"] - 5, rtol=1e-4)


def test_long_tables_come_back_long() -> None:
    found = Forecaster(3, use="seasonal-naive", **SMALL).fit(long(seasonal(300))).predict()
    assert list(found.columns)[:3] == ["unique_id", "ds", "forecast"]
    assert list(found["unique_id"]) == ["s0"] * 3 + ["s1"] * 3
    expected = seasonal(300)["s1"].to_numpy()[300 - 24 :][:3]
    np.testing.assert_allclose(found["forecast"][3:], expected, rtol=1e-6)


def test_series_of_different_lengths_that_never_change_and_lack_values() -> None:
    frame = seasonal(420, series=3)
    frame["s2"] = 7.0
    frame.loc[100:104, "s0"] = np.nan
    table = long(frame)
    table = table[(table["unique_id"] != "s1") | (table["ds"] >= "2024-01-10")]
    forecaster = Forecaster(4, use="itransformer", **SMALL).fit(table)
    found = forecaster.predict().set_index("unique_id")
    assert np.abs(found["forecast"].to_numpy()[found.index == "s2"] - 7).max() < 0.2
    assert found["forecast-lo-80"].le(found["forecast-hi-80"]).all()
    assert np.isfinite(found.drop(columns="ds").to_numpy()).all()
    assert forecaster.attention() is None  # each by itself


def test_what_is_known_ahead_is_used() -> None:
    random = np.random.default_rng(0)
    rows, horizon = 400, 4
    price = random.choice([0.0, 1.0], rows + horizon)
    times = pd.date_range("2024-01-01", periods=rows + horizon, freq="D")
    whole = pd.DataFrame({"date": times, "sales": 20 - 6 * price + random.normal(0, 0.2, len(price)), "price": price})
    past, future = whole.iloc[:rows], whole.iloc[rows:].drop(columns="sales")
    settings: dict[str, Any] = {"model": SMALL["model"], "training": {"steps": 400, "learning_rate": 0.005}}
    forecaster = Forecaster(horizon, use="itransformer", lookback=14, refit=False, **settings).fit(past, future=future)
    found = forecaster.predict()["sales"].to_numpy()
    assert np.abs(found - (20 - 6 * price[rows:])).max() < 2  # repeating any past is 6 off half of the time
    mae = {score.name: score.mae for score in forecaster.scores_}
    assert mae["itransformer"] < 0.5 * mae["dlinear"]
    other = future.assign(price=1 - future["price"])
    assert np.abs(forecaster.predict(X=past, future=other)["sales"].to_numpy() - found).min() > 3
    with pytest.raises(DataError, match="known for 0 steps ahead, fewer than the horizon of 4"):
        forecaster.predict(X=past)


def test_others_may_only_inform() -> None:
    forecaster = Forecaster(4, target="s0", use="dlinear", **SMALL).fit(seasonal(300, series=3))
    found = forecaster.predict()
    assert [c for c in found.columns if "-" not in c] == ["date", "s0"]
    names, maps = forecaster.attention() or ((), np.zeros(0))
    assert names == ("s0", "s1", "s2")
    assert maps.shape == (1, 3, 3)
    assert (maps.sum(axis=-1) <= 1 + 1e-5).all()


def test_nothing_below_zero_where_that_cannot_be() -> None:
    frame = seasonal(300, series=1, noise=1)
    frame["s0"] = np.maximum(frame["s0"] - 11, 0).round()
    found = Forecaster(8, nonnegative=True, use="seasonal-naive", **SMALL).fit(frame).predict()
    assert found.drop(columns="date").to_numpy().min() == 0


def test_clocks_that_are_set_back() -> None:
    times = pd.date_range("2024-10-15", periods=400, freq="h", tz="Europe/Berlin")
    frame = seasonal(400).assign(date=times.tz_localize(None))
    found = Forecaster(3, timezone="Europe/Berlin", use="seasonal-naive", **SMALL).fit(frame).predict()
    assert str(found["date"].iloc[0]) == "2024-10-31 15:00:00+01:00"
    with pytest.raises(DataError, match="occurs twice; if clocks were set back then, set timezone to theirs"):
        Forecaster(3, **SMALL).fit(frame)


@pytest.mark.parametrize("intervals", ["conformal", "quantiles"])
def test_intervals_cover_about_what_they_promise(intervals: Any) -> None:
    frame = seasonal(1500, series=1, noise=1.0)
    forecaster = Forecaster(4, level=(80,), intervals=intervals, use="itransformer", **SMALL).fit(frame.iloc[:1300])
    measured = forecaster.coverage_["itransformer"][0].measured
    assert measured == pytest.approx(0.8, abs=0.08)
    hits = []
    for end in range(1300, 1490, 4):
        found = forecaster.predict(X=frame.iloc[:end])
        truth = frame["s0"].to_numpy()[end : end + 4]
        hits.append((found["s0-lo-80"] <= truth) & (truth <= found["s0-hi-80"]))
    assert np.mean(hits) == pytest.approx(0.8, abs=0.12)


def test_levels_are_percentages() -> None:
    with pytest.raises(ConfigError, match="between 0 and 100"):
        Forecaster(3, level=(0,)).fit(seasonal(300))


def test_says_so_where_nothing_beats_repeating_the_last_value() -> None:
    walks = np.random.default_rng(3).normal(size=(500, 2)).cumsum(axis=0)
    frame = pd.DataFrame(walks, columns=["x", "y"]).assign(date=pd.date_range("2024-01-01", periods=500, freq="D"))
    forecaster = Forecaster(7, **SMALL).fit(frame)
    assert forecaster.chosen_ == forecaster.scores_[0].name == "last-value"
    naive = forecaster.backtest_.set_index("name")["against_naive"]
    assert naive["seasonal-naive"] == 1
    assert naive["last-value"] < naive["itransformer"]
    assert list(naive) == sorted(naive)
    assert "nothing beats repeating the last value" in forecaster.statement_
    np.testing.assert_allclose(forecaster.predict()["x"], walks[-1, 0], rtol=1e-6)


def score(name: str, against_naive: float, **changes: Any) -> Score:
    settings: dict[str, Any] = {
        "name": name,
        "windows": 40,
        "mase": against_naive,
        "mae": 1.0,
        "rmse": 1.0,
        "smape": 1.0,
        "against_naive": against_naive,
        "better": 0.75,
        "by_step": (1.0,),
    }
    return Score(**settings | changes)


@pytest.mark.parametrize(
    ("scores", "chosen", "said"),
    [
        (
            [score("seasonal-naive", 1), score("dlinear", 1.1), score("itransformer", 1.2)],
            "seasonal-naive",
            "On 40 rolling windows nothing beats repeating the last season: DLinear is 10.0 % worse, iTransformer is "
            "20.0 % worse. iTransformer does worse than the seasonal naive forecast on these series. The forecast is "
            "that of seasonal naive.",
        ),
        (
            [score("last-value", 0.5), score("dlinear", 0.6), score("seasonal-naive", 1)],
            "dlinear",
            "On 40 rolling windows nothing beats repeating the last value: DLinear is 20.0 % worse, seasonal naive is "
            "100.0 % worse. The forecast is that of DLinear, as asked for, whose error is 20.0 % higher.",
        ),
        (
            [score("itransformer", 0.6), score("dlinear", 0.8), score("seasonal-naive", 1)],
            "itransformer",
            "On 40 rolling windows iTransformer has the lowest error: 40.0 % below that of the seasonal naive "
            "forecast, 25.0 % below that of DLinear; it is better than the naive one in 75% of the windows. The "
            "forecast is that of iTransformer.",
        ),
        (
            [score("last-value", 0), score("dlinear", 0.6), score("seasonal-naive", 1)],
            "last-value",
            "On 40 rolling windows nothing beats repeating the last value: DLinear is infinitely worse, seasonal naive "
            "is infinitely worse. The forecast is that of last value.",
        ),
    ],
)
def test_scores_in_words(scores: list[Score], chosen: str, said: str) -> None:
    assert in_words(scores, chosen) == said


def test_a_linear_map_that_is_enough_is_said_to_be() -> None:
    scores = [score("dlinear", 0.6), score("itransformer", 0.7), score("seasonal-naive", 1)]
    assert "A linear map is enough here: the Transformer does not earn its keep" in in_words(scores, "dlinear")


def test_a_backtest_sees_no_future() -> None:
    """What is forecast over the rows held back does not change when those rows do."""
    frame = seasonal(400, noise=0.3)
    changed = frame.copy()
    settings: dict[str, Any] = {"use": "dlinear", "refit": False, **SMALL}
    first = Forecaster(4, **settings).fit(frame)
    test = first.plan_.test
    changed.loc[400 - test :, ["s0", "s1"]] += 50
    second = Forecaster(4, **settings).fit(changed)
    assert first.rolled_ is not None
    assert second.rolled_ is not None
    earliest = [roll.origins.argmin() for roll in (first.rolled_, second.rolled_)]
    for name in ("itransformer", "dlinear", "seasonal-naive"):
        left, right = (r.forecasts[name][e] for r, e in zip((first.rolled_, second.rolled_), earliest, strict=True))
        np.testing.assert_array_equal(left, right)


def test_ets_is_compared_where_its_library_is_installed() -> None:
    pytest.importorskip("statsforecast")
    frame = seasonal(150, series=1, freq="MS", season=12)
    forecaster = Forecaster(12, use="auto-ets", **SMALL).fit(frame)
    assert {score.name for score in forecaster.scores_} >= {"auto-ets", "dlinear"}
    truth = seasonal(162, series=1, noise=0, freq="MS", season=12)["s0"].to_numpy()[150:]
    assert np.abs(forecaster.predict()["s0"] - truth).max() < 1


def test_survives_being_saved(fitted: Forecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    again = Forecaster.load(tmp_path / "model")
    table = seasonal(420, series=3)
    pd.testing.assert_frame_equal(again.predict(X=table), fitted.predict(X=table))
    assert again.get_params() == {**fitted.get_params()}
    assert again.statement_ == fitted.statement_
    pd.testing.assert_frame_equal(again.backtest_, fitted.backtest_)
    again.save(tmp_path / "again")
    assert (tmp_path / "again" / "forecaster.json").read_text() == (tmp_path / "model" / "forecaster.json").read_text()
    with pytest.raises(DataError, match="has no data of its own; give it the table"):
        again.predict()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: f.predict(X=seasonal(300, freq="D")), "trained on steps of h, and the table has steps of D"),
        (lambda f: f.predict(X=seasonal(20)), "has 20 steps, fewer than"),
        (lambda f: f.predict(X=seasonal(300).assign(s0="x")), "holds text"),
        (lambda f: f.predict(X=seasonal(0)), "the data frame has no rows"),
    ],
)
def test_refuses_tables_that_do_not_fit(fitted: Forecaster, ask: Callable[[Forecaster], Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ask(fitted)
    with pytest.raises(ConfigError, match="covariates ahead of the training table are given to fit"):
        fitted.predict(future=seasonal(10))
    with pytest.raises(ConfigError, match="there is no forecaster 'prophet'"):
        fitted.predict(use="prophet")
