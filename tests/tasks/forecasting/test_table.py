import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from formarium.config import config_from_dict
from formarium.errors import DataError
from formarium.tasks.forecasting.table import Reading, fill, read_table


def wide(rows: int = 100, start: str = "2024-01-01", frequency: str = "h", zone: str | None = None) -> pd.DataFrame:
    steps = np.arange(rows, dtype=float)
    times = pd.date_range(start, periods=rows, freq=frequency, tz=zone)
    return pd.DataFrame({"date": times, "a": steps, "b": np.sin(steps)})


def long(spans: dict[str, tuple[int, int]]) -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=200, freq="h")
    parts = [
        pd.DataFrame({"unique_id": name, "ds": times[a:b], "y": np.arange(a, b, dtype=float)})
        for name, (a, b) in spans.items()
    ]
    return pd.concat(parts, ignore_index=True)


def changed(column: str, row: int, value: object) -> pd.DataFrame:
    frame = wide().astype({column: object})
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize("form", ["csv", "csv.gz", "tsv", "quoted", "marked", "parquet", "frame", "index", "shuffled"])
def test_the_same_table_in_every_form(form: str, tmp_path: Path) -> None:
    frame, path = wide(), tmp_path / f"table.{'csv' if form in ('quoted', 'marked') else form}"
    if form in ("csv", "csv.gz"):
        frame.to_csv(path, index=False)
    elif form == "quoted":
        frame.to_csv(path, index=False, quoting=csv.QUOTE_ALL)
    elif form == "marked":  # as spreadsheets save it
        frame.to_csv(path, index=False, encoding="utf-8-sig", sep=";", decimal=",")
    elif form == "tsv":
        frame.to_csv(path, index=False, sep="\t")
    elif form == "parquet":
        frame.to_parquet(path)
    source: object = path
    if form == "frame":
        source = frame
    elif form == "index":
        source = frame.set_index("date")
    elif form == "shuffled":
        source = frame.sample(frac=1, random_state=0)
    table = read_table(source)  # type: ignore[arg-type]
    assert table.names == ("a", "b")
    np.testing.assert_allclose(table.values, wide()[["a", "b"]].to_numpy())
    assert table.times is not None
    assert str(table.times[1]) == "2024-01-01T01:00:00"
    assert str(table.frequency) == "h"
    assert table.observed is None


