import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formarium.config import ConfigError
from formarium.parts.between.phase_rotation import PhaseRotation, stripe_sum
from formarium.parts.norms.rms_norm import RMSNorm

DOUBLE = torch.float64
SHAPES = st.tuples(st.sampled_from([1, 2, 3, 4, 6]), st.integers(1, 5))


def rotation(phases: int, half: int, **settings) -> PhaseRotation:
    part = PhaseRotation(2 * half * phases, config=PhaseRotation.Config(phases=phases, **settings)).to(DOUBLE)
    part.angles.data.uniform_(-4, 4)
    return part


@settings(deadline=None, max_examples=30)
@given(shape=SHAPES, seed=st.integers(0, 100))
def test_rotates_each_pair_of_each_stripe(shape, seed):
    torch.manual_seed(seed)
    phases, half = shape
    part = rotation(phases, half)
    x = torch.randn(2, 3, 2 * half * phases, dtype=DOUBLE)
    y = part(x).detach()
    for stripe in range(phases):
        for pair in range(half):
            angle = part.angles[pair].item() + 2 * math.pi * stripe / phases
            first = 2 * half * stripe + 2 * pair
            a, b = x[..., first], x[..., first + 1]
            assert torch.allclose(y[..., first], a * math.cos(angle) - b * math.sin(angle), atol=1e-12)
            assert torch.allclose(y[..., first + 1], a * math.sin(angle) + b * math.cos(angle), atol=1e-12)


@settings(deadline=None, max_examples=20)
@given(shape=SHAPES, seed=st.integers(0, 100))
def test_is_orthogonal(shape, seed):
    torch.manual_seed(seed)
    phases, half = shape
    part = rotation(phases, half)
    x, z = torch.randn(2, 4, 2 * half * phases, dtype=DOUBLE)
    y = part(x)
    stripes = [v.unflatten(-1, (phases, -1)).norm(dim=-1) for v in (x, y)]
    assert torch.allclose(stripes[0], stripes[1], atol=1e-12)
    assert torch.allclose((part(x) * part(z)).sum(-1), (x * z).sum(-1), atol=1e-11)
    matrix = part(torch.eye(2 * half * phases, dtype=DOUBLE))
    assert torch.allclose(matrix @ matrix.t(), torch.eye(len(matrix), dtype=DOUBLE), atol=1e-12)


def test_gradients_of_the_fast_and_of_the_compiled_form_agree():
    torch.manual_seed(0)
    part = rotation(3, 4, learned_offsets=True)
    x = torch.randn(2, 5, 24, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(part, (x,))
    single = part.float()
    found = []
    for function in (single, torch.compile(single, fullgraph=True, backend="aot_eager")):
        y = function(x.detach().float())
        found.append((y, *torch.autograd.grad(y.square().mul(torch.arange(24)).sum(), list(single.parameters()))))
    for eager, compiled in zip(*found, strict=True):
        assert torch.allclose(eager, compiled, atol=1e-5, rtol=1e-4)


def test_without_angles_the_first_stripe_stays():
    part = rotation(3, 4)
    part.angles.data.zero_()
    x = torch.randn(2, 24, dtype=DOUBLE)
    assert torch.equal(part(x)[:, :8], x[:, :8])


@pytest.mark.parametrize("phases", [2, 3, 4, 6])
def test_equal_stripes_cancel(phases):
    part = rotation(phases, 3)
    y = part(torch.randn(5, 6, dtype=DOUBLE).repeat(1, phases))
    assert y.unflatten(-1, (phases, 6)).sum(-2).abs().max() < 1e-12
    assert stripe_sum(y, phases).abs().max() < 1e-12


@pytest.mark.parametrize("phases", [1, 2, 3, 4])
def test_the_mean_direction_leaves_itself(phases):
    part = rotation(phases, 4)
    ones = torch.ones(8 * phases, dtype=DOUBLE)
    along = (part(ones) @ ones / len(ones)).item()
    assert along == pytest.approx(part.angles.cos().mean().item() if phases == 1 else 0, abs=1e-12)


def test_commutes_with_the_normaliser_of_the_stripes():
    part, norm = rotation(3, 4), RMSNorm(24, RMSNorm.Config(gain=False, groups=3))
    x = torch.randn(2, 5, 24, dtype=DOUBLE)
    assert torch.allclose(norm(part(x)), part(norm(x)), atol=1e-12)


def test_start_and_variants():
    part = PhaseRotation(24, layer=4, depth=12)
    assert torch.allclose(part.angles, torch.full((4,), 5 * math.pi / 24))
    assert sum(p.numel() for p in part.parameters()) == 4
    x = torch.randn(2, 3, 24)
    residual = PhaseRotation(24, layer=4, depth=12, config=PhaseRotation.Config(residual=True))
    assert torch.allclose(residual(x), x + part(x))
    offsets = PhaseRotation(24, layer=4, depth=12, config=PhaseRotation.Config(learned_offsets=True))
    assert torch.allclose(offsets(x), part(x), atol=1e-6)
    assert sum(p.numel() for p in offsets.parameters()) == 4 + 3


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"width": 32}, "32 cannot be split into 3 equal phases"),
        ({"width": 27}, "27 channels in 3 phases are 9 each, an odd number"),
        ({"width": 48, "heads": 4}, "3 phases do not divide 4 query heads"),
        ({"width": 48, "heads": 6, "kv_heads": 2}, "3 phases do not divide 2 key heads"),
    ],
)
def test_misfits_are_named(sizes, message):
    with pytest.raises(ConfigError, match=message) as found:
        PhaseRotation.Config().build(**sizes)
    assert "\n" not in str(found.value)


def test_alignment_can_be_waived():
    PhaseRotation(48, heads=4, config=PhaseRotation.Config(aligned=False))
