"""Intervals that hold: split-conformal prediction around any forecaster.

Absolute residuals (Lei et al. 2018, arXiv 1604.04173) around point forecasts; conformalised quantile regression (Romano
et al. 2019, arXiv 1905.03222) around quantiles. The guarantee is for exchangeable residuals; windows of one series are
not, so the coverage is to be checked on the test split.
"""

import math
from dataclasses import dataclass

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