def test_tables_without_times_or_names(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("1.0,2.0\n3.0,4.0\n5.5,6.0\n")
    table = read_table(tmp_path / "plain.txt")
    assert table.names == ("0", "1")
    assert table.values.tolist() == [[1, 2], [3, 4], [5.5, 6]]
    assert table.times is table.marks() is table.future_times(3) is None
    (tmp_path / "comma.csv").write_text("Datum;Wert\n30.01.2024;1,5\n31.01.2024;2,5\n01.02.2024;3,5\n")
    assert read_table(tmp_path / "comma.csv", Reading(time="Datum")).values[:, 0].tolist() == [1.5, 2.5, 3.5]


def test_whole_numbers_count_steps() -> None:
    frame = wide(10).drop(columns="date").assign(time=np.arange(100, 120, 2))
    assert read_table(frame).values.shape == (10, 2)
    assert read_table(frame.drop(index=4)).values.shape == (10, 2)  # a gap
    frame.loc[9, "time"] += 1
    with pytest.raises(DataError, match="irregular"):
        read_table(frame)


def test_gaps_become_rows_that_were_not_observed() -> None:
    table = read_table(wide().drop(index=range(40, 44)))
    assert table.values.shape == (100, 2)
    assert table.observed is not None
    assert (~table.observed).sum(axis=0).tolist() == [4, 4]
    assert table.values[40:44, 0].tolist() == [39.0] * 4


@pytest.mark.parametrize(
    ("missing", "expected"), [("forward", [2, 2, 5]), ("interpolate", [3, 4, 5]), ("zero", [0, 0, 5])]
)
def test_missing_values_are_filled_as_asked(missing: str, expected: list[float]) -> None:
    frame = wide()
    frame.loc[3:4, "a"] = np.nan
    table = read_table(frame, Reading().replace(missing=missing))
    assert table.values[3:6, 0].tolist() == expected
    assert fill(np.array([[np.nan], [1.0], [np.nan]]), "forward")[:, 0].tolist() == [1, 1, 1]


def test_clocks_set_back_repeat_an_hour() -> None:
    there = wide(50, "2024-10-26 12:00", zone="Europe/Berlin")
    naive = there.assign(date=there["date"].dt.tz_localize(None))
    with pytest.raises(DataError, match=r"2024-10-27 02:00:00 occurs twice.*set timezone to theirs"):
        read_table(naive)
    named = read_table(naive, Reading(timezone="Europe/Berlin"))
    offsets = read_table(there.assign(date=[t.isoformat() for t in there["date"]]), Reading(timezone="Europe/Berlin"))
    for table in (named, offsets, read_table(there)):
        assert table.values.shape == (50, 2)
        assert table.times is not None
        clock = table.clock(table.times)
        assert [str(t)[11:13] for t in clock[12:17]] == ["00", "01", "02", "02", "03"]
        assert table.marks() is not None
    with pytest.raises(DataError, match="2024-10-27 06:00:00 UTC occurs twice; say which row counts"):
        read_table(naive, Reading(timezone="America/New_York"))
    with pytest.raises(DataError, match="not those of clocks in Europe/Berlin"):
        read_table(wide(50, "2024-03-30 12:00"), Reading(timezone="Europe/Berlin"))  # an hour that did not exist
    with pytest.raises(DataError, match="no time zone"):
        read_table(naive, Reading(timezone="Europe/Atlantis"))


def test_clocks_set_forward_skip_an_hour() -> None:
    there = wide(50, "2024-03-30 12:00", zone="Europe/Berlin")
    naive = there.assign(date=there["date"].dt.tz_localize(None))
    assert read_table(naive, Reading(timezone="Europe/Berlin")).observed is None
    as_it_stands = read_table(naive)  # an hour seems to be missing
    assert as_it_stands.values.shape == (51, 2)


def test_days_are_counted_by_the_calendar_whatever_the_clocks_do() -> None:
    table = read_table(wide(60, "2024-03-01", "D", zone="Europe/Berlin"))
    assert str(table.frequency) == "D"
    assert table.values.shape == (60, 2)


@pytest.mark.parametrize(("duplicates", "expected"), [("mean", 4.5), ("first", 4.0), ("last", 5.0)])
def test_repeated_times_count_as_asked(duplicates: str, expected: float) -> None:
    frame = wide()
    frame.loc[5, "date"] = frame.loc[4, "date"]
    with pytest.raises(DataError, match="2024-01-01 04:00:00 occurs twice"):
        read_table(frame)
    assert read_table(frame, Reading().replace(duplicates=duplicates)).values[4, 0] == expected


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (changed("a", 3, np.inf), "row 4 of column 'a' is infinite"),
        (changed("a", 7, "oops"), "'oops' in row 8 of column 'a' is not a number"),
        (wide().assign(c="Oslo"), r"column 'c' holds text \('Oslo'\), not numbers; .*series to 'c'"),
        (wide().assign(c=np.nan), "series 'c' has no values"),
        (wide().assign(c=pd.Timestamp("2024-01-01")), "column 'c' holds times"),
        (wide().assign(date="03/04/2024"), "day or the month comes first"),
        (changed("date", 9, "soon"), "row 10 has no time: 'soon'"),
        (wide()[["date"]], "no column of values"),
        (wide().iloc[:0], "has no rows"),
        (pd.concat([wide(), wide()[["a"]]], axis=1), "two columns 'a'"),
        (wide().assign(date=wide()["date"] + pd.Timedelta("5ms")), "finer than a second"),
        (wide(40).iloc[[0, 1, 5, 13, 14, 31, 33, 37]], "irregular"),
        (long({"x": (0, 20)}).drop(columns="ds"), "needs a column of times"),
        (long({"x": (0, 20), "y": (30, 60)}), "'y' begins after 'x' has ended"),
        (long({"x": (0, 20)}).assign(unique_id=None), "does not say which series"),
    ],
)
def test_refuses_with_a_reason(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(frame)


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (Reading(time="dat"), "no column 'dat'; did you mean 'date'"),
        (Reading(targets=("c",)), "no column 'c'"),
        (Reading(targets=("date",)), "'date' is a column of times or of covariates"),
        (Reading(targets=("a",), covariates=("a",)), "'a' is a column of times or of covariates"),
        (Reading(missing="refuse"), "1 values are missing, the first in row 3 of column 1"),
        (Reading(frequency="2h"), "does not lie on steps of 2h"),
        (Reading(frequency="often"), "no frequency"),
        (Reading(series="a", value="q"), "no column 'q'"),
    ],
)
def test_refuses_readings_that_do_not_fit(reading: Reading, message: str) -> None:
    frame = wide()
    frame.loc[2, "a"] = np.nan
    with pytest.raises(DataError, match=message):
        read_table(frame, reading)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "there is no file"),
        ("empty.csv", b"", "is empty"),
        ("head.csv", b"date,a\n", "no rows"),
        ("sheet.xlsx", b"PK", "neither CSV, TSV nor Parquet"),
        ("bad.parquet", b"not", "cannot be read as a table"),
        ("bad.csv", b"\xff\xfe\x00\x81\x8d", "is not text in UTF-8; save it"),
        ("latin.csv", "date,Größe\n2024-01-01,1\n".encode("latin-1"), "is not text in UTF-8"),
        ("twice.csv", b"date,a, a\n2024-01-01,1,2\n", "two columns 'a'"),
        ("ragged.csv", b"date,a\n2024-01-01,1\n2024-01-02,2,3,4\n", "cannot be read as a table"),
    ],
)
def test_refuses_files(name: str, content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / name)


