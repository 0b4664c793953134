"""Graphs of other libraries."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

from formarium.errors import DataError
from formarium.tasks.graphs.adapters import as_graphs, from_networkx, from_torch_geometric, to_networkx
from formarium.tasks.graphs.graph import make_graph
from formarium.tasks.graphs.sources import load


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


EDGES = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


def data(nodes: int = 3, edges: torch.Tensor = EDGES, **arrays: Any) -> Any:
    return pytest.importorskip("torch_geometric.data").Data(num_nodes=nodes, edge_index=edges, **arrays)


@pytest.mark.parametrize("kind", [torch.bool, torch.int32, torch.uint8])
def test_labels_of_torch_geometric_are_classes_with_or_without_a_column(kind: torch.dtype) -> None:
    whole = from_torch_geometric(data(y=torch.ones(1, 1).to(kind)))
    of_nodes = from_torch_geometric(data(y=torch.tensor([[0], [1], [0]]).to(kind)))
    for found, want in ((whole.target, 1), (of_nodes.node_targets, [0, 1, 0])):
        assert found is not None
        assert found.dtype == np.int64
        assert found.tolist() == want
    assert whole.node_targets is None
    assert of_nodes.target is None


def test_masks_of_torch_geometric_split_nodes_by_their_first_column() -> None:
    masks = {"train_mask": [1, 0, 0, 0], "val_mask": [0, 1, 0, 0], "test_mask": [0, 0, 1, 0]}
    flat = {name: torch.tensor(mask).bool() for name, mask in masks.items()}
    several = {name: torch.stack((mask, ~mask), dim=1) for name, mask in flat.items()}
    for given in (flat, several, {**several, "test_mask": flat["test_mask"]}):
        found = from_torch_geometric(data(4, y=torch.tensor([0, 1, 0, 1]), **given)).node_splits
        assert found is not None
        assert found.tolist() == [0, 1, 2, -1]
    assert from_torch_geometric(data(y=torch.tensor([0, 1, 0]))).node_splits is None


def test_weights_of_edges_of_torch_geometric_are_features() -> None:
    weight = torch.tensor([0.5, 0.5, 2.0, 2.0])
    alone = from_torch_geometric(data(edge_weight=weight))
    assert alone.edge_types is None
    assert alone.edge_features is not None
    assert alone.edge_features[:, 0].tolist() == weight.tolist()
    for attributes in (torch.rand(4), torch.rand(4, 1), torch.rand(4, 2)):
        beside = from_torch_geometric(data(edge_weight=weight, edge_attr=attributes)).edge_features
        assert beside is not None
        assert np.allclose(beside, torch.cat((attributes.reshape(4, -1), weight[:, None]), dim=1).numpy())
    typed = from_torch_geometric(data(edge_weight=weight, edge_attr=torch.tensor([1, 1, 2, 2])))
    assert typed.edge_types is not None
    assert typed.edge_features is not None
    assert typed.edge_types[:, 0].tolist() == [1, 1, 2, 2]
    assert typed.edge_features[:, 0].tolist() == weight.tolist()


def test_sparse_features_of_torch_geometric() -> None:
    found = from_torch_geometric(data(x=torch.eye(3).to_sparse())).node_features
    assert found is not None
    assert np.array_equal(found, np.eye(3))


def test_what_is_asked_is_decided_by_all_graphs_of_torch_geometric() -> None:
    five = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
    numbers = torch.arange(5) / 2
    same, other = as_graphs([data(5, five, y=numbers), data(3, y=numbers)])
    for graph in (same, other):
        assert graph.node_targets is None
        assert graph.target is not None
        assert graph.target.tolist() == numbers.tolist()
    alone = torch.empty(2, 0, dtype=torch.long)
    for graph, want in zip(
        as_graphs([data(1, alone, y=torch.tensor([1])), data(y=torch.tensor([0, 1, 0]))]),
        ([1], [0, 1, 0]),
        strict=True,
    ):
        assert graph.target is None
        assert graph.node_targets is not None
        assert graph.node_targets.tolist() == want
    ones = as_graphs([data(1, alone, y=torch.tensor([number])) for number in range(2)])
    assert [int(graph.target) for graph in ones] == [0, 1]  # type: ignore[arg-type]
    edges, pair = as_graphs([data(y=torch.tensor([5, 5, 6, 6])), data(2, EDGES[:, :2], y=torch.tensor([7, 7]))])
    assert (edges.node_targets, edges.target) == (None, None)
    assert edges.link_targets is not None
    assert edges.link_targets.tolist() == [5, 6]
    assert (pair.node_targets, pair.target) == (None, None)
    assert pair.link_targets is not None
    assert pair.link_targets.tolist() == [7]


def test_attributes_may_be_rows_of_numbers() -> None:
    graph = nx.path_graph(3)
    nx.set_node_attributes(graph, {i: [i, i / 2] for i in range(3)}, "x")
    nx.set_node_attributes(graph, dict.fromkeys(range(3), 1.0), "y")
    nx.set_edge_attributes(graph, dict.fromkeys(graph.edges, (0.5, 1.5)), "w")
    graph.graph["target"] = [1.0, 2.0]
    made = from_networkx(graph, node_features=["x", "y"], edge_features=["w"], target="target", node_target="x")
    assert made.node_features is not None
    assert made.node_features.tolist() == [[0, 0, 1], [1, 0.5, 1], [2, 1, 1]]
    assert made.edge_features is not None
    assert made.edge_features.tolist() == [[0.5, 1.5]] * 4
    assert made.target is not None
    assert made.target.tolist() == [1, 2]
    assert made.node_targets is not None
    assert made.node_targets.shape == (3, 2)
    assert as_graphs(graph)[0].target is not None
    graph.nodes[0]["x"] = [1.0]
    with pytest.raises(DataError, match="'x' has not the same shape for each node"):
        from_networkx(graph, node_features=["x"])
    nx.set_node_attributes(graph, {i: [[1.0]] for i in range(3)}, "z")
    with pytest.raises(DataError, match="one value or a row of them"):
        from_networkx(graph, node_features=["z"])
    assert from_networkx(nx.empty_graph(2), edge_features=["w"]).edges.shape == (0, 2)


def test_one_graph_is_a_list_of_one() -> None:
    own = make_graph(2, [(0, 1)])
    assert as_graphs(own) == [own]
    assert as_graphs(nx.path_graph(2))[0].edges.tolist() == [[0, 1], [1, 0]]
    assert as_graphs(data())[0].nodes == 3


def test_masks_that_overlap_are_refused() -> None:
    first, second = torch.tensor([True, True, False]), torch.tensor([False, True, True])
    with pytest.raises(DataError, match="1 nodes of a torch_geometric graph are in train_mask and test_mask"):
        from_torch_geometric(data(y=torch.tensor([0, 1, 0]), train_mask=first, test_mask=second))


@pytest.mark.parametrize(
    ("call", "graphs", "nodes"),
    [("KarateClub", 1, 34), ("FakeDataset(num_graphs=4, avg_num_nodes=9)", 4, None), ("FakeDataset(3, 9)", 3, None)],
)
def test_sets_of_torch_geometric_that_are_made_on_the_spot(call: str, graphs: int, nodes: int | None) -> None:
    pytest.importorskip("torch_geometric")
    found = load(f"pyg:{call}", None, 0.1)
    every = found["train"] if graphs == 1 else [graph for split in found.values() for graph in split]
    assert len(every) == graphs
    assert nodes is None or every[0].nodes == nodes
