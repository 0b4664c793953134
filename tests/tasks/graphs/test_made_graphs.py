"""Graphs that are made on the spot: multisets, molecules, and what nodes are told of the graph without them."""

from itertools import combinations

import networkx as nx
import networkx.algorithms.isomorphism as iso
import numpy as np
import pytest

from formarium.errors import DataError
from formarium.tasks import Graphs
from formarium.tasks.graphs.graph import make_graph
from formarium.tasks.graphs.left_out import with_returns_of_left_out
from formarium.tasks.graphs.molecules import LABELS, molecules
from formarium.tasks.graphs.multisets import multisets
from formarium.tasks.graphs.sources import load


def test_multisets_are_all_there_and_told_by_their_counts() -> None:
    graphs = multisets(copies=2)
    assert len(graphs) == 2 * 63
    counts: dict[int, set[tuple[int, ...]]] = {}
    for graph in graphs:
        assert len(graph.edges) == 0
        assert graph.node_types is not None
        own = tuple(np.bincount(graph.node_types[:, 0], minlength=3).tolist())
        assert max(own) <= 3
        counts.setdefault(int(graph.target), set()).add(own)  # type: ignore[arg-type]
    assert len(set().union(*counts.values())) == 63
    assert all(len(found) == 1 for found in counts.values())
    task: Graphs = Graphs.Config(data="multisets").build()
    assert task.classes == 63


def test_molecules_have_what_is_asked_of_them() -> None:
    chem = pytest.importorskip("rdkit.Chem")
    crippen = pytest.importorskip("rdkit.Chem.Crippen")
    found = molecules("log_p")
    assert len(found) > 3000
    for graph in found[::500]:
        molecule = chem.MolFromSmiles(graph.name)
        assert graph.nodes == molecule.GetNumAtoms()
        assert len(graph.edges) == 2 * molecule.GetNumBonds()
        assert nx.is_connected(nx.Graph(graph.edges.tolist()))
        assert float(graph.target) == pytest.approx(crippen.MolLogP(molecule))  # type: ignore[arg-type]
    assert {len(part) for part in load("molecules", "log_p", 0.1).values()} > {len(found) // 10}


def test_no_two_molecules_are_the_same_graph() -> None:
    pytest.importorskip("rdkit.Chem")
    buckets: dict[str, list[nx.Graph]] = {}
    for graph in molecules("log_p"):
        if graph.nodes > 13:
            continue
        drawn: nx.Graph = nx.Graph()
        assert graph.node_types is not None
        assert graph.edge_types is not None
        drawn.add_nodes_from((i, {"kind": str(kind[0])}) for i, kind in enumerate(graph.node_types))
        ends = zip(graph.edges.tolist(), graph.edge_types, strict=True)
        drawn.add_edges_from((a, b, {"kind": str(kind[0])}) for (a, b), kind in ends)
        key = nx.weisfeiler_lehman_graph_hash(drawn, edge_attr="kind", node_attr="kind", iterations=3)
        buckets.setdefault(key, []).append(drawn)
    assert sum(map(len, buckets.values())) > 500
    alike = iso.categorical_node_match("kind", None), iso.categorical_edge_match("kind", None)
    for same in buckets.values():
        assert not any(nx.is_isomorphic(a, b, *alike) for a, b in combinations(same, 2))


def test_solubility_takes_off_what_rings_and_synthesis_cost() -> None:
    chem = pytest.importorskip("rdkit.Chem")
    benzene, large = chem.MolFromSmiles("c1ccccc1"), chem.MolFromSmiles("C1CCCCCCCCC1")
    asked, log_p = LABELS["constrained_solubility"], LABELS["log_p"]
    assert 1 <= log_p(benzene) - asked(benzene) <= 10  # the score of synthesis alone
    assert log_p(large) - asked(large) >= 4 + 1 - 1e-9  # four atoms beyond six
    with pytest.raises(DataError, match="did you mean 'log_p'"):
        molecules("logp")


def test_a_node_is_told_of_the_graph_without_it() -> None:
    path = make_graph(3, [(0, 1), (1, 2)])
    found = with_returns_of_left_out(path, steps=4).node_features
    assert found is not None
    # Without its middle two nodes are alone; without an end two are joined, and are back after an even number of steps.
    np.testing.assert_allclose(found[1], 0)
    np.testing.assert_allclose(found[0], [0, 1, 0, 1])


def test_what_walks_of_strongly_regular_graphs_hide_their_parts_show() -> None:
    """The rook's graph and Shrikhande's: the same walks, and neighbourhoods of two triangles against a cycle of six."""
    rook = nx.line_graph(nx.complete_bipartite_graph(4, 4))
    ends = [(i, j, (i + a) % 4, (j + b) % 4) for i in range(4) for j in range(4) for a, b in ((1, 0), (0, 1), (1, 1))]
    shrikhande = nx.Graph([((i, j), (k, m)) for i, j, k, m in ends])
    features = []
    for graph in (rook, shrikhande):
        numbered = nx.convert_node_labels_to_integers(graph)
        made = with_returns_of_left_out(make_graph(16, np.array(numbered.edges())), steps=6).node_features
        assert made is not None
        assert np.ptp(made, axis=0).max() == 0, "every node is like every other"
        features.append(made[0])
    assert not np.array_equal(features[0], features[1])
    moved = make_graph(16, np.array(nx.convert_node_labels_to_integers(rook).edges()))
    again = with_returns_of_left_out(moved.relabelled(np.random.default_rng(0).permutation(16)), steps=6)
    np.testing.assert_array_equal(again.node_features, with_returns_of_left_out(moved, steps=6).node_features)


def test_what_is_told_of_the_graph_without_a_node_does_not_depend_on_the_order() -> None:
    """Cubes, whose chances are multiples of powers of 1/2: half way between two numbers of so many decimals."""
    cube = make_graph(16, np.array(nx.convert_node_labels_to_integers(nx.hypercube_graph(4)).edges()))
    expected = with_returns_of_left_out(cube, steps=12).node_features
    assert expected is not None
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(16)
        found = with_returns_of_left_out(cube.relabelled(order), steps=12).node_features
        np.testing.assert_array_equal(found, expected[order])
