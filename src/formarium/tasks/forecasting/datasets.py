"""The forecasting benchmarks by name: where their files are, how they are split, and what their rows mean.

Those whose files may be fetched are (ETT, CC BY-ND 4.0; exchange rates, no licence stated); the others are read from
the folder that ``FORMARIUM_DATA`` names. ``synthetic`` is made on the spot and needs no file.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from formarium.config import suggestion
from formarium.errors import DataError
from formarium.progress import notice
from formarium.tasks.data import DataFile, locate
from formarium.tasks.forecasting.calendar import Frequency, parse_frequency
from formarium.tasks.forecasting.synthetic import seasonal_autoregression
from formarium.tasks.forecasting.table import Reading, Table, fill, read_table

_RAW = "https://raw.githubusercontent.com"
_ETT = f"{_RAW}/zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/ETT-small"
_RATES = f"{_RAW}/laiguokun/multivariate-time-series-data/7f402f185cc2435b5e66aed13a3b560ed142e023/exchange_rate"
_CC_BY_ND = "CC BY-ND 4.0"


@dataclass(frozen=True)
class Benchmark:
    """A published data set: its file, its protocol, and how its rows are dated.

    start, step: of the rows of a file without timestamps; without a start there are no calendar features. calendar:
    the unit of the calendar features; published results use those of hours throughout.
    """

    file: DataFile
    protocol: str = "70-10-20"
    start: str | None = None
    step: str | None = None
    calendar: str | None = "h"


_PEMS = {
    f"PEMS{number}": Benchmark(DataFile(f"pems/PEMS{number}.npz"), "pems", calendar=None)
    for number in ("03", "04", "07", "08")
}
BENCHMARKS: dict[str, Benchmark] = {
    "ETTh1": Benchmark(
        DataFile(
            "ett/ETTh1.csv",
            f"{_ETT}/ETTh1.csv",
            "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
            _CC_BY_ND,
        ),
        "ett-hour",
    ),
    "ETTh2": Benchmark(
        DataFile(
            "ett/ETTh2.csv",
            f"{_ETT}/ETTh2.csv",
            "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b",
            _CC_BY_ND,
        ),
        "ett-hour",
    ),
    "ETTm1": Benchmark(DataFile("ett/ETTm1.csv", licence=_CC_BY_ND), "ett-quarter-hour"),
    "ETTm2": Benchmark(DataFile("ett/ETTm2.csv", licence=_CC_BY_ND), "ett-quarter-hour"),
    "exchange_rate": Benchmark(
        DataFile(
            "exchange_rate/exchange_rate.txt.gz",
            f"{_RATES}/exchange_rate.txt.gz",
            "6a4fbb561dcdee43f071a83badbeec9223a335552278348656738b556f1c2e9d",
        ),
        start="1990-01-01",
        step="1D",
    ),
    "electricity": Benchmark(DataFile("electricity/electricity.csv")),
    "traffic": Benchmark(DataFile("traffic/traffic.csv")),
    "weather": Benchmark(DataFile("weather/weather.csv")),
    "solar": Benchmark(DataFile("solar/solar_AL.txt"), calendar=None),
    **_PEMS,
}


def load(name: str) -> tuple[Table, str]:
    """A benchmark's table and protocol; ``synthetic`` or ``synthetic:100x5000`` (series x steps) makes one.

    Raises DataError for an unknown name, and where the file is neither here nor to be had.
    """
    made = re.fullmatch(r"synthetic(?::(\d+)x(\d+))?", name)
    if made is not None:
        return _synthetic(int(made[1] or 64), int(made[2] or 8000)), "70-10-20"
    if name not in BENCHMARKS:
        raise DataError(f"there is no data set {name!r}{suggestion(name, (*BENCHMARKS, 'synthetic'))}")
    benchmark = BENCHMARKS[name]
    try:
        path = locate(benchmark.file)
    except DataError as error:
        raise DataError(f"{error}; the made-up series of 'synthetic' need no file") from None
    table = _traffic_flow(path) if path.suffix == ".npz" else read_table(path, Reading())
    if benchmark.start is not None and benchmark.step is not None:
        table = _dated(table, np.datetime64(benchmark.start, "s"), parse_frequency(benchmark.step))
    calendar = None if benchmark.calendar is None else parse_frequency(benchmark.calendar)
    if calendar is None:
        table = replace(table, times=None, frequency=None)
    return replace(table, calendar=calendar), benchmark.protocol


def is_named(name: str) -> bool:
    """Whether ``load`` knows the name."""
    return name in BENCHMARKS or name.startswith("synthetic")


def _synthetic(variates: int, steps: int) -> Table:
    notice(f"the data are synthetic: {variates} made-up series of {steps} hours")
    names = tuple(f"synthetic {i + 1}" for i in range(variates))
    table = Table(names, seasonal_autoregression(variates, steps))
    return _dated(table, np.datetime64("2020-01-01", "s"), Frequency(1, "h"))


def _dated(table: Table, start: np.datetime64, frequency: Frequency) -> Table:
    times = frequency.at(start, np.arange(len(table.values)))
    return replace(table, times=times, frequency=frequency)


def _traffic_flow(path: Path) -> Table:
    """A PEMS file: the first channel (flow) of its array ``data`` (T, N, channels)."""
    try:
        with np.load(path) as arrays:
            flow = np.asarray(arrays["data"][:, :, 0], dtype=np.float64)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise DataError(
            f"{path} is not a PEMS file with an array 'data' of (steps, sensors, channels): {error}"
        ) from None
    return Table(tuple(f"sensor {i + 1}" for i in range(flow.shape[1])), fill(flow, "forward"))
