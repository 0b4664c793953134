"""AdaRMSNorm: between leaving tokens as they are and making their lengths alike."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from formarium.parts import AdaRMSNorm, RMSNorm


def norm(alpha: float, beta: float, width: int = 12) -> AdaRMSNorm:
    made = AdaRMSNorm(width).double()
    made.alpha.data.fill_(alpha)
    made.beta.data.fill_(beta)
    return made


def test_alpha_one_and_beta_zero_leave_tokens_as_they_are() -> None:
    x = torch.randn(3, 5, 12, dtype=torch.double) * 100
    torch.testing.assert_close(norm(1, 0)(x), x, atol=1e-12, rtol=1e-14)
    assert torch.equal(norm(1, 0)(torch.zeros(2, 12, dtype=torch.double)), torch.zeros(2, 12, dtype=torch.double))


def test_starts_as_rms_norm_without_a_gain() -> None:
    x = torch.randn(4, 12, dtype=torch.double)
    plain = RMSNorm(12, RMSNorm.Config(gain=False)).double()(x)
    torch.testing.assert_close(AdaRMSNorm(12).double()(x), plain * (1 + 1e-6) ** 0.5, atol=1e-12, rtol=1e-12)


@given(st.floats(0.5, 50.0), st.floats(-2.0, 2.0).filter(lambda a: abs(a) > 0.05))
def test_lengths_are_seen_only_where_alpha_is_not_zero(length: float, alpha: float) -> None:
    x = torch.randn(6, 12, dtype=torch.double)
    blind, seeing = norm(0, 1), norm(alpha, 1)
    torch.testing.assert_close(blind(length * x), blind(x), atol=1e-4, rtol=1e-4)
    if abs(length - 1) > 0.2:
        assert (seeing(length * x) - seeing(x)).abs().max() > 1e-3


def test_odd_where_beta_is_zero_and_not_otherwise() -> None:
    x = torch.randn(6, 12, dtype=torch.double)
    assert torch.equal(norm(0.7, 0)(-x), -norm(0.7, 0)(x))
    assert not torch.allclose(norm(0.7, 0.5)(-x), -norm(0.7, 0.5)(x))


def test_half_precision_is_taken_in_single() -> None:
    x = torch.full((2, 12), 300.0, dtype=torch.float16)  # the squares are beyond half precision
    made = AdaRMSNorm(12).half()
    assert made(x).dtype == torch.float16
    torch.testing.assert_close(made(x), torch.ones_like(x), atol=1e-2, rtol=1e-2)


def test_one_vector_alone_has_the_gradients_of_a_row() -> None:
    made = AdaRMSNorm(12)
    alone = torch.randn(12).requires_grad_()
    row = alone.detach()[None].clone().requires_grad_()
    weights = torch.randn(12)
    (made(alone) * weights).sum().backward()
    first = [p.grad.clone() for p in made.parameters() if p.grad is not None]
    made.zero_grad()
    (made(row) * weights).sum().backward()
    assert torch.equal(alone.grad, row.grad[0])  # type: ignore[arg-type, index]
    assert all(torch.equal(a, p.grad) for a, p in zip(first, made.parameters(), strict=True))  # type: ignore[arg-type]
