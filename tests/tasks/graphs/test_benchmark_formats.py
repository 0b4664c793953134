"""Benchmarks of graphs in the forms in which they are handed round, written here at a small size and read back."""

import gzip
import sys
import types
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

from formarium.errors import DataError
from formarium.models import GraphTransformer, MessagePassing
from formarium.parts import RandomWalkStem
from formarium.tasks import Graphs
from formarium.tasks.graphs.ogb_files import is_ogb, read_ogb
from formarium.tasks.graphs.sources import load
from formarium.tasks.task import SPLITS

STEM = RandomWalkStem.Config(steps=3, frequencies=0, hidden=8, blocks=0)
MODELS = (GraphTransformer.Config(width=8, depth=1, heads=2, stem=STEM), MessagePassing.Config(width=8, depth=1))


def table(folder: Path, name: str, rows: Sequence[Sequence[float]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / f"{name}.csv.gz", "wt") as file:
        file.writelines(",".join(f"{value:g}" for value in row) + "\n" for row in rows)


def ogb(folder: Path, labels: Sequence[float]) -> Path:
    """Paths of three nodes and more, their atoms and bonds categories."""
    sizes = [3 + number % 3 for number in range(len(labels))]
    raw = folder / "raw"
    table(raw, "num-node-list", [[size] for size in sizes])
    table(raw, "num-edge-list", [[size - 1] for size in sizes])
    table(raw, "edge", [(i, i + 1) for size in sizes for i in range(size - 1)])
    table(raw, "node-feat", [(i % 2, i) for size in sizes for i in range(size)])
    table(raw, "edge-feat", [[i % 2] for size in sizes for i in range(size - 1)])
    table(raw, "graph-label", [[label] for label in labels])
    for split, numbers in (("train", range(10)), ("valid", (10,)), ("test", (11, 12))):
        table(folder / "split" / "scaffold", split, [[number] for number in numbers])
    return folder


def trains(task: Graphs) -> dict[str, Any]:
    """Every model does a step and is measured; what the last one says."""
    found: dict[str, Any] = {}
    for config in MODELS:
        net = task.adapt(config).build()
        task.loss(net, next(task.batches(2, seed=0))).backward()
        found = task.evaluate(net, "test", list(task.metrics))
        assert all(np.isfinite(value) for value in found.values())
    return found


def test_the_tables_of_the_open_graph_benchmark(tmp_path: Path) -> None:
    folder = ogb(tmp_path / "ogbg_mol", [number % 2 for number in range(13)])
    assert is_ogb(folder)
    splits = read_ogb(folder)
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [10, 1, 2]
    second = splits["train"][1]
    assert second.nodes == 4
    assert second.edges.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2]]
    assert second.node_types.tolist() == [[0, 0], [1, 1], [0, 2], [1, 3]]  # type: ignore[union-attr]
    assert second.edge_types[:, 0].tolist() == [0, 0, 1, 1, 0, 0]  # type: ignore[union-attr]
    task: Graphs = Graphs.Config(data=str(folder)).build()
    assert task.classes == 2
    assert set(trains(task)) == {"loss", "accuracy", "macro_f1"}
    of_numbers: Graphs = Graphs.Config(data=str(ogb(tmp_path / "numbers", [n / 7 for n in range(13)]))).build()
    assert set(trains(of_numbers)) == {"loss", "mae", "rmse", "r2"}


def test_one_graph_of_the_open_graph_benchmark(tmp_path: Path) -> None:
    graph, raw = nx.connected_watts_strogatz_graph(30, 4, 0.2, seed=0), tmp_path / "ogbn" / "raw"
    table(raw, "num-node-list", [[30]])
    table(raw, "num-edge-list", [[graph.number_of_edges()]])
    table(raw, "edge", [list(edge) for edge in graph.edges])
    table(raw, "node-feat", np.random.default_rng(0).standard_normal((30, 4)).tolist())
    table(raw, "node-label", [[node % 3] for node in graph])
    task: Graphs = Graphs.Config(data=str(tmp_path / "ogbn"), held_out=0.2).build()
    assert (task.level, task.classes) == ("node", 3)
    trains(task)


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("edge", [(0, 1)], r"1 rows in edge\.csv"),
        ("graph-label", [[0]], "labels of 1"),
        ("num-edge-list", [[1]], "numbers of edges of 1"),
    ],
)
def test_tables_that_do_not_fit_are_named(tmp_path: Path, name: str, rows: list[list[float]], message: str) -> None:
    folder = ogb(tmp_path / "set", [0.0] * 13)
    table(folder / "raw", name, rows)
    with pytest.raises(DataError, match=message):
        read_ogb(folder)


