"""Tables of series as people keep them, read onto one regular grid of steps.

Wide tables have a column for each series; long ones have a row for each value, with columns for the series, the time
and the value (``unique_id, ds, y``). Whatever cannot be read without guessing is refused in a sentence.
"""

import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from formarium.config import BaseConfig, suggestion
from formarium.errors import DataError, FormariumError
from formarium.progress import notice
from formarium.tasks.forecasting.calendar import Frequency, infer_frequency, parse_frequency, time_features

try:
    import pandas as pd
except ModuleNotFoundError as error:
    raise FormariumError("forecasting reads tables with pandas: pip install 'formarium[forecasting]'") from error

_TIME_NAMES = ("ds", "date", "datetime", "timestamp", "time")
_LARGEST = 1 << 28  # values of a dense table made from a long one


@dataclass(frozen=True)
class Reading(BaseConfig):
    """How a table is to be understood.

    time, series, value: names of columns; found by themselves where the table follows the custom. targets: the series
    to be forecast; the others only inform. covariates: columns known ahead; their values beyond the last target are
    kept for the forecast. frequency: the step, where the timestamps do not show it. timezone: where the clocks stand
    that the timestamps were read from, for hours that daylight saving repeats or skips. duplicates: which value counts
    where a time occurs twice. missing: what stands in for values that are absent. together: all series in one window,
    cut to the span that they share; if false each series by itself, whatever its length; if None together unless that
    cuts off more than a third.
    """

    time: str | None = None
    series: str | None = None
    value: str | None = None
    targets: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    frequency: str | None = None
    timezone: str | None = None
    duplicates: Literal["refuse", "mean", "first", "last"] = "refuse"
    missing: Literal["forward", "interpolate", "zero", "refuse"] = "forward"
    together: bool | None = True


@dataclass(frozen=True)
class Table:
    """Series on a regular grid, complete.

    names: of the series. values: (T, N), a column for each series; or, where ``ends`` is set, (T, 1) with one series
    behind another, ``ends`` the row behind the last of each. observed: (T, 1 or N), false where a value was filled in;
    None where all were there. times: (T,) timestamps of the rows, or whole numbers where there is no frequency, None
    where there are neither; in UTC if ``timezone`` is set. covariates: (T, C); ahead: their values behind the last row,
    (F, C), or (series, F, C) with ``ends``. targets: numbers of the series to be forecast, None for all. calendar: the
    unit of the calendar features, by default the frequency. time_column, series_column, value_column: what the columns
    were called that it was read from; the latter two of a long table only.
    """

    names: tuple[str, ...]
    values: np.ndarray
    observed: np.ndarray | None = None
    times: np.ndarray | None = None
    frequency: Frequency | None = None
    timezone: str | None = None
    covariates: np.ndarray | None = None
    covariate_names: tuple[str, ...] = ()
    ahead: np.ndarray | None = None
    targets: tuple[int, ...] | None = None
    ends: np.ndarray | None = None
    calendar: Frequency | None = None
    time_column: str | None = None
    series_column: str | None = None
    value_column: str | None = None

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """First row and the one behind the last of each stretch that windows must not leave."""
        if self.ends is None:
            return [(0, len(self.values))]
        firsts = np.concatenate(([0], self.ends[:-1]))
        return [(int(a), int(b)) for a, b in zip(firsts, self.ends, strict=True)]

    def marks(self) -> np.ndarray | None:
        """Features of the calendar and covariates of each row, (T, C); None where there are neither."""
        return self._marks(self.times, self.covariates)

    def future_times(self, steps: int, block: int = 0) -> np.ndarray | None:
        """The times of the steps behind the last row (of a series by itself: of the series ``block``)."""
        if self.times is None:
            return None
        first, stop = self.blocks[block]
        last, ahead = self.times[stop - 1], np.arange(1, steps + 1)
        if self.frequency is None:
            return np.asarray(last + ahead * (last - self.times[stop - 2] if stop - first > 1 else 1))
        return self.frequency.at(last, ahead)

    def future_marks(self, steps: int, block: int = 0) -> np.ndarray | None:
        """What ``marks`` is for the steps ahead, (steps, C); DataError where covariates do not reach so far."""
        ahead = None
        if self.covariates is not None:
            ahead = self.ahead if self.ahead is None or self.ends is None else self.ahead[block]
            known = 0 if ahead is None else len(ahead)
            if ahead is None or known < steps:
                raise DataError(
                    f"the covariates {', '.join(self.covariate_names)} are known for {known} steps ahead, fewer than "
                    f"the horizon of {steps}; add rows with their values and without targets behind the last"
                )
            ahead = ahead[:steps]
        return self._marks(self.future_times(steps, block), ahead)

    def clock(self, times: np.ndarray) -> np.ndarray:
        """Timestamps as local clocks show them."""
        if self.timezone is None:
            return times
        local = pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(self.timezone).tz_localize(None)
        return np.asarray(local.to_numpy(), dtype="datetime64[s]")

    def _marks(self, times: np.ndarray | None, covariates: np.ndarray | None) -> np.ndarray | None:
        parts = [] if covariates is None else [covariates]
        if times is not None and self.frequency is not None:
            parts.insert(0, time_features(self.clock(times), self.calendar or self.frequency))
        return np.concatenate(parts, axis=1) if parts else None


