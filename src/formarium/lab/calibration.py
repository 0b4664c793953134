"""Can the lab be believed? What it says where the truth is known: no effect at all, and effects of known size.

Two arms of the same model, trained with different seeds, are judged as those of a claim are: effects, an interval, a
verdict. *A/A*: they are the same, so a verdict other than inconclusive is an error, and 5 % of them may be. *Planted*:
the losses of the second arm are lowered by a multiple of the deviation between seeds; that must be found as often as a
t-test of that many seeds finds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from formarium.lab.claim import Contrast
from formarium.lab.prove import judge
from formarium.lab.record import surroundings
from formarium.lab.runs import Run, execute_all
from formarium.lab.statistics import CONFIDENCE, Verdict, power
from formarium.tasks.language.task import Language
from formarium.training.settings import Training

_TASK = Language.Config(context=32, evaluation_tokens=8192)
_MODEL = {"width": 32, "depth": 1, "heads": 2}
# A rate at which the losses of seeds are normally distributed, which the t-test's own power takes for granted: at three
# times this rate some seeds spike, and effects are found more often than it says, with no more false ones.
_TRAINING = Training(steps=60, batch_size=8, learning_rate=0.003)


@dataclass(frozen=True)
class Rate:
    """How often comparisons came out one way, against how often they should.

    effect: planted, in deviations between seeds; 0 for A/A. found: share of "supported", for A/A of either verdict.
    expected: the rate of the t-test. low, high: where 95 % of such shares lie at the expected rate.
    """

    effect: float
    comparisons: int
    found: float
    expected: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the lab is as good as it should be; for A/A it may be better."""
        return (self.effect == 0 or self.found >= self.low) and self.found <= self.high


@dataclass(frozen=True)
class Calibration:
    """The rates, the deviation of the loss between seeds, and what exactly ran."""

    rates: list[Rate]
    deviation: float
    seeds: int
    comparisons: int
    task: dict[str, Any]
    model: dict[str, Any]
    training: dict[str, Any]
    surroundings: Mapping[str, Any]

    @property
    def holds(self) -> bool:
        return all(rate.holds for rate in self.rates)


def calibrate(
    comparisons: int = 60, seeds: int = 3, effects: Sequence[float] = (1.0, 2.0, 4.0), processes: int = 1
) -> Calibration:
    """Trains 2 * seeds models of seconds a comparison, no seed twice, and judges them with each effect planted."""
    task = _TASK.build()
    model = task.adapt(task.baseline().replace(**_MODEL)).to_dict()
    training = _TRAINING.to_dict()
    count = 2 * comparisons * seeds
    runs = [Run(model, _TASK.to_dict(), training, seed, ("loss",)) for seed in range(count)]
    outcomes = execute_all(runs, processes, 1, f"training {count} models of seconds")
    losses = np.array([outcome.metrics["loss"] for outcome in outcomes]).reshape(comparisons, 2, seeds)
    deviation = float(losses.std(ddof=1))
    rates = [_rate(losses, effect, deviation) for effect in (0.0, *effects)]
    return Calibration(rates, deviation, seeds, comparisons, _TASK.to_dict(), model, training, surroundings())


def _rate(losses: np.ndarray, effect: float, deviation: float) -> Rate:
    """losses: (comparisons, 2 arms, seeds)."""
    comparisons, _, seeds = losses.shape
    verdicts = [_verdict(first, second - effect * deviation) for first, second in losses]
    hits = sum(v == "supported" or (effect == 0 and v == "refuted") for v in verdicts)
    # Both arms vary, so a difference of theirs deviates by sqrt(2) of one.
    expected = power(effect, 2**0.5, seeds) if effect else 1 - CONFIDENCE
    low, high = stats.binom.interval(CONFIDENCE, comparisons, expected)
    return Rate(effect, comparisons, hits / comparisons, expected, low / comparisons, high / comparisons)


def _verdict(first: np.ndarray, second: np.ndarray) -> Verdict:
    numbers = [{"A": {"loss": float(a)}, "B": {"loss": float(b)}} for a, b in zip(first, second, strict=True)]
    return judge([Contrast("B", "A")], numbers)[0].verdict
