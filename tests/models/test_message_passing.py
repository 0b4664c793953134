"""Message passing: its equation, its symmetries, and what it cannot tell apart."""

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from formarium.config import ConfigError
from formarium.errors import DataError
from formarium.models import MessagePassing
from formarium.models.model import load
from formarium.tasks.graphs.batch import collate
from formarium.tasks.graphs.graph import Graph, make_graph

SMALL = MessagePassing.Config(node_types=(4,), edge_types=(3,), node_features=2, edge_features=1, width=8, depth=2)


def graph(nodes: int, seed: int) -> Graph:
    random = np.random.default_rng(seed)
    ends = np.array(nx.gnp_random_graph(nodes, 0.4, seed=seed).edges()).reshape(-1, 2)
    return make_graph(
        nodes,
        ends,
        random.integers(4, size=nodes),
        random.integers(3, size=len(ends)),
        random.standard_normal((nodes, 2)),
        random.standard_normal((len(ends), 1)),
    )


def model(**changes: object) -> MessagePassing:
    built: MessagePassing = SMALL.override(changes).build().double().eval()
    for parameter in built.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return built


def test_a_layer_is_its_equation() -> None:
    net, own = model(depth=1, level="node", head_layers=1), graph(6, 1)
    types, kinds = torch.from_numpy(own.node_types), torch.from_numpy(own.edge_types)  # type: ignore[arg-type]
    x = net.node_tables[0](types[:, 0]) + net.node_map(torch.from_numpy(own.node_features).double())  # type: ignore[misc, arg-type]
    e = net.edge_tables[0](kinds[:, 0]) + net.edge_map(torch.from_numpy(own.edge_features).double())  # type: ignore[misc, arg-type]
    heard = torch.zeros_like(x)
    for (target, source), bond in zip(own.edges.tolist(), e, strict=True):
        heard[target] += F.relu(x[source] + bond)
    step = net.mixers[0](net.norms[0]((1 + net.own[0]) * x + heard))
    torch.testing.assert_close(net(**collate([own]).inputs())[0], net.head(x + step))


@pytest.mark.parametrize("changes", [{}, {"pooling": "mean"}, {"output_norm": True, "outputs": 3}, {"residual": False}])
def test_knows_no_order_and_no_company(changes: dict[str, object]) -> None:
    net, graphs = model(**changes), [graph(5, 1), graph(9, 2), graph(1, 3)]
    together = net(**collate(graphs).inputs())
    moved = [g.relabelled(np.random.default_rng(0).permutation(g.nodes)) for g in graphs]
    torch.testing.assert_close(net(**collate(moved).inputs()), together)
    torch.testing.assert_close(torch.cat([net(**collate([g]).inputs()) for g in graphs]), together)


def test_answers_about_nodes_are_theirs_and_zero_where_there_is_none() -> None:
    net, graphs = model(level="node"), [graph(5, 1), graph(9, 2)]
    out = net(**collate(graphs).inputs())
    assert (out[0, 5:] == 0).all()
    torch.testing.assert_close(out[0, :5], net(**collate(graphs[:1]).inputs())[0])


def test_cannot_tell_a_six_cycle_from_two_triangles() -> None:
    net: MessagePassing = MessagePassing.Config(width=8).build().eval()
    pair = [nx.cycle_graph(6), nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3)), nx.path_graph(6)]
    out = net(**collate([make_graph(6, np.array(g.edges())) for g in pair]).inputs())
    torch.testing.assert_close(out[0], out[1])
    assert not torch.allclose(out[0], out[2])


def test_survives_saving(tmp_path: Path) -> None:
    net = model().float()
    net.save_pretrained(tmp_path)
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1
    given = collate([graph(7, 4)]).inputs()
    torch.testing.assert_close(load(tmp_path).eval()(**given), net(**given))


def test_refuses_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        MessagePassing.Config(depth=0).build()
    with pytest.raises(ConfigError, match="whole graphs"):
        MessagePassing.Config(level="node", output_norm=True).build()
    with pytest.raises(DataError, match="reads 1 categories of each node, and the graphs have none"):
        model()(**collate([make_graph(2, [(0, 1)])]).inputs())
    given = collate([graph(7, 4)]).inputs()
    for kind in ("node", "edge"):
        with pytest.raises(DataError, match=rf"a category of the {kind}s is not among .*, 0 to \d"):
            model()(**{**given, f"{kind}s": given[f"{kind}s"] + 99})