def test_long_tables_in_any_order_make_columns() -> None:
    frame = long({"x": (0, 50), "y": (0, 50)}).sample(frac=1, random_state=0)
    table = read_table(frame)
    assert set(table.names) == {"x", "y"}
    assert np.array_equal(table.values, np.arange(50.0)[:, None].repeat(2, axis=1))


def test_series_of_different_lengths_together_or_each_by_itself() -> None:
    frame = long({"x": (0, 100), "y": (20, 90), "z": (5, 60)})
    together = read_table(frame)
    assert together.values.shape == (40, 3)
    assert (together.values == np.arange(20.0, 60.0)[:, None]).all()
    apart = read_table(frame, Reading(together=False))
    assert apart.values.shape == (225, 1)
    assert apart.blocks == [(0, 100), (100, 170), (170, 225)]
    assert apart.values[100, 0] == 20
    assert apart.times is not None
    assert str(apart.times[100]) == "2024-01-01T20:00:00"
    assert str(apart.future_times(1, 2)[0]) == "2024-01-03T12:00:00"  # type: ignore[index]
    chosen = read_table(frame, Reading(together=False, targets=("z",)))
    assert chosen.names == ("z",)
    assert len(chosen.values) == 55


def test_gaps_of_one_series_are_not_filled_from_another() -> None:
    frame = long({"x": (0, 30), "y": (10, 40)})
    frame = frame[~((frame.unique_id == "y") & (frame.y == 11))]
    apart = read_table(frame, Reading(together=False))
    assert apart.values[30:33, 0].tolist() == [10.0, 10.0, 12.0]


def test_covariates_reach_beyond_the_last_target() -> None:
    frame = wide().assign(price=np.arange(100.0) % 7)
    frame.loc[90:, ["a", "b"]] = np.nan
    table = read_table(frame, Reading(covariates=("price",)))
    assert table.names == ("a", "b")
    assert table.values.shape == (90, 2)
    ahead = table.future_marks(10)
    assert ahead is not None
    assert ahead.shape == (10, 5)  # four of the calendar, and the price
    assert ahead[:, 4].tolist() == [float(i % 7) for i in range(90, 100)]
    with pytest.raises(DataError, match="known for 10 steps ahead, fewer than the horizon of 11"):
        table.future_marks(11)
    frame.loc[80:, "price"] = np.nan
    with pytest.raises(DataError, match="covariates end 10 steps before the series"):
        read_table(frame, Reading(covariates=("price",)))
    with pytest.raises(DataError, match="'price' has no values"):
        read_table(frame.assign(price=np.nan), Reading(covariates=("price",)))


def test_covariates_of_single_series() -> None:
    frame = long({"x": (0, 40), "y": (10, 50)})
    frame["price"] = frame["y"] + (frame.unique_id == "y")
    frame.loc[frame.groupby("unique_id").tail(5).index, "y"] = np.nan
    with pytest.raises(DataError, match="'price' differs between series"):
        read_table(frame, Reading(covariates=("price",)))
    apart = read_table(frame, Reading(covariates=("price",), together=False))
    assert apart.covariates is not None
    assert apart.covariates.shape == (70, 1)
    assert apart.ahead is not None
    assert apart.ahead[:, :, 0].tolist() == [[35, 36, 37, 38, 39], [46, 47, 48, 49, 50]]


def test_a_reading_is_plain_data() -> None:
    reading = Reading(covariates=("price",), timezone="Europe/Oslo", together=False)
    assert Reading.from_dict({k: v for k, v in reading.to_dict().items() if k != "type"}) == reading
    assert config_from_dict({"covariates": ["price"]}, default=Reading) == Reading(covariates=("price",))
