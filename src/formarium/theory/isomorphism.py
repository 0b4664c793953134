"""Whether two graphs are the same up to the names of their nodes, answered within a bound of time.

The search is VF2++ (Jüttner and Madarasi 2018) of networkx, told the colours that refinement ends with. It runs in a
process of its own, which is ended when the time is up.
"""

import json
import subprocess
import sys

import networkx as nx
import numpy as np

from formarium.errors import FormariumError
from formarium.theory.colour_refinement import Adjacency, stable_colours


def isomorphic(first: Adjacency, second: Adjacency, seconds: float = 10.0) -> bool | None:
    """Whether two graphs (n, n), (m, m) are isomorphic; None where that is not known after so many seconds."""
    if first.shape != second.shape or first.sum() != second.sum():
        return False
    colours = [stable_colours(graph) for graph in (first, second)]
    if not np.array_equal(np.sort(colours[0]), np.sort(colours[1])):
        return False
    graphs = [
        {"edges": np.argwhere(np.triu(graph)).tolist(), "colours": [int(c) for c in own]}
        for graph, own in zip((first, second), colours, strict=True)
    ]
    command = [sys.executable, "-m", "formarium.theory.isomorphism"]
    try:
        done = subprocess.run(
            command, input=json.dumps(graphs), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise FormariumError(f"the search for an isomorphism failed: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout.strip() == "True"


def _search() -> None:
    """Reads two graphs from standard input and prints whether they are isomorphic."""
    graphs = []
    for data in json.load(sys.stdin):
        graph: nx.Graph = nx.Graph()
        graph.add_nodes_from((node, {"colour": colour}) for node, colour in enumerate(data["colours"]))
        graph.add_edges_from(data["edges"])
        graphs.append(graph)
    first, second = graphs
    print(nx.vf2pp_is_isomorphic(first, second, node_label="colour"))


if __name__ == "__main__":
    _search()
