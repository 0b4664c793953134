"""Attention that looks at distances in a curved space: what such attentions have in common."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from formarium.context import Context, LayerState
from formarium.parts.dropout import dropout
from formarium.parts.part import Position
from formarium.parts.token_mixers.multi_head import MultiHead


class GeodesicAttention(MultiHead):
    """softmax(-exp(beta_h) distance(q_i, k_j)) over keys, a mean of values, W_o: (B, T, D) to (B, T, D).

    beta (H) starts at 0. A subclass says what its space is: distances follow from inner products of ``query_features``
    and ``key_features``, means from sums of ``value_features``. A position may turn queries and keys, bias the scores
    and scale the weights. dropout: of the weights.
    """

    refuses: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        width: int,
        heads: int,
        kv_heads: int | None,
        head_width: int | None,
        position: Position | None,
        causal: bool,
        bias: bool,
        dropout: float,
    ) -> None:
        super().__init__(width, heads, kv_heads, head_width, position, causal, bias)
        self.beta = nn.Parameter(torch.zeros(heads))
        self.dropout = dropout

    def query_features(self, queries: Tensor) -> Tensor:
        """Queries (B, H, T, K) as (B, H, T, F)."""
        raise NotImplementedError

    def key_features(self, keys: Tensor) -> Tensor:
        """Keys (B, G, S, K) as (B, G, S, F), which decoding keeps."""
        raise NotImplementedError

    def value_features(self, values: Tensor) -> Tensor:
        """Values (B, G, S, K) as what is summed (B, G, S, E), which decoding keeps."""
        raise NotImplementedError

    def distance(self, products: Tensor) -> Tensor:
        """Distances (B, H, T, S) from the inner products of features, in at least single precision."""
        raise NotImplementedError

    def mean(self, sums: Tensor) -> Tensor:
        """The heads' output (B, H, T, K) from weighted sums of value features (B, H, T, E)."""
        raise NotImplementedError

    def forward(self, x: Tensor, context: Context) -> Tensor:
        queries, keys, values, prepared = self._project(x, context, None)
        weights = self._weights(queries, self.key_features(keys), prepared, context)
        return self._mix(weights, self.value_features(values), prepared, x.dtype)

    def weights(self, x: Tensor, context: Context) -> Tensor:
        """The weights behind the softmax, (B, H, T, S), before a factor of the position and dropout."""
        queries, keys, _, prepared = self._project(x, context, None)
        return self._weights(queries, self.key_features(keys), prepared, context)

    def new_state(self, batch: int, capacity: int, like: Tensor) -> LayerState:
        empty = like.new_zeros(batch, self.kv_heads, 0, self.head_width)
        kept = {"keys": self.key_features(empty), "values": self.value_features(empty)}
        return {n: f.new_zeros(batch, self.kv_heads, capacity, f.shape[-1]) for n, f in kept.items()}

    def step(self, x: Tensor, context: Context, state: LayerState) -> Tensor:
        queries, keys, values, prepared = self._project(x, context, state)
        past, total = context.past, context.past + context.length
        state["keys"][:, :, past:total] = self.key_features(keys)
        state["values"][:, :, past:total] = self.value_features(values)
        weights = self._weights(queries, state["keys"][:, :, :total], prepared, context)
        return self._mix(weights, state["values"][:, :, :total], prepared, x.dtype)

    def _weights(self, queries: Tensor, keys: Tensor, prepared: object, context: Context) -> Tensor:
        with torch.autocast(queries.device.type, enabled=False):
            products = self._grouped(self.query_features(queries), keys.transpose(-1, -2))
            distances = self.distance(products.to(torch.promote_types(queries.dtype, torch.float32)))
            scores = -self.beta.exp()[:, None, None] * distances
            bias = None if self._where is None else self._where.bias(prepared)
            if bias is not None:
                scores = scores + bias
            visible = context.visible(self.causal)
            if visible is not None:
                # Finite, unlike -inf: a query that sees no key, as padding on the left, then has weights that are
                # numbers.
                scores = scores.masked_fill(~visible, torch.finfo(scores.dtype).min / 2)
            return torch.softmax(scores, dim=-1)

    def _mix(self, weights: Tensor, values: Tensor, prepared: object, dtype: torch.dtype) -> Tensor:
        with torch.autocast(weights.device.type, enabled=False):
            factor = None if self._where is None else self._where.scale(prepared)
            if factor is not None:
                weights = weights * factor
            weights = dropout(weights, self.dropout, self.training)
            precise = torch.promote_types(weights.dtype, values.dtype)
            mixed = self.mean(self._grouped(weights.to(precise), values.to(precise)))
        return self._merge(mixed.to(dtype))

    def _grouped(self, of_queries: Tensor, of_keys: Tensor) -> Tensor:
        """The product of (B, H, T, .) and (B, G, ., .), each key head serving H / G query heads."""
        if self.heads == self.kv_heads:
            return of_queries @ of_keys
        product: Tensor = of_queries.unflatten(1, (self.kv_heads, -1)) @ of_keys[:, :, None]
        return product.flatten(1, 2)
