"""CARoPE: phases, what they may and may not depend on, and its start at RoPE."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formarium.config import ConfigError
from formarium.context import Context
from formarium.models import Decoder
from formarium.parts import Attention, CARoPE, RoPE
from formarium.parts.positions.context_aware_rotary import rope_offset

WIDTH, HEADS, HEAD_WIDTH = 12, 3, 8


def position(**config: object) -> CARoPE:
    part = CARoPE(WIDTH, HEADS, HEAD_WIDTH, CARoPE.Config(**{"start": "random", **config}))  # type: ignore[arg-type]
    for parameter in part.parameters():
        parameter.data = torch.randn_like(parameter)
    return part.double()


def scores(part: CARoPE, embeddings: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
    phases = part.phases(part.frequencies(embeddings))
    queries, keys = part.turn(queries, keys, (phases.cos(), phases.sin()))
    return queries @ keys.transpose(-1, -2)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@given(st.floats(10, 1e6), st.sampled_from([2, 8, 64, 128]))
def test_offset_makes_the_frequency_of_rope(base: float, head_width: int) -> None:
    offset = rope_offset(base, head_width)
    softplus = max(offset, 0) + math.log1p(math.exp(-abs(offset)))
    frequency = 1 / (softplus + 1)
    assert frequency == pytest.approx(base ** (-2 / head_width), rel=1e-9)


def test_started_at_rope_its_phases_are_those_of_rope() -> None:
    part = CARoPE(WIDTH, HEADS, HEAD_WIDTH).double()
    phases = part.phases(part.frequencies(random(2, 7, WIDTH)))
    rope = RoPE(HEAD_WIDTH)
    want = torch.arange(1, 8, dtype=torch.float64)[:, None] * rope.frequencies
    torch.testing.assert_close(phases, want.expand(2, HEADS, 7, 4), atol=1e-5, rtol=1e-5)


def test_frequencies_lie_between_zero_and_one_and_phases_grow() -> None:
    part = position()
    frequencies = part.frequencies(random(2, 20, WIDTH))
    assert ((frequencies > 0) & (frequencies < 1)).all()
    phases = part.phases(frequencies)
    assert (phases.diff(dim=2) > 0).all(), "with the position"
    assert (phases.diff(dim=3) < 0).all(), "and less from pair to pair"
    torch.testing.assert_close(phases[..., 0], torch.arange(1, 21, dtype=torch.float64).expand(2, HEADS, 20))


def test_a_score_depends_only_on_the_tokens_between() -> None:
    part = position()
    embeddings, q, k = (
        random(1, 12, WIDTH),
        random(1, HEADS, 12, HEAD_WIDTH, seed=1),
        random(1, HEADS, 12, HEAD_WIDTH, seed=2),
    )
    plain = scores(part, embeddings, q, k)
    for changed in range(12):
        other = embeddings.clone()
        other[0, changed] += 1
        difference = (scores(part, other, q, k) - plain).abs().amax(dim=(0, 1))
        for m in range(12):
            for n in range(m + 1):
                felt = bool(difference[m, n] > 1e-9)
                assert felt == (n < changed <= m), (m, n, changed)


def test_what_comes_before_leaves_scores_alone() -> None:
    part = position()
    embeddings, q, k = (
        random(1, 9, WIDTH),
        random(1, HEADS, 9, HEAD_WIDTH, seed=1),
        random(1, HEADS, 9, HEAD_WIDTH, seed=2),
    )
    before = (
        random(1, 5, WIDTH, seed=3),
        random(1, HEADS, 5, HEAD_WIDTH, seed=4),
        random(1, HEADS, 5, HEAD_WIDTH, seed=5),
    )
    longer = scores(
        part, torch.cat((before[0], embeddings), 1), torch.cat((before[1], q), 2), torch.cat((before[2], k), 2)
    )
    torch.testing.assert_close(longer[:, :, 5:, 5:], scores(part, embeddings, q, k))


def test_lengths_are_kept_and_equal_columns_give_equal_phases() -> None:
    part = position()
    with torch.no_grad():
        assert part.weight is not None
        assert part.offset is not None
        part.weight[:, 1] = part.weight[:, 0]
        part.offset[1] = part.offset[0]
    phases = part.phases(part.frequencies(random(1, 6, WIDTH)))
    torch.testing.assert_close(phases[:, 0], phases[:, 1], atol=1e-12, rtol=0)
    q = random(1, HEADS, 6, HEAD_WIDTH)
    turned, _ = part.turn(q, q, (phases.cos(), phases.sin()))
    torch.testing.assert_close(turned.norm(dim=-1), q.norm(dim=-1))


def test_running_sum_goes_on_where_it_stopped() -> None:
    part = position()
    frequencies = part.frequencies(random(2, 10, WIDTH))
    whole = part.phases(frequencies)
    first = part.phases(frequencies[:, :, :4])
    torch.testing.assert_close(part.phases(frequencies[:, :, 4:], first[:, :, -1]), whole[:, :, 4:])


def test_gradients_against_finite_differences() -> None:
    part = position()
    assert part.weight is not None
    embeddings = random(1, 4, WIDTH).requires_grad_()

    def of(embeddings: Tensor, weight: Tensor) -> Tensor:
        values = {"weight": weight, "offset": part.offset}
        return torch.func.functional_call(_Phases(part), {f"part.{k}": v for k, v in values.items()}, (embeddings,))  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(of, (embeddings, part.weight))


class _Phases(torch.nn.Module):
    def __init__(self, part: CARoPE) -> None:
        super().__init__()
        self.part = part

    def forward(self, embeddings: Tensor) -> Tensor:
        return self.part.phases(self.part.frequencies(embeddings))


def test_parameters_are_a_map_and_a_bias_a_layer() -> None:
    base = Decoder.Config(width=64, depth=3, heads=4)
    extra = base.override({"position": "CARoPE"}).build().num_parameters() - base.build().num_parameters()
    assert extra == 3 * (64 * 4 + 4)
    control = (
        base.override({"position": "CARoPE(content=False)"}).build().num_parameters() - base.build().num_parameters()
    )
    assert control == 3 * 4


def test_half_precision_sums_phases_in_float32() -> None:
    part = CARoPE(WIDTH, HEADS, HEAD_WIDTH).bfloat16()
    embeddings = torch.randn(1, 4096, WIDTH).bfloat16()
    cos, sin = part.prepare(Context(positions=torch.arange(4096)[None], embeddings=embeddings))
    assert cos.dtype == torch.bfloat16
    phases = part.phases(part.frequencies(embeddings))
    assert phases.dtype == torch.float32
    assert phases[0, 0, -1, 0].item() == 4096, "bfloat16 would have stopped counting at 256"
    torch.testing.assert_close(cos, phases.cos().bfloat16())
    torch.testing.assert_close(sin, phases.sin().bfloat16())


def test_impossible_settings_are_named_when_built() -> None:
    with pytest.raises(ConfigError, match="odd"):
        CARoPE(12, 2, 7)
    with pytest.raises(ConfigError, match="start at RoPE only with its bias"):
        CARoPE(12, 2, 6, CARoPE.Config(bias=False))
    with pytest.raises(ConfigError, match="nothing to learn"):
        CARoPE(12, 2, 6, CARoPE.Config(bias=False, content=False, start="random"))
    with pytest.raises(ConfigError, match="causal"):
        Attention(12, 2, position=CARoPE(12, 2, 6), causal=False)
