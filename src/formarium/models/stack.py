"""What models made of blocks have in common: how the stack is built, where tokens are, and how they enter it."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from formarium.block import Block, Placement
from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.models.model import built
from formarium.parts.part import ChannelMixer, Norm, Part, Position, TokenMixer


def surroundings(
    width: int, depth: int, heads: int, kv_heads: int | None, head_width: int | None, max_length: int, causal: bool
) -> dict[str, object]:
    """What parts may ask of the model around them; ConfigError where the numbers do not fit together."""
    if min(width, depth, heads, max_length) < 1:
        raise ConfigError("width, depth, heads and max_length of a model are at least 1")
    if head_width is None and width % heads:
        raise ConfigError(f"a width of {width} cannot be split among {heads} heads")
    return {
        "width": width,
        "depth": depth,
        "heads": heads,
        "kv_heads": kv_heads or heads,
        "head_width": head_width or width // heads,
        "max_length": max_length,
        "causal": causal,
    }


def build_stack(
    around: Mapping[str, object],
    depth: int,
    *,
    position: BaseConfig,
    token_mixer: BaseConfig,
    channel_mixer: BaseConfig,
    norm: BaseConfig,
    between: BaseConfig | None = None,
    placement: Placement = "pre",
    dropout: float = 0.0,
) -> tuple[Position | None, nn.ModuleList]:
    """The position that all layers share, None where each has its own, and the blocks.

    Raises ConfigError when parts do not fit together.
    """
    where = built(position, Position, "position", **around)
    if not where.shared and "add" in where.acts:
        raise ConfigError(
            f"{position.describe()} adds to the tokens before the first layer, but is built for each layer; "
            "combine positions that are shared by all layers"
        )
    shared = where if where.shared else None
    blocks = []
    for layer in range(depth):
        here = {**around, "layer": layer}
        if shared is None and layer:
            where = built(position, Position, "position", **here)
        blocks.append(
            Block(
                built(token_mixer, TokenMixer, "token_mixer", position=where, **here),
                built(channel_mixer, ChannelMixer, "channel_mixer", **here),
                (built(norm, Norm, "norm", **here), built(norm, Norm, "norm", **here)),
                between=None if between is None else built(between, Part, "between", **here),
                placement=placement,
                dropout=dropout,
            )
        )
    return shared, nn.ModuleList(blocks)


def enter(x: Tensor, context: Context, position: Position | None) -> tuple[Tensor, Context]:
    """The tokens (B, T, D) with what a shared position adds, and the context that goes through all layers with them."""
    if position is not None:
        x = position.add(x, context)
    context = context.with_embeddings(x)
    if position is not None:
        context.shared = position.prepare(context)
    return x, context


def places(tokens: Tensor, segments: Tensor | None, mask: Tensor | None) -> Tensor:
    """Positions (B or 1, T) from 0 at the first real token of each document."""
    length = tokens.shape[1]
    index = torch.arange(length, device=tokens.device)[None]
    if segments is not None:
        first = torch.ones_like(segments, dtype=torch.bool)
        first[:, 1:] = segments[:, 1:] != segments[:, :-1]
        return index - torch.where(first, index, 0).cummax(dim=1).values
    if mask is not None:
        return (mask.long().cumsum(dim=1) - 1).clamp(min=0)
    return index
