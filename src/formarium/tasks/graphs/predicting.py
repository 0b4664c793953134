"""Answers of a trained model about other graphs than those it learned from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from formarium.errors import DataError
from formarium.files import read_object, write_json
from formarium.models.model import Model
from formarium.progress import progress
from formarium.tasks.answers import of_classes
from formarium.tasks.graphs.batch import Walks, collate
from formarium.tasks.graphs.graph import Graph, Level, widths, with_edge_columns
from formarium.tasks.graphs.sources import to_answer
from formarium.tasks.graphs.tables import Columns

ASKED = "graphs.json"
Asking = Literal["classes", "truths", "numbers"]
_PAIRS = 1 << 17  # pairs of nodes of one batch, to bound memory


@dataclass(frozen=True)
class Asked:
    """What a model of graphs was asked, and what its numbers mean; kept beside it.

    level: what it answers about. names: of the numbers that it answers with. classes: in order, or None where it
    answers with numbers, whose ``mean`` and ``spread`` in training these are. columns: of the tables it learned from.
    truths: whether the numbers are of what is true or not, of which it gives the probability.
    """

    level: Level
    names: Sequence[str]
    classes: Sequence[str] | None
    mean: Sequence[float]
    spread: Sequence[float]
    columns: Mapping[str, Columns] | None
    truths: bool = False

    @property
    def kind(self) -> Asking:
        """What it answers with."""
        return "truths" if self.truths else "numbers" if self.classes is None else "classes"

    def save(self, folder: Path) -> None:
        """Leaves graphs.json in a folder."""
        write_json(folder / ASKED, asdict(self))

    @classmethod
    def load(cls, folder: str | Path) -> "Asked":
        """What ``save`` left; DataError where it is absent or damaged."""
        data = read_object(Path(folder) / ASKED, "account of what a model of graphs was asked")
        try:
            columns = data["columns"]
            data["columns"] = None if columns is None else {kind: Columns(**own) for kind, own in columns.items()}
            return cls(**data)
        except (KeyError, TypeError, AttributeError):
            raise DataError(f"{Path(folder) / ASKED} is damaged or of another version") from None


@torch.no_grad()
def predict(model: Model, asked: Asked, source: str, every_class: bool = False) -> Iterator[dict[str, Any]]:
    """A row for each graph, node or pair of a source: what it is, and the answer, in the targets' own units.

    Of what is true or not the probability, of classes the likeliest and its probability; every_class: those of all as
    well. Raises DataError for graphs without what the model learned from, and for those that name no pairs where it
    answers about pairs.
    """
    graphs = fitting(to_answer(source, asked.columns), model.config, source)
    if asked.level == "pair" and any(graph.links is None for graph in graphs):
        raise DataError(f"the model answers about pairs of nodes, and {source!r} names none (in tables: links.csv)")
    walks = Walks.read_by(model.config)
    device = next(model.parameters()).device
    answers: dict[int, Tensor] = {}
    model.eval()
    with progress("answering", len(graphs)) as advance:
        for numbers in batches_by_size(graphs):
            chosen = [graphs[i] for i in numbers]
            said: Tensor = model(**collate(chosen, walks).to(device).inputs()).float().cpu()
            answers |= dict(zip(numbers, _apart(said, chosen, asked.level), strict=True))
            advance(len(numbers))
    for index, graph in enumerate(graphs):
        numbers_of = _columns(asked, answers[index], every_class)
        for row, named in enumerate(_named(graph, asked.level)):
            yield {"graph": graph.name or str(index), **named, **{name: of[row] for name, of in numbers_of.items()}}


def batches_by_size(graphs: Sequence[Graph]) -> Iterator[list[int]]:
    """Numbers of all graphs once, the smallest first, in batches that fit the memory."""
    order = sorted(range(len(graphs)), key=lambda i: graphs[i].nodes)
    first = 0
    while first < len(order):
        last = first + 1
        while last < len(order) and (last - first + 1) * graphs[order[last]].nodes ** 2 <= _PAIRS:
            last += 1
        yield order[first:last]
        first = last


def fitting(graphs: list[Graph], model: Any, source: str) -> list[Graph]:
    """Graphs with what a model reads of nodes and edges; DataError where they have something else."""
    found = widths(graphs)
    for of in ("node", "edge") if any(len(graph.edges) for graph in graphs) else ("node",):
        types, known = getattr(found, f"{of}_types"), getattr(model, f"{of}_types")
        reals, wanted = getattr(found, f"{of}_features"), getattr(model, f"{of}_features")
        for have, want, what in ((len(types), len(known), "categories"), (reals, wanted, "real features")):
            if have != want:
                raise DataError(f"{of}s had {want} {what} in training, and have {have} in {source!r}")
        for have, want in zip(types, known, strict=True):
            if have > want:
                raise DataError(f"{source!r} has a category {have - 1} of {of}s; training knew 0 to {want - 1}")
    return with_edge_columns(graphs, len(model.edge_types), model.edge_features)


def _apart(said: Tensor, graphs: Sequence[Graph], level: Level) -> list[Tensor]:
    """The answers (rows, outputs) about each graph of a batch."""
    if level == "graph":
        return list(said[:, None])
    if level == "node":
        return [rows[: graph.nodes] for rows, graph in zip(said, graphs, strict=True)]
    return list(said.split([len(cast(Any, graph.links)) for graph in graphs]))


def _columns(asked: Asked, said: Tensor, every_class: bool) -> dict[str, list[Any]]:
    """Answers (rows, outputs) by the name of their column."""
    if asked.classes is None:
        if asked.truths:
            said = said.sigmoid()
        values = said.double() * torch.tensor(asked.spread) + torch.tensor(asked.mean)
        return {name: values[:, place].tolist() for place, name in enumerate(asked.names)}
    return of_classes(said, asked.classes, every_class)


def _named(graph: Graph, level: Level) -> list[dict[str, str]]:
    names = graph.node_names or tuple(map(str, range(graph.nodes)))
    if level == "graph":
        return [{}]
    if level == "node":
        return [{"node": name} for name in names]
    links: NDArray[np.int64] = cast(Any, graph.links)
    return [{"source": names[a], "target": names[b]} for a, b in links.tolist()]
