"""What attentions have in common: queries, keys and values of several heads, and the way back to the stream."""

from typing import ClassVar, cast

from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.linear import FusedLinear, ResidualLinear
from formarium.parts.part import Norm, Position, TokenMixer


class MultiHead(TokenMixer):
    """Projects tokens (B, T, D) to heads and back; a subclass mixes the heads.

    refuses: ways to act that a position must not have here. bias: of the three input projections; output_bias: of the
    output's, by default the same. qk_norm: a norm over the channels of each head, before the position turns them.
    shared: keys are the queries, from one projection.
    Raises ConfigError for head counts that do not divide and for positions that the mixer has no use for.
    """

    refuses: ClassVar[frozenset[str]] = frozenset({"bias", "scale"})

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int | None = None,
        head_width: int | None = None,
        position: Position | None = None,
        causal: bool = False,
        bias: bool = False,
        output_bias: bool | None = None,
        qk_norm: BaseConfig | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.causal = heads, kv_heads or heads, causal
        if head_width is None and width % heads:
            raise ConfigError(f"a width of {width} cannot be split among {heads} heads")
        if heads % self.kv_heads:
            raise ConfigError(f"{heads} query heads cannot share {self.kv_heads} key heads evenly")
        self.head_width = head_width or width // heads
        if position is not None and position.causal_only and not causal:
            raise ConfigError(f"{type(position).__name__} sums over the past and needs causal attention")
        if position is not None and not position.acts.isdisjoint(self.refuses):
            surplus = " and ".join(sorted(position.acts & self.refuses))
            raise ConfigError(
                f"{type(position).__name__} acts on attention scores ({surplus}), which {type(self).__name__} lacks"
            )
        self.position = position if position is not None and not position.shared else None
        self._shared = [position] if position is not None and position.shared else []  # in a list: owned by the model
        inner, inner_kv = heads * self.head_width, self.kv_heads * self.head_width
        self.qkv = FusedLinear(width, (inner, inner_kv) if shared else (inner, inner_kv, inner_kv), bias=bias)
        self._lent: list[FusedLinear] = []  # in a list: owned by another mixer
        self.out = ResidualLinear(inner, width, bias=bias if output_bias is None else output_bias)
        norms = [None if qk_norm is None else qk_norm.build(width=self.head_width) for _ in range(2)]
        self.query_norm, self.key_norm = cast(list[Norm | None], norms)

    def share_projection(self, owner: "MultiHead") -> None:
        """Takes queries, keys and values from the projection of another mixer, which keeps and saves it.

        Raises ConfigError where the two have different heads.
        """
        if owner.qkv.splits != self.qkv.splits or (owner.qkv.bias is None) != (self.qkv.bias is None):
            raise ConfigError("mixers with different heads or biases cannot share a projection")
        self._lent = [owner.qkv]
        del self.qkv

    @property
    def _where(self) -> Position | None:
        return self.position if self.position is not None else (self._shared[0] if self._shared else None)

    def _project(self, x: Tensor, context: Context, state: LayerState | None) -> tuple[Tensor, Tensor, Tensor, object]:
        """Turned queries (B, H, T, K), keys and values (B, G, T, K), and what the position prepared."""
        projected = self._lent[0](x) if self._lent else self.qkv(x)
        heads = [y.unflatten(2, (-1, self.head_width)).transpose(1, 2) for y in projected]
        q, k, v = heads[0], heads[-2], heads[-1]
        if self.query_norm is not None and self.key_norm is not None:
            q, k = self.query_norm(q), self.key_norm(k)
        prepared: object = context.shared
        if self.position is not None:
            prepared = self.position.prepare(context, x, state)
        position = self._where
        if position is not None and "turn" in position.acts:
            q, k = position.turn(q, k, prepared)
        return q, k, v, prepared

    def _merge(self, mixed: Tensor) -> Tensor:
        """Heads (B, H, T, K) side by side and through the output projection: (B, T, D)."""
        return cast(Tensor, self.out(mixed.transpose(1, 2).flatten(2)))

    def _repeated(self, grouped: Tensor) -> Tensor:
        """Keys or values (B, G, T, K) once for each query head: (B, H, T, K)."""
        share = self.heads // self.kv_heads
        return grouped if share == 1 else grouped.repeat_interleave(share, dim=1)
