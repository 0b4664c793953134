"""What acts on branches of the residual stream."""

import pytest
import torch

from formarium.config import ConfigError
from formarium.parts import DropPath, LayerScale


def test_layer_scale_starts_small_and_scales_channels() -> None:
    scale = LayerScale(4, LayerScale.Config(start=0.5))
    scale.weight.data[2] = 3.0
    torch.testing.assert_close(scale(torch.ones(2, 4)), torch.tensor([[0.5, 0.5, 3.0, 0.5]] * 2))


def test_drop_path_leaves_out_whole_samples_and_keeps_the_mean() -> None:
    drop = DropPath(DropPath.Config(rate=0.25))
    x = torch.ones(4000, 3, 2)
    out = drop(x)
    per_sample = out.flatten(1)
    assert ((per_sample == 0).all(1) | (per_sample == 1 / 0.75).all(1)).all()
    assert abs(float(out.mean()) - 1) < 0.05
    assert torch.equal(drop.eval()(x), x)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_drop_path_refuses_shares_that_leave_nothing(rate: float) -> None:
    with pytest.raises(ConfigError, match="share of dropped branches"):
        DropPath(DropPath.Config(rate=rate))
