"""Batches of graphs: dense arrays, and kinds of pairs that change no answer."""

import networkx as nx
import numpy as np
import pytest
import torch

from formarium.errors import DataError
from formarium.models import GraphTransformer
from formarium.parts import RandomWalkStem
from formarium.tasks.graphs.batch import Walks, collate
from formarium.tasks.graphs.graph import Graph, make_graph


def graphs(sizes: tuple[int, ...] = (5, 9, 5)) -> list[Graph]:
    made = []
    for seed, nodes in enumerate(sizes):
        generator = np.random.default_rng(seed)
        edges = np.array(nx.gnp_random_graph(nodes, 0.4, seed=seed).edges()).reshape(-1, 2)
        made.append(
            make_graph(
                nodes,
                edges,
                node_types=generator.integers(0, 3, nodes),
                edge_types=generator.integers(0, 4, len(edges)),
                edge_features=generator.random((len(edges), 2)),
                node_features=generator.random((nodes, 1)),
                target=float(nodes),
                node_targets=generator.integers(0, 2, nodes),
                links=generator.integers(0, nodes, (seed + 1, 2)),
                link_targets=generator.random(seed + 1),
            )
        )
    return made


def test_each_graph_lies_in_its_corner() -> None:
    made = graphs()
    batch = collate(made)
    assert len(batch) == 3
    assert batch.mask is not None
    assert batch.mask.sum(1).tolist() == [5, 9, 5]
    for i, graph in enumerate(made):
        n = graph.nodes
        assert np.array_equal(batch.adjacency[i, :n, :n].numpy(), graph.adjacency())
        assert not batch.adjacency[i, n:].any()
        assert not batch.adjacency[i, :, n:].any()
        a, b = graph.edges.T
        for grid, rows in ((batch.edges, graph.edge_types), (batch.edge_features, graph.edge_features)):
            assert grid is not None
            assert np.array_equal(grid[i].numpy()[a, b], rows)
        for grid, rows in ((batch.nodes, graph.node_types), (batch.node_targets, graph.node_targets)):
            assert grid is not None
            assert np.array_equal(grid[i, :n].numpy(), rows)
    assert batch.targets is not None
    assert batch.targets.tolist() == [5.0, 9.0, 5.0]
    assert batch.links is not None
    assert batch.link_targets is not None
    assert batch.links[:, 0].tolist() == [0, 1, 1, 2, 2, 2]
    for i, graph in enumerate(made):
        assert np.array_equal(batch.links[batch.links[:, 0] == i, 1:].numpy(), graph.links)
        assert np.array_equal(batch.link_targets[batch.links[:, 0] == i].numpy(), graph.link_targets)
    assert collate(made[::2]).mask is None  # graphs of one size fill nothing up


@pytest.mark.parametrize("token", [None, "cls", "virtual"])
def test_kinds_of_pairs_change_no_answer_and_are_few(token: str | None) -> None:
    stem = RandomWalkStem.Config(steps=6, hidden=16, blocks=1)
    config = GraphTransformer.Config(
        node_types=(3,), node_features=1, edge_types=(4,), edge_features=2, width=16, depth=2, heads=2, stem=stem
    )
    net = config.replace(token=token).build().eval()
    made = graphs()
    plain, sorted_ = collate(made), collate(made, Walks(6))
    assert sorted_.samples is not None
    assert len(sorted_.samples) <= sum(graph.nodes**2 for graph in made)
    out = net(**sorted_.inputs())
    torch.testing.assert_close(out, net(**plain.inputs()), atol=2e-5, rtol=1e-4)
    (gradient,) = torch.autograd.grad(out.sum(), net.stem.pair_up.weight)
    (want,) = torch.autograd.grad(net(**plain.inputs()).sum(), net.stem.pair_up.weight)
    torch.testing.assert_close(gradient, want, atol=2e-4, rtol=1e-3)


def test_a_cycle_has_as_many_kinds_as_distances() -> None:
    cycle = make_graph(12, np.array(nx.cycle_graph(12).edges()))
    (kinds,) = Walks(12).of([cycle]) or []
    assert len(kinds.place) == 7
    assert np.array_equal(kinds.number[0], np.roll(kinds.number[3], -3))


def test_walks_are_made_once_and_only_as_many_are_kept_as_fit() -> None:
    made = graphs()
    walks = Walks(6)
    first = walks.of(made)
    assert first is not None
    assert all(a is b for a, b in zip(first, walks.of(made) or [], strict=True))
    none = Walks(6, limit=0)
    again = none.of(made)
    assert again is not None
    assert not none._kept
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.number, b.number)


def test_large_graphs_are_left_to_the_model() -> None:
    path = make_graph(300, np.array(nx.path_graph(300).edges()))
    assert Walks(4).of([path]) is None
    assert collate([path], Walks(4)).kinds is None


def test_refuses_graphs_that_do_not_belong_together() -> None:
    one, other = make_graph(2, [(0, 1)], node_types=[0, 1], target=1.0), make_graph(2, [(0, 1)])
    with pytest.raises(DataError, match="features of nodes"):
        collate([one, other])
    with pytest.raises(DataError, match="targets of one shape"):
        collate([make_graph(2, [], target=1.0), other])
    with pytest.raises(DataError, match="features of edges"):
        collate([make_graph(2, [(0, 1)], edge_types=[1]), other])
    with pytest.raises(DataError, match="at least one graph"):
        collate([])


def test_moves_whole() -> None:
    moved = collate(graphs(), Walks(3)).to("meta")
    assert all(t is None or t.is_meta for t in moved.inputs().values())
