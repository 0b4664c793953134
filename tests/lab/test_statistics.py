"""Intervals and verdicts against what is known of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formarium.lab.statistics import overall, power, slope, t_interval, verdict


def test_interval_is_the_textbook_one() -> None:
    # Three values, t_{0.975, 2} = 4.303.
    interval = t_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2
    assert interval.high - interval.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-5)
    assert t_interval([1.0]).low == -math.inf


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    draws = random.normal(0.3, 1.0, size=(4000, 4))
    covered = sum(i.low <= 0.3 <= i.high for i in map(t_interval, draws.tolist()))
    assert covered / 4000 == pytest.approx(0.95, abs=0.012)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.floats(-2, 2))
def test_verdict_follows_the_whole_interval(effects: list[float], margin: float) -> None:
    found, interval = verdict(effects, margin)
    if found == "supported":
        assert interval.low > margin
    elif found == "refuted":
        assert interval.high < margin
    else:
        assert interval.low <= margin <= interval.high


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8))
def test_the_opposite_claim_gets_the_opposite_verdict(effects: list[float]) -> None:
    opposite = {"supported": "refuted", "refuted": "supported", "inconclusive": "inconclusive"}
    assert verdict([-e for e in effects], 0.0)[0] == opposite[verdict(effects, 0.0)[0]]


def test_one_seed_and_equal_runs_decide_nothing() -> None:
    assert verdict([5.0], 0.0)[0] == "inconclusive"
    assert verdict([0.0, 0.0, 0.0], 0.0)[0] == "inconclusive"


def test_diverged_runs_never_support_and_mostly_refute() -> None:
    assert verdict([1.0, 1.0, -math.inf], 0.0)[0] == "inconclusive"
    assert verdict([1.0, -math.inf, -math.inf], 0.0)[0] == "refuted"


def test_all_requirements_must_hold_and_one_can_refute() -> None:
    assert overall(["supported", "supported"]) == "supported"
    assert overall(["supported", "inconclusive"]) == "inconclusive"
    assert overall(["supported", "refuted", "inconclusive"]) == "refuted"
    assert overall([]) == "inconclusive"


def test_power_is_what_simulation_finds() -> None:
    random = np.random.default_rng(1)
    for effect in (1.0, 3.0):
        draws = random.normal(effect, 1.0, size=(4000, 3)).tolist()
        found = sum(verdict(d, 0.0)[0] == "supported" for d in draws) / 4000
        assert found == pytest.approx(power(effect, 1.0, 3), abs=0.02)


@given(st.floats(-3, 3), st.floats(0.1, 10))
def test_slope_is_the_exponent(exponent: float, factor: float) -> None:
    sizes = [1.0, 2.0, 5.0, 20.0]
    assert slope(sizes, [factor * s**exponent for s in sizes]) == pytest.approx(exponent, abs=1e-9)
