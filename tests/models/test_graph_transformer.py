"""The plain graph Transformer: its size, its symmetries, and that every way to compute it is the same."""

from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch

from formarium.config import ConfigError
from formarium.errors import DataError
from formarium.models import GraphTransformer
from formarium.models import graph_transformer as module
from formarium.models.compiling import compiled
from formarium.parts import NoPE, RandomWalkStem
from formarium.parts.stems.random_walk import random_walks
from formarium.tasks.graphs import brec

Arrays = dict[str, torch.Tensor]
STEM = RandomWalkStem.Config(steps=5, frequencies=2, hidden=12, blocks=1)


def config(**changes: object) -> GraphTransformer.Config:
    base = GraphTransformer.Config(node_types=(5,), edge_types=(3,), width=16, depth=2, heads=2, stem=STEM, outputs=3)
    return base.override(changes)


def model(**changes: object) -> GraphTransformer:
    """Every parameter random, so that nothing hides behind zeros."""
    built: GraphTransformer = config(**changes).build().double().eval()
    for parameter in built.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return built


def one(nodes: int, seed: int) -> Arrays:
    """One random graph, with an isolated node and a loop."""
    graph = nx.gnp_random_graph(nodes, 0.4, seed=seed)
    graph.remove_edges_from(list(graph.edges(0)))
    graph.add_edge(1, 1)
    generator = torch.Generator().manual_seed(seed)
    upper = torch.randint(0, 3, (nodes, nodes), generator=generator).triu()
    return {
        "adjacency": torch.from_numpy(nx.to_numpy_array(graph))[None],
        "nodes": torch.randint(0, 5, (1, nodes), generator=generator),
        "edges": (upper + upper.triu(1).t())[None],
    }


def batch(graphs: list[Arrays]) -> Arrays:
    """Several graphs filled up with what must not matter."""
    most = max(g["nodes"].shape[1] for g in graphs)
    found = {
        "adjacency": torch.zeros(len(graphs), most, most, dtype=torch.double),
        "nodes": torch.full((len(graphs), most), 4),
        "edges": torch.full((len(graphs), most, most), 2),
        "mask": torch.zeros(len(graphs), most, dtype=torch.bool),
    }
    for i, g in enumerate(graphs):
        n = g["nodes"].shape[1]
        found["adjacency"][i, :n, :n], found["nodes"][i, :n] = g["adjacency"][0], g["nodes"][0]
        found["edges"][i, :n, :n], found["mask"][i, :n] = g["edges"][0], True
    return found


EVERY = [
    {},
    {"pooling": "mean", "token": None, "layer_scale": 0.5},
    {"pooling": "token", "token": "cls"},
    {"pooling": "token", "token": "virtual"},
    {"pooling": "sum", "token": "virtual"},
    {"level": "node"},
    {"level": "node", "token": "virtual"},
    {"position": NoPE.Config(), "pair_width": 8},
    {"output_norm": True},
    {"token_mixer": "GritAttention", "position": NoPE.Config(), "pair_width": 8},
    {"token_mixer": "GritAttention", "position": NoPE.Config(), "token": "virtual"},
]


def test_has_as_many_parameters_as_published_configurations() -> None:
    zinc = GraphTransformer.Config(node_types=(21,), edge_types=(4,)).build()
    assert zinc.num_parameters() == 493_185
    assert brec.ppgt().build().num_parameters() == 874_032


def test_the_head_is_as_wide_as_its_answers() -> None:
    wide = GraphTransformer.Config(width=16, depth=1, heads=2, outputs=24).build()
    assert [tuple(layer.weight.shape) for layer in wide.head.layers] == [(24, 16), (24, 24), (24, 24)]


