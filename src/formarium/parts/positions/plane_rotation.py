"""Rotations in planes: of pairs of channels, and of blocks exp(s S) through the planes in which S turns.

Where one skew-symmetric matrix S governs all turns of a block of b channels, exp(s S) is b/2 rotations in planes that
are found once, whatever the coordinates of the tokens.
Shapes: B batch, H heads, T tokens, K head width, m = K/b blocks of b channels, p planes a block.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from formarium.parts.positions.rotary import rotate


def precise(x: Tensor) -> Tensor:
    """The numbers in float64, or on a device that has none in float32."""
    return x.float() if x.device.type == "mps" else x.double()


def as_it_is(x: Tensor) -> torch.autocast:
    """A region where mixed precision leaves products in the precision of their factors."""
    return torch.autocast(x.device.type, enabled=False)


def turn_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Neighbouring channels turned: x (B, H, T, K), tables (B or 1, G, T, K/2) with G heads that divide H."""
    share = x.shape[1] // cos.shape[1] if cos.shape[1] > 1 else 1
    if share > 1:
        cos, sin = cos.repeat_interleave(share, dim=1), sin.repeat_interleave(share, dim=1)
    return rotate(x.to(torch.promote_types(x.dtype, cos.dtype)), cos, sin, "interleaved").to(x.dtype)


