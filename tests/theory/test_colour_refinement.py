"""Colour refinement: known pairs, no false alarms, and the order among the tests."""

from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from formarium.errors import DataError
from formarium.parts.stems.random_walk import random_walks
from formarium.theory import colour_refinement
from formarium.theory.colour_refinement import (
    TESTS,
    distance_colours,
    round_to_tell,
    rounds_to_tell,
    stable_colours,
    walk_colours,
)


def adjacency(graph: "nx.Graph[int]") -> np.ndarray:
    return nx.to_numpy_array(graph)


def rook() -> np.ndarray:
    return adjacency(nx.line_graph(nx.complete_bipartite_graph(4, 4)))  # the 4 x 4 rook's graph


def shrikhande() -> np.ndarray:
    steps = [(0, 1), (1, 0), (1, 1)]
    edges = [((i, j), ((i + a) % 4, (j + b) % 4)) for i in range(4) for j in range(4) for a, b in steps]
    return adjacency(nx.Graph(edges))


CYCLE, TRIANGLES = adjacency(nx.cycle_graph(6)), adjacency(nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3)))


def test_cycle_and_triangles_look_alike_to_message_passing_only() -> None:
    assert {test: round_to_tell(CYCLE, TRIANGLES, test) for test in TESTS} == {
        "1-WL": None,
        "distances": 1,
        "walks": 1,
        "3-WL": 2,
    }
    assert round_to_tell(CYCLE, TRIANGLES, "walks", steps=1) is None  # only steps 2 and 3 differ


def test_strongly_regular_graphs_of_the_same_numbers_look_alike_to_all() -> None:
    assert rook().sum() == shrikhande().sum() == 96
    assert not nx.is_isomorphic(nx.from_numpy_array(rook()), nx.from_numpy_array(shrikhande()))
    assert all(round_to_tell(rook(), shrikhande(), test) is None for test in TESTS)


def test_degrees_are_seen_in_the_first_round_and_paths_later() -> None:
    path, star = adjacency(nx.path_graph(4)), adjacency(nx.star_graph(3))
    assert round_to_tell(path, star, "1-WL") == 1
    # Two trees with the same degrees: where the fork stands is seen in the second or a later round.
    near = adjacency(nx.Graph([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (1, 6)]))
    far = adjacency(nx.Graph([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (2, 6)]))
    assert (round_to_tell(near, far, "1-WL") or 0) >= 2


@given(st.integers(1, 14), st.floats(0.05, 0.95), st.integers(0, 999), st.booleans())
def test_a_relabelled_graph_is_never_told_from_itself(nodes: int, share: float, seed: int, loops: bool) -> None:
    graph = adjacency(nx.gnp_random_graph(nodes, share, seed=seed))
    if loops:
        graph[0, 0] = 1
    order = np.random.default_rng(seed).permutation(nodes)
    for test in TESTS:
        assert round_to_tell(graph, graph[order][:, order], test) is None
    assert np.array_equal(np.sort(stable_colours(graph)), np.sort(stable_colours(graph[order][:, order])))


