"""Equal parameters by moving one width, or a clear refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formarium.config import ConfigError
from formarium.lab.matching import count_parameters, match_parameters
from formarium.models import Decoder

WIDTHS = st.sampled_from([32, 48, 64, 96])
ACTIVATIONS = st.sampled_from(["GELU", "PolyNorm", "PolyReLU(order=4)", "SquaredReLU"])


@given(WIDTHS, ACTIVATIONS, st.integers(1, 4))
def test_any_feed_forward_matches_a_gated_one_within_a_percent(width: int, activation: str, depth: int) -> None:
    base = Decoder.Config(width=width, depth=depth)
    target = count_parameters(base)
    other = base.override({"channel_mixer": f"FeedForward(activation={activation})"})
    matched = match_parameters(other, target, "channel_mixer.hidden")
    assert abs(count_parameters(matched) - target) <= 0.01 * target
    assert matched.replace(channel_mixer=base.channel_mixer) == base, "nothing else was touched"


def test_a_model_of_the_right_size_stays_as_it_is() -> None:
    base = Decoder.Config()
    assert match_parameters(base, count_parameters(base), "channel_mixer.hidden") == base


def test_counting_allocates_nothing_and_is_exact() -> None:
    config = Decoder.Config(width=64, depth=2).override({"position": "CARoPE"})
    assert count_parameters(config) == config.build().num_parameters()
    assert count_parameters(Decoder.Config(width=16384, depth=100, heads=128)) > 10**11


def test_what_cannot_be_matched_is_named() -> None:
    base = Decoder.Config(width=64, depth=2)
    with pytest.raises(ConfigError, match="within 1 % of 3,000 parameters"):
        match_parameters(base, 3000, "channel_mixer.hidden")
    with pytest.raises(ConfigError, match="does not change the size"):
        match_parameters(base, 10**6, "max_length")
    with pytest.raises(ConfigError, match="has no setting 'hiden'; did you mean 'hidden'"):
        match_parameters(base, 10**6, "channel_mixer.hiden")
