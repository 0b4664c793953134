import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formarium.errors import FormariumError
from formarium.theory import rope_bounds as bounds

PUBLISHED = {1000: 4.3e3, 2000: 1.6e4, 4000: 2.7e4, 8000: 8.4e4, 16000: 3.1e5, 32000: 6.4e5, 64000: 2.1e6}
lengths = st.floats(2, 1e8)
coherences = st.floats(0.01, 0.99)
depths = st.integers(1, 200)
widths = st.integers(2, 256).map(lambda n: 2 * n)


def frequencies(base: float, rotated: int = 128) -> np.ndarray:
    return base ** (-np.arange(0, rotated, 2) / rotated)


@given(lengths, coherences, depths, widths)
def test_the_closed_forms(length, epsilon, layers, rotated):
    phase = np.arccos(epsilon ** (1 / layers))
    exponent = rotated / (rotated - 2)
    assert bounds.coherent_phase(epsilon, layers) == pytest.approx(phase, rel=1e-9)
    assert bounds.stability_base(length, epsilon, layers) == pytest.approx(length / phase, rel=1e-9)
    assert bounds.stability_base(length, epsilon, layers, rotated) == pytest.approx(
        (length / phase) ** exponent, rel=1e-7
    )
    assert bounds.aliasing_base(length) == pytest.approx(length / (2 * np.pi))
    assert bounds.aliasing_base(length, strict=True) == pytest.approx(length / np.pi)


@given(st.floats(2, 1e9), widths)
def test_the_exact_and_the_published_form_agree_for_many_channels(base, rotated):
    ratio = bounds.effective_base(base, rotated) / bounds.effective_base(base)
    assert ratio == pytest.approx(base ** (-2 / rotated))
    assert bounds.effective_base(base, rotated) == pytest.approx(1 / frequencies(base, rotated).min())
    assert bounds.base_for(bounds.effective_base(base, rotated), rotated) == pytest.approx(base)


@given(lengths, coherences, depths)
def test_what_a_base_is_needed_for_it_allows(length, epsilon, layers):
    base = bounds.stability_base(length, epsilon, layers, 128)
    assert bounds.stability_length(bounds.effective_base(base, 128), epsilon, layers) == pytest.approx(length)
    assert bounds.aliasing_length(bounds.effective_base(bounds.aliasing_base(length, 64), 64)) == pytest.approx(length)


@given(lengths, coherences, depths)
def test_the_need_grows_with_length_depth_and_coherence(length, epsilon, layers):
    needed = bounds.stability_base(length, epsilon, layers)
    assert bounds.stability_base(length, epsilon, 1) == pytest.approx(length / np.arccos(epsilon))
    assert bounds.stability_base(length * 1.01, epsilon, layers) > needed
    assert bounds.stability_base(length, epsilon, layers + 1) > needed
    assert bounds.stability_base(length, epsilon + 0.005, layers) > needed
    assert bounds.aliasing_base(length) < needed


def test_depth_asks_for_the_square_root_of_layers():
    layers = np.array([1, 8, 64, 512, 4096])
    ratio = bounds.stability_base(1e5, 0.95, 4 * layers) / bounds.stability_base(1e5, 0.95, layers)
    assert np.all(np.diff(abs(ratio - 2)) < 0)
    assert ratio[-1] == pytest.approx(2, abs=1e-4)
    assert bounds.coherent_phase(0.95, 4096) == pytest.approx(bounds.coherent_phase_of_deep(0.95, 4096), rel=1e-4)


def test_values_of_the_phase_and_the_longest_lengths():
    found = bounds.coherent_phase(0.95, [1, 16, 32, 61, 80, 126])
    assert found == pytest.approx([0.31756, 0.08003, 0.05660, 0.04100, 0.03581, 0.02853], abs=6e-6)
    assert bounds.coherent_phase([0.9, 0.99], 32) == pytest.approx([0.08110, 0.02506], abs=6e-6)
    assert bounds.coherent_phase(1e-300) == pytest.approx(np.pi / 2)
    assert bounds.longest_length(0.95, [1, 32]) == pytest.approx([2.66e6, 475e3], rel=2e-3)
    assert bounds.stability_base(4096, 0.5, 32, 128) > bounds.stability_base(4096, 0.4, 32, 128) > 1e4
    assert bounds.coherent_phase(0.95, 10**9) == pytest.approx(bounds.coherent_phase_of_deep(0.95, 10**9), rel=1e-9)


