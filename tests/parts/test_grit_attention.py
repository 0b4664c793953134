"""Attention by pair features that each layer rewrites."""

import math

import pytest
import torch
from torch import Tensor

from formarium.config import ConfigError
from formarium.context import Context
from formarium.errors import FormariumError
from formarium.models import GraphTransformer
from formarium.parts import GritAttention, NoPE, RoPE
from formarium.parts.token_mixers.grit_attention import pair_features, signed_root

SMALL = {"width": 24, "depth": 2, "heads": 4, "node_types": (3,), "edge_types": (2,), "position": "NoPE"}


def mixer(**changes: object) -> GritAttention:
    options = {"width": 12, "heads": 3, "pair_width": 7, **changes}
    built = GritAttention(**options).double()  # type: ignore[arg-type]
    for parameter in built.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return built


def graph(nodes: int = 5, batch: int = 2) -> tuple[Tensor, Context]:
    pairs = torch.randn(batch, nodes, nodes, 7).double()
    degrees = torch.randint(4, (batch, nodes)).double()
    return torch.randn(batch, nodes, 12).double(), Context(torch.arange(nodes)[None], pairs=pairs, degrees=degrees)


def by_loops(m: GritAttention, x: Tensor, e: Tensor, degrees: Tensor) -> tuple[Tensor, Tensor]:
    """One graph, pair by pair, as the paper writes it."""
    nodes, width, k = len(x), m.heads * m.head_width, m.head_width
    w_q, w_k, w_v = m.qkv.weight.split(width)
    read = m.norm(e) @ m.pairs_in.weight.t() + m.pairs_in.bias
    out, after = torch.zeros_like(x), e.clone()
    for i in range(nodes):
        inner, scores = [], []
        for j in range(nodes):
            raw = (w_q @ x[i] + m.query_offset + w_k @ x[j]) * read[i, j, :width]
            u = torch.relu(raw.sign() * raw.abs().sqrt() + read[i, j, width:])
            inner.append(u)
            scores.append([float(u[h * k : (h + 1) * k] @ m.score[h]) for h in range(m.heads)])
            if m.pairs_out is not None:
                after[i, j] = e[i, j] + m.pairs_out(u)
        mixed = []
        for h in range(m.heads):
            here = slice(h * k, (h + 1) * k)
            weights = [math.exp(max(-5.0, min(5.0, s[h]))) for s in scores]
            shares = [w / sum(weights) for w in weights]
            mixed.append(sum(a * (w_v[here] @ x[j] + inner[j][here] @ m.pair_value[h]) for j, a in enumerate(shares)))
        row = torch.cat([torch.as_tensor(y) for y in mixed])
        row = row * (m.degree[:, 0] + math.log1p(float(degrees[i])) * m.degree[:, 1])  # type: ignore[index]
        out[i] = m.out(row)
    return out, after


@torch.no_grad()
def test_it_is_what_the_paper_writes_pair_by_pair() -> None:
    m = mixer()
    x, context = graph()
    before = context.pairs
    assert before is not None
    found = m(x, context)
    for index in range(2):
        out, after = by_loops(m, x[index], before[index], context.degrees[index])  # type: ignore[index]
        torch.testing.assert_close(found[index], out, atol=1e-12, rtol=1e-9)
        torch.testing.assert_close(context.pairs[index], after, atol=1e-12, rtol=1e-9)  # type: ignore[index]


@torch.no_grad()
def test_the_order_of_nodes_changes_nothing_and_padding_is_not_seen() -> None:
    m = mixer()
    x, context = graph(6, 1)
    pairs, degrees = context.pairs, context.degrees
    assert pairs is not None
    assert degrees is not None
    out = m(x, context)
    order = torch.randperm(6)
    moved = Context(context.positions, pairs=pairs[:, order][:, :, order], degrees=degrees[:, order])
    torch.testing.assert_close(m(x[:, order], moved), out[:, order])
    wider = torch.randn(1, 8, 8, 7).double()
    wider[:, :6, :6] = pairs
    mask = torch.tensor([[True] * 6 + [False] * 2])
    padded = Context(
        torch.arange(8)[None], pairs=wider, degrees=torch.cat((degrees, torch.ones(1, 2).double()), 1), mask=mask
    )
    more = torch.cat((x, torch.randn(1, 2, 12).double()), 1)
    torch.testing.assert_close(m(more, padded)[:, :6], out)


