"""Bringing each variate to mean 0 and variance 1, by what the training rows know."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

_ROWS = 8192  # at a time, so that a table on disk stays there


@dataclass(frozen=True)
class Scaler:
    """The mean and the population standard deviation of each variate, (N,) float64 each; 1 where nothing varies."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> "Scaler":
        """From rows (T, N), missing values left out; a variate without any has mean 0 and scale 1."""
        count = np.zeros(values.shape[1])
        total, squares = np.zeros_like(count), np.zeros_like(count)
        for block in _blocks(values):
            count += np.isfinite(block).sum(axis=0)
            total += np.nansum(block, axis=0)
        mean = total / np.maximum(count, 1)
        for block in _blocks(values):
            squares += np.nansum((block - mean) ** 2, axis=0)
        scale = np.sqrt(squares / np.maximum(count, 1))
        rounding = count * np.finfo(np.float64).eps * np.abs(mean)
        return cls(mean, np.where(scale <= rounding, 1.0, scale))

    def apply(self, values: Any) -> Any:
        """Values (..., N), array or tensor, in units of standard deviations."""
        mean, scale = self._like(values)
        return (values - mean) / scale

    def revert(self, values: Any) -> Any:
        """Scaled values (..., N), array or tensor, in their own units."""
        mean, scale = self._like(values)
        return values * scale + mean

    def _like(self, values: Any) -> tuple[Any, Any]:
        if isinstance(values, np.ndarray):
            return self.mean.astype(values.dtype), self.scale.astype(values.dtype)
        return values.new_tensor(self.mean), values.new_tensor(self.scale)


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(values), _ROWS):
        yield np.asarray(values[start : start + _ROWS], dtype=np.float64)
