"""Intervals that hold: split-conformal prediction around any forecaster.

Absolute residuals (Lei et al. 2018, arXiv 1604.04173) around point forecasts; conformalised quantile regression (Romano
et al. 2019, arXiv 1905.03222) around quantiles. The guarantee is for exchangeable residuals; windows of one series are
not, so the coverage is to be checked on the test split.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from formarium.errors import DataError


@dataclass(frozen=True)
class ConformalIntervals:
    """``reach`` (S, N): how far intervals go beyond a forecast, or beyond its outer quantiles, at each step ahead."""

    reach: Tensor
    coverage: float

    @classmethod
    def fit(cls, lower: Tensor, upper: Tensor, target: Tensor, coverage: float = 0.9) -> "ConformalIntervals":
        """From windows kept for calibration, (B, S, N) each; for point forecasts ``lower`` and ``upper`` are the same.

        The reach is the k-th smallest of the B scores max(lower - y, y - upper), k = ceil((B + 1) coverage). Raises
        DataError for so few windows that k > B, and for a coverage outside (0, 1).
        """
        if not 0 < coverage < 1:
            raise DataError(f"a coverage lies between 0 and 1, not at {coverage:g}")
        windows = len(target)
        rank = math.ceil((windows + 1) * coverage)
        if rank > windows:
            least = math.ceil(coverage / (1 - coverage) - 1e-9)
            raise DataError(f"{windows} windows cannot calibrate a coverage of {coverage:.0%}; it takes {least}")
        scores = torch.maximum(lower - target, target - upper)
        return cls(scores.kthvalue(rank, dim=0).values, coverage)

    def around(self, lower: Tensor, upper: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The interval (B, S, N) twice, around forecasts or around outer quantiles."""
        return lower - self.reach, (lower if upper is None else upper) + self.reach


@dataclass(frozen=True)
class Reach:
    """How far intervals of one coverage go beyond forecasts, learnt from few windows of many series or many of few.

    by_series: (S, M), in each series' own units. pooled: (S,), in units of a series' standard deviation, for one that
    was not there.
    """

    coverage: float
    by_series: np.ndarray
    pooled: np.ndarray

    @classmethod
    def fit(cls, coverage: float, scores: Sequence[np.ndarray], errors: Sequence[float], scales: np.ndarray) -> "Reach":
        """From the scores max(lower - y, y - upper) of each series' windows, (K, S) each, NaN where y is unknown.

        errors: the mean absolute error of each series (NaN for one without windows), in whose units its scores are put
        together with those of others where they are too few: with 5 / (1 - coverage) windows a series speaks for itself
        at each step, else all series together do at each step, else all steps too. scales: the standard deviation of
        each series.
        """
        if not 0 < coverage < 1:
            raise DataError(f"a coverage lies between 0 and 1, not at {coverage:g}")
        units = np.array([e if e > 0 else np.nan for e in errors])
        typical = np.nanmedian(units / scales) if np.isfinite(units).any() else 1.0
        units = np.where(np.isfinite(units), units, typical * scales)
        together = np.concatenate([s / u for s, u in zip(scores, units, strict=True)])
        enough = math.ceil(5 / (1 - coverage))
        shared = _ranked(together, coverage)
        if len(together) < enough:
            shared = np.full_like(shared, _ranked(together.reshape(-1, 1), coverage)[0])
        own = [_ranked(s, coverage) if len(s) >= enough else shared * u for s, u in zip(scores, units, strict=True)]
        return cls(coverage, np.stack(own, axis=1), shared * float(typical))


def _ranked(scores: np.ndarray, coverage: float) -> np.ndarray:
    """The ceil((K + 1) coverage)-th smallest known score of (K, S) at each step; the largest where K is too few."""
    ordered = np.sort(scores, axis=0)  # unknown ones last
    known = np.isfinite(ordered).sum(axis=0)
    rank = np.minimum(np.ceil((known + 1) * coverage).astype(np.int64), known)
    found = np.take_along_axis(ordered, np.maximum(rank - 1, 0)[None], axis=0)[0]
    return np.where(known > 0, found, np.nanmax(ordered) if known.any() else 0.0)