@pytest.mark.parametrize("changes", EVERY, ids=str)
def test_knows_no_order_of_nodes(changes: dict[str, object]) -> None:
    net, graph = model(**changes), one(7, 3)
    order = torch.randperm(7)
    moved = {
        "adjacency": graph["adjacency"][:, order][:, :, order],
        "nodes": graph["nodes"][:, order],
        "edges": graph["edges"][:, order][:, :, order],
    }
    got, want = net(**moved), net(**graph)
    torch.testing.assert_close(got, want[:, order] if net.config.level == "node" else want, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("changes", EVERY, ids=str)
def test_graphs_in_a_batch_are_graphs_one_at_a_time(changes: dict[str, object]) -> None:
    net, graphs = model(**changes), [one(n, n) for n in (4, 9, 6)]
    whole = net(**batch(graphs))
    for i, graph in enumerate(graphs):
        own = net(**graph)[0]
        if net.config.level == "node":
            assert whole[i, len(own) :].abs().sum() == 0
            torch.testing.assert_close(whole[i, : len(own)], own, atol=1e-10, rtol=1e-10)
        else:
            torch.testing.assert_close(whole[i], own, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("pooling", ["sum", "token"])
def test_the_virtual_token_keeps_the_mask_of_graphs_as_they_are_collated(pooling: str) -> None:
    net, graphs = model(token="virtual", pooling=pooling), [one(n, n) for n in (4, 9, 6)]
    filled = batch(graphs)
    filled["adjacency"], mask = filled["adjacency"].bool(), filled["mask"].clone()
    whole = net(**filled)
    assert torch.equal(filled["mask"], mask)
    for i, graph in enumerate(graphs):
        own = net(**{**graph, "adjacency": graph["adjacency"].bool()})[0]
        torch.testing.assert_close(whole[i], own, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("by_rows", [False, True])
@pytest.mark.parametrize("token", [None, "cls", "virtual"])
def test_walks_are_never_made_in_half_precision(
    token: str | None, by_rows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, graphs = model(token=token).float(), batch([one(8, 1), one(5, 2)])
    graphs["adjacency"] = graphs["adjacency"].bool()
    calls: list[tuple[tuple[Any, ...], torch.Tensor]] = []

    def recording(*arguments: Any) -> torch.Tensor:
        calls.append((arguments, random_walks(*arguments)))
        return calls[-1][1]

    monkeypatch.setattr(module, "random_walks", recording)
    if by_rows:
        monkeypatch.setattr(module, "_LARGE", 2)
        monkeypatch.setattr(module, "_AT_A_TIME", 3 * 2 * 8 * net._bytes_a_pair())
        net.pair_memory = 0
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(net(**graphs)).all()
    assert len(calls) > 1 if by_rows else len(calls) == 1
    for arguments, walks in calls:
        assert walks.dtype == torch.float32
        assert torch.equal(walks, random_walks(*arguments))


@pytest.mark.parametrize("changes", [EVERY[0], EVERY[-1]], ids=str)
def test_walks_may_be_given_and_pairs_numbered_by_kind(changes: dict[str, object]) -> None:
    net, graphs = model(**changes), batch([one(6, 1), one(9, 2)])
    want = net(**graphs)
    walks = random_walks(graphs["adjacency"], 5)
    torch.testing.assert_close(net(**graphs, walks=walks), want, atol=1e-12, rtol=1e-12)
    every = torch.arange(2 * 81)
    kinds = {"kinds": every.view(2, 9, 9), "samples": every, "walks": walks.flatten(0, 2)}
    torch.testing.assert_close(net(**graphs, **kinds), want, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(
    "changes", [{}, {"token": "cls", "pooling": "token"}, {"token": "virtual"}, {"level": "pair"}], ids=str
)
def test_a_large_graph_is_gone_through_by_rows_to_the_same_numbers(
    changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    net, graphs = model(**changes), batch([one(8, 1), one(5, 2)])
    if net.config.level == "pair":
        graphs["links"] = torch.tensor([[0, 1, 2], [1, 0, 4], [0, 7, 7]])
    results = []
    # All at once; rows made anew for every layer; rows made once.
    for memory in (None, 0, 1 << 16):
        if memory is not None:
            monkeypatch.setattr(module, "_LARGE", 2)
            monkeypatch.setattr(module, "_AT_A_TIME", 3 * 2 * 8 * net._bytes_a_pair())
            net.pair_memory = memory
            context = net.stems(**{k: v for k, v in graphs.items() if k != "links"})[1]
            assert context.pairs is None
            assert context.pair_rows is not None
            assert context.pair_rows.step < 8
        net.zero_grad()
        out = net(**graphs)
        out.square().sum().backward()
        results.append([out, *(p.grad.clone() for p in net.parameters() if p.grad is not None)])
    for other in results[1:]:
        for got, want in zip(other, results[0], strict=True):
            torch.testing.assert_close(got, want, atol=1e-9, rtol=1e-9)


def test_an_answer_about_a_pair_is_the_same_in_either_order() -> None:
    net, graph = model(level="pair"), one(7, 5)
    links = torch.tensor([[0, 1, 4], [0, 4, 1], [0, 2, 2]])
    out = net(**graph, links=links)
    assert out.shape == (3, 3)
    torch.testing.assert_close(out[0], out[1], atol=1e-12, rtol=1e-12)
    with pytest.raises(DataError, match="give links"):
        net(**graph)


def test_tells_a_six_cycle_from_two_triangles() -> None:
    net = model(node_types=(), edge_types=())
    two_triangles = nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3))
    six, two = (torch.from_numpy(nx.to_numpy_array(g))[None] for g in (nx.cycle_graph(6), two_triangles))
    assert (net(six) - net(two)).abs().max() > 1e-3
    blind = model(node_types=(), edge_types=(), position=NoPE.Config(), stem=STEM.replace(steps=1))
    torch.testing.assert_close(blind(six), blind(two), atol=1e-10, rtol=1e-10)  # nodes return at step 3 or 6 only


def test_a_graph_of_one_node_and_a_graph_without_edges_have_answers() -> None:
    net = model()
    for nodes in (1, 4):
        bare = {"adjacency": torch.zeros(1, nodes, nodes, dtype=torch.double)}
        out = net(**bare, nodes=torch.zeros(1, nodes, dtype=torch.long), edges=torch.zeros(1, nodes, nodes).long())
        assert torch.isfinite(out).all()


def test_categories_of_what_is_no_edge_do_not_matter() -> None:
    net, graph = model(), one(7, 3)
    other = {**graph, "edges": torch.where(graph["adjacency"] > 0, graph["edges"], 2 - graph["edges"])}
    assert torch.equal(net(**graph), net(**other))


def test_is_trained_by_every_parameter_and_drops_whole_graphs() -> None:
    net = model(drop_path=0.5, token="virtual", layer_scale=0.1).train()
    net(**batch([one(6, s) for s in range(4)])).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
    unused = {n for n, p in net.named_parameters() if not p.grad.abs().sum()}
    # What is added to all scores of a query alike does not change their softmax.
    assert all("position.project" in n or n == "token" for n in unused)


def test_survives_saving(tmp_path: Path) -> None:
    net, graphs = model().float(), batch([one(6, 1), one(9, 2)])
    net.save_pretrained(tmp_path)
    again = GraphTransformer.from_pretrained(tmp_path).eval()
    assert again.config == net.config
    assert torch.equal(again(**graphs), net(**graphs))


@pytest.mark.parametrize("changes", [EVERY[0], EVERY[-1]], ids=str)
def test_compiles_whole(changes: dict[str, object]) -> None:
    net, graphs = model(**changes), batch([one(6, 1), one(9, 2)])
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(**graphs), net(**graphs), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": "token"}, "reads a token that is not there"),
        ({"heads": 3}, "cannot be split among 3 heads"),
        ({"output_norm": True, "level": "node"}, "answers about whole graphs"),
        ({"depth": 0}, "at least 1"),
        ({"channel_mixer": NoPE.Config()}, "channel_mixer"),
    ],
)
def test_refuses_what_does_not_fit_together(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**changes).build()


def test_says_what_is_missing_of_the_graphs() -> None:
    net, graph = model(node_features=2), one(5, 1)
    with pytest.raises(DataError, match="2 real features of each node; the graphs have 0"):
        net(**graph)
    with pytest.raises(DataError, match="1 categories of each edge, and the graphs have none"):
        model()(graph["adjacency"], nodes=graph["nodes"])
    with pytest.raises(DataError, match="walks of 3 steps, where the model takes 5"):
        model()(**graph, walks=random_walks(graph["adjacency"], 3))
    for kind in ("node", "edge"):
        for category in (99, -2):
            strange = graph[f"{kind}s"].clone()
            strange[strange > 0] = category
            with pytest.raises(DataError, match=rf"a category of the {kind}s is not among .*, 0 to \d"):
                model()(**{**graph, f"{kind}s": strange})


@pytest.mark.parametrize("level", ["graph", "node"])
@pytest.mark.parametrize("mixer", ["Attention(bias=True, similarity=distance)", "GritAttention"])
@pytest.mark.parametrize("gate", [True, False])
def test_no_graphs_have_no_answers(level: str, mixer: str, gate: bool) -> None:
    position = "NoPE" if mixer == "GritAttention" else f"PairBias(gate={gate})"
    settings = {"token_mixer": mixer, "position": position, "level": level}
    net = GraphTransformer.Config(width=24, depth=2, heads=4).override(settings).build()
    shape = (0, 1) if level == "graph" else (0, 5, 1)
    for mask in (None, torch.ones(0, 5, dtype=torch.bool)):
        out = net(torch.zeros(0, 5, 5), mask)
        assert out.shape == shape
        out.sum().backward()


def test_compiled_layer_by_layer_it_is_the_same_model() -> None:
    plain = config().build()
    own = config().build()
    own.load_state_dict(plain.state_dict())
    fast = compiled(own)
    for graphs in ([one(5, 0), one(7, 1)], [one(9, 2), one(4, 3), one(6, 4)]):
        answers, found = plain(**batch(graphs)), fast(**batch(graphs))
        torch.testing.assert_close(found, answers, rtol=1e-4, atol=1e-5)
        answers.square().sum().backward()
        found.square().sum().backward()
    for (name, one_of), (also, other) in zip(plain.named_parameters(), own.named_parameters(), strict=True):
        assert name == also
        torch.testing.assert_close(other.grad, one_of.grad, rtol=1e-3, atol=1e-5)
