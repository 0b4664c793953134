"""Graphs from tables of edges, nodes, graphs and pairs of nodes: what columns mean, and numbers for words."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from formarium.config import suggestion
from formarium.errors import DataError
from formarium.tasks.graphs.graph import Graph, make_graph
from formarium.tasks.task import CALLED, SPLITS

Kind = Literal["edge", "link", "node", "graph"]

_ENDS = ("graph", "source", "target")
# Columns that are neither features nor asked for.
_KEYS: Mapping[Kind, Sequence[str]] = {
    "edge": _ENDS,
    "link": _ENDS,
    "node": ("graph", "node", "split"),
    "graph": ("graph", "split"),
}
_FILES: Mapping[Kind, str] = {"link": "links.csv", "node": "nodes.csv", "graph": "graphs.csv"}


@dataclass(frozen=True)
class Columns:
    """What the columns of a table mean.

    types, asked: names of categories, and of what is asked for, each with its words in order (None: whole numbers, and
    numbers that are asked for). features: names of reals.
    """

    types: Mapping[str, Sequence[str] | None]
    features: Sequence[str]
    asked: Mapping[str, Sequence[str] | None]


@dataclass(frozen=True)
class Table:
    """Rows of texts by the names of columns. path: the file they come from, None where data have no such table.

    lines: the line of the file that each row comes from.
    """

    kind: Kind
    names: Sequence[str] = ()
    rows: Sequence[Mapping[str, str]] = ()
    path: Path | None = None
    lines: Sequence[int] = ()

    def place(self, row: int) -> str:
        """Where a row comes from, in words."""
        return f"{self.path}, line {self.lines[row]}"

    def need(self, *names: str) -> None:
        """DataError for a table without rows or without one of these columns."""
        if not self.rows:
            raise DataError(f"{self.path} holds no rows")
        missing = next((name for name in names if name not in self.names), None)
        if missing is not None:
            raise DataError(f"{self.path} has no column {missing!r}; it has {', '.join(self.names)}")

    def by_graph(self) -> dict[str, list[int]]:
        """The rows of each graph."""
        found: dict[str, list[int]] = {}
        for index, row in enumerate(self.rows):
            found.setdefault(row.get("graph", ""), []).append(index)
        return found

    def words(self, name: str) -> list[str] | None:
        """The categories of a column in the order of the alphabet, of labels those known; None for whole numbers."""
        values = {row[name] for row in self.rows}
        if name == "label":
            values = {value for value in values if not _is_unknown(value)}
        return None if all(value.isdecimal() for value in values) else sorted(values)

    def categories(self, name: str, words: Sequence[str] | None) -> np.ndarray:
        """Categories or classes by number; a class is -1 where the field is empty or ``nan``."""
        order = None if words is None else {word: index for index, word in enumerate(words)}
        values = []
        for number, row in enumerate(self.rows):
            value = row[name]
            if name == "label" and _is_unknown(value):
                values.append(-1)
                continue
            where = f"in the column {name!r}"
            if order is None and not value.isdecimal():
                raise DataError(f"{self.place(number)}: {value!r} {where} is no whole number, as in training")
            if order is not None and value not in order:
                raise DataError(f"{self.place(number)}: training knew no {value!r} {where}{suggestion(value, order)}")
            values.append(int(value) if order is None else order[value])
        return np.array(values, dtype=np.int64)

    def numbers(self, name: str, gaps: bool = False) -> np.ndarray:
        """The numbers of a column; with ``gaps``, nan where the field is empty."""
        values = []
        for number, row in enumerate(self.rows):
            if not row[name]:
                if not gaps:
                    raise DataError(f"{self.place(number)}, has nothing in the column {name!r}")
                values.append(math.nan)
                continue
            where = f"{row[name]!r} in the column {name!r}"
            try:
                values.append(float(row[name]))
            except ValueError:
                raise DataError(
                    f"{self.place(number)}: {where} is no number; the names of columns of categories begin with 'type'"
                ) from None
            if math.isinf(values[-1]):
                raise DataError(f"{self.place(number)}: {where} is not finite")
        return np.array(values, dtype=np.float64)

    def splits(self) -> np.ndarray | None:
        """The number of each row's split, -1 where the field is empty; None without such a column."""
        if "split" not in self.names:
            return None
        found = []
        for number, row in enumerate(self.rows):
            word = row["split"].lower()
            if word and word not in CALLED:
                known = f"a split is {', '.join(SPLITS)} or empty"
                raise DataError(f"{self.place(number)}: {known}, not {row['split']!r}")
            found.append(SPLITS.index(CALLED[word]) if word else -1)
        return np.array(found, dtype=np.int64)


