"""Graphs as they come: in pieces, with loops, with arrows, of one node, of none, and of five thousand."""

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch

from formarium.config import BaseConfig
from formarium.errors import DataError
from formarium.models import GraphTransformer, MessagePassing
from formarium.models.model import Model
from formarium.parts import RandomWalkStem
from formarium.tasks import Graphs
from formarium.tasks.graphs.adapters import from_networkx
from formarium.tasks.graphs.batch import Walks, collate
from formarium.tasks.graphs.files import read_graph
from formarium.tasks.graphs.graph import Graph, make_graph
from formarium.tasks.graphs.tables import open_tables, read_tables
from formarium.theory.colour_refinement import round_to_tell

STEM = RandomWalkStem.Config(steps=4, frequencies=1, hidden=8, blocks=1)
MODELS: list[BaseConfig] = [
    GraphTransformer.Config(width=8, depth=2, heads=2, stem=STEM),
    MessagePassing.Config(width=8, depth=2),
]
UNUSUAL: dict[str, "nx.Graph[int]"] = {
    "in pieces": nx.disjoint_union(nx.cycle_graph(4), nx.path_graph(3)),
    "without edges": nx.empty_graph(5),
    "one node": nx.empty_graph(1),
    "one node with a loop": nx.Graph([(0, 0)]),
    "with loops": nx.Graph([(0, 0), (0, 1), (1, 2), (2, 2)]),
    "with arrows": nx.DiGraph([(0, 1), (1, 2), (2, 0), (0, 3)]),
}


@pytest.fixture(params=MODELS, ids=lambda config: config.name())
def model(request: pytest.FixtureRequest) -> Model:
    built: Model = request.param.build()
    return built.eval()


@pytest.mark.parametrize("name", UNUSUAL)
def test_every_graph_has_an_answer_alone_and_in_company(model: Model, name: str) -> None:
    graphs = [from_networkx(UNUSUAL[name]), from_networkx(nx.petersen_graph())]
    for walks in (None, Walks(4)):
        both = model(**collate(graphs, walks).inputs())
        alone = model(**collate(graphs[:1], walks).inputs())
        assert torch.isfinite(both).all()
        torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-5)
    both.sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_arrows_are_edges_both_ways(model: Model) -> None:
    arrows, plain = UNUSUAL["with arrows"], UNUSUAL["with arrows"].to_undirected()
    one, other = (model(**collate([from_networkx(g)]).inputs()) for g in (arrows, plain))
    torch.testing.assert_close(one, other)


def test_loops_are_seen(model: Model) -> None:
    with_loops = UNUSUAL["with loops"]
    without = nx.Graph([edge for edge in with_loops.edges if edge[0] != edge[1]])
    one, other = (model(**collate([from_networkx(g)]).inputs()) for g in (with_loops, without))
    assert not torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_graph_without_nodes_is_refused_wherever_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no nodes"):
        from_networkx(nx.Graph())
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(DataError, match="graph without nodes"):
        read_graph(tmp_path / "empty.txt")
    (tmp_path / "edges.csv").write_text("source,target\n")
    with pytest.raises(DataError, match=r"edges\.csv"):
        read_tables(open_tables(tmp_path))
    with pytest.raises(DataError, match="at least one graph"):
        collate([])


def test_tests_of_colours_take_unusual_graphs_too() -> None:
    for name, graph in UNUSUAL.items():
        grid = nx.to_numpy_array(graph.to_undirected())
        for test in ("1-WL", "distances", "walks", "3-WL"):
            assert round_to_tell(grid, grid, test, 8) is None, (name, test)


def test_of_one_graph_in_pieces_nodes_are_learned(tmp_path: Path) -> None:
    pieces = nx.disjoint_union_all([nx.cycle_graph(5), nx.complete_graph(4), nx.empty_graph(3)] * 4)
    (tmp_path / "edges.csv").write_text("source,target\n" + "".join(f"{a},{b}\n" for a, b in pieces.edges))
    labels = ("cycle", "clique", "alone")
    kinds = [labels[0]] * 5 + [labels[1]] * 4 + [labels[2]] * 3
    rows = "".join(f"{node},{kinds[node % 12]}\n" for node in pieces)
    (tmp_path / "nodes.csv").write_text("node,label\n" + rows)
    task: Graphs = Graphs.Config(data=str(tmp_path), held_out=0.2).build()
    task.prepare()
    net = task.adapt(MODELS[0]).build()
    assert (task.classes, task.level) == (3, "node")
    assert torch.isfinite(task.loss(net, next(task.batches(1, seed=0))))
    assert 0 <= task.evaluate(net, "test", ["accuracy"])["accuracy"] <= 1  # type: ignore[operator]


def five_thousand() -> Graph:
    return make_graph(5000, np.array(nx.random_regular_graph(3, 5000, seed=0).edges()))


def test_five_thousand_nodes_go_through_by_rows() -> None:
    stem = RandomWalkStem.Config(steps=1, frequencies=0, hidden=2, blocks=0)
    config = GraphTransformer.Config(width=4, depth=1, heads=1, level="node", stem=stem)
    net: GraphTransformer = config.build()
    net.pair_memory = 1 << 26  # 25 million pairs do not fit that
    with torch.no_grad():
        out = net(**collate([five_thousand()], Walks(1)).inputs())
    assert out.shape == (1, 5000, 1)
    assert torch.isfinite(out).all()


def test_messages_among_five_thousand_nodes() -> None:
    net: MessagePassing = MessagePassing.Config(width=8, level="node").build()
    out = net(**collate([five_thousand()]).inputs())
    assert out.shape == (1, 5000, 1)
    out.sum().backward()
