"""Exponentials of small skew matrices in closed form, and angle matrices that people give."""

import pytest
import torch

from formarium.config import ConfigError
from formarium.parts.positions.block_rotation import check_angle_matrices, exponential, multiply_blocks, skew, skew_part


@pytest.mark.parametrize("width", [2, 3, 4, 6])
@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-3, 0.03, 1.0, 30.0])
def test_exponential_and_gradient(width: int, size: float) -> None:
    matrix = size * torch.randn(7, width, width, dtype=torch.float64)
    cotangent = torch.randn(7, width, width, dtype=torch.float64)
    found = []
    for function in (exponential, torch.linalg.matrix_exp):
        leaf = matrix.clone().requires_grad_()
        value = function((leaf - leaf.mT).contiguous())
        found.append((value.detach(), torch.autograd.grad((value * cotangent).sum(), leaf)[0]))
    for got, want in zip(*found, strict=True):
        assert got.isfinite().all()
        torch.testing.assert_close(got, want, atol=1e-11, rtol=1e-9)


def test_quaternions_of_four_channels_may_both_vanish_or_one() -> None:
    one_sided = torch.tensor([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1], [0, 0, -1, 0]], dtype=torch.float64)
    torch.testing.assert_close(exponential(one_sided), torch.linalg.matrix_exp(one_sided))
    leaf = one_sided.clone().requires_grad_()
    exponential(leaf).sum().backward()
    assert leaf.grad.isfinite().all()


def test_half_precision_is_raised() -> None:
    matrix = skew(torch.randn(6), 4)
    assert exponential(matrix.bfloat16()).dtype == torch.float32


def test_symmetric_part_says_nothing() -> None:
    matrix = torch.randn(3, 5, 5)
    torch.testing.assert_close(skew(skew_part(matrix), 5), matrix - matrix.mT)
    torch.testing.assert_close(skew_part(matrix + matrix.mT), torch.zeros(3, 10))


@pytest.mark.parametrize("batch", [1, 3])
def test_blocks_are_multiplied_each_by_its_own(batch: int) -> None:
    x, rotations = torch.randn(3, 2, 4, 6), torch.randn(batch, 1, 4, 2, 3, 3)
    turned = multiply_blocks(x, rotations)
    for item, head, token, block in ((0, 0, 0, 0), (2, 1, 3, 1)):
        channels = slice(3 * block, 3 * block + 3)
        want = rotations[min(item, batch - 1), 0, token, block] @ x[item, head, token, channels]
        torch.testing.assert_close(turned[item, head, token, channels], want)


def test_user_matrices_are_told_what_is_wrong_with_them() -> None:
    shape = (2, 2, 3, 4, 4)
    raw = torch.randn(shape)
    free = raw - raw.mT
    with pytest.raises(ConfigError, match=r"have the shape \(heads, axes, blocks, b, b\) = \(2 or 1, 2, 3, 4, 4\)"):
        check_angle_matrices(free[:, :1], shape)
    with pytest.raises(ConfigError, match="skew-symmetric"):
        check_angle_matrices(raw, shape)
    with pytest.raises(ConfigError, match=r"axes 0 and 1 do not commute \(head \d, block \d"):
        check_angle_matrices(free, shape)
    with pytest.raises(ConfigError, match="finite"):
        check_angle_matrices(free / 0, shape)
    check_angle_matrices(free, shape, commuting=False)
    check_angle_matrices(torch.stack((free[:, 0], -3 * free[:, 0]), dim=1), shape)


def test_the_one_pair_that_does_not_commute_is_named() -> None:
    matrices = torch.zeros(2, 3, 2, 4, 4, dtype=torch.float64)
    matrices[1, 1, 1] = skew(torch.tensor([1.0, 0, 0, 0, 0, 0]), 4)
    matrices[1, 2, 1] = skew(torch.tensor([0.0, 1, 0, 0, 0, 0]), 4)
    with pytest.raises(ConfigError, match=r"axes 1 and 2 do not commute.*head 1, block 1"):
        check_angle_matrices(matrices, (2, 3, 2, 4, 4))
