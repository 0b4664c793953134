import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from formarium.errors import DataError
from formarium.tasks.forecasting import metrics
from formarium.tasks.forecasting.intervals import ConformalIntervals


def test_errors_of_a_known_forecast() -> None:
    forecast, target = torch.tensor([[[1.0], [4.0], [0.0]]]), torch.tensor([[[3.0], [2.0], [0.0]]])
    assert metrics.squared_error(forecast, target).flatten().tolist() == [4, 4, 0]
    assert metrics.absolute_error(forecast, target).flatten().tolist() == [2, 2, 0]
    percent = metrics.symmetric_percentage_error(forecast, target).flatten().tolist()
    assert percent == pytest.approx([100, 400 / 6, 0])
    assert metrics.scaled_error(forecast, target, torch.tensor([0.5])).flatten().tolist() == [4, 4, 0]


def test_the_naive_error_is_that_of_repeating_the_season() -> None:
    values = np.arange(20_000.0)[:, None] * [1, 3]  # more rows than are read at a time
    assert metrics.naive_error(values, 7).tolist() == [7, 21]
    assert np.isnan(metrics.naive_error(values[:7], 7)).all()


@given(st.floats(0.02, 0.98))
def test_the_quantile_loss_is_least_at_the_quantile(level: float) -> None:
    target = torch.linspace(0, 1, 201, dtype=torch.float64)[:, None, None]
    candidates = torch.linspace(0, 1, 101, dtype=torch.float64)
    losses = [metrics.quantile_loss(c.expand(201, 1, 1, 1), target, [level]).mean() for c in candidates]
    assert abs(float(candidates[int(torch.stack(losses).argmin())]) - level) <= 0.011


def test_the_quantile_loss_of_the_median_is_half_the_absolute_error() -> None:
    forecast, target = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    loss = metrics.quantile_loss(forecast[..., None], target, [0.5])
    torch.testing.assert_close(loss, metrics.absolute_error(forecast, target) / 2)


def test_only_what_was_observed_counts() -> None:
    values, observed = torch.tensor([[1.0, 100.0], [3.0, 5.0]]), torch.tensor([[True, False], [True, True]])
    assert metrics.mean(values, observed) == 3
    assert metrics.mean(values, torch.zeros(2, 2, dtype=torch.bool)) == 0
    running = metrics.Mean()
    running.add(values[:1], observed[:1])
    running.add(values[1:], observed[1:])
    assert running.value == 3
    assert np.isnan(metrics.Mean().value)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_conformal_intervals_cover_what_they_promise(coverage: float) -> None:
    """Exchangeable residuals of a wrong, skewed forecaster: the mean coverage of many draws is what was promised."""
    covered = []
    for _ in range(300):
        target = torch.empty(120, 1, 2).exponential_()
        forecast = torch.full_like(target, 0.3)
        intervals = ConformalIntervals.fit(forecast[:60], forecast[:60], target[:60], coverage)
        covered.append(metrics.inside(*intervals.around(forecast[60:]), target[60:]).mean())
    mean = float(torch.stack(covered).mean())
    assert coverage - 0.015 < mean < coverage + 0.04


def test_conformalised_quantiles_shrink_where_they_were_too_wide() -> None:
    target = torch.randn(500, 3, 2)
    lower, upper = torch.full_like(target, -10.0), torch.full_like(target, 10.0)
    intervals = ConformalIntervals.fit(lower, upper, target, 0.8)
    assert intervals.reach.shape == (3, 2)
    assert (intervals.reach < 0).all()
    low, high = intervals.around(lower, upper)
    assert abs(float(metrics.inside(low, high, target).mean()) - 0.8) < 0.02


def test_too_few_windows_cannot_calibrate() -> None:
    target = torch.randn(18, 1, 1)
    with pytest.raises(DataError, match="18 windows cannot calibrate a coverage of 95%; it takes 19"):
        ConformalIntervals.fit(target, target, target, 0.95)
    ConformalIntervals.fit(*[torch.randn(19, 1, 1)] * 3, 0.95)
    with pytest.raises(DataError, match="between 0 and 1"):
        ConformalIntervals.fit(target, target, target, 1.0)
