"""Windows from memory and from disk, scaling, and tables too large for memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from formarium.errors import DataError
from formarium.tasks.forecasting.scaling import Scaler
from formarium.tasks.forecasting.stream import open_table, stream_table
from formarium.tasks.forecasting.table import Reading, read_table
from formarium.tasks.forecasting.windows import Windows


@given(st.integers(1, 8), st.integers(1, 5), st.integers(0, 20))
def test_every_window_is_the_rows_it_should_be(history: int, horizon: int, more: int) -> None:
    rows = history + horizon + more
    values = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    windows = Windows(values, history, horizon, marks=values[:, :1] / 2)
    assert len(windows) == more + 1
    batch = windows.gather(np.arange(len(windows)))
    for start in range(len(windows)):
        stop = start + history
        assert np.array_equal(batch["history"][start], values[start:stop])
        assert np.array_equal(batch["target"][start], values[stop : stop + horizon])
        assert np.array_equal(batch["marks"][start], values[start:stop, :1] / 2)
        assert np.array_equal(batch["future_marks"][start], values[stop : stop + horizon, :1] / 2)


def test_only_some_variates() -> None:
    windows = Windows(np.random.default_rng(0).normal(size=(30, 6)), 5, 2)
    chosen = torch.tensor([4, 1])
    some, all_of_them = windows.gather([3, 9], chosen), windows.gather([3, 9])
    for name in ("history", "target"):
        assert torch.equal(some[name], all_of_them[name][:, :, [4, 1]])


def test_the_last_incomplete_batch_is_kept_unless_dropped() -> None:
    windows = Windows(np.zeros((108, 1)), 5, 4)
    assert [len(b["history"]) for b in windows.batches(32)] == [32, 32, 32, 4]
    assert [len(b["history"]) for b in windows.batches(32, drop_last=True)] == [32, 32, 32]


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="7 rows are fewer than one window of 5 steps of history and 3 ahead"):
        Windows(np.zeros((7, 1)), 5, 3)
    with pytest.raises(DataError, match="not one window"):
        Windows(np.zeros((9, 1)), 5, 3).starting(np.array([], dtype=np.int64))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_scaling_is_undone_and_flat_series_are_left_at_1(offset: float, scale: float) -> None:
    values = offset + scale * np.random.default_rng(0).normal(size=(500, 2))
    values[:, 1] = offset
    values[3:9, 0] = np.nan
    scaler = Scaler.fit(values)
    assert scaler.scale[1] == 1
    known = values[np.isfinite(values[:, 0])]
    np.testing.assert_allclose(scaler.mean, known.mean(axis=0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(scaler.scale[0], known[:, 0].std(), rtol=1e-6)
    np.testing.assert_allclose(scaler.revert(scaler.apply(known)), known, rtol=1e-9, atol=1e-6)
    tensor = torch.from_numpy(known)
    torch.testing.assert_close(scaler.revert(scaler.apply(tensor)), tensor, rtol=1e-9, atol=1e-6)


def table_file(folder: Path, suffix: str) -> Path:
    """A wide table with gaps, missing values, and a series that begins late."""
    values = np.random.default_rng(0).normal(size=(3000, 12)).astype(np.float32)
    frame = pd.DataFrame(values, columns=[f"s{i}" for i in range(12)])
    frame.insert(0, "date", pd.date_range("2024-01-01", periods=3000, freq="h"))
    frame.iloc[100:103, 2] = np.nan
    frame.iloc[:7, 5] = np.nan
    frame = frame.drop(index=range(2000, 2010)).reset_index(drop=True)
    path = folder / f"wide.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("missing", ["forward", "zero"])
def test_a_streamed_table_is_the_one_in_memory(
    suffix: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("formarium.tasks.forecasting.stream._CELLS", 12 * 64)  # many pieces
    path, reading = table_file(tmp_path, suffix), Reading().replace(missing=missing)
    streamed, whole = open_table(path, reading, large=1), read_table(path, reading)
    assert isinstance(streamed.values, np.memmap)
    assert streamed.values.shape == (3000, 12)
    late = len(streamed.values) - len(whole.values)  # in memory the span that all share
    assert late == 7
    np.testing.assert_allclose(streamed.values[late:], whole.values, rtol=1e-5, atol=1e-6)
    assert streamed.observed is not None
    assert np.array_equal(streamed.observed[late:], whole.observed)
    assert np.array_equal(streamed.times[late:], whole.times)  # type: ignore[index]
    assert streamed.frequency == whole.frequency
    scaler = Scaler.fit(streamed.values)
    from_disk = Windows(streamed.values, 48, 12, streamed.marks(), streamed.observed, scaler=scaler)
    resident = Windows(np.array(streamed.values), 48, 12, streamed.marks(), np.array(streamed.observed), scaler=scaler)
    assert from_disk.streams
    assert not resident.streams
    left, right = from_disk.gather([0, 70, 1990]), resident.gather([0, 70, 1990])
    for name in left:
        torch.testing.assert_close(left[name], right[name])


def test_a_streamed_table_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table_file(tmp_path, "parquet")
    stream_table(path)
    monkeypatch.setattr("formarium.tasks.forecasting.stream._write", None)
    assert stream_table(path).values.shape == (3000, 12)


def test_what_cannot_be_streamed_is_refused(tmp_path: Path) -> None:
    path = table_file(tmp_path, "csv")
    for reading in (Reading(covariates=("s1",)), Reading(together=False), Reading(missing="interpolate")):
        with pytest.raises(DataError, match="too large for memory"):
            stream_table(path, reading)
    with pytest.raises(DataError, match=r"row 1 of 's0' is missing|row \d+ of 's\d' is missing"):
        stream_table(path, Reading(missing="refuse"))
    long = pd.DataFrame({"unique_id": "x", "ds": pd.date_range("2024", periods=9, freq="h"), "y": 1.0})
    long.to_csv(tmp_path / "long.csv", index=False)
    with pytest.raises(DataError, match="is a long table"):
        stream_table(tmp_path / "long.csv")
    pd.DataFrame({"date": pd.date_range("2024", periods=9, freq="h"), "a": np.nan}).to_parquet(tmp_path / "no.parquet")
    with pytest.raises(DataError, match="'a' has no values"):
        stream_table(tmp_path / "no.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        stream_table(tmp_path / "bad.parquet")


_PROGRAM = """
import resource, sys, time
import numpy as np
from formarium.tasks.forecasting.scaling import Scaler
from formarium.tasks.forecasting.windows import Windows
values = np.load(sys.argv[1], mmap_mode="r")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
scaler = Scaler.fit(values)
windows = Windows(values, 96, 96, scaler=scaler)
for start in range(0, len(windows), len(windows) // 20):
    windows.gather(np.array([start, min(start + 5, len(windows) - 1)]))
mapped = values.nbytes // 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before - mapped)
"""


def test_streaming_needs_little_more_memory_than_a_few_windows(tmp_path: Path) -> None:
    """Beyond the mapped file itself, which the system may drop at any time: below 200 MB for 300 series of 20,000."""
    values = np.lib.format.open_memmap(tmp_path / "v.npy", mode="w+", dtype=np.float32, shape=(20_000, 300))
    values[:] = np.random.default_rng(0).normal(size=300).astype(np.float32)
    values.flush()
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path / "v.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200 * 1024
