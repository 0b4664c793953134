"""The Poincaré ball of curvature -c: the open ball of radius 1/sqrt c, as a gyrovector space (Ungar 2008).

Formulas as in Ganea et al. 2018 (hyperbolic neural networks, arXiv 1805.09112) and, for the midpoint, Ungar's
gyrobarycentre. Shapes: points and tangent vectors at the origin (..., K); c is a number or a scalar tensor.

Closed forms of our own, although geoopt has a ball too (tests hold these to it): geoopt's logarithm has no gradient at
the origin, where it is the identity; its branches on the values of tensors break compiled graphs; it cuts artanh at
1 - 1e-7 in every precision; and its distance of all queries and keys needs their differences, a tensor (..., T, S, K),
where inner products do. Every gradient here is finite: at the origin, between coincident points, at the boundary.
"""

import torch
from torch import Tensor

Curvature = float | Tensor

_SMALL = 1e-8  # of c |v|^2, below which two terms of a series are exact in double precision
# How far points stay from the boundary, as a share of the radius, so that 1 - c |x|^2 keeps some digits.
_MARGIN = {torch.float32: 1e-5, torch.float64: 1e-12}


def exact_dtype(x: Tensor) -> torch.dtype:
    """Double precision where the device has it: distances near the boundary cancel half of the digits."""
    return torch.float64 if x.device.type != "mps" else torch.promote_types(x.dtype, torch.float32)


def exp0(v: Tensor, c: Curvature) -> Tensor:
    """The point reached along a tangent vector at the origin: tanh(sqrt c |v|) v / (sqrt c |v|), kept off the boundary.

    In less than double precision points stay within (1 - 1e-5) of the radius.
    """
    z = c * v.square().sum(-1, keepdim=True)
    small = z < _SMALL
    root = torch.where(small, 1, z).sqrt()
    factor = torch.tanh(root).clamp(max=1 - _margin(v)) / root
    return v * torch.where(small, 1 - z / 3, factor)


def log0(y: Tensor, c: Curvature) -> Tensor:
    """The tangent vector at the origin that leads to a point: artanh(sqrt c |y|) y / (sqrt c |y|)."""
    z = c * y.square().sum(-1, keepdim=True)
    small = z < _SMALL
    root = torch.where(small, 1 / 4, z).sqrt()
    factor = torch.atanh(root.clamp(max=1 - 2 * torch.finfo(y.dtype).eps)) / root
    return y * torch.where(small, 1 + z / 3, factor)


def mobius_add(x: Tensor, y: Tensor, c: Curvature) -> Tensor:
    """x (+) y = ((1 + 2c<x,y> + c|y|^2) x + (1 - c|x|^2) y) / (1 + 2c<x,y> + c^2 |x|^2 |y|^2)."""
    products = 2 * c * (x * y).sum(-1, keepdim=True)
    xx, yy = c * x.square().sum(-1, keepdim=True), c * y.square().sum(-1, keepdim=True)
    below = (1 + products + xx * yy).clamp(min=_margin(x) ** 2)  # the least it is between points off the boundary
    return ((1 + products + yy) * x + (1 - xx) * y) / below


def distance(x: Tensor, y: Tensor, c: Curvature) -> Tensor:
    """The distance (2 / sqrt c) artanh(sqrt c |(-x) (+) y|) of points row by row: (..., K) to (...).

    Computed as (2 / sqrt c) arsinh of the root of c |x - y|^2 / ((1 - c |x|^2) (1 - c |y|^2)), which needs no cut.
    """
    u = c * (x - y).square().sum(-1) * _conformal(x, c)[..., 0] * _conformal(y, c)[..., 0]
    return distance_from_products(u, c)


def for_products(x: Tensor, c: Curvature) -> tuple[Tensor, Tensor]:
    """Two forms of points, (..., K + 2): products of the first of x with the second of y give ``distance``'s u."""
    factor = _conformal(x, c)
    squares = c * x.square().sum(-1, keepdim=True)
    return (
        torch.cat((x * factor, factor, squares * factor), dim=-1),
        torch.cat((-2 * c * x * factor, squares * factor, factor), dim=-1),
    )


def distance_from_products(u: Tensor, c: Curvature) -> Tensor:
    """Distances from c |x - y|^2 / ((1 - c |x|^2) (1 - c |y|^2)), of any shape."""
    return 2 / c**0.5 * _arsinh_of_root(u)


def pairwise_distance(x: Tensor, y: Tensor, c: Curvature) -> Tensor:
    """Distances of all points (..., T, K) to all points (..., S, K), from inner products alone: (..., T, S).

    Coincident points come out at about the root of the precision.
    """
    return distance_from_products(for_products(x, c)[0] @ for_products(y, c)[1].transpose(-1, -2), c)


def lifted(x: Tensor, c: Curvature) -> Tensor:
    """Points as what is averaged for a midpoint: lambda x and lambda - 1, lambda = 2 / (1 - c |x|^2); (..., K + 1).

    Up to a factor these are the points of the hyperboloid.
    """
    factor = 2 * _conformal(x, c)
    return torch.cat((x * factor, factor - 1), dim=-1)


def midpoint_of(mean: Tensor, c: Curvature) -> Tensor:
    """The gyromidpoint from a weighted mean of lifted points: (..., K + 1) to (..., K)."""
    u = _unhalved(mean)
    inside = (1 - c * u.square().sum(-1, keepdim=True)).clamp(min=torch.finfo(u.dtype).eps)
    return u / (1 + inside.sqrt())


def log0_of_midpoint(mean: Tensor, c: Curvature) -> Tensor:
    """The tangent vector of ``midpoint_of``, in one: halving a point halves its tangent vector."""
    return log0(_unhalved(mean), c) / 2


def midpoint(points: Tensor, weights: Tensor, c: Curvature) -> Tensor:
    """Gyromidpoints of points (..., S, K) under weights (..., T, S): (..., T, K).

    (1/2) (x) [sum_j w_j lambda_j x_j / sum_j w_j (lambda_j - 1)].
    """
    return midpoint_of(weights @ lifted(points, c), c)


def _unhalved(mean: Tensor) -> Tensor:
    return mean[..., :-1] / mean[..., -1:].clamp(min=torch.finfo(mean.dtype).tiny)


def _conformal(x: Tensor, c: Curvature) -> Tensor:
    """1 / (1 - c |x|^2), (..., 1)."""
    return (1 - c * x.square().sum(-1, keepdim=True)).clamp(min=_margin(x)).reciprocal()


def _margin(x: Tensor) -> float:
    return _MARGIN.get(x.dtype, _MARGIN[torch.float32])


class _ArsinhOfRoot(torch.autograd.Function):
    """arsinh(sqrt u): to rounding also for small u, and, unlike torch.asinh on a CPU, fast."""

    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor) -> Tensor:
        u = u.clamp(min=0)
        below = (u + 1).sqrt_().add_(1)
        return below.reciprocal_().mul_(u).add_(u.sqrt()).log1p_()

    @staticmethod
    def setup_context(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors  # type: ignore[attr-defined]
        # Where points coincide, any direction leads away from both: no gradient.
        apart = u > torch.finfo(u.dtype).tiny * 1e8
        safe = torch.where(apart, u, 1)
        return torch.where(apart, gradient / (2 * (safe * (1 + safe)).sqrt()), 0)


def _arsinh_of_root(u: Tensor) -> Tensor:
    found: Tensor = _ArsinhOfRoot.apply(u)
    return found
