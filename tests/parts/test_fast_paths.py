"""What is computed another way because it is faster: the same numbers, the same gradients, and a second derivative."""

from dataclasses import replace
from unittest import mock

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from formarium.context import Context
from formarium.models import Decoder, GraphTransformer
from formarium.parts import AdaRMSNorm, Attention, PairBias, RandomWalkStem
from formarium.parts.linear import Linear, linear
from formarium.parts.norms.adaptive_rms_norm import _Normed
from formarium.parts.positions.rotary import rotate
from formarium.parts.token_mixers import causal_chunks
from formarium.parts.token_mixers.attend import attend
from formarium.parts.token_mixers.pair_attention import pair_attend


@given(st.integers(causal_chunks.CHUNK + 1, 3 * causal_chunks.CHUNK), st.integers(1, 3), st.sampled_from([None, 0.3]))
def test_attention_in_chunks_equals_the_fused_kernel(length: int, heads: int, scale: float | None) -> None:
    given_ = [torch.randn(2, heads, length, 8, requires_grad=True) for _ in range(3)]
    assert causal_chunks.suits(*given_)
    ours = attend(*given_, causal=True, scale=scale)
    theirs = F.scaled_dot_product_attention(*given_, is_causal=True, scale=scale)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    cotangent = torch.randn_like(ours)
    for got, want in zip(
        torch.autograd.grad(ours, given_, cotangent), torch.autograd.grad(theirs, given_, cotangent), strict=True
    ):
        torch.testing.assert_close(got, want, atol=2e-5, rtol=1e-3)


def test_attention_in_chunks_can_be_differentiated_twice() -> None:
    given_ = [torch.randn(1, 1, causal_chunks.CHUNK + 3, 4, requires_grad=True) for _ in range(3)]

    def penalty(attended: torch.Tensor) -> list[torch.Tensor]:
        first = torch.autograd.grad(attended.square().sum(), given_, create_graph=True)
        return list(torch.autograd.grad(sum(g.square().sum() for g in first), given_))  # type: ignore[arg-type]

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        want = penalty(F.scaled_dot_product_attention(*given_, is_causal=True))
    for got, expected in zip(penalty(attend(*given_, causal=True)), want, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-3)


def by_hand_and_by_autograd(x: torch.Tensor, mixer: Attention, context: Context) -> list[list[torch.Tensor]]:
    """The output and all gradients of a mixer of pairs in float32, and in float64, which autograd computes."""
    results = []
    for dtype in (torch.float32, torch.float64):
        pairs = context.pairs.to(dtype).requires_grad_()
        given_ = [x.to(dtype).requires_grad_(), pairs, *mixer.to(dtype).parameters()]
        with mock.patch("formarium.parts.token_mixers.attention.pair_attend", wraps=pair_attend) as spy:
            y = mixer(given_[0], replace(context, pairs=pairs, _visible={}))
        assert spy.called == (dtype == torch.float32)
        results.append([g.double() for g in (y, *torch.autograd.grad(y.square().sum(), given_))])
    return results


@given(st.integers(1, 20), st.booleans(), st.sampled_from(["dot", "distance", "distance_as_released"]), st.booleans())
def test_attention_of_pairs_by_hand_equals_autograds(length: int, masked: bool, kind: str, causal: bool) -> None:
    mask = torch.arange(length) < torch.tensor([[length], [max(1, length - 3)]]) if masked else None
    settings = Attention.Config(bias=True, scale=0.6).replace(similarity=kind)
    mixer = Attention(12, 3, position=PairBias(3, 5), causal=causal, config=settings)
    context = Context(positions=torch.arange(length)[None], mask=mask, pairs=torch.randn(2, length, length, 5))
    for got, want in zip(*by_hand_and_by_autograd(torch.randn(2, length, 12), mixer, context), strict=True):
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-3)


def test_attention_of_pairs_has_right_derivatives_of_both_orders() -> None:
    hidden = torch.tensor([0.0, -1e30, 0.0, 0.0], dtype=torch.double).expand(2, 1, 1, 4)

    def run(*given_: torch.Tensor) -> torch.Tensor:
        return pair_attend(*given_, hidden, 0.7, 0.5)

    shapes = ((2, 4, 18), (2, 3, 4, 4), (2, 3, 4, 4))
    inputs = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)
    for asking in range(3):
        assert torch.autograd.gradgradcheck(run, [x.detach().requires_grad_(i == asking) for i, x in enumerate(inputs)])


