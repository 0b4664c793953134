"""Isomorphism within a bound of time."""

import networkx as nx
import numpy as np

from formarium.theory.isomorphism import isomorphic


def test_answers_yes_no_and_not_in_time() -> None:
    graph = nx.to_numpy_array(nx.petersen_graph())
    order = np.random.default_rng(0).permutation(10)
    assert isomorphic(graph, graph[order][:, order], seconds=60) is True
    # The 4 x 4 rook's graph and the Shrikhande graph: refinement leaves them to the search.
    rook = nx.to_numpy_array(nx.line_graph(nx.complete_bipartite_graph(4, 4)))
    steps = [(0, 1), (1, 0), (1, 1)]
    edges = [((i, j), ((i + a) % 4, (j + b) % 4)) for i in range(4) for j in range(4) for a, b in steps]
    assert isomorphic(rook, nx.to_numpy_array(nx.Graph(edges)), seconds=60) is False
    # Two of each are too much for it.
    two = nx.disjoint_union(nx.Graph(rook), nx.Graph(rook))
    other = nx.disjoint_union(nx.Graph(rook), nx.convert_node_labels_to_integers(nx.Graph(edges)))
    assert isomorphic(nx.to_numpy_array(two), nx.to_numpy_array(other), seconds=0.5) is None


def test_needs_no_search_where_sizes_or_colours_differ() -> None:
    cycle = nx.to_numpy_array(nx.cycle_graph(6))
    triangles = nx.to_numpy_array(nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3)))
    assert isomorphic(cycle, triangles, seconds=0.001) is False
    assert isomorphic(cycle, cycle[:5, :5], seconds=0.001) is False
