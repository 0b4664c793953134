"""Graphs from files: one graph in the usual formats, or many in tables of edges, nodes and graphs."""

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import networkx as nx
import numpy as np

from formarium.config import suggestion
from formarium.errors import DataError
from formarium.progress import notice
from formarium.tasks.graphs.graph import MOST_NODES, Graph, make_graph
from formarium.tasks.task import CALLED, SPLITS


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


@dataclass(frozen=True)
class Columns:
    """What the columns of a table mean.

    types, asked: names of categories, and of what is asked for, each with its words in order (None: whole numbers, and
    numbers that are asked for). features: names of reals.
    """

    types: Mapping[str, Sequence[str] | None]
    features: Sequence[str]
    asked: Mapping[str, Sequence[str] | None]


def read_tables(
    edges: Path,
    nodes: Path | None = None,
    graphs: Path | None = None,
    links: Path | None = None,
    *,
    meaning: Mapping[str, Columns] | None = None,
    answered: bool = True,
) -> list[Graph]:
    """Graphs from CSV files with headers, in the order in which they are first named.

    edges: ``source``, ``target``; nodes (optional; else those that edges name): ``node``; graphs (optional): ``graph``;
    links (optional), pairs of nodes that are asked about: ``source``, ``target``. Where there are several graphs,
    edges, nodes and links have a column ``graph`` as well. Columns whose names begin with ``type`` are categories; in
    nodes, graphs and links a column ``label`` is a class and those that begin with ``target`` (in links ``target_``)
    are numbers that are asked for; in graphs, and in nodes of one graph, ``split`` says what each is for; all others
    are real features, which only nodes and edges have. Words count as categories in the order of the alphabet.
    meaning: as ``columns_of`` tells it of the tables that a model learned from, to read others as these; answered:
    whether they hold what is asked for, which is left aside else. Raises DataError for what is missing or does not fit.
    """
    paths = {"edge": edges, "link": links, "node": nodes, "graph": graphs}
    rows = {kind: _rows(path, kind) for kind, path in paths.items()}
    edge_rows, link_rows, node_rows, graph_rows = rows.values()
    _need(edge_rows, ("source", "target"), edges)
    several = "graph" in _columns(edge_rows) or bool(graph_rows)
    if nodes is not None:
        _need(node_rows, ("node", "graph") if several else ("node",), nodes)
    if graphs is not None:
        _need(graph_rows, ("graph",), graphs)
        _need(edge_rows, ("graph",), edges)
    if links is not None:
        _need(link_rows, ("source", "target", "graph") if several else ("source", "target"), links)
    tables = {kind: _Columns(rows[kind], paths[kind], kind, (meaning or {}).get(kind), answered) for kind in rows}
    for kind, why in (("link", "pairs that are asked about"), ("graph", "whole graphs")):
        other = next(iter((*tables[kind].meaning.types, *tables[kind].meaning.features)), "")
        if other:
            raise DataError(f"{paths[kind]} holds {why}, which have no features as {other!r}")
    names = list(dict.fromkeys(row.get("graph", "") for row in (*graph_rows, *node_rows, *edge_rows)))
    of_edges, of_nodes, of_links = _by_graph(edge_rows), _by_graph(node_rows), _by_graph(link_rows)
    unknown = next((name for name in of_links if name not in set(names)), None)
    if unknown is not None:
        raise DataError(f"{links} asks about the graph {unknown!r}, which {edges} does not have")
    of_graphs = {row["graph"]: index for index, row in enumerate(graph_rows)}
    if len(of_graphs) < len(graph_rows):
        raise DataError(f"{graphs} names the graph {_twice(row['graph'] for row in graph_rows)!r} twice")
    splits = _splits(node_rows, nodes)
    if splits is not None and len(names) > 1:
        raise DataError(f"{nodes} splits the nodes of several graphs; of these, graphs.csv says what each is for")
    made = []
    for name in names:
        own, held = of_edges.get(name, []), of_nodes.get(name, [])
        if graph_rows and name not in of_graphs:
            raise DataError(f"{graphs} says nothing of the graph {name!r}")
        known = [node_rows[i]["node"] for i in held] if node_rows else []
        ends = [(edge_rows[i]["source"], edge_rows[i]["target"]) for i in own]
        number = {
            node: index for index, node in enumerate(known or dict.fromkeys(end for edge in ends for end in edge))
        }
        if len(set(known)) < len(known):
            where = f" of the graph {name!r}" if several else ""
            raise DataError(f"{nodes} names the node {_twice(known)!r}{where} twice")
        asked = of_links.get(name, [])
        pairs = [(link_rows[i]["source"], link_rows[i]["target"]) for i in asked]
        made.append(
            make_graph(
                len(number),
                _as_numbers(ends, number, f"{edges} joins", nodes),
                node_types=tables["node"].types(held),
                edge_types=tables["edge"].types(own),
                node_features=tables["node"].features(held),
                edge_features=tables["edge"].features(own),
                target=tables["graph"].target(of_graphs[name]) if graph_rows else None,
                node_targets=tables["node"].target(held) if node_rows else None,
                name=name,
                links=_as_numbers(pairs, number, f"{links} asks about", nodes or edges) if links else None,
                link_targets=tables["link"].target(asked) if links else None,
                node_names=list(number),
                node_splits=splits,
            )
        )
    return made


