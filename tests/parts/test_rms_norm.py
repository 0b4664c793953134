import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formarium.config import ConfigError
from formarium.parts.norms.rms_norm import RMSNorm


@settings(deadline=None, max_examples=20)
@given(groups=st.sampled_from([1, 2, 3, 6]), size=st.integers(1, 7), seed=st.integers(0, 100))
def test_norms_each_group_by_itself(groups, size, seed):
    torch.manual_seed(seed)
    norm = RMSNorm(groups * size, RMSNorm.Config(groups=groups)).double()
    assert norm.weight is not None
    norm.weight.data.normal_()
    x = torch.randn(2, 3, groups * size, dtype=torch.float64)
    pieces = [
        piece / (piece.square().mean(-1, keepdim=True) + 1e-6).sqrt() * gain
        for piece, gain in zip(x.chunk(groups, -1), norm.weight.chunk(groups), strict=True)
    ]
    assert torch.allclose(norm(x), torch.cat(pieces, -1), atol=1e-12)


def test_the_scale_of_each_group_does_not_count():
    norm = RMSNorm(12, RMSNorm.Config(groups=3, eps=0.0)).double()
    x = torch.randn(4, 12, dtype=torch.float64)
    scales = torch.tensor([0.1, 7.0, 300.0], dtype=torch.float64).repeat_interleave(4)
    assert torch.allclose(norm(x * scales), norm(x), atol=1e-12)


def test_as_many_parameters_as_channels():
    assert sum(p.numel() for p in RMSNorm(12, RMSNorm.Config(groups=3)).parameters()) == 12
    assert not list(RMSNorm(12, RMSNorm.Config(groups=3, gain=False)).parameters())


def test_half_precision_is_normed_in_single():
    x = (300 * torch.randn(4, 12)).half()
    y = RMSNorm(12, RMSNorm.Config(groups=3)).half()(x)
    assert y.dtype == torch.float16
    assert y.isfinite().all()


def test_groups_must_divide():
    with pytest.raises(ConfigError, match="5 equal groups"):
        RMSNorm(12, RMSNorm.Config(groups=5))
