"""Rotary positions with trainable angle matrices that commute (ComRoPE, Yu et al. 2025, arXiv 2506.03737).

A token at x on N axes is turned by R(x) = exp(x_1 A_1 + ... + x_N A_N). R(x)^T R(y) = R(y - x) for all x and y, so that
scores depend on relative places alone, if and only if the A_i commute (Theorem 1). Two families do: the blocks are
shared out among the axes, or the matrices of all axes are multiples of one another, block by block. In either a single
skew-symmetric matrix governs each block, which makes its turns rotations in fixed planes: up to a change of basis,
which the projections of queries and keys can learn as well, these are RoPEs with trainable frequencies.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.positions.block_rotary import BlockRotary
from formarium.parts.positions.block_rotation import check_angle_matrices, skew_part
from formarium.parts.positions.plane_rotation import (
    Planes,
    Turns,
    planes,
    precise,
    tables,
    turn_blocks,
    turn_pairs,
    turns,
)


class ComRoPE(BlockRotary):
    """Turns block j of b channels by exp(s_j S_j), S_j trainable and skew-symmetric: S_j = P_j - P_j^T.

    form: ``ld``, linearly dependent, with s_j = sum_i lambda_ij x_i and trainable lambda that start at N(0, 1); ``ap``,
    axial partition, with s_j = x_(j mod N). block: b; by default 8, or 4 or 2 where 8 does not fit. init_std: of P; 0
    starts at attention without positions, as the paper does in a pretrained network. scales: lambda for each block,
    ``shared`` by all heads (the published code) or ``per_head`` (the paper's count of parameters).
    Each layer holds m (b - 1) b / 2 numbers a head, and for ``ld`` N m scales (published counts are of P, with b^2 for
    (b - 1) b / 2). Queries and keys are computed at least in float32, and angles in float64.
    Raises ConfigError unless b divides K, for ``ap`` unless N b does.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        form: Literal["ld", "ap"] = "ld"
        block: int | None = None
        init_std: float = 1.0
        scales: Literal["shared", "per_head"] = "shared"

    def __init__(
        self, head_width: int, heads: int, kv_heads: int | None = None, axes: int = 1, config: Config | None = None
    ) -> None:
        self.config = config = config or self.Config()
        super().__init__(head_width, heads, kv_heads, axes, config.block, axes if config.form == "ap" else 1)
        self.triangle = self._start(self.kv_heads, self.blocks, std=config.init_std)
        owners = self.kv_heads if config.scales == "per_head" else 1
        self.scales = nn.Parameter(torch.randn(owners, axes, self.blocks)) if config.form == "ld" else None
        self._found: tuple[Tensor, Planes] | None = None

    def angle_matrices(self) -> Tensor:
        """The angle matrix of each axis, as its blocks: (G, N, m, b, b)."""
        if self.scales is not None:
            return self.scales[..., None, None] * self._skew()[:, None]
        own = torch.arange(self.blocks, device=self.triangle.device) % self.axes
        mask = nn.functional.one_hot(own, self.axes).T[..., None, None]
        return mask.to(self.triangle.dtype) * self._skew()[:, None]

    @torch.no_grad()
    def set_angle_matrices(self, matrices: Tensor) -> None:
        """Takes angle matrices (G or 1, N, m, b, b); ConfigError unless they commute and are of the form."""
        check_angle_matrices(matrices, self._shape)
        exact = matrices.double().expand(self._shape)
        if self.scales is None:
            blocks = torch.arange(self.blocks, device=exact.device)
            own = exact[:, blocks % self.axes, blocks]
            scales = nn.functional.one_hot(blocks % self.axes, self.axes).T[None]
        else:
            # The matrices of all axes, as rows, are multiples of one where they have rank one.
            shared = len(self.scales) == 1
            by_block = exact.permute(2, 1, 0, 3, 4)[None] if shared else exact.transpose(1, 2)[..., None, :, :]
            left, sizes, right = torch.linalg.svd(by_block.flatten(3), full_matrices=False)
            root = self.axes**0.5
            scales = (left[..., 0] * root).transpose(1, 2)
            rows = (right[..., 0, :] * sizes[..., :1] / root).unflatten(-1, by_block.shape[3:])
            own = rows[0].transpose(0, 1) if shared else rows[:, :, 0]
        if float((scales[..., None, None] * own[:, None] - exact).abs().amax()) > 1e-5 * float(exact.abs().amax()):
            wanted = "turn with axis j mod N alone" if self.scales is None else "be multiples of one matrix on all axes"
            raise ConfigError(
                f"these angle matrices commute, but with form={self.config.form!r} block j has to {wanted}"
            )
        self.triangle.copy_(skew_part(own / 2))
        if self.scales is not None:
            self.scales.copy_(scales)

    def _places(self, where: Tensor) -> Tensor:
        """How far tokens at (B or 1, T, N) are along the turn of each block: (B or 1, G or 1, T, m)."""
        if self.scales is None:
            return where[..., torch.arange(self.blocks, device=where.device) % self.axes][:, None]
        return torch.einsum("btn,hnm->bhtm", where, self.scales.to(where.dtype))

    def prepare(
        self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None
    ) -> Turns | tuple[Tensor, Tensor]:
        """What turns the blocks of keys: their planes with the angles, or for b = 2 the tables (B or 1, G, T, m)."""
        dtype = self._precision(context)
        places = self._places(precise(context.on_axes(self.axes)))
        if self.block == 2:
            return tables(places * (-2 * self.triangle[:, None, :, 0]), dtype)
        matrices = self._skew()
        return turns(matrices, places, self._planes(matrices.detach()), dtype)

    def _planes(self, matrices: Tensor) -> Planes:
        """The planes of the matrices; outside training they are kept, so that decoding does not seek them each time."""
        if self.training or torch.compiler.is_compiling() or matrices.is_meta:
            return planes(matrices)
        kept = self._found
        same = kept is not None and (kept[0].device, kept[0].dtype) == (matrices.device, matrices.dtype)
        if kept is None or not same or not torch.equal(kept[0], matrices):
            kept = self._found = (matrices.clone(), planes(matrices))
        return kept[1]

    def turn(self, queries: Tensor, keys: Tensor, prepared: Turns | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        if not isinstance(prepared, Turns):
            return turn_pairs(queries, *prepared), turn_pairs(keys, *prepared)
        return turn_blocks(queries, prepared.repeated(queries.shape[1] // keys.shape[1])), turn_blocks(keys, prepared)