def in_splits(made: Sequence[Graph], graphs: Path | None) -> dict[str, list[Graph]] | None:
    """The graphs of ``read_tables`` in the splits that the table of graphs gives them; None where it gives none."""
    splits = _splits(_rows(graphs, "graph"), graphs)
    if splits is None:
        return None
    return {
        split: [graph for graph, own in zip(made, splits, strict=True) if own == number]
        for number, split in enumerate(SPLITS)
        if (splits == number).any()
    }


def _splits(rows: Sequence[Mapping[str, str]], path: Path | None) -> np.ndarray | None:
    """The number of each row's split, -1 where the field is empty; None without such a column."""
    if "split" not in _columns(rows):
        return None
    found = []
    for line, row in enumerate(rows, 2):
        word = row["split"].lower()
        if word and word not in CALLED:
            raise DataError(f"{path}, line {line}: a split is {', '.join(SPLITS)} or empty, not {row['split']!r}")
        found.append(SPLITS.index(CALLED[word]) if word else -1)
    return np.array(found, dtype=np.int64)


def columns_of(
    edges: Path, nodes: Path | None = None, graphs: Path | None = None, links: Path | None = None
) -> dict[str, Columns]:
    """What the columns of tables of edges, links, nodes and graphs mean, by these names without the last letter."""
    paths = {"edge": edges, "link": links, "node": nodes, "graph": graphs}
    return {kind: _Columns(_rows(path, kind), path, kind).meaning for kind, path in paths.items()}


_ENDS_OF = ("graph", "source", "target")
# Columns that are neither features nor asked for.
_KEYS = {"edge": _ENDS_OF, "link": _ENDS_OF, "node": ("graph", "node", "split"), "graph": ("graph", "split")}


