"""Multi-head attention (Vaswani et al. 2017, 1706.03762) with grouped queries (Ainslie et al. 2023, 2305.13245)."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState, PairRows
from formarium.parts.dropout import dropout as drop
from formarium.parts.linear import plain_training
from formarium.parts.norms.rms_norm import RMSNorm
from formarium.parts.part import Position
from formarium.parts.token_mixers.attend import attend, attention_weights, hiding
from formarium.parts.token_mixers.distance import with_key_norms
from formarium.parts.token_mixers.multi_head import MultiHead
from formarium.parts.token_mixers.pair_attention import pair_attend


class Attention(MultiHead):
    """Softmax attention over the tokens of a sequence: (B, T, D) to (B, T, D).

    qk_norm: a norm over the channels of each head, on queries and keys before they are turned (Henry et al. 2020,
    arXiv 2010.04245). window: a causal query sees that many tokens, itself included (Mistral 7B, arXiv 2310.06825);
    with ``full_every`` = n each n-th layer sees all. softcap: see ``attend``. scale: 1/sqrt(K) where None.
    similarity: ``dot`` for scale q.k; ``distance`` for scale (q.k - |k|^2 / 2), the softmax of -scale |q - k|^2 / 2;
    ``distance_as_released`` for scale q.k - |k|^2 / (2 sqrt K) with a scale of 1 where None (PPGT, arXiv 2504.12588).
    Raises ConfigError for head counts that do not divide.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        qk_norm: BaseConfig | None = None
        bias: bool = False
        output_bias: bool | None = None
        window: int | None = None
        full_every: int | None = None
        softcap: float | None = None
        scale: float | None = None
        similarity: Literal["dot", "distance", "distance_as_released"] = "dot"
        dropout: float = 0.0

    refuses: ClassVar[frozenset[str]] = frozenset()
    by_hand: ClassVar[bool] = True  # whether the gradient for positions of pairs may be the one that is written out

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
        super().__init__(
            width, heads, kv_heads, head_width, position, causal, config.bias, config.output_bias, config.qk_norm
        )
        self.config = config
        if config.window is not None and (config.window < 1 or not causal):
            raise ConfigError("a window of attention needs causal attention and at least one token")
        full = config.full_every is not None and (layer + 1) % config.full_every == 0
        self.window = None if full else config.window

    def forward(self, x: Tensor, context: Context) -> Tensor:
        if context.pair_rows is not None:
            return self._by_rows(x, context, context.pair_rows)
        if self.position is not None and self.position.of_pairs and self._plain(x):
            visible = context.visible(self.causal, self.window)
            prepared = self.position.prepare(context, x)
            mixed = pair_attend(
                self.qkv.joined(x),
                cast(Tensor, self.position.bias(prepared)),
                drop(cast(Tensor, self.position.scale(prepared)), self.config.dropout, self.training),
                None if visible is None else hiding(visible, x.dtype),
                *self._similarity(),
            )
            return cast(Tensor, self.out(mixed))
        queries, keys, values, prepared = self._project(x, context, None)
        return self._mix(queries, keys, values, prepared, context)

    def weights(self, x: Tensor, context: Context) -> Tensor:
        """The weights behind the softmax, (B, H, T, S), before a factor of the position and dropout."""
        queries, keys, _, prepared = self._project(x, context, None)
        queries, keys, scale = self._compared(queries, keys)
        return attention_weights(
            queries,
            keys,
            visible=context.visible(self.causal, self.window),
            bias=None if self._where is None else self._where.bias(prepared),
            scale=scale,
            softcap=self.config.softcap,
        )

    def _by_rows(self, x: Tensor, context: Context, rows: PairRows) -> Tensor:
        """Some queries at a time, their pair features made here and, for the gradient, once more."""

        def some(x: Tensor, first: int, last: int) -> Tensor:
            here = replace(context, pairs=rows.make(first, last), pair_rows=None, _visible={})
            queries, keys, values, prepared = self._project(x, here, None)
            return self._mix(queries, keys, values, prepared, here, slice(first, last))

        starts = range(0, context.length, rows.step)
        ends = (min(start + rows.step, context.length) for start in starts)
        mixed = [
            checkpoint(some, x, first, last, use_reentrant=False) for first, last in zip(starts, ends, strict=True)
        ]
        return torch.cat(mixed, dim=1)

    def new_state(self, batch: int, capacity: int, like: Tensor) -> LayerState:
        shape = (batch, self.kv_heads, capacity, self.head_width)
        return {"keys": like.new_zeros(shape), "values": like.new_zeros(shape)}

    def step(self, x: Tensor, context: Context, state: LayerState) -> Tensor:
        queries, keys, values, prepared = self._project(x, context, state)
        past, total = context.past, context.past + context.length
        state["keys"][:, :, past:total] = keys
        state["values"][:, :, past:total] = values
        return self._mix(queries, state["keys"][:, :, :total], state["values"][:, :, :total], prepared, context)

    def _plain(self, x: Tensor) -> bool:
        """Whether ``pair_attend`` may do what ``attend`` would, for a position of pairs."""
        return (
            self.by_hand
            and self.heads == self.kv_heads
            and self.query_norm is None
            and self.config.softcap is None
            and not self._lent
            and plain_training(x, self.qkv.weight)
        )

    def _similarity(self) -> tuple[float, float]:
        """The scale and the share of the keys' norms in the scores scale (q.k - share |k|^2)."""
        root = self.head_width**-0.5
        if self.config.similarity == "distance_as_released":
            scale = 1.0 if self.config.scale is None else self.config.scale
            return scale, 0.5 * root / scale
        return root if self.config.scale is None else self.config.scale, 0.5 * (self.config.similarity == "distance")

    def _compared(self, queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor, float]:
        """Queries and keys of which scale times the dot product is the score of the configured similarity."""
        scale, share = self._similarity()
        return *(with_key_norms(queries, keys, share) if share else (queries, keys)), scale

    def _mix(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        prepared: object,
        context: Context,
        rows: slice | None = None,
    ) -> Tensor:
        position = self._where
        queries, keys, scale = self._compared(queries, keys)
        plain = self.causal and rows is None and context.plainly_causal(self.window)
        visible = None if plain else context.visible(self.causal, self.window)
        if rows is not None:
            queries = queries[:, :, rows]
            visible = visible if visible is None or visible.shape[2] == 1 else visible[:, :, rows]
        mixed = self._attend(
            queries,
            keys,
            values,
            causal=plain,
            visible=visible,
            bias=None if position is None else position.bias(prepared),
            factor=None if position is None else position.scale(prepared),
            scale=scale,
            softcap=self.config.softcap,
            dropout=self.config.dropout if self.training else 0.0,
        )
        return self._merge(mixed)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, **acting: Any) -> Tensor:
        """The mixing of heads, with the arguments of ``attend``; a subclass may compute the same in another way."""
        return attend(queries, keys, values, **acting)


def qk_normed(config: Attention.Config = Attention.Config()) -> Attention.Config:
    """The configuration with RMS-normed queries and keys, as in Qwen 3 and OLMo 2."""
    return config.replace(qk_norm=RMSNorm.Config())
