import pytest
import torch
from torch import nn

from formarium.block import Block
from formarium.config import ConfigError, parse
from formarium.context import Context
from formarium.parts import LayerNorm, NoChannelMixer, NoTokenMixer, TokenFeedForward


def context(length: int) -> Context:
    return Context(positions=torch.arange(length)[None])


def test_it_is_a_feed_forward_of_the_transposed_tokens() -> None:
    mixer, x = TokenFeedForward(max_length=6, config=TokenFeedForward.Config(hidden=10)).double(), torch.randn(2, 6, 5)
    plain = nn.Sequential(nn.Linear(6, 10), nn.GELU(), nn.Linear(10, 6)).double()
    plain[0].load_state_dict(mixer.up.state_dict())
    plain[2].load_state_dict(mixer.down.state_dict())
    torch.testing.assert_close(mixer(x.double(), context(6)), plain(x.double().mT).mT)


def test_channels_do_not_mix() -> None:
    mixer, x = TokenFeedForward(max_length=6), torch.randn(1, 6, 5)
    changed = x.clone()
    changed[:, 2, 3] += 1
    difference = (mixer(changed, context(6)) - mixer(x, context(6))).abs().amax(dim=(0, 1))
    assert (difference > 0).tolist() == [False, False, False, True, False]


def test_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ConfigError, match="use Attention in a causal model"):
        TokenFeedForward(max_length=4, causal=True)
    with pytest.raises(ConfigError, match="needs to know how many"):
        TokenFeedForward()
    mixer = TokenFeedForward(config=TokenFeedForward.Config(tokens=4))
    with pytest.raises(ConfigError, match="built for 4 of them, not 5"):
        mixer(torch.randn(1, 5, 3), context(5))
    padded = Context(positions=torch.arange(4)[None], mask=torch.tensor([[True, True, True, False]]))
    with pytest.raises(ConfigError, match="padding"):
        mixer(torch.randn(1, 4, 3), padded)


def test_a_forecaster_takes_it_for_its_number_of_variates() -> None:
    config = "InvertedForecaster(history=12, horizon=4, width=16, heads=2, token_mixer=TokenFeedForward(tokens=5))"
    model = parse(config).build()
    assert model(torch.randn(2, 12, 5)).shape == (2, 4, 5)
    with pytest.raises(ConfigError, match="not 6"):
        model(torch.randn(2, 12, 6))


def test_nothing_in_place_of_mixers_leaves_the_stream_alone() -> None:
    block = Block(NoTokenMixer(), NoChannelMixer(), (LayerNorm(8), LayerNorm(8)))
    x = torch.randn(2, 5, 8)
    assert torch.equal(block(x, context(5)), x)
    causal = NoTokenMixer(causal=True)
    assert torch.equal(causal.step(x, context(5), causal.new_state(2, 5, x)), torch.zeros_like(x))