def test_gradients_are_right_and_finite_where_the_root_has_none() -> None:
    m = mixer()
    x, context = graph(3, 1)
    pairs, degrees = context.pairs, context.degrees

    def answer(x: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
        here = Context(context.positions, pairs=pairs, degrees=degrees)
        return m(x, here), here.pairs  # type: ignore[return-value]

    assert torch.autograd.gradcheck(answer, (x.requires_grad_(), pairs.clone().requires_grad_()))  # type: ignore[union-attr]
    assert torch.autograd.gradgradcheck(answer, (x, pairs.clone().requires_grad_()))  # type: ignore[union-attr]
    nothing = torch.zeros(3, requires_grad=True)
    signed_root(nothing).sum().backward()
    assert torch.equal(nothing.grad, torch.zeros(3))  # type: ignore[arg-type]


def test_the_gradient_written_out_is_that_of_autograd_once_and_twice() -> None:
    shapes = (2, 4, 6), (2, 4, 6), (2, 4, 4, 6), (2, 4, 4, 6)
    exact = [torch.randn(shape).double().requires_grad_() for shape in shapes]
    quick = [x.detach().float().requires_grad_() for x in exact]
    exact[2].data[0, 1, 2] = quick[2].data[0, 1, 2] = 0  # products of 0, whose root has no gradient
    asked = torch.randn(shapes[-1]).double()
    found = []
    for inputs in (exact, quick):
        out = pair_features(*inputs)
        weight = asked.to(out.dtype)
        first = torch.autograd.grad(out, inputs, weight, retain_graph=True)
        again = torch.autograd.grad(pair_features(*inputs), inputs, weight, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in again[:2]), inputs[:2])
        found.append((out, *first, *again, *second))
    for wanted, own in zip(*found, strict=True):
        assert wanted.isfinite().all()
        torch.testing.assert_close(own.double(), wanted, atol=2e-4, rtol=2e-3)
    for asking in range(4):
        some = [x.detach().requires_grad_(index == asking) for index, x in enumerate(quick)]
        own = torch.autograd.grad(pair_features(*some).square().sum(), some[asking], create_graph=True)[0]
        wanted = torch.autograd.grad(pair_features(*quick).square().sum(), quick[asking])[0]
        torch.testing.assert_close(own, wanted)
    assert type(pair_features(*quick).grad_fn).__name__ == "_PairFeaturesBackward"


@pytest.mark.parametrize("level", ["graph", "node", "pair"])
def test_every_parameter_of_a_model_with_it_is_used(level: str) -> None:
    model = GraphTransformer.Config().override({**SMALL, "token_mixer": "GritAttention", "level": level}).build()
    adjacency = torch.tensor([[[0, 1, 0, 0], [1, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]]])
    links = torch.tensor([[0, 0, 2], [0, 3, 1]]) if level == "pair" else None
    out = model(adjacency, nodes=torch.tensor([[0, 1, 2, 1]]), edges=adjacency, links=links)
    out.square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ConfigError, match="cannot be causal"):
        mixer(causal=True)
    with pytest.raises(ConfigError, match="set position=NoPE, not RoPE"):
        mixer(position=RoPE(4))
    with pytest.raises(ConfigError, match="a width of 12 cannot be split among 5 heads"):
        mixer(heads=5)
    m = mixer(position=NoPE())
    x, context = graph()
    with pytest.raises(
        FormariumError, match="reads features of pairs, which the context of these tokens does not have"
    ):
        m(x, Context(context.positions))
    with pytest.raises(FormariumError, match="scales by degrees of nodes"):
        m(x, Context(context.positions, pairs=context.pairs))
    model = GraphTransformer.Config().override({**SMALL, "token_mixer": "GritAttention"}).build()
    model.pair_memory = 0
    adjacency = torch.zeros(1, 520, 520)
    nodes, edges = torch.zeros(1, 520, dtype=torch.long), torch.zeros(1, 520, 520, dtype=torch.long)
    with pytest.raises(FormariumError, match="do not fit the memory"):
        model(adjacency, nodes=nodes, edges=edges)
