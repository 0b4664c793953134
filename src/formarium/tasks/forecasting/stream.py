"""Tables that are too large for memory: written once to a file of numbers in the cache, and read from there."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from formarium.errors import DataError
from formarium.files import cache_folder, read_object, replacing, write_json
from formarium.progress import progress
from formarium.tasks.forecasting.calendar import parse_frequency
from formarium.tasks.forecasting.table import (
    Reading,
    Table,
    _among,
    _known,
    _merged,
    _numbers,
    _series_column,
    _steps,
    _time_column,
    _times,
    csv_form,
    read_table,
)

LARGE = 1 << 29  # bytes of a file from which on it is streamed
_CELLS = 1 << 22  # numbers at a time
_VERSION = 2


def open_table(source: str | Path | pd.DataFrame, reading: Reading | None = None, large: int = LARGE) -> Table:
    """``read_table`` for what fits; a wide table of ``large`` bytes or more stays on disk, as float32.

    A CSV file has its own bytes, a Parquet file 8 for each number, however compressed.
    """
    reading = reading or Reading()
    if isinstance(source, pd.DataFrame):
        return read_table(source, reading)
    path = Path(source).expanduser()
    return stream_table(path, reading) if path.is_file() and _size(path) >= large else read_table(path, reading)


def _size(path: Path) -> int:
    if path.suffix.lower() != ".parquet":
        return path.stat().st_size
    import pyarrow
    import pyarrow.parquet

    try:
        found = pyarrow.parquet.read_metadata(path)
    except (pyarrow.ArrowException, OSError):
        return 0  # what is wrong is said where it is read
    return int(8 * found.num_rows * found.num_columns)


def stream_table(path: Path, reading: Reading | None = None) -> Table:
    """A wide table whose values are mapped from disk; made at the first call, opened at later ones.

    Gaps are filled from the row before (or with 0, or refused). Raises DataError for long tables, covariates, series by
    themselves and repeated times, which need the table in memory.
    """
    reading = reading or Reading()
    if reading.series or reading.covariates or reading.together is False or reading.missing == "interpolate":
        raise DataError(
            f"{path.name} is too large for memory: long tables, covariates, series by themselves and interpolation are "
            "not possible then; split the file"
        )
    stat = path.stat()
    key = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}:{reading.digest()}:{_VERSION}"
    folder = cache_folder("tables", hashlib.sha256(key.encode()).hexdigest()[:16])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "table.json").is_file():
            with replacing(folder) as temporary:
                temporary.mkdir()
                _write(path, temporary, reading)
    return _opened(folder)


def _write(path: Path, folder: Path, reading: Reading) -> None:
    pieces = _Pieces(path)
    head = next(iter(pieces.frames(rows=100)), None)
    if head is None or not len(head):
        raise DataError(f"{path} has no rows")
    _known(reading, head, None)
    if _series_column(head, reading) is not None:
        raise DataError(f"{path.name} is a long table and too large for memory; split it, or write it wide")
    time = reading.time or _time_column(head)
    names = [str(c) for c in head.columns if c != time]
    described: dict[str, Any] = {"names": names, "start": None, "frequency": None, "timezone": None, "time": time}
    described["targets"] = _among(reading.targets, names)
    if time is None:
        places = np.arange(sum(len(frame) for frame in pieces.frames(columns=[names[0]])))
    else:
        column = pd.concat([frame[time] for frame in pieces.frames(columns=[time])], ignore_index=True)
        times, zone = _times(column, reading, None)
        frequency, places = _steps(times, reading)
        _merged(pd.DataFrame(index=column.index), [places], times, replace(reading, duplicates="refuse"))
        if frequency is not None:
            described |= {"start": str(times.min()), "frequency": str(frequency), "last_day": frequency.last_day}
            described["timezone"] = None if frequency.unit in ("D", "B", "W", "M") else zone
    shape = (int(places.max()) + 1, len(names))
    values = np.lib.format.open_memmap(folder / "values.npy", mode="w+", dtype=np.float32, shape=shape)
    if len(places) < shape[0]:
        values[:] = np.nan
    done = 0
    with progress(f"reading {path.name}", len(places)) as advance:
        for frame in pieces.frames(rows=max(1, _CELLS // len(names))):
            block = np.stack([_numbers(frame[name]) for name in names], axis=1)
            values[places[done : done + len(block)]] = block
            done += len(block)
            advance(len(block))
    _complete(values, names, reading, folder)
    values.flush()
    write_json(folder / "table.json", described)


class _Pieces:
    """A file as data frames of some rows each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parquet = path.suffix.lower() == ".parquet"

    def frames(self, columns: list[str] | None = None, rows: int = 1 << 18) -> Iterator[pd.DataFrame]:
        if self.parquet:
            import pyarrow
            import pyarrow.parquet

            try:
                for batch in pyarrow.parquet.ParquetFile(self.path).iter_batches(batch_size=rows, columns=columns):
                    yield batch.to_pandas()
            except pyarrow.ArrowException as error:
                raise DataError(f"{self.path} is not a readable Parquet file: {error}") from None
            return
        try:
            form = csv_form(self.path)
            if form["header"] is None:
                columns = None if columns is None else [int(c) for c in columns]  # type: ignore[misc]
            with pd.read_csv(self.path, **form, skipinitialspace=True, usecols=columns, chunksize=rows) as reader:
                for frame in reader:
                    frame.columns = [str(c).strip() for c in frame.columns]
                    yield frame.reset_index(drop=True)
        except UnicodeDecodeError:
            raise DataError(f"{self.path} is not text in UTF-8; save it as CSV in UTF-8") from None
        except (pd.errors.ParserError, ValueError) as error:
            raise DataError(f"{self.path} cannot be read as a table: {error}") from None


