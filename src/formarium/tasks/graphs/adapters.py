"""Graphs of other libraries, and back: networkx, and torch_geometric where it is installed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import torch

from formarium.config import suggestion
from formarium.errors import DataError
from formarium.tasks.graphs.graph import Graph, Level, make_graph

if TYPE_CHECKING:
    from torch_geometric.data import Data  # type: ignore[import-not-found, import-untyped, unused-ignore]


def from_networkx(
    graph: "nx.Graph[Any]",
    node_types: Sequence[str] = (),
    node_features: Sequence[str] = (),
    edge_types: Sequence[str] = (),
    edge_features: Sequence[str] = (),
    target: str | None = None,
    node_target: str | None = None,
    name: str = "",
    links: Mapping[tuple[Any, Any], Any] | None = None,
) -> Graph:
    """A graph of networkx, its nodes numbered in their order.

    The names are of attributes to take along, each one value or a row of them: whole numbers as types, numbers as
    features. target: an attribute of the graph. links: pairs of nodes, whether joined or not, with what is asked of
    each. Directed edges are taken for both directions, parallel ones for one. Raises DataError where an attribute or a
    node is lacking.
    """
    number = {node: index for index, node in enumerate(graph)}
    ends = [(number[a], number[b]) for a, b in graph.edges()]
    absent = next((node for pair in links or () for node in pair if node not in number), None)
    if absent is not None:
        raise DataError(f"the graph has no node {absent!r}, of which something is asked")
    of_nodes, of_edges = [d for _, d in graph.nodes(data=True)], [d for _, _, d in graph.edges(data=True)]
    return make_graph(
        len(number),
        np.array(ends, dtype=np.int64).reshape(-1, 2),
        node_types=_attributes(of_nodes, node_types, "node"),
        edge_types=_attributes(of_edges, edge_types, "edge"),
        node_features=_attributes(of_nodes, node_features, "node"),
        edge_features=_attributes(of_edges, edge_features, "edge"),
        target=None if target is None else _values([graph.graph], target, "graph")[0],
        node_targets=None if node_target is None else _values(of_nodes, node_target, "node"),
        name=name or str(graph.graph.get("name", "")),
        links=None if links is None else np.array([(number[a], number[b]) for a, b in links], dtype=np.int64),
        link_targets=None if links is None else np.array(list(links.values())),
        node_names=[str(node) for node in graph],
    )


def to_networkx(graph: Graph) -> "nx.Graph[int]":
    """The graph without its features."""
    made: nx.Graph[int] = nx.Graph()
    made.add_nodes_from(range(graph.nodes))
    made.add_edges_from(graph.edges.tolist())
    return made


def from_torch_geometric(data: "Data", places: bool = False, level: Level | None = None) -> Graph:
    """A graph of torch_geometric: ``x`` and ``edge_attr`` of whole numbers are types, others features.

    ``edge_weight`` is one more feature of edges. ``edge_label`` is asked of the pairs ``edge_label_index``, as a class
    where it is 0 or 1; ``y`` of nodes, of edges (the first of both directions) or of the graph, by ``level``: where
    None, of nodes with a row for each of several, else of edges with one for each, else of the graph. ``train_mask``,
    ``val_mask`` and ``test_mask`` split nodes, by their first column where they have several. places: whether ``pos``
    joins the features of nodes. Raises DataError for a graph that is not one of nodes and pairs of them.
    """
    if getattr(data, "edge_index", None) is None or data.num_nodes is None:
        raise DataError(
            "a torch_geometric graph needs edge_index, and x or num_nodes; one with several kinds does not fit"
        )
    nodes, ends = int(data.num_nodes), data.edge_index.t().cpu().numpy()
    given: dict[str, Any] = {}
    for what, values in (("node", data.x), ("edge", data.edge_attr)):
        if values is not None:
            kind = "features" if values.is_floating_point() else "types"
            given[f"{what}_{kind}"] = values.detach().to_dense().cpu().numpy()
    if getattr(data, "edge_weight", None) is not None:
        weight = data.edge_weight.detach().cpu().numpy()
        if weight.size != len(ends):
            raise DataError(f"a torch_geometric graph has {len(ends)} edges and weights of {weight.size}")
        weight = weight.reshape(-1, 1)
        found = given.get("edge_features", np.empty((len(ends), 0))).reshape(len(ends), -1)
        given["edge_features"] = np.concatenate((found, weight), axis=1)
    if getattr(data, "train_mask", None) is not None:
        given["node_splits"] = _split_by_masks(data, nodes)
    if places and data.pos is not None:
        found = given.get("node_features", np.empty((nodes, 0)))
        given["node_features"] = np.concatenate((found, data.pos.detach().cpu().numpy()), axis=1)
    if getattr(data, "edge_label", None) is not None and getattr(data, "edge_label_index", None) is not None:
        given["links"] = data.edge_label_index.t().cpu().numpy()
        labels = data.edge_label.detach().cpu().numpy()
        # Real numbers are what torch_geometric's own split writes for "is joined or not", too.
        given["link_targets"] = labels.astype(np.int64) if np.isin(labels, (0, 1)).all() else labels
    elif data.y is not None:
        y = torch.as_tensor(data.y).detach().cpu().numpy()
        level = level or _level_of([data])
        if level == "node":
            given["node_targets"] = y
        elif level == "pair":
            _, first = np.unique(np.sort(ends, axis=1), axis=0, return_index=True)
            given["links"], given["link_targets"] = ends[first], y[first]
        else:
            given["target"] = y[0] if y.ndim and len(y) == 1 else y
    return make_graph(nodes, ends, **given)


def as_graphs(data: Any, places: bool = False) -> list[Graph]:
    """Graphs of any of these kinds, also mixed, or one: ours, of networkx, of torch_geometric (or a data set of it).

    Of a networkx graph the attribute ``label`` or ``target`` of the graph comes along; ``from_networkx`` takes others.
    What ``y`` of torch_geometric is asked of is decided by all of its graphs together. places: as there.
    """
    # One graph may be passed as it is: those of networkx and torch_geometric go through their own nodes and entries.
    single = isinstance(data, Graph | nx.Graph) or hasattr(data, "stores")
    items = [data] if single else list(data)
    level = _level_of([item for item in items if hasattr(item, "edge_index")])
    return [_as_graph(item, places, level) for item in items]


def _level_of(data: Sequence["Data"]) -> Level:
    """What ``y`` is asked of: of nodes, or edges, if it has a row for each in all graphs, and in one for several."""
    rows = [(len(d.y) if torch.is_tensor(d.y) and d.y.dim() else None, d.num_nodes, d.num_edges) for d in data]
    if rows and all(count == nodes for count, nodes, _ in rows) and any(nodes > 1 for _, nodes, _ in rows):
        return "node"
    if rows and all(count == edges for count, _, edges in rows) and any(edges > 1 for *_, edges in rows):
        return "pair"
    return "graph"


_MASKS = ("train_mask", "val_mask", "test_mask")


def _split_by_masks(data: "Data", nodes: int) -> np.ndarray:
    """The number of the split of each node, -1 where it is in none."""
    splits = np.full(nodes, -1)
    for number, name in enumerate(_MASKS):
        mask = getattr(data, name, None)
        if mask is not None and len(mask) != nodes:
            raise DataError(f"a torch_geometric graph has {nodes} nodes and a {name} of {len(mask)}")
        if mask is not None:
            chosen = mask.cpu().numpy().reshape(nodes, -1)[:, 0].astype(bool)
            if (twice := splits[chosen & (splits >= 0)]).size:
                raise DataError(f"{twice.size} nodes of a torch_geometric graph are in {_MASKS[twice[0]]} and {name}")
            splits[chosen] = number
    return splits


def _as_graph(item: Any, places: bool, level: Level) -> Graph:
    if isinstance(item, Graph):
        return item
    if isinstance(item, nx.Graph):
        return from_networkx(item, target=next((name for name in ("label", "target") if name in item.graph), None))
    if hasattr(item, "edge_index"):
        return from_torch_geometric(item, places, level)
    raise DataError(f"a graph is one of formarium's, of networkx or of torch_geometric, not a {type(item).__name__}")


def _attributes(holders: Sequence[dict[str, Any]], names: Sequence[str], what: str) -> np.ndarray | None:
    """(holders, columns) of attributes, one behind another; None without names."""
    if not names:
        return None
    columns = [_values(holders, name, what) for name in names]
    if any(column.ndim > 2 for column in columns):
        raise DataError(f"an attribute of a {what} is one value or a row of them, not a table")
    return np.concatenate([column[:, None] if column.ndim == 1 else column for column in columns], axis=1)


def _values(holders: Sequence[dict[str, Any]], name: str, what: str) -> np.ndarray:
    """(holders, ...), the values of one attribute; DataError where it is lacking, or not of one shape."""
    lacking = next((holder for holder in holders if name not in holder), None)
    if lacking is not None:
        raise DataError(f"a {what} lacks the attribute {name!r}{suggestion(name, map(str, lacking))}")
    try:
        return np.array([np.asarray(holder[name]) for holder in holders])
    except ValueError:
        raise DataError(f"the attribute {name!r} has not the same shape for each {what}") from None
