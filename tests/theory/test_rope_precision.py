import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formarium.errors import FormariumError
from formarium.theory import rope_precision as precision

BASES = (1e4, 5e5, 8e6, 1e7, 1e8, 3.58e9)


def bank(base: float) -> np.ndarray:
    return base ** (-np.arange(0, 128, 2) / 128)


@given(st.floats(1e3, 1e10), st.integers(0, 2**23 - 1100))
def test_fp32_products_never_coincide_below_the_positions_that_fp32_counts(base, start):
    for seen in ("phase", "both"):
        assert precision.coincidence(bank(base), start, 1000, seen=seen).slowest == 0


@pytest.mark.parametrize("base", BASES)
def test_fp32_products_keep_neighbours_apart_to_a_million_tokens_with_any_base(base):
    starts = [0, 1000, 100_000, 1_000_000, 1_048_576 - 4097]
    assert precision.table("product", ["fp32"], [base], starts).max() == 0


def test_fp32_products_coincide_near_sixteen_million_tokens_with_every_base():
    shares = precision.table("product", ["fp32"], BASES, [2**24 - 4097])[0, :, 0, 0]
    assert shares.shape == (len(BASES),)
    assert 0.05 < shares.min() < shares.max() < 0.47


@pytest.mark.parametrize(("start", "share"), [(0, 0.8), (4096, 31 / 32), (100_000, 511 / 512), (1_000_000, 0.999)])
def test_positions_in_bf16_are_the_failure_of_every_channel_at_once(start, share):
    found = precision.table("angles", ["bf16"], BASES, [start])[..., 1]
    assert found.min() >= share - 1e-3


def test_positions_in_bf16_coincide_for_more_than_99_percent_beyond_a_few_thousand():
    found = precision.coincidence(bank(1e4), 4096, 200_000, angles="bf16")
    assert found.all_channels > 0.99


@pytest.mark.parametrize("base", BASES)
def test_bf16_tables_lose_the_slowest_channel_but_not_all_of_them(base):
    found = [precision.read("tables", bank(base), start, "bf16") for start in (1000, 4096, 100_000)]
    assert min(f.slowest for f in found) >= 0.69
    assert max(f.all_channels for f in found) == 0


def test_the_cosine_is_blind_near_zero_where_the_sine_sees():
    omega = bank(1e7)
    blind = precision.blind_cosine(omega)
    assert blind == pytest.approx(3.45e-4 / omega[-1], rel=1e-2)
    assert precision.read("cosine", omega, 0, count=blind // 2).slowest > 0.99
    assert precision.read("product", omega, 0, count=blind // 2).slowest == 0
    assert precision.read("cosine", omega, 0, count=blind // 2).all_channels == 0


@given(st.floats(1.0, 6.28), st.floats(2.0**19, 2.0**27))
def test_an_accumulated_phase_loses_steps_below_half_its_spacing(phase, base):
    spacing = float(np.spacing(np.float32(phase)))
    step = float(np.float32(1 / base))
    lost = bool(precision.lost_steps(step, phase))
    if abs(step / (spacing / 2) - 1) > 1e-6:
        assert lost == (step < spacing / 2) == bool(1 / step > precision.lost_step_base(np.float32(phase)))


def test_where_the_wall_of_accumulation_stands():
    assert precision.lost_step_base([1, 1.9, 2, 3.9, 4, 6.28]).tolist() == [2.0**24] * 2 + [2.0**23] * 2 + [2.0**22] * 2
    assert precision.lost_step_base(1, "bf16") == 256


@pytest.mark.parametrize(("dtype", "most"), [("bf16", 2**9), ("fp16", 2**12), ("fp32", 2**25)])
def test_a_phase_grown_from_zero_stalls_at_positions_that_the_format_sets_not_the_base(dtype, most):
    for base in (1e3, 3e3):
        assert most / 2 <= precision.stalled_at(1 / base, dtype) < most


def test_a_phase_grown_step_by_step_is_that_of_numpy():
    grown = np.add.accumulate(np.full(5000, 1e-3, np.float16))
    at = int(np.flatnonzero(grown[1:] == grown[:-1])[0]) + 1
    assert precision.stalled_at(1e-3, "fp16") == at
    assert precision.stalled_at(1e-3, "fp16", limit=100) == 100


def test_steps_of_the_accumulated_reading_are_lost_only_beyond_sixteen_million():
    found = [precision.read("accumulated", bank(5e5), start, count=64).slowest for start in (0, 2**22, 2**25)]
    assert found == [0, 0, 1]


def test_errors_of_the_rotation():
    omega = bank(1e4)
    assert precision.rotation_error(omega, 0) == 0
    assert precision.rotation_error(omega, 4095) < 1e-3 < precision.rotation_error(omega, 262_144) < 2e-2
    assert precision.rotation_error(omega, 262_144, recurrent=True) > precision.rotation_error(omega, 262_144)
    assert precision.rotation_error(omega, 262_144, "fp64") < 1e-9


def test_positions_beyond_the_range_of_fp16_cannot_be_told_apart():
    assert precision.read("angles", bank(1e4), 70_000, "fp16").all_channels == 1


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(FormariumError, match="did you mean 'product'"):
        precision.read("products", bank(1e4), 0)  # type: ignore[arg-type]
    with pytest.raises(FormariumError, match="tf32"):
        precision.read("product", bank(1e4), 0, "tf32")
