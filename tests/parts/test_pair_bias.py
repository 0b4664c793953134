"""Pair features as bias and gate: what they reduce to, and that several layers prepared together are the same."""

from dataclasses import replace

import pytest
import torch

from formarium.context import Context, PairRows
from formarium.errors import FormariumError
from formarium.parts import Attention, PairBias
from formarium.parts.positions.pair_bias import prepare_together


def attention(gate: bool = True, similarity: str = "distance") -> Attention:
    position = PairBias(4, 6, config=PairBias.Config(gate=gate))
    settings = Attention.Config(bias=True).replace(similarity=similarity)
    return Attention(16, 4, position=position, config=settings).double()


def context(pairs: torch.Tensor | None, mask: torch.Tensor | None = None) -> Context:
    return Context(positions=torch.arange(5)[None], pairs=pairs, mask=mask)


def test_without_a_gate_it_is_softmax_attention_with_a_bias() -> None:
    gated, plain = attention(True), attention(False)
    state = gated.state_dict()
    for name in ("position.project.weight", "position.project.bias"):
        state[name][4:] = 0
    plain.load_state_dict({n: t[:4] if n.startswith("position") else t for n, t in state.items()})
    x, pairs = torch.randn(2, 5, 16, dtype=torch.double), torch.randn(2, 5, 5, 6, dtype=torch.double)
    torch.testing.assert_close(gated(x, context(pairs)), plain(x, context(pairs)), atol=1e-12, rtol=1e-12)


def test_without_pair_features_and_distance_it_is_multi_head_attention() -> None:
    ours = attention(similarity="dot")
    ours.position.project.bias.data.zero_()
    theirs = torch.nn.MultiheadAttention(16, 4, batch_first=True, dtype=torch.double)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = ours.qkv.weight.data, ours.qkv.bias.data
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = ours.out.weight.data, ours.out.bias.data
    x = torch.randn(2, 5, 16, dtype=torch.double)
    got = ours(x, context(torch.zeros(2, 5, 5, 6, dtype=torch.double)))
    torch.testing.assert_close(got, theirs(x, x, x)[0], atol=1e-12, rtol=1e-12)


def test_matches_its_equation() -> None:
    mixer = attention()
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    x, pairs = torch.randn(2, 5, 16, dtype=torch.double), torch.randn(2, 5, 5, 6, dtype=torch.double)
    q, k, v = (y.view(2, 5, 4, 4).transpose(1, 2) for y in mixer.qkv(x))
    phi, psi = mixer.position.project(pairs).permute(0, 3, 1, 2).split(4, dim=1)
    scores = q @ k.mT / 2 - k.square().sum(-1)[:, :, None] / 4 + phi
    weights = scores.masked_fill(~mask[:, None, None], -torch.inf).softmax(-1) * (1 + psi)
    want = mixer.out((weights @ v).transpose(1, 2).reshape(2, 5, 16))
    torch.testing.assert_close(mixer(x, context(pairs, mask)), want, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("gate", [True, False])
def test_layers_prepared_together_are_those_prepared_one_by_one(gate: bool) -> None:
    layers = [PairBias(3, 6, config=PairBias.Config(gate=gate)).double() for _ in range(4)]
    pairs = torch.randn(2, 5, 7, 6, dtype=torch.double, requires_grad=True)
    together = prepare_together(layers, context(pairs))
    for layer, (phi, factor) in zip(layers, together, strict=True):
        own = layer.project(pairs).permute(0, 3, 1, 2)
        torch.testing.assert_close(phi, own[:, :3], atol=1e-12, rtol=1e-12)
        if factor is None:
            assert not gate
        else:
            torch.testing.assert_close(factor, 1 + own[:, 3:], atol=1e-12, rtol=1e-12)


def test_queries_a_few_at_a_time_give_the_same_outputs_and_gradients() -> None:
    mixer = attention()
    x = torch.randn(2, 5, 16, dtype=torch.double, requires_grad=True)
    pairs = torch.randn(2, 5, 5, 6, dtype=torch.double, requires_grad=True)
    some = Context(positions=torch.arange(5)[None], pair_rows=PairRows(lambda first, last: pairs[:, first:last], 2))
    results = []
    for ctx in (context(pairs), some):
        out = mixer(x, ctx)
        gradients = torch.autograd.grad(out.square().sum(), [x, pairs, mixer.position.project.weight])
        results.append((out, *gradients))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


def test_says_so_where_there_are_no_pair_features() -> None:
    with pytest.raises(FormariumError, match="features of pairs"):
        attention()(torch.randn(2, 5, 16, dtype=torch.double), context(None))


def test_pairs_prepared_once_a_kind_are_those_prepared_one_by_one() -> None:
    layers = [PairBias(3, 6).double() for _ in range(2)]
    kinds, features = torch.randint(4, (2, 5, 5)), torch.randn(4, 6, dtype=torch.double)
    each = context(features[kinds])
    for one, other in zip(
        prepare_together(layers, each),
        prepare_together(layers, replace(each, pair_kinds=(kinds, features))),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)
