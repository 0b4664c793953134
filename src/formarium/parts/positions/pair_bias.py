"""Features of ordered pairs of tokens as a bias of the scores and a gate behind the softmax.

The gate is the universal form of Luo et al. 2022 (URPE, arXiv 2205.13401), made of pair features as in Ma et al. 2025
(PPGT, arXiv 2504.12588).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig
from formarium.context import Context, LayerState
from formarium.errors import FormariumError
from formarium.parts.part import Position


class PairBias(Position):
    """Maps the features e of a pair (query, key) to phi and psi of each head: softmax(scores + phi) * (1 + psi).

    Reads ``context.pairs`` (B, T, S, E). Without ``gate`` there is no psi. Gated weights do not sum to one. Raises
    FormariumError for a context without pair features.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        gate: bool = True

    acts: ClassVar[frozenset[str]] = frozenset({"bias", "scale"})
    shared: bool = False

    def __init__(self, heads: int, pair_width: int, config: Config | None = None) -> None:
        super().__init__()
        self.config, self.heads = config or self.Config(), heads
        self.project = nn.Linear(pair_width, 2 * heads if self.config.gate else heads)

    def prepare(self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None) -> Tensor:
        """phi, and behind it 1 + psi where there is a gate: (B, 2H or H, T, S)."""
        if context.pairs is None:
            raise FormariumError("PairBias reads features of pairs, which the context of these tokens does not have")
        batch, length, total, width = context.pairs.shape
        offset: Tensor = self.project.bias
        if self.config.gate:
            offset = torch.cat((offset[: self.heads], offset[self.heads :] + 1))
        # One product for each sequence with the heads in front, so that what follows runs over whole rows of memory.
        flat = context.pairs.reshape(batch, length * total, width).transpose(1, 2)
        weight = self.project.weight.expand(batch, -1, -1)
        return torch.baddbmm(offset[:, None], weight, flat).view(batch, -1, length, total)

    def bias(self, prepared: Tensor) -> Tensor:
        return prepared[:, : self.heads]

    def scale(self, prepared: Tensor) -> Tensor | None:
        return prepared[:, self.heads :] if self.config.gate else None
