import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from formarium.config import ConfigError
from formarium.context import Context
from formarium.parts import ALiBi, FlowAttention, RoPE
from formarium.parts.token_mixers.flow_attention import causal_flow_attention, flow_attention
from formarium.parts.token_mixers.running_product import running_product


def places(length: int, past: int = 0) -> torch.Tensor:
    return torch.arange(past, past + length)[None]


def plainly_causal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, eps: float) -> torch.Tensor:
    """The causal form token by token, one head: (T, K)."""
    q, k, out = q.sigmoid(), k.sigmoid(), []
    incoming = [(t + 1) / ((q[t] + eps) @ (k[: t + 1].sum(0) + eps)) for t in range(len(q))]
    outgoing = [(t + 1) / ((k[t] + eps) @ (q[: t + 1].sum(0) + eps)) for t in range(len(q))]
    logits, competition = [], []
    for t in range(len(q)):
        sinks = sum((q[s] * incoming[s] for s in range(t + 1)), torch.zeros_like(q[0]))
        logits.append(((k[t] + eps) @ (sinks + eps) / (t + 1)).clamp(-1, 1).exp())
        competition.append(logits[t] / sum(logits) * (t + 1))
    for t in range(len(q)):
        sources = sum((k[s] * outgoing[s] for s in range(t + 1)), torch.zeros_like(q[0]))
        allocation = ((q[t] + eps) @ (sources + eps) / (t + 1)).sigmoid()
        mixed = sum(((q[t] @ k[s]) * v[s] * competition[s] for s in range(t + 1)), torch.zeros_like(v[0]))
        out.append(mixed * incoming[t] / (t + 1) * allocation)
    return torch.stack(out)


def test_causal_form_is_that_of_the_paper_token_by_token() -> None:
    q, k, v = torch.randn(3, 1, 1, 13, 4, dtype=torch.float64)
    expected = plainly_causal(q[0, 0], k[0, 0], v[0, 0], 1e-6)
    torch.testing.assert_close(causal_flow_attention(q, k, v)[0, 0], expected, atol=1e-12, rtol=1e-12)


def test_equal_tokens_share_alike() -> None:
    """With queries and keys alike each source gives each sink 1 / T, and a conserved inflow of 1 is allocated."""
    q, k = torch.randn(2, 1, 2, 1, 5, dtype=torch.float64).expand(2, 1, 2, 9, 5)
    v = torch.randn(1, 2, 9, 5, dtype=torch.float64)
    expected = v.mean(dim=2, keepdim=True).expand_as(v) * torch.sigmoid(torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(flow_attention(q, k, v), expected, atol=1e-5, rtol=1e-5)
    last = causal_flow_attention(q, k, v)[:, :, -1]
    torch.testing.assert_close(last, expected[:, :, -1], atol=1e-5, rtol=1e-5)


@given(st.integers(1, 150), st.integers(1, 70))
def test_running_product_is_the_triangle_of_scores(length: int, chunk: int) -> None:
    q, k, v = torch.randn(3, 1, 2, length, 3, dtype=torch.float64)
    whole, after = running_product(q, k, v, chunk=chunk)
    torch.testing.assert_close(whole, (q @ k.transpose(-1, -2)).tril() @ v)
    torch.testing.assert_close(after, k.transpose(-1, -2) @ v)


@pytest.mark.parametrize("position", [None, RoPE(head_width=8)])
def test_steps_equal_one_pass(position: RoPE | None) -> None:
    mixer = FlowAttention(32, 4, kv_heads=2, position=position, causal=True).double()
    x = torch.randn(2, 90, 32, dtype=torch.float64)

    def context(past: int, length: int) -> Context:
        made = Context(positions=places(length, past), key_positions=places(past + length), past=past)
        made.shared = None if position is None else position.prepare(made)
        return made

    state = mixer.new_state(2, 90, x)
    cuts = (0, 70, 71, 72, 90)
    steps = [mixer.step(x[:, a:b], context(a, b - a), state) for a, b in itertools.pairwise(cuts)]
    torch.testing.assert_close(torch.cat(steps, dim=1), mixer(x, context(0, 90)))


@pytest.mark.parametrize("causal", [False, True])
def test_padding_neither_takes_nor_gives(causal: bool) -> None:
    mixer = FlowAttention(16, 2, causal=causal).double()
    x = torch.randn(2, 12, 16, dtype=torch.float64)
    padded = torch.cat((torch.randn(2, 5, 16, dtype=torch.float64), x), dim=1)
    mask = torch.ones(2, 17, dtype=torch.bool)
    mask[:, :5] = False
    got = mixer(padded, Context(positions=places(17), mask=mask))[:, 5:]
    torch.testing.assert_close(got, mixer(x, Context(positions=places(12))))


def test_half_precision_sums_in_single() -> None:
    q, k, v = torch.randn(3, 1, 2, 600, 16)
    exact = flow_attention(q.double(), k.double(), v.double())
    half = flow_attention(q.bfloat16(), k.bfloat16(), v.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), exact, atol=0.02, rtol=0.02)


def test_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ConfigError, match="bias"):
        FlowAttention(16, 2, position=ALiBi(2))
    mixer, context = FlowAttention(16, 2), Context(positions=places(4), segments=torch.zeros(1, 4, dtype=torch.long))
    with pytest.raises(ConfigError, match="documents apart"):
        mixer(torch.randn(1, 4, 16), context)
