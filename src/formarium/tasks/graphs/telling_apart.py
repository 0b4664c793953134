"""What tells two graphs apart: every test that fits the time, and whether they are the same up to names."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import networkx as nx

from formarium.errors import DataError
from formarium.progress import progress
from formarium.tasks.graphs.files import read_graph
from formarium.theory.colour_refinement import Adjacency, round_to_tell
from formarium.theory.isomorphism import isomorphic

MOST_NODES = 1000
_MOST_FOR_3WL = 250

_BOUNDS = {
    "1-WL": "message passing",
    "distances": "attention with shortest-path distances",
    "walks": "attention with random-walk features",
    "3-WL": "networks on pairs of nodes",
}


@dataclass(frozen=True)
class Told:
    """One test's verdict: the round in which it tells the graphs apart, 0 by counting nodes; None where it cannot."""

    test: str
    round: int | None
    bounds: str
    skipped: str = ""


@dataclass(frozen=True)
class Described:
    """A graph as it was taken: its size, and what was left out of it."""

    nodes: int
    edges: int
    note: str = ""


@dataclass(frozen=True)
class TellingApart:
    """All verdicts on two graphs; isomorphic is None where the search ran out of time."""

    first: Described
    second: Described
    tests: tuple[Told, ...]
    isomorphic: bool | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready data."""
        return {**asdict(self), "tests": [asdict(told) for told in self.tests]}


def describe(told: Told) -> str:
    """A test's verdict in words."""
    if told.skipped:
        return f"skipped: {told.skipped}"
    if told.round is None:
        return "cannot tell them apart"
    return "tells them apart by counting nodes" if not told.round else f"tells them apart in round {told.round}"


def tell_apart(first: Path, second: Path, steps: int = 32, seconds: float = 10.0) -> TellingApart:
    """Puts the graphs of two files to all tests; DataError, in a sentence, for a file that holds no usable graph."""
    taken = [_taken(path) for path in (first, second)]
    (one, about_one), (other, about_other) = taken
    tests = []
    with progress("telling apart", len(_BOUNDS) + 1) as advance:
        for test, bounds in _BOUNDS.items():
            if test == "3-WL" and len(one) == len(other) > _MOST_FOR_3WL:
                tests.append(Told(test, None, bounds, f"more than {_MOST_FOR_3WL} nodes"))
            else:
                tests.append(Told(test, round_to_tell(one, other, test, steps), bounds))
            advance(note=test)
        apart = any(told.round is not None for told in tests)
        same = False if apart else isomorphic(one, other, seconds)
        advance(note="isomorphism")
    return TellingApart(about_one, about_other, tuple(tests), same)


def _taken(path: Path) -> tuple[Adjacency, Described]:
    graph = read_graph(path)
    if graph.number_of_nodes() > MOST_NODES:
        raise DataError(
            f"{path} has {graph.number_of_nodes():,} nodes; all pairs of nodes are compared, and that is done for up "
            f"to {MOST_NODES:,} nodes"
        )
    left_out = {"directions": graph.is_directed(), "parallel edges": graph.is_multigraph()}
    notes = [what for what, holds in left_out.items() if holds]
    simple: nx.Graph[Any] = nx.Graph()
    simple.add_nodes_from(graph)
    simple.add_edges_from((a, b) for a, b, *_ in graph.edges)
    adjacency: Adjacency = nx.to_numpy_array(simple)
    note = f" ({' and '.join(notes)} left out)" if notes else ""
    return adjacency, Described(simple.number_of_nodes(), simple.number_of_edges(), note)
