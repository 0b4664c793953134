import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formarium.parts import poincare_ball as ball

CURVATURES = (0.25, 1.0, 2.5)


def tangents(count: int = 6, width: int = 5, length: float = 1.0, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return length * torch.randn(count, width, dtype=torch.float64)


def points(c: float, seed: int = 0, length: float = 0.6, count: int = 6) -> Tensor:
    return ball.exp0(tangents(count, length=length, seed=seed), c)


def rotation(width: int = 5) -> Tensor:
    return torch.linalg.qr(tangents(width, width, seed=9))[0]


@pytest.mark.parametrize("c", CURVATURES)
def test_agrees_with_geoopt(c: float) -> None:
    geoopt = pytest.importorskip("geoopt")
    # Handed over as a tensor: geoopt would round a plain number to single precision.
    other = geoopt.PoincareBall(c=torch.tensor(c, dtype=torch.float64))
    v, x, y = tangents(), points(c, 1), points(c, 2)
    weights = torch.rand(4, 6, dtype=torch.float64)
    exact = {"atol": 1e-10, "rtol": 1e-10}
    torch.testing.assert_close(ball.exp0(v, c), other.expmap0(v), **exact)
    torch.testing.assert_close(ball.log0(x, c), other.logmap0(x), **exact)
    torch.testing.assert_close(ball.mobius_add(x, y, c), other.mobius_add(x, y), **exact)
    torch.testing.assert_close(ball.distance(x, y, c), other.dist(x, y), **exact)
    torch.testing.assert_close(ball.pairwise_distance(x, y, c), other.dist(x[:, None], y[None]), **exact)
    midpoints = [other.weighted_midpoint(x, weights=row, reducedim=[0]) for row in weights]
    torch.testing.assert_close(ball.midpoint(x, weights, c), torch.stack(midpoints), **exact)


@given(st.sampled_from(CURVATURES), st.floats(0, 3), st.integers(0, 1000))
def test_exp_and_log_undo_each_other(c: float, length: float, seed: int) -> None:
    v = tangents(seed=seed)
    v = v / v.norm(dim=-1, keepdim=True) * length
    torch.testing.assert_close(
        ball.log0(ball.exp0(v, c), c), v, atol=1e-12, rtol=2e-10 if length * c**0.5 > 2 else 1e-11
    )
    torch.testing.assert_close(ball.distance(torch.zeros_like(v), ball.exp0(v, c), c), 2 * v.norm(dim=-1))


@given(st.sampled_from(CURVATURES), st.integers(0, 1000), st.floats(0.01, 0.7))
def test_distance_is_a_distance_that_isometries_keep(c: float, seed: int, length: float) -> None:
    x, y, z = (points(c, seed + i, length) for i in range(3))
    d = ball.distance(x, y, c)
    torch.testing.assert_close(d, ball.distance(y, x, c))
    assert (ball.distance(x, x, c) == 0).all()
    assert (ball.distance(x, z, c) <= d + ball.distance(y, z, c) + 1e-9).all()
    moved = (ball.mobius_add(z, x, c), ball.mobius_add(z, y, c))
    torch.testing.assert_close(ball.distance(*moved, c), d, atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(ball.distance(x @ rotation(), y @ rotation(), c), d)
    torch.testing.assert_close(ball.mobius_add(-z, moved[0], c), x, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("c", CURVATURES)
def test_midpoints(c: float) -> None:
    x = points(c, length=1.0)
    one = torch.eye(6, dtype=torch.float64)
    torch.testing.assert_close(ball.midpoint(x, one, c), x)
    half = (one[:1] + one[1:2]) / 2
    middle = ball.midpoint(x, half, c)
    torch.testing.assert_close(ball.distance(middle, x[:1], c), ball.distance(middle, x[1:2], c))
    torch.testing.assert_close(2 * ball.distance(middle, x[:1], c), ball.distance(x[:1], x[1:2], c))
    weights = torch.rand(4, 6, dtype=torch.float64)
    shift = points(c, 3)[:1]
    moved = ball.midpoint(ball.mobius_add(shift.expand_as(x), x, c), weights, c)
    direct = ball.midpoint(x, weights, c)
    torch.testing.assert_close(moved, ball.mobius_add(shift.expand_as(direct), direct, c))
    torch.testing.assert_close(ball.midpoint(x @ rotation(), weights, c), direct @ rotation())
    assert (c**0.5 * direct.norm(dim=-1) < 1).all()
    tangent = ball.log0_of_midpoint(weights @ ball.lifted(x, c), c)
    torch.testing.assert_close(ball.exp0(tangent, c), direct)


def test_without_curvature_space_is_flat() -> None:
    c = 1e-8
    v, w = tangents(seed=1), tangents(seed=2)
    x, y = ball.exp0(v, c), ball.exp0(w, c)
    torch.testing.assert_close(x, v, atol=1e-6, rtol=0)
    torch.testing.assert_close(ball.distance(x, y, c), 2 * (v - w).norm(dim=-1), atol=1e-6, rtol=0)
    weights = torch.softmax(tangents(4, 6), dim=-1)
    torch.testing.assert_close(ball.midpoint(x, weights, c), weights @ v, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("length", [0.0, 1e-20, 1e-4, 1.0, 30.0, 1e6])
def test_every_gradient_is_finite(dtype: torch.dtype, length: float) -> None:
    """At the origin, at coincident and antipodal points, at the boundary and beyond."""
    torch.manual_seed(0)
    direction = torch.randn(1, 4, dtype=dtype)
    direction = direction / direction.norm()
    v = (length * torch.cat((direction, direction, -direction, direction.flip(-1)))).requires_grad_()
    c = torch.tensor(1.0, dtype=dtype, requires_grad=True)
    x = ball.exp0(v, c)
    assert (x.norm(dim=-1) < 1).all()
    results = (
        x,
        ball.log0(x, c),
        ball.mobius_add(x, x.flip(0), c),
        ball.distance(x, x.detach(), c),
        ball.distance(x[:1], x[1:2], c),
        ball.pairwise_distance(x, x, c),
        ball.midpoint(x, torch.full((2, 4), 0.25, dtype=dtype), c),
    )
    for result in results:
        assert result.isfinite().all()
        found = torch.autograd.grad(result.sum(), (v, c), retain_graph=True, allow_unused=True)
        assert all(g is None or g.isfinite().all() for g in found)


def test_logarithm_has_the_gradient_of_the_identity_at_the_origin() -> None:
    y = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(lambda y: ball.log0(y, 1.0), y)
    torch.testing.assert_close(jacobian, torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("c", CURVATURES)
def test_gradients_are_those_of_differences(c: float) -> None:
    curvature = torch.tensor(c, dtype=torch.float64, requires_grad=True)
    x, y = points(c, 1)[:3].clone().requires_grad_(), points(c, 2)[:2].clone().requires_grad_()
    weights = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ball.pairwise_distance, (x, y, curvature))
    assert torch.autograd.gradcheck(ball.midpoint, (x, weights, curvature))
    assert torch.autograd.gradcheck(lambda x, c: ball.log0(ball.exp0(x, c), c), (x, curvature))
    assert torch.autograd.gradgradcheck(lambda x, y: ball.pairwise_distance(x, y, c), (x, y))


@pytest.mark.parametrize("radius", [1e-3, 1.0, 4.0, 12.0])
def test_distances_keep_their_digits_from_the_origin_to_the_boundary(radius: float) -> None:
    """Points a known distance apart on one ray: 2 |v - w| for tangent vectors v and w."""
    direction = torch.nn.functional.normalize(tangents(1), dim=-1)
    x, y = (ball.exp0(direction * r, 1.0) for r in (radius, 0.9 * radius))
    torch.testing.assert_close(ball.distance(x, y, 1.0), torch.tensor([0.2 * radius]).double(), atol=0, rtol=1e-5)
