import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formarium.config import ConfigError
from formarium.context import Context
from formarium.parts.positions.horn import Horn
from formarium.parts.positions.sinusoidal import Sinusoidal


def at(*places: int) -> Context:
    return Context(positions=torch.tensor([places]))


@settings(deadline=None, max_examples=25)
@given(width=st.integers(2, 30), first=st.integers(0, 10_000), seed=st.integers(0, 100))
def test_the_mean_is_the_profile_and_nothing_else_moves(width, first, seed):
    torch.manual_seed(seed)
    x = 5 * torch.randn(2, 3, width, dtype=torch.float64)
    y = Horn().add(x, at(first, first + 1, first + 7))
    profile = torch.tensor([1 / (first + 1), 1 / (first + 2), 1 / (first + 8)], dtype=torch.float64)
    assert torch.allclose(y.mean(-1), profile.expand(2, 3), atol=1e-13)
    assert torch.allclose(y - y.mean(-1, keepdim=True), x - x.mean(-1, keepdim=True), atol=1e-12)


def test_zero_profile_takes_the_mean_away():
    x = torch.randn(2, 4, 12) + 3
    y = Horn(config=Horn.Config(profile="zero")).add(x, at(0, 1, 2, 3))
    assert y.mean(-1).abs().max() < 1e-6


def test_learned_profile_starts_at_the_horn_and_learns():
    x = torch.randn(1, 4, 12)
    learned = Horn(max_length=6, config=Horn.Config(learned=True))
    assert torch.allclose(learned.add(x, at(0, 2, 5, 6)), Horn().add(x, at(0, 2, 5, 6)))
    learned.add(x, at(0, 2, 5, 6)).sum().backward()
    assert learned.weight is not None
    assert learned.weight.grad is not None
    assert learned.weight.grad.nonzero().flatten().tolist() == [0, 2, 5, 6]
    with pytest.raises(ConfigError, match="learned Horn reach to 6"):
        learned.add(x, at(0, 1, 2, 7))
    with pytest.raises(ConfigError, match="max_length"):
        Horn(config=Horn.Config(learned=True))


def test_half_precision_has_its_profile():
    y = Horn().add(torch.randn(1, 2, 64).bfloat16(), at(0, 999))
    assert y.dtype == torch.bfloat16
    assert torch.allclose(y.float().mean(-1), torch.tensor([[1.0, 0.001]]), atol=0.01)


def test_sinusoidal_stripes_are_one_scheme_turned():
    x = torch.zeros(1, 3, 12, dtype=torch.float64)
    context = at(0, 4, 9)
    striped = Sinusoidal(12, Sinusoidal.Config(stripes=3)).add(x, context).unflatten(-1, (3, 4))
    plain = Sinusoidal(4).add(x[..., :4], context)
    assert torch.allclose(striped[:, :, 0], plain)
    assert striped.sum(-2).abs().max() < 1e-12  # three phases cancel
    with pytest.raises(ConfigError, match="5 equal stripes"):
        Sinusoidal(12, Sinusoidal.Config(stripes=5))
