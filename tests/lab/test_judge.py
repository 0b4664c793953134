"""What a claim requires, held against numbers whose truth is known."""

import math

import pytest

from formarium.errors import FormariumError
from formarium.lab.claim import Contrast, Exponent, Interaction, Reproduction, Speedup
from formarium.lab.prove import in_words, judge
from formarium.lab.statistics import overall


def numbers(a: list[float], b: list[float], metric: str = "loss") -> list[dict[str, dict[str, float]]]:
    return [{"A": {metric: x}, "B": {metric: y}} for x, y in zip(a, b, strict=True)]


def test_lower_is_better_counts_against_minus_variant() -> None:
    rows = numbers([2.0, 2.1, 2.2], [1.5, 1.61, 1.69])
    (finding,) = judge([Contrast("B", "A")], rows)
    assert finding.verdict == "supported"
    assert finding.values == pytest.approx([0.5, 0.49, 0.51])
    assert judge([Contrast("A", "B")], rows)[0].verdict == "refuted"


def test_seeds_are_paired() -> None:
    """A difference far below the spread between seeds is found, since every seed is its own baseline."""
    base = [1.0, 5.0, 9.0]
    rows = numbers(base, [x - d for x, d in zip(base, [0.10, 0.11, 0.09], strict=True)])
    assert judge([Contrast("B", "A")], rows)[0].verdict == "supported"


def test_margins_on_either_side() -> None:
    rows = numbers([2.0, 2.0, 2.0], [1.90, 1.91, 1.89])
    assert judge([Contrast("B", "A", margin=0.05)], rows)[0].verdict == "supported"
    assert judge([Contrast("B", "A", margin=0.2)], rows)[0].verdict == "refuted"
    worse = numbers([2.0, 2.0, 2.0], [2.01, 2.012, 2.011])
    assert judge([Contrast("B", "A", margin=-0.05)], worse)[0].verdict == "supported", "no worse than by 0.05"
    relative = judge([Contrast("B", "A", margin=-0.001, relative=True)], worse)[0]
    assert relative.verdict == "refuted"
    assert relative.effect == pytest.approx(-0.0055, abs=1e-4)


def test_a_bound_on_one_variant_alone() -> None:
    rows = numbers([0.97, 0.98, 0.99], [0.0, 0.0, 0.0], "accuracy")
    above = Contrast("A", metric="accuracy", better="higher", margin=0.9)
    assert judge([above], rows)[0].verdict == "supported"
    below = Contrast("A", metric="accuracy", better="lower", margin=0.9)
    assert judge([below], rows)[0].verdict == "refuted"


def test_exponents_are_held_to_their_limit() -> None:
    rows = [{"A": {"cost": {"10": 1e2 * f, "100": 1e4 * f, "1000": 1e6 * f}}} for f in (1.0, 1.1, 0.9)]
    assert judge([Exponent("A", "cost", limit=2.2)], rows)[0].verdict == "supported"
    assert judge([Exponent("A", "cost", limit=1.5)], rows)[0].verdict == "refuted"


def test_two_changes_are_compared_each_from_its_own_base() -> None:
    rows = [
        {"a": {"loss": 1.0 + s}, "a less": {"loss": 1.1 + s}, "b": {"loss": 2.0 + s}, "b less": {"loss": 2.4 + 1.1 * s}}
        for s in (0.0, 0.1, 0.2)
    ]
    (finding,) = judge([Interaction("a less", "a", "b less", "b")], rows)
    assert finding.verdict == "supported"
    assert finding.values == pytest.approx([0.3, 0.31, 0.32])
    assert judge([Interaction("b less", "b", "a less", "a")], rows)[0].verdict == "refuted"
    (relative,) = judge([Interaction("a less", "a", "b less", "b", relative=True)], rows[:1])
    assert relative.values == pytest.approx([0.4 / 2 - 0.1])
    lost = [{**row, "a less": {"loss": math.nan, "diverged": 3}} for row in rows]
    assert judge([Interaction("a less", "a", "b less", "b")], lost)[0].verdict == "refuted"


