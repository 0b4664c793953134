"""Synthetic series with known structure: seasons, drift, and series that lead others by some steps.

These are made up. They stand in where no data are at hand, and serve claims that need to know what there is to find.
"""

import numpy as np
from scipy.signal import lfilter


def seasonal_autoregression(
    variates: int = 64,
    steps: int = 8000,
    seed: int = 0,
    parents: int = 3,
    longest_lag: int = 24,
    coupling: float = 0.6,
) -> np.ndarray:
    """A sparse vector autoregression with seasons: (steps, variates), float64, in hourly rhythm.

    Series i is level + slow drift + mixed daily and weekly rhythms + z_i of variance 1, where
    z_i(t) = a_i z_i(t - 1) + what its leaders did + noise. Up to ``parents`` earlier series j < i lead it, each by
    1 .. ``longest_lag`` steps, and cause the share ``coupling`` of the variance of what is new at t.
    """
    random = np.random.default_rng(seed)
    before = 10 * longest_lag  # steps in which the start is forgotten
    z = np.zeros((steps + before, variates))
    for i in range(variates):
        new = random.standard_t(5, size=len(z)) * np.sqrt(3 / 5)  # heavy tails, variance 1
        leaders = random.choice(i, size=min(parents, i), replace=False) if i else np.array([], dtype=np.int64)
        if len(leaders):
            lags = random.integers(1, longest_lag + 1, size=len(leaders))
            weights = random.uniform(0.5, 1.0, len(leaders)) * random.choice([-1.0, 1.0], len(leaders))
            led = sum(w * np.roll(z[:, j], lag) for w, j, lag in zip(weights, leaders, lags, strict=True))
            led = led / np.std(led)
            new = np.sqrt(1 - coupling) * new + np.sqrt(coupling) * led
        found = lfilter([1.0], [1.0, -random.uniform(0.3, 0.9)], new)
        z[:, i] = found / found.std()
    hours = np.arange(steps)[:, None]
    periods = np.array([24, 12, 8, 168, 84])  # hours
    phases = random.uniform(0, 2 * np.pi, (len(periods), 4))
    rhythms = np.sin(2 * np.pi * hours[:, :, None] / periods[None, :, None] + phases)  # (steps, periods, 4 profiles)
    mixing = random.normal(size=(len(periods) * 4, variates)) / np.sqrt(len(periods) * 4)
    drift = np.cumsum(random.normal(size=(steps, variates)), axis=0) / np.sqrt(steps)
    seasons = 1.5 * rhythms.reshape(steps, -1) @ mixing
    return np.asarray(random.normal(0, 5, variates) + drift + seasons + z[before:])
