"""Flow-Attention: linear attention in which flows are conserved (Wu et al., ICML 2022, arXiv 2202.06258).

Sinks (queries) take and sources (keys) give; fixing what goes out of each source makes sources compete, fixing what
comes into each sink decides how much it takes. No T x T matrix, no scale and no dropout.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.part import Position
from formarium.parts.token_mixers.multi_head import MultiHead
from formarium.parts.token_mixers.running_product import running_product


class FlowAttention(MultiHead):
    """Flow-Attention over the tokens of a sequence, linear in their number: (B, T, D) to (B, T, D).

    eps: added to both factors of every product of flows. The causal form replaces each sum over tokens by a running
    one, multiplies flows by the number of tokens they run over, and cuts the sources' logits at 1 so that the running
    softmax is stable. Raises ConfigError for packed documents, whose flows would mix.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        eps: float = 1e-6
        bias: bool = False

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int | None = None,
        head_width: int | None = None,
        position: Position | None = None,
        causal: bool = False,
        config: Config | None = None,
    ) -> None:
        config = config or self.Config()
        super().__init__(width, heads, kv_heads, head_width, position, causal, config.bias)
        self.eps = config.eps

    def forward(self, x: Tensor, context: Context) -> Tensor:
        return self._flow(x, context, None)

    def new_state(self, batch: int, capacity: int, like: Tensor) -> LayerState:
        dtype = torch.promote_types(like.dtype, torch.float32)
        vector = like.new_zeros(batch, self.heads, 1, self.head_width, dtype=dtype)
        scalar = like.new_zeros(batch, self.heads, 1, 1, dtype=dtype)
        matrix = like.new_zeros(batch, self.heads, self.head_width, self.head_width, dtype=dtype)
        sums = ("keys", "queries", "outgoing", "incoming")
        return {**dict.fromkeys(sums, vector), "logits": scalar, "seen": scalar, "products": matrix}

    def step(self, x: Tensor, context: Context, state: LayerState) -> Tensor:
        return self._flow(x, context, state)

    def _flow(self, x: Tensor, context: Context, state: LayerState | None) -> Tensor:
        if context.segments is not None:
            raise ConfigError("Flow-Attention sums over whole sequences and cannot keep packed documents apart")
        q, k, v, _ = self._project(x, context, state)
        k, v = self._repeated(k), self._repeated(v)
        real = None if context.mask is None else context.mask[:, -context.length :]
        if self.causal:
            mixed = causal_flow_attention(q, k, v, self.eps, real, state)
        else:
            mixed = flow_attention(q, k, v, self.eps, real)
        return self._merge(mixed)


def flow_attention(
    queries: Tensor, keys: Tensor, values: Tensor, eps: float = 1e-6, real: Tensor | None = None
) -> Tensor:
    """The mixing itself: queries (B, H, T, K), keys and values (B, H, S, K) to (B, H, T, K); at least float32 inside.

    real: (B, S), false for padding, where T = S.
    """
    q, k, v, mask = _flows(queries, keys, values, real)
    count: float | Tensor = float(k.shape[2])
    ratio = q.shape[2] / k.shape[2]
    if mask is not None:
        count = mask.sum(dim=2, keepdim=True)
    incoming = 1 / _dot(q + eps, k.sum(dim=2, keepdim=True) + eps)
    outgoing = 1 / _dot(k + eps, q.sum(dim=2, keepdim=True) + eps)
    conserved_sink = _dot(q + eps, (k * outgoing).sum(dim=2, keepdim=True) + eps)
    conserved_source = _dot(k + eps, (q * incoming).sum(dim=2, keepdim=True) + eps)
    if mask is not None:
        conserved_source = conserved_source.masked_fill(mask == 0, -torch.inf)
    competition = torch.softmax(conserved_source, dim=2) * count
    allocation = torch.sigmoid(conserved_sink * ratio)
    mixed = (q @ (k.transpose(-1, -2) @ (v * competition))) * (incoming * allocation)
    return mixed.to(queries.dtype)


def causal_flow_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    eps: float = 1e-6,
    real: Tensor | None = None,
    state: LayerState | None = None,
) -> Tensor:
    """The causal form, (B, H, T, K) each; continues from the running sums in ``state`` and updates them."""
    q, k, v, mask = _flows(queries, keys, values, real)
    ones = torch.ones_like(q[..., :1]) if mask is None else mask.expand(-1, q.shape[1], -1, -1)

    def running(x: Tensor, name: str) -> Tensor:
        sums = x.cumsum(dim=2)
        if state is not None:
            sums = sums + state[name]
            state[name] = sums[:, :, -1:]
        return sums

    seen = running(ones, "seen").clamp(min=1)
    incoming = seen / _dot(q + eps, running(k, "keys") + eps)
    outgoing = seen / _dot(k + eps, running(q, "queries") + eps)
    conserved_sink = _dot(q + eps, running(k * outgoing, "outgoing") + eps) / seen
    conserved_source = _dot(k + eps, running(q * incoming, "incoming") + eps) / seen
    logits = torch.exp(conserved_source.clamp(-1, 1)) * ones
    competition = logits / running(logits, "logits").clamp(min=torch.finfo(q.dtype).tiny) * seen
    before = None if state is None else state["products"]
    mixed, after = running_product(q * (incoming / seen), k, v * competition, before)
    if state is not None:
        state["products"] = after
    return (mixed * torch.sigmoid(conserved_sink)).to(queries.dtype)


def _flows(
    queries: Tensor, keys: Tensor, values: Tensor, real: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Non-negative queries and keys, values, and 1 for real tokens (B, 1, T, 1); padding neither takes nor gives."""
    dtype = torch.promote_types(queries.dtype, torch.float32)
    q, k, v = torch.sigmoid(queries.to(dtype)), torch.sigmoid(keys.to(dtype)), values.to(dtype)
    if real is None:
        return q, k, v, None
    mask = real[:, None, :, None].to(dtype)
    return q * mask, k * mask, v, mask


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum(dim=-1, keepdim=True)
