"""Schedules, and settings that cannot be trained with."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formarium.config import ConfigError
from formarium.training import Training

schedules = st.sampled_from(["cosine", "linear", "wsd", "constant", "halving"])
settings = st.builds(
    Training,
    steps=st.integers(1, 300),
    schedule=schedules,
    warmup=st.floats(0, 1),
    final=st.floats(0, 1),
    decay=st.floats(0, 1),
    halve_every=st.integers(1, 50),
)


@given(settings)
def test_the_rate_rises_to_its_peak_and_never_rises_again(training: Training) -> None:
    training.check()
    factors = [training.factor(step) for step in range(training.steps)]
    rise = int(training.warmup * training.steps)
    assert factors[:rise] == pytest.approx([(step + 1) / rise for step in range(rise)])
    after = factors[rise:]
    assert all(0 <= factor <= 1 for factor in factors)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(after))


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        (Training(steps=4, warmup=0, schedule="cosine", final=0.2), [1, 0.2 + 0.8 * (0.5 + 0.5**1.5), 0.6]),
        (Training(steps=4, warmup=0, schedule="linear", final=0.2), [1, 0.8, 0.6, 0.4, 0.2, 0.2]),
        (Training(steps=10, warmup=0, schedule="wsd", decay=0.4, final=0), [1] * 7 + [0.75, 0.5, 0.25, 0, 0]),
        (Training(steps=4, warmup=0, schedule="constant"), [1, 1, 1, 1, 1]),
        (Training(steps=9, warmup=0, schedule="halving", halve_every=2), [1, 1, 0.5, 0.5, 0.25]),
        (Training(steps=9, warmup=0, schedule="halving", halve_every=2, hold=2), [1, 1, 1, 1, 0.5, 0.5, 0.25]),
        (Training(steps=8, warmup=0.5, schedule="linear", final=0), [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0]),
    ],
    ids=lambda value: value.schedule if isinstance(value, Training) else "",
)
def test_schedules_are_what_they_are_called(training: Training, expected: list[float]) -> None:
    assert [training.factor(step) for step in range(len(expected))] == pytest.approx(expected)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd"])
def test_the_shortest_trainings_have_a_rate(steps: int, schedule: str) -> None:
    training = Training().override({"steps": steps, "schedule": schedule})
    assert training.factor(0) == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps, batch_size and accumulation are at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"accumulation": -1}, "at least 1"),
        ({"epochs": 0}, "epochs are at least 1, and hold is not below 0"),
        ({"hold": -1}, "epochs are at least 1, and hold is not below 0"),
        ({"learning_rate": 0.0}, "the learning rate is above 0, not 0"),
        ({"learning_rate": float("nan")}, "the learning rate is above 0, not nan"),
        ({"warmup": 1.5}, "warmup is a share between 0 and 1, not 1.5"),
        ({"final": -0.1}, "final is a share between 0 and 1, not -0.1"),
        ({"decay": 2.0}, "decay is a share between 0 and 1, not 2"),
        ({"patience": 3}, "patience and keep='best' need evaluate_every"),
        ({"keep": "best"}, "patience and keep='best' need evaluate_every"),
        ({"evaluate_every": 0}, "evaluate_every is at least 1 step, not 0"),
        ({"schedule": "halving"}, "the schedule 'halving' needs halve_every"),
    ],
)
def test_what_cannot_be_trained_with_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Training().override(changes).check()


def test_epochs_become_steps() -> None:
    counted = Training(
        epochs=10, evaluate_every=1, patience=3, keep="best", warmup=0, schedule="halving", halve_every=1, hold=1
    )
    steps = counted.in_steps(264)
    assert (steps.epochs, steps.steps, steps.evaluate_every) == (None, 2640, 264)
    assert (steps.halve_every, steps.hold, steps.patience) == (264, 264, 3)
    rates = [steps.factor(epoch * 264) for epoch in range(5)]
    assert rates == [1, 1, 0.5, 0.25, 0.125]  # the first two epochs at the full rate
    assert Training(steps=7).in_steps(264) == Training(steps=7)