def test_damaged_and_missing_tables_are_named(tmp_path: Path) -> None:
    folder = ogb(tmp_path / "set", [0.0] * 13)
    path = folder / "raw" / "node-feat.csv.gz"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DataError, match=r"node-feat\.csv\.gz is not a table of numbers"):
        read_ogb(folder)
    (folder / "raw" / "num-edge-list.csv.gz").unlink()
    with pytest.raises(DataError, match=r"no num-edge-list\.csv"):
        read_ogb(folder)
    ogb(folder, [0.0] * 13)
    table(folder / "split" / "scaffold", "test", [[99]])
    with pytest.raises(DataError, match="names number 99"):
        read_ogb(folder)


PATH = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


def data(**arrays: Any) -> Any:
    return pytest.importorskip("torch_geometric.data").Data(edge_index=PATH, **arrays)


def pictures(split: str) -> list[Any]:
    """Superpixels as torch_geometric has those of MNIST: a brightness and a place each."""
    count = {"train": 8, "val": 2, "test": 3}[split]
    y = [torch.tensor([i % 3]) for i in range(count)]
    return [data(x=torch.rand(3, 1), pos=torch.rand(3, 2), edge_attr=torch.rand(4), y=y[i]) for i in range(count)]


def communities(split: str) -> list[Any]:
    """Communities as torch_geometric has those of PATTERN and CLUSTER: a class for each node."""
    features = torch.nn.functional.one_hot(torch.tensor([0, 2, 1]), 3).float()
    return [data(x=features, y=torch.tensor([0, 1, 1])) for _ in range(4)]


def zinc(split: str) -> list[Any]:
    """Atoms and bonds as whole numbers, and one real number that is asked for."""
    bonds = torch.tensor([1, 1, 2, 2])
    return [data(x=torch.tensor([[i], [0], [2]]), edge_attr=bonds, y=torch.tensor([0.1 * i])) for i in range(6)]


@pytest.mark.parametrize(
    ("call", "name", "make", "wanted"),
    [
        ("ZINC(subset=True)", "ZINC", zinc, {"level": "graph", "classes": None}),
        ("GNNBenchmarkDataset(name='MNIST')", "GNNBenchmarkDataset", pictures, {"level": "graph", "classes": 3}),
        ("GNNBenchmarkDataset(name='PATTERN')", "GNNBenchmarkDataset", communities, {"level": "node", "classes": 2}),
    ],
)
def test_benchmarks_of_torch_geometric(
    monkeypatch: pytest.MonkeyPatch, call: str, name: str, make: Any, wanted: dict[str, Any]
) -> None:
    pytest.importorskip("torch_geometric")

    class Kept(list[Any]):
        def __init__(self, root: str, split: str = "train", **given: Any) -> None:
            super().__init__(make(split))

    monkeypatch.setattr(f"torch_geometric.datasets.{name}", Kept)
    task: Graphs = Graphs.Config(data=f"pyg:{call}").build()
    task.prepare()
    assert {key: getattr(task, key) for key in wanted} == wanted
    if make is pictures:
        first = task.graphs["train"][0]
        assert first.node_features is not None
        assert first.node_features.shape == (3, 3)  # a brightness and a place
        assert [len(task.graphs[s]) for s in ("train", "validation", "test")] == [8, 2, 3]
    trains(task)


def test_graphs_of_networkx_from_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("own_graphs")
    module.make = lambda: [nx.cycle_graph(3 + n % 4) for n in range(20)]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_graphs", module)
    splits = load("own_graphs:make", None, 0.2)
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [12, 4, 4]


def test_a_split_of_one_graph_of_the_open_graph_benchmark_is_one_of_its_nodes(tmp_path: Path) -> None:
    raw = tmp_path / "ogbn" / "raw"
    table(raw, "num-node-list", [[30]])
    table(raw, "num-edge-list", [[30]])
    table(raw, "edge", [(i, (i + 1) % 30) for i in range(30)])
    table(raw, "node-label", [[node % 3] for node in range(30)])
    numbers = {"train": range(3, 20), "valid": (29, 0), "test": (20, 22, 24)}
    for split, own in numbers.items():
        table(tmp_path / "ogbn" / "split" / "time", split, [[number] for number in own])
    task: Graphs = Graphs.Config(data=str(tmp_path / "ogbn")).build()
    assert (task.level, task.classes) == ("node", 3)
    for split, own in zip(SPLITS, numbers.values(), strict=True):
        assert task._targets(split).tolist() == [number % 3 for number in sorted(own)]
    batch = next(task.batches(1, seed=0))
    assert batch.node_targets is not None
    assert (batch.node_targets[0] >= 0).nonzero()[:, 0].tolist() == list(numbers["train"])
    trains(task)
    table(tmp_path / "ogbn" / "split" / "time", "test", [[30]])
    with pytest.raises(DataError, match="splits 30 nodes and names number 30 in test"):
        read_ogb(tmp_path / "ogbn")


