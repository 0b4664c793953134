"""Several graphs in one batch of dense arrays, filled up to the largest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from formarium.config import BaseConfig
from formarium.errors import DataError
from formarium.models.graph_transformer import GraphTransformer
from formarium.parts.stems.random_walk import random_walks
from formarium.tasks.graphs.graph import Graph

KINDS_UP_TO = 256  # nodes of a graph whose pairs are sorted by kind


@dataclass(frozen=True)
class GraphBatch:
    """B graphs of up to N nodes; the arrays are those of ``GraphTransformer.forward``.

    adjacency: (B, N, N). mask: (B, N), None where all graphs have N nodes. nodes: (B, N, C). edges: (B, N, N, C).
    node_features, edge_features: (B, N, F), (B, N, N, F). walks, kinds, samples: of the stem that the batch was made
    for, or None. links: (L, 3) graph and two nodes of each pair that is asked about. targets: (B, ...) of graphs,
    node_targets: (B, N, ...), link_targets: (L, ...), where the graphs have them.
    """

    adjacency: Tensor
    mask: Tensor | None = None
    nodes: Tensor | None = None
    edges: Tensor | None = None
    node_features: Tensor | None = None
    edge_features: Tensor | None = None
    walks: Tensor | None = None
    kinds: Tensor | None = None
    samples: Tensor | None = None
    links: Tensor | None = None
    targets: Tensor | None = None
    node_targets: Tensor | None = None
    link_targets: Tensor | None = None

    def __len__(self) -> int:
        return len(self.adjacency)

    def inputs(self) -> dict[str, Tensor | None]:
        """The arguments of a model."""
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.name.endswith("targets")}

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "GraphBatch":
        """The same batch elsewhere."""
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device, non_blocking=non_blocking) for k, v in moved.items() if v is not None})


@dataclass(frozen=True)
class Kinds:
    """The pairs of one graph sorted by what a stem reads of them.

    number: (n, n) of each pair's kind. place: (U,) in n * n of one pair of each. walks: (U, K + 1) of each.
    """

    number: NDArray[np.int32]
    place: NDArray[np.int64]
    walks: NDArray[np.float32]


class Walks:
    """Random walks and kinds of pairs of graphs, made once and kept as long as they fit ``bytes``.

    steps, symmetric: those of the stem. Graphs of more than 256 nodes are left to the model.
    """

    def __init__(self, steps: int, symmetric: bool = False, limit: int = 1 << 30) -> None:
        self.steps, self.symmetric, self.left = steps, symmetric, limit
        self._kept: dict[int, tuple[Graph, Kinds]] = {}

    @classmethod
    def read_by(cls, model: BaseConfig) -> "Walks | None":
        """Those that a model reads; None where it reads none, or makes them, as through a token of its own."""
        if not isinstance(model, GraphTransformer.Config) or model.token is not None:
            return None
        return cls(model.stem.steps, model.stem.symmetric)

    def alike(self, other: "Walks | None") -> bool:
        """Whether others are of the same kind."""
        return other is not None and (self.steps, self.symmetric) == (other.steps, other.symmetric)

    def of(self, graphs: Sequence[Graph]) -> list[Kinds] | None:
        """The kinds of pairs of each graph; None where one of them is too large to sort."""
        if any(graph.nodes > KINDS_UP_TO for graph in graphs):
            return None
        missing = {id(graph): graph for graph in graphs if id(graph) not in self._kept}
        made = {key: kinds for same in _by_size(missing) for key, kinds in self._make(same)}
        found = [made[id(g)] if id(g) in made else self._kept[id(g)][1] for g in graphs]
        for key, kinds in made.items():
            size = kinds.number.nbytes + kinds.place.nbytes + kinds.walks.nbytes
            if size <= self.left:
                self.left -= size
                self._kept[key] = (missing[key], kinds)  # the graph too: its id must stay its own
        return found

    def _make(self, graphs: dict[int, Graph]) -> Iterator[tuple[int, Kinds]]:
        """Walks of graphs of one size in one go, and each one's kinds."""
        adjacency = np.stack([graph.adjacency() for graph in graphs.values()])
        walks = random_walks(torch.from_numpy(adjacency), self.steps, self.symmetric).float().numpy()
        for (key, graph), grid, own in zip(graphs.items(), adjacency, walks, strict=True):
            yield key, _kinds(graph, grid, own)


def _by_size(graphs: dict[int, Graph]) -> Iterator[dict[int, Graph]]:
    for size in sorted({graph.nodes for graph in graphs.values()}):
        yield {key: graph for key, graph in graphs.items() if graph.nodes == size}


def _kinds(graph: Graph, adjacency: NDArray[np.bool_], walks: NDArray[np.float32]) -> Kinds:
    count = graph.nodes
    degree = adjacency.sum(-1, dtype=np.float32)
    said = [walks, np.broadcast_to(degree[None, :, None], (count, count, 1)), degree[:, None, None].repeat(count, 1)]
    said.append(adjacency[..., None].astype(np.float32))
    for rows in (graph.edge_types, graph.edge_features):
        if rows is not None:
            grid = np.zeros((count, count, rows.shape[1]), dtype=np.float32)
            grid[graph.edges[:, 0], graph.edges[:, 1]] = rows
            said.append(grid)
    table = np.ascontiguousarray(np.concatenate(said, axis=-1).reshape(count * count, -1))
    whole = table.view(np.dtype((np.void, table.shape[1] * table.itemsize)))[:, 0]
    _, place, number = np.unique(whole, return_index=True, return_inverse=True)
    return Kinds(number.reshape(count, count).astype(np.int32), place, walks.reshape(count * count, -1)[place])


