"""Relative position as a factor behind the softmax (Luo et al. 2022, URPE, arXiv 2205.13401).

Weights that sum to one give every token of a constant sequence the same answer, whatever bias stands in the softmax.
Multiplied by a table read by the offset, and not normalised again, they can tell places apart:
(softmax(q k^T / sqrt(K) + B) * C) v with C_ij = c_{j-i}.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from formarium.config import BaseConfig
from formarium.parts.positions.pair_index import EachOffset, PairIndex
from formarium.parts.positions.relative_bias import RelativeTable


class RelativeFactor(RelativeTable):
    """Multiplies the attention weights of head h by table[index(query, key), h], of any sign; for any bias or rotation.

    start: ``ones``, at which attention is what it was without the factor, or ``normal``, N(0, std^2), where its output
    starts near zero. The table must move far from there, so that its learning rate is multiplied and it does not decay.
    per_layer: a table of its own for each layer; else one for all of them.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        index: PairIndex = EachOffset()
        start: Literal["ones", "normal"] = "ones"
        std: float = 0.02
        per_layer: bool = False
        learning_rate_factor: float = 10.0

    acts: ClassVar[frozenset[str]] = frozenset({"scale"})
    decays: bool = False

    def __init__(
        self, heads: int, max_length: int | None = None, causal: bool = True, config: Config | None = None
    ) -> None:
        config = config or self.Config()
        shape = (config.index.rows(max_length, causal), heads)
        table = torch.ones(shape) if config.start == "ones" else torch.randn(shape) * config.std
        super().__init__(table, config.index, max_length, causal, config.per_layer, config.learning_rate_factor)

    def scale(self, prepared: Tensor) -> Tensor:
        return prepared
