"""The plain image and video Transformer: its figure, its coordinates, other resolutions, and what it refuses."""

import pytest
import torch

from formarium.config import BaseConfig, ConfigError, parse
from formarium.errors import DataError
from formarium.models.model import load
from formarium.models.vision import Vision
from formarium.parts.norms.layer_norm import LayerNorm
from formarium.parts.positions.commuting_rotary import ComRoPE
from formarium.parts.positions.learned import Learned
from formarium.parts.positions.learned_grid import LearnedGrid
from formarium.parts.positions.lie_rotary import LieRE
from formarium.parts.positions.none import NoPE
from formarium.parts.positions.rotary import RoPE

BASE = Vision.Config(size=16, width=48, depth=2, heads=2, classes=5, init_std=0.3)
IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
VIDEO = torch.randn(2, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
POSITIONS = ["AxialRoPE", "RoPEMixed", "ComRoPE", "ComRoPE(form=ap)", "ComRoPE(block=2)", "LieRE", "LieRE(block=4)"]
ONE_AXIS = ["RoPE", "Sinusoidal", "NoPE", "ALiBi", "T5Bias", "RelativeBias", "RelativeFactor", "EulerRoPE"]


def vision(**settings: object) -> Vision:
    torch.manual_seed(0)
    return Vision(BASE.replace(**settings)).double().eval()


@pytest.mark.parametrize("position", [*POSITIONS, *ONE_AXIS, "LearnedGrid"])
@pytest.mark.parametrize("video", [False, True], ids=["image", "video"])
def test_every_position_sees_pictures_of_any_size(position: str, video: bool) -> None:
    model = vision(position=position, frames=4 if video else None)
    images = VIDEO if video else IMAGES
    with torch.no_grad():
        scores = model(images)
        assert scores.shape == (2, 5)
        assert model(images[..., :12, :]).shape == (2, 5)
        wider = torch.cat((images, images), dim=-1)
        assert model(wider).isfinite().all()
        assert model.features(wider).shape == (2, 1 + 8 * 4 * (4 if video else 1), 48)


def test_the_figure_is_the_plain_vision_transformer() -> None:
    """Against torch's own encoder layers and a convolution for the patches."""
    model = vision(position=NoPE.Config(), absolute=LearnedGrid.Config(), stem_norm=True)
    layers = [
        torch.nn.TransformerEncoderLayer(48, 2, 192, 0.0, "gelu", batch_first=True, norm_first=True) for _ in "12"
    ]
    stack = torch.nn.ModuleList(layers).double().eval()
    for layer, block in zip(stack, model.blocks, strict=True):
        mixer = block.token_mixer
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": mixer.qkv.weight,
                "self_attn.in_proj_bias": mixer.qkv.bias,
                "self_attn.out_proj.weight": mixer.out.weight,
                "self_attn.out_proj.bias": mixer.out.bias,
                "linear1.weight": block.channel_mixer.up.weight,
                "linear1.bias": block.channel_mixer.up.bias,
                "linear2.weight": block.channel_mixer.down.weight,
                "linear2.bias": block.channel_mixer.down.bias,
                "norm1.weight": block.token_norm.weight,
                "norm1.bias": block.token_norm.bias,
                "norm2.weight": block.channel_norm.weight,
                "norm2.bias": block.channel_norm.bias,
            }
        )
    with torch.no_grad():
        weight = model.stem.embed.weight.view(48, 3, 4, 4)
        patches = torch.nn.functional.conv2d(IMAGES, weight, model.stem.embed.bias, stride=4).flatten(2).mT
        table = model.absolute.weight.flatten(0, 1)
        middle = model.absolute.weight[1:3, 1:3].mean(dim=(0, 1))  # the class token lies in the middle of the image
        x = torch.cat(((model.class_token + middle).expand(2, 1, -1), patches + table), dim=1)
        x = model.stem_norm(x)
        for layer in stack:
            x = layer(x)
        torch.testing.assert_close(model(IMAGES), model.head(model.norm(x[:, 0])))


def test_mean_pooling_and_no_head() -> None:
    model = vision(pool="mean", classes=None)
    assert model.features(IMAGES).shape == (2, 16, 48)
    torch.testing.assert_close(model(IMAGES), model.features(IMAGES).mean(dim=1))
    assert vision(classes=None)(IMAGES).shape == (2, 48)


def test_post_norm_has_no_norm_behind_it_unless_asked() -> None:
    assert vision(placement="post").norm is None
    assert isinstance(vision(placement="post", final_norm=True).norm, LayerNorm)


