"""Multi-head attention (Vaswani et al. 2017, 1706.03762) with grouped queries (Ainslie et al. 2023, 2305.13245)."""

from dataclasses import dataclass
from typing import cast

from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.linear import FusedLinear, ResidualLinear
from formarium.parts.norms.rms_norm import RMSNorm
from formarium.parts.part import Norm, Position, TokenMixer
from formarium.parts.token_mixers.attend import attend


class Attention(TokenMixer):
    """Softmax attention over the tokens of a sequence: (B, T, D) to (B, T, D).

    qk_norm: a norm over the channels of each head, on queries and keys before they are turned (Henry et al. 2020,
    arXiv 2010.04245). window: a causal query sees that many tokens, itself included (Mistral 7B, arXiv 2310.06825);
    with ``full_every`` = n each n-th layer sees all. softcap: see ``attend``. scale: 1/sqrt(K) where None.
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
        dropout: float = 0.0

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
        super().__init__()
        self.config = config = config or self.Config()
        self.heads, self.kv_heads, self.causal = heads, kv_heads or heads, causal
        if head_width is None and width % heads:
            raise ConfigError(f"a width of {width} cannot be split among {heads} heads")
        if heads % self.kv_heads:
            raise ConfigError(f"{heads} query heads cannot share {self.kv_heads} key heads evenly")
        self.head_width = head_width or width // heads
        if position is not None and position.causal_only and not causal:
            raise ConfigError(f"{type(position).__name__} sums over the past and needs causal attention")
        if config.window is not None and (config.window < 1 or not causal):
            raise ConfigError("a window of attention needs causal attention and at least one token")
        self.position = position if position is not None and not position.shared else None
        self._shared = [position] if position is not None and position.shared else []  # in a list: owned by the model
        inner, inner_kv = heads * self.head_width, self.kv_heads * self.head_width
        self.qkv = FusedLinear(width, (inner, inner_kv, inner_kv), bias=config.bias)
        out_bias = config.bias if config.output_bias is None else config.output_bias
        self.out = ResidualLinear(inner, width, bias=out_bias)
        norms = [None if config.qk_norm is None else config.qk_norm.build(width=self.head_width) for _ in range(2)]
        self.query_norm, self.key_norm = cast(list[Norm | None], norms)
        full = config.full_every is not None and (layer + 1) % config.full_every == 0
        self.window = None if full else config.window

    def forward(self, x: Tensor, context: Context) -> Tensor:
        queries, keys, values, prepared = self._project(x, context, None)
        return self._mix(queries, keys, values, prepared, context)

    def new_state(self, batch: int, capacity: int, like: Tensor) -> LayerState:
        shape = (batch, self.kv_heads, capacity, self.head_width)
        return {"keys": like.new_zeros(shape), "values": like.new_zeros(shape)}

    def step(self, x: Tensor, context: Context, state: LayerState) -> Tensor:
        queries, keys, values, prepared = self._project(x, context, state)
        past, total = context.past, context.past + context.length
        state["keys"][:, :, past:total] = keys
        state["values"][:, :, past:total] = values
        return self._mix(queries, state["keys"][:, :, :total], state["values"][:, :, :total], prepared, context)

    def _project(self, x: Tensor, context: Context, state: LayerState | None) -> tuple[Tensor, Tensor, Tensor, object]:
        batch, length, _ = x.shape
        q, k, v = (y.view(batch, length, -1, self.head_width).transpose(1, 2) for y in self.qkv(x))
        if self.query_norm is not None and self.key_norm is not None:
            q, k = self.query_norm(q), self.key_norm(k)
        prepared: object = context.shared
        if self.position is not None:
            prepared = self.position.prepare(context, x, state)
        position = self._where
        if position is not None and "turn" in position.acts:
            q, k = position.turn(q, k, prepared)
        return q, k, v, prepared

    @property
    def _where(self) -> Position | None:
        return self.position if self.position is not None else (self._shared[0] if self._shared else None)

    def _mix(self, queries: Tensor, keys: Tensor, values: Tensor, prepared: object, context: Context) -> Tensor:
        position = self._where
        plain = self.causal and context.plainly_causal(self.window)
        mixed = attend(
            queries,
            keys,
            values,
            causal=plain,
            visible=None if plain else context.visible(self.causal, self.window),
            bias=None if position is None else position.bias(prepared),
            factor=None if position is None else position.scale(prepared),
            scale=self.config.scale,
            softcap=self.config.softcap,
            dropout=self.config.dropout if self.training else 0.0,
        )
        batch, _, length, _ = mixed.shape
        return cast(Tensor, self.out(mixed.transpose(1, 2).reshape(batch, length, -1)))


def qk_normed(config: Attention.Config = Attention.Config()) -> Attention.Config:
    """The configuration with RMS-normed queries and keys, as in Qwen 3 and OLMo 2."""
    return config.replace(qk_norm=RMSNorm.Config())
