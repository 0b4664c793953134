"""PolyReLU and PolyNorm: what must hold of them whatever their numbers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formarium.config import ConfigError
from formarium.models import Decoder
from formarium.parts import FeedForward, PolyNorm, PolyReLU, SwiGLU


def polynomial(
    kind: type[PolyReLU] | type[PolyNorm], coefficients: list[float], **config: float
) -> PolyReLU | PolyNorm:
    """coefficients: a_0 .. a_r."""
    part = kind(kind.Config(order=len(coefficients) - 1, **config))  # type: ignore[arg-type]
    with torch.no_grad():
        part.bias.fill_(coefficients[0])
        part.weight.copy_(torch.tensor(coefficients[1:]))
    return part


def test_polyrelu_is_relu_and_its_square_bit_for_bit() -> None:
    x = 5 * torch.randn(1000)
    assert torch.equal(polynomial(PolyReLU, [0, 1, 0, 0])(x), torch.relu(x))
    assert torch.equal(polynomial(PolyReLU, [0, 0, 1, 0])(x), torch.relu(x).square())


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=6))
def test_polyrelu_is_its_constant_where_nothing_is_positive(coefficients: list[float]) -> None:
    x = -torch.rand(50)
    got = polynomial(PolyReLU, coefficients)(x)
    assert torch.equal(got, torch.full_like(x, coefficients[0]))


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=6), st.integers(0, 1000))
def test_polyrelu_is_the_written_polynomial(coefficients: list[float], seed: int) -> None:
    x = 2 * torch.randn(64, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    u = x.clamp(min=0)
    want = sum(a * u**p for p, a in enumerate(coefficients))
    part = polynomial(PolyReLU, coefficients).double()
    torch.testing.assert_close(part(x).detach(), torch.as_tensor(want), atol=1e-5, rtol=1e-5)


@given(st.floats(0.01, 100), st.integers(0, 1000))
def test_polynorm_without_eps_ignores_a_positive_scale(scale: float, seed: int) -> None:
    x = torch.randn(4, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    part = polynomial(PolyNorm, [0.1, 0.5, -0.3, 0.7], eps=0.0).double()
    torch.testing.assert_close(part(scale * x), part(x), atol=1e-9, rtol=1e-9)


def test_polynorm_of_the_negative_flips_the_odd_terms_only() -> None:
    x = torch.randn(3, 16, dtype=torch.float64)
    odd = polynomial(PolyNorm, [0, 1, 0, 1]).double()
    even = polynomial(PolyNorm, [0, 0, 1, 0]).double()
    torch.testing.assert_close(odd(-x), -odd(x))
    torch.testing.assert_close(even(-x), even(x))


def test_polynorm_mixes_the_channels_of_a_token_and_only_those() -> None:
    part = PolyNorm()
    x = torch.randn(2, 5, 8)
    changed = x.clone()
    changed[1, 3, 0] += 1
    difference = (part(x) - part(changed)).abs()
    assert (difference[1, 3] > 0).all(), "every channel of the token feels it"
    difference[1, 3] = 0
    assert torch.equal(difference, torch.zeros_like(difference)), "no other token does"
    order = torch.randperm(8)
    torch.testing.assert_close(part(x[..., order]), part(x)[..., order])


def test_at_the_start_means_are_those_of_the_gaussian_integrals() -> None:
    x = torch.randn(200, 4096, dtype=torch.float64)
    assert PolyNorm().double()(x).mean().item() == pytest.approx(1 / (3 * math.sqrt(3)), abs=2e-3)
    moments = 1 / math.sqrt(2 * math.pi) + 0.5 + math.sqrt(2 / math.pi)
    assert PolyReLU().double()(x).mean().item() == pytest.approx(moments / 3, abs=2e-3)


def test_each_normed_power_has_unit_root_mean_square() -> None:
    x = torch.randn(6, 64, dtype=torch.float64)
    for power in range(1, 4):
        coefficients = [0.0, *(float(p == power) for p in range(1, 4))]
        y = polynomial(PolyNorm, coefficients, eps=0.0).double()(x)
        torch.testing.assert_close(y.square().mean(-1), torch.ones(6, dtype=torch.float64))
        assert y.abs().max() <= math.sqrt(64)


def test_polynorm_of_zero_is_its_constant_with_a_finite_gradient() -> None:
    x = torch.zeros(1, 8, requires_grad=True)
    part = polynomial(PolyNorm, [0.25, 1, 1, 1])
    y = part(x)
    assert torch.equal(y, torch.full_like(y, 0.25))
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("kind", [PolyReLU, PolyNorm])
def test_gradients_against_finite_differences(kind: type[PolyReLU] | type[PolyNorm]) -> None:
    part = kind(kind.Config(order=4)).double()
    x = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)

    def of(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.func.functional_call(part, {"weight": weight, "bias": bias}, (x,))  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(of, (x, part.weight, part.bias))


@pytest.mark.parametrize("kind", [PolyReLU, PolyNorm])
def test_half_precision_neither_overflows_nor_changes_type(kind: type[PolyReLU] | type[PolyNorm]) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        x = (8 * torch.randn(4, 64)).to(dtype)  # x^6 would overflow float16 beyond 6.3
        y = kind()(x)
        assert y.dtype == dtype
        assert y.isfinite().all()


def test_a_layer_costs_four_numbers_more() -> None:
    base = Decoder.Config(width=64, channel_mixer=FeedForward.Config(hidden=96)).build().num_parameters()
    poly = FeedForward.Config(hidden=96, activation=PolyNorm.Config())
    assert Decoder.Config(width=64, channel_mixer=poly).build().num_parameters() == base + 4 * 4


def test_the_three_halves_rule_matches_a_gated_layer() -> None:
    gated = SwiGLU(64, SwiGLU.Config(hidden=128))
    plain = FeedForward(64, FeedForward.Config(hidden=192))
    assert sum(p.numel() for p in gated.parameters()) == sum(p.numel() for p in plain.parameters())


def test_order_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="order of PolyNorm is at least 1"):
        PolyNorm.Config(order=0).build()
