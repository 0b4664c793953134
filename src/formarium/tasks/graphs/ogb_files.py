"""Graphs as the Open Graph Benchmark keeps them: tables of numbers without headers, and how many rows are a graph's.

Hu et al. 2020, arXiv 2005.00687. Below the folder of a data set, ``raw`` holds edge.csv, num-node-list.csv and
num-edge-list.csv (of one row where there is one graph); node-feat.csv and edge-feat.csv where there are such; and
graph-label.csv or node-label.csv. ``split/<name>`` holds train.csv, valid.csv and test.csv, numbers of graphs. Each
file may be gzipped.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formarium.errors import DataError
from formarium.tasks.graphs.graph import Graph, make_graph

_SPLITS = {"train": "train", "validation": "valid", "test": "test"}


def is_ogb(folder: Path) -> bool:
    """Whether a folder, or its ``raw``, has files of that kind."""
    return folder.is_dir() and _file(_raw(folder), "num-node-list") is not None


def read_ogb(folder: Path) -> dict[str, list[Graph]]:
    """The graphs of a data set by split, or all of them under ``all`` where it has no split of graphs.

    Whole numbers are categories of nodes and edges, and classes where one is asked for (nan: unknown); other numbers
    are features and what is regressed on. A split of one graph is one of its nodes. Raises DataError, naming the file,
    for what is missing or does not fit.
    """
    raw = _raw(folder)
    nodes, edges = (_table(raw, name)[:, 0].astype(np.int64) for name in ("num-node-list", "num-edge-list"))
    if len(nodes) != len(edges):
        raise DataError(f"{raw} has numbers of nodes of {len(nodes)} graphs and numbers of edges of {len(edges)}")
    ends = _rows_of(raw, "edge", edges)
    of_nodes, of_edges = _rows_of(raw, "node-feat", nodes), _rows_of(raw, "edge-feat", edges)
    labels, node_labels = _table(raw, "graph-label", False, unknown=-1), _rows_of(raw, "node-label", nodes, unknown=-1)
    if labels is not None and len(labels) != len(nodes):
        raise DataError(f"{raw} has {len(nodes)} graphs and labels of {len(labels)}")
    if ends is None:
        raise DataError(f"{raw} has no edge.csv")
    made = []
    for number, count in enumerate(nodes.tolist()):
        given: dict[str, Any] = {}
        for what, rows in (("node", of_nodes), ("edge", of_edges)):
            if rows is not None:
                given[f"{what}_{'types' if rows[number].dtype == np.int64 else 'features'}"] = rows[number]
        if labels is not None:
            given["target"] = labels[number]
        if node_labels is not None:
            given["node_targets"] = node_labels[number]
        made.append(make_graph(count, ends[number].astype(np.int64), name=f"{folder.name} {number}", **given))
    return _in_splits(folder, made)


def _in_splits(folder: Path, graphs: list[Graph]) -> dict[str, list[Graph]]:
    places = sorted(path for path in (folder / "split").glob("*") if path.is_dir())
    if not places:
        return {"all": graphs}
    of_nodes = len(graphs) == 1
    count = graphs[0].nodes if of_nodes else len(graphs)
    numbers = {}
    for split, stem in _SPLITS.items():
        numbers[split] = own = _table(places[0], stem)[:, 0].astype(np.int64)
        if len(own) and not 0 <= own.min() <= own.max() < count:
            what = "nodes" if of_nodes else "graphs"
            raise DataError(f"{places[0]} splits {count} {what} and names number {own.max()} in {_SPLITS[split]}")
    if not of_nodes:
        return {split: [graphs[number] for number in own] for split, own in numbers.items()}
    splits = np.full(count, -1)
    for place, own in enumerate(numbers.values()):
        splits[own] = place
    return {"all": [replace(graphs[0], node_splits=splits)]}


def _raw(folder: Path) -> Path:
    return folder / "raw" if (folder / "raw").is_dir() else folder


def _file(folder: Path, name: str) -> Path | None:
    places = (folder / f"{name}.csv.gz", folder / f"{name}.csv")
    return next((path for path in places if path.is_file()), None)


def _table(folder: Path, name: str, needed: bool = True, unknown: int | None = None) -> Any:
    """The numbers of a file (rows, columns), whole where all are; None for one that is not there nor needed.

    unknown: what stands for nan among whole numbers, where it may.
    """
    path = _file(folder, name)
    if path is None:
        if needed:
            raise DataError(f"{folder} has no {name}.csv")
        return None
    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2, dtype=np.float64)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path} is not a table of numbers: {error}") from None
    absent = np.isnan(table) & (unknown is not None)
    whole = np.isfinite(table[~absent]).all() and (table[~absent] == np.floor(table[~absent])).all()
    return np.where(absent, unknown or 0, table).astype(np.int64) if whole and not absent.all() else table


def _rows_of(
    folder: Path, name: str, counts: NDArray[np.int64], unknown: int | None = None
) -> Sequence[NDArray[Any]] | None:
    """The rows of each graph in a file of all graphs' rows; None where there is no such file."""
    table = _table(folder, name, needed=False, unknown=unknown)
    if table is None:
        return None
    if len(table) != counts.sum():
        raise DataError(f"{folder} has {len(table):,} rows in {name}.csv, where its graphs have {counts.sum():,}")
    return np.split(table, counts.cumsum()[:-1])