class _Columns:
    """The columns of one file, as numbers; with ``known``, read as those of another one, ``answered`` or not."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, str]],
        path: Path | None,
        kind: str,
        known: Columns | None = None,
        answered: bool = True,
    ) -> None:
        names = [name for name in _columns(rows) if name not in _KEYS[kind]]
        questions = [n for n in names if n == "label" or n.startswith("target")] if kind != "edge" else []
        if "label" in questions and len(questions) > 1:
            raise DataError(f"{path} has both a label and targets, of which one can be asked for")
        typed = [n for n in names if n.startswith("type")]
        rest = [n for n in names if n not in questions and n not in typed]
        if known is None:
            self.meaning = Columns(
                {n: _words_of(rows, n) for n in typed},
                rest,
                {n: _words_of(_labelled(rows), n) if n == "label" else None for n in questions},
            )
        else:
            self.meaning = known
            _as_before(kind, path, (*typed, *rest), (*known.types, *known.features))
            if answered:
                _as_before(kind, path, questions, tuple(known.asked))
        if answered:
            asked = self.meaning.asked.items()
            answers = [
                _categories(rows, n, words, path) if n == "label" else _numbers(rows, n, path, gaps=True)
                for n, words in asked
            ]
        else:
            answers = [np.full(len(rows), np.nan)] if kind == "link" else []
        self._target = _stacked(answers)
        self._types = _stacked([_categories(rows, n, words, path) for n, words in self.meaning.types.items()])
        self._features = _stacked([_numbers(rows, n, path) for n in self.meaning.features])

    def types(self, rows: Sequence[int]) -> np.ndarray | None:
        return None if self._types is None else self._types[rows]

    def features(self, rows: Sequence[int]) -> np.ndarray | None:
        return None if self._features is None else self._features[rows]

    def target(self, rows: Sequence[int] | int) -> np.ndarray | None:
        return None if self._target is None else self._target[rows]


def _as_numbers(
    pairs: Sequence[tuple[str, str]], number: Mapping[str, int], who: str, where: Path | None
) -> np.ndarray:
    """Pairs of nodes by number (P, 2); DataError for a node that there is not."""
    strange = next((end for pair in pairs for end in pair if end not in number), None)
    if strange is not None:
        raise DataError(f"{who} the node {strange!r}, which {where} does not have")
    return np.array([(number[a], number[b]) for a, b in pairs], dtype=np.int64).reshape(-1, 2)


def _twice(names: Iterable[str]) -> str:
    return Counter(names).most_common(1)[0][0]


def _stacked(columns: Sequence[np.ndarray]) -> np.ndarray | None:
    return np.stack(columns, axis=1) if columns else None


def _numbers(rows: Sequence[Mapping[str, str]], name: str, path: Path | None, gaps: bool = False) -> np.ndarray:
    """The numbers of a column; with ``gaps``, nan where the field is empty."""
    values = []
    for number, row in enumerate(rows, 2):
        if not row[name]:
            if not gaps:
                raise DataError(f"{path}, line {number}, has nothing in the column {name!r}")
            values.append(math.nan)
            continue
        try:
            values.append(float(row[name]))
        except ValueError:
            raise DataError(
                f"{path}, line {number}: {row[name]!r} in the column {name!r} is no number; the names of columns of "
                "categories begin with 'type'"
            ) from None
        if math.isinf(values[-1]):
            raise DataError(f"{path}, line {number}: {row[name]!r} in the column {name!r} is not finite")
    return np.array(values)


def _is_unknown(label: str) -> bool:
    return label.strip().lower() in ("", "nan")


def _words_of(rows: Sequence[Mapping[str, str]], name: str) -> list[str] | None:
    """The categories of a column in the order of the alphabet; None where all are whole numbers."""
    values = {row[name] for row in rows}
    return None if all(value.isdecimal() for value in values) else sorted(values)


def _categories(
    rows: Sequence[Mapping[str, str]], name: str, words: Sequence[str] | None, path: Path | None
) -> np.ndarray:
    """Categories or classes by number; a class is -1 where the field is empty or ``nan``."""
    order = None if words is None else {word: index for index, word in enumerate(words)}
    values = []
    for number, row in enumerate(rows, 2):
        value = row[name]
        if name == "label" and _is_unknown(value):
            values.append(-1)
            continue
        if order is None and not value.isdecimal():
            raise DataError(
                f"{path}, line {number}: {value!r} in the column {name!r} is no whole number, as in training"
            )
        if order is not None and value not in order:
            raise DataError(
                f"{path}, line {number}: training knew no {value!r} in the column {name!r}{suggestion(value, order)}"
            )
        values.append(int(value) if order is None else order[value])
    return np.array(values, dtype=np.int64)


def _labelled(rows: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    return [row for row in rows if not _is_unknown(row["label"])]


def _as_before(kind: str, path: Path | None, names: Sequence[str], known: Sequence[str]) -> None:
    """DataError unless a table has the columns of the one that a model learned from."""
    where = path or f"the data, which have no table of {kind}s,"
    lacking = next((name for name in known if name not in names), None)
    if lacking is not None:
        raise DataError(f"{where} lacks the column {lacking!r}, which training had{suggestion(lacking, names)}")
    more = next((name for name in names if name not in known), None)
    if more is not None:
        raise DataError(f"{where} has a column {more!r}, which training did not have{suggestion(more, known)}")


def _rows(path: Path | None, kind: str) -> list[dict[str, str]]:
    if path is None:
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = [name.strip() for name in reader.fieldnames or ()]
            if len(set(names)) < len(names):
                raise DataError(f"{path} has the column {_twice(names)!r} twice")
            return [_filled(row, path, number, kind) for number, row in enumerate(reader, 2)]
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable CSV file: {error}") from None


def _filled(row: Mapping[Any, Any], path: Path, number: int, kind: str) -> dict[str, str]:
    if None in row or None in row.values():
        raise DataError(f"{path}, line {number}, has not as many entries as the header has names")
    filled = {name.strip(): value.strip() for name, value in row.items()}
    empty = next((name for name in _KEYS[kind] if name != "split" and filled.get(name) == ""), None)
    if empty is not None:
        raise DataError(f"{path}, line {number}, names no {empty}")
    return filled


def _columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    return list(rows[0]) if rows else []


def _need(rows: Sequence[Mapping[str, str]], names: Sequence[str], path: Path) -> None:
    if not rows:
        raise DataError(f"{path} holds no rows")
    missing = [name for name in names if name not in rows[0]]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}; it has {', '.join(rows[0])}")


def _by_graph(rows: Sequence[Mapping[str, str]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        found.setdefault(row.get("graph", ""), []).append(index)
    return found


def tables_of(path: Path) -> Iterator[Path | None]:
    """The files of edges, nodes, graphs and links that a folder, or a file of edges and its neighbours, has."""
    folder, edges = (path, path / "edges.csv") if path.is_dir() else (path.parent, path)
    yield edges
    for name in ("nodes.csv", "graphs.csv", "links.csv"):
        yield folder / name if (folder / name).is_file() else None
