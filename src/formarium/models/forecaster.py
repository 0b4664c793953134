"""What all forecasters share: windows in, the whole horizon out; and what those made of Transformer blocks share.

Shapes: B batch, L steps of history, S steps of the horizon, N variates, C covariates, Q quantiles, D width.
"""

import itertools
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from formarium.block import Block, Placement
from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.errors import DataError
from formarium.models.model import Model, built
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.layer_norm import LayerNorm
from formarium.parts.norms.reversible_instance_norm import ReversibleInstanceNorm, Statistics
from formarium.parts.part import ChannelMixer, Norm, Position, TokenMixer
from formarium.parts.positions.none import NoPE
from formarium.parts.token_mixers.attention import Attention


class Forecaster(Model):
    """History (B, L, N), with covariates of its steps (B, L, C) and of those ahead (B, S, C), to forecasts (B, S, N).

    quantiles: with these levels, strictly ascending between 0 and 1, forecasts are (B, S, N, Q), sorted so that they
    never cross (Chernozhukov, Fernandez-Val and Galichon 2010). Covariates that a model has no use for are ignored.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        history: int = 96
        horizon: int = 96
        quantiles: tuple[float, ...] = ()

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        if min(config.history, config.horizon) < 1:
            raise ConfigError("the history and the horizon of a forecaster are at least one step")
        levels = config.quantiles
        if not all(0 < q < 1 for q in levels) or any(a >= b for a, b in itertools.pairwise(levels)):
            raise ConfigError(f"quantiles are ascending levels between 0 and 1, as (0.1, 0.5, 0.9), not {levels}")

    def forward(self, history: Tensor, marks: Tensor | None = None, future_marks: Tensor | None = None) -> Tensor:
        """Forecasts (B, S, N), or (B, S, N, Q) with quantiles, in the units of the history."""
        raise NotImplementedError

    @property
    def levels(self) -> int:
        """How many numbers answer for one future value."""
        return max(1, len(self.config.quantiles))

    def point(self, forecasts: Tensor) -> Tensor:
        """One number for each future value out of what ``forward`` returned: the quantile nearest to the median."""
        if not self.config.quantiles:
            return forecasts
        nearest = min(range(self.levels), key=lambda i: abs(self.config.quantiles[i] - 0.5))
        return forecasts[..., nearest]

    def _check(self, history: Tensor) -> None:
        if history.dim() != 3 or history.shape[1] != self.config.history:
            raise DataError(
                f"this model reads windows of {self.config.history} steps as (batch, steps, variates), "
                f"not {tuple(history.shape)}"
            )

    def _answer(self, y: Tensor) -> Tensor:
        """(B, S, N, max(Q, 1)) as the caller wants it."""
        return y.sort(dim=-1).values if self.config.quantiles else y[..., 0]


class TransformerForecaster(Forecaster):
    """A forecaster with a stack of blocks and a final norm; a subclass says what the tokens are.

    normalise: each series of a window to mean 0 and variance 1, and its forecast back.
    """

    @dataclass(frozen=True)
    class Config(Forecaster.Config):
        width: int = 256
        depth: int = 2
        heads: int = 8
        token_mixer: BaseConfig = Attention.Config(bias=True, dropout=0.1)
        channel_mixer: BaseConfig = FeedForward.Config(hidden=256, bias=True, dropout=0.1)
        norm: BaseConfig = LayerNorm.Config()
        position: BaseConfig = NoPE.Config()
        placement: Placement = "post"
        dropout: float = 0.1
        normalise: bool = True

    config: Config

    def __init__(self, config: Config, max_length: int | None = None) -> None:
        super().__init__(config)
        if min(config.width, config.depth, config.heads) < 1:
            raise ConfigError("width, depth and heads of a forecaster are at least 1")
        if config.width % config.heads:
            raise ConfigError(f"a width of {config.width} cannot be split among {config.heads} heads")
        around: dict[str, object] = {
            "width": config.width,
            "depth": config.depth,
            "heads": config.heads,
            "kv_heads": config.heads,
            "head_width": config.width // config.heads,
            "causal": False,
        }
        if max_length is not None:
            around["max_length"] = max_length
        position = built(config.position, Position, "position", **around)
        self.position = position if position.shared else None
        blocks = []
        for layer in range(config.depth):
            here = {**around, "layer": layer}
            if not position.shared and layer:
                position = built(config.position, Position, "position", **here)
            token_mixer = built(config.token_mixer, TokenMixer, "token_mixer", position=position, **here)
            channel_mixer = built(config.channel_mixer, ChannelMixer, "channel_mixer", **here)
            norms = (built(config.norm, Norm, "norm", **here), built(config.norm, Norm, "norm", **here))
            blocks.append(Block(token_mixer, channel_mixer, norms, placement=config.placement, dropout=config.dropout))
        self.blocks = nn.ModuleList(blocks)
        self.norm: nn.Module = built(config.norm, Norm, "norm", **around)
        self.instance_norm = ReversibleInstanceNorm() if config.normalise else None

    def _encode(self, tokens: Tensor, keep: int | None = None) -> Tensor:
        """(B, T, D) through position, blocks and final norm; with ``keep`` the first so many tokens of that."""
        context = Context(positions=torch.arange(tokens.shape[1], device=tokens.device)[None])
        if self.position is not None:
            tokens = self.position.add(tokens, context)
        context = context.with_embeddings(tokens)
        if self.position is not None:
            context.shared = self.position.prepare(context)
        last = len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            tokens = block(tokens, context, keep=keep if layer == last else None)
        return cast(Tensor, self.norm(tokens))

    def _normalised(self, history: Tensor) -> tuple[Tensor, Statistics]:
        self._check(history)
        return (history, (None, None)) if self.instance_norm is None else self.instance_norm(history)

    def _restored(self, y: Tensor, statistics: Statistics) -> Tensor:
        """The answer (B, S, N, max(Q, 1)) in the units of the history."""
        y = self._answer(y)
        return y if self.instance_norm is None else self.instance_norm.restore(y, statistics)
