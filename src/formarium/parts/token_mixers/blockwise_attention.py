"""Exact attention computed over blocks of keys with a running softmax (Dao et al. 2022, FlashAttention, 2205.14135)."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from formarium.config import ConfigError
from formarium.parts.dropout import dropout as drop
from formarium.parts.part import Position
from formarium.parts.token_mixers.attention import Attention


class BlockwiseAttention(Attention):
    """Attention that never holds more than T x ``block`` scores of a head: (B, T, D) to (B, T, D).

    Equal to Attention to rounding, and slower where a fused kernel serves: it is there to show, and to check, what such
    a kernel does. In training autograd keeps every block.
    """

    @dataclass(frozen=True)
    class Config(Attention.Config):
        block: int = 32

    by_hand: ClassVar[bool] = False

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int | None = None,
        head_width: int | None = None,
        position: Position | None = None,
        causal: bool = False,
        layer: int = 0,
        config: Config | None = None,
    ) -> None:
        config = config or self.Config()
        super().__init__(width, heads, kv_heads, head_width, position, causal, layer, config)
        if config.block < 1:
            raise ConfigError(f"a block of keys holds at least 1, not {config.block}")
        self.block = config.block

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, **acting: Any) -> Tensor:
        return blockwise_attend(queries, self._repeated(keys), self._repeated(values), self.block, **acting)


def blockwise_attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    block: int,
    *,
    causal: bool = False,
    visible: Tensor | None = None,
    bias: Tensor | None = None,
    factor: Tensor | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """``attend`` over one block of keys after another: the maximum, the denominator and the sum are carried along."""
    dtype = torch.promote_types(queries.dtype, torch.float32)
    scaled = queries.to(dtype) * (1 / math.sqrt(queries.shape[-1]) if scale is None else scale)
    highest = scaled.new_full((*scaled.shape[:-1], 1), -math.inf)
    denominator, mixed = torch.zeros_like(highest), scaled.new_zeros(*scaled.shape[:-1], values.shape[-1])
    length, total = queries.shape[2], keys.shape[2]
    if causal:
        visible = torch.ones(length, total, dtype=torch.bool, device=queries.device).tril(total - length)
    for start in range(0, total, block):
        here = slice(start, start + block)
        scores = scaled @ keys[:, :, here].to(dtype).transpose(-1, -2)
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        if bias is not None:
            scores = scores + _columns(bias, here)
        if visible is not None:
            scores = scores.masked_fill(~_columns(visible, here), -math.inf)
        raised = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        origin = raised.masked_fill(raised == -math.inf, 0)  # nothing seen yet
        weights = torch.exp(scores - origin)
        shrink = torch.exp(highest - origin)
        denominator = denominator * shrink + weights.sum(dim=-1, keepdim=True)
        if factor is not None:
            weights = weights * _columns(factor, here)
        mixed = mixed * shrink + drop(weights, dropout) @ values[:, :, here].to(dtype)
        highest = raised
    return (mixed / denominator).to(queries.dtype)


def _columns(x: Tensor, keys: slice) -> Tensor:
    return x if x.shape[-1] == 1 else x[..., keys]
