"""What a causal model remembers of the tokens it has seen, so that the next one costs one token's work."""

from dataclasses import dataclass

import torch
from torch import Tensor

from formarium.context import LayerState
from formarium.errors import FormariumError


@dataclass
class DecodingState:
    """The memory of B sequences of up to ``capacity`` tokens, of which ``past`` are seen.

    positions: (B, capacity) places of the tokens seen. mask: (B, capacity), true for real ones; None where all are.
    layers: one dictionary of tensors a layer, the first axis of each the batch.
    """

    positions: Tensor
    mask: Tensor | None
    layers: list[LayerState]
    past: int = 0

    @property
    def capacity(self) -> int:
        return self.positions.shape[1]

    def admit(self, positions: Tensor, mask: Tensor | None) -> None:
        """Takes down where the next T tokens are (B, T) and which of them are real."""
        length = positions.shape[1]
        if self.past + length > self.capacity:
            raise FormariumError(
                f"this decoding state has room for {self.capacity} tokens, not for {self.past + length}"
            )
        new = slice(self.past, self.past + length)
        self.positions[:, new] = positions
        if mask is not None and not bool(mask.all()):
            if self.mask is None:
                self.mask = torch.ones_like(self.positions, dtype=torch.bool)
            self.mask[:, new] = mask

    def select(self, rows: Tensor) -> None:
        """Keeps the given rows of the batch, in their order; rows may repeat."""
        self.positions = self.positions[rows]
        self.mask = None if self.mask is None else self.mask[rows]
        self.layers = [{name: tensor[rows] for name, tensor in layer.items()} for layer in self.layers]