def test_derivatives_forward_are_those_of_the_plain_operations() -> None:
    net = GraphTransformer.Config(width=8, depth=1, heads=2, node_features=3, stem=RandomWalkStem.Config(steps=3))
    model, adjacency = net.build(), (torch.ones(2, 5, 5) - torch.eye(5))
    features, turn = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    with forward_ad.dual_level():
        out = model(adjacency, node_features=forward_ad.make_dual(features, turn))
        forward = forward_ad.unpack_dual(out).tangent
    back = torch.autograd.functional.jvp(lambda x: model(adjacency, node_features=x), features, turn)[1]
    torch.testing.assert_close(forward, back, atol=1e-5, rtol=1e-4)


def test_adaptive_norms_by_hand_equal_autograds_and_have_right_derivatives_of_both_orders() -> None:
    norm = AdaRMSNorm(6)
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    x, cotangent = torch.randn(2, 5, 6), torch.randn(2, 5, 6)
    results = []
    for dtype in (torch.float32, torch.float64):
        here = x.to(dtype).requires_grad_()
        y = norm.to(dtype)(here)
        results.append([y, *torch.autograd.grad(y, [here, *norm.parameters()], cotangent.to(dtype))])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got.double(), want, atol=1e-5, rtol=1e-4)
    inputs = [here, norm.alpha, norm.beta]
    assert torch.autograd.gradcheck(lambda *given_: _Normed.apply(*given_, 1e-6), inputs)
    assert torch.autograd.gradgradcheck(lambda *given_: _Normed.apply(*given_, 1e-6), inputs)


@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_linear_maps_equal_those_of_torch(rows: int, width: int, out: int, bias: bool) -> None:
    with mock.patch("formarium.parts.linear._FEWEST_PRODUCTS", 0):
        linear_maps_equal_those_of_torch(rows, width, out, bias)


def linear_maps_equal_those_of_torch(rows: int, width: int, out: int, bias: bool) -> None:
    x = torch.randn(2, rows, width, requires_grad=True)
    own, theirs = Linear(width, out, bias=bias), torch.nn.Linear(width, out, bias=bias)
    theirs.load_state_dict(own.state_dict())
    cotangent = torch.randn(2, rows, out)
    results = []
    for module in (own, theirs):
        y = module(x)
        results.append([y, *torch.autograd.grad(y, [x, *module.parameters()], cotangent)])
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


def test_linear_maps_can_be_differentiated_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("formarium.parts.linear._FEWEST_PRODUCTS", 0)
    x, weight = torch.randn(80, 6, requires_grad=True), torch.randn(5, 6, requires_grad=True)
    (first,) = torch.autograd.grad(linear(x, weight).pow(3).sum(), x, create_graph=True)
    got = torch.autograd.grad(first.square().sum(), (x, weight))
    (first,) = torch.autograd.grad((x @ weight.T).pow(3).sum(), x, create_graph=True)
    for ours, want in zip(got, torch.autograd.grad(first.square().sum(), (x, weight)), strict=True):
        torch.testing.assert_close(ours, want, rtol=1e-3, atol=1e-3)


def test_turning_equals_the_written_rotation_and_its_derivatives() -> None:
    x = torch.randn(2, 3, 5, 8, requires_grad=True)
    angles = torch.randn(1, 1, 5, 4)
    cos, sin = angles.cos(), angles.sin()
    a, b = x.chunk(2, dim=-1)
    written = torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)
    turned = rotate(x, cos, sin)
    torch.testing.assert_close(turned, written)
    results = []
    for y in (turned, written):
        (first,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        results.append((first, *torch.autograd.grad(first.square().sum(), x)))
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_precision_trains_and_agrees_with_float64(dtype: torch.dtype) -> None:
    model = Decoder(Decoder.Config(vocabulary=40, width=32, depth=2, heads=2)).to(dtype)
    exact = Decoder(model.config).double()
    exact.load_state_dict({k: v.double() for k, v in model.state_dict().items()})
    tokens = torch.randint(40, (1, 200))
    model(tokens).double().square().mean().backward()
    exact(tokens).square().mean().backward()
    tolerance = {torch.float32: 1e-4, torch.float64: 1e-9, torch.bfloat16: 0.1}[dtype]
    for (name, ours), theirs in zip(model.named_parameters(), exact.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        error = (ours.grad.double() - theirs.grad).norm() / theirs.grad.norm()
        assert error < tolerance, name


def test_function_transforms_see_plain_operations() -> None:
    model = Decoder(Decoder.Config(vocabulary=20, width=16, depth=1, heads=2))
    weights = dict(model.named_parameters())
    tokens = torch.randint(20, (3, 140))

    def loss(weights: dict[str, torch.Tensor], row: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, weights, (row[None],)).square().mean()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, tokens)
    whole = torch.func.grad(lambda w: torch.func.functional_call(model, w, (tokens,)).square().mean())(weights)
    for name, gradients in each.items():
        torch.testing.assert_close(gradients.mean(0), whole[name], atol=1e-5, rtol=1e-3)
