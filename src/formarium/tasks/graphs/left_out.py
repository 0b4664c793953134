"""What nodes are told of the graph without them: a subgraph encoding that random walks of the whole graph do not hold.

Subgraphs with one node left out are the simplest of those that message passing over subgraphs goes through (Bevilacqua
et al. 2022, arXiv 2110.02910); what is kept of each here is how often walks in it come back.
"""

from dataclasses import replace

import numpy as np
import torch

from formarium.parts.stems.random_walk import random_walks
from formarium.tasks.graphs.graph import Graph

# Chances are brought to multiples of one in this many, so that rounding on the way tells no two graphs apart. It is a
# prime, so that none lies half way between two: which way that goes would depend on the order of the nodes.
_GRID = 999_983


def with_returns_of_left_out(graph: Graph, steps: int = 16) -> Graph:
    """The graph with ``steps`` real features of each node: the mean chance, over the other nodes, to be back.

    After 1, 2, ... steps of a walk in the graph without the node. They join the features that it has.
    """
    chances = np.empty((graph.nodes, steps))
    for node in range(graph.nodes):
        without = graph.adjacency().astype(np.float64)
        without[node], without[:, node] = 0, 0
        chances[node] = random_walks(torch.from_numpy(without), steps).diagonal(0, 0, 1)[1:].sum(-1)
    features = (np.round(chances / max(1, graph.nodes - 1) * _GRID) / _GRID).astype(np.float32)
    own = [] if graph.node_features is None else [graph.node_features]
    return replace(graph, node_features=np.concatenate((*own, features), axis=1))