def read_table(source: str | Path | pd.DataFrame, reading: Reading | None = None) -> Table:
    """The table in a CSV (also .gz), TSV or Parquet file, or a data frame.

    Raises DataError, in a sentence that says what to do, for what cannot be read or is ambiguous.
    """
    reading = reading or Reading()
    frame = _frame(source)
    series = _series_column(frame, reading)
    _known(reading, frame, series)
    if not len(frame):
        raise DataError(f"{_called(source)} has no rows")
    time = reading.time or _time_column(frame)
    groups = None if series is None else frame[series]
    times, timezone = (None, None) if time is None else _times(frame[time], reading, groups)
    if series is None:
        table = _wide(frame.drop(columns=[time] if time else []), times, reading)
    else:
        table = replace(_long(frame, series, time, times, reading), series_column=series, value_column=_value(reading))
    if table.frequency is not None and table.frequency.unit in ("D", "B", "W", "M"):
        timezone = None  # days are counted by the calendar, not in hours
    return replace(table, timezone=timezone if table.times is not None else None, time_column=time)


def with_future(
    source: str | Path | pd.DataFrame, future: str | Path | pd.DataFrame, reading: Reading
) -> tuple[pd.DataFrame, Reading]:
    """A table with the rows of another one, that knows covariates ahead, behind its own; and how it is then read.

    Covariates are those of the reading, else all columns that both have. Rows of times that the table has are left out.
    Raises DataError where the two do not fit each other.
    """
    frame, ahead = _frame(source), _frame(future)
    series = _series_column(frame, reading)
    _known(reading, frame, series)
    time = reading.time or _time_column(frame)
    if time is None:
        raise DataError("covariates ahead need a column of times in both tables; set time to its name")
    keys = [time] if series is None else [series, time]
    value = _value(reading)
    covariates = reading.covariates or tuple(
        str(c) for c in ahead.columns if c in frame.columns and c not in (*keys, value, *reading.targets)
    )
    for name in (*keys, *covariates):
        if name not in ahead.columns:
            raise DataError(f"{_called(future)} has no column {name!r}{suggestion(name, map(str, ahead.columns))}")
    if not covariates:
        raise DataError(f"{_called(future)} has no column in common with the table but its times; name the covariates")
    if not len(ahead):
        raise DataError(f"{_called(future)} has no rows")
    own, theirs = (pd.MultiIndex.from_frame(f[keys].assign(**{time: _parsed(f[time])})) for f in (frame, ahead))
    rows = ahead.loc[~theirs.isin(own), [*keys, *covariates]]
    return pd.concat([frame, rows], ignore_index=True), reading.replace(covariates=covariates)


def fill(values: np.ndarray, how: str, what: str = "values") -> np.ndarray:
    """(T, N) without gaps: the last value carried on (the first carried back), a straight line, 0, or DataError."""
    known = np.isfinite(values)
    if known.all():
        return values
    count = int((~known).sum())
    if how == "refuse":
        row, column = np.argwhere(~known)[0]
        raise DataError(
            f"{count} {what} are missing, the first in row {row + 1} of column {column + 1}; fill them in, or set "
            "missing to forward, interpolate or zero"
        )
    if how == "zero":
        return np.where(known, values, 0.0)
    rows = np.arange(len(values))
    if how == "interpolate":
        filled = values.copy()
        for column in np.flatnonzero(~known.all(axis=0)):
            there = known[:, column]
            filled[~there, column] = np.interp(rows[~there], rows[there], values[there, column])
        return filled
    last = np.maximum.accumulate(np.where(known, rows[:, None], -1), axis=0)
    last = np.where(last < 0, known.argmax(axis=0), last)
    return np.take_along_axis(values, last, axis=0)


