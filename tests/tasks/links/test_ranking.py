import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formarium.tasks.links.ranking import KnownTails, Ranks, batch_of_queries, filtered_ranks, rank_queries


def ranks_one_by_one(scores: Tensor, targets: Tensor, known: Tensor) -> tuple[list[int], list[int]]:
    best, worst = [], []
    for row, target, true in zip(scores.tolist(), targets.tolist(), known.tolist(), strict=True):
        others = [s for i, s in enumerate(row) if i != target and not true[i]]
        best.append(1 + sum(s > row[target] for s in others))
        worst.append(1 + sum(s >= row[target] for s in others))
    return best, worst


def from_mask(scores: Tensor, targets: Tensor, known: Tensor) -> Ranks:
    return filtered_ranks(scores, targets, *known.nonzero(as_tuple=True))


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 10_000), st.integers(1, 4))
def test_ranks_are_those_counted_one_by_one(n: int, entities: int, seed: int, values: int) -> None:
    torch.manual_seed(seed)
    scores = torch.randint(values, (n, entities)).float()
    targets, known = torch.randint(entities, (n,)), torch.rand(n, entities) < 0.4
    found = from_mask(scores, targets, known)
    best, worst = ranks_one_by_one(scores, targets, known)
    assert found.optimistic.tolist() == best
    assert found.pessimistic.tolist() == worst
    torch.testing.assert_close(found.realistic, (found.optimistic + found.pessimistic).double() / 2)
    # Any rising map of the scores leaves ranks alone, and whether the target counts as known does not matter.
    again = from_mask(scores.exp() * 3 - 1, targets, known.scatter(1, targets[:, None], True))
    assert torch.equal(again.optimistic, found.optimistic)
    assert torch.equal(again.pessimistic, found.pessimistic)


@pytest.mark.parametrize("entities", [10, 1000])
def test_a_constant_scorer_earns_next_to_nothing(entities: int) -> None:
    """The classic mistake ranks ties for the target, and gives a model that says nothing a perfect score."""
    targets, known = torch.arange(10), torch.zeros(10, entities, dtype=torch.bool)
    for scores in (torch.zeros(10, entities), torch.full((10, entities), float("nan"))):
        ranks = from_mask(scores, targets, known)
        assert ranks.mean_reciprocal() == pytest.approx(2 / (entities + 1))
        assert ranks.mean() == (entities + 1) / 2
        assert ranks.mean_reciprocal("pessimistic") == pytest.approx(1 / entities)
        assert ranks.mean_reciprocal("optimistic") == 1
    assert from_mask(torch.zeros(10, 1000), targets, torch.zeros(10, 1000, dtype=torch.bool)).hits(10) == 0


def test_a_perfect_scorer_earns_one() -> None:
    targets = torch.tensor([3, 0, 7])
    scores = torch.eye(8)[targets]
    ranks = from_mask(scores, targets, torch.zeros(3, 8, dtype=torch.bool))
    assert ranks.mean_reciprocal() == ranks.hits(1) == ranks.mean() == 1


def test_a_score_that_is_no_number_is_the_lowest() -> None:
    nan, low = float("nan"), -float("inf")
    scores = torch.tensor([[1.0, nan, 2.0, low], [nan, 1.0, 2.0, nan], [low, nan, 0.0, 1.0]])
    ranks = from_mask(
        scores, torch.tensor([0, 0, 0]), torch.tensor([[False] * 4, [False] * 4, [False, True, False, False]])
    )
    assert ranks.optimistic.tolist() == [2, 3, 3]
    assert ranks.pessimistic.tolist() == [2, 4, 3]


def test_agrees_with_pykeen() -> None:
    pykeen = pytest.importorskip("pykeen.evaluation.ranks")
    evaluator_module = pytest.importorskip("pykeen.evaluation")
    torch.manual_seed(0)
    scores, targets = torch.randint(20, (200, 50)).float(), torch.randint(50, (200,))
    known = torch.rand(200, 50) < 0.2
    ours = from_mask(scores, targets, known)
    masked = scores.masked_fill(known.scatter(1, targets[:, None], False), float("nan"))
    theirs = pykeen.Ranks.from_scores(scores.gather(1, targets[:, None]), masked)
    torch.testing.assert_close(ours.optimistic.double(), theirs.optimistic.flatten().double())
    torch.testing.assert_close(ours.pessimistic.double(), theirs.pessimistic.flatten().double())
    torch.testing.assert_close(ours.realistic.float(), theirs.realistic.flatten().float())
    evaluator = evaluator_module.RankBasedEvaluator()
    batch = torch.stack((torch.zeros_like(targets), torch.zeros_like(targets), targets), dim=1)
    evaluator.process_scores_(batch, target="tail", scores=masked, true_scores=scores.gather(1, targets[:, None]))
    found = evaluator.finalize()
    for kind in ("optimistic", "realistic", "pessimistic"):
        assert ours.mean_reciprocal(kind) == pytest.approx(found.get_metric(f"tail.{kind}.mrr"), abs=1e-6)
        assert ours.mean(kind) == pytest.approx(found.get_metric(f"tail.{kind}.arithmetic_mean_rank"), rel=1e-6)
        for k in (1, 3, 5, 10):
            assert ours.hits(k, kind) == pytest.approx(found.get_metric(f"tail.{kind}.hits_at_{k}"), abs=1e-6)


def test_the_index_finds_exactly_the_known_tails() -> None:
    torch.manual_seed(0)
    triples = torch.stack((torch.randint(9, (60,)), torch.randint(4, (60,)), torch.randint(9, (60,))), dim=1)
    known = KnownTails(torch.cat((triples, triples[:20])), 9, 4)
    heads, relations = (x.flatten() for x in torch.meshgrid(torch.arange(9), torch.arange(4), indexing="ij"))
    rows, tails = known.of(heads, relations)
    found = sorted(zip(heads[rows].tolist(), relations[rows].tolist(), tails.tolist(), strict=True))
    assert found == sorted({tuple(t) for t in triples.tolist()})
    contained = known.contain(heads[:, None], relations[:, None], torch.arange(9))
    assert torch.equal(contained, torch.zeros(36, 9, dtype=torch.bool).index_put((rows, tails), torch.tensor(True)))


def test_an_empty_index_knows_nothing() -> None:
    known = KnownTails(torch.zeros(0, 3, dtype=torch.long), 5, 2)
    rows, tails = known.of(torch.tensor([0, 1]), torch.tensor([0, 1]))
    assert rows.numel() == tails.numel() == 0
    assert not known.contain(torch.tensor(0), torch.tensor(1), torch.arange(5)).any()


def test_batches_give_the_ranks_of_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    table = torch.randn(9, 9, 4).round(decimals=1)
    queries = torch.stack((torch.randint(9, (31,)), torch.randint(4, (31,)), torch.randint(9, (31,))), dim=1)
    known = KnownTails(queries, 9, 4)

    def score(heads: Tensor, relations: Tensor) -> Tensor:
        return table[heads, :, relations]

    whole = rank_queries(score, queries, known)
    monkeypatch.setattr("formarium.tasks.links.ranking._SCORES", 40)
    pieces = rank_queries(score, queries, known)
    assert torch.equal(pieces.optimistic, whole.optimistic)
    assert torch.equal(pieces.pessimistic, whole.pessimistic)


def test_batches_of_queries_are_bounded_by_scores_and_by_what_a_model_needs_for_each() -> None:
    assert batch_of_queries(200) == 4096
    assert batch_of_queries(40_943) * 40_943 <= 1 << 24
    assert batch_of_queries(1 << 30) == 1
