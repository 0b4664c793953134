import pytest
import torch
import torch.nn.functional as F

from formarium.config import ConfigError
from formarium.parts import SegmentAttention


def test_it_is_attention_between_stretches_of_channels() -> None:
    mixer = SegmentAttention(24, SegmentAttention.Config(segments=4, heads=1, hidden=5)).double()
    x = torch.randn(2, 3, 24, dtype=torch.float64)
    pieces = x.view(6, 4, 6)
    q, k, v = mixer.qkv(pieces)
    weights = torch.softmax(q @ k.mT / 5**0.5, dim=-1)
    expected = F.linear(weights @ v, mixer.out.weight, mixer.out.bias).view(2, 3, 24)
    torch.testing.assert_close(mixer(x), expected)


def test_tokens_do_not_mix_and_segments_do() -> None:
    mixer, x = SegmentAttention(16, SegmentAttention.Config(segments=4, heads=2)), torch.randn(1, 3, 16)
    changed = x.clone()
    changed[:, 1, 0] += 1
    difference = (mixer(changed) - mixer(x)).abs()[0]
    assert difference[[0, 2]].max() == 0
    assert (difference[1].view(4, 4).amax(dim=1) > 0).all()


def test_one_segment_is_a_linear_map() -> None:
    mixer = SegmentAttention(8, SegmentAttention.Config(segments=1, heads=2))
    x, y = torch.randn(2, 1, 1, 8)
    zero = mixer(torch.zeros(1, 1, 8))
    torch.testing.assert_close(mixer(x + y) - zero, mixer(x) + mixer(y) - 2 * zero)


@pytest.mark.parametrize("config", [{"segments": 5}, {"segments": 0}, {"heads": 0}], ids=str)
def test_refuses_what_does_not_divide(config: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="cannot be cut"):
        SegmentAttention(16, SegmentAttention.Config(**config))