def collate(graphs: Sequence[Graph], walks: Walks | None = None) -> GraphBatch:
    """A batch of graphs; with ``walks``, what their stem would have to work out is put in.

    Raises DataError for no graphs, and where some have features or targets and others have not.
    """
    if not graphs:
        raise DataError("a batch is at least one graph")
    count, most = len(graphs), max(graph.nodes for graph in graphs)
    adjacency = torch.zeros(count, most, most, dtype=torch.bool)
    owner = np.repeat(np.arange(count), [len(graph.edges) for graph in graphs])
    ends = np.concatenate([graph.edges for graph in graphs])
    where = tuple(torch.from_numpy(x) for x in (owner, ends[:, 0], ends[:, 1]))
    adjacency[where] = True
    sizes = torch.tensor([graph.nodes for graph in graphs])
    mask = None if bool((sizes == most).all()) else torch.arange(most) < sizes[:, None]
    batch: dict[str, Any] = {"adjacency": adjacency, "mask": mask}
    batch["nodes"] = _of_nodes([graph.node_types for graph in graphs], most)
    batch["node_features"] = _of_nodes([graph.node_features for graph in graphs], most)
    batch["edges"] = _of_edges([g.edge_types for g in graphs], where, (count, most, most))
    batch["edge_features"] = _of_edges([g.edge_features for g in graphs], where, (count, most, most))
    batch["targets"] = _targets(graphs)
    batch["node_targets"] = _of_nodes([graph.node_targets for graph in graphs], most)
    batch |= _linked(graphs)
    found = None if walks is None else walks.of(graphs)
    if found is not None:
        batch |= _numbered(found, most)
    return GraphBatch(**batch)


def _numbered(found: list[Kinds], most: int) -> dict[str, Tensor]:
    """The kinds of several graphs in one numbering."""
    numbers = torch.zeros(len(found), most, most, dtype=torch.int32)
    base = 0
    samples = []
    for index, kinds in enumerate(found):
        size = len(kinds.number)
        numbers[index, :size, :size] = torch.from_numpy(kinds.number) + base
        base += len(kinds.place)
        samples.append((index * most + kinds.place // size) * most + kinds.place % size)
    return {
        "kinds": numbers,
        "samples": torch.from_numpy(np.concatenate(samples)),
        "walks": torch.from_numpy(np.concatenate([kinds.walks for kinds in found])),
    }


def _of_nodes(rows: Sequence[NDArray[Any] | None], most: int) -> Tensor | None:
    have = [r for r in rows if r is not None]
    if not have:
        return None
    if len(have) < len(rows) or len({r.shape[1:] for r in have}) > 1:
        raise DataError("graphs of one batch have the same features of nodes, or none")
    grid = torch.zeros(len(rows), most, *have[0].shape[1:], dtype=torch.from_numpy(have[0]).dtype)
    for index, row in enumerate(have):
        grid[index, : len(row)] = torch.from_numpy(row)
    return grid


def _of_edges(
    rows: Sequence[NDArray[Any] | None], where: tuple[Tensor, ...], shape: tuple[int, int, int]
) -> Tensor | None:
    have = [r for r in rows if r is not None]
    if not have:
        return None
    values = np.concatenate(have)
    if len({r.shape[1:] for r in have}) > 1 or len(values) != len(where[0]):
        raise DataError("graphs of one batch have the same features of edges, or none")
    grid = torch.zeros(*shape, *values.shape[1:], dtype=torch.from_numpy(values).dtype)
    grid[where] = torch.from_numpy(values)
    return grid


def _linked(graphs: Sequence[Graph]) -> dict[str, Tensor]:
    """The pairs that are asked about and their targets, one graph behind another."""
    asked = [(index, g.links, g.link_targets) for index, g in enumerate(graphs)]
    have = [(index, links, rows) for index, links, rows in asked if links is not None and rows is not None]
    if not have:
        return {}
    if len(have) < len(graphs) or len({rows.shape[1:] for _, _, rows in have}) > 1:
        raise DataError("graphs of one batch are asked the same about links, or nothing")
    links = np.concatenate([np.insert(links, 0, index, axis=1) for index, links, _ in have])
    return {
        "links": torch.from_numpy(links),
        "link_targets": torch.from_numpy(np.concatenate([rows for _, _, rows in have])),
    }


def _targets(graphs: Sequence[Graph]) -> Tensor | None:
    have = [graph.target for graph in graphs if graph.target is not None]
    if not have:
        return None
    if len(have) < len(graphs) or len({target.shape for target in have}) > 1:
        raise DataError("graphs of one batch have targets of one shape, or none")
    return torch.from_numpy(np.stack(have))
