"""Relative position as a bias of the scores: a trainable table for each head, read by the offset of key and query.

Shaw et al. 2018 (arXiv 1803.02155) gave attention offsets; a bare number for each, in buckets, is that of T5 (Raffel et
al. 2020, arXiv 1910.10683).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig
from formarium.context import Context, LayerState
from formarium.parts.part import Position
from formarium.parts.positions.pair_index import EachOffset, PairIndex, T5Buckets


class RelativeTable(Position):
    """What a table (rows, H) and an index of pairs have in common; a subclass says how its entries act.

    per_layer: a table of its own for each layer; else one for all of them, looked up once a forward pass.
    """

    def __init__(
        self,
        table: Tensor,
        index: PairIndex,
        max_length: int | None,
        causal: bool,
        per_layer: bool,
        learning_rate_factor: float,
    ) -> None:
        super().__init__()
        self.index, self.max_length, self.causal = index, max_length, causal
        self.shared = not per_layer
        self.learning_rate_factor = learning_rate_factor
        self.weight = nn.Parameter(table)

    def prepare(self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None) -> Tensor:
        """The entry of each head and pair: (B or 1, H, T, S)."""
        index = self.index.of(context, self.max_length, self.causal)
        # Heads in front, so that what attention reads lies in whole rows of memory.
        entries = self.weight.t().contiguous().index_select(1, index.flatten())
        return entries.view(-1, *index.shape).transpose(0, 1)


class RelativeBias(RelativeTable):
    """Adds table[index(query, key), h] to the scores of head h; the table starts at N(0, std^2)."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        index: PairIndex = EachOffset()
        std: float = 0.02
        per_layer: bool = False
        learning_rate_factor: float = 1.0

    acts: ClassVar[frozenset[str]] = frozenset({"bias"})

    def __init__(
        self, heads: int, max_length: int | None = None, causal: bool = True, config: Config | None = None
    ) -> None:
        config = config or self.Config()
        table = torch.randn(config.index.rows(max_length, causal), heads) * config.std
        super().__init__(table, config.index, max_length, causal, config.per_layer, config.learning_rate_factor)

    def bias(self, prepared: Tensor) -> Tensor:
        return prepared


class T5Bias(RelativeTable):
    """The relative bias with the buckets of T5, which see far offsets coarsely."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        buckets: int = 32
        max_distance: int = 128
        std: float = 0.02
        per_layer: bool = False
        learning_rate_factor: float = 1.0

    acts: ClassVar[frozenset[str]] = frozenset({"bias"})

    def __init__(
        self, heads: int, max_length: int | None = None, causal: bool = True, config: Config | None = None
    ) -> None:
        config = config or self.Config()
        index = T5Buckets(config.buckets, config.max_distance)
        table = torch.randn(index.rows(max_length, causal), heads) * config.std
        super().__init__(table, index, max_length, causal, config.per_layer, config.learning_rate_factor)

    def bias(self, prepared: Tensor) -> Tensor:
        return prepared
