"""Whether two graphs are the same up to the names of their nodes, answered within a bound of time.

The search is VF2++ (Jüttner and Madarasi 2018) of networkx, told the colours that refinement ends with. It runs in a
process of its own, which is ended when the time is up.
"""

import json
import subprocess
import sys
from typing import IO, cast

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
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as search:
        cast(IO[str], search.stdout).readline()  # it is ready: the time that its imports took does not count
        try:
            found, errors = search.communicate(json.dumps(graphs), timeout=seconds)
        except subprocess.TimeoutExpired:
            search.kill()
            return None
    if search.returncode:
        raise FormariumError(f"the search for an isomorphism failed: {errors.strip().splitlines()[-1:]}")
    return found.strip() == "True"


def _search() -> None:
    """Says that it is ready, reads two graphs from standard input and prints whether they are isomorphic."""
    print("ready", flush=True)
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
