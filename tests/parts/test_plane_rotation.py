"""exp(s S) through the planes of S against the matrix exponential: values and gradients, of degenerate S as well."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formarium.parts.positions.block_rotation import skew, skew_part
from formarium.parts.positions.plane_rotation import planes, turn_blocks, turns

HEADS, BLOCKS, TOKENS, BATCH = 2, 3, 5, 2


def through_planes(x: Tensor, triangle: Tensor, places: Tensor, width: int) -> Tensor:
    matrices = skew(triangle, width)
    return turn_blocks(x, turns(matrices, places, planes(matrices.detach()), x.dtype))


def by_exponential(x: Tensor, triangle: Tensor, places: Tensor, width: int) -> Tensor:
    matrices = places[..., None, None] * skew(triangle, width)[:, None]
    rotations = torch.linalg.matrix_exp(matrices.contiguous()).expand(len(x), HEADS, -1, -1, -1, -1)
    return (rotations @ x.unflatten(-1, (-1, width))[..., None]).flatten(-3)


def example(kind: str, width: int) -> tuple[Tensor, Tensor]:
    """P of some kind, and how far tokens are along the turn of each block."""
    size = (HEADS, BLOCKS, width, width)
    matrix = torch.randn(size, dtype=torch.float64)
    if kind == "zero":
        matrix *= 0
    elif kind == "tiny":
        matrix *= 1e-7
    elif kind == "equal angles":
        planar = torch.zeros(width, width, dtype=torch.float64)
        for k in range(width // 2):
            planar[2 * k, 2 * k + 1] = 0.7
        frame = torch.linalg.qr(matrix).Q
        matrix = frame @ planar @ frame.mT
    elif kind == "one plane":
        matrix = matrix[..., :1] @ matrix[..., 1:2].mT
    places = torch.randn(1 if kind == "random" else BATCH, 1, TOKENS, BLOCKS, dtype=torch.float64)
    return skew_part(matrix), places


@pytest.mark.parametrize("width", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("kind", ["random", "zero", "tiny", "equal angles", "one plane"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_equals_the_matrix_exponential_with_all_gradients(
    kind: str, width: int, dtype: torch.dtype, tolerance: float
) -> None:
    triangle, places = example(kind, width)
    x, cotangent = torch.randn(2, BATCH, HEADS, TOKENS, BLOCKS * width, dtype=torch.float64)
    results = []
    for turn, precision in ((through_planes, dtype), (by_exponential, torch.float64)):
        leaves = [t.to(precision).detach().requires_grad_() for t in (x, triangle, places)]
        turned = turn(*leaves, width)
        assert turned.dtype == precision
        gradients = torch.autograd.grad((turned * cotangent.to(precision)).sum(), leaves)
        results.append([t.detach().double() for t in (turned, *gradients)])
    for got, want in zip(*results, strict=True):
        assert (got - want).abs().amax() <= tolerance * want.abs().amax() + 1e-30


@given(exponent=st.floats(-9, 1), sign=st.sampled_from([1, -1]))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_gradient_is_right_however_near_two_planes_turn_together(
    exponent: float, sign: int, dtype: torch.dtype, tolerance: float
) -> None:
    """Across the border between the quotient of differences and its limit; the second plane may nearly stand still."""
    torch.manual_seed(0)
    gap = sign * 10**exponent
    planar = torch.zeros(4, 4, dtype=torch.float64)
    planar[0, 1], planar[2, 3] = (0.6, 0.6 + gap) if sign > 0 else (0.6, gap)
    frame = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
    triangle = skew_part(frame @ planar @ frame.mT).expand(HEADS, BLOCKS, -1)
    places = 2 * torch.rand(1, 1, TOKENS, BLOCKS, dtype=torch.float64)
    x, cotangent = torch.randn(2, BATCH, HEADS, TOKENS, BLOCKS * 4, dtype=torch.float64)
    found = []
    for turn, precision in ((through_planes, dtype), (by_exponential, torch.float64)):
        leaf = triangle.to(precision).requires_grad_()
        turned = turn(x.to(precision), leaf, places.to(precision), 4)
        found.append(torch.autograd.grad((turned * cotangent).sum(), leaf)[0].double())
    assert (found[0] - found[1]).abs().amax() <= tolerance * found[1].abs().amax()


def test_planes_are_an_orthonormal_basis_in_which_the_matrix_is_planar() -> None:
    matrices = skew(example("random", 8)[0], 8)
    basis, rates = planes(matrices)
    torch.testing.assert_close(basis.mT @ basis, torch.eye(24, dtype=torch.float64).expand(HEADS, -1, -1))
    whole = torch.stack([torch.block_diag(*head) for head in matrices])
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    planar = torch.stack([torch.block_diag(*(r * quarter for r in head.flatten())) for head in rates])
    torch.testing.assert_close(basis.mT @ whole @ basis, planar)


def test_matrices_that_are_not_finite_give_no_exception_but_no_number() -> None:
    matrices = skew(example("random", 4)[0], 4)
    matrices[0, 0, 0, 1] = torch.nan
    x, places = torch.ones(1, HEADS, 1, BLOCKS * 4), torch.ones(1, 1, 1, BLOCKS)
    turned = turn_blocks(x, turns(matrices, places, planes(matrices), torch.float32))
    assert turned[0, 0, 0, :4].isnan().all()
    assert turned[0, 1].isfinite().all()


def test_mixed_precision_loses_nothing_inside() -> None:
    triangle, places = (t.float() for t in example("random", 8))
    x = torch.randn(BATCH, HEADS, TOKENS, BLOCKS * 8)
    leaf = triangle.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        turned = through_planes(x, leaf, places, 8)
    turned.square().mul(x).sum().backward()
    plain_leaf = triangle.clone().requires_grad_()
    plain = through_planes(x, plain_leaf, places, 8)
    plain.square().mul(x).sum().backward()
    assert torch.equal(turned, plain)
    assert torch.equal(leaf.grad, plain_leaf.grad)
