import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from formarium.config import ConfigError
from formarium.context import Context
from formarium.models.decoder import Decoder
from formarium.parts.positions.euler_rotary import EulerRoPE
from formarium.parts.positions.rotary import RoPE
from formarium.parts.token_mixers.attention import Attention

DOUBLE = torch.float64


def euler(heads: int, head_width: int, kv_heads: int | None = None, random: bool = True, **settings) -> EulerRoPE:
    """A position in float64 with random slopes and offsets."""
    position = EulerRoPE(head_width, heads, kv_heads, EulerRoPE.Config(**settings)).to(DOUBLE)
    if random:
        for parameter in position.parameters():
            parameter.data.normal_()
    return position


def scores(position: EulerRoPE, queries: Tensor, keys: Tensor, first: int = 0) -> Tensor:
    """Dot products of the transformed queries and keys, with the position's scale: (B, H, T, T)."""
    places = torch.arange(first, first + queries.shape[2])[None]
    prepared = position.prepare(Context(positions=places, embeddings=queries))
    queries, keys = position.turn(queries, keys, prepared)
    keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)
    return queries @ keys.transpose(-1, -2) / queries.shape[-1] ** 0.5


def pairwise(position: EulerRoPE, queries: Tensor, keys: Tensor, scale: float) -> Tensor:
    """The score of the paper, pair of tokens by pair of tokens: the O(T^2 K) reference."""
    config, (_, heads, length, width) = position.config, queries.shape
    share = heads // keys.shape[1]
    keys = keys.repeat_interleave(share, dim=1)
    half = width // 2

    def channels(x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = (x[..., :half], x[..., half:]) if config.layout == "half" else (x[..., 0::2], x[..., 1::2])
        return (a**2 + b**2 + config.eps).sqrt(), torch.atan2(b, a)

    slope = torch.ones(1, half, dtype=DOUBLE) if position.slope is None else position.slope
    if config.slope is not None:
        slope = torch.full((1, half), config.slope, dtype=DOUBLE)
    if len(slope) > 1:
        slope = slope.repeat_interleave(share, dim=0)
    offset = torch.zeros(1, half, dtype=DOUBLE) if position.offset is None else position.offset
    frequencies = 10000.0 ** (-2 * torch.arange(half, dtype=DOUBLE) / width)
    (q, q_phase), (k, k_phase) = channels(queries), channels(keys)
    difference = q_phase[:, :, :, None] - k_phase[:, :, None]
    places = torch.arange(length, dtype=DOUBLE)
    distance = (places[:, None] - places)[..., None] * frequencies
    angle = slope[:, None, None] * difference + offset[:, None, None] + distance
    return scale * (q[:, :, :, None] * k[:, :, None] * angle.cos()).sum(-1)


@settings(deadline=None, max_examples=30)
@given(
    heads=st.sampled_from([(1, 1), (4, 4), (4, 2), (6, 1)]),
    half=st.integers(1, 5),
    layout=st.sampled_from(["half", "interleaved"]),
    tied=st.booleans(),
    offset=st.booleans(),
    slope=st.sampled_from([None, 0.0, 1.0, -1.7]),
    scale=st.sampled_from([None, 1.0]),
    eps=st.sampled_from([1e-9, 1e-2]),
    seed=st.integers(0, 1000),
)
def test_factorised_score_is_the_pairwise_formula_and_so_is_its_gradient(
    heads, half, layout, tied, offset, slope, scale, eps, seed
):
    torch.manual_seed(seed)
    (count, groups), width = heads, 2 * half
    # With the slope fixed at 1 the modulus is exact: what the paper's code adds under the root is not added.
    eps, close = (1e-9, 1e-7) if slope == 1.0 else (eps, 1e-12)
    position = euler(count, width, groups, layout=layout, tied=tied, offset=offset, slope=slope, scale=scale, eps=eps)
    queries = torch.randn(2, count, 7, width, dtype=DOUBLE, requires_grad=True)
    keys = torch.randn(2, groups, 7, width, dtype=DOUBLE, requires_grad=True)
    gain = width**-0.5 if scale is None else scale
    found, expected = scores(position, queries, keys), pairwise(position, queries, keys, gain)
    assert torch.allclose(found, expected, atol=close, rtol=close)
    if slope == 1.0:
        position.config = replace(position.config, eps=0.0)
        expected = pairwise(position, queries, keys, gain)
    leaves = [queries, keys, *position.parameters()]
    cotangent = torch.randn_like(expected)
    for own, wanted in zip(*(torch.autograd.grad(s, leaves, cotangent) for s in (found, expected)), strict=True):
        assert torch.allclose(own, wanted, atol=1e-9, rtol=1e-9)


def test_starts_at_rope():
    torch.manual_seed(0)
    rope = Decoder(Decoder.Config(width=32, depth=2, heads=4, kv_heads=2, position=RoPE.Config())).double()
    torch.manual_seed(0)
    ours = Decoder(Decoder.Config(width=32, depth=2, heads=4, kv_heads=2, position=EulerRoPE.Config())).double()
    tokens = torch.randint(256, (2, 16))
    assert torch.allclose(ours(tokens), rope(tokens), atol=1e-6)


def test_scale_of_one_is_rope_without_the_root():
    torch.manual_seed(0)
    x = torch.randn(2, 9, 24, dtype=DOUBLE)
    context = Context(positions=torch.arange(9)[None], embeddings=x)
    rope = RoPE(6)
    theirs = Attention(24, 4, position=rope, causal=True, config=Attention.Config(scale=1.0)).double()
    ours = Attention(24, 4, position=euler(4, 6, random=False, scale=1.0, eps=0.0), causal=True).double()
    ours.load_state_dict(theirs.state_dict(), strict=False)
    expected = theirs(x, Context(positions=context.positions, shared=rope.prepare(context)))
    assert torch.allclose(ours(x, context), expected, atol=1e-12)


def test_scale_reaches_the_channels_that_pass():
    queries, keys = torch.randn(2, 1, 2, 5, 8, dtype=DOUBLE)
    scaled, plain = euler(2, 8, random=False, fraction=0.5, scale=1.0), euler(2, 8, random=False, fraction=0.5)
    assert torch.allclose(scores(scaled, queries, keys), scores(plain, queries, keys) * 8**0.5, atol=1e-12)


def test_slope_zero_sees_magnitudes_and_distance_only():
    torch.manual_seed(1)
    position = euler(2, 8, slope=0.0, offset=False, scale=1.0)
    queries, keys = torch.randn(2, 1, 2, 6, 8, dtype=DOUBLE)
    modulus = [(x[..., :4] ** 2 + x[..., 4:] ** 2 + 1e-9).sqrt() for x in (queries, keys)]
    places = torch.arange(6, dtype=DOUBLE)
    turn = ((places[:, None] - places)[..., None] * 10000 ** (-torch.arange(4, dtype=DOUBLE) / 4)).cos()
    expected = (modulus[0][:, :, :, None] * modulus[1][:, :, None] * turn).sum(-1)
    assert torch.allclose(scores(position, queries, keys), expected, atol=1e-12)
    # Phases do not count, so that each side may be replaced by its magnitudes.
    bare = torch.cat((modulus[1], torch.zeros_like(modulus[1])), -1)
    assert torch.allclose(scores(position, queries, bare), expected, atol=1e-8)


@settings(deadline=None, max_examples=20)
@given(first=st.integers(0, 100_000), phase=st.sampled_from(["principal", "smooth"]), seed=st.integers(0, 100))
def test_only_distances_count(first, phase, seed):
    torch.manual_seed(seed)
    position = euler(2, 8, phase=phase)
    queries, keys = torch.randn(2, 1, 2, 6, 8, dtype=DOUBLE)
    assert torch.allclose(scores(position, queries, keys), scores(position, queries, keys, first), atol=1e-9)


@pytest.mark.parametrize("phase", ["principal", "smooth"])
def test_a_whole_turn_of_the_offset_changes_nothing(phase):
    position = euler(2, 8, phase=phase)
    queries, keys = torch.randn(2, 1, 2, 6, 8, dtype=DOUBLE)
    before = scores(position, queries, keys)
    assert position.offset is not None
    position.offset.data.add_(2 * math.pi)
    assert torch.allclose(scores(position, queries, keys), before, atol=1e-12)


def across_the_cut(position: EulerRoPE) -> float:
    """How far the score of one pair of channels moves when the query crosses the negative real axis."""
    key = torch.tensor([0.3, -1.1], dtype=DOUBLE).view(1, 1, 1, 2)
    sides = [torch.tensor([-1.5, side * 1e-9], dtype=DOUBLE).view(1, 1, 1, 2) for side in (1, -1)]
    above, below = (scores(position, query, key).item() for query in sides)
    return abs(above - below)


@pytest.mark.parametrize("slope", [0.0, 1.0, -2.0, 3.0])
def test_whole_slopes_do_not_jump(slope):
    assert across_the_cut(euler(1, 2, slope=slope, scale=1.0)) < 1e-7


@pytest.mark.parametrize("slope", [0.5, 1.3, -0.25])
def test_broken_slopes_jump_by_the_known_size_and_the_smooth_phase_does_not(slope):
    position = euler(1, 2, slope=slope, scale=1.0)
    assert position.offset is not None
    offset, key_phase = position.offset.item(), math.atan2(-1.1, 0.3)
    size = 1.5 * math.hypot(0.3, 1.1)
    angle = slope * (math.pi - key_phase) + offset
    expected = size * abs(math.cos(angle) - math.cos(angle - 2 * math.pi * slope))
    assert expected > 0.1
    assert across_the_cut(position) == pytest.approx(expected, abs=1e-6)
    assert across_the_cut(euler(1, 2, slope=slope, scale=1.0, phase="smooth")) < 1e-7


def test_smooth_phase_has_the_slope_at_zero():
    position = euler(1, 2, slope=0.4, offset=False, phase="smooth", scale=1.0)
    key = torch.tensor([1.0, 0.0], dtype=DOUBLE).view(1, 1, 1, 2)
    angle = 1e-5
    query = torch.tensor([math.cos(angle), math.sin(angle)], dtype=DOUBLE).view(1, 1, 1, 2)
    turned, _ = position.turn(
        query, key, position.prepare(Context(positions=torch.zeros(1, 1, dtype=torch.long), embeddings=query))
    )
    assert math.atan2(turned[..., 1].item(), turned[..., 0].item()) == pytest.approx(0.4 * angle, rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(a=st.floats(0.01, 100), b=st.floats(0.01, 100), seed=st.integers(0, 100))
def test_scores_scale_with_magnitudes_and_are_bounded_by_them(a, b, seed):
    torch.manual_seed(seed)
    position = euler(2, 8, eps=0.0, scale=1.0)
    queries, keys = torch.randn(2, 1, 2, 6, 8, dtype=DOUBLE)
    plain = scores(position, queries, keys)
    assert torch.allclose(scores(position, a * queries, b * keys), a * b * plain, rtol=1e-9, atol=1e-12)
    modulus = [(x[..., :4] ** 2 + x[..., 4:] ** 2).sqrt() for x in (queries, keys)]
    assert (plain.abs() <= modulus[0] @ modulus[1].transpose(-1, -2) + 1e-12).all()


@pytest.mark.parametrize("phase", ["principal", "smooth"])
def test_gradients_are_finite_at_zero_and_next_to_it(phase):
    position = EulerRoPE(4, 1, config=EulerRoPE.Config(phase=phase, start="random"))
    queries = torch.tensor([[0.0, 1e-25, 1e-12, 1.0], [0.0, 1e-25, 0.0, 0.0]]).t().repeat(1, 2)[None, None]
    queries.requires_grad_()
    out = scores(position, queries, torch.randn(1, 1, 4, 4))
    out.sum().backward()
    assert queries.grad is not None
    assert queries.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in position.parameters())


def test_gradients_agree_with_finite_differences():
    torch.manual_seed(0)
    position = euler(2, 4, eps=1e-14)
    queries, keys = torch.randn(2, 1, 2, 3, 4, dtype=DOUBLE)
    queries.requires_grad_()
    keys.requires_grad_()
    assert torch.autograd.gradcheck(lambda q, k: scores(position, q, k), (queries, keys), atol=1e-5)


def test_half_precision_keeps_its_phases():
    torch.manual_seed(0)
    position = EulerRoPE(16, 2, config=EulerRoPE.Config(start="random"))
    queries, keys = torch.randn(2, 1, 2, 8, 16).bfloat16()
    context = Context(positions=torch.arange(5000, 5008)[None], embeddings=queries)
    got = position.turn(queries, keys, position.prepare(context))[0]
    assert got.dtype == torch.bfloat16
    exact = position.double()
    context = Context(positions=context.positions, embeddings=queries.double())
    want = exact.turn(queries.double(), keys.double(), exact.prepare(context))[0]
    assert (got.double() - want).abs().max() < 2**-8 * want.abs().max()


def test_what_is_learned():
    count = {
        name: sum(p.numel() for p in EulerRoPE(16, 4, kv, EulerRoPE.Config(**kw)).parameters())
        for name, kv, kw in [
            ("paper", 4, {}),
            ("grouped", 2, {}),
            ("tied", 4, {"tied": True}),
            ("slope fixed", 4, {"slope": 1.0}),
            ("no offset", 4, {"offset": False}),
            ("rope", 4, {"slope": 1.0, "offset": False}),
        ]
    }
    assert count == {"paper": 64, "grouped": 48, "tied": 16, "slope fixed": 32, "no offset": 32, "rope": 0}
    layer = Attention(64, 4, position=EulerRoPE(16, 4))
    assert sum(p.numel() for p in layer.parameters()) == 4 * 64**2 + 64


def test_random_start_has_the_published_spread():
    torch.manual_seed(0)
    slope = EulerRoPE(128, 64, config=EulerRoPE.Config(start="random")).slope
    assert slope is not None
    assert slope.std().item() == pytest.approx(64**-0.5, rel=0.05)
    assert slope.mean().item() == pytest.approx(0, abs=0.01)


def test_decoder_is_causal_and_decodes():
    torch.manual_seed(0)
    config = Decoder.Config(width=32, depth=2, heads=4, kv_heads=2, position=EulerRoPE.Config(start="random"))
    model = Decoder(config).double().eval()
    tokens = torch.randint(256, (2, 12))
    scores_ = model(tokens)
    changed = tokens.clone()
    changed[:, 8:] = (changed[:, 8:] + 1) % 256
    assert torch.equal(model(changed)[:, :8], scores_[:, :8])
    state = model.new_state(2, 12)
    pieces = [model.step(tokens[:, :5], state)] + [model.step(tokens[:, i : i + 1], state) for i in range(5, 12)]
    assert torch.allclose(torch.cat(pieces, 1), scores_, atol=1e-12)


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="pairs of channels"):
        EulerRoPE(7, 2)
    with pytest.raises(ConfigError, match="eps"):
        EulerRoPE(8, 2, config=EulerRoPE.Config(eps=-1.0))
