"""The feed-forward channel mixer, plain or gated (Shazeer 2020, GLU variants, arXiv 2002.05202)."""

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.parts.channel_mixers.activations import GELU, SiLU
from formarium.parts.dropout import Dropout
from formarium.parts.linear import FusedLinear, Linear, ResidualLinear
from formarium.parts.part import Activation, ChannelMixer


class FeedForward(ChannelMixer):
    """W_2 phi(W_1 x), or gated W_2 (phi(W_g x) * W_u x): (B, T, D) to (B, T, D).

    ``hidden`` is the inner width; by default ``ratio`` D, and for the gated form 2/3 of it rounded up to a multiple of
    64, which costs the same.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        activation: BaseConfig = GELU.Config()
        gated: bool = False
        hidden: int | None = None
        bias: bool = False
        dropout: float = 0.0
        ratio: float = 4.0

    def __init__(self, width: int, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        wide = round(config.ratio * width)
        hidden = config.hidden or (-(-2 * wide // 192) * 64 if config.gated else wide)
        if hidden < 1:
            raise ConfigError(f"the hidden width of {type(self).__name__} is at least 1, not {hidden}")
        self.gated, self.hidden = config.gated, hidden
        self.up: nn.Module = (
            FusedLinear(width, (hidden, hidden), bias=config.bias)
            if config.gated
            else Linear(width, hidden, bias=config.bias)
        )
        self.activation = cast(Activation, config.activation.build(width=hidden))
        self.down = ResidualLinear(hidden, width, bias=config.bias)
        self.dropout = Dropout(config.dropout) if config.dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.gated:
            gate, value = self.up(x)
            inner = self.activation(gate) * value
        else:
            inner = self.activation(self.up(x))
        return cast(Tensor, self.down(self.dropout(inner)))


class SwiGLU(FeedForward):
    """The gated feed-forward with SiLU: W_2 (SiLU(W_g x) * W_u x)."""

    @dataclass(frozen=True)
    class Config(FeedForward.Config):
        activation: BaseConfig = SiLU.Config()
        gated: bool = True
