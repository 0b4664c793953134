"""The Three-Phase Transformer (arXiv 2604.14430) as a setting of the decoder."""

import math

import pytest
import torch

from formarium.config import ConfigError, parse
from formarium.models.decoder import Decoder
from formarium.parts.between.phase_rotation import PhaseRotation, stripe_sum
from formarium.parts.channel_mixers.feed_forward import SwiGLU
from formarium.parts.norms.rms_norm import RMSNorm
from formarium.parts.positions.combined import Combined
from formarium.parts.positions.horn import Horn
from formarium.parts.positions.rotary import RoPE


def three_phase(phases: int = 3, horn: bool = True, **settings) -> Decoder.Config:
    return Decoder.Config(
        position=Combined.Config((Horn.Config(), RoPE.Config())) if horn else RoPE.Config(),
        norm=RMSNorm.Config(groups=phases),
        between=PhaseRotation.Config(phases=phases),
        tied=False,
        **settings,
    )


SIZES = {
    "5.5M": ({"vocabulary": 10_000, "width": 192, "depth": 4, "heads": 6, "kv_heads": 3}, 512, 5_463_872),
    "123M": ({"vocabulary": 32_000, "width": 768, "depth": 12, "heads": 12, "kv_heads": 3}, 2048, 123_490_560),
}


@pytest.mark.parametrize(("size", "hidden", "expected"), SIZES.values(), ids=SIZES)
def test_parameters_are_the_published_ones(size, hidden, expected):
    with torch.device("meta"):
        ours = Decoder(three_phase(channel_mixer=SwiGLU.Config(hidden=hidden), **size))
        plain = Decoder(Decoder.Config(tied=False, channel_mixer=SwiGLU.Config(hidden=hidden), **size))
    assert ours.num_parameters() == expected
    assert ours.num_parameters() - plain.num_parameters() == size["depth"] * size["width"] // 6


def test_one_phase_without_angles_and_horn_is_the_plain_decoder():
    sizes = {"width": 32, "depth": 2, "heads": 4, "kv_heads": 2}
    torch.manual_seed(0)
    ours = Decoder(three_phase(phases=1, horn=False, **sizes))
    torch.manual_seed(0)
    plain = Decoder(Decoder.Config(tied=False, **sizes))
    for block in ours.blocks:
        block.between.angles.data.zero_()
    tokens = torch.randint(256, (2, 16))
    assert torch.equal(ours(tokens), plain(tokens))


def test_decoding_knows_where_it_is():
    torch.manual_seed(0)
    model = Decoder(three_phase(width=48, depth=2, heads=6, kv_heads=3, init_std=0.2)).double().eval()
    tokens = torch.randint(256, (2, 14))
    scores = model(tokens)
    state = model.new_state(2, 14)
    pieces = [model.step(tokens[:, :5], state)] + [model.step(tokens[:, i : i + 1], state) for i in range(5, 14)]
    assert torch.allclose(torch.cat(pieces, 1), scores, atol=1e-12)
    changed = tokens.clone()
    changed[:, 9:] = (changed[:, 9:] + 1) % 256
    assert torch.equal(model(changed)[:, :9], scores[:, :9])
    # The horn is what makes the difference: the same tokens elsewhere have other scores, though RoPE sees no shift.
    shifted = model(tokens, positions=torch.arange(14)[None] + 3)
    assert not torch.allclose(shifted, scores, atol=1e-4)


def test_sum_of_the_stripes_is_the_profile_for_any_weights():
    for phases in (2, 3):
        torch.manual_seed(phases)
        model = Decoder(three_phase(phases=phases, width=48, depth=1, heads=6)).double()
        seen = []
        model.blocks[0].register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        length = 128
        model(torch.randint(256, (2, length)))
        sums = stripe_sum(seen[0], phases)
        assert torch.allclose(sums, (phases / torch.arange(1.0, length + 1).double()).expand(2, -1), atol=1e-12)
        harmonic = math.fsum(1 / n for n in range(1, length + 1))
        assert sums.mean().item() == pytest.approx(phases * harmonic / length, rel=1e-9)


@pytest.mark.parametrize("phases", [1, 2, 3, 4, 6])
def test_phases_change_with_the_heads_held(phases):
    model = Decoder(three_phase(phases=phases, width=192, depth=1, heads=12, kv_heads=12))
    assert model(torch.randint(256, (1, 4))).isfinite().all()


def test_is_written_on_one_line():
    text = (
        "Decoder(width=48, heads=6, kv_heads=3, position=Combined(parts=(Horn, RoPE)), norm=RMSNorm(groups=3), "
        "between=PhaseRotation, tied=False)"
    )
    assert parse(text) == three_phase(width=48, heads=6, kv_heads=3)
    assert parse(parse(text).describe()) == parse(text)


def test_misfits_are_named():
    with pytest.raises(ConfigError, match="3 phases do not divide 4 query heads"):
        Decoder(three_phase(width=48, heads=4))
    with pytest.raises(ConfigError, match="3 phases do not divide 2 key heads"):
        Decoder(three_phase(width=48, heads=6, kv_heads=2))
    with pytest.raises(ConfigError, match="64 cannot be split into 3 equal phases"):
        Decoder(three_phase(width=64, heads=2, head_width=32).replace(norm=RMSNorm.Config()))