def _called(source: object) -> str:
    return "the data frame" if isinstance(source, pd.DataFrame) else str(source)


def _frame(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        frame = source.copy()
        if isinstance(frame.index, pd.DatetimeIndex):
            frame = frame.reset_index(names=str(frame.index.name or "time"))
        frame.columns = [str(c) for c in frame.columns]
        return frame.reset_index(drop=True)
    path = Path(source).expanduser()
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    kind = path.name.removesuffix(".gz").rsplit(".", 1)[-1].lower()
    try:
        if kind == "parquet":
            return _frame(pd.read_parquet(path))
        if kind not in ("csv", "tsv", "txt"):
            raise DataError(f"{path.name} is neither CSV, TSV nor Parquet; write the series in one of these")
        return _csv(path)
    except pd.errors.EmptyDataError:
        raise DataError(f"{path} is empty") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text in UTF-8; save it as CSV in UTF-8") from None
    except (pd.errors.ParserError, OSError, EOFError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path} cannot be read as a table: {reason}") from None


def csv_form(path: Path) -> dict[str, Any]:
    """How a file separates columns and writes numbers, for pandas: from its first two lines."""
    head = pd.read_csv(
        path,
        header=None,
        sep="\x00",
        nrows=2,
        engine="python",
        quoting=csv.QUOTE_NONE,
        dtype=str,
        skip_blank_lines=True,
    )[0]
    first = str(head.iloc[0])
    separator = max(",;\t", key=first.count)
    if not first.count(separator):
        separator = ","
    headless = all(_is_number(cell) for cell in _cells(first, separator))
    cells = _cells(str(head.iloc[-1]), separator)
    comma = separator != "," and any(re.fullmatch(r"-?\d+,\d+", cell) for cell in cells)
    return {"sep": separator, "decimal": "," if comma else ".", "header": None if headless else 0}


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip().strip('"').strip() for cell in line.split(separator)]


def _csv(path: Path) -> pd.DataFrame:
    form = csv_form(path)
    if form["header"] == 0:  # pandas gives a repeated name another one
        first = pd.read_csv(path, sep=form["sep"], header=None, nrows=1, dtype=str, skipinitialspace=True).iloc[0]
        _once([str(c).strip() for c in first.dropna()])
    frame: pd.DataFrame = pd.read_csv(path, **form, skipinitialspace=True)
    frame.columns = [str(c).strip() for c in frame.columns]
    return frame


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _series_column(frame: pd.DataFrame, reading: Reading) -> str | None:
    """The column that makes the table a long one, if there is one."""
    return reading.series or ("unique_id" if {"unique_id", "y"} <= set(frame.columns) else None)


def _known(reading: Reading, frame: pd.DataFrame, series: str | None) -> None:
    """DataError for columns that the reading names and the table lacks, and for columns that occur twice."""
    columns = [str(c) for c in frame.columns]
    named = [reading.time, reading.series, reading.value, *reading.covariates]
    if series is None:
        named += reading.targets
    for name in named:
        if name is not None and name not in columns:
            raise DataError(f"the table has no column {name!r}{suggestion(name, columns)}")
    _once(columns)


def _once(columns: list[str]) -> None:
    """DataError for a name that two columns have."""
    if len(set(columns)) < len(columns):
        twice = next(c for c in columns if columns.count(c) > 1)
        raise DataError(f"the table has two columns {twice!r}; give them different names")


def _time_column(frame: pd.DataFrame) -> str | None:
    by_name = {str(c).lower(): str(c) for c in frame.columns}
    for name in _TIME_NAMES:
        if name in by_name:
            return by_name[name]
    first = frame.columns[0]
    if pd.api.types.is_datetime64_any_dtype(frame[first]):
        return str(first)
    if not _is_text(frame[first]):
        return None
    sample = frame[first].dropna().astype(str).head(20)
    looks = sample.str.match(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
    return str(first) if len(sample) and looks.all() else None


def _is_text(column: pd.Series) -> bool:
    return not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column))


