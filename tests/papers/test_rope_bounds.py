"""The functions that the claims about RoPE's base measure with, and what their tasks promise."""

import math

import pytest
import torch

from formarium.config import parse
from formarium.papers import rope_bounds
from formarium.papers.rope_bounds import by_distance, crossing, rank_correlation, reach, retrieval
from formarium.tasks import NearerToken, Retrieval


@pytest.mark.parametrize("variant", rope_bounds._ALIASING.variants, ids=lambda variant: variant.name)
def test_two_tokens_a_full_turn_apart_can_be_exchanged(variant) -> None:
    """Whole turns at one rate and no mask: the answer cannot know. Anything else can."""
    torch.manual_seed(0)
    task = parse(rope_bounds._ALIASING.task).build()
    model = parse(variant.model or rope_bounds._ALIASING.model).override({"init_std": 0.5, **variant.changes})
    model = task.adapt(model).build().double()
    tokens, targets = (part.clone() for part in next(task.batches(16, seed=0)).values())
    rows, asked = (targets >= 0).nonzero().T
    near, far = (tokens < task.config.vocabulary).nonzero()[:, 1].view(-1, 2).T.flip(0)
    assert (near - far == task.apart).all()
    exchanged = tokens.clone()
    exchanged[rows, near], exchanged[rows, far] = tokens[rows, far], tokens[rows, near]
    with torch.no_grad():
        change = float((model(tokens)[rows, asked] - model(exchanged)[rows, asked]).abs().max())
    if variant.name in ("one turn", "two turns", "no position"):
        assert change < 1e-9
    else:
        assert change > 1e-3


def test_the_bank_has_the_full_turn_in_its_slowest_channel() -> None:
    frequencies = parse(rope_bounds._BANK).build(head_width=rope_bounds._HEAD).frequencies
    assert float(frequencies.min()) == pytest.approx(2 * math.pi / rope_bounds._APART)


def test_where_shares_fall_short() -> None:
    assert reach([1.0, 0.9, 0.4, 0.1], 64, 0.5) == 32
    assert reach([0.1, 0.9, 0.6, 0.1], 64, 0.5) == 32
    assert reach([1.0] * 4, 64, 0.5) == 64
    assert reach([0.1] * 4, 64, 0.5) == 0
    bases = [10.0, 100.0, 1000.0]
    assert crossing(bases, [0.9, 0.8, 0.9], 0.5) == 10
    assert crossing(bases, [0.9, 0.8, 0.4], 0.5) == 1000
    assert crossing(bases, [0.2, 0.8, 0.9], 0.5) == pytest.approx(10**1.5)
    assert crossing(bases, [0.9, 0.4, 0.6], 0.5) == pytest.approx(10**2.5)


def test_ranks() -> None:
    assert rank_correlation([1, 2, 3], [10, 20, 90]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [9, 8, 7]) == pytest.approx(-1)
    assert rank_correlation([1, 2, 3], [5, 5, 5]) == 0


def test_shares_by_distance_are_those_of_the_answers() -> None:
    task = Retrieval(Retrieval.Config(length=16, vocabulary=3))

    class Near(torch.nn.Module):
        """Right up to a distance of 7 places, and never beyond."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, tokens):
            right = next(task.batches(256, seed=1_000_003))["targets"][:, 8:]
            answers = torch.where(task.distances(tokens) < 8, right, (right + 1) % 3)
            return torch.nn.functional.one_hot(torch.cat((answers, answers), dim=1), 30).float()

    assert by_distance(Near(), task, parts=4) == [1.0, 1.0, 0.0, 0.0]


def test_retrieval_measures_every_base_and_depth() -> None:
    found = retrieval(0, [3.0, 10000.0], [1, 2], length=16, width=16, heads=1, batch=16, steps=120)
    assert len(found) == 2 * 2 + 3
    assert set(found["depth"]["base_needed"]) == {1, 2}
    assert found["base 10000, depth 1"]["far"] > 0.5, "this is learned"
    assert all(-1 <= found[name]["rank_correlation"] <= 1 for name in ("stability bound", "cosine sum"))


def test_a_nearer_token_is_asked_for_at_every_distance() -> None:
    task = NearerToken(NearerToken.Config(vocabulary=5, length=12, apart=4))
    tokens, targets = next(task.batches(400, seed=3)).values()
    rows, asked = (targets >= 0).nonzero().T
    assert torch.equal(rows, torch.arange(400))
    assert (tokens[rows, asked] == 6).all()
    far, near = (tokens < 5).nonzero()[:, 1].view(-1, 2).T
    assert (near - far == 4).all()
    assert sorted(set((asked - near).tolist())) == [1, 2, 3]
    assert torch.equal(tokens[rows, near], targets[rows, asked])
    assert (tokens[rows, near] != tokens[rows, far]).all()
    assert int((tokens == 5).sum()) == 400 * 9
