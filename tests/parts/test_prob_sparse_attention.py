import math

import pytest
import torch

from formarium.config import ConfigError
from formarium.context import Context
from formarium.parts import Attention, ProbSparseAttention


def places(length: int) -> torch.Tensor:
    return torch.arange(length)[None]


def pair(factor: int = 5) -> tuple[ProbSparseAttention, Attention]:
    sparse = ProbSparseAttention(32, 4, config=ProbSparseAttention.Config(factor=factor, bias=True)).double().eval()
    full = Attention(32, 4, config=Attention.Config(bias=True)).double().eval()
    full.load_state_dict(sparse.state_dict())
    return sparse, full


@pytest.mark.parametrize("length", [1, 2, 11, 15])
def test_with_every_query_chosen_it_is_full_attention(length: int) -> None:
    sparse, full = pair()
    assert sparse.chosen(length) == length
    x = torch.randn(2, length, 32, dtype=torch.float64)
    context = Context(positions=places(length))
    torch.testing.assert_close(sparse(x, context), full(x, context))


def test_the_chosen_attend_and_the_rest_read_the_mean() -> None:
    sparse, full = pair(factor=1)
    sparse.out = full.out = torch.nn.Identity()  # heads side by side
    length = 200
    x, context = torch.randn(2, length, 32, dtype=torch.float64), Context(positions=places(length))
    u = sparse.chosen(length)
    assert u == math.ceil(math.log(length))
    got, attended = (m(x, context).view(2, length, 4, 8) for m in (sparse, full))
    _, _, values, _ = sparse._project(x, context, None)
    mean = values.mean(dim=2)[:, None].expand_as(got)
    chosen = torch.isclose(got, attended).all(-1)
    rest = torch.isclose(got, mean).all(-1)
    assert (chosen.sum(1) == u).all()
    assert (rest.sum(1) == length - u).all()


def test_an_uneven_query_is_chosen() -> None:
    sparse, _ = pair(factor=1)
    q, k = torch.zeros(1, 1, 100, 8), torch.randn(1, 1, 100, 8)
    q[0, 0, 42] = 5.0
    assert sparse._unevenness(q, k, 30, None).argmax() == 42


@pytest.mark.parametrize(("samples", "width"), [(2, 4), (50, 4)])
def test_both_ways_to_measure_agree(samples: int, width: int) -> None:
    """Few sampled keys are gathered; where they would outnumber the scores, the scores are."""
    sparse, _ = pair()
    q, k = torch.randn(2, 1, 2, 60, width, dtype=torch.float64)
    index = sparse._sampled(60, samples, q.device)
    scores = torch.stack([q[0, 0, i] @ k[0, 0, index[i]].T for i in range(60)])
    expected = scores.amax(-1) - scores.sum(-1) / 60
    torch.testing.assert_close(sparse._unevenness(q, k, samples, None)[0, 0], expected)


def test_evaluation_is_repeatable_and_training_samples_anew() -> None:
    sparse, _ = pair(factor=1)
    x, context = torch.randn(1, 300, 32, dtype=torch.float64), Context(positions=places(300))
    assert torch.equal(sparse(x, context), sparse(x, context))
    sparse.train()
    assert not torch.equal(sparse(x, context), sparse(x, context))


def test_what_padding_holds_changes_nothing() -> None:
    sparse, _ = pair(factor=1)
    x = torch.randn(2, 80, 32, dtype=torch.float64)
    mask = torch.ones(2, 80, dtype=torch.bool)
    mask[:, 70:] = False
    other = torch.where(mask[..., None], x, torch.randn_like(x) * 10)
    context = Context(positions=places(80), mask=mask)
    torch.testing.assert_close(sparse(x, context)[:, :70], sparse(other, context)[:, :70])


def test_has_no_causal_form() -> None:
    with pytest.raises(ConfigError, match="no causal form"):
        ProbSparseAttention(32, 4, causal=True)
    with pytest.raises(ConfigError, match="at least 1"):
        ProbSparseAttention(32, 4, config=ProbSparseAttention.Config(factor=0))
