"""A feed-forward along the tokens, the same for every channel (Tolstikhin et al. 2021, MLP-Mixer, 2105.01601)."""

from dataclasses import dataclass
from typing import Never, cast

from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.channel_mixers.activations import GELU
from formarium.parts.dropout import dropout
from formarium.parts.linear import Linear, ResidualLinear
from formarium.parts.part import Activation, TokenMixer


class TokenFeedForward(TokenMixer):
    """W_2 phi(W_1 x^T), back in place: (B, T, D) to (B, T, D) for exactly ``tokens`` = T tokens.

    tokens: the surroundings' longest length where None. hidden: the inner width, ``ratio`` T where None. Raises
    ConfigError when causal, for another number of tokens, and for padding and packing, which it cannot keep apart.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        tokens: int | None = None
        hidden: int | None = None
        ratio: float = 4.0
        activation: BaseConfig = GELU.Config()
        dropout: float = 0.0

    def __init__(self, max_length: int | None = None, causal: bool = False, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        if causal:
            raise ConfigError("a feed-forward along the tokens sees all of them; use Attention in a causal model")
        tokens = config.tokens or max_length
        if tokens is None:
            raise ConfigError("a feed-forward along the tokens needs to know how many there are: tokens=96")
        hidden = config.hidden or round(config.ratio * tokens)
        if min(tokens, hidden) < 1:
            raise ConfigError("tokens and the hidden width of a feed-forward along them are at least 1")
        self.tokens, self.dropout = tokens, config.dropout
        self.up = Linear(tokens, hidden)
        self.activation = cast(Activation, config.activation.build(width=hidden))
        self.down = ResidualLinear(hidden, tokens)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        if x.shape[1] != self.tokens:
            raise ConfigError(
                f"this feed-forward along the tokens was built for {self.tokens} of them, not {x.shape[1]}"
            )
        if context.mask is not None or context.segments is not None:
            raise ConfigError("a feed-forward along the tokens cannot keep padding or packed documents apart")
        inner = dropout(self.activation(self.up(x.transpose(1, 2))), self.dropout, self.training)
        return cast(Tensor, self.down(inner).transpose(1, 2))

    def step(self, x: Tensor, context: Context, state: LayerState) -> Never:
        raise ConfigError("a feed-forward along the tokens does not decode step by step")
