import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from formarium.config import ConfigError, parse
from formarium.context import Context
from formarium.parts import ALiBi, Attention, BlockwiseAttention, RoPE
from formarium.parts.token_mixers.attend import attend
from formarium.parts.token_mixers.blockwise_attention import blockwise_attend


@given(st.integers(1, 40), st.integers(1, 45), st.booleans(), st.sampled_from([None, 2.0]))
def test_equals_attention_for_any_block(length: int, block: int, causal: bool, softcap: float | None) -> None:
    q, k, v = torch.randn(3, 2, 2, length, 4, dtype=torch.float64)
    bias, factor = torch.randn(2, 1, 2, length, length, dtype=torch.float64)
    acting = {"causal": causal, "softcap": softcap, "bias": bias, "factor": factor, "scale": 0.7}
    torch.testing.assert_close(blockwise_attend(q, k, v, block, **acting), attend(q, k, v, **acting))


def test_the_highest_score_may_come_last() -> None:
    """The running maximum is raised block by block, and what was summed before shrinks with it."""
    q = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    k = torch.arange(0.0, 800.0, 100.0, dtype=torch.float64).view(1, 1, 8, 1)
    v = torch.arange(8.0, dtype=torch.float64).view(1, 1, 8, 1)
    torch.testing.assert_close(blockwise_attend(q, k, v, 3), attend(q, k, v))


@pytest.mark.parametrize("settings", ["", "window=5, ", "qk_norm=RMSNorm, ", "bias=True, scale=0.2, "])
def test_the_part_equals_attention_in_one_pass_and_by_steps(settings: str) -> None:
    position = RoPE(head_width=8)
    full, blocks = (
        parse(f"{kind}({settings}{end})").build(width=32, heads=4, kv_heads=2, position=position, causal=True).double()
        for kind, end in (("Attention", ""), ("BlockwiseAttention", "block=4"))
    )
    assert isinstance(full, Attention)
    assert isinstance(blocks, BlockwiseAttention)
    blocks.load_state_dict(full.state_dict())
    x = torch.randn(2, 17, 32, dtype=torch.float64)

    def context(past: int, length: int) -> Context:
        places = torch.arange(past + length)[None]
        made = Context(positions=places[:, past:], key_positions=places, past=past)
        made.shared = position.prepare(made)
        return made

    whole = full(x, context(0, 17))
    torch.testing.assert_close(blocks(x, context(0, 17)), whole)
    state = blocks.new_state(2, 17, x)
    steps = [blocks.step(x[:, a:b], context(a, b - a), state) for a, b in ((0, 9), (9, 10), (10, 17))]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)


def test_masks_and_biases_of_one_column_are_not_cut() -> None:
    context = Context(positions=torch.arange(9)[None], mask=torch.tensor([[True] * 6 + [False] * 3]))
    position = ALiBi(4)
    context.shared = position.prepare(context)
    full, blocks = Attention(32, 4, position=position), BlockwiseAttention(32, 4, position=position)
    blocks.load_state_dict(full.state_dict())
    x = torch.randn(1, 9, 32)
    torch.testing.assert_close(blocks(x, context), full(x, context))


def test_a_block_holds_a_key() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        BlockwiseAttention(32, 4, config=BlockwiseAttention.Config(block=0))
