"""Features of ordered pairs of tokens as a bias of the scores and a gate behind the softmax.

The gate is the universal form of Luo et al. 2022 (URPE, arXiv 2205.13401), made of pair features as in Ma et al. 2025
(PPGT, arXiv 2504.12588).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

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
        self.of_pairs = self.config.gate
        self.project = nn.Linear(pair_width, 2 * heads if self.config.gate else heads)

    def prepare(
        self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """phi, and 1 + psi where there is a gate, each (B, H, T, S)."""
        if context.shared is not None:
            return cast(tuple[Tensor, Tensor | None], context.shared)
        return prepare_together([self], context)[0]

    def bias(self, prepared: tuple[Tensor, Tensor | None]) -> Tensor:
        return prepared[0]

    def scale(self, prepared: tuple[Tensor, Tensor | None]) -> Tensor | None:
        return prepared[1]


def prepare_together(layers: Sequence[PairBias], context: Context) -> list[tuple[Tensor, Tensor | None]]:
    """What each layer prepares of the pairs of a context, by one product: the ``shared`` of each one's context."""
    if context.pairs is None:
        raise FormariumError("PairBias reads features of pairs, which the context of these tokens does not have")
    heads, gate = layers[0].heads, layers[0].config.gate
    weight = torch.cat([layer.project.weight for layer in layers])
    offset = torch.cat([layer.project.bias for layer in layers])
    if gate:
        offset = offset + offset.new_tensor([0.0, 1.0]).repeat_interleave(heads).repeat(len(layers))  # 1 + psi
    # The heads come out in front, so that what follows runs over whole rows of memory.
    kinds, features = context.pair_kinds or (None, context.pairs)
    rows = torch.addmm(offset[:, None], weight, features.flatten(0, -2).t())
    rows = rows if kinds is None else rows.index_select(1, kinds.flatten())
    pieces = [piece.transpose(0, 1) for piece in rows.view(len(rows), *context.pairs.shape[:3]).split(heads)]
    if not gate:
        return [(phi, None) for phi in pieces]
    return list(zip(pieces[0::2], pieces[1::2], strict=True))