def test_a_published_number_is_held_against_the_mean() -> None:
    rows = numbers([0.386, 0.388, 0.390], [0.40, 0.41, 0.42], "mse")
    near, far, absent = (
        Reproduction("A", 0.384, "mse"),
        Reproduction("B", 0.384, "mse"),
        Reproduction("C", 0.384, "mse"),
    )
    findings = judge([near, far, absent], rows)
    assert [f.verdict for f in findings] == ["supported", "refuted"]  # nothing is required of what did not run
    assert findings[0].effect == pytest.approx(0.388 / 0.384 - 1)
    assert "A: mse 0.3880, published 0.384" in findings[0].label
    low = judge([Reproduction("A", 0.40, "mse")], rows)[0]
    assert low.verdict == "refuted"  # too good is no reproduction either
    assert judge([near], [{"A": {"mse": math.nan, "diverged": 1}}])[0].verdict == "refuted"


def test_what_stands_beside_does_not_decide_and_may_be_absent() -> None:
    rows = numbers([2.0, 2.0, 2.0], [1.9, 1.91, 1.89])
    beside = [Contrast("A", "B", decides=False), Contrast("C", "A", decides=False)]
    findings = judge([Contrast("B", "A"), *beside], rows)
    assert [f.decides for f in findings] == [True, False], "the one whose variant did not run is left out"
    assert overall([f.verdict for f in findings if f.decides]) == "supported"
    with pytest.raises(FormariumError, match="no variant 'C' ran"):
        judge([Contrast("C", "A")], rows)


def test_diverged_runs_are_results() -> None:
    rows = numbers([2.0, 2.0, 2.0], [math.inf, math.inf, math.inf])
    assert judge([Contrast("B", "A")], rows)[0].verdict == "refuted"
    both = numbers([math.inf] * 3, [math.inf] * 3)
    assert judge([Contrast("B", "A")], both)[0].verdict == "inconclusive"
    probed = [{"A": {"rank": 1.0}, "B": {"diverged": 7}} for _ in range(3)]
    assert judge([Contrast("B", "A", metric="rank", better="higher")], probed)[0].verdict == "refuted"


def test_words_name_what_decided() -> None:
    rows = numbers([2.0, 2.0, 2.0], [1.9, 1.91, 1.89])
    findings = judge([Contrast("B", "A"), Contrast("A", "B", decides=False)], rows)
    words = in_words("supported", findings)
    assert words.startswith("The claim holds here. B lower than A in loss: supported (+0.1")
    assert "A lower than B" not in words


def test_unknown_metric_is_named_with_the_nearest() -> None:
    with pytest.raises(FormariumError, match="did you mean 'loss'"):
        judge([Contrast("B", "A", metric="los")], numbers([1.0], [1.0]))


def curves(own: list[float], other: list[float], rates: tuple[float, float] = (1.0, 1.0)) -> list[dict]:
    arms = {"A": (own, rates[0]), "B": (other, rates[1])}
    return [{n: {"losses": c, "rate": r, "diverged": None} for n, (c, r) in arms.items()}] * 2


def test_speedup_counts_steps_and_seconds() -> None:
    slow = [10.0 - n / 100 for n in range(1000)]
    fast = [10.0 - n / 50 for n in range(1000)]
    (finding,) = judge([Speedup("A", "B", factor=1.5)], curves(fast, slow))
    assert finding.verdict == "supported"
    # The smoothed curve of B ends where A is half a window behind the middle of its own run.
    assert finding.effect == pytest.approx(2.0, rel=0.05)
    assert judge([Speedup("B", "A", factor=1.5)], curves(fast, slow))[0].values == [0.0, 0.0]
    assert judge([Speedup("A", "B")], curves(slow, slow))[0].values == [1.0, 1.0]
    (timed,) = judge([Speedup("A", "B", factor=1.5, in_time=True)], curves(fast, slow, (1.0, 2.0)))
    assert timed.verdict == "refuted"
    assert timed.effect == pytest.approx(finding.effect / 2)


def test_a_curve_must_stay_where_it_came() -> None:
    slow = [10.0 - n / 100 for n in range(1000)]
    dip = [0.0 if 100 <= n < 300 else 10.0 - n / 50 for n in range(1000)]
    assert judge([Speedup("A", "B")], curves(dip, slow))[0].effect == pytest.approx(2.0, rel=0.05)


def test_a_diverged_curve_is_never_sooner() -> None:
    rows = curves([1.0] * 100, [1.0] * 100)
    rows[0]["A"]["diverged"] = 3
    assert judge([Speedup("A", "B")], rows)[0].verdict == "refuted"
    assert judge([Speedup("B", "A", factor=2)], rows)[0].verdict == "inconclusive"
    with pytest.raises(FormariumError, match="no variant 'C' ran"):
        judge([Speedup("C", "A")], rows)
    assert judge([Speedup("C", "A", decides=False)], rows) == []
