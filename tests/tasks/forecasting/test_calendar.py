import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formarium.errors import DataError
from formarium.tasks.forecasting.calendar import (
    Frequency,
    infer_frequency,
    parse_frequency,
    parse_step,
    time_features,
)

FREQUENCIES = ["s", "30s", "min", "15min", "h", "6h", "D", "2D", "B", "W", "MS", "ME", "QS", "QE", "YS", "YE"]


def stamps(frequency: str, count: int = 60, start: str = "2016-02-27 13:00:00") -> np.ndarray:
    return pd.date_range(start, periods=count, freq=frequency.replace("W", "7D")).to_numpy().astype("datetime64[s]")


@pytest.mark.parametrize("text", FREQUENCIES)
def test_finds_the_step_and_counts_along_it(text: str) -> None:
    times = stamps(text)
    found = infer_frequency(times)
    assert found == parse_frequency(text)
    assert np.array_equal(found.at(times[0], np.arange(60)), times)
    assert np.array_equal(found.places(times[0], times), np.arange(60))


@pytest.mark.parametrize("text", ["15min", "h", "D", "B", "W", "MS", "ME"])
def test_finds_the_step_in_spite_of_gaps(text: str) -> None:
    times = np.delete(stamps(text), [5, 6, 20, 21, 22, 41])
    found = infer_frequency(times)
    assert found == parse_frequency(text)
    assert np.array_equal(found.places(times[0], times), np.delete(np.arange(60), [5, 6, 20, 21, 22, 41]))


def test_irregular_timestamps_are_refused_with_the_place() -> None:
    times = stamps("h")
    times[30] += np.timedelta64(7, "m")
    with pytest.raises(DataError, match=r"most common step is 1 hour, but 2016-02-28 19:07:00 comes 67 minutes after"):
        infer_frequency(times)
    with pytest.raises(DataError, match="name the frequency"):
        infer_frequency(times[:2])
    with pytest.raises(DataError, match="does not lie on steps of h"):
        Frequency(1, "h").places(times[0], times)


@pytest.mark.parametrize("text", ["fortnight", "", "0h", "h15"])
def test_what_is_no_frequency(text: str) -> None:
    with pytest.raises(DataError):
        parse_frequency(text)


def test_steps_of_fixed_length() -> None:
    assert parse_step("90min") == np.timedelta64(5400, "s")
    with pytest.raises(DataError, match="differ in length"):
        parse_step("MS")


@given(st.integers(0, 4_000_000_000))
def test_features_are_those_of_the_calendar(seconds: int) -> None:
    time = np.datetime64(seconds, "s")
    stamp = pd.Timestamp(time)
    iso = stamp.isocalendar()
    expected = {
        "s": [stamp.second / 59, stamp.minute / 59],
        "min": [stamp.minute / 59],
        "h": [stamp.hour / 23, stamp.weekday() / 6, (stamp.day - 1) / 30, (stamp.day_of_year - 1) / 365],
        "D": [stamp.weekday() / 6, (stamp.day - 1) / 30, (stamp.day_of_year - 1) / 365],
        "W": [(stamp.day - 1) / 30, (iso.week - 1) / 52],
        "M": [(stamp.month - 1) / 11],
    }
    expected["s"] += expected["h"]
    expected["min"] += expected["h"]
    expected["B"] = expected["D"]
    for unit, values in expected.items():
        features = time_features(np.array([time]), unit)
        np.testing.assert_allclose(features[0], np.array(values) - 0.5, atol=1e-12)


@pytest.mark.parametrize(("text", "season"), [("h", 24), ("15min", 96), ("D", 7), ("B", 5), ("MS", 12), ("QS", 4)])
def test_the_season_one_expects(text: str, season: int) -> None:
    assert parse_frequency(text).season == season
