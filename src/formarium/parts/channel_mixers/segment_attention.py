"""Attention inside a token: between segments of its channels, as of a series' own stretches of time.

A reconstruction: iTransformer's ablation (Liu et al., ICLR 2024, arXiv 2310.06625) puts attention where the
feed-forward over time was, and does not say how a token of one series is cut up for it.
"""

from dataclasses import dataclass

from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.parts.dropout import dropout
from formarium.parts.linear import FusedLinear, ResidualLinear
from formarium.parts.part import ChannelMixer
from formarium.parts.token_mixers.attend import attend


class SegmentAttention(ChannelMixer):
    """Softmax attention between ``segments`` equal stretches of each token's channels: (B, T, D) to (B, T, D).

    hidden: channels of queries, keys and values together over all heads; D where None. It is rounded to a multiple of
    ``heads``. Raises ConfigError where the segments do not divide D.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        segments: int = 4
        heads: int = 8
        hidden: int | None = None
        dropout: float = 0.0

    def __init__(self, width: int, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        if min(config.segments, config.heads) < 1 or width % config.segments:
            raise ConfigError(f"a width of {width} cannot be cut into {config.segments} segments")
        size = width // config.segments
        self.segments, self.heads, self.dropout = config.segments, config.heads, config.dropout
        each = max(1, round((config.hidden or width) / config.heads))
        self.qkv = FusedLinear(size, (each * config.heads,) * 3, bias=True)
        self.out = ResidualLinear(each * config.heads, size)

    def forward(self, x: Tensor) -> Tensor:
        pieces = x.reshape(-1, self.segments, x.shape[-1] // self.segments)
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in self.qkv(pieces))
        mixed = attend(q, k, v, dropout=self.dropout if self.training else 0.0)
        mixed = self.out(mixed.transpose(1, 2).flatten(2))
        return dropout(mixed, self.dropout, self.training).reshape(x.shape)
