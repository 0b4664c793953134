"""Graphs from files in the usual formats, without what their nodes and edges are."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import networkx as nx

from formarium.errors import DataError
from formarium.progress import notice
from formarium.tasks.graphs.graph import MOST_NODES


def read_graph(path: Path | str) -> "nx.Graph[Any]":
    """The one graph of a file, see ``read_graphs``; DataError for another number of them."""
    found = read_graphs(path)
    if len(found) != 1:
        raise DataError(f"{path} holds {len(found)} graphs, one a line, where one is wanted")
    return found[0]


def has_graphs(path: Path) -> bool:
    """Whether a file is of a kind that ``read_graphs`` knows by its name."""
    return path.is_file() and path.suffix.lower().removeprefix(".") in _FORMATS


def read_graphs(path: Path | str) -> "list[nx.Graph[Any]]":
    """The graphs of a file: one of .graphml, .gml, .json, .adjlist or of pairs of nodes by line; any of .g6 or .s6.

    .g6 is graph6, .s6 sparse6, with a graph in each line. JSON is node-link data, ``{"nodes": ..., "edges": [[a, b],
    ...]}`` with a number or a list of nodes, which edges may name by their places in it where nodes are not numbers
    themselves, or only a list of pairs. Raises DataError, saying what is wrong, for a file that cannot be read so, and
    for a graph without nodes.
    """
    path = Path(path)
    kind = path.suffix.lower().removeprefix(".")
    try:
        graphs = _FORMATS[kind](path) if kind in _FORMATS else [_read_pairs(path)]
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except DataError:
        raise
    except Exception as error:  # the readers of networkx raise many kinds, as their parsers do
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        what = kind if kind in _FORMATS else "list of edges"
        raise DataError(f"{path} is not a readable {what} file: {reason}") from None
    if not all(graph.number_of_nodes() for graph in graphs):
        raise DataError(f"{path} holds a graph without nodes")
    return graphs


def _read_lines(path: Path, read: Callable[[bytes], Any]) -> "list[nx.Graph[Any]]":
    """The graphs of a file with one in each line."""
    return [read(_sized(line.strip(), path)) for line in path.read_bytes().splitlines() if line.strip()]


def _sized(line: bytes, path: Path) -> bytes:
    """The line of a graph in graph6 or sparse6, which begins with how many nodes it has: not too many."""
    numbers = [byte - 63 for byte in line.removeprefix(b">>graph6<<").removeprefix(b">>sparse6<<").removeprefix(b":")]
    count = 0
    if numbers and numbers[0] == 63:
        places = slice(2, 8) if numbers[1:2] == [63] else slice(1, 4)
        for number in numbers[places]:
            count = 64 * count + number
    _few_enough(count, path)
    return line


def _few_enough(nodes: int, path: Path) -> None:
    if nodes > MOST_NODES:
        raise DataError(f"{path} says that it has {nodes} nodes; graphs of up to {MOST_NODES} are read")


def _read_json(path: Path) -> "nx.Graph[Any]":
    data = json.loads(path.read_text(encoding="utf-8"))
    held = data if isinstance(data, Mapping) else {"edges": data}
    edges, nodes = held.get("edges", held.get("links")), held.get("nodes")
    if not isinstance(edges, list):
        raise DataError(f"{path} holds no list of edges: neither 'edges' nor 'links', nor pairs of nodes")
    if isinstance(nodes, int) and not isinstance(nodes, bool) and nodes >= 0:
        _few_enough(nodes, path)
        nodes = list(range(nodes))
    if nodes is not None and not isinstance(nodes, list):
        raise DataError(f"{path}: nodes are a list, or how many there are, not {nodes!r}")
    kinds = {(0, 0): nx.Graph, (1, 0): nx.DiGraph, (0, 1): nx.MultiGraph, (1, 1): nx.MultiDiGraph}
    graph: nx.Graph[Any] = kinds[held.get("directed") is True, held.get("multigraph") is True]()
    known: dict[Any, Any] = {}  # what edges may call a node, and the node
    if nodes is not None:
        names = [node.get("id", place) if isinstance(node, Mapping) else node for place, node in enumerate(nodes)]
        graph.add_nodes_from(names)
        if graph.number_of_nodes() < len(names):
            raise DataError(f"{path} names a node twice")
        places = {} if any(isinstance(name, int) for name in names) else dict(enumerate(names))
        known = places | {name: name for name in names}
    for edge in edges:
        ends = (edge["source"], edge["target"]) if isinstance(edge, Mapping) else edge
        if not isinstance(ends, list | tuple) or len(ends) < 2:
            raise DataError(f"{path}: {edge!r} is not an edge between two nodes")
        ends = ends[:2]
        if nodes is not None:
            stranger = next((end for end in ends if end not in known), None)
            if stranger is not None:
                raise DataError(f"{path}: an edge ends at {stranger!r}, which is not among the nodes")
            ends = [known[end] for end in ends]
        graph.add_edge(*ends)
    return graph


def _read_pairs(path: Path) -> "nx.Graph[Any]":
    graph: nx.Graph[Any] = nx.Graph()
    text = path.read_text(encoding="utf-8-sig")
    rows = [(number, _words(line)) for number, line in enumerate(text.splitlines(), 1)]
    rows = [(number, words) for number, words in rows if words]
    if rows and _is_header([words for _, words in rows]):
        names = [name.lower() for name in rows[0][1]]
        if "graph" in names and len({words[names.index("graph")] for _, words in rows[1:]}) > 1:
            raise DataError(f"{path} holds several graphs, where one is wanted")
        places = next(([names.index(n) for n in ends] for ends in _ENDS if set(ends) <= set(names)), None)
        if places is None:
            notice(f"the first line of {path} is taken for names of columns, the first two of which are nodes")
            places = [0, 1]
        return nx.Graph([(words[places[0]], words[places[1]]) for _, words in rows[1:]])
    width = next((len(words) for _, words in rows if len(words) in (2, 3)), 2)
    for number, words in rows:
        if len(words) == 1:
            graph.add_node(words[0])
            continue
        if len(words) > 3 and not words[2].startswith("{"):
            raise DataError(f"{path}, line {number}, is not an edge: two nodes, and a weight at most")
        if len(words) in (2, 3) and len(words) != width:
            raise DataError(
                f"{path}, line {number}, has {len(words)} entries, and others {width}: all edges have a weight, or "
                "none (lists of neighbours are read from a file .adjlist)"
            )
        if len(words) == 3 and not words[2].startswith("{"):
            _weight(words[2], path, number)
        graph.add_edge(words[0], words[1])
    return graph


_ENDS = (("source", "target"), ("from", "to"))


def _words(line: str) -> list[str]:
    return line.partition("#")[0].replace(",", " ").replace(";", " ").split()


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns: it names two ends, or is in words where all others are whole numbers."""
    first = [word.lower() for word in rows[0]]
    if any(set(ends) <= set(first) for ends in _ENDS):
        return len({len(row) for row in rows}) == 1
    numbers = [len(row) > 1 and row[0].isdecimal() and row[1].isdecimal() for row in rows[1:]]
    return len(first) > 1 and bool(numbers) and all(numbers) and not any(word.isdecimal() for word in first)


def _weight(word: str, path: Path, number: int) -> None:
    try:
        float(word)
    except ValueError:
        raise DataError(f"{path}, line {number}: behind two nodes stands their weight, not {word!r}") from None


def _read_graph6(path: Path) -> "list[nx.Graph[Any]]":
    return _read_lines(path, cast(Any, nx).from_graph6_bytes)


def _read_sparse6(path: Path) -> "list[nx.Graph[Any]]":
    return _read_lines(path, cast(Any, nx).from_sparse6_bytes)


_FORMATS: dict[str, Callable[[Path], "list[nx.Graph[Any]]"]] = {
    "graphml": lambda path: [nx.read_graphml(path)],
    "gml": lambda path: [cast(Any, nx).read_gml(path, label=None)],
    "g6": _read_graph6,
    "graph6": _read_graph6,
    "s6": _read_sparse6,
    "sparse6": _read_sparse6,
    "json": lambda path: [_read_json(path)],
    "adjlist": lambda path: [cast(Any, nx).read_adjlist(path)],
}
