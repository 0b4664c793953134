"""The plain image and video Transformer: patches, places, a stack of blocks, a class token or the mean of all, a head.

As the decoder is for language, this is the one model for pictures: papers about vision Transformers are settings of it.
"""

from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from formarium.block import Placement
from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.models.model import Model, built, initialise
from formarium.models.stack import build_stack, enter, surroundings
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.layer_norm import LayerNorm
from formarium.parts.part import Norm, Position
from formarium.parts.positions.axial_rotary import AxialRoPE
from formarium.parts.stems.patch_embedding import (
    FrameUnit,
    ImageStem,
    PatchEmbedding,
    Unit,
    cell_size,
    grid_coordinates,
)
from formarium.parts.token_mixers.attention import Attention


class Vision(Model):
    """Images (B, C, H, W), or videos (B, F, C, H, W), to scores of classes (B, classes); any H and W at any time.

    size: the side of the images that the model is trained on, and frames: their number in videos; None for images.
    Where tokens are, positions of several axes take from their coordinates, (row, column) or (frame, row, column), and
    those of one axis from their number. unit, frame_unit: of the coordinates, see ``cell_size``. absolute: a position
    that adds to the tokens, beside ``position``. stem_norm: a norm behind it, before the blocks (as in CLIP). pool: the
    head reads a ``class`` token in front of the others, in the middle of the image, or the ``mean`` of all.
    perturbation: while training, the coordinates of patches (never of frames) are moved by normal noise of that
    standard deviation in patches, cut at half a patch; one draw for a batch (ComRoPE, arXiv 2506.03737, whose published
    code has half of the deviation that the paper names). init_std: of linear maps, smaller where they write into the
    residual stream; where None they start as torch has them, uniform up to 1 / sqrt(inputs), which learns much faster
    in short runs of small models.
    Raises ConfigError when the parts do not fit together, DataError for images that cannot be cut into patches.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        size: int = 32
        channels: int = 3
        frames: int | None = None
        classes: int | None = 10
        width: int = 192
        depth: int = 6
        heads: int = 3
        kv_heads: int | None = None
        head_width: int | None = None
        stem: BaseConfig = PatchEmbedding.Config(patch=4)
        position: BaseConfig = AxialRoPE.Config()
        absolute: BaseConfig | None = None
        token_mixer: BaseConfig = Attention.Config(bias=True)
        channel_mixer: BaseConfig = FeedForward.Config(bias=True)
        norm: BaseConfig = LayerNorm.Config()
        between: BaseConfig | None = None
        placement: Placement = "pre"
        stem_norm: bool = False
        final_norm: bool | None = None
        pool: Literal["class", "mean"] = "class"
        unit: Unit = "image"
        frame_unit: FrameUnit = "frames"
        perturbation: float = 0.0
        dropout: float = 0.0
        init_std: float | None = None

    model_type: ClassVar[str] = "formarium-vision"

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config: Vision.Config = config or self.Config()
        config = self.config
        if min(config.size, config.channels, config.frames or 1) < 1 or (
            config.classes is not None and config.classes < 1
        ):
            raise ConfigError("size, channels, frames and classes of a vision model are at least 1")
        if config.perturbation < 0:
            raise ConfigError(f"perturbation is a standard deviation and cannot be {config.perturbation:g}")
        size = (config.size,) * 2 if config.frames is None else (config.frames, config.size, config.size)
        self.stem = built(config.stem, ImageStem, "stem", width=config.width, channels=config.channels)
        grid = self.stem.grid(size)
        around = {
            **surroundings(
                config.width,
                config.depth,
                config.heads,
                config.kv_heads,
                config.head_width,
                prod(grid) + (config.pool == "class"),
                causal=False,
            ),
            "grid": grid,
            "axes": len(grid),
            "unit": config.unit,
            "spacing": self._cell(grid),
        }
        self.class_token = nn.Parameter(torch.randn(config.width) * 0.02) if config.pool == "class" else None
        self.absolute = None if config.absolute is None else built(config.absolute, Position, "absolute", **around)
        if self.absolute is not None and self.absolute.acts != {"add"}:
            raise ConfigError(f"the slot 'absolute' takes a position that only adds, which {config.absolute} is not")
        self.stem_norm = built(config.norm, Norm, "norm", **around) if config.stem_norm else None
        self.position, self.blocks = build_stack(
            around,
            config.depth,
            position=config.position,
            token_mixer=config.token_mixer,
            channel_mixer=config.channel_mixer,
            norm=config.norm,
            between=config.between,
            placement=config.placement,
            dropout=config.dropout,
        )
        final = config.placement == "pre" if config.final_norm is None else config.final_norm
        self.norm = built(config.norm, Norm, "norm", **around) if final else None
        self.head = None if config.classes is None else nn.Linear(config.width, config.classes)
        if config.init_std is not None:
            initialise(self, config.init_std, config.depth, config.width)

    def forward(self, images: Tensor, coordinates: Tensor | None = None, offset: Tensor | None = None) -> Tensor:
        """Scores (B, classes), or without a head what it would read, (B, D).

        coordinates: (1 or B, T, N) of all tokens, the class token in front; by default those of the grid. offset: (N,),
        added to the coordinates of all tokens.
        """
        pooled = self.pooled(self.features(images, coordinates, offset))
        return pooled if self.head is None else cast(Tensor, self.head(pooled))

    def features(self, images: Tensor, coordinates: Tensor | None = None, offset: Tensor | None = None) -> Tensor:
        """The tokens behind the last norm: (B, T, D), the class token in front if there is one."""
        context = self.context(images, coordinates, offset)
        return self.encode(self.embed(images), context)

    def pooled(self, features: Tensor) -> Tensor:
        """What the head reads of the tokens: (B, T, D) to (B, D)."""
        return features.mean(dim=1) if self.class_token is None else features[:, 0]

    def embed(self, images: Tensor) -> Tensor:
        """Images to tokens without places, (B, T, D), the class token in front."""
        tokens: Tensor = self.stem(images)
        if self.class_token is None:
            return tokens
        return torch.cat((self.class_token.to(tokens.dtype).expand(len(tokens), 1, -1), tokens), dim=1)

    def context(self, images: Tensor, coordinates: Tensor | None = None, offset: Tensor | None = None) -> Context:
        """Where the tokens of images are; while training, with the perturbation."""
        size = images.shape[2:] if images.dim() == 4 else (images.shape[1], *images.shape[3:])
        grid = self.stem.grid(size)
        if coordinates is None:
            coordinates = self._coordinates(grid, images)
        if offset is not None:
            coordinates = coordinates + offset.to(coordinates.dtype)
        index = torch.arange(coordinates.shape[1], device=images.device)[None]
        return Context(positions=index, coordinates=coordinates, grid=grid)

    def encode(self, x: Tensor, context: Context) -> Tensor:
        """Tokens (B, T, D) of any origin, with their context, through the stack to features (B, T, D)."""
        if self.absolute is not None:
            x = self.absolute.add(x, context)
        if self.stem_norm is not None:
            x = self.stem_norm(x)
        x, context = enter(x, context, self.position)
        for block in self.blocks:
            x = block(x, context)
        return x if self.norm is None else cast(Tensor, self.norm(x))

    def _cell(self, grid: tuple[int, ...]) -> list[float]:
        return cell_size(grid, self.config.unit, self.config.frame_unit)

    def _coordinates(self, grid: tuple[int, ...], images: Tensor) -> Tensor:
        cell = self._cell(grid)
        places = grid_coordinates(grid, cell, torch.promote_types(images.dtype, torch.float32), images.device)
        if self.training and self.config.perturbation:
            noise = (torch.randn_like(places) * self.config.perturbation).clamp(-0.5, 0.5)
            places = places + noise * noise.new_tensor([0.0] * (len(grid) - 2) + cell[-2:])
        if self.class_token is None:
            return places
        # Half of the image's extent, and 1/2 for frames in any unit of the image.
        middle = [0.5 if self.config.unit == "image" else extent / 2 for extent in grid]
        return torch.cat((places.new_tensor(middle)[None, None], places), dim=1)
