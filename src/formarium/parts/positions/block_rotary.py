"""What rotary positions with trainable angle matrices have in common, whether these commute or not."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from formarium.config import ConfigError
from formarium.context import Context
from formarium.parts.part import Position
from formarium.parts.positions.block_rotation import skew, skew_part


class BlockRotary(Position):
    """Turns each block of b channels of a head by its own matrices, which every layer has for itself.

    A matrix is P - P^T of a P that starts at N(0, std^2). P - P^T is all that acts, so its upper triangle is all that
    is stored, as that of the skew part (P - P^T) / 2: with it Adam takes the very steps that it would take with P
    (clipped gradients aside).
    share: axes among which the blocks have to divide evenly. With grouped queries the heads of keys have the matrices,
    and the queries that share a key turn with it.
    """

    acts: ClassVar[frozenset[str]] = frozenset({"turn"})
    shared = False
    triangle: nn.Parameter

    def __init__(
        self, head_width: int, heads: int, kv_heads: int | None, axes: int, block: int | None, share: int = 1
    ) -> None:
        super().__init__()
        if block is None:
            block = next((b for b in (8, 4, 2) if head_width % (b * share) == 0), 2)
        if block < 2 or head_width % (block * share):
            among = f", shared out evenly among {share} axes" if share > 1 else ""
            raise ConfigError(f"a head of {head_width} channels cannot be cut into blocks of {block}{among}")
        self.kv_heads, self.axes, self.block, self.blocks = kv_heads or heads, axes, block, head_width // block

    def _start(self, *shape: int, std: float) -> nn.Parameter:
        return nn.Parameter(skew_part(torch.randn(*shape, self.block, self.block) * std))

    def _skew(self) -> Tensor:
        return skew(self.triangle, self.block)

    def angle_matrices(self) -> Tensor:
        """The angle matrix of each axis, as its blocks: (G, N, m, b, b)."""
        raise NotImplementedError

    @property
    def _shape(self) -> tuple[int, int, int, int, int]:
        return self.kv_heads, self.axes, self.blocks, self.block, self.block

    @staticmethod
    def _precision(context: Context) -> torch.dtype:
        tokens = torch.float32 if context.embeddings is None else context.embeddings.dtype
        return torch.promote_types(tokens, torch.float32)
