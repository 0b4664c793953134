from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from formarium.config import ConfigError, parse
from formarium.errors import CheckpointError, DataError
from formarium.models import DLinear, InvertedForecaster, SeasonalNaive, TemporalForecaster
from formarium.tasks import Forecasting
from formarium.tasks.forecasting.datasets import BENCHMARKS, load
from formarium.tasks.forecasting.synthetic import seasonal_autoregression
from formarium.tasks.forecasting.table import Reading
from formarium.training import Training
from formarium.training.harness import fit

SMALL = Forecasting.Config(data="synthetic:12x900", history=48, horizon=24)


@pytest.fixture(scope="module")
def task() -> Forecasting:
    return Forecasting(SMALL)


def naive(task: Forecasting, season: int = 24) -> SeasonalNaive:
    model = task.adapt(SeasonalNaive.Config(season=season)).build()
    assert isinstance(model, SeasonalNaive)
    return model


def test_real_benchmarks_have_the_published_windows(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMARIUM_DATA", str(data))
    for name, counts in (
        ("ETTh1", (8449, 2785, 2785)),
        ("ETTh2", (8449, 2785, 2785)),
        ("exchange_rate", (5120, 665, 1422)),
    ):
        task = Forecasting(Forecasting.Config(data=name))
        task.prepare()
        splits = ("train", "validation", "test")
        assert tuple(len(task.windows(split)) for split in splits) == counts  # type: ignore[arg-type]
        batch = next(task.batches(4, seed=0))
        assert batch["marks"].shape == (4, 96, 4)  # of hours, whatever the step: as published
        assert batch["history"].dtype == torch.float32


def test_the_naive_forecast_of_etth1_has_the_known_error(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeating the last value, 1.294 and 0.713: as benchmark tables have it for their row 'Repeat'."""
    monkeypatch.setenv("FORMARIUM_DATA", str(data))
    task = Forecasting(Forecasting.Config(evaluation_windows=None))
    found = task.evaluate(naive(task, 1), "test", ["mse", "mae"])
    assert found["mse"] == pytest.approx(1.2944, abs=5e-4)
    assert found["mae"] == pytest.approx(0.7132, abs=5e-4)


def test_a_short_training_beats_repeating_the_day(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMARIUM_DATA", str(data))
    task = Forecasting(Forecasting.Config(evaluation_windows=300))
    config = InvertedForecaster.Config(width=64, heads=4).override({"channel_mixer.hidden": 64})
    model = task.adapt(config).build()
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = task.batches(32, seed=0)
    for _ in range(60):
        optimiser.zero_grad()
        task.loss(model, next(batches)).backward()
        optimiser.step()
    repeated = task.evaluate(naive(task), "test", ["mse"])["mse"]
    assert task.evaluate(model, "test", ["mse"])["mse"] < 0.95 * repeated  # type: ignore[operator]


def test_a_run_does_not_go_on_with_another_table(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    values = np.random.default_rng(0).normal(size=(200, 2)).round(3)
    pd.DataFrame(values, columns=["a", "b"]).to_csv(file, index=False)

    def train() -> None:
        task = Forecasting(Forecasting.Config(data=str(file), history=8, horizon=4))
        fit(task.adapt(DLinear.Config()), task, Training(steps=2, batch_size=4), folder=tmp_path / "run", show=False)

    train()
    train()  # a finished run is not made again
    for other in (pd.DataFrame(values[:-1], columns=["a", "b"]), pd.DataFrame(values, columns=["a", "c"])):
        other.to_csv(file, index=False)
        with pytest.raises(CheckpointError, match="holds another run: it learned from other data"):
            train()


def test_scaling_knows_the_training_rows_only(task: Forecasting) -> None:
    rows = task.table.values[: int(0.7 * 900)]
    np.testing.assert_allclose(task.scaler.mean, rows.mean(axis=0))
    np.testing.assert_allclose(task.scaler.scale, rows.std(axis=0))
    first = task.windows("train").gather([0])["history"][0]
    torch.testing.assert_close(first, torch.from_numpy(task.scaler.apply(task.table.values[:48])).float())


def test_batches_follow_from_the_seed_and_the_number(task: Forecasting) -> None:
    def histories(start: int, count: int, **share: int) -> list[torch.Tensor]:
        batches = task.batches(8, seed=3, start=start, **share)
        return [next(batches)["history"] for _ in range(count)]

    whole = histories(0, 90)  # more than one pass
    for left, right in zip(histories(70, 20), whole[70:], strict=True):
        assert torch.equal(left, right)
    halves = [histories(0, 3, rank=rank, world=2) for rank in (0, 1)]
    interleaved = [h for pair in zip(*halves, strict=True) for h in pair]
    for left, right in zip(interleaved, whole[:6], strict=True):
        assert torch.equal(left, right)
    assert not torch.equal(next(task.batches(8, seed=4))["history"], whole[0])


def test_a_pass_shows_every_window_once(task: Forecasting) -> None:
    count = len(task.windows("train"))
    batches = task.batches(count, seed=1)
    epoch = next(batches)["history"][:, 0, 0]
    everything = task.windows("train").gather(np.arange(count))["history"][:, 0, 0]
    assert torch.equal(epoch.sort().values, everything.sort().values)


def test_some_series_are_drawn_from_all(task: Forecasting) -> None:
    drawn = Forecasting(SMALL.replace(variates=3))
    batches = drawn.batches(2, seed=0)
    firsts = torch.cat([next(batches)["history"][0, 0] for _ in range(40)])
    assert len(firsts.unique()) > 12  # other series, other windows
    limited = Forecasting(SMALL.replace(train_share=0.25))
    assert next(limited.batches(2, seed=0))["history"].shape == (2, 48, 3)
    assert next(iter(limited.windows("test").batches(2)))["history"].shape == (2, 48, 12)
    with pytest.raises(ConfigError, match="cannot be trained on some only"):
        limited.adapt(TemporalForecaster.Config())
    limited.adapt(TemporalForecaster.Config(channel_independent=True))


def test_fills_in_what_the_data_decide(task: Forecasting) -> None:
    adapted = task.adapt(TemporalForecaster.Config())
    assert isinstance(adapted, TemporalForecaster.Config)
    assert (adapted.history, adapted.horizon, adapted.variates, adapted.covariates) == (48, 24, 12, 4)
    unmarked = Forecasting(SMALL.replace(marks=False))
    assert unmarked.adapt(TemporalForecaster.Config()).covariates == 0  # type: ignore[attr-defined]
    assert "marks" not in next(unmarked.batches(2, seed=0))
    assert isinstance(task.baseline(), DLinear.Config)
    with pytest.raises(ConfigError, match="takes a forecaster"):
        task.adapt(parse("Decoder"))


def test_every_metric_of_a_forecast(task: Forecasting) -> None:
    names = ["mse", "mae", "mase", "smape", "loss", "mse_by_step", "coverage@0.8", "width@0.8"]
    found = task.evaluate(naive(task), "test", names)
    assert list(found) != []
    by_step = found["mse_by_step"]
    assert isinstance(by_step, list)
    assert np.mean(by_step) == pytest.approx(found["mse"])
    assert found["loss"] == found["mse"]
    windows = task.windows("test").gather(np.arange(len(task.windows("test"))))
    errors = windows["target"] - windows["history"][:, -24:]
    assert found["mae"] == pytest.approx(float(errors.abs().mean()), rel=1e-5)
    training = torch.from_numpy(task.table.values[: int(0.7 * 900)])
    scale = (training[24:] - training[:-24]).abs().mean(0) / torch.from_numpy(task.scaler.scale)
    assert found["mase"] == pytest.approx(float((errors.abs() / scale).mean()), rel=1e-5)
    assert 0.6 < found["coverage@0.8"] < 0.95  # type: ignore[operator]
    with pytest.raises(ConfigError, match="measures no 'rmse'"):
        task.evaluate(naive(task), "test", ["rmse"])
    with pytest.raises(ConfigError, match="needs a model with quantiles"):
        task.evaluate(naive(task), "test", ["quantile_loss"])


def test_quantiles_are_trained_and_measured(task: Forecasting) -> None:
    model = task.adapt(DLinear.Config(quantiles=(0.1, 0.5, 0.9))).build()
    batch = next(task.batches(16, seed=0))
    loss = task.loss(model, batch)
    loss.backward()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(20):
        optimiser.zero_grad()
        task.loss(model, batch).backward()
        optimiser.step()
    assert task.loss(model, batch) < 0.8 * loss
    found = task.evaluate(model, "validation", ["quantile_loss", "loss", "mse", "coverage"])
    assert found["quantile_loss"] == found["loss"]
    assert found["coverage"] == pytest.approx(0.9, abs=0.03)  # calibrated here


def test_dropping_the_last_batch_is_the_published_mistake(task: Forecasting) -> None:
    count = len(task.windows("test"))
    assert count % 32
    dropped = Forecasting(SMALL.replace(drop_last=True))
    kept = task.windows("test").gather(np.arange(count // 32 * 32))
    expected = float((kept["target"] - kept["history"][:, -24:]).square().mean())
    assert dropped.evaluate(naive(dropped), "test")["mse"] == pytest.approx(expected, rel=1e-5)
    assert dropped.evaluate(naive(dropped), "test")["mse"] != task.evaluate(naive(task), "test")["mse"]


def hourly(rows: int, names: str = "ab") -> pd.DataFrame:
    steps = np.arange(rows)
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=rows, freq="h")})
    for i, name in enumerate(names):
        frame[name] = 100 * (i + 1) + 10 * np.sin(2 * np.pi * (steps + i) / 24)
    return frame


def test_forecasts_the_steps_behind_the_end_in_own_units(tmp_path: Path) -> None:
    hourly(400).to_csv(tmp_path / "own.csv", index=False)
    task = Forecasting(Forecasting.Config(data=str(tmp_path / "own.csv"), history=48, horizon=24))
    future = hourly(424)[["a", "b"]].to_numpy()[400:]
    np.testing.assert_allclose(task.forecast(naive(task)), future, rtol=1e-5)
    quantiles = task.adapt(DLinear.Config(quantiles=(0.1, 0.9))).build()
    assert task.forecast(quantiles).shape == (24, 2, 2)
    task.save(tmp_path)
    assert (tmp_path / "series.json").is_file()


def test_series_by_themselves(tmp_path: Path) -> None:
    frame = hourly(400)
    long = frame.melt("date", var_name="unique_id", value_name="y").rename(columns={"date": "ds"})
    long = long[(long.unique_id == "a") | (long.ds >= "2024-01-05")]
    long.to_parquet(tmp_path / "long.parquet")
    reading = Reading(together=False)
    config = Forecasting.Config(data=str(tmp_path / "long.parquet"), history=48, horizon=24, reading=reading)
    task = Forecasting(config)
    task.prepare()
    assert next(task.batches(4, seed=0))["history"].shape == (4, 48, 1)
    for split in ("train", "validation", "test"):
        for start in task.windows(split).starts:  # type: ignore[arg-type]
            assert not start < 400 < start + 72  # no window leaves its series
    future = hourly(424)[["a", "b"]].to_numpy()[400:]
    np.testing.assert_allclose(task.forecast(naive(task)), future, rtol=1e-4)
    found = task.evaluate(naive(task), "test", ["mse", "smape"])
    assert found["mse"] == pytest.approx(0, abs=1e-8)
    assert found["smape"] == pytest.approx(0, abs=1e-3)


def test_only_the_targets_count(tmp_path: Path) -> None:
    frame = hourly(400)
    frame["b"] = np.random.default_rng(0).normal(size=400)
    frame.to_csv(tmp_path / "own.csv", index=False)
    data = str(tmp_path / "own.csv")
    task = Forecasting(Forecasting.Config(data=data, history=48, horizon=24, reading=Reading(targets=("a",))))
    batch = next(task.batches(8, seed=0))
    assert batch["history"].shape == (8, 48, 2)  # both inform
    assert task.loss(naive(task), batch) < 1e-8
    assert task.evaluate(naive(task), "test", ["mse", "mase", "smape"])["mse"] == pytest.approx(0, abs=1e-8)


def test_what_was_filled_in_does_not_count(tmp_path: Path) -> None:
    frame = hourly(400)
    frame.loc[350:360, "a"] = np.nan
    frame.to_csv(tmp_path / "own.csv", index=False)
    task = Forecasting(Forecasting.Config(data=str(tmp_path / "own.csv"), history=48, horizon=24))
    exact = parse(f"SeasonalNaive(history=48, horizon=24, season={24})").build()
    windows = task.windows("test")
    clean = [n for n in range(len(windows)) if windows.starts[n] + 48 > 361 or windows.starts[n] + 48 <= 350]
    batch = windows.gather(np.array(clean[:1]))
    assert task.loss(exact, batch) < 1e-8
    batch = windows.gather(np.array([n for n in range(len(windows)) if windows.starts[n] + 48 == 340]))
    assert not batch["observed"].all()
    assert task.loss(exact, batch) < 1e-8  # the filled-in values, far off, are left out


@pytest.mark.parametrize(
    ("config", "kind", "message"),
    [
        (Forecasting.Config(data="synthetic:3x200"), DataError, "200 steps leave the train split no window of 96"),
        (Forecasting.Config(data="ETTh9"), DataError, "there is no file ETTh9"),
        (Forecasting.Config(data="synthetic:3x2000", protocol="ett-hour"), DataError, "takes 14400 rows"),
    ],
)
def test_refuses_data_that_do_not_do(config: Forecasting.Config, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        Forecasting(config).prepare()


@pytest.mark.parametrize(
    "changes", [{"horizon": 0}, {"train_share": 0.0}, {"train_share": 1.5}, {"variates": 0}], ids=str
)
def test_refuses_settings_that_cannot_be(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Forecasting(SMALL.replace(**changes))


def test_data_that_are_nowhere_are_named_with_their_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path))
    for name in ("electricity", "PEMS08", "ETTm1"):
        with pytest.raises(DataError, match=f"put it at {BENCHMARKS[name].file.path} .*'synthetic' need no file"):
            load(name)
    with pytest.raises(DataError, match="did you mean 'ETTh2'"):
        load("etth2")


def test_a_pems_file_is_its_flow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path))
    (tmp_path / "pems").mkdir()
    flow = np.random.default_rng(0).normal(size=(300, 5, 3))
    flow[7, 2, 0] = np.nan
    np.savez(tmp_path / "pems" / "PEMS03.npz", data=flow)
    table, protocol = load("PEMS03")
    assert protocol == "pems"
    assert table.marks() is None
    assert table.values[7, 2] == flow[6, 2, 0]
    assert np.array_equal(table.values[:, 1], flow[:, 1, 0])
    (tmp_path / "pems" / "PEMS04.npz").write_bytes(b"no")
    with pytest.raises(DataError, match=r"(no|not a) PEMS file"):
        load("PEMS04")


def test_synthetic_series_follow_from_the_seed_and_lead_each_other() -> None:
    series = seasonal_autoregression(16, 3000, seed=5)
    assert np.array_equal(series, seasonal_autoregression(16, 3000, seed=5))
    assert not np.array_equal(series, seasonal_autoregression(16, 3000, seed=6))
    assert np.isfinite(series).all()
    assert series.std(axis=0).max() < 20  # no explosion
    spectrum = np.abs(np.fft.rfft(series - series.mean(axis=0), axis=0)) ** 2
    daily = spectrum[3000 // 24] / spectrum.mean(axis=0)
    assert np.median(daily) > 20  # a day stands out of the noise
    # The past of its leaders improves the forecast of a series beyond its own past.
    hours = np.arange(3000)[:, None] * 2 * np.pi / np.array([24, 12, 8, 168, 84])
    design = np.concatenate([np.sin(hours), np.cos(hours), np.ones((3000, 1)), np.arange(3000)[:, None]], axis=1)
    z = series - design @ np.linalg.lstsq(design, series, rcond=None)[0]
    own = np.stack([np.roll(z[:, 9], lag) for lag in range(1, 4)], axis=1)[24:]
    others = np.stack([np.roll(z[:, j], lag) for j in range(9) for lag in range(1, 25)], axis=1)[24:]
    target = z[24:, 9]

    def unexplained(past: np.ndarray) -> float:
        half = len(target) // 2
        known = past[:half]
        weights = np.linalg.solve(known.T @ known + 10 * np.eye(past.shape[1]), known.T @ target[:half])
        return float(((target - past @ weights)[half:] ** 2).mean())

    assert unexplained(np.concatenate([own, others], axis=1)) < 0.8 * unexplained(own)
