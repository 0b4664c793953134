import pytest
import torch

from formarium.errors import DataError
from formarium.parts import BatchNorm, ReversibleInstanceNorm


@pytest.mark.parametrize("centre", ["mean", "last"])
@pytest.mark.parametrize("scale", [True, False])
def test_restores_what_it_normalised(centre: str, scale: bool) -> None:
    norm = ReversibleInstanceNorm(ReversibleInstanceNorm.Config().replace(centre=centre, scale=scale))
    x = 3 + 5 * torch.randn(2, 20, 3, dtype=torch.float64)
    z, statistics = norm(x)
    torch.testing.assert_close(norm.restore(z, statistics), x)
    quantiles = torch.stack((z, z + 1), dim=-1)
    torch.testing.assert_close(norm.restore(quantiles, statistics)[..., 0], x)


def test_mean_0_and_variance_1_of_each_series() -> None:
    z, _ = ReversibleInstanceNorm()(100 + 7 * torch.randn(4, 50, 2, dtype=torch.float64))
    torch.testing.assert_close(z.mean(1), torch.zeros(4, 2, dtype=torch.float64), atol=1e-9, rtol=0)
    torch.testing.assert_close(z.var(1, correction=0), torch.ones(4, 2, dtype=torch.float64), atol=1e-5, rtol=0)


def test_a_flat_series_stays_finite() -> None:
    x = torch.full((1, 10, 1), 4.0, requires_grad=True)
    z, (_, scale) = ReversibleInstanceNorm()(x)
    assert torch.equal(z, torch.zeros(1, 10, 1))
    torch.testing.assert_close(scale, torch.full((1, 1, 1), 1e-5**0.5))
    z.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_batch_norm_takes_all_tokens_of_the_batch_together() -> None:
    norm = BatchNorm(6)
    x = 2 + 3 * torch.randn(8, 5, 6)
    y = norm(x)
    torch.testing.assert_close(y.flatten(0, 1).mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.flatten(0, 1).std(0, correction=0), torch.ones(6), atol=1e-4, rtol=0)
    norm.eval()
    torch.testing.assert_close(norm(x[:1])[0], norm(x)[0])


@pytest.mark.parametrize("shape", [(6,), (1, 6), (1, 1, 6)])
def test_batch_norm_learns_of_several_tokens_only(shape: tuple[int, ...]) -> None:
    norm, x = BatchNorm(6), torch.randn(shape)
    with pytest.raises(DataError, match="several tokens, and this batch has one"):
        norm(x)
    assert norm(torch.randn(1, 2, 6)).isfinite().all()
    assert norm.eval()(x).shape == x.shape
