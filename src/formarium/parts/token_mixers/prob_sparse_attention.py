"""ProbSparse attention: only the queries with the most uneven scores attend (Zhou et al., AAAI 2021, 2012.07436)."""

import math
from dataclasses import dataclass
from typing import Never

import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.part import Position
from formarium.parts.token_mixers.attend import attend
from formarium.parts.token_mixers.multi_head import MultiHead

_GOLDEN = (math.sqrt(5) - 1) / 2


class ProbSparseAttention(MultiHead):
    """Softmax attention for u = min(factor ceil(ln T), T) queries of each head; the rest read the mean of the values.

    (B, T, D) to (B, T, D). The u queries are those with the largest max - sum / T over the scores of equally many
    sampled keys; with u = T this is full attention. Keys are sampled anew in each training step, and spread evenly in
    evaluation, so that a forecast is the same every time. Raises ConfigError when causal: which queries are chosen
    depends on the tokens behind them.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        factor: int = 5
        bias: bool = False
        dropout: float = 0.0

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
        if causal:
            raise ConfigError(
                "ProbSparse attention chooses its queries by looking at all tokens, later ones too, so it has no "
                "causal form; use Attention in a causal model"
            )
        if config.factor < 1:
            raise ConfigError(f"the factor of ProbSparse attention is at least 1, not {config.factor}")
        super().__init__(width, heads, kv_heads, head_width, position, causal, config.bias)
        self.factor, self.dropout = config.factor, config.dropout

    def forward(self, x: Tensor, context: Context) -> Tensor:
        q, k, v, _ = self._project(x, context, None)
        visible = context.visible(causal=False)
        dropout = self.dropout if self.training else 0.0
        chosen = self.chosen(context.length)
        if chosen == context.length:
            return self._merge(attend(q, k, v, visible=visible, dropout=dropout))
        k, v = self._repeated(k), self._repeated(v)
        unevenness = self._unevenness(q, k, chosen, visible)
        if context.mask is not None:
            unevenness = unevenness.masked_fill(~context.mask[:, None], -math.inf)
        top = unevenness.topk(chosen, dim=-1, sorted=False).indices[..., None]  # (B, H, u, 1)
        if visible is not None:
            rows = visible.expand(len(q), self.heads, context.length, -1)
            seen = rows.gather(2, top.expand(-1, -1, -1, rows.shape[-1]))
        else:
            seen = None
        index = top.expand(-1, -1, -1, self.head_width)
        attended = attend(q.gather(2, index), k, v, visible=seen, dropout=dropout)
        return self._merge(_means(v, visible).scatter(2, index, attended))

    def step(self, x: Tensor, context: Context, state: LayerState) -> Never:
        raise ConfigError("ProbSparse attention has no causal form and does not decode step by step")

    def chosen(self, length: int) -> int:
        """u, the number of queries that attend among ``length`` tokens."""
        return min(self.factor * max(1, math.ceil(math.log(length))), length)

    def _unevenness(self, q: Tensor, k: Tensor, samples: int, visible: Tensor | None) -> Tensor:
        """max - sum / T of each query's scores with its sampled keys: (B, H, T)."""
        batch, heads, length, width = q.shape
        index = self._sampled(length, samples, q.device)
        if samples * width >= length:  # all scores are smaller than the sampled keys would be
            scores = (q @ k.transpose(-1, -2)).gather(-1, index.expand(batch, heads, -1, -1))
        else:
            scores = (k[:, :, index] @ q[..., None])[..., 0]
        if visible is None:
            return scores.amax(-1) - scores.sum(-1) / length
        seen = visible.expand(batch, heads, length, -1).gather(-1, index.expand(batch, heads, -1, -1))
        total = scores.masked_fill(~seen, 0).sum(-1) / visible.sum(-1).clamp(min=1)
        return scores.masked_fill(~seen, -math.inf).amax(-1) - total

    def _sampled(self, length: int, samples: int, device: torch.device) -> Tensor:
        """Which keys each query is measured on: (T, u) indices."""
        if self.training:
            return torch.randint(length, (length, samples), device=device)
        start = torch.arange(length, device=device) * _GOLDEN % 1
        return (
            ((torch.arange(samples, device=device) + start[:, None]) * (length / samples)).long().clamp(max=length - 1)
        )


def _means(v: Tensor, visible: Tensor | None) -> Tensor:
    """The mean of the values that each query may see: (B, H, T, K)."""
    if visible is None:
        return v.mean(dim=2, keepdim=True).expand_as(v).contiguous()
    weights = visible.to(v.dtype)
    return (weights / weights.sum(-1, keepdim=True).clamp(min=1) @ v).expand_as(v).contiguous()
