"""Graphs as arrays: what is made of edges in any order, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formarium.errors import DataError
from formarium.tasks.graphs.graph import MOST_NODES, make_graph, widths


def test_directed_and_repeated_edges_are_edges_in_both_directions_once() -> None:
    graph = make_graph(4, [(2, 0), (0, 1), (2, 0), (3, 3)], edge_types=[5, 6, 7, 8])
    assert graph.edges.tolist() == [[0, 1], [0, 2], [1, 0], [2, 0], [3, 3]]
    assert graph.edge_types is not None
    assert graph.edge_types[:, 0].tolist() == [6, 5, 6, 5, 8]


def test_what_is_known_of_an_edge_may_differ_by_direction() -> None:
    graph = make_graph(2, [(0, 1), (1, 0)], edge_features=[0.5, 0.25])
    assert graph.edge_features is not None
    assert graph.edge_features[:, 0].tolist() == [0.5, 0.25]


@given(st.integers(1, 12), st.integers(0, 999))
def test_relabelling_there_and_back_is_nothing(nodes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    edges = generator.integers(0, nodes, (2 * nodes, 2))
    graph = make_graph(
        nodes,
        edges,
        node_types=generator.integers(0, 5, nodes),
        edge_features=generator.random((2 * nodes, 2)),
        target=1.5,
        node_targets=generator.random(nodes),
        links=generator.integers(0, nodes, (3, 2)),
        link_targets=generator.random(3),
    )
    order = generator.permutation(nodes)
    moved = graph.relabelled(order)
    assert np.array_equal(moved.adjacency(), graph.adjacency()[order][:, order])
    assert moved.node_targets is not None
    assert graph.node_targets is not None
    assert np.array_equal(moved.node_targets, graph.node_targets[order])
    assert np.array_equal(order[moved.links], graph.links)
    back = moved.relabelled(np.argsort(order))
    for name in ("edges", "node_types", "edge_features", "node_targets", "target", "links", "link_targets"):
        assert np.array_equal(getattr(back, name), getattr(graph, name)), name


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"nodes": 0, "edges": []}, "has no nodes"),
        ({"nodes": MOST_NODES + 1, "edges": []}, "cut it into graphs"),
        ({"nodes": 3, "edges": [(0, 3)]}, "3 nodes, numbered from 0, and an edge to node 3"),
        ({"nodes": 3, "edges": [(0, -1)]}, "edge to node -1"),
        ({"nodes": 3, "edges": [], "node_types": [0, 1]}, "3 nodes and features of 2"),
        ({"nodes": 2, "edges": [(0, 1)], "edge_types": [0, 1]}, "1 edges and features of 2"),
        ({"nodes": 2, "edges": [], "node_types": [0.5, 1]}, "whole numbers"),
        ({"nodes": 2, "edges": [], "node_types": [-1, 1]}, "one is -1"),
        ({"nodes": 2, "edges": [], "node_features": [1.0, float("nan")]}, "not all finite"),
        ({"nodes": 2, "edges": [], "node_targets": [1]}, "2 nodes and targets of 1"),
        ({"nodes": 2, "edges": [], "links": [(0, 1)], "link_targets": [1, 2]}, "asked about 1 links and targets of 2"),
        ({"nodes": 2, "edges": [], "links": [(0, 2)], "link_targets": [1]}, "asked about node 2"),
        ({"nodes": 2, "edges": [], "links": [(0, 1)]}, "links without targets"),
        ({"nodes": 4, "edges": [[0, 1, 2], [1, 2, 3]]}, r"edges .* not of the shape \(2, 3\); turn them over"),
        ({"nodes": 4, "edges": [0, 1, 1, 2]}, r"edges .* rows of two nodes, not of the shape \(4,\)$"),
        ({"nodes": 4, "edges": [(0, 1, 2)]}, r"edges .* rows of two nodes, not of the shape \(1, 3\)$"),
        ({"nodes": 2, "edges": [(0, 0.5)]}, "edges .* are between numbers of nodes, which are whole"),
        (
            {"nodes": 4, "edges": [], "links": [[0, 1, 2], [1, 2, 3]], "link_targets": [0, 1]},
            r"links .* not of the shape \(2, 3\); turn them over",
        ),
        ({"nodes": 2, "edges": [], "links": [(0, 0.5)], "link_targets": [1]}, "links .* which are whole"),
        ({"nodes": 2, "edges": [], "target": "cat"}, "targets of the graph 'g' are words; number the classes"),
        ({"nodes": 2, "edges": [], "node_targets": ["cat", "dog"]}, "are words; number the classes"),
        ({"nodes": 2, "edges": [], "links": [(0, 1)], "link_targets": ["far"]}, "are words; number the classes"),
        ({"nodes": 2, "edges": [], "node_types": ["C", "N"]}, "of nodes .* are numbers, .* not .*'C'"),
        ({"nodes": 2, "edges": [(0, 1)], "edge_types": [["single"]]}, "of edges .* are numbers, .* not .*'single'"),
        ({"nodes": 2, "edges": [], "node_features": ["long", "short"]}, "are numbers, .* not .*'long'"),
        ({"nodes": 2, "edges": [], "node_types": [0, 3_000_000_000]}, "numbered from 0 on, and one is 3,000,000,000"),
        ({"nodes": 2, "edges": [(0, 1)], "edge_types": [3e9]}, "numbered from 0 on, and one is 3,000,000,000"),
    ],
)
def test_refuses_in_a_sentence(given_: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_graph(name="g", **given_)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [np.bool_, np.int32, np.uint8, np.int64])
def test_labels_of_every_kind_are_classes_of_one(kind: type) -> None:
    labels = np.array([[0], [1], [1]], dtype=kind)
    pairs = [(0, 1), (1, 2), (0, 2)]
    graph = make_graph(3, pairs, target=labels[1], node_targets=labels, links=pairs, link_targets=labels[:, 0])
    for found, want in ((graph.target, 1), (graph.node_targets, [0, 1, 1]), (graph.link_targets, [0, 1, 1])):
        assert found is not None
        assert found.dtype == np.int64
        assert found.tolist() == want
    several = make_graph(3, pairs, target=[0.5, 1.5], node_targets=np.ones((3, 2)))
    assert several.target is not None
    assert several.target.shape == (2,)
    assert several.node_targets is not None
    assert several.node_targets.shape == (3, 2)


def test_relabelling_moves_splits_along() -> None:
    graph = make_graph(3, [(0, 1)], node_splits=[0, 1, -1])
    moved = graph.relabelled(np.array([2, 0, 1])).node_splits
    assert moved is not None
    assert moved.tolist() == [-1, 0, 1]


def test_widths_are_those_of_all_graphs() -> None:
    one = make_graph(2, [(0, 1)], node_types=[[0, 2], [1, 0]], edge_features=[[1.0, 2.0]])
    bare = make_graph(1, [], node_types=[[3, 0]])
    found = widths([one, bare])
    assert (found.node_types, found.edge_types, found.node_features, found.edge_features) == ((4, 3), (), 0, 2)
    with pytest.raises(DataError, match="some graphs have 0 and some 2 node types"):
        widths([one, make_graph(1, [])])


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"edges": [(0, 1), (1,)]}, "are rows of two nodes each"),
        ({"edges": [(0, float("nan"))]}, "numbers of nodes, which are whole"),
        ({"edges": [("a", "b")]}, "numbers of nodes, which are whole"),
        ({"edges": [], "node_splits": [0, 1, 2]}, "has 2 nodes and splits of 3"),
        ({"edges": [], "target": np.array("a", dtype=object)}, "are words"),
        ({"edges": [], "node_targets": np.array(["a", "b"], dtype=object)}, "are words"),
        ({"edges": [], "node_types": [0, float("nan")]}, "whole numbers from 0"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_of_another_form_is_refused_in_a_sentence(given_: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_graph(2, **given_)  # type: ignore[arg-type]


def test_targets_are_finite_or_unknown() -> None:
    made = make_graph(2, [(0, 1)], node_targets=[1.5, None])
    assert made.node_targets is not None
    assert np.isnan(made.node_targets).tolist() == [False, True]
    with pytest.raises(DataError, match="a target of a graph is not finite"):
        make_graph(2, [(0, 1)], target=np.inf)
    with pytest.raises(DataError, match="are no numbers, but dict"):
        make_graph(2, [(0, 1)], target=[{}, {}])
    with pytest.raises(DataError, match=r"a row for each, not of the shape \(2, 2, 2\)"):
        make_graph(2, [(0, 1)], node_features=np.zeros((2, 2, 2)))