Tables = Mapping[Kind, Table]


def open_tables(path: Path) -> Tables:
    """The tables of a folder, or of a file of edges and its neighbours: see ``read_tables``.

    Raises DataError for a file that cannot be read, or has too few entries in a line.
    """
    folder, edges = (path, path / "edges.csv") if path.is_dir() else (path.parent, path)
    found = {kind: folder / name for kind, name in _FILES.items() if (folder / name).is_file()}
    return {kind: _read(kind, {"edge": edges, **found}.get(kind)) for kind in _KEYS}


def read_tables(tables: Tables, *, meaning: Mapping[str, Columns] | None = None, answered: bool = True) -> list[Graph]:
    """Graphs from tables, in the order in which they are first named.

    edges: ``source``, ``target``; nodes (else those that edges name): ``node``; graphs: ``graph``; links, pairs of
    nodes that are asked about: ``source``, ``target``; all but edges may be absent. Where there are several graphs,
    edges, nodes and links have a column ``graph`` as well. Columns whose names begin with ``type`` are categories; in
    nodes, graphs and links a column ``label`` is a class and those that begin with ``target`` (in links ``target_``)
    are numbers that are asked for; in graphs, and in nodes of one graph, ``split`` says what each is for; all others
    are real features, which only nodes and edges have. Words count as categories in the order of the alphabet.
    meaning: as ``columns_of`` tells it of the tables that a model learned from, to read others as these; answered:
    whether they hold what is asked for, which is left aside else. Raises DataError for what is missing or does not fit.
    """
    edges, links, nodes, graphs = (tables[kind] for kind in _KEYS)
    several = "graph" in edges.names or graphs.path is not None
    if nodes.path is not None:
        nodes.need(*(("node", "graph") if several else ("node",)))
    if graphs.path is not None:
        graphs.need("graph")
    if links.path is not None:
        links.need(*(("source", "target", "graph") if several else ("source", "target")))
    if edges.rows or nodes.path is None:
        edges.need(*(("source", "target", "graph") if graphs.path is not None else ("source", "target")))
    read = {kind: _Numbers(table, (meaning or {}).get(kind), answered) for kind, table in tables.items()}
    for table, why in ((links, "pairs that are asked about"), (graphs, "whole graphs")):
        other = next(iter((*read[table.kind].meaning.types, *read[table.kind].meaning.features)), "")
        if other:
            raise DataError(f"{table.path} holds {why}, which have no features as {other!r}")
    names = list(dict.fromkeys(row.get("graph", "") for row in (*graphs.rows, *nodes.rows, *edges.rows)))
    of_edges, of_nodes, of_links = edges.by_graph(), nodes.by_graph(), links.by_graph()
    unknown = next((name for name in of_links if name not in set(names)), None)
    if unknown is not None:
        raise DataError(f"{links.path} asks about the graph {unknown!r}, which {edges.path} does not have")
    of_graphs = {row["graph"]: index for index, row in enumerate(graphs.rows)}
    if len(of_graphs) < len(graphs.rows):
        raise DataError(f"{graphs.path} names the graph {_twice(row['graph'] for row in graphs.rows)!r} twice")
    splits = nodes.splits()
    if splits is not None and len(names) > 1:
        raise DataError(f"{nodes.path} splits the nodes of several graphs; of these, graphs.csv says what each is for")
    made = []
    for name in names:
        own, held = of_edges.get(name, []), of_nodes.get(name, [])
        if graphs.rows and name not in of_graphs:
            raise DataError(f"{graphs.path} says nothing of the graph {name!r}")
        known = [nodes.rows[i]["node"] for i in held]
        ends = [(edges.rows[i]["source"], edges.rows[i]["target"]) for i in own]
        number = {
            node: index for index, node in enumerate(known or dict.fromkeys(end for edge in ends for end in edge))
        }
        if len(set(known)) < len(known):
            where = f" of the graph {name!r}" if several else ""
            raise DataError(f"{nodes.path} names the node {_twice(known)!r}{where} twice")
        asked = of_links.get(name, [])
        pairs = [(links.rows[i]["source"], links.rows[i]["target"]) for i in asked]
        linked = links.path is not None
        made.append(
            make_graph(
                len(number),
                _as_numbers(ends, number, f"{edges.path} joins", nodes.path),
                node_types=read["node"].types(held),
                edge_types=read["edge"].types(own),
                node_features=read["node"].features(held),
                edge_features=read["edge"].features(own),
                target=read["graph"].target(of_graphs[name]) if graphs.rows else None,
                node_targets=read["node"].target(held) if nodes.rows else None,
                name=name,
                links=_as_numbers(pairs, number, f"{links.path} asks about", nodes.path or edges.path)
                if linked
                else None,
                link_targets=read["link"].target(asked) if linked else None,
                node_names=list(number),
                node_splits=splits,
            )
        )
    return made