@pytest.mark.parametrize("position", [ComRoPE.Config(), ComRoPE.Config("ap"), LieRE.Config(2), parse("RoPEMixed")])
@pytest.mark.parametrize("size", [16, 24])
def test_a_common_offset_changes_nothing_at_any_resolution(position: BaseConfig, size: int) -> None:
    model = vision(position=position)
    images = torch.nn.functional.interpolate(IMAGES, size=(size, size), mode="bilinear")
    offset = torch.tensor([2.5, -0.7], dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(model(images, offset=offset), model(images), atol=1e-10, rtol=0)


def test_without_commuting_matrices_it_does() -> None:
    model = vision(position=LieRE.Config(4))
    with torch.no_grad():
        difference = model(IMAGES, offset=torch.tensor([2.5, -0.7])) - model(IMAGES)
    assert difference.abs().amax() > 1e-2


@pytest.mark.parametrize("unit", ["image", "patch"])
def test_tokens_know_where_they_are(unit: str) -> None:
    context = vision(unit=unit).context(IMAGES[..., :8, :])
    side = torch.tensor([1.0, 1.0] if unit == "image" else [2.0, 4.0], dtype=torch.float64)
    assert context.grid == (2, 4)
    where = context.coordinates[0] / side
    assert where[0].tolist() == [0.5, 0.5]
    assert where[1].tolist() == [0.25, 0.125]
    assert where[-1].tolist() == [0.75, 0.875]
    assert context.positions.tolist() == [list(range(9))]


def test_frames_may_count_in_rows() -> None:
    assert vision(frames=4).context(VIDEO[:, :2]).coordinates[0, 17].tolist() == [0.75, 0.125, 0.125]
    assert vision(frames=4, frame_unit="rows").context(VIDEO[:, :2]).coordinates[0, 17].tolist() == [
        0.375,
        0.125,
        0.125,
    ]


def test_patches_read_the_same_in_units_of_the_image_and_of_patches() -> None:
    """Fixed positions put neighbours one apart in either unit, at the size that the model was built for."""
    for name in ("AxialRoPE", "RoPEMixed", "LearnedGrid"):
        torch.testing.assert_close(vision(position=name, unit="patch")(IMAGES), vision(position=name)(IMAGES))


@pytest.mark.parametrize("unit", ["image", "patch"])
def test_perturbation_moves_patches_while_training_and_nothing_else(unit: str) -> None:
    model = vision(frames=4, perturbation=0.4, unit=unit)
    still = model.context(VIDEO).coordinates
    moved = model.train().context(VIDEO).coordinates
    cell = 0.25 if unit == "image" else 1.0
    difference = (moved - still)[0] / cell
    assert difference[0].abs().amax() == 0
    assert difference[:, 0].abs().amax() == 0
    assert difference[1:, 1:].abs().amax() <= 0.5 + 1e-9
    inner = difference[1:, 1:]
    assert (inner != 0).all()
    assert abs(float(inner.std()) - 0.34) < 0.05  # that of a normal cut at 1.25 deviations of 0.4
    assert len(moved) == 1
    assert not torch.equal(moved, model.context(VIDEO).coordinates)
    assert vision(perturbation=0.0).train().context(IMAGES).coordinates.equal(vision().context(IMAGES).coordinates)


def test_given_coordinates_are_taken_of_each_image() -> None:
    model = vision(absolute=LearnedGrid.Config())
    where = model.context(IMAGES).coordinates
    both = torch.cat((where, where.flip(1)))
    torch.testing.assert_close(model(IMAGES, both)[:1], model(IMAGES[:1]))
    torch.testing.assert_close(model(IMAGES, both)[1:], model(IMAGES[1:], where.flip(1)))


def test_compiles_whole_and_trains() -> None:
    torch._dynamo.reset()
    model = vision(position="ComRoPE", absolute="LearnedGrid", perturbation=0.5, depth=1).float()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    images = IMAGES.float()
    torch.testing.assert_close(compiled(images), model(images))
    compiled.train()(images).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_saved_and_loaded(tmp_path) -> None:
    model = vision(position="ComRoPE", absolute="LearnedGrid", frames=4).float()
    model.save_pretrained(tmp_path)
    assert torch.equal(load(tmp_path).eval()(VIDEO.float()), model(VIDEO.float()))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": 0}, "at least 1"),
        ({"perturbation": -1.0}, "cannot be -1"),
        ({"absolute": RoPE.Config()}, "only adds"),
        ({"absolute": LayerNorm.Config()}, "takes a Position"),
        ({"stem": "TokenEmbedding"}, "needs vocabulary"),
        ({"stem": LayerNorm.Config()}, "takes a ImageStem"),
        ({"position": "CARoPE"}, "needs causal attention"),
        ({"heads": 5}, "cannot be split among 5 heads"),
        ({"position": ComRoPE.Config("ap", 8)}, "blocks of 8, shared out evenly among 2 axes"),
    ],
)
def test_misfits_are_named_when_it_is_built(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        vision(**settings)


def test_sizes_that_cannot_be_cut_are_named() -> None:
    with pytest.raises(DataError, match="17 x 16 cannot be cut into patches of 4 x 4"):
        vision()(torch.zeros(1, 3, 17, 16, dtype=torch.float64))
    with pytest.raises(DataError, match="18 x 18"):
        vision(size=18)
    with pytest.raises(ConfigError, match="Learned positions reach to 16"):
        vision(absolute=Learned.Config())(torch.zeros(1, 3, 20, 20, dtype=torch.float64))