def _times(column: pd.Series, reading: Reading, groups: pd.Series | None) -> tuple[np.ndarray, str | None]:
    """Timestamps in seconds, in UTC where a time zone is known, which is returned too; plain integers stay integers."""
    if pd.api.types.is_numeric_dtype(column):
        if column.isna().any() or (column != column.round()).any():
            raise DataError(f"the times in {column.name!r} are numbers, but not whole ones; count steps from 0")
        return column.to_numpy(dtype=np.int64), None
    parsed = _parsed(column)
    if parsed.isna().any():
        row = int(np.flatnonzero(parsed.isna().to_numpy())[0])
        raise DataError(f"row {row + 1} has no time: {column.iloc[row]!r} in {column.name!r} is not one")
    zone = None
    if parsed.dt.tz is not None:
        zone = reading.timezone or str(parsed.dt.tz)
        parsed = parsed.dt.tz_convert("UTC").dt.tz_localize(None)
    elif reading.timezone is not None:
        zone, parts = reading.timezone, [parsed] if groups is None else [part for _, part in parsed.groupby(groups)]
        parsed = pd.concat([_localised(part, zone) for part in parts]).reindex(column.index)
    if (parsed.dt.microsecond != 0).any() or (parsed.dt.nanosecond != 0).any():
        raise DataError("timestamps finer than a second are not supported; count steps in a column of whole numbers")
    times = np.asarray(parsed.to_numpy(), dtype="datetime64[s]")
    if zone is None:
        return times, None
    local = np.asarray(parsed.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None), dtype="datetime64[s]")
    of_day = local.astype(np.int64) % 86400
    return (local if (of_day == of_day[0]).all() else times), zone


def _parsed(column: pd.Series) -> pd.Series:
    if not _is_text(column):
        return column
    text = column.astype(str).str.strip()
    numbers = text.str.extract(r"^(\d{1,2})[/.](\d{1,2})[/.]\d{4}")
    if numbers.notna().all(axis=None):
        first, second = (numbers[i].astype(int).max() for i in (0, 1))
        if first <= 12 and second <= 12:
            raise DataError(
                f"dates such as {text.iloc[0]!r} do not say whether the day or the month comes first; write them as "
                "2024-12-31"
            )
        return pd.to_datetime(text, dayfirst=bool(first > 12), format="mixed", errors="coerce")
    offsets = text.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$").any() and text.str.contains(":").any()
    parsed = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=bool(offsets))
    if parsed.isna().all():
        parsed = pd.to_datetime(text, format="mixed", errors="coerce", utc=bool(offsets))
    return parsed


def _localised(times: pd.Series, zone: str) -> pd.Series:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DataError(f"there is no time zone {zone!r}; they are named as Europe/Oslo") from None
    try:
        local = times.dt.tz_localize(zone, ambiguous="infer", nonexistent="raise")
    except Exception as error:  # hours that do not exist, or cannot be told apart: an error of its own kind for each
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"the timestamps are not those of clocks in {zone}: {reason}; name the right time zone, or write the times "
            "in UTC"
        ) from None
    utc: pd.Series = local.dt.tz_convert("UTC").dt.tz_localize(None)
    return utc


def _numbers(column: pd.Series) -> np.ndarray:
    """A column as float64, NaN where nothing is; DataError for what is no number, and for infinities."""
    if pd.api.types.is_datetime64_any_dtype(column):
        raise DataError(
            f"the column {column.name!r} holds times; set time to {column.name!r} if it is when, or leave it out"
        )
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.flatnonzero(np.isnan(numbers) & column.notna().to_numpy())
    if len(bad) == column.notna().sum() and len(bad):
        raise DataError(
            f"the column {column.name!r} holds text ({column.iloc[bad[0]]!r}), not numbers; leave it out, or set "
            f"series to {column.name!r} if it names the series of a long table"
        )
    if len(bad):
        raise DataError(f"{column.iloc[bad[0]]!r} in row {bad[0] + 1} of column {column.name!r} is not a number")
    endless = np.flatnonzero(np.isinf(numbers))
    if len(endless):
        raise DataError(f"row {endless[0] + 1} of column {column.name!r} is infinite; leave it empty if it is unknown")
    return numbers


