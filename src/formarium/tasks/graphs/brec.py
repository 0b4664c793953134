"""BREC: 400 pairs of graphs that are different and hard to tell apart, and how many of them a test can.

Wang and Zhang, An empirical study of realized GNN expressiveness, ICML 2024, arXiv 2304.07702.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import networkx as nx
import numpy as np

from formarium.errors import DataError
from formarium.models.graph_transformer import GraphTransformer
from formarium.parts.stems.random_walk import RandomWalkStem
from formarium.tasks.data import DataFile, locate
from formarium.tasks.graphs.graph import Graph, make_graph
from formarium.theory.colour_refinement import Adjacency, rounds_to_tell

_FILE = DataFile(path="brec/brec_pairs.tsv.gz", licence="MIT, Copyright (c) 2023 Yanbo Wang")

_COUNT = 400
FAMILIES = ("basic", "simple_regular", "strongly_regular", "extension", "cfi", "4vtx", "distance_regular")


@dataclass(frozen=True)
class Pair:
    """Two graphs of the same numbers of nodes and edges; number: 0..399, category and family: the benchmark's own."""

    number: int
    category: str
    family: str
    first: Graph
    second: Graph


@dataclass(frozen=True)
class Ceiling:
    """What a test tells apart, by family: how many of how many. false_alarms: graphs told from relabelled copies."""

    told: dict[str, int]
    of: dict[str, int]
    false_alarms: int

    @property
    def total(self) -> int:
        return sum(self.told.values())


@lru_cache(maxsize=1)
def pairs() -> tuple[Pair, ...]:
    """All pairs, in the benchmark's order; DataError where the file is not at hand."""
    path = locate(_FILE)
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
        made = [Pair(int(r["id"]), r["category"], r["family"], _graph(r["g6_a"]), _graph(r["g6_b"])) for r in rows]
    except (OSError, EOFError, zlib.error, KeyError, ValueError, TypeError, AttributeError, nx.NetworkXError) as error:
        raise DataError(f"{path} is not the file of BREC's pairs: {error}") from None
    if [pair.number for pair in made] != list(range(_COUNT)):
        raise DataError(
            f"{path} is not the file of BREC's pairs: it holds {len(made)} of the {_COUNT}, or not in order"
        )
    return tuple(made)


def _graph(text: str) -> Graph:
    graph = cast(Any, nx).from_graph6_bytes(text.encode())  # the stubs want text, networkx bytes
    count = graph.number_of_nodes()
    return make_graph(count, np.array(graph.edges()), node_types=np.zeros(count, dtype=np.int64))


def stratified(count: int, seed: int = 0, among: Iterable[Pair] | None = None) -> tuple[Pair, ...]:
    """About ``count`` pairs, from each family in proportion and at least one, drawn by chance from all or ``among``."""
    generator = np.random.default_rng(seed)
    among = pairs() if among is None else tuple(among)
    chosen: list[Pair] = []
    for family in FAMILIES:
        own = [pair for pair in among if pair.family == family]
        size = min(len(own), max(1, round(count * len(own) / max(1, len(among)))))
        chosen += [own[i] for i in np.sort(generator.choice(len(own), size, replace=False))]
    return tuple(chosen)


def ceiling(
    test: str = "walks", steps: int = 32, chosen: Iterable[Pair] | None = None, seed: int | None = 0
) -> Ceiling:
    """How many pairs (all by default) a test of ``formarium.theory.colour_refinement`` tells apart.

    With a seed, each first graph is also held against a relabelling of itself, which no test may tell from it.
    """
    chosen = pairs() if chosen is None else tuple(chosen)
    numbers = told_apart(chosen, test, steps)
    alarms = 0
    for same in () if seed is None else _by_size(chosen):
        first = _stacked(pair.first for pair in same)
        order = np.random.default_rng((cast(int, seed), len(first[0]))).permutation(len(first[0]))
        alarms += int((rounds_to_tell(first, first[:, order][:, :, order], test, steps) >= 0).sum())
    told, of = (
        {family: sum(pair.family == family for pair in some) for family in FAMILIES}
        for some in ([pair for pair in chosen if pair.number in numbers], chosen)
    )
    return Ceiling(told, of, alarms)


def told_apart(chosen: Iterable[Pair], test: str = "walks", steps: int = 32) -> frozenset[int]:
    """The numbers of the pairs that a test of ``formarium.theory.colour_refinement`` tells apart."""
    numbers: set[int] = set()
    for same in _by_size(tuple(chosen)):
        first, second = _stacked(pair.first for pair in same), _stacked(pair.second for pair in same)
        turns = rounds_to_tell(first, second, test, steps)
        numbers.update(pair.number for pair, turn in zip(same, turns, strict=True) if turn >= 0)
    return frozenset(numbers)


def _stacked(graphs: Iterable[Graph]) -> Adjacency:
    return np.stack([graph.adjacency() for graph in graphs]).astype(np.float64)


def _by_size(chosen: Sequence[Pair]) -> list[list[Pair]]:
    sizes = sorted({pair.first.nodes for pair in chosen})
    return [[pair for pair in chosen if pair.first.nodes == size] for size in sizes]


def ppgt(outputs: int = 16) -> GraphTransformer.Config:
    """The configuration that PPGT (arXiv 2504.12588) was published with for this benchmark: 874,032 parameters."""
    return GraphTransformer.Config(
        node_types=(1,),
        outputs=outputs,
        width=96,
        depth=6,
        heads=16,
        stem=RandomWalkStem.Config(steps=32, frequencies=15, hidden=192, blocks=4),
        output_norm=True,
    )
