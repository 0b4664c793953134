"""Rotary positions with unconstrained trainable angle matrices (LieRE, Ostmeier et al. 2024, arXiv 2406.10322)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.positions.block_rotary import BlockRotary
from formarium.parts.positions.block_rotation import check_angle_matrices, exponential, multiply_blocks, skew_part
from formarium.parts.positions.plane_rotation import as_it_is, precise, tables, turn_pairs


class LieRE(BlockRotary):
    """Turns block j of b channels by exp(sum_i x_i S_ij), S_ij = P_ij - P_ij^T trainable for each axis and block.

    With more than one axis and b > 2 these matrices do not commute: scores then depend on where the origin lies, and
    each token needs an exponential of its own. block: b; by default 8, or 4 or 2 where 8 does not fit. init_std: of P.
    scale: divides the matrices. Exponentials are taken at least in float32.
    Raises ConfigError unless b divides K.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        block: int | None = None
        init_std: float = 1.0
        scale: float = 1.0

    def __init__(
        self, head_width: int, heads: int, kv_heads: int | None = None, axes: int = 1, config: Config | None = None
    ) -> None:
        self.config = config = config or self.Config()
        if config.scale == 0:
            raise ConfigError("the scale of LieRE divides its matrices and cannot be 0")
        super().__init__(head_width, heads, kv_heads, axes, config.block)
        self.triangle = self._start(self.kv_heads, axes, self.blocks, std=config.init_std)

    def angle_matrices(self) -> Tensor:
        """The angle matrix of each axis, as its blocks: (G, N, m, b, b)."""
        return self._skew() / self.config.scale

    @torch.no_grad()
    def set_angle_matrices(self, matrices: Tensor, commuting: bool = False) -> None:
        """Takes angle matrices (G or 1, N, m, b, b); ConfigError unless they are skew and, if asked, commute."""
        check_angle_matrices(matrices, self._shape, commuting)
        self.triangle.copy_(skew_part(matrices.expand(self._shape) * (self.config.scale / 2)))

    def prepare(
        self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The rotation of each key and block (B or 1, G, T, m, b, b), or for b = 2 the tables (B or 1, G, T, m)."""
        dtype = self._precision(context)
        where = context.on_axes(self.axes)
        if self.block == 2:
            where = precise(where)
            rates = self.angle_matrices()[..., 1, 0].to(where.dtype)
            return tables(torch.einsum("btn,hnm->bhtm", where, rates), dtype)
        matrices = self.angle_matrices().to(dtype)
        with as_it_is(where):
            return exponential(torch.einsum("btn,hnmij->bhtmij", where.to(dtype), matrices))

    def turn(self, queries: Tensor, keys: Tensor, prepared: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        if isinstance(prepared, tuple):
            return turn_pairs(queries, *prepared), turn_pairs(keys, *prepared)
        share = queries.shape[1] // keys.shape[1]
        own = prepared.repeat_interleave(share, dim=1) if share > 1 else prepared
        with as_it_is(prepared):
            return multiply_blocks(queries, own), multiply_blocks(keys, prepared)
