"""Attention by distance: what it is equal to, what leaves it unchanged, and that it goes through the fused kernel."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from formarium.context import Context
from formarium.parts import Attention
from formarium.parts.token_mixers.attend import attend, attention_weights
from formarium.parts.token_mixers.distance import with_key_norms


def heads(length: int = 7, keys: int = 9, width: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    shape = torch.double
    return (
        torch.randn(2, 4, length, width, dtype=shape),
        torch.randn(2, 2, keys, width, dtype=shape),
        torch.randn(2, 2, keys, width, dtype=shape),
    )


@given(st.floats(0.05, 3.0), st.booleans())
def test_is_the_softmax_of_squared_distances(scale: float, masked: bool) -> None:
    q, k, v = heads()
    bias = torch.randn(2, 4, 7, 9, dtype=torch.double)
    visible = torch.ones(2, 1, 1, 9, dtype=torch.bool)
    visible[0, ..., 5:] = not masked
    wide_q, wide_k = with_key_norms(q, k, 0.5)
    got = attend(wide_q, wide_k, v, bias=bias, visible=visible, scale=scale)
    every = k.repeat_interleave(2, 1)
    scores = -scale * torch.cdist(q, every).square() / 2 + bias
    want = scores.masked_fill(~visible, -torch.inf).softmax(-1) @ v.repeat_interleave(2, 1)
    torch.testing.assert_close(got, want, atol=1e-10, rtol=1e-10)


def test_wide_keys_in_the_fused_kernel_equal_the_explicit_form() -> None:
    q, k, v = heads()
    wide_q, wide_k = with_key_norms(q, k, 0.5)
    fused = attend(wide_q, wide_k, v, scale=8**-0.5)
    weights = attention_weights(wide_q, wide_k, scale=8**-0.5)
    torch.testing.assert_close(fused, weights @ v.repeat_interleave(2, 1), atol=1e-12, rtol=1e-12)


def test_moving_queries_and_keys_alike_changes_nothing_unless_by_dot_product() -> None:
    q, k, _ = heads()
    moved = torch.randn(8, dtype=torch.double)

    def weights(q: torch.Tensor, k: torch.Tensor, factor: float) -> torch.Tensor:
        return attention_weights(*with_key_norms(q, k, factor), scale=0.3)

    torch.testing.assert_close(weights(q + moved, k + moved, 0.5), weights(q, k, 0.5), atol=1e-12, rtol=1e-10)
    assert not torch.allclose(weights(q + moved, k + moved, 0.0), weights(q, k, 0.0))


def test_half_precision_keeps_what_rounding_the_norms_would_lose() -> None:
    q, k = (torch.randn(1, 1, 16, 64).bfloat16() for _ in range(2))
    wide_q, wide_k = with_key_norms(q, k, 0.5)
    exact = k.double().square().sum(-1) * -0.5
    both = wide_k[..., 64:].double().sum(-1)
    assert wide_q.shape[-1] == wide_k.shape[-1] == 66
    assert (both - exact).abs().max() < 0.01 < (wide_k[..., 64].double() - exact).abs().max()


@pytest.mark.parametrize("scale", [None, 0.4])
def test_the_form_as_released_is_the_papers_with_queries_scaled_beforehand(scale: float | None) -> None:
    released = Attention.Config(similarity="distance_as_released", scale=scale, bias=True)
    ours = Attention(32, 4, config=Attention.Config(similarity="distance", bias=True)).double()
    theirs = Attention(32, 4, config=released).double()
    theirs.load_state_dict(ours.state_dict())
    for parameter in (theirs.qkv.weight, theirs.qkv.bias):
        parameter.data[:32] /= 8**0.5 * (scale or 1.0)
    x, context = torch.randn(2, 5, 32, dtype=torch.double), Context(positions=torch.arange(5)[None])
    torch.testing.assert_close(theirs(x, context), ours(x, context), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("similarity", ["distance", "distance_as_released"])
def test_decoding_step_by_step_equals_all_at_once(similarity: str) -> None:
    mixer = Attention(32, 4, 2, causal=True, config=Attention.Config().replace(similarity=similarity)).double()
    x = torch.randn(2, 6, 32, dtype=torch.double)
    whole = mixer(x, Context(positions=torch.arange(6)[None]))
    state = mixer.new_state(2, 6, x)
    steps = [
        mixer.step(
            x[:, t : t + 1], Context(torch.tensor([[t]]), key_positions=torch.arange(t + 1)[None], past=t), state
        )
        for t in range(6)
    ]
    torch.testing.assert_close(torch.cat(steps, 1), whole, atol=1e-12, rtol=1e-12)


def test_weights_are_those_that_mix() -> None:
    mixer = Attention(16, 2, config=Attention.Config(similarity="distance")).double()
    x = torch.randn(2, 5, 16, dtype=torch.double)
    context = Context(positions=torch.arange(5)[None], mask=torch.tensor([[True] * 5, [True] * 3 + [False] * 2]))
    weights = mixer.weights(x, context)
    values = mixer.qkv(x)[2].view(2, 5, 2, 8).transpose(1, 2)
    mixed = mixer.out((weights @ values).transpose(1, 2).reshape(2, 5, 16))
    torch.testing.assert_close(mixed, mixer(x, context), atol=1e-12, rtol=1e-12)
    assert weights[1, :, :, 3:].abs().max() == 0
