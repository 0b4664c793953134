"""What the golden cases of ComRoPE do not reach: videos with the table as released, and settings that cannot be."""

import pytest
import torch
import torch.nn.functional as F

from formarium import official
from formarium.config import ConfigError
from formarium.context import Context
from formarium.official.comrope import _ReleasedGrid

ATTENTION = {"hidden_size": 48, "num_attention_heads": 2, "block_size": 2, "num_axes": 2}


@pytest.mark.parametrize("axes", [2, 3])
def test_the_table_is_read_with_the_released_order_of_coordinates(axes: int) -> None:
    """The released code gives its sampler, which wants (column, row, frame), 2 x - 1 of (frame, row, column)."""
    grid = (1, 4, 4) if axes == 2 else (3, 4, 4)
    position = _ReleasedGrid(5, grid[-axes:], config=_ReleasedGrid.Config(corners=True)).double()
    where = torch.rand(2, 7, axes, dtype=torch.float64)
    table = position.weight.detach().view(*grid, 5).movedim(-1, 0)[None].expand(2, -1, -1, -1, -1)
    given = 2 * where - 1
    if axes == 2:
        given = torch.cat((torch.zeros(2, 7, 1, dtype=torch.float64), given), dim=-1)
    want = F.grid_sample(table, given[:, :, None, None], padding_mode="border", align_corners=True).flatten(2).mT
    context = Context(positions=torch.arange(7)[None], coordinates=where)
    torch.testing.assert_close(position.add(torch.zeros(2, 7, 5, dtype=torch.float64), context), want)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"custom_pe_type": "rope"}, "custom_pe_type is comrope-ap"),
        ({"custom_pe_type": "vanilla-rope", "theta_base": None}, "theta_base"),
        ({"custom_pe_type": "vanilla-rope", "theta_base": 1e-100}, "theta_base"),
    ],
)
def test_settings_that_cannot_be_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        official.load("comrope", "rotation", ATTENTION | changes, {})


def test_pixels_that_fill_no_patch_are_left_out_as_by_a_strided_convolution() -> None:
    config = {
        **ATTENTION,
        "custom_pe_type": "vanilla-rope",
        "theta_base": 0.1,
        "image_size": 30,
        "patch_size": 8,
        "num_channels": 3,
        "num_frames": 1,
        "intermediate_size": 20,
        "num_hidden_layers": 1,
        "num_class": 5,
        "absolute_embedding": False,
        "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-5,
    }
    model = "vision_model."
    layer = f"{model}encoder.layers.0."
    shapes = {f"{model}embeddings.patch_embedding.weight": (48, 3, 8, 8), f"{model}embeddings.class_embedding": (48,)}
    maps = {f"{layer}self_attn.{part}_proj": (48, 48) for part in ("q", "k", "v", "out")}
    maps |= {f"{layer}mlp.fc1": (20, 48), f"{layer}mlp.fc2": (48, 20), "classification_head": (5, 48)}
    norms = (f"{model}pre_layrnorm", f"{model}post_layernorm", f"{layer}layer_norm1", f"{layer}layer_norm2")
    shapes |= {f"{name}.weight": shape for name, shape in maps.items()}
    shapes |= {f"{name}.weight": (48,) for name in norms}
    shapes |= {f"{name}.bias": (shape[0],) for name, shape in maps.items()} | {f"{name}.bias": (48,) for name in norms}
    state = {name: 0.3 * torch.randn(shape) for name, shape in shapes.items()}
    pixels, positions, labels = torch.randn(2, 3, 30, 30), torch.rand(2, 10, 2), torch.tensor([1, 4])
    found = official.load("comrope", "classifier", config, state)(pixels=pixels, positions=positions, labels=labels)
    whole = official.load("comrope", "classifier", config | {"image_size": 24}, state)
    wanted = whole(pixels=pixels[..., :24, :24].clone(), positions=positions, labels=labels)
    assert torch.equal(found["logits"], wanted["logits"])