@given(st.integers(4, 8), st.integers(0, 999))
def test_what_1_wl_tells_apart_finer_tests_do(nodes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    edges = int(generator.integers(nodes, nodes * (nodes - 1) // 2))
    one, other = (adjacency(nx.gnm_random_graph(nodes, edges, seed=int(generator.integers(1e6)))) for _ in range(2))
    coarse = round_to_tell(one, other, "1-WL") is not None
    for test in ("distances", "3-WL"):
        assert not coarse or round_to_tell(one, other, test) is not None
    same = nx.is_isomorphic(nx.from_numpy_array(one), nx.from_numpy_array(other))
    # Up to seven nodes walks and 3-WL tell all graphs apart; they never tell isomorphic ones apart.
    if same or nodes <= 7:
        assert (round_to_tell(one, other, "3-WL") is None) == same


@pytest.mark.filterwarnings("ignore:The hashes produced")
def test_networkx_agrees_on_1_wl() -> None:
    graphs = [g for g in nx.graph_atlas_g() if g.number_of_nodes() == 6 and g.number_of_edges() in (7, 8)]
    stacked = np.stack([adjacency(g) for g in graphs])
    hashes = [nx.weisfeiler_lehman_graph_hash(g, iterations=6) for g in graphs]
    first, second = np.triu_indices(len(graphs), 1)
    ours = rounds_to_tell(stacked[first], stacked[second], "1-WL") >= 0
    theirs = np.array([hashes[a] != hashes[b] for a, b in zip(first, second, strict=True)])
    assert np.array_equal(ours, theirs)


@given(st.integers(2, 7), st.integers(0, 99))
def test_pairs_have_one_colour_where_their_fractions_are_the_same(nodes: int, seed: int) -> None:
    graph = adjacency(nx.gnp_random_graph(nodes, 0.5, seed=seed))
    degree = graph.sum(1)
    now = [[Fraction(int(i == j)) for j in range(nodes)] for i in range(nodes)]
    seen = [[[p] for p in row] for row in now]
    for _ in range(6):
        now = [
            [sum((row[k] / int(degree[k]) for k in range(nodes) if graph[k, j]), Fraction(0)) for j in range(nodes)]
            for row in now
        ]
        for i, j in np.ndindex(nodes, nodes):
            seen[i][j].append(now[i][j])
    colours, exact = walk_colours(graph[None], 6).ravel(), [tuple(p) for row in seen for p in row]
    assert all((colours[a] == colours[b]) == (exact[a] == exact[b]) for a, b in np.ndindex(nodes**2, nodes**2))


def test_differences_far_below_rounding_are_seen() -> None:
    chain = nx.path_graph(11)
    chain.add_edges_from((node, 100 + 40 * node + leaf) for node in range(11) for leaf in range(40))
    joined = nx.Graph(chain)
    joined.add_edge(500, 501)  # two leaves of the far end
    graphs = np.stack([nx.to_numpy_array(g, nodelist=sorted(chain)) for g in (chain, joined)])
    walks = random_walks(torch.from_numpy(graphs), 24)[:, 0, 0].numpy()
    assert np.abs(walks[0] - walks[1]).max() < 1e-15
    colours = walk_colours(graphs, 24)
    assert colours[0, 0, 0] != colours[1, 0, 0]
    assert walk_colours(graphs, 20)[0, 0, 0] == walk_colours(graphs, 20)[1, 0, 0]  # too short to have been there


def test_graphs_that_differ_by_a_loop_are_told_apart() -> None:
    path = adjacency(nx.path_graph(4))
    ends, inside, every = (path + np.diag(loops) for loops in ([1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]))
    for test in TESTS:
        for one, other in ((path, ends), (ends, inside), (path, every)):
            assert round_to_tell(one, other, test) is not None, test


@given(st.integers(1, 9), st.integers(0, 99))
def test_pairs_have_one_colour_where_they_are_as_far_apart(nodes: int, seed: int) -> None:
    graph = adjacency(nx.gnp_random_graph(nodes, 0.3, seed=seed))
    looped = graph + np.diag(np.arange(nodes) % 2)
    distance = np.array(nx.floyd_warshall_numpy(nx.from_numpy_array(graph)))
    colours = distance_colours(np.stack((graph, looped)))
    plain, own = colours[0].ravel(), colours[1].ravel()
    assert np.array_equal(plain[:, None] == plain, distance.ravel()[:, None] == distance.ravel())
    away = ~np.diag(np.arange(nodes) % 2 == 1).ravel()
    assert np.array_equal(own[away], plain[away])  # only nodes with a loop are coloured anew
    assert len({*own[~away]}) <= 1
    assert not {*own[~away]} & {*plain}


def test_sparse_products_give_the_same_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = np.stack([adjacency(nx.random_regular_graph(3, 60, seed=s)) for s in (1, 2)])
    dense = walk_colours(graphs, 8)
    monkeypatch.setattr(colour_refinement, "_SPARSE_FROM", 10)
    assert np.array_equal(walk_colours(graphs, 8), dense)


def test_graphs_of_different_sizes_are_told_apart_by_counting() -> None:
    assert round_to_tell(CYCLE, CYCLE[:5, :5]) == 0
    assert round_to_tell(np.zeros((1, 1)), np.zeros((1, 1))) is None
    assert round_to_tell(np.zeros((0, 0)), np.zeros((0, 0))) is None


@pytest.mark.parametrize(
    ("graph", "test", "message"),
    [
        (np.triu(np.ones((3, 3))), "walks", "symmetric"),
        (0.5 * (np.ones((3, 3)) - np.eye(3)), "walks", "0 and 1"),
        (np.ones((3, 2)), "walks", "square"),
        (np.ones((3, 3)), "walk", "did you mean 'walks'"),
    ],
)
def test_says_what_it_cannot_take(graph: np.ndarray, test: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        round_to_tell(graph, graph, test)