def _complete(values: np.memmap, names: list[str], reading: Reading, folder: Path) -> None:
    """Fills gaps block by block, and takes down where they were."""
    length, columns = values.shape
    rows = max(1, _CELLS // columns)
    observed: np.memmap | None = None
    last = np.full(columns, np.nan, dtype=np.float32)
    first = np.full(columns, -1)
    for start in range(0, length, rows):
        block = np.array(values[start : start + rows])
        known = np.isfinite(block)
        fresh = (first < 0) & known.any(axis=0)
        first[fresh] = start + known.argmax(axis=0)[fresh]
        if known.all():
            last = block[-1]
            continue
        if reading.missing == "refuse":
            row, column = np.argwhere(~known)[0]
            raise DataError(
                f"row {start + row + 1} of {names[column]!r} is missing; fill it in, or set missing to forward or zero"
            )
        if observed is None:
            shape = (length, columns)
            observed = np.lib.format.open_memmap(folder / "observed.npy", mode="w+", dtype=np.bool_, shape=shape)
            observed[:] = True
        observed[start : start + rows] = known
        if reading.missing == "zero":
            filled = np.where(known, block, 0)
        else:
            stacked = np.concatenate((last[None], block))
            there = np.concatenate((np.isfinite(last)[None], known))
            index = np.maximum.accumulate(np.where(there, np.arange(len(stacked))[:, None], 0), axis=0)
            filled = np.take_along_axis(stacked, index, axis=0)[1:]
        values[start : start + rows] = filled
        last = filled[-1]
    empty = np.flatnonzero(first < 0)
    if len(empty):
        raise DataError(f"the series {names[empty[0]]!r} has no values; leave it out")
    if reading.missing == "forward":
        for column in np.flatnonzero(first > 0):
            values[: first[column], column] = values[first[column], column]


def _opened(folder: Path) -> Table:
    described = read_object(folder / "table.json", "table in the cache")
    values = np.load(folder / "values.npy", mmap_mode="r")
    seen = folder / "observed.npy"
    frequency = None
    times = None
    if described["frequency"] is not None:
        frequency = replace(parse_frequency(described["frequency"]), last_day=described["last_day"])
        times = frequency.at(np.datetime64(described["start"]), np.arange(len(values)))
    return Table(
        tuple(described["names"]),
        values,
        observed=np.load(seen, mmap_mode="r") if seen.is_file() else None,
        times=times,
        frequency=frequency,
        timezone=described["timezone"],
        targets=None if described["targets"] is None else tuple(described["targets"]),
        time_column=described["time"],
    )
