"""``formarium forecast``: forecasts, a report and a model; or a sentence that says what is wrong, and nothing left."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from formarium.forecasting import Forecaster

QUICK = ("-s", "steps=20", "-s", "model.width=16", "-s", "model.depth=1", "-s", "model.heads=2")


def hourly(rows: int = 260, start: str = "2024-01-01", names: str = "ab") -> pd.DataFrame:
    steps, noise = np.arange(rows), np.random.default_rng(0)
    frame = pd.DataFrame({"date": pd.date_range(start, periods=rows, freq="h")})
    for i, name in enumerate(names):
        season = np.sin(2 * np.pi * (steps + 5 * i) / 24)
        frame[name] = np.round(10 * (i + 1) + 2 * season + noise.normal(0, 0.1, rows), 4)
    return frame


def changed(column: str, row: int, value: Any) -> pd.DataFrame:
    frame = hourly()
    frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value
    return frame


@pytest.fixture
def csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[pd.DataFrame], Path]:
    monkeypatch.chdir(tmp_path)

    def write(frame: pd.DataFrame) -> Path:
        frame.to_csv(tmp_path / "sales.csv", index=False)
        return tmp_path / "sales.csv"

    return write


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A forecaster of two hourly series, 4 steps ahead."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    settings = {"width": 16, "depth": 1, "heads": 2}
    Forecaster(4, model=settings, training={"steps": 20}).fit(hourly()).save(folder)
    return folder


def nothing_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*given: Any, **named: Any) -> None:
        pytest.fail("a training begins")

    monkeypatch.setattr("formarium.tasks.forecasting.estimator.fit", fit)


def test_forecasts_and_says_what_that_is_worth(run: Callable[..., Any], csv: Callable[..., Path]) -> None:
    file = csv(hourly())
    done = run("forecast", file, "--horizon", 6, "--level", "50,90", *QUICK)
    assert done.status == 0, done.err
    folder = file.parent / "sales-forecast"
    frame = pd.read_csv(folder / "forecast.csv", parse_dates=["date"])
    bounds = [f"{name}{bound}" for name in "ab" for bound in ("", "-lo-50", "-hi-50", "-lo-90", "-hi-90")]
    assert list(frame.columns) == ["date", *bounds]
    assert list(frame["date"]) == list(pd.date_range("2024-01-11 20:00", periods=6, freq="h"))
    for name in "ab":
        ordered = frame[[f"{name}-lo-90", f"{name}-lo-50", name, f"{name}-hi-50", f"{name}-hi-90"]].to_numpy()
        assert (np.diff(ordered, axis=1) >= 0).all()
    truth = hourly(266)[["a", "b"]].to_numpy()[260:]
    assert np.abs(frame[["a", "b"]].to_numpy() - truth).mean() < 0.6
    for shown in ("seasonal naive", "DLinear", "iTransformer", "in 90 %", "rolling windows", str(folder / "model")):
        assert shown in done.out
    page = (folder / "report.html").read_text(encoding="utf-8")
    for shown in ("What comes", "How good that is", "What it would have said", "Which series inform which", "Plotly"):
        assert shown in page
    assert 'src="http' not in page, "the page needs nothing from elsewhere"
    assert {p.name for p in folder.iterdir()} == {"forecast.csv", "report.html", "model"}


def test_a_saved_model_forecasts_without_training(
    run: Callable[..., Any], csv: Callable[..., Path], saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_is_trained(monkeypatch)
    later = hourly(200, "2024-03-01").rename(columns={"b": "other"}).assign(large=lambda frame: 1000 * frame["other"])
    file = csv(later)
    done = run("forecast", file, "--model", saved, "--out", file.parent / "out", "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert (facts["horizon"], facts["forecast"]) == (4, ["a", "other", "large"])
    assert {row["name"] for row in facts["backtest"]} >= {"itransformer", "dlinear", "seasonal-naive", "last-value"}
    frame = pd.read_csv(facts["csv"])
    assert list(frame["date"]) == [f"2024-03-09 {hour:02}:00:00" for hour in range(8, 12)]
    for bound in ("", "-lo-80", "-hi-95"):  # new series are brought to the same scale, whatever their own
        np.testing.assert_allclose(frame[f"large{bound}"], 1000 * frame[f"other{bound}"], rtol=1e-4)
    assert Path(facts["report"]).stat().st_size > 10_000
    assert not (file.parent / "out" / "model").exists()


def test_fewer_steps_and_another_forecaster(run: Callable[..., Any], csv: Callable[..., Path], saved: Path) -> None:
    file = csv(hourly(names="a"))
    done = run("forecast", file, "--model", saved, "--horizon", 2, "--use", "seasonal-naive")
    assert done.status == 0, done.err
    assert "1 series of the training are not in this table: b" in done.err
    frame = pd.read_csv(file.parent / "sales-forecast" / "forecast.csv")
    np.testing.assert_allclose(frame["a"], hourly()["a"].to_numpy()[-24:-22], rtol=1e-6)


def test_rows_in_any_order_with_gaps_are_read(run: Callable[..., Any], csv: Callable[..., Path], saved: Path) -> None:
    whole = hourly()
    gappy = whole.drop(index=[30, 31, 77])
    for number, frame in enumerate((gappy, gappy.sample(frac=1, random_state=0))):
        out = csv(frame).parent / str(number)
        done = run("forecast", csv(frame), "--model", saved, "--out", out)
        assert done.status == 0, done.err
        assert "6 of 520 values are missing and filled in (forward)" in done.err
    assert (out / "forecast.csv").read_text() == (out.parent / "0" / "forecast.csv").read_text()


BAD_TABLES: dict[str, tuple[pd.DataFrame, tuple[str, ...], str]] = {
    "no-target": (hourly(), ("--target", "c"), "the table has no column 'c'; there are: a, b, date"),
    "time-as-target": (hourly(), ("--target", "date"), "'date' is a column of times or of covariates"),
    "no-time": (hourly(), ("--time", "dat"), "the table has no column 'dat'; did you mean 'date'"),
    "no-covariate": (hourly(), ("--covariates", "price"), "the table has no column 'price'"),
    "nothing-ahead": (hourly(), ("--covariates", "b"), "the covariates b are known for 0 steps ahead, fewer than"),
    "no-rows": (hourly(0), (), "has no rows"),
    "no-values": (hourly()[["date"]], (), "no column of values to forecast"),
    "text": (changed("a", 16, "n/k"), (), "'n/k' in row 17 of column 'a' is not a number"),
    "words": (hourly().assign(a="Oslo"), (), "the column 'a' holds text .'Oslo'., not numbers"),
    "infinite": (changed("a", 6, np.inf), (), "row 7 of column 'a' is infinite"),
    "missing": (changed("a", 6, np.nan), ("--missing", "refuse"), "1 values are missing, the first in row 7 of column"),
    "all-missing": (hourly().assign(a=np.nan), (), "the series 'a' has no values; leave it out"),
    "duplicates": (changed("date", 20, "2024-01-01 19:00:00"), (), "2024-01-01 19:00:00 occurs twice"),
    "not-a-time": (changed("date", 20, "soon"), (), "row 21 has no time: 'soon'"),
    "irregular": (hourly().iloc[np.arange(22) ** 2 // 2], (), "the timestamps are irregular: the most common step is"),
    "frequency": (hourly(), ("--freq", "fortnight"), "'fortnight' is no frequency; write h, 15min"),
    "other-frequency": (hourly(), ("--freq", "D"), "2024-01-01 01:00:00 does not lie on steps of D"),
    "time-zone": (hourly(), ("--timezone", "Mars"), "there is no time zone 'Mars'"),
    "too-short": (hourly(20), (), "20 steps of history are too few to forecast 4: .* forecast at most 2"),
    "too-far": (hourly(), ("--horizon", "400"), "260 steps of history are too few to forecast 400: .* at most 82"),
    "too-long-a-look": (hourly(), ("--lookback", "250"), "260 steps of history are too few .* bring more history"),
    "missing-how": (hourly(), ("--missing", "guess"), "'guess' is not one of forward, interpolate, zero, refuse"),
    "levels": (hourly(), ("--level", "120"), "levels are percentages between 0 and 100, as 80,95, not"),
    "no-levels": (hourly(), ("--level", "many"), "levels are percentages, as 80,95, not 'many'"),
    "forecaster": (hourly(), ("--use", "dliner"), "there is no forecaster 'dliner'; did you mean 'dlinear'"),
    "intervals": (hourly(), ("--intervals", "gauss"), "intervals are conformal or quantiles, not 'gauss'"),
    "setting": (hourly(), ("-s", "model.widht=8"), "no setting 'widht'; did you mean 'width'"),
    "planned": (hourly(), ("-s", "model.history=8"), "the history of the model is no setting of its own"),
    "season": (hourly(), ("--season", "0"), "a season has at least one step, not 0"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables_are_answered_in_a_sentence(
    refused: Callable[..., str], csv: Callable[..., Path], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, options, message = BAD_TABLES[case]
    file = csv(frame)
    horizon = () if "--horizon" in options else ("--horizon", 4)
    nothing_is_trained(monkeypatch)
    said = refused("forecast", file, *horizon, *options)
    assert re.search(message, said), said
    assert [path.name for path in file.parent.iterdir()] == ["sales.csv"], "something was left behind"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "there is no file"),
        ("empty.csv", b"", "empty.csv is empty"),
        ("sheet.xlsx", b"PK", "neither CSV, TSV nor Parquet"),
        ("cut.parquet", b"PAR1cut", "cannot be read as a table"),
        ("binary.csv", bytes(range(256)), "is not text in UTF-8"),
        ("ragged.csv", b"date,a\n2024-01-01,1\n2024-01-02,2,3,4\n", "Expected 2 fields in line 3, saw 4"),
        ("twice.csv", b"date,a,a\n2024-01-01,1,2\n", "two columns 'a'"),
    ],
)
def test_bad_files_are_answered_in_a_sentence(
    refused: Callable[..., str], tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert message in refused("forecast", tmp_path / name, "--horizon", 4, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_horizon_and_a_place_to_write_are_asked_for_first(
    refused: Callable[..., str], csv: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_is_trained(monkeypatch)
    file = csv(hourly())
    assert "say how many steps ahead: --horizon 24" in refused("forecast", file)
    assert "is a file; name another folder" in refused("forecast", file, "--horizon", 4, "--out", file / "out")


def without(key: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        kept = json.loads((folder / "forecaster.json").read_text())
        del kept[key]
        (folder / "forecaster.json").write_text(json.dumps(kept))

    return change


def other_scales(folder: Path) -> None:
    kept = json.loads((folder / "forecaster.json").read_text())
    kept["models"]["dlinear"]["mean"] = [1.0]
    (folder / "forecaster.json").write_text(json.dumps(kept))


def cut(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-60])

    return change


def another_kind(folder: Path) -> None:
    from formarium.models import Decoder

    Decoder.Config(vocabulary=8, width=8, depth=1, heads=2).build().save_pretrained(folder / "itransformer")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut("itransformer/model.safetensors"), "are damaged or truncated"),
        (cut("forecaster.json"), "the saved forecaster at .* cannot be read"),
        (cut("dlinear/config.json"), "the model configuration at .* cannot be read"),
        (lambda folder: (folder / "dlinear" / "model.safetensors").unlink(), "there are no weights at"),
        (lambda folder: (folder / "forecaster.json").unlink(), "holds no saved forecaster"),
        (without("plan"), "is not that of a whole forecaster .* train it anew"),
        (other_scales, "1 means for 2 series"),
        (another_kind, "holds a Decoder, not a Forecaster"),
    ],
)
def test_damaged_models_are_refused(
    refused: Callable[..., str],
    csv: Callable[..., Path],
    saved: Path,
    damage: Callable[[Path], None],
    message: str,
) -> None:
    file = csv(hourly())
    shutil.copytree(saved, file.parent / "model")
    damage(file.parent / "model")
    said = refused("forecast", file, "--model", file.parent / "model")
    assert re.search(message, said), said
    assert not (file.parent / "sales-forecast").exists()


def test_models_and_tables_that_do_not_fit_are_refused(
    refused: Callable[..., str], csv: Callable[..., Path], saved: Path
) -> None:
    file = csv(hourly())
    model = ("--model", saved)
    assert "holds a model that no forecaster was saved with" in refused("forecast", file, "--model", saved / "dlinear")
    assert "trained for 1 to 4 steps ahead, not for 5" in refused("forecast", file, *model, "--horizon", 5)
    for option in (("--target", "a"), ("--level", "50"), ("-s", "steps=3"), ("--lookback", "9")):
        assert "with --model nothing is trained" in refused("forecast", file, *model, *option)
    daily = hourly().assign(date=pd.date_range("2024-01-01", periods=260, freq="D"))
    assert "trained on steps of h, and the table has steps of D" in refused("forecast", csv(daily), *model)
    assert "has 20 steps, fewer than" in refused("forecast", csv(hourly(20)), *model)
    assert [path.name for path in file.parent.iterdir()] == ["sales.csv"]
