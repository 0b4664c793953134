"""Reliable paired comparisons: the statistic, and a verdict that can go either way."""

from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from formarium.errors import DataError
from formarium.models import GraphTransformer
from formarium.parts import NoPE, RandomWalkStem
from formarium.tasks.graphs.brec import Pair
from formarium.tasks.graphs.graph import Graph, make_graph
from formarium.tasks.graphs.paired_comparison import Protocol, compare, compare_all, paired_statistic

QUICK = Protocol(epochs=3, warmup=1)


def graph(made: "nx.Graph[int]") -> Graph:
    return make_graph(len(made), np.array(made.edges()))


def pair(number: int = 0) -> Pair:
    triangles = nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3))
    return Pair(number, "Basic", "basic", graph(nx.cycle_graph(6)), graph(triangles))


def small(**changes: object) -> GraphTransformer:
    stem = RandomWalkStem.Config(steps=6, hidden=16, blocks=1)
    base = GraphTransformer.Config(width=16, depth=1, heads=2, stem=stem, outputs=16, output_norm=True)
    built: GraphTransformer = base.override(changes).build()
    return built


def test_statistic_is_that_of_its_equation_and_blind_to_linear_maps() -> None:
    first, second = torch.randn(32, 5, dtype=torch.double), torch.randn(32, 5, dtype=torch.double) + 0.5
    difference = (first - second).numpy()
    mean, spread = difference.mean(0), np.cov(difference.T)
    assert paired_statistic(first, second) == pytest.approx(mean @ np.linalg.inv(spread) @ mean)
    turn = torch.randn(5, 5, dtype=torch.double)
    plain = paired_statistic(first, second, ridge=0.0)
    assert paired_statistic(first @ turn, second @ turn, ridge=0.0) == pytest.approx(plain, rel=1e-8)
    ridged = mean @ np.linalg.inv(spread + 0.1 * np.eye(5)) @ mean
    assert paired_statistic(first, second, ridge=0.1) == pytest.approx(ridged)


def test_copies_that_are_all_the_same_are_held_against_rounding() -> None:
    same, other = torch.ones(32, 16), torch.ones(32, 16) * 1.001
    assert paired_statistic(same, same) == 0
    assert paired_statistic(same, other) > 1e6
    assert paired_statistic(same, other, ridge=0.0) == 0  # the pseudo-inverse of nothing


def test_a_training_that_diverged_tells_nothing_apart() -> None:
    assert np.isnan(paired_statistic(torch.full((32, 16), float("nan")), torch.zeros(32, 16)))

    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(torch.inf))

        def forward(self, adjacency: Tensor, **rest: Tensor | None) -> Tensor:
            return self.weight * torch.randn(len(adjacency), 16)

    found = compare(Broken, pair(), QUICK)
    assert (found.told, found.reliable, found.epochs) == (False, False, 1)


def test_statistic_of_chance_stays_below_the_threshold() -> None:
    values = [paired_statistic(torch.randn(32, 16), torch.randn(32, 16)) for _ in range(50)]
    assert max(values) < Protocol().threshold


def test_a_model_that_sees_walks_tells_the_pair_apart_and_again() -> None:
    first = compare(small, pair(), QUICK, seed=3)
    assert first.told
    assert first.reliable
    assert first == compare(small, pair(), QUICK, seed=3)


def test_a_model_that_cannot_tell_does_not() -> None:
    stem = RandomWalkStem.Config(steps=1, hidden=16, blocks=1)

    def blind() -> nn.Module:
        return small(stem=stem, position=NoPE.Config())

    found = compare(blind, pair(), QUICK, seed=3)
    assert not found.told
    assert found.epochs == 3


def test_a_model_that_sees_numbers_of_nodes_is_not_reliable() -> None:
    class Numbered(nn.Module):
        """Takes the order of nodes for something: it tells a graph from its own copies."""

        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(1, 16)
            self.seen = 0

        def forward(self, adjacency: Tensor, **rest: Tensor | None) -> Tensor:
            self.seen += 1
            first = torch.arange(len(adjacency)).remainder(2).float()[:, None]
            return self.out(first + 0.01 * torch.randn(len(adjacency), 1))

    found = compare(Numbered, pair(), QUICK)
    assert found.reliability > QUICK.threshold or not found.told
    assert not found.reliable


def test_goes_on_from_what_is_kept(tmp_path: Path) -> None:
    kept = tmp_path / "done.jsonl"
    pairs = [pair(0), pair(1), pair(2)]
    whole = compare_all(small, pairs, QUICK, seed=5)
    compare_all(small, pairs[:2], QUICK, seed=5, kept=kept)
    made: list[int] = []

    def counted() -> nn.Module:
        made.append(1)
        return small()

    assert compare_all(counted, pairs, QUICK, seed=5, kept=kept) == whole
    assert len(made) == 2  # one to know which it is, one to train
    with pytest.raises(DataError, match="another model, protocol or seed"):
        compare_all(small, pairs, QUICK, seed=6, kept=kept)

    def wider() -> nn.Module:
        return small().config.replace(width=24).build()

    with pytest.raises(DataError, match="another model, protocol or seed"):
        compare_all(wider, pairs, QUICK, seed=5, kept=kept)
    # Other graphs under the same number are another comparison.
    turned = replace(pairs[0], first=pairs[0].second, second=pairs[0].first)
    assert compare_all(small, [turned], QUICK, seed=5, kept=kept) == compare_all(small, [turned], QUICK, seed=5)
    assert compare_all(small, pairs, QUICK, seed=5, kept=kept) == whole
    kept.write_text("nothing\n")
    with pytest.raises(DataError, match="not a file of paired comparisons"):
        compare_all(small, pairs, QUICK, seed=5, kept=kept)


def test_rate_rises_and_falls_as_configured() -> None:
    protocol = Protocol(epochs=100, warmup=10)
    rates = [protocol.rate(epoch) for epoch in range(100)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(1e-3)
    assert rates[-1] == pytest.approx(7e-5, rel=0.02)


def test_refuses_batches_that_split_pairs() -> None:
    with pytest.raises(DataError, match="even number of graphs"):
        compare(small, pair(), Protocol(batch=5))