def test_the_wall_of_every_format():
    walls = {name: float(bounds.precision_wall(name)) for name in bounds.MACHINE_EPSILON}
    assert walls == {"fp64": 2.0**52, "fp32": 8388608, "tf32": 1024, "fp16": 1024, "bf16": 128}
    assert bounds.precision("torch.bfloat16") == bounds.precision("BF16") == "bf16"
    assert bounds.precision_wall("fp32", 128) == pytest.approx(8388608 ** (128 / 126))


@given(lengths, coherences, depths, st.sampled_from(["fp32", "bf16", "fp64"]), st.one_of(st.none(), widths))
def test_the_interval_is_empty_from_the_longest_length_on(length, epsilon, layers, dtype, rotated):
    low, high = bounds.feasible_bases(length, epsilon, layers, dtype, rotated)
    empty = bool(bounds.no_base(length, epsilon, layers, dtype))
    longest = float(bounds.longest_length(epsilon, layers, dtype))
    if abs(length / longest - 1) > 1e-9:
        assert empty == (length > longest) == (low >= high)


def test_functions_broadcast():
    low, high = bounds.feasible_bases(np.array([[1e3], [1e5]]), [0.5, 0.9, 0.95], np.array([1, 32])[:, None, None])
    assert low.shape == high.shape == (2, 2, 3)
    standing = bounds.standing(np.array([10.0, 500, 4000, 1e6]), bounds.effective_base(1e4, 128), 0.95, 32)
    assert standing.tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda: bounds.coherent_phase(0.0),
        lambda: bounds.coherent_phase(1.0),
        lambda: bounds.coherent_phase(float("nan")),
        lambda: bounds.coherent_phase(0.5, 0),
        lambda: bounds.stability_base(0, 0.5),
        lambda: bounds.effective_base(1e4, 2),
        lambda: bounds.machine_epsilon("fp12"),
        lambda: bounds.slowest([0.0, 0.0]),
    ],
)
def test_numbers_out_of_range_are_refused(call):
    with pytest.raises(FormariumError):
        call()


@given(st.floats(1.5, 1e9), st.sampled_from([24, 64, 96, 128]), st.integers(1, 3000), st.integers(0, 10**6))
@settings(max_examples=50)
def test_the_cosine_sum_against_its_definition(base, rotated, count, start):
    omega = frequencies(base, rotated)
    found = bounds.similarity(omega, count, start)
    assert found.shape == (count,)
    assert np.abs(found).max() <= rotated / 2 + 1e-9
    m = np.arange(start, start + count)
    picked = np.linspace(0, count - 1, 7).astype(int)
    assert found[picked] == pytest.approx(np.cos(m[picked, None] * omega).sum(1), abs=1e-7)
    assert bounds.similarity(omega, 1)[0] == pytest.approx(rotated / 2)


def test_lengths_of_the_cosine_sum():
    found = [bounds.similarity_length(frequencies(base), 100_000) for base in (2.7e4, 1e4, 5e5)]
    assert found == [4078, 1706, 18437]
    assert bounds.similarity_length(frequencies(1e4), 1000) == 1000
    assert bounds.similarity_length(frequencies(1e4), 1706) == 1706
    assert bounds.similarity_length(frequencies(1e4), 1707) == 1706


@pytest.mark.parametrize(("length", "base"), PUBLISHED.items())
def test_published_bases_of_the_cosine_sum_serve_within_their_rounding(length, base):
    near = np.linspace(0.97, 1.03, 61) * base
    assert any(bounds.similarity_length(frequencies(b), length) == length for b in near)


@pytest.mark.parametrize("length", [1000, 4000])
def test_bases_of_the_cosine_sum(length):
    found = bounds.similarity_bases(length, 128, per_decade=300)
    serves = [bounds.similarity_length(frequencies(b), length) == length for b in (found.first, found.settled)]
    assert serves == [True, True]
    assert found.first <= PUBLISHED[length] * 1.03
    for edge in (found.first, found.settled):
        assert bounds.similarity_length(frequencies(edge * (1 - 1e-8)), length) < length
    for base in found.settled * np.geomspace(1, 1e3, 60):
        assert bounds.similarity_length(frequencies(base), length) == length


def test_the_feasible_bases_of_the_cosine_sum_are_no_interval():
    assert [bounds.similarity_length(frequencies(b), 1000) == 1000 for b in (4320, 5800)] == [True, False]
    found = bounds.similarity_bases(1000, 128)
    assert found.first < 4320 < 5800 < found.settled


@pytest.mark.parametrize(("length", "rotated"), [(1, 4), (2, 8), (50, 24), (300, 64)])
def test_bases_of_the_cosine_sum_for_short_contexts(length, rotated):
    found = bounds.similarity_bases(length, rotated)
    assert 1 <= found.first <= found.settled
    assert bounds.similarity_length(frequencies(found.settled, rotated), length) == length