def _steps(times: np.ndarray, reading: Reading) -> tuple[Frequency | None, np.ndarray]:
    """The frequency, and each time as a number of steps from the first."""
    if times.dtype.kind != "M":
        if len(times) < 2:
            return None, times - times.min()
        different = np.unique(times)
        step = int(np.diff(different).min()) if len(different) > 1 else 1
        if ((times - times.min()) % step).any():
            raise DataError(f"the numbers in the time column are irregular: not all are steps of {step}")
        return None, (times - times.min()) // step
    frequency = parse_frequency(reading.frequency) if reading.frequency else infer_frequency(np.unique(times))
    return frequency, frequency.places(times.min(), times)


def _grid(times: np.ndarray | None, frequency: Frequency | None, places: np.ndarray, length: int) -> np.ndarray | None:
    """The time of each step, as a timestamp or counted on."""
    if times is None:
        return None
    if frequency is not None:
        return frequency.at(times.min(), np.arange(length))
    last = int(places.max())
    return np.asarray(times.min() + np.arange(length) * ((times.max() - times.min()) // last if last else 1))


def _merged(frame: pd.DataFrame, keys: list[np.ndarray], times: np.ndarray, reading: Reading) -> pd.Series:
    """True for rows that stay where a key occurs twice; refused unless the reading says which row counts."""
    index = pd.MultiIndex.from_arrays(keys) if len(keys) > 1 else pd.Index(keys[0])
    again = index.duplicated()
    if not again.any():
        return pd.Series(True, index=frame.index)
    if reading.duplicates == "refuse":
        when = times[np.flatnonzero(again)[0]]
        shown = str(when).replace("T", " ")
        clocks = "if clocks were set back then, set timezone to theirs, as Europe/Oslo, else "
        cause = f"{shown} occurs twice; {clocks}" if reading.timezone is None else f"{shown} UTC occurs twice; "
        raise DataError(f"the time {cause}say which row counts: set duplicates to mean, first or last")
    return pd.Series(~index.duplicated(keep="last" if reading.duplicates == "last" else "first"), index=frame.index)


def _wide(frame: pd.DataFrame, times: np.ndarray | None, reading: Reading) -> Table:
    known_ahead = list(reading.covariates)
    names = [str(c) for c in frame.columns if c not in known_ahead]
    if not names:
        raise DataError("the table has no column of values to forecast")
    numbers = pd.DataFrame({str(c): _numbers(frame[c]) for c in frame.columns})
    frequency: Frequency | None = None
    places = np.arange(len(frame))
    if times is not None:
        frequency, places = _steps(times, reading)
        stay = _merged(numbers, [places], times, reading)
        if reading.duplicates == "mean" and not stay.all():
            numbers = numbers.groupby(places).mean()
            places = numbers.index.to_numpy()
        else:
            numbers, places = numbers[stay.to_numpy()], places[stay.to_numpy()]
    length = int(places.max()) + 1
    if length > 20 * len(numbers) + 1000:
        raise DataError(
            f"{len(numbers)} rows are spread over {length} steps: the timestamps are too sparse for steps of this "
            "length; name a longer frequency, or resample"
        )
    grid = np.full((length, len(numbers.columns)), np.nan)
    grid[places] = numbers.to_numpy()
    columns = {str(c): i for i, c in enumerate(numbers.columns)}
    values = grid[:, [columns[n] for n in names]]
    covariates = grid[:, [columns[n] for n in known_ahead]] if known_ahead else None
    grid_times = _grid(times, frequency, places, length)
    table = Table(tuple(names), values, times=grid_times, frequency=frequency, covariate_names=tuple(known_ahead))
    table = replace(table, targets=_among(reading.targets, names), covariates=covariates)
    return _together(table, reading) if _fits_together(table, reading) else _separate(table, reading)


def _among(targets: tuple[str, ...], names: list[str]) -> tuple[int, ...] | None:
    """The numbers of the series to be forecast, None for all; DataError for a column that is none."""
    other = next((t for t in targets if t not in names), None)
    if other is not None:
        raise DataError(f"{other!r} is a column of times or of covariates, and no series to forecast")
    return tuple(names.index(t) for t in targets) or None


def _long(frame: pd.DataFrame, series: str, time: str | None, times: np.ndarray | None, reading: Reading) -> Table:
    value = _value(reading)
    if value not in frame.columns:
        raise DataError(f"the long table has no column {value!r} of values; set value to its name")
    if time is None or times is None:
        raise DataError("a long table needs a column of times, as 'ds'; set time to its name")
    if frame[series].isna().any():
        raise DataError(f"row {int(frame[series].isna().to_numpy().argmax()) + 1} does not say which series it is of")
    codes, names = pd.factorize(frame[series])
    labels = tuple(str(n) for n in names)
    unknown = next((t for t in reading.targets if t not in labels), None)
    if unknown is not None:
        raise DataError(f"the table has no series {unknown!r}{suggestion(unknown, labels)}")
    numbers = pd.DataFrame({c: _numbers(frame[c]) for c in (value, *reading.covariates)})
    longest = np.bincount(codes).argmax()
    frequency, _ = _steps(times[codes == longest], reading)
    start = times.min()
    places = _steps(times, reading)[1] if frequency is None else frequency.places(start, times)
    stay = _merged(numbers, [codes, places], times, reading)
    if reading.duplicates == "mean" and not stay.all():
        numbers = numbers.groupby([codes, places]).mean()
        codes, places = (numbers.index.get_level_values(i).to_numpy() for i in (0, 1))
    else:
        keep = stay.to_numpy()
        numbers, codes, places = numbers[keep], codes[keep], places[keep]
    length = int(places.max()) + 1
    if length * len(labels) > max(_LARGEST, 20 * len(numbers)):
        raise DataError(
            f"{len(labels)} series over {length} steps are too sparse for one table; give fewer series at a time"
        )
    values = np.full((length, len(labels)), np.nan)
    values[places, codes] = numbers[value].to_numpy()
    covariates = None
    if reading.covariates:
        covariates = np.full((length, len(labels), len(reading.covariates)), np.nan)
        covariates[places, codes] = numbers[list(reading.covariates)].to_numpy()
    grid_times = _grid(times, frequency, places, length)
    table = Table(labels, values, times=grid_times, frequency=frequency, covariate_names=reading.covariates)
    table = replace(table, targets=tuple(labels.index(t) for t in reading.targets) or None)
    alike = covariates is None or reading.together is True or _differing(covariates) is None
    if not (alike and _fits_together(table, reading)):
        return _separate(replace(table, covariates=covariates), reading)
    if covariates is not None:
        table = replace(table, covariates=_shared(covariates, reading.covariates))
    return _together(table, reading)


def _shared(covariates: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """(T, N, C) to (T, C) where all series have the same; DataError where they differ."""
    differing = _differing(covariates)
    if differing is not None:
        raise DataError(
            f"the covariate {names[differing]!r} differs between series; forecast each by itself (--separate, or "
            "together=False)"
        )
    lowest = np.where(np.isfinite(covariates), covariates, np.inf).min(axis=1)
    return np.where(np.isfinite(lowest), lowest, np.nan)


def _differing(covariates: np.ndarray) -> int | None:
    """The first of the covariates (T, N, C) that is not the same for all series."""
    known = np.isfinite(covariates)
    lowest = np.where(known, covariates, np.inf).min(axis=1)
    highest = np.where(known, covariates, -np.inf).max(axis=1)
    differ = np.flatnonzero((lowest < highest).any(axis=0))
    return int(differ[0]) if len(differ) else None


def _spans(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """First observed row and the row behind the last of each series; DataError for one without values."""
    known = np.isfinite(table.values)
    empty = np.flatnonzero(~known.any(axis=0))
    if len(empty):
        raise DataError(f"the series {table.names[empty[0]]!r} has no values; leave it out")
    constant = np.flatnonzero(np.nanmin(table.values, axis=0) == np.nanmax(table.values, axis=0))
    if len(constant):
        shown = ", ".join(repr(table.names[i]) for i in constant[:3])
        notice(f"{len(constant)} series never change ({shown}{', ...' if len(constant) > 3 else ''})")
    return known.argmax(axis=0), len(known) - known[::-1].argmax(axis=0)


def _value(reading: Reading) -> str:
    """The column of values of a long table."""
    return reading.value or "y"


def _fits_together(table: Table, reading: Reading) -> bool:
    """Whether the series go into one window: as the reading says, or where they share most of their steps."""
    if reading.together is not None:
        return reading.together
    known = np.isfinite(table.values)
    if not known.any(axis=0).all():
        return True  # a series without values is refused there
    firsts, stops = known.argmax(axis=0), len(known) - known[::-1].argmax(axis=0)
    return bool(3 * (stops.min() - firsts.max()) >= 2 * (stops.max() - firsts.min()))


def _together(table: Table, reading: Reading) -> Table:
    """Cut to the span that all series share, and filled."""
    firsts, stops = _spans(table)
    first, stop = int(firsts.max()), int(stops.min())
    if first >= stop:
        raise DataError(
            f"the series {table.names[int(firsts.argmax())]!r} begins after {table.names[int(stops.argmin())]!r} has "
            "ended; forecast each series by itself (--separate, or together=False), or leave one out"
        )
    left = int(stops.max()) - int(firsts.min()) - (stop - first)
    if left:
        notice(
            f"the series share {stop - first} steps; {left} steps at which some have not begun or have ended are cut"
        )
    covariates = ahead = None
    if table.covariates is not None:
        covariates = _filled_covariates(table.covariates[first:], table.covariate_names, reading)
        ahead = covariates[stop - first :] if stop == int(stops.max()) else covariates[:0]
        covariates = _long_enough(covariates, stop - first)
    values, observed = _complete(table.values[first:stop], reading)
    times = None if table.times is None else table.times[first:stop]
    return replace(table, values=values, observed=observed, times=times, covariates=covariates, ahead=ahead)


def _separate(table: Table, reading: Reading) -> Table:
    """One series behind another, each from its first value to its last."""
    firsts, stops = _spans(table)
    kept = range(len(table.names)) if table.targets is None else table.targets
    pieces = [(i, int(firsts[i]), int(stops[i])) for i in kept]
    joined = np.concatenate([table.values[a:b, i] for i, a, b in pieces])[:, None]
    values, observed = _complete(joined, reading)
    covariates = ahead = None
    if table.covariates is not None:
        given = (
            table.covariates
            if table.covariates.ndim == 3
            else table.covariates[:, None].repeat(len(table.names), axis=1)
        )
        filled = [_filled_covariates(given[a:, i], table.covariate_names, reading) for i, a, _ in pieces]
        covariates = np.concatenate([_long_enough(f, b - a) for f, (_, a, b) in zip(filled, pieces, strict=True)])
        behind = [f[b - a :] for f, (_, a, b) in zip(filled, pieces, strict=True)]
        shortest = min(len(x) for x in behind)
        ahead = np.stack([x[:shortest] for x in behind])
    times = None if table.times is None else np.concatenate([table.times[a:b] for _, a, b in pieces])
    return replace(
        table,
        names=tuple(table.names[i] for i in kept),
        values=values,
        observed=observed,
        times=times,
        covariates=covariates,
        ahead=ahead,
        targets=None,
        ends=np.cumsum([b - a for _, a, b in pieces]),
    )


def _long_enough(covariates: np.ndarray, rows: int) -> np.ndarray:
    if len(covariates) < rows:
        raise DataError(f"the covariates end {rows - len(covariates)} steps before the series; fill them in")
    return covariates[:rows]


def _complete(values: np.ndarray, reading: Reading) -> tuple[np.ndarray, np.ndarray | None]:
    known = np.isfinite(values)
    if known.all():
        return values, None
    filled = fill(values, reading.missing)
    notice(f"{int((~known).sum())} of {known.size} values are missing and filled in ({reading.missing})")
    return filled, known


def _filled_covariates(covariates: np.ndarray, names: tuple[str, ...], reading: Reading) -> np.ndarray:
    """Up to the last row in which all are known; gaps before it filled as the reading says."""
    known = np.isfinite(covariates)
    absent = np.flatnonzero(~known.any(axis=0))
    if len(absent):
        raise DataError(f"the covariate {names[absent[0]]!r} has no values; leave it out")
    last = int(np.flatnonzero(known.all(axis=1))[-1]) + 1 if known.all(axis=1).any() else 0
    return np.asarray(fill(covariates[:last], reading.missing, "values of covariates"))
