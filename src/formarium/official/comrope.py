"""ComRoPE (Longin-Yu/ComRoPE): the published attentions with trainable or fixed rotations, and their classifier."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.models.vision import Vision
from formarium.official.adapter import Adapter, State, against_cotangent
from formarium.parts.channel_mixers.activations import GELU, ReLU, SiLU
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.layer_norm import LayerNorm
from formarium.parts.part import Position
from formarium.parts.positions.axial_rotary import AxialRoPE
from formarium.parts.positions.block_rotary import BlockRotary
from formarium.parts.positions.block_rotation import skew_part
from formarium.parts.positions.commuting_rotary import ComRoPE
from formarium.parts.positions.learned_grid import LearnedGrid
from formarium.parts.positions.lie_rotary import LieRE
from formarium.parts.stems.patch_embedding import PatchEmbedding
from formarium.parts.token_mixers.attention import Attention

Config = Mapping[str, Any]

_ACTIVATIONS: dict[str, BaseConfig] = {
    "quick_gelu": GELU.Config("quick"),
    "gelu": GELU.Config(),
    "gelu_new": GELU.Config("tanh"),
    "gelu_fast": GELU.Config("tanh"),
    "gelu_pytorch_tanh": GELU.Config("tanh"),
    "relu": ReLU.Config(),
    "silu": SiLU.Config(),
    "swish": SiLU.Config(),
}


class _ReleasedGrid(LearnedGrid):
    """The absolute table as the released code reads it: its sampler is given the coordinates in the wrong order.

    It wants (column, row, frame) and gets (frame, row, column); of images, without frames, it gets the middle for the
    column, and the column for an axis of one cell.
    """

    def add(self, x: Tensor, context: Context) -> Tensor:
        where = context.coordinates
        assert where is not None
        where = (
            where.flip(-1) if where.shape[-1] == 3 else torch.stack((where[..., 0], 0.5 + 0 * where[..., 1]), dim=-1)
        )
        return super().add(x, replace(context, coordinates=where))


def _position(config: Config) -> BaseConfig:
    kind, block = config["custom_pe_type"], config["block_size"]
    if kind in ("comrope-ap", "comrope-ld"):
        return ComRoPE.Config(form="ap" if kind == "comrope-ap" else "ld", block=block)
    if kind == "liere":
        return LieRE.Config(block=block, scale=config.get("scale_factor") or 1.0)
    if kind == "vanilla-rope":
        # Angle number t of n is theta^t there, base^(-t/n) here.
        count = config["hidden_size"] // config["num_attention_heads"] // (2 * config["num_axes"])
        theta = config["theta_base"]
        # The released default, 1e-100, stands for "to be set".
        if not theta or theta < 0 or abs(count * math.log10(theta)) > 300:
            raise ConfigError(f"theta_base of vanilla-rope is a number like 1e-4, not {theta!r}")
        return AxialRoPE.Config(base=theta**-count, scale=1.0)
    raise ConfigError(f"custom_pe_type is comrope-ap, comrope-ld, liere or vanilla-rope, not {kind!r}")


def _of_position(config: Config, state: State, ours: str, theirs: str) -> dict[str, Tensor]:
    kind = config["custom_pe_type"]
    if kind == "vanilla-rope":
        return {}
    matrices = state[f"{theirs}freqs"]
    weights = {f"{ours}triangle": skew_part(matrices if kind == "liere" else matrices[:, 0])}
    if kind == "comrope-ld":
        weights[f"{ours}scales"] = state[f"{theirs}multiplier"][..., 0, 0]
    return weights


def _of_attention(config: Config, state: State, ours: str, theirs: str) -> dict[str, Tensor]:
    ends = ("weight", "bias")
    return {
        **{f"{ours}qkv.{end}": torch.cat([state[f"{theirs}{part}_proj.{end}"] for part in "qkv"]) for end in ends},
        **{f"{ours}out.{end}": state[f"{theirs}out_proj.{end}"] for end in ends},
        **_of_position(config, state, f"{ours}position.", theirs),
    }


def _built(config: Config) -> Position:
    heads, width = config["num_attention_heads"], config["hidden_size"]
    position: Position = _position(config).build(head_width=width // heads, heads=heads, axes=config["num_axes"])
    return position


def _attention(config: Config, state: State) -> Adapter:
    position = _built(config)
    layer = Attention(
        config["hidden_size"], config["num_attention_heads"], position=position, config=Attention.Config(bias=True)
    )

    def run(layer: Attention, x: Tensor, positions: Tensor, offset: Tensor | None = None) -> dict[str, Tensor]:
        index = torch.arange(x.shape[1], device=x.device)[None]
        places = positions if offset is None else positions + offset
        context = Context(positions=index, coordinates=places, embeddings=x)
        if position.shared:
            context.shared = position.prepare(context)
        return {"out": layer(x, context), "weights": layer.weights(x, context)}

    return Adapter(layer, lambda state: _of_attention(config, state, "", ""), state, run)


def _bare(config: Config, state: State, run: Callable[..., Any]) -> Adapter:
    return Adapter(_built(config), lambda state: _of_position(config, state, "", ""), state, run)


def _angle_matrix(config: Config, state: State) -> Adapter:
    dtype = next((tensor.dtype for tensor in state.values() if tensor.is_floating_point()), torch.float32)

    def run(position: Position) -> dict[str, Tensor]:
        if isinstance(position, BlockRotary):
            return {"angle_matrix": position.angle_matrices()}
        assert isinstance(position, AxialRoPE)
        quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=dtype)
        rates = position.frequencies(torch.zeros((), dtype=torch.float64)).to(dtype)
        return {"angle_matrix": rates[None, ..., None, None] * quarter}

    return _bare(config, state, run)


def _rotation(config: Config, state: State) -> Adapter:
    heads, head_width = config["num_attention_heads"], config["hidden_size"] // config["num_attention_heads"]

    def run(position: Position, positions: Tensor) -> dict[str, Tensor]:
        first = positions[:1]
        index = torch.arange(first.shape[1], device=first.device)[None]
        context = Context(positions=index, coordinates=first, embeddings=first)
        # The columns of R(x) are what becomes of the unit vectors, here one for each item of a batch.
        owners = 1 if position.shared else heads
        unit = torch.eye(head_width, dtype=first.dtype, device=first.device)[:, None, None]
        unit = unit.expand(-1, owners, first.shape[1], -1)
        turned, _ = position.turn(unit, unit, position.prepare(context))
        return {"rotation": turned.permute(2, 1, 3, 0)}

    return _bare(config, state, run)


def _classifier(config: Config, state: State) -> Adapter:
    if config["hidden_act"] not in _ACTIVATIONS:
        raise ConfigError(f"hidden_act is one of {', '.join(_ACTIVATIONS)}, not {config['hidden_act']!r}")
    video = config["num_axes"] == 3
    patch: int = config["patch_size"]

    def whole(pixels: int) -> int:
        """What the released stem, a strided convolution, sees: it leaves out what is no whole patch at the end."""
        return pixels // patch * patch

    model = Vision(
        Vision.Config(
            size=whole(config["image_size"]),
            channels=config["num_channels"],
            frames=config["num_frames"] if video else None,
            classes=config["num_class"],
            width=config["hidden_size"],
            depth=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            stem=PatchEmbedding.Config(patch, bias=False),
            position=_position(config),
            absolute=_ReleasedGrid.Config(corners=True) if config["absolute_embedding"] else None,
            token_mixer=Attention.Config(bias=True),
            channel_mixer=FeedForward.Config(
                activation=_ACTIVATIONS[config["hidden_act"]], hidden=config["intermediate_size"], bias=True
            ),
            norm=LayerNorm.Config(eps=config["layer_norm_eps"]),
            stem_norm=True,
        )
    )

    def translate(state: State) -> dict[str, Tensor]:
        stem = "vision_model.embeddings."
        weights = {
            "stem.embed.weight": state[f"{stem}patch_embedding.weight"].flatten(1),
            "class_token": state[f"{stem}class_embedding"],
        }
        if config["absolute_embedding"]:
            table = state[f"{stem}position_embedding"]
            weights["absolute.weight"] = table if video else table[0]
        names = {
            "stem_norm": "vision_model.pre_layrnorm",
            "norm": "vision_model.post_layernorm",
            "head": "classification_head",
        }
        for layer in range(config["num_hidden_layers"]):
            ours, theirs = f"blocks.{layer}.", f"vision_model.encoder.layers.{layer}."
            names |= {
                f"{ours}token_norm": f"{theirs}layer_norm1",
                f"{ours}channel_norm": f"{theirs}layer_norm2",
                f"{ours}channel_mixer.up": f"{theirs}mlp.fc1",
                f"{ours}channel_mixer.down": f"{theirs}mlp.fc2",
            }
            weights |= _of_attention(config, state, f"{ours}token_mixer.", f"{theirs}self_attn.")
        return weights | {f"{a}.{end}": state[f"{b}.{end}"] for a, b in names.items() for end in ("weight", "bias")}

    def run(model: Vision, pixels: Tensor, positions: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = model(pixels[..., : whole(pixels.shape[-2]), : whole(pixels.shape[-1])], positions)
        return {"logits": logits, "loss": F.cross_entropy(logits, labels)}

    return Adapter(model, translate, state, run)


def _loss(outputs: Mapping[str, Tensor]) -> Tensor:
    return outputs["loss"]


MODULES: dict[str, Callable[[Config, State], Callable[..., Any]]] = {
    "attention": _attention,
    "attention_gradients": lambda config, state: _attention(config, state).gradients(against_cotangent),
    "angle_matrix": _angle_matrix,
    "rotation": _rotation,
    "classifier": _classifier,
    "classifier_gradients": lambda config, state: _classifier(config, state).gradients(_loss),
}
