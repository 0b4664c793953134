"""Graphs of other libraries."""

import networkx as nx
import numpy as np
import pytest
import torch

from formarium.errors import DataError
from formarium.tasks.graphs.adapters import as_graphs, from_networkx, from_torch_geometric, to_networkx
from formarium.tasks.graphs.graph import make_graph


def test_networkx_with_attributes_and_names_that_are_no_numbers() -> None:
    graph = nx.DiGraph(name="water", energy=-76.4)
    graph.add_node("O", element=8, charge=-0.8)
    graph.add_nodes_from(["H1", "H2"], element=1, charge=0.4)
    graph.add_edges_from([("O", "H1"), ("O", "H2")], order=1, length=0.96)
    made = from_networkx(graph, ["element"], ["charge"], ["order"], ["length"], target="energy", node_target="element")
    assert made.edges.tolist() == [[0, 1], [0, 2], [1, 0], [2, 0]]
    assert made.node_types is not None
    assert made.node_types[:, 0].tolist() == [8, 1, 1]
    assert made.edge_features is not None
    assert made.edge_features.shape == (4, 1)
    assert float(made.target) == -76.4  # type: ignore[arg-type]
    assert made.name == "water"
    with pytest.raises(DataError, match="lacks the attribute 'charges'; did you mean 'charge'"):
        from_networkx(graph, node_features=["charges"])


def test_networkx_asked_about_pairs_of_nodes() -> None:
    graph = nx.path_graph(["a", "b", "c", "d"])
    made = from_networkx(graph, links={("a", "b"): 1, ("d", "a"): 0})
    assert made.links is not None
    assert made.links.tolist() == [[0, 1], [3, 0]]
    assert made.link_targets is not None
    assert made.link_targets.tolist() == [1, 0]
    with pytest.raises(DataError, match="no node 'e', of which something is asked"):
        from_networkx(graph, links={("a", "e"): 1.0})


def test_there_and_back() -> None:
    graph = nx.petersen_graph()
    assert nx.utils.graphs_equal(to_networkx(from_networkx(graph)), nx.Graph(graph.edges()))


def test_multigraphs_and_several_kinds_in_one_list() -> None:
    multi = nx.MultiGraph([(0, 1), (0, 1), (1, 1)])
    own = make_graph(2, [(0, 1)])
    first, second = as_graphs([multi, own])
    assert first.edges.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert second is own
    with pytest.raises(DataError, match="not a dict"):
        as_graphs([{}])


def test_torch_geometric() -> None:
    geometric = pytest.importorskip("torch_geometric.data")
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    data = geometric.Data(
        x=torch.tensor([[6], [7], [8]]), edge_index=edges, edge_attr=torch.rand(4, 2), y=torch.tensor([[0.5, 1.5]])
    )
    graph = from_torch_geometric(data)
    assert graph.node_types is not None
    assert graph.node_types[:, 0].tolist() == [6, 7, 8]
    assert graph.edge_features is not None
    assert np.allclose(graph.edge_features, data.edge_attr.numpy())
    assert graph.target is not None
    assert graph.target.tolist() == [0.5, 1.5]
    of_nodes = from_torch_geometric(geometric.Data(num_nodes=3, edge_index=edges, y=torch.tensor([0, 1, 0])))
    assert of_nodes.node_targets is not None
    assert of_nodes.target is None
    of_edges = from_torch_geometric(geometric.Data(num_nodes=3, edge_index=edges, y=torch.tensor([5, 5, 6, 6])))
    assert of_edges.links is not None
    assert of_edges.link_targets is not None
    assert sorted(map(tuple, np.sort(of_edges.links).tolist())) == [(0, 1), (1, 2)]
    assert sorted(of_edges.link_targets.tolist()) == [5, 6]
    asked = {"edge_label_index": torch.tensor([[0, 2], [2, 1]]), "edge_label": torch.tensor([0.0, 1.0])}
    split = from_torch_geometric(geometric.Data(num_nodes=3, edge_index=edges, **asked))
    assert split.links is not None
    assert split.links.tolist() == [[0, 2], [2, 1]]
    assert split.link_targets is not None
    assert np.issubdtype(split.link_targets.dtype, np.integer)
    asked["edge_label"] = torch.tensor([0.5, 1.0])
    rated = from_torch_geometric(geometric.Data(num_nodes=3, edge_index=edges, **asked))
    assert rated.link_targets is not None
    assert rated.link_targets.tolist() == [0.5, 1.0]
    with pytest.raises(DataError, match="needs edge_index"):
        from_torch_geometric(geometric.HeteroData())
