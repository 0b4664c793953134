"""A set of graphs that is on every machine with networkx: all connected graphs of four to seven nodes, 992 of them.

Read and Wilson, An Atlas of Graphs, 1998. What is asked of them is worked out on the spot.
"""

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np

from formarium.config import suggestion
from formarium.errors import DataError
from formarium.tasks.graphs.graph import Graph, make_graph


def _laplacian(graph: "nx.Graph[int]") -> np.ndarray:
    adjacency = nx.to_numpy_array(graph)
    return np.diag(adjacency.sum(1)) - adjacency


def _cut_nodes(graph: "nx.Graph[int]") -> np.ndarray:
    cut = set(nx.articulation_points(graph))
    return np.array([int(node in cut) for node in graph])


# Real numbers are regressed on, whole ones are classes; an array is of nodes.
LABELS: dict[str, Callable[[Any], Any]] = {
    "spanning_trees": lambda graph: float(np.linalg.slogdet(_laplacian(graph)[1:, 1:])[1]),  # their logarithm
    "triangles": lambda graph: float(np.trace(np.linalg.matrix_power(nx.to_numpy_array(graph), 3)) / 6),
    "connectivity": lambda graph: float(np.linalg.eigvalsh(_laplacian(graph))[1]),
    "planar": lambda graph: int(nx.check_planarity(graph)[0]),
    "bipartite": lambda graph: int(nx.is_bipartite(graph)),
    "cut_nodes": _cut_nodes,
}


def atlas(label: str) -> list[Graph]:
    """The graphs with the named label; DataError for one that is not known."""
    if label not in LABELS:
        raise DataError(f"nothing called {label!r} is worked out of graphs{suggestion(label, LABELS)}")
    made = []
    for graph in nx.graph_atlas_g():
        if graph.number_of_nodes() >= 4 and nx.is_connected(graph):
            asked = np.asarray(LABELS[label](graph))
            given: dict[str, Any] = {"node_targets" if asked.ndim else "target": asked}
            made.append(make_graph(len(graph), np.array(graph.edges()), name=graph.name, **given))
    return made
