"""Synthetic series with known structure: seasons, trends, and series that lead others by some steps.

These are made up. They stand in where no data are at hand, and serve claims that need to know what there is to find.
"""

import numpy as np

_HOUR = 3600


def seasonal_autoregression(
    variates: int = 64, steps: int = 8000, seed: int = 0, parents: int = 3, longest_lag: int = 24
) -> np.ndarray:
    """A sparse vector autoregression with seasons: (steps, variates), float64, in hourly rhythm.

    Series i is level + slow drift + mixed daily and weekly rhythms + z_i, with
    z_i(t) = a_i z_i(t - 1) + sum_j w_ij z_j(t - lag_ij) + noise; each series has up to ``parents`` earlier ones j < i
    that lead it by 1 .. ``longest_lag`` steps. No cycles, and |a_i| + sum_j |w_ij| may exceed 1 without instability.
    """
    random = np.random.default_rng(seed)
    persistence = random.uniform(0.3, 0.9, variates)
    weights = np.zeros((variates, parents))
    leaders = np.zeros((variates, parents), dtype=np.int64)
    for i in range(1, variates):
        count = min(parents, i)
        leaders[i, :count] = random.choice(i, size=count, replace=False)
        weights[i, :count] = random.normal(0, 0.5, count) * (1 - persistence[i])
    lags = random.integers(1, longest_lag + 1, size=(variates, parents))
    warm_up = 20 * longest_lag
    total = steps + warm_up
    noise = random.standard_t(5, size=(total, variates)) * np.sqrt(3 / 5)  # heavy tails, variance 1
    z = np.zeros((total, variates))
    for t in range(longest_lag, total):
        z[t] = persistence * z[t - 1] + (weights * z[t - lags, leaders]).sum(axis=1) + noise[t]
    z = z[warm_up:]
    z /= z.std(axis=0)
    hours = np.arange(steps)[:, None]
    periods = np.array([24, 12, 8, 168, 84])  # hours
    phases = random.uniform(0, 2 * np.pi, (len(periods), 4))
    rhythms = np.sin(2 * np.pi * hours[:, :, None] / periods[None, :, None] + phases)  # (steps, periods, 4 profiles)
    mixing = random.normal(size=(len(periods) * 4, variates)) / np.sqrt(len(periods) * 4)
    drift = np.cumsum(random.normal(size=(steps, variates)), axis=0) / np.sqrt(steps)
    return np.asarray(random.normal(0, 5, variates) + drift + 1.5 * rhythms.reshape(steps, -1) @ mixing + z)
