"""The functions that PolyCom's claims measure with."""

import numpy as np
import pytest
import torch
from scipy.interpolate import make_lsq_spline

from formarium.lab.prove import judge
from formarium.models import Decoder
from formarium.papers import card
from formarium.papers.polycom import best_errors, exact_powers, ranks
from formarium.parts import PolyReLU
from formarium.tasks import Language


def test_a_layer_of_cubes_is_a_cubic_spline() -> None:
    """What best_errors computes is what a network with one hidden layer of PolyReLU can be."""
    knots = np.linspace(-1, 1, 7)[1:-1]
    x = np.linspace(-1, 1, 400)
    spline = make_lsq_spline(x, np.sin(3 * x), np.r_[[-1.0] * 4, knots, [1.0] * 4], k=3)
    activation = PolyReLU().double()
    with torch.no_grad():
        activation.weight.copy_(torch.tensor([0.0, 0.0, 1.0]))
    starts = torch.tensor([-4.0, -3.0, -2.0, -1.0, *knots], dtype=torch.float64)  # the first four span the cubics
    layer = activation(torch.tensor(x)[:, None] - starts).detach()
    weights = torch.linalg.lstsq(layer, torch.tensor(spline(x))[:, None]).solution
    assert (layer @ weights - torch.tensor(spline(x))[:, None]).abs().max() < 1e-8


def test_rates_are_those_of_approximation_theory() -> None:
    numbers = [best_errors(seed, [8, 16, 32, 64]) for seed in range(4)]
    claim = card("polycom").claim("optimal-rate")
    assert claim is not None
    poly, relu = judge(claim.requires, numbers)
    assert -poly.effect == pytest.approx(-4, abs=0.5)
    assert relu.effect == pytest.approx(-2, abs=0.3)


def test_powers_are_exact() -> None:
    assert all(check["holds"] for check in exact_powers(0))


def test_effective_rank_is_one_for_equal_and_small_for_one_singular_value() -> None:
    model = Decoder(Decoder.Config(width=16, depth=2, heads=2, vocabulary=257, max_length=128))
    for block in model.blocks:
        torch.nn.init.orthogonal_(block.channel_mixer.down.weight)  # type: ignore[union-attr,arg-type]
        block.channel_mixer.up.weight.data = torch.outer(  # type: ignore[union-attr]
            torch.ones(block.channel_mixer.up.weight.shape[0]),
            torch.randn(16),  # type: ignore[union-attr,index]
        )
    found = ranks(model, _Tokens())
    assert found["effective_rank_out"] == pytest.approx(1, abs=1e-6)
    assert found["effective_rank_in"] == pytest.approx(1 / 16, abs=1e-3)
    assert -1 <= found["layer_similarity"] <= 1


class _Tokens(Language):
    """A task of random tokens, for a probe that only wants a batch."""

    def batches(self, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1):  # type: ignore[no-untyped-def,override]
        yield {"tokens": torch.randint(257, (batch_size, 16))}