def in_splits(made: Sequence[Graph], tables: Tables) -> dict[str, list[Graph]] | None:
    """The graphs of ``read_tables`` in the splits that the table of graphs gives them; None where it gives none."""
    splits = tables["graph"].splits()
    if splits is None:
        return None
    return {
        split: [graph for graph, own in zip(made, splits, strict=True) if own == number]
        for number, split in enumerate(SPLITS)
        if (splits == number).any()
    }


def columns_of(tables: Tables) -> dict[str, Columns]:
    """What the columns of each table mean."""
    return {kind: _Numbers(table).meaning for kind, table in tables.items()}


class _Numbers:
    """The columns of one table as numbers; with ``known``, read as those of another one, ``answered`` or not."""

    def __init__(self, table: Table, known: Columns | None = None, answered: bool = True) -> None:
        names = [name for name in table.names if name not in _KEYS[table.kind]]
        questions = [n for n in names if n == "label" or n.startswith("target")] if table.kind != "edge" else []
        if "label" in questions and len(questions) > 1:
            raise DataError(f"{table.path} has both a label and targets, of which one can be asked for")
        typed = [n for n in names if n.startswith("type")]
        rest = [n for n in names if n not in questions and n not in typed]
        if known is None:
            self.meaning = Columns(
                {n: table.words(n) for n in typed},
                rest,
                {n: table.words(n) if n == "label" else None for n in questions},
            )
        else:
            self.meaning = known
            _as_before(table, (*typed, *rest), (*known.types, *known.features))
            if answered:
                _as_before(table, questions, tuple(known.asked))
        if answered:
            asked = self.meaning.asked.items()
            answers = [table.categories(n, w) if n == "label" else table.numbers(n, gaps=True) for n, w in asked]
        else:
            answers = [np.full(len(table.rows), np.nan)] if table.kind == "link" else []
        self._target = _stacked(answers)
        self._types = _stacked([table.categories(n, words) for n, words in self.meaning.types.items()])
        self._features = _stacked([table.numbers(n) for n in self.meaning.features])

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


def _is_unknown(label: str) -> bool:
    return label.strip().lower() in ("", "nan")


def _as_before(table: Table, names: Sequence[str], known: Sequence[str]) -> None:
    """DataError unless a table has the columns of the one that a model learned from."""
    where = table.path or f"the data, which have no table of {table.kind}s,"
    lacking = next((name for name in known if name not in names), None)
    if lacking is not None:
        raise DataError(f"{where} lacks the column {lacking!r}, which training had{suggestion(lacking, names)}")
    more = next((name for name in names if name not in known), None)
    if more is not None:
        raise DataError(f"{where} has a column {more!r}, which training did not have{suggestion(more, known)}")


def _read(kind: Kind, path: Path | None) -> Table:
    if path is None:
        return Table(kind)
    names, rows = read_csv(path)
    lines = range(2, 2 + len(rows))
    for number, row in zip(lines, rows, strict=True):
        empty = next((name for name in _KEYS[kind] if name != "split" and row.get(name) == ""), None)
        if empty is not None:
            raise DataError(f"{path}, line {number}, names no {empty}")
    return Table(kind, names, rows, path, lines)


def read_csv(path: Path, delimiter: str = ",") -> tuple[list[str], list[dict[str, str]]]:
    """The names of the columns of a file and its rows, without blanks around; DataError for what is no such table."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            names = [name.strip() for name in reader.fieldnames or ()]
            if len(set(names)) < len(names):
                raise DataError(f"{path} has the column {_twice(names)!r} twice")
            return names, [_whole(row, path, number) for number, row in enumerate(reader, 2)]
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable CSV file: {error}") from None


def _whole(row: Mapping[Any, Any], path: Path, number: int) -> dict[str, str]:
    if None in row or None in row.values():
        raise DataError(f"{path}, line {number}, has not as many entries as the header has names")
    return {name.strip(): value.strip() for name, value in row.items()}
