"""One graph as plain arrays, whatever library it came from."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from formarium.errors import DataError
from formarium.tasks.data import digest_of_arrays

Integers = NDArray[np.int64]
Reals = NDArray[np.float32]

Level = Literal["graph", "node", "pair"]  # what is asked about

MOST_CATEGORIES = 1 << 20  # each has a row in a table
MOST_NODES = 32768  # beyond, a dense grid of pairs takes gigabytes before any feature of them is made


@dataclass(frozen=True)
class Graph:
    """An undirected graph of n >= 1 nodes with M directed edges, each edge once in either direction; loops may be.

    edges: (M, 2) numbers of nodes, sorted. node_types, edge_types: (n, C), (M, C) categories. node_features,
    edge_features: (n, F), (M, F) reals. target: what is asked of the graph, () or (O,); node_targets: of its nodes,
    (n,) or (n, O); link_targets: of the pairs of nodes ``links`` (L, 2), joined or not, (L,) or (L, O). node_names:
    what nodes are called where they come from, or None. node_splits: (n,), 0 for nodes to learn from, 1 for validation,
    2 for the test and -1 for none, where the data say so. Make one with ``make_graph``, which checks and sorts.
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
    node_splits: Integers | None = None

    def adjacency(self) -> NDArray[np.bool_]:
        """(n, n), true where there is an edge."""
        grid = np.zeros((self.nodes, self.nodes), dtype=bool)
        grid[self.edges[:, 0], self.edges[:, 1]] = True
        return grid

    def fingerprint(self) -> str:
        """Hexadecimal digits that change with anything but the names of the graph and its nodes."""
        parts = (getattr(self, field.name) for field in fields(self))
        return digest_of_arrays(np.array(self.nodes), *(p for p in parts if p is None or isinstance(p, np.ndarray)))

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
            _picked(self.node_splits, order),
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
    node_splits: ArrayLike | None = None,
) -> Graph:
    """A graph of edges in any order, in one direction or both; the first of equal ones counts.

    edges, links: rows of two numbers. Targets that are whole numbers or truths are classes. A directed edge is taken
    for both directions; what is known of edges may differ by direction. Raises DataError for a
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
    ends = _pairs_of(edges, what, "edges")
    if len(ends) and (ends.min() < 0 or ends.max() >= nodes):
        raise DataError(f"{what} has {nodes} nodes, numbered from 0, and an edge to node {_outside(ends, nodes)}")
    asked = None if links is None else _pairs_of(links, what, "links")
    if asked is not None and len(asked) and (asked.min() < 0 or asked.max() >= nodes):
        raise DataError(f"{what} has {nodes} nodes, numbered from 0, and is asked about node {_outside(asked, nodes)}")
    if (asked is None) != (link_targets is None):
        raise DataError(f"{what} has links without targets of them, or targets without links")
    if node_names is not None and len(node_names) != nodes:
        raise DataError(f"{what} has {nodes} nodes and names of {len(node_names)}")
    splits = None if node_splits is None else np.asarray(node_splits, dtype=np.int64)
    if splits is not None and splits.shape != (nodes,):
        raise DataError(f"{what} has {nodes} nodes and splits of {splits.size}")
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
        None if target is None else _answers(target, what, ()),
        None if node_targets is None else _targets(node_targets, nodes, what, "has", "nodes"),
        name,
        asked,
        None if asked is None else _targets(link_targets, len(asked), what, "is asked about", "links"),
        None if node_names is None else tuple(node_names),
        splits,
    )


def _typed(types: ArrayLike | None, features: ArrayLike | None) -> list[tuple[ArrayLike | None, Any]]:
    return [(types, np.int64), (features, np.float32)]


def _pairs_of(values: ArrayLike, what: str, of: str) -> Integers:
    """Rows of two nodes; DataError for another shape, such as two rows of all ends."""
    try:
        rows = np.asarray(values)
    except ValueError:  # rows of several lengths
        raise DataError(f"{of} of {what} are rows of two nodes each") from None
    if not rows.size:
        return np.zeros((0, 2), dtype=np.int64)
    if rows.ndim != 2 or rows.shape[1] != 2:
        hint = "; turn them over" if rows.ndim == 2 and len(rows) == 2 else ""
        raise DataError(f"{of} of {what} are rows of two nodes, not of the shape {rows.shape}{hint}")
    if rows.dtype.kind not in "iuf" or not np.isfinite(rows).all() or (rows % 1 != 0).any():
        raise DataError(f"{of} of {what} are between numbers of nodes, which are whole")
    return rows.astype(np.int64)


def _targets(values: ArrayLike | None, count: int, what: str, has: str, of: str) -> NDArray[Any]:
    rows = np.asarray(values)
    if not rows.ndim or len(rows) != count:
        raise DataError(f"{what} {has} {count} {of} and targets of {len(rows) if rows.ndim else 0}")
    return _answers(rows, what, (count,))


def _answers(values: ArrayLike, what: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Targets, those that are one number each without an axis for it; classes as integers of one kind."""
    rows = np.asarray(values)
    if rows.dtype.kind in "US" or (rows.dtype.kind == "O" and any(isinstance(x, str) for x in rows.reshape(-1))):
        raise DataError(f"targets of {what} are words; number the classes from 0, or use tables, which take words")
    if rows.dtype.kind == "O":
        try:
            rows = rows.astype(np.float64)  # None among numbers is nan
        except (TypeError, ValueError):
            raise DataError(f"targets of {what} are no numbers, but {type(rows.flat[0]).__name__}") from None
    if rows.shape == (*shape, 1):
        rows = rows[..., 0]
    if rows.dtype.kind in "biu":
        return rows.astype(np.int64)
    if rows.dtype.kind == "f" and np.isinf(rows).any():
        raise DataError(f"a target of {what} is not finite (nan: one that is not known)")
    return rows


def _outside(ends: Integers, nodes: int) -> int:
    return int(ends[(ends < 0) | (ends >= nodes)][0])


def _rows(values: ArrayLike | None, count: int, kind: Any, of: str, what: str) -> NDArray[Any] | None:
    if values is None:
        return None
    rows = np.asarray(values)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim > 2:
        raise DataError(f"features of {of} of {what} are a row for each, not of the shape {rows.shape}")
    if rows.ndim != 2 or len(rows) != count:
        raise DataError(f"{what} has {count} {of} and features of {len(rows) if rows.ndim else 0}")
    if rows.dtype.kind in "USO":
        raise DataError(
            f"what is known of {of} of {what} are numbers, of categories whole ones from 0, not {str(rows[0, 0])!r}"
        )
    if kind is np.int64 and not (np.isfinite(rows).all() and (rows % 1 == 0).all()):
        raise DataError(f"categories of {of} of {what} are whole numbers from 0")
    rows = rows.astype(kind)
    if kind is np.int64 and len(rows) and rows.min() < 0:
        raise DataError(f"categories of {of} of {what} are whole numbers from 0, and one is {rows.min()}")
    if kind is np.int64 and len(rows) and rows.max() >= MOST_CATEGORIES:
        raise DataError(f"categories of {of} of {what} are numbered from 0 on, and one is {rows.max():,}")
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


def with_edge_columns(graphs: Sequence[Graph], types: int, features: int) -> list[Graph]:
    """The graphs, those without edges with as many columns of what is known of edges as the others have."""
    no_types = np.zeros((0, types), dtype=np.int64) if types else None
    no_features = np.zeros((0, features), dtype=np.float32) if features else None
    bare = {"edge_types": no_types, "edge_features": no_features}
    return [graph if len(graph.edges) else replace(graph, **cast(Any, bare)) for graph in graphs]