def test_unknown_labels_of_the_open_graph_benchmark_leave_classes_classes(tmp_path: Path) -> None:
    labels = [float("nan") if number in (3, 10) else number % 2 for number in range(13)]
    task: Graphs = Graphs.Config(data=str(ogb(tmp_path / "ogbg", labels))).build()
    assert task.classes == 2
    assert task._targets("train").tolist() == [0, 1, 0, -1, 0, 1, 0, 1, 0, 1]
    assert task._targets("validation").tolist() == [-1]
    assert set(trains(task)) == {"loss", "accuracy", "macro_f1"}
    half = [float("nan") if number == 3 else number / 2 for number in range(13)]
    of_numbers: Graphs = Graphs.Config(data=str(ogb(tmp_path / "numbers", half))).build()
    assert of_numbers.classes is None
    assert np.isnan(of_numbers._targets("train")).tolist() == [number == 3 for number in range(10)]


def citations(columns: int) -> Any:
    """A ring of papers as torch_geometric has citation networks: one graph with masks of nodes."""
    place = torch.arange(30)
    masks = {"train_mask": place < 12, "val_mask": (place >= 12) & (place < 17), "test_mask": place >= 22}
    if columns > 1:
        masks = {name: torch.stack((mask, *[~mask] * (columns - 1)), dim=1) for name, mask in masks.items()}
    geometric = pytest.importorskip("torch_geometric.data")
    edges = torch.stack((place, (place + 1) % 30))
    return geometric.Data(x=torch.eye(30), edge_index=edges, y=place % 3, edge_weight=place / 30, **masks)


@pytest.mark.parametrize("columns", [1, 10])
def test_ways_to_split_the_nodes_of_torch_geometric_are_no_splits_of_graphs(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    pytest.importorskip("torch_geometric")
    calls: list[dict[str, Any]] = []

    class Kept(list[Any]):
        def __init__(self, root: str, name: str, split: str = "public", **given: Any) -> None:
            calls.append({"name": name, "split": split})
            super().__init__([citations(columns)])

    monkeypatch.setattr("torch_geometric.datasets.Planetoid", Kept)
    task: Graphs = Graphs.Config(data="pyg:Planetoid(name='Cora')").build()
    task.prepare()
    assert calls == [{"name": "Cora", "split": "public"}]
    assert (task.level, task.classes) == ("node", 3)
    wanted = {"train": range(12), "validation": range(12, 17), "test": range(22, 30)}
    assert {s: task._targets(s).tolist() for s in SPLITS} == {s: [i % 3 for i in own] for s, own in wanted.items()}
    found = task.graphs["train"][0].edge_features
    assert found is not None
    assert found.shape == (60, 1)
    trains(task)
    load("pyg:Planetoid(name='Cora', split='random')", None, 0.1)
    assert calls[1:] == [{"name": "Cora", "split": "random"}]


@pytest.mark.parametrize("kind", [torch.float, torch.long])
def test_graphs_of_torch_geometric_without_edges_learn_in_batches_of_their_own(
    monkeypatch: pytest.MonkeyPatch, kind: torch.dtype
) -> None:
    geometric = pytest.importorskip("torch_geometric.data")
    bare = torch.empty(2, 0, dtype=torch.long)

    class Kept(list[Any]):
        def __init__(self, root: str) -> None:
            joined = [data(x=torch.rand(3, 1), edge_attr=torch.ones(4, 2).to(kind), y=torch.rand(1)) for _ in range(6)]
            alone = {"edge_index": bare, "edge_attr": torch.empty(0, 2).to(kind)}
            super().__init__(joined + [geometric.Data(x=torch.rand(2, 1), y=torch.rand(1), **alone) for _ in range(6)])

    monkeypatch.setattr("torch_geometric.datasets.QM9", Kept)
    task: Graphs = Graphs.Config(data="pyg:QM9").build()
    for config in MODELS:
        net = task.adapt(config).build()
        batches = list(islice(task.batches(1, seed=0), 10))
        assert {bool(batch.adjacency.any()) for batch in batches} == {True, False}
        assert all(bool(task.loss(net, batch).isfinite()) for batch in batches)
    trains(task)
