"""Regular steps of time: found in timestamps, counted along a grid, and made into features of the calendar.

Timestamps are numpy datetime64 in seconds, without a time zone.
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from formarium.errors import DataError

Unit = Literal["s", "min", "h", "D", "B", "W", "M"]
_SECONDS = {"s": 1, "min": 60, "h": 3600, "D": 86400, "W": 604800}
_SPELLINGS: dict[str, tuple[int, Unit]] = {
    "s": (1, "s"),
    "sec": (1, "s"),
    "t": (1, "min"),
    "min": (1, "min"),
    "h": (1, "h"),
    "d": (1, "D"),
    "b": (1, "B"),
    "w": (1, "W"),
    "m": (1, "M"),
    "ms": (1, "M"),
    "me": (1, "M"),
    "q": (3, "M"),
    "qs": (3, "M"),
    "qe": (3, "M"),
    "y": (12, "M"),
    "ys": (12, "M"),
    "ye": (12, "M"),
}
_MONTH = 28 * 86400


@dataclass(frozen=True)
class Frequency:
    """``count`` units between neighbouring timestamps: seconds, minutes, hours, days, business days, weeks, months.

    last_day: months are counted from last day to last day.
    """

    count: int
    unit: Unit
    last_day: bool = False

    def __str__(self) -> str:
        return f"{'' if self.count == 1 else self.count}{self.unit}"

    @property
    def words(self) -> str:
        """As people say it: ``an hour``, ``15 minutes``, ``3 months``."""
        names = {
            "s": "second",
            "min": "minute",
            "h": "hour",
            "D": "day",
            "B": "business day",
            "W": "week",
            "M": "month",
        }
        name = names[self.unit]
        return f"a{'n' if name == 'hour' else ''} {name}" if self.count == 1 else f"{self.count} {name}s"

    def places(self, start: np.datetime64, times: np.ndarray) -> np.ndarray:
        """How many steps behind ``start`` each timestamp is; DataError for one that lies between two steps."""
        if self.unit == "M":
            steps = _months(times) - _months(np.array([start]))[0]
        elif self.unit == "B":
            steps = np.busday_count(start.astype("datetime64[D]"), times.astype("datetime64[D]"))
        else:
            steps = (times - start).astype(np.int64)
        step = self.count * _SECONDS.get(self.unit, 1)
        places = steps // step
        off = self.at(start, places) != times
        if off.any():
            stray = _shown(times[off][0])
            raise DataError(f"the timestamp {stray} does not lie on steps of {self} from {_shown(start)}")
        return np.asarray(places)

    def at(self, start: np.datetime64, places: np.ndarray) -> np.ndarray:
        """The timestamps so many steps behind ``start``."""
        start = start.astype("datetime64[s]")
        if self.unit == "M":
            first = start.astype("datetime64[M]")
            months = first + places * self.count
            if self.last_day:
                clock = start - (start.astype("datetime64[D]")).astype("datetime64[s]")
                return np.asarray(((months + 1).astype("datetime64[D]") - 1).astype("datetime64[s]") + clock)
            return np.asarray(months.astype("datetime64[s]") + (start - first.astype("datetime64[s]")))
        if self.unit == "B":
            day = start.astype("datetime64[D]")
            days = np.busday_offset(day, places * self.count, roll="forward")
            return np.asarray(days.astype("datetime64[s]") + (start - day.astype("datetime64[s]")))
        return np.asarray(start + places * np.timedelta64(self.count * _SECONDS[self.unit], "s"))

    @property
    def season(self) -> int:
        """The steps of the season that one expects first: a day of hours, a week of days, a year of months."""
        if self.unit == "M":
            return max(1, 12 // self.count)
        if self.unit == "B":
            return 5
        if self.unit == "W":
            return max(1, 52 // self.count)
        seconds = self.count * _SECONDS[self.unit]
        return 7 if seconds == 86400 else max(1, 86400 // seconds)


def parse_frequency(text: str) -> Frequency:
    """The frequency written as ``h``, ``15min``, ``1D``, ``B``, ``W``, ``MS``, ``ME``, ``Q``, ``Y``; else DataError."""
    match = re.fullmatch(r"\s*(\d*)\s*([A-Za-z]+)(-[A-Za-z]+)?\s*", text)
    name = match[2].lower() if match else ""
    if match is None or name not in _SPELLINGS:
        raise DataError(f"{text!r} is no frequency; write h, 15min, 1D, B, W, MS, ME, Q or Y")
    many, unit = _SPELLINGS[name]
    count = int(match[1] or 1) * many
    if count < 1:
        raise DataError(f"a frequency counts at least one unit, which {text!r} does not")
    return Frequency(count, unit, last_day=name in ("me", "qe", "ye"))


def parse_step(text: str) -> np.timedelta64:
    """A step of fixed length (seconds to weeks) as a duration; DataError for steps that the calendar stretches."""
    frequency = parse_frequency(text)
    if frequency.unit not in _SECONDS:
        raise DataError(f"steps of {text!r} differ in length")
    return np.timedelta64(frequency.count * _SECONDS[frequency.unit], "s")


def infer_frequency(times: np.ndarray) -> Frequency:
    """The regular step of ascending, different timestamps, some of which may be absent.

    The most common step, if at least half of all are that long and the rest are multiples of it. Days without weekends
    are business days; equal days of the month, or last days, are months. Raises DataError for irregular timestamps.
    """
    if len(times) < 3:
        raise DataError("fewer than 3 timestamps do not show how often they come; name the frequency")
    differences = np.diff(times).astype(np.int64)
    if differences.min() >= _MONTH:
        days, ends = _day_of_month(times), times.astype("datetime64[D]") + 1
        last_days = bool((_day_of_month(ends) == 1).all())
        if last_days or (days == days[0]).all():
            months = np.diff(_months(times))
            return Frequency(int(np.gcd.reduce(months)), "M", last_day=last_days)
    lengths, counts = np.unique(differences, return_counts=True)
    step = int(lengths[counts.argmax()])
    if (differences % step).any() or counts.max() * 2 < len(differences):
        odd = int(np.flatnonzero(differences != step)[0])
        raise DataError(
            f"the timestamps are irregular: the most common step is {_duration(step)}, but {_shown(times[odd + 1])} "
            f"comes {_duration(int(differences[odd]))} after {_shown(times[odd])}; resample the series to one step"
        )
    if step == 86400 and len(lengths) > 1 and np.is_busday(times.astype("datetime64[D]")).all():
        return Frequency(1, "B")
    units: tuple[Unit, ...] = ("W", "D", "h", "min", "s")
    unit = next(unit for unit in units if step % _SECONDS[unit] == 0)
    return Frequency(step // _SECONDS[unit], unit)


def time_features(times: np.ndarray, frequency: Frequency | str) -> np.ndarray:
    """Features of the calendar, each from -0.5 to 0.5: timestamps (T,) to float64 (T, C).

    Hours: hour, weekday (from Monday), day of the month, day of the year. Minutes and seconds have the minute (and the
    second) before them; days leave the hour out; weeks have day of the month and ISO week; months have the month.
    """
    if isinstance(frequency, str):
        frequency = parse_frequency(frequency)
    names = {
        "s": ("second", "minute", "hour", "weekday", "day", "day_of_year"),
        "min": ("minute", "hour", "weekday", "day", "day_of_year"),
        "h": ("hour", "weekday", "day", "day_of_year"),
        "D": ("weekday", "day", "day_of_year"),
        "B": ("weekday", "day", "day_of_year"),
        "W": ("day", "week"),
        "M": ("month",),
    }[frequency.unit]
    seconds = times.astype("datetime64[s]").astype(np.int64)
    days = times.astype("datetime64[D]")
    year = times.astype("datetime64[Y]")
    weekday = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    thursday = days - weekday + 3  # its year and place in it are those of the ISO week
    found = {
        "second": seconds % 60 / 59,
        "minute": seconds // 60 % 60 / 59,
        "hour": seconds // 3600 % 24 / 23,
        "weekday": weekday / 6,
        "day": (_day_of_month(times) - 1) / 30,
        "day_of_year": (days - year.astype("datetime64[D]")).astype(np.int64) / 365,
        "week": (thursday - thursday.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) // 7 / 52,
        "month": _months(times) % 12 / 11,
    }
    return np.stack([found[name] for name in names], axis=1) - 0.5


def _months(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[M]").astype(np.int64)


def _day_of_month(times: np.ndarray) -> np.ndarray:
    first = times.astype("datetime64[M]").astype("datetime64[D]")
    return np.asarray((times.astype("datetime64[D]") - first).astype(np.int64) + 1)


def _shown(time: np.datetime64) -> str:
    return str(time.astype("datetime64[s]")).replace("T", " ").removesuffix(" 00:00:00")


def _duration(seconds: int) -> str:
    unit = next(unit for unit in ("D", "h", "min", "s") if seconds % _SECONDS[unit] == 0)
    word = {"D": "day", "h": "hour", "min": "minute", "s": "second"}[unit]
    count = seconds // _SECONDS[unit]
    return f"{count} {word}{'' if count == 1 else 's'}"
