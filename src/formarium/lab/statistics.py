"""Intervals and verdicts: paired differences over seeds, a t-interval, and what it says of a claim."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

Verdict = Literal["supported", "refuted", "inconclusive"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and its two-sided 95 % t-interval over n values."""

    mean: float
    low: float
    high: float
    n: int


def t_interval(values: Sequence[float]) -> Interval:
    """The t-interval of a mean; unbounded for fewer than two values, and where one of them is not finite."""
    array = np.asarray(values, dtype=np.float64)
    n = len(array)
    if n == 0:
        return Interval(math.nan, -math.inf, math.inf, 0)
    with np.errstate(invalid="ignore"):
        mean = float(array.mean())
    if n < 2 or not np.isfinite(array).all():
        return Interval(mean, -math.inf, math.inf, n)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * array.std(ddof=1) / math.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def verdict(effects: Sequence[float], margin: float) -> tuple[Verdict, Interval]:
    """What paired effects (above 0 = in favour) say of "the effect is above the margin".

    Supported when the whole interval lies above it, refuted when the whole interval lies below it, else inconclusive. A
    run that diverged makes its effect infinite: the claim is then refuted when most effects are -inf, and never
    supported while one is.
    """
    interval = t_interval(effects)
    lost = sum(1 for effect in effects if effect == -math.inf)
    if lost * 2 > len(effects):
        return "refuted", interval
    if interval.low > margin:
        return "supported", interval
    if interval.high < margin:
        return "refuted", interval
    return "inconclusive", interval


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Of several requirements: supported if all are, refuted if one is."""
    if not verdicts:
        return "inconclusive"
    if any(v == "refuted" for v in verdicts):
        return "refuted"
    return "supported" if all(v == "supported" for v in verdicts) else "inconclusive"


def power(effect: float, deviation: float, n: int, margin: float = 0.0) -> float:
    """How often a paired t-test of n seeds finds a true effect, given the deviation of single differences."""
    critical = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    return float(stats.nct.sf(critical, n - 1, (effect - margin) / deviation * math.sqrt(n)))


def slope(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The exponent of a cost in a size: least squares of log cost on log size."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def speedup(own: Sequence[float], other: Sequence[float], share: float = 0.05) -> float:
    """How many times sooner a learning curve is where another one of as many steps ends, and stays there; 0 if never.

    Both are smoothed by the mean over the last ``share`` of the steps, against the noise of single batches.
    """
    window = max(1, round(share * len(other)))
    smooth, target = (np.convolve(curve, np.ones(window) / window, mode="valid") for curve in (own, other[-window:]))
    above = np.flatnonzero(smooth > target[-1])
    steps = window + (int(above[-1]) + 1 if len(above) else 0)
    return len(other) / steps if steps <= len(own) else 0.0
