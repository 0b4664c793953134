"""Windows of a table: every stretch of history with the horizon behind it, gathered many at a time.

A table that fits is kept as one tensor and windows are gathered from it; one on disk stays there, and only the rows of
the windows asked for are read and scaled.
"""

from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from formarium.errors import DataError
from formarium.tasks.forecasting.scaling import Scaler

Batch = dict[str, Tensor]


class Windows:
    """All windows of ``history`` + ``horizon`` rows of a table (T, N), by number.

    marks: covariates (T, C). observed: (T, N), false where a value was filled in. starts: first rows of the windows;
    all that fit, where None. scaler: applied to what is gathered. A memory-mapped table is read from disk window by
    window; any other becomes a float32 tensor. Raises DataError where not one window fits.
    """

    def __init__(
        self,
        values: np.ndarray,
        history: int,
        horizon: int,
        marks: np.ndarray | None = None,
        observed: np.ndarray | None = None,
        starts: np.ndarray | None = None,
        scaler: Scaler | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.history, self.horizon, self.scaler = history, horizon, scaler
        self.variates = values.shape[1]
        self.starts = np.arange(max(0, len(values) - history - horizon + 1)) if starts is None else np.asarray(starts)
        if not len(self.starts):
            raise DataError(
                f"{len(values)} rows are fewer than one window of {history} steps of history and {horizon} ahead; take "
                "more rows, or a shorter history or horizon"
            )
        self.streams = isinstance(values, np.memmap)
        self.device = torch.device(device)
        self._table: np.ndarray | None = values if self.streams else None
        self._observed = observed
        self._marks = None if marks is None else _tensor(marks, self.device)
        self._values = self._seen = None
        if not self.streams:
            scaled = values if scaler is None else scaler.apply(np.asarray(values, dtype=np.float64))
            self._values = _tensor(scaled, self.device)
            self._seen = None if observed is None else torch.from_numpy(np.array(observed)).to(self.device)
        self._offsets = np.arange(history + horizon)
        self._steps = torch.arange(history + horizon, device=self.device)

    def __len__(self) -> int:
        return len(self.starts)

    def gather(self, numbers: np.ndarray | Tensor, variates: Tensor | None = None) -> Batch:
        """The windows of these numbers: ``history`` (B, L, N), ``target`` (B, S, N), float32.

        With marks also ``marks`` (B, L, C) and ``future_marks`` (B, S, C); with filled-in values also ``observed``
        (B, S, N). variates: only these columns.
        """
        numbers = np.asarray(numbers)
        rows = self.starts[numbers]
        index = torch.from_numpy(rows).to(self.device)[:, None] + self._steps
        if self._table is not None:
            both, seen = self._read(rows)
        else:
            both = _rows(self._values, index)
            seen = None if self._seen is None else _rows(self._seen, index)
        if variates is not None:
            both = both.index_select(2, variates.to(self.device))
            seen = None if seen is None else seen.index_select(2, variates.to(self.device))
        batch = {"history": both[:, : self.history], "target": both[:, self.history :]}
        if self._marks is not None:
            marks = _rows(self._marks, index)
            batch |= {"marks": marks[:, : self.history], "future_marks": marks[:, self.history :]}
        if seen is not None:
            batch["observed"] = seen[:, self.history :]
        return batch

    def starting(self, starts: np.ndarray) -> "Windows":
        """Windows of the same table that begin at other rows; the table is shared. DataError where there are none."""
        if not len(starts):
            raise DataError(f"not one window of {self.history} + {self.horizon} steps fits; take more rows")
        other = copy(self)
        other.starts = np.asarray(starts)
        return other

    def with_history(self, history: int) -> "Windows":
        """Windows of the same table with more or less history, beginning at the same rows; the table is shared."""
        other = copy(self)
        other.history = history
        other._offsets = np.arange(history + self.horizon)
        other._steps = torch.arange(history + self.horizon, device=self.device)
        return other

    def batches(self, size: int, drop_last: bool = False) -> Iterator[Batch]:
        """All windows in their order. drop_last: without the last incomplete batch, as many published tests do."""
        stop = len(self) // size * size if drop_last else len(self)
        for start in range(0, stop, size):
            yield self.gather(np.arange(start, min(start + size, len(self))))

    def _read(self, rows: np.ndarray) -> tuple[Tensor, Tensor | None]:
        index = rows[:, None] + self._offsets
        block: Any = np.asarray(self._table[index], dtype=np.float32)  # type: ignore[index]
        if self.scaler is not None:
            block = self.scaler.apply(block)
        seen = None if self._observed is None else torch.from_numpy(self._observed[index].astype(bool)).to(self.device)
        return torch.from_numpy(block).to(self.device), seen


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32, order="C")).to(device)


def _rows(table: Tensor | None, index: Tensor) -> Tensor:
    """Rows of a table (T, N) by numbers (B, M): (B, M, N)."""
    assert table is not None
    return table.index_select(0, index.flatten()).view(*index.shape, -1)
