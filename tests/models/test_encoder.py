import pytest
import torch
from torch import Tensor, nn

from formarium.config import ConfigError
from formarium.context import Context
from formarium.models.decoder import Decoder
from formarium.models.encoder import Encoder
from formarium.parts.channel_mixers.activations import ReLU
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.layer_norm import LayerNorm
from formarium.parts.part import Part
from formarium.parts.positions.combined import Combined
from formarium.parts.positions.context_aware_rotary import CARoPE
from formarium.parts.positions.euler_rotary import EulerRoPE
from formarium.parts.positions.horn import Horn
from formarium.parts.positions.learned import Learned
from formarium.parts.token_mixers.attention import Attention


def encoder(**settings) -> Encoder:
    torch.manual_seed(0)
    return Encoder(Encoder.Config(width=16, depth=2, heads=2, max_length=12, init_std=0.3, **settings)).double()


TOKENS = torch.randint(256, (3, 12), generator=torch.Generator().manual_seed(0))


def test_every_token_sees_all():
    model = encoder()
    before = model(TOKENS)
    assert before.shape == (3, 12, 16)
    changed = TOKENS.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 256
    assert ((model(changed) - before).abs().amax(-1) > 1e-8).all()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("placement", ["pre", "post"])
def test_padding_changes_nothing(side, placement):
    model = encoder(placement=placement, stem_norm=True)
    mask = torch.ones(3, 12, dtype=torch.bool)
    mask[1, slice(None, 5) if side == "left" else slice(7, None)] = False
    out = model(TOKENS, mask=mask)
    assert torch.allclose(out[1][mask[1]], model(TOKENS[1][mask[1]][None])[0], atol=1e-12)
    assert torch.allclose(out[0], model(TOKENS[:1])[0], atol=1e-12)
    assert (model.embed(TOKENS, mask)[1][~mask[1]] == 0).all()


def test_segments_do_not_mix():
    model = encoder()
    segments = torch.tensor([[0] * 5 + [1] * 7])
    both = model(TOKENS[:1], segments=segments)
    assert torch.allclose(both[0, :5], model(TOKENS[:1, :5])[0], atol=1e-12)
    assert torch.allclose(both[0, 5:], model(TOKENS[:1, 5:])[0], atol=1e-12)


def test_post_norm_form_is_the_original_transformer():
    """Against torch's own encoder layers, which are those of Vaswani et al. 2017."""
    model = encoder(
        placement="post",
        norm=LayerNorm.Config(),
        position=Learned.Config(),
        token_mixer=Attention.Config(bias=True),
        channel_mixer=FeedForward.Config(activation=ReLU.Config(), hidden=24, bias=True),
    )
    assert model.norm is None
    x = model.embed(TOKENS) + model.position.weight  # type: ignore[union-attr]
    for block in model.blocks:
        theirs = nn.TransformerEncoderLayer(16, 2, 24, dropout=0.0, batch_first=True).double().eval()
        mixer, channels = block.token_mixer, block.channel_mixer
        pairs = [
            (theirs.self_attn.in_proj_weight, mixer.qkv.weight),
            (theirs.self_attn.in_proj_bias, mixer.qkv.bias),
            (theirs.self_attn.out_proj.weight, mixer.out.weight),
            (theirs.self_attn.out_proj.bias, mixer.out.bias),
            (theirs.linear1.weight, channels.up.weight),
            (theirs.linear1.bias, channels.up.bias),
            (theirs.linear2.weight, channels.down.weight),
            (theirs.linear2.bias, channels.down.bias),
        ]
        for into, out_of in pairs:
            into.data.copy_(out_of.data)
        x = theirs(x)
    assert torch.allclose(model(TOKENS), x, atol=1e-12)


def test_head_and_norms():
    assert encoder(outputs=7)(TOKENS).shape == (3, 12, 7)
    scored = encoder(outputs=7)
    assert scored.head is not None
    assert torch.equal(scored(TOKENS), scored.head(scored.hidden(TOKENS)))
    assert encoder(final_norm=False).norm is None
    assert encoder(placement="post", final_norm=True).norm is not None


class Line(Part):
    """A stem for series: each value by one linear map."""

    def __init__(self, width: int, config: object = None) -> None:
        super().__init__()
        self.map = nn.Linear(1, width)

    def forward(self, series: Tensor) -> Tensor:
        return self.map(series[..., None])


def test_any_stem_and_tokens_of_any_origin():
    model = encoder(stem=Line.Config())
    series = torch.randn(2, 9, dtype=torch.float64)
    assert model(series).shape == (2, 9, 16)
    context = Context(positions=torch.arange(9)[None])
    assert torch.equal(model.encode(model.embed(series), context), model(series))


def test_saved_and_loaded(tmp_path):
    model = encoder(stem_norm=True, outputs=3).float()
    model.save_pretrained(tmp_path)
    again = Encoder.from_pretrained(tmp_path)
    assert again.config == model.config
    assert torch.equal(again(TOKENS), model(TOKENS))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"position": CARoPE.Config()}, "needs causal attention"),
        ({"heads": 3}, "16 cannot be split among 3 heads"),
        ({"stem": LayerNorm.Config(), "position": LayerNorm.Config()}, "slot 'position' takes a Position"),
        ({"token_mixer": FeedForward.Config()}, "slot 'token_mixer' takes a TokenMixer"),
        ({"outputs": 0}, "at least 1"),
        ({"depth": 0}, "at least 1"),
        ({"position": Combined.Config((Horn.Config(), EulerRoPE.Config()))}, "adds to the tokens"),
    ],
)
def test_misfits_are_refused_when_built(settings, message):
    with pytest.raises(ConfigError, match=message):
        Encoder(Encoder.Config(**{"width": 16, "heads": 2, **settings}))


def test_a_decoder_does_not_lose_what_a_position_adds():
    with pytest.raises(ConfigError, match="adds to the tokens"):
        Decoder(Decoder.Config(position=Combined.Config((Horn.Config(), EulerRoPE.Config()))))
