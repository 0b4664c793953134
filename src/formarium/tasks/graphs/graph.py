"""One graph as plain arrays, whatever library it came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from formarium.errors import DataError

Integers = NDArray[np.int64]
Reals = NDArray[np.float32]

MOST_NODES = 32768  # beyond, a dense grid of pairs takes gigabytes before any feature of them is made


@dataclass(frozen=True)
class Graph:
    """An undirected graph of n >= 1 nodes with M directed edges, each edge once in either direction; loops may be.

    edges: (M, 2) numbers of nodes, sorted. node_types, edge_types: (n, C), (M, C) categories. node_features,
    edge_features: (n, F), (M, F) reals. target: what is asked of the graph, () or (O,); node_targets: of its nodes,
    (n,) or (n, O); link_targets: of the pairs of nodes ``links`` (L, 2), joined or not, (L,) or (L, O). node_names:
    what nodes are called where they come from, or None. Make one with ``make_graph``, which checks and sorts.
    """

    nodes: int
    edges: Integers
    node_types: Integers | None = None
    edge_types: Integers | None = None
    node_features: Reals | None = None
    edge_features: Reals | None = None
    target: NDArray[Any] | None = None
    node_targets: NDArray[Any] | None = None
    name: str = ""
    links: Integers | None = None
    link_targets: NDArray[Any] | None = None
    node_names: tuple[str, ...] | None = None

    def adjacency(self) -> NDArray[np.bool_]:
        """(n, n), true where there is an edge."""
        grid = np.zeros((self.nodes, self.nodes), dtype=bool)
        grid[self.edges[:, 0], self.edges[:, 1]] = True
        return grid

    def relabelled(self, order: Integers) -> "Graph":
        """The same graph with node order[i] as node i."""
        place = np.argsort(order)
        edges = place[self.edges]
        new = np.lexsort((edges[:, 1], edges[:, 0]))
        return Graph(
            self.nodes,
            edges[new],
            _picked(self.node_types, order),
            _picked(self.edge_types, new),
            _picked(self.node_features, order),
            _picked(self.edge_features, new),
            self.target,
            _picked(self.node_targets, order),
            self.name,
            None if self.links is None else place[self.links],
            self.link_targets,
            None if self.node_names is None else tuple(self.node_names[i] for i in order),
        )


def _picked(rows: NDArray[Any] | None, order: Integers) -> Any:
    return None if rows is None else rows[order]


def make_graph(
    nodes: int,
    edges: ArrayLike,
    node_types: ArrayLike | None = None,
    edge_types: ArrayLike | None = None,
    node_features: ArrayLike | None = None,
    edge_features: ArrayLike | None = None,
    target: ArrayLike | None = None,
    node_targets: ArrayLike | None = None,
    name: str = "",
    links: ArrayLike | None = None,
    link_targets: ArrayLike | None = None,
    node_names: Sequence[str] | None = None,
) -> Graph:
    """A graph of edges in any order, in one direction or both; the first of equal ones counts.

    A directed edge is taken for both directions; what is known of edges may differ by direction. Raises DataError for a
    graph without nodes, edges and links between nodes that are not there, and features, names or targets that do not
    belong to each node, edge or link.
    """
    what = f"the graph {name!r}" if name else "a graph"
    if nodes < 1:
        raise DataError(f"{what} has no nodes; there is nothing to say about it")
    if nodes > MOST_NODES:
        raise DataError(
            f"{what} has {nodes:,} nodes and so {nodes**2:,} pairs of them, more than a model of all pairs can go "
            f"through; cut it into graphs of at most {MOST_NODES:,} nodes, such as the neighbourhoods of its nodes"
        )
    ends = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    if len(ends) and (ends.min() < 0 or ends.max() >= nodes):
        raise DataError(f"{what} has {nodes} nodes, numbered from 0, and an edge to node {_outside(ends, nodes)}")
    asked = None if links is None else np.asarray(links, dtype=np.int64).reshape(-1, 2)
    if asked is not None and len(asked) and (asked.min() < 0 or asked.max() >= nodes):
        raise DataError(f"{what} has {nodes} nodes, numbered from 0, and is asked about node {_outside(asked, nodes)}")
    if (asked is None) != (link_targets is None):
        raise DataError(f"{what} has links without targets of them, or targets without links")
    if node_names is not None and len(node_names) != nodes:
        raise DataError(f"{what} has {nodes} nodes and names of {len(node_names)}")
    of_edges = [_rows(values, len(ends), kind, "edges", what) for values, kind in _typed(edge_types, edge_features)]
    of_nodes = [_rows(values, nodes, kind, "nodes", what) for values, kind in _typed(node_types, node_features)]
    both = np.concatenate((ends, ends[:, ::-1]))
    places, first = np.unique(both[:, 0] * nodes + both[:, 1], return_index=True)
    source = first % max(1, len(ends))  # what a reversed edge has is that of the edge
    return Graph(
        nodes,
        np.stack((places // nodes, places % nodes), axis=1),
        of_nodes[0],
        None if of_edges[0] is None else of_edges[0][source],
        of_nodes[1],
        None if of_edges[1] is None else of_edges[1][source],
        None if target is None else np.asarray(target),
        None if node_targets is None else _targets(node_targets, nodes, f"{what} has {nodes} nodes"),
        name,
        asked,
        None if asked is None else _targets(link_targets, len(asked), f"{what} is asked about {len(asked)} links"),
        None if node_names is None else tuple(node_names),
    )


def _typed(types: ArrayLike | None, features: ArrayLike | None) -> list[tuple[ArrayLike | None, Any]]:
    return [(types, np.int64), (features, np.float32)]


def _targets(values: ArrayLike | None, count: int, what: str) -> NDArray[Any]:
    rows = np.asarray(values)
    if not rows.ndim or len(rows) != count:
        raise DataError(f"{what} and targets of {len(rows) if rows.ndim else 0}")
    return rows


def _outside(ends: Integers, nodes: int) -> int:
    return int(ends[(ends < 0) | (ends >= nodes)][0])


def _rows(values: ArrayLike | None, count: int, kind: Any, of: str, what: str) -> NDArray[Any] | None:
    if values is None:
        return None
    rows = np.asarray(values)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or len(rows) != count:
        raise DataError(f"{what} has {count} {of} and features of {len(rows) if rows.ndim else 0}")
    if kind is np.int64 and (rows != rows.astype(np.int64)).any():
        raise DataError(f"categories of {of} of {what} are whole numbers from 0")
    rows = rows.astype(kind)
    if kind is np.int64 and len(rows) and rows.min() < 0:
        raise DataError(f"categories of {of} of {what} are whole numbers from 0, and one is {rows.min()}")
    if not np.isfinite(rows).all():
        raise DataError(f"features of {of} of {what} are not all finite numbers")
    return rows if rows.shape[1] else None


@dataclass(frozen=True)
class Widths:
    """What all graphs of a set have in common: the size of each category and how many real features there are."""

    node_types: tuple[int, ...]
    edge_types: tuple[int, ...]
    node_features: int
    edge_features: int


def widths(graphs: Sequence[Graph]) -> Widths:
    """The widths of a set of graphs; DataError where graphs do not all have the same features."""
    names = ("node_types", "edge_types", "node_features", "edge_features")
    found: dict[str, Any] = {}
    for name in names:
        rows = [getattr(graph, name) for graph in graphs]
        # A graph without edges has nothing to say about their features.
        said = [r for r, g in zip(rows, graphs, strict=True) if name.startswith("node") or len(g.edges)]
        columns = {0 if r is None else r.shape[1] for r in said}
        if len(columns) > 1:
            raise DataError(f"some graphs have {min(columns)} and some {max(columns)} {name.replace('_', ' ')}")
        width = columns.pop() if columns else 0
        if name.endswith("features"):
            found[name] = width
        else:
            most = np.max([r.max(0) for r in said if r is not None and len(r)], axis=0) if width else ()
            found[name] = tuple(int(m) + 1 for m in most)
    return Widths(**found)
