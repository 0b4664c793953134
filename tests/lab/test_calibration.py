"""What the lab should say where the truth is known: held to draws of chance."""

import numpy as np
import pytest

from formarium.lab.calibration import _rate


@pytest.mark.parametrize("effect", [0.0, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("seeds", [3, 5])
def test_planted_effects_are_found_as_often_as_a_t_test_should(effect: float, seeds: int) -> None:
    deviation = 0.02
    losses = np.random.default_rng(seeds).normal(2.0, deviation, (2000, 2, seeds))
    rate = _rate(losses, effect, deviation)
    assert rate.found == pytest.approx(rate.expected, abs=0.04)


def test_a_lab_that_finds_too_much_is_seen() -> None:
    losses = np.random.default_rng(0).normal(2.0, 0.02, (200, 2, 3))
    losses[:, 1] -= 0.05
    assert not _rate(losses, 0.0, 0.02).holds
