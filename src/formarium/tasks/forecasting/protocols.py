"""Which rows train, validate and test: the borders of the published benchmarks, and shares of any table."""

import re
from dataclasses import dataclass

from formarium.errors import DataError
from formarium.tasks.task import Split

_MONTH = 30 * 24


@dataclass(frozen=True)
class Splits:
    """Rows of each split. borrow: validation and test windows may begin with history from before their first row."""

    train: slice
    validation: slice
    test: slice
    borrow: bool = True

    def rows(self, split: Split, history: int) -> slice:
        """The rows that windows of a split are cut from: with the borrowed ones."""
        own: slice = getattr(self, split)
        return slice(max(0, own.start - history), own.stop) if self.borrow and split != "train" else own


def borders(protocol: str, rows: int) -> Splits:
    """The splits of a table of so many rows.

    ``ett-hour``: 12, 4 and 4 months of 30 days, what is behind them unused; ``ett-quarter-hour``: four times as many
    rows. ``70-10-20`` (or other shares that sum to 100): int(0.7 n) rows train, the last int(0.2 n) test, those between
    validate. ``pems``: int(0.6 n), up to int(0.8 n), and the rest, without borrowed history. ``tail-100-200``: the last
    200 rows test, the 100 before them validate; ``all-100-200`` likewise, but all rows train, for a last training when
    everything is measured. Raises DataError for an unknown protocol and for a table that is too short for it.
    """
    if protocol in ("ett-hour", "ett-quarter-hour"):
        month = _MONTH * (1 if protocol == "ett-hour" else 4)
        if rows < 20 * month:
            raise DataError(f"the protocol {protocol!r} takes {20 * month} rows; the table has {rows}")
        return Splits(slice(0, 12 * month), slice(12 * month, 16 * month), slice(16 * month, 20 * month))
    if protocol == "pems":
        first, second = int(0.6 * rows), int(0.8 * rows)
        return Splits(slice(0, first), slice(first, second), slice(second, rows), borrow=False)
    counts = re.fullmatch(r"(tail|all)-(\d+)-(\d+)", protocol)
    if counts is not None:
        second = max(0, rows - int(counts[3]))
        first = max(0, second - int(counts[2]))
        return Splits(slice(0, first if counts[1] == "tail" else rows), slice(first, second), slice(second, rows))
    shares = re.fullmatch(r"(\d+)-(\d+)-(\d+)", protocol)
    if shares is None or sum(int(s) for s in shares.groups()) != 100:
        raise DataError(
            f"there is no protocol {protocol!r}; there are ett-hour, ett-quarter-hour, pems, shares as 70-10-20, and "
            "rows as tail-100-200"
        )
    train, test = int(rows * (int(shares[1]) / 100)), int(rows * (int(shares[3]) / 100))
    return Splits(slice(0, train), slice(train, rows - test), slice(rows - test, rows))
