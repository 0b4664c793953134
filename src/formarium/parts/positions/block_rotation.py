"""Rotations exp(S) of blocks of channels by skew-symmetric matrices, and what makes a family of these a position.

A block of b channels of a token is turned by exp(x_1 A_1 + ... + x_N A_N), where x are the token's coordinates on N
axes and A_i is the angle matrix of axis i.
Shapes: B batch, H heads, T tokens, K head width, N axes, m = K/b blocks of b channels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from formarium.config import ConfigError


def skew(triangle: Tensor, width: int) -> Tensor:
    """P - P^T from the upper triangle of the skew part (P - P^T) / 2: (..., b(b - 1)/2) to (..., b, b)."""
    rows, columns = torch.triu_indices(width, width, 1, device=triangle.device)
    upper = triangle.new_zeros(*triangle.shape[:-1], width, width)
    upper[..., rows, columns] = 2 * triangle
    return upper - upper.mT


def skew_part(matrix: Tensor) -> Tensor:
    """The upper triangle of (P - P^T) / 2, all that P says about a rotation: (..., b, b) to (..., b(b - 1)/2)."""
    rows, columns = torch.triu_indices(matrix.shape[-2], matrix.shape[-1], 1, device=matrix.device)
    return (matrix[..., rows, columns] - matrix[..., columns, rows]) / 2


def check_angle_matrices(matrices: Tensor, shape: Sequence[int], commuting: bool = True) -> None:
    """ConfigError, in a sentence, for angle matrices that are no (heads, N, m, b, b) skew ones, or do not commute.

    Scores depend on differences of coordinates alone if and only if the matrices of different axes commute.
    """
    heads, *rest = shape
    if matrices.dim() != 5 or matrices.shape[0] not in (1, heads) or list(matrices.shape[1:]) != rest:
        wanted = f"({heads} or 1, {', '.join(map(str, rest))})"
        raise ConfigError(
            f"angle matrices here have the shape (heads, axes, blocks, b, b) = {wanted}, not {tuple(matrices.shape)}"
        )
    exact = matrices.detach().double()
    size = float(exact.abs().amax()) if exact.numel() else 0.0
    if not math.isfinite(size):
        raise ConfigError("angle matrices are finite numbers")
    tolerance = 1e-5 if matrices.dtype != torch.float64 else 1e-10
    if float((exact + exact.mT).abs().amax()) > tolerance * size:
        raise ConfigError("an angle matrix is skew-symmetric, A^T = -A; take P - P^T")
    if not commuting:
        return
    products = exact[:, :, None] @ exact[:, None]
    excess = (products - products.transpose(1, 2)).abs().amax(dim=(-2, -1))
    worst = int(excess.argmax())
    head, first, second, block = (int(i) for i in torch.unravel_index(torch.tensor(worst), excess.shape))
    if float(excess.flatten()[worst]) > tolerance * size**2:
        raise ConfigError(
            f"the angle matrices of axes {first} and {second} do not commute (head {head}, block {block}: AB - BA "
            f"reaches {float(excess.flatten()[worst]):.2g}), so that scores would depend on where the origin lies"
        )


def exponential(matrices: Tensor) -> Tensor:
    """exp(S) of skew-symmetric S (..., b, b), at least in float32; in closed form up to b = 4.

    Of four channels S is the sum of two parts that commute and whose squares are multiples of the identity (a turn by a
    unit quaternion from the left, and one from the right).
    """
    width = matrices.shape[-1]
    s = matrices.to(torch.promote_types(matrices.dtype, torch.float32))
    unit = torch.eye(width, dtype=s.dtype, device=s.device)
    if width == 2:
        cos, sin = s[..., 1, 0].cos(), s[..., 1, 0].sin()
        plane: Tensor = torch.stack((cos, -sin, sin, cos), dim=-1).unflatten(-1, (2, 2))
        return plane
    if width == 3:
        square = (s * s).sum((-2, -1), keepdim=True) / 2
        _, sine, rest = _functions(square)
        return unit + sine * s + rest * (s @ s)
    if width == 4:
        a, b, c = s[..., 0, 1], s[..., 0, 2], s[..., 0, 3]
        d, e, f = s[..., 2, 3], -s[..., 1, 3], s[..., 1, 2]
        parts = []
        for sign in (1, -1):
            i, j, k = ((x + sign * y) / 2 for x, y in ((a, d), (b, e), (c, f)))
            cos, sine, _ = _functions((i * i + j * j + k * k)[..., None, None])
            zero = torch.zeros_like(i)
            rows = (
                (zero, i, j, k),
                (-i, zero, sign * k, -sign * j),
                (-j, -sign * k, zero, sign * i),
                (-k, sign * j, -sign * i, zero),
            )
            half = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
            parts.append(cos * unit + sine * half)
        return parts[0] @ parts[1]
    general: Tensor = torch.linalg.matrix_exp(s.contiguous())  # it takes no other strides
    return general


def _functions(square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """cos r, sin(r) / r and (1 - cos r) / r^2 of r^2, smooth at zero together with their gradients."""
    small = square < 1e-4
    r = torch.where(small, 1.0, square).sqrt()
    x = torch.where(small, square, 0.0)  # so that the series, which is discarded elsewhere, overflows nowhere
    cos = torch.where(small, 1 - x / 2 * (1 - x / 12 * (1 - x / 30)), r.cos())
    sine = torch.where(small, 1 - x / 6 * (1 - x / 20 * (1 - x / 42)), r.sin() / r)
    rest = torch.where(small, (1 - x / 12 * (1 - x / 30 * (1 - x / 56))) / 2, (1 - r.cos()) / r.square())
    return cos, sine, rest


def multiply_blocks(x: Tensor, rotations: Tensor) -> Tensor:
    """Each block by its own matrix: x (B, H, T, K) and rotations (B or 1, H or 1, T, m, b, b) to (B, H, T, K)."""
    blocks = x.to(torch.promote_types(x.dtype, rotations.dtype)).unflatten(-1, (-1, rotations.shape[-1]))
    matrices = rotations.expand(-1, x.shape[1], -1, -1, -1, -1)
    if len(matrices) == 1:  # the same for all items of the batch: a product of matrices for each token and block
        turned = torch.einsum("htmij,bhtmj->bhtmi", matrices[0], blocks)
    else:
        turned = torch.einsum("bhtmij,bhtmj->bhtmi", matrices, blocks)
    return turned.flatten(-2).to(x.dtype)
