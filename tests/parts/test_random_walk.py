"""Random walks and the stem over them."""

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from formarium.config import ConfigError
from formarium.parts import RandomWalkStem
from formarium.parts.stems import random_walk
from formarium.parts.stems.random_walk import random_walks
from formarium.parts.stems.sinusoids import sinusoids


def adjacency(graph: "nx.Graph[int]") -> torch.Tensor:
    return torch.from_numpy(nx.to_numpy_array(graph))


@given(st.integers(2, 12), st.floats(0.1, 0.9), st.integers(0, 99))
def test_rows_are_probabilities_and_steps_compose(nodes: int, share: float, seed: int) -> None:
    graph = adjacency(nx.gnp_random_graph(nodes, share, seed=seed))
    walks = random_walks(graph, 7)
    assert walks.shape == (nodes, nodes, 8)
    assert torch.equal(walks[..., 0], torch.eye(nodes, dtype=torch.double))
    joined = graph.sum(-1) > 0
    torch.testing.assert_close(walks[joined].sum(1), torch.ones(int(joined.sum()), 8, dtype=torch.double))
    assert walks[~joined][..., 1:].abs().sum() == 0
    for a, b in ((1, 1), (2, 3), (3, 4)):
        torch.testing.assert_close(walks[..., a] @ walks[..., b], walks[..., a + b], atol=1e-12, rtol=1e-12)


@given(st.integers(3, 10), st.integers(0, 99))
def test_never_reaches_another_component_and_always_its_own(nodes: int, seed: int) -> None:
    graph = nx.gnp_random_graph(nodes, 0.25, seed=seed)
    walks = random_walks(adjacency(graph), nodes)
    same = torch.zeros(nodes, nodes, dtype=torch.bool)
    for part in nx.connected_components(graph):
        own = list(part)
        same[torch.tensor(own)[:, None], torch.tensor(own)] = True
    assert torch.equal(walks.sum(-1) > 0, same)


def test_long_walks_forget_where_they_began() -> None:
    graph = adjacency(nx.lollipop_graph(5, 3))  # connected and not bipartite
    degree = graph.sum(-1)
    torch.testing.assert_close(
        random_walks(graph, 3000)[..., -1], (degree / degree.sum()).expand(8, 8), atol=1e-9, rtol=0
    )


def test_symmetric_walks_are_the_same_up_to_degrees() -> None:
    graph = adjacency(nx.star_graph(4))
    plain, symmetric = random_walks(graph, 5), random_walks(graph, 5, symmetric=True)
    torch.testing.assert_close(symmetric, symmetric.transpose(0, 1))
    root = graph.sum(-1).sqrt()
    torch.testing.assert_close(symmetric, plain * (root[:, None] / root)[..., None])


def test_some_rows_and_sparse_powers_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = adjacency(nx.random_regular_graph(3, 60, seed=1))
    whole = random_walks(graph, 6)
    torch.testing.assert_close(random_walks(graph, 6, rows=(10, 25)), whole[10:25])
    monkeypatch.setattr(random_walk, "_SPARSE_FROM", 10)
    torch.testing.assert_close(random_walks(graph, 6), whole, atol=1e-14, rtol=1e-12)
    torch.testing.assert_close(random_walks(graph, 6, rows=(10, 25)), whole[10:25], atol=1e-14, rtol=1e-12)


def test_loops_keep_walks_where_they_are() -> None:
    graph = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    assert torch.equal(random_walks(graph, 1)[..., 1], torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
    assert random_walks(graph.bool(), 1).dtype == torch.double


@given(st.integers(0, 6))
def test_sinusoids_stand_in_blocks_and_are_exact(count: int) -> None:
    x = torch.rand(5, 3, dtype=torch.double)
    out = sinusoids(x, count)
    assert out.shape == (5, 3 * (2 * count + 1))
    assert torch.equal(out[:, :3], x)
    for channel in range(3):
        for level in range(count):
            angle = 2**level * torch.pi * x[:, channel]
            at = 3 + channel * count + level
            torch.testing.assert_close(out[:, at], angle.sin(), atol=1e-12, rtol=0)
            torch.testing.assert_close(out[:, at + 3 * count], angle.cos(), atol=1e-12, rtol=0)


def test_high_frequencies_of_single_precision_are_as_exact_as_the_numbers() -> None:
    x = torch.rand(1000)
    torch.testing.assert_close(sinusoids(x[:, None], 15), sinusoids(x[:, None].double(), 15).float(), atol=1e-6, rtol=0)


def test_the_stem_refuses_what_it_cannot_be() -> None:
    with pytest.raises(ConfigError, match="at least one step"):
        RandomWalkStem(8, 8, RandomWalkStem.Config(steps=0))


def test_the_stem_starts_as_published() -> None:
    stem = RandomWalkStem(256, 64, RandomWalkStem.Config(hidden=512))
    bound = (6 / stem.pair_up.in_features) ** 0.5
    assert 0.95 * bound < stem.pair_up.weight.abs().max() <= bound
    bound = (3 / stem.pair_down.in_features) ** 0.5
    assert 0.95 * bound < stem.pair_down.weight.abs().max() <= bound
    assert stem.pair_up.bias.abs().max() == 0