def tables(angles: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """cos and sin of angles in radians, in the precision of the tokens."""
    return angles.cos().to(dtype), angles.sin().to(dtype)


class Planes(NamedTuple):
    """The turning planes of the blocks, found without gradients.

    basis: (H, K, 2pm), from channels to coordinates in the planes, block by block, two for a plane. rates: (H, m, p),
    the angle of each plane for a step of one. Both in float64 where the device has it.
    """

    basis: Tensor
    rates: Tensor


@torch.no_grad()
def planes(matrices: Tensor) -> Planes:
    """The planes in which skew-symmetric matrices (H, m, b, b) turn.

    They come from the eigenvectors of the Hermitian matrix i S, one for each positive eigenvalue; where eigenvalues are
    so near zero that these do not separate, the orthogonalisation completes the basis with planes that hardly turn. All
    of it in float64, which costs little on matrices so small.
    """
    heads, blocks, width, _ = matrices.shape
    pairs = width // 2
    device = matrices.device
    exact = (matrices.cpu() if device.type == "mps" else matrices).double()
    # A diverged model has matrices that are not finite: its scores become so too, where an exception would stop it.
    _, vectors = torch.linalg.eigh(1j * exact.nan_to_num(0.0, 0.0, 0.0))
    spanning = torch.view_as_real(vectors[..., -pairs:].flip(-1)).flatten(-2)
    basis = torch.linalg.qr(spanning, mode="complete").Q
    if width % 2:
        basis = F.pad(basis, (0, 1))  # the last direction stays where it is: a plane of one axis
    inside = basis.unflatten(-1, (-1, 2))
    rates = torch.einsum("...ik,...ij,...jk->...k", inside[..., 1], exact, inside[..., 0])
    # One product for all blocks of a head is as fast as many small ones, and needs no copies.
    whole = basis.new_zeros(heads, blocks, width, blocks, basis.shape[-1])
    whole.diagonal(dim1=1, dim2=3).copy_(basis.permute(0, 2, 3, 1))
    whole = whole.flatten(3, 4).flatten(1, 2)
    return Planes(whole.float().to(device), rates.float().to(device)) if device.type == "mps" else Planes(whole, rates)


class Turns(NamedTuple):
    """What turns the blocks of some tokens: their matrices, and how far each token is along the turn of each block.

    matrices: (H, m, b, b). places: (B or 1, H or 1, T, m). cos, sin: (B or 1, H, T, mp), of half of each angle.
    """

    matrices: Tensor
    places: Tensor
    basis: Tensor
    rates: Tensor
    cos: Tensor
    sin: Tensor

    def repeated(self, share: int) -> "Turns":
        """Each head ``share`` times."""
        if share == 1:
            return self
        matrices, places, basis, rates, cos, sin = self
        heads = places.shape[1] > 1
        return Turns(
            matrices.repeat_interleave(share, dim=0),
            places.repeat_interleave(share, dim=1) if heads else places,
            *(x.repeat_interleave(share, dim=0) for x in (basis, rates)),
            *(x.repeat_interleave(share, dim=1) for x in (cos, sin)),
        )


def turns(matrices: Tensor, places: Tensor, found: Planes, dtype: torch.dtype) -> Turns:
    """The turns exp(s S) for S (H, m, b, b) and s (B or 1, H or 1, T, m), for tokens of this precision."""
    angles = (precise(places.detach())[..., None] * (found.rates[:, None] / 2)).flatten(-2)
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    return Turns(matrices.to(dtype), places.to(dtype), found.basis.to(dtype), found.rates, cos, sin)


def turn_blocks(x: Tensor, turning: Turns) -> Tensor:
    """exp(s S) x for each token and block: (B, H, T, K) to (B, H, T, K)."""
    turned: Tensor = _TurnInPlanes.apply(x.to(torch.promote_types(x.dtype, turning.cos.dtype)), *turning)
    return turned.to(x.dtype)


class _TurnInPlanes(torch.autograd.Function):
    """Into the planes, turned there, and back; with the gradient of exp(s S) with respect to S.

    That gradient, seen in the planes of S, is the divided difference of the exponential: for planes k and l with rates
    mu and nu it weighs (gradient of k) (value of l) of a token by (exp(i s mu) - exp(i s nu)) / (i (mu - nu)), nu also
    with the other sign. Summed over tokens, the two terms are the correlations of gradients with values before the turn
    and behind it, so no token is looked at twice. Where mu is so near nu that their difference says nothing, the weight
    is s exp(i s (mu + nu) / 2), which factors as well: values and gradients are turned half way.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, *turning: Tensor) -> Tensor:
        matrices, places, basis, rates, cos, sin = turning
        with as_it_is(x):
            inside = _multiplied(x, basis)
            ctx.save_for_backward(inside, matrices, places, basis, rates, cos, sin)
            return _multiplied(rotate(inside, *_doubled(cos, sin), "interleaved"), basis.mT)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        with as_it_is(gradients[0]):
            return _TurnInPlanes._gradients(ctx, gradients[0])

    @staticmethod
    def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inside, matrices, places, basis, rates, half_cos, half_sin = ctx.saved_tensors
        behind = _multiplied(gradient, basis)
        cos, sin = _doubled(half_cos, half_sin)
        before = rotate(behind, cos, -sin, "interleaved")
        found: list[Tensor | None] = [None] * 7
        if ctx.needs_input_grad[0]:
            found[0] = _multiplied(before, basis.mT)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            turned = rotate(inside, cos, sin, "interleaved")
        if ctx.needs_input_grad[1]:
            blocks = matrices.shape[1]
            across = _correlated(before, inside, blocks) - _correlated(behind, turned, blocks)
            far = places.repeat_interleave(rates.shape[-1], dim=-1)
            half_way = rotate(inside, far * half_cos, far * half_sin, "interleaved")
            near = _correlated(rotate(behind, half_cos, -half_sin, "interleaved"), half_way, blocks)
            found[1] = _back(_of_matrices(across, near, rates, places), basis, matrices)
        if ctx.needs_input_grad[2]:
            g, v = behind.unflatten(-1, (-1, 2)), turned.unflatten(-1, (-1, 2))
            crossed = g[..., 1] * v[..., 0] - g[..., 0] * v[..., 1]
            along = (crossed.unflatten(-1, rates.shape[1:]) * rates[:, None].to(crossed.dtype)).sum(-1)
            found[2] = along.sum_to_size(places.shape)
        return tuple(found)


def _multiplied(x: Tensor, matrices: Tensor) -> Tensor:
    """Each head by its own matrix: (B, H, T, K) times (H, K, L) to (B, H, T, L), without copies where x allows it."""
    batch, heads, length, _ = x.shape
    by_head = x.transpose(0, 1).reshape(heads, batch * length, -1)
    return (by_head @ matrices).view(heads, batch, length, -1).transpose(0, 1)


def _correlated(gradient: Tensor, value: Tensor, blocks: int) -> Tensor:
    """The sum over tokens of gradient times value for each two channels of a block: (H, m, 2p, 2p)."""
    heads = gradient.shape[1]
    g, v = (x.transpose(0, 1).reshape(heads, -1, x.shape[-1]) for x in (gradient, value))
    all_pairs: Tensor = (g.mT @ v).unflatten(2, (blocks, -1)).unflatten(1, (blocks, -1))
    return all_pairs.diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2)


def _doubled(cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    return 1 - 2 * sin * sin, 2 * sin * cos


def _of_matrices(across: Tensor, near: Tensor, rates: Tensor, places: Tensor) -> Tensor:
    """The gradient with respect to S in the coordinates of the planes: (H, m, 2p, 2p)."""
    farthest = places.abs().amax(dim=(0, 2))[..., None, None]
    # Where the difference of two angles is below this, its square / 24, which the near form neglects, is less than what
    # rounding leaves of the quotient of differences.
    limit = (96 * torch.finfo(across.dtype).eps) ** (1 / 3)
    parts = []
    for sign in (-1, 1):
        difference = rates[..., :, None] + sign * rates[..., None, :]
        is_near = difference.abs() * farthest < limit
        inverse = torch.where(is_near, 0, 1 / torch.where(is_near, 1, difference)).to(across.dtype)
        parts.append((is_near.to(across.dtype), inverse))
    (same, minus), (opposite, plus) = parts
    d, w = (x.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)) for x in (across, near))
    d00, d01, d10, d11 = (d[..., i, :, j] for i in (0, 1) for j in (0, 1))
    w00, w01, w10, w11 = (w[..., i, :, j] for i in (0, 1) for j in (0, 1))
    # Real and imaginary parts for the linear part of S between two planes, and for the one that conjugates.
    a_real, a_imaginary = (d01 - d10) * minus + (w00 + w11) * same, -(d00 + d11) * minus + (w01 - w10) * same
    c_real, c_imaginary = -(d01 + d10) * plus + (w00 - w11) * opposite, (d11 - d00) * plus - (w01 + w10) * opposite
    rows = (
        torch.stack((a_real + c_real, a_imaginary - c_imaginary), dim=-1),
        torch.stack((-a_imaginary - c_imaginary, a_real - c_real), dim=-1),
    )
    return torch.stack(rows, dim=-3).flatten(-2).flatten(-3, -2) / 2


def _back(gradient: Tensor, basis: Tensor, matrices: Tensor) -> Tensor:
    """From the coordinates of the planes (H, m, 2p, 2p) to channels (H, m, b, b)."""
    heads, blocks, width, _ = matrices.shape
    own = basis.view(heads, blocks, width, blocks, -1).diagonal(dim1=1, dim2=3).permute(0, 3, 1, 2)
    return own @ gradient @ own.mT
