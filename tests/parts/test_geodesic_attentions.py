import itertools

import pytest
import torch
from torch import Tensor

from formarium.config import ConfigError, parse
from formarium.context import Context
from formarium.models import Decoder
from formarium.parts import HyperbolicAttention, SphericalAttention
from formarium.parts import poincare_ball as ball
from formarium.parts.token_mixers.geodesic_attention import GeodesicAttention

MIXERS = (
    "HyperbolicAttention",
    "HyperbolicAttention(aggregation=tangent, curvature=0.5)",
    "HyperbolicAttention(trainable_curvature=True)",
    "SphericalAttention",
)


def build(text: str, dtype: torch.dtype = torch.float64, std: float = 0.5, **around: object) -> GeodesicAttention:
    torch.manual_seed(0)
    mixer: GeodesicAttention = parse(text).build(**{"width": 12, "heads": 3, **around})
    for parameter in mixer.parameters():
        if parameter.dim():
            torch.nn.init.normal_(parameter, std=std)
    return mixer.to(dtype)


def tokens(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(*shape, dtype=dtype)


def context(length: int, mask: Tensor | None = None) -> Context:
    return Context(positions=torch.arange(length)[None], mask=mask)


@pytest.mark.parametrize("aggregation", ["midpoint", "tangent"])
@pytest.mark.parametrize(("heads", "kv_heads", "c"), [(3, 3, 1.0), (6, 2, 0.3), (2, 1, 2.0)])
def test_hyperbolic_attention_is_what_its_equations_say(heads: int, kv_heads: int, c: float, aggregation: str) -> None:
    """Against each equation by itself, with differences of all pairs, Moebius addition and artanh.

    Not far out: there it is the artanh of nearly 1 that loses digits.
    """
    text = f"HyperbolicAttention(curvature={c}, aggregation={aggregation})"
    mixer, x = build(text, std=0.25, heads=heads, kv_heads=kv_heads), tokens(2, 5, 12)
    width = 12 // heads
    q, k, v = (y.view(2, 5, -1, width).transpose(1, 2) for y in mixer.qkv(x))
    k, v = (y.repeat_interleave(heads // kv_heads, dim=1) for y in (k, v))
    s = width**-0.5

    def exp0(u: Tensor) -> Tensor:
        n = c**0.5 * u.norm(dim=-1, keepdim=True)
        return n.tanh() * u / n

    qh, kh, vh = exp0(s * q)[:, :, :, None], exp0(s * k)[:, :, None], exp0(s * v)
    a, b = -qh, kh
    ab, aa, bb = (a * b).sum(-1, keepdim=True), (a * a).sum(-1, keepdim=True), (b * b).sum(-1, keepdim=True)
    sums = ((1 + 2 * c * ab + c * bb) * a + (1 - c * aa) * b) / (1 + 2 * c * ab + c * c * aa * bb)
    distances = 2 / c**0.5 * torch.atanh(c**0.5 * sums.norm(dim=-1))
    weights = torch.softmax(-mixer.beta.exp()[:, None, None] * distances, dim=-1)
    if aggregation == "tangent":
        z = weights @ (s * v)
    else:
        factor = 2 / (1 - c * vh.square().sum(-1, keepdim=True))
        u = (weights @ (factor * vh)) / (weights @ (factor - 1))
        m = u / (1 + (1 - c * u.square().sum(-1, keepdim=True)).sqrt())
        n = c**0.5 * m.norm(dim=-1, keepdim=True)
        z = n.atanh() * m / n
    expected = mixer.out((z / s).transpose(1, 2).reshape(2, 5, 12))
    torch.testing.assert_close(mixer.weights(x, context(5)), weights, atol=1e-9, rtol=0)
    torch.testing.assert_close(mixer(x, context(5)), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("text", MIXERS)
def test_hidden_keys_have_no_weight_and_no_gradient(text: str) -> None:
    mixer, x = build(text), tokens(2, 5, 12).requires_grad_()
    mask = torch.tensor([[True] * 5, [True, True, False, True, False]])
    weights = mixer.weights(x, context(5, mask))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 5, dtype=torch.float64))
    assert (weights[1, :, :, [2, 4]] == 0).all()
    mixer(x, context(5, mask))[1, [0, 1, 3]].square().sum().backward()
    assert x.grad is not None
    assert (x.grad[1, [2, 4]] == 0).all()
    assert (x.grad[1, [0, 1, 3]] != 0).any()


@pytest.mark.parametrize("text", MIXERS)
def test_padding_and_later_tokens_change_nothing(text: str) -> None:
    mixer, x = build(text, causal=True), tokens(1, 6, 12)
    whole = mixer(x, context(6))
    torch.testing.assert_close(mixer(x[:, :4], context(4)), whole[:, :4])
    padded = torch.cat((tokens(1, 2, 12), x), dim=1)
    mask = torch.tensor([[False] * 2 + [True] * 6])
    torch.testing.assert_close(mixer(padded, context(8, mask))[:, 2:], whole)


@pytest.mark.parametrize("position", ["RoPE", "ALiBi", "RelativeFactor", "CARoPE(start=random)"])
@pytest.mark.parametrize("text", MIXERS)
def test_decoding_step_by_step_equals_one_pass(text: str, position: str) -> None:
    config = Decoder.Config(vocabulary=31, width=48, depth=2, heads=4, kv_heads=2, max_length=40)
    model: Decoder = config.override({"token_mixer": text, "position": position}).build()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.eval()
    numbers = torch.randint(31, (2, 13))
    with torch.no_grad():
        state = model.new_state(2, 13)
        cuts = (0, 6, 7, 10, 11, 12, 13)
        pieces = [model.step(numbers[:, a:b], state) for a, b in itertools.pairwise(cuts)]
        torch.testing.assert_close(torch.cat(pieces, dim=1), model(numbers), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("text", MIXERS)
def test_traces_as_one_graph(text: str) -> None:
    torch._dynamo.reset()
    mixer, x = build(text, torch.float32), tokens(2, 5, 12, dtype=torch.float32)
    compiled = torch.compile(mixer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, context(5)), mixer(x, context(5)))


@pytest.mark.parametrize("text", MIXERS)
@pytest.mark.parametrize("scale", [0.0, 1e-4, 1.0, 300.0])
def test_gradients_in_single_precision_are_finite(text: str, scale: float) -> None:
    """Equal tokens, opposite tokens, tokens of zeros, and tokens far out at the boundary."""
    x = tokens(1, 4, 12, dtype=torch.float32) * scale
    x = torch.cat((x, x[:, :1], -x[:, :1], torch.zeros_like(x[:, :1])), dim=1).requires_grad_()
    mixer = build(text, torch.float32, causal=False)
    with torch.no_grad():  # queries and keys of a token coincide
        mixer.qkv.weight[12:24] = mixer.qkv.weight[:12]
    y = mixer(x, context(7))
    assert y.isfinite().all()
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (x, *mixer.parameters()))


@pytest.mark.parametrize("text", MIXERS)
def test_half_precision_under_autocast_stays_close(text: str) -> None:
    mixer, x = build(text, torch.float32, std=0.3), tokens(2, 6, 12, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = mixer(x, context(6))
    torch.testing.assert_close(y.float(), mixer(x, context(6)), atol=0.05, rtol=0.05)


def test_hyperbolic_scores_do_not_change_under_isometries() -> None:
    q, k = (ball.exp0(tokens(1, 2, 4, 4), 1.0), ball.exp0(tokens(1, 2, 5, 4).flip(-1), 1.0))
    shift = ball.exp0(tokens(4), 1.0)
    turn = torch.linalg.qr(tokens(4, 4))[0]
    moved = [ball.mobius_add(shift.expand_as(x), x @ turn, 1.0) for x in (q, k)]
    torch.testing.assert_close(ball.pairwise_distance(*moved, 1.0), ball.pairwise_distance(q, k, 1.0))


def test_hyperbolic_attention_without_curvature_is_attention_by_distance() -> None:
    x = tokens(2, 5, 12)
    flat = build("HyperbolicAttention(curvature=1e-8)")
    q, k, v = (y.view(2, 5, 3, 4).transpose(1, 2) for y in flat.qkv(x))
    scores = -2 * flat.beta.exp()[:, None, None] * 4**-0.5 * torch.cdist(q, k)
    expected = flat._merge(torch.softmax(scores, dim=-1) @ v)
    torch.testing.assert_close(flat(x, context(5)), expected, atol=1e-4, rtol=0)
    tangent = build("HyperbolicAttention(curvature=1e-8, aggregation=tangent)")
    torch.testing.assert_close(tangent(x, context(5)), flat(x, context(5)), atol=1e-6, rtol=0)


def test_curvature_is_trained_through_softplus() -> None:
    fixed, trained = build("HyperbolicAttention(curvature=0.7)"), build(MIXERS[2].replace("(", "(curvature=0.7, "))
    assert isinstance(fixed, HyperbolicAttention)
    assert isinstance(trained, HyperbolicAttention)
    x = tokens(2, 5, 12)
    torch.testing.assert_close(trained(x, context(5)), fixed(x, context(5)), atol=1e-6, rtol=1e-6)
    trained(x, context(5)).square().sum().backward()
    assert trained.raw_curvature is not None
    assert trained.raw_curvature.grad is not None
    assert trained.raw_curvature.grad != 0
    assert dict(fixed.named_parameters()).keys() == dict(trained.named_parameters()).keys() - {"raw_curvature"}


def test_double_precision_carries_single_precision_to_the_boundary() -> None:
    """Distances of queries and keys far out, where single precision alone has no digits left."""
    mixer = build("HyperbolicAttention", torch.float32)
    far = 10 * torch.nn.functional.normalize(tokens(1, 3, 6, 4, dtype=torch.float32), dim=-1)
    near = far + 0.01 * tokens(1, 3, 6, 4, dtype=torch.float32).flip(-1)
    products = mixer.query_features(far) @ mixer.key_features(near).transpose(-1, -2)
    exact = ball.pairwise_distance(*(ball.exp0(x.double() / 2, 1.0) for x in (far, near)), 1.0)
    torch.testing.assert_close(mixer.distance(products.float()).double(), exact, atol=1e-4, rtol=1e-4)


def test_spherical_weights_do_not_change_with_lengths_and_turns() -> None:
    mixer = build("SphericalAttention")
    assert isinstance(mixer, SphericalAttention)
    q, k = tokens(1, 3, 4, 4), tokens(1, 3, 5, 4).flip(-1)
    turn = torch.linalg.qr(tokens(4, 4))[0]
    plain = mixer.query_features(q) @ mixer.key_features(k).transpose(-1, -2)
    scaled = mixer.query_features(q * torch.rand(4, 1) * 9) @ mixer.key_features(k * torch.rand(5, 1)).transpose(-1, -2)
    turned = mixer.query_features(q @ turn) @ mixer.key_features(k @ turn).transpose(-1, -2)
    for other in (scaled, turned):
        torch.testing.assert_close(mixer.distance(other), mixer.distance(plain))
    assert (mixer.distance(plain) >= 0).all()


def test_spherical_mean_keeps_the_length_of_values() -> None:
    mixer = build("SphericalAttention")
    values = tokens(1, 3, 6, 4)
    values = 2.5 * values / values.norm(dim=-1, keepdim=True)
    weights = torch.softmax(tokens(1, 3, 2, 6), dim=-1)
    mean = mixer.mean(weights @ mixer.value_features(values))
    torch.testing.assert_close(mean.norm(dim=-1), torch.full((1, 3, 2), 2.5, dtype=torch.float64))


def test_curvature_must_be_positive() -> None:
    for c in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="above 0"):
            HyperbolicAttention(12, 3, config=HyperbolicAttention.Config(curvature=c))


@pytest.mark.parametrize("length", [1.0, 4.0, 6.0])
def test_the_midpoint_of_one_value_is_the_value_also_in_single_precision(length: float) -> None:
    mixer = build("HyperbolicAttention", torch.float32)
    direction = torch.nn.functional.normalize(tokens(1, 3, 1, 4, dtype=torch.float32), dim=-1)
    value = (direction * length / mixer.shrink).requires_grad_()  # type: ignore[operator]
    mean = mixer.mean(mixer.value_features(value))
    torch.testing.assert_close(mean, value, rtol=1e-4, atol=0, check_dtype=False)
    (slope,) = torch.autograd.grad((mean * direction).sum(), value)
    torch.testing.assert_close((slope * direction).sum(-1), torch.ones(1, 3, 1), rtol=1e-3, atol=0)
