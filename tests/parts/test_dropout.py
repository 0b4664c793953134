import pytest
import torch

from formarium.parts.dropout import Dropout, dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(1000, 301), (7,)])
def test_drops_its_share_and_keeps_the_mean(share: float, shape: tuple[int, ...]) -> None:
    x = torch.ones(shape, dtype=torch.float64)
    y = dropout(x, share)
    kept = y[y != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share)), rtol=1e-3, atol=0)
    if y.numel() > 1000:
        assert abs(float((y == 0).double().mean()) - share) < 0.005
        assert abs(float(y.mean()) - 1) < 0.02


def test_neighbours_and_rows_are_dropped_independently() -> None:
    lost = (dropout(torch.ones(2000, 64), 0.3) == 0).double()
    rates = lost.mean(0)
    assert (rates - 0.3).abs().max() < 0.06
    correlation = torch.corrcoef(lost.T) - torch.eye(64)
    assert correlation.abs().max() < 0.12


def test_gradients_pass_where_values_did() -> None:
    x = torch.randn(50, 50, requires_grad=True)
    y = dropout(x, 0.4)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, (y / x).detach())


def test_the_seed_decides_and_evaluation_does_nothing() -> None:
    layer, x = Dropout(0.5), torch.randn(100)
    draws = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        draws.append(layer(x))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert layer.eval()(x) is x
    assert torch.equal(dropout(x, 1.0), torch.zeros(100))
    assert dropout(x, 0.0) is x
    assert dropout(x.bfloat16(), 0.5).dtype == torch.bfloat16
    assert dropout(torch.empty(0, 3), 0.5).shape == (0, 3)
