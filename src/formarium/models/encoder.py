"""The bidirectional sequence encoder: a stem, a stack of blocks in which every token sees all, hidden states or scores.

As the decoder is for causal models, this is the one model for what reads a whole sequence at once: papers about
encoders are settings of it.
"""

from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor, nn

from formarium.block import Placement
from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.models.model import Model, built, initialise
from formarium.models.stack import build_stack, enter, places, surroundings
from formarium.parts.channel_mixers.feed_forward import SwiGLU
from formarium.parts.norms.rms_norm import RMSNorm
from formarium.parts.part import Norm, Part
from formarium.parts.positions.rotary import RoPE
from formarium.parts.stems.token_embedding import TokenEmbedding
from formarium.parts.token_mixers.attention import Attention


class Encoder(Model):
    """Tokens (B, T), or what another stem reads, to hidden states (B, T, D), or to scores of each (B, T, outputs).

    stem_norm: the embedded tokens are normed before they are given places (as BERT does). final_norm: behind the last
    block, by default only where blocks norm what they read. outputs: how many scores a linear head gives each token.
    init_std: see ``initialise``. Raises ConfigError when the parts do not fit together.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        vocabulary: int = 256
        width: int = 128
        depth: int = 4
        heads: int = 4
        kv_heads: int | None = None
        head_width: int | None = None
        max_length: int = 512
        token_mixer: BaseConfig = Attention.Config()
        position: BaseConfig = RoPE.Config()
        channel_mixer: BaseConfig = SwiGLU.Config()
        norm: BaseConfig = RMSNorm.Config()
        between: BaseConfig | None = None
        placement: Placement = "pre"
        stem: BaseConfig = TokenEmbedding.Config()
        stem_norm: bool = False
        final_norm: bool | None = None
        outputs: int | None = None
        dropout: float = 0.0
        init_std: float | None = None

    model_type: ClassVar[str] = "formarium-encoder"

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config: Encoder.Config = config or self.Config()
        config = self.config
        if config.vocabulary < 1 or (config.outputs is not None and config.outputs < 1):
            raise ConfigError("the vocabulary and the outputs of an encoder are at least 1")
        around = surroundings(
            config.width,
            config.depth,
            config.heads,
            config.kv_heads,
            config.head_width,
            config.max_length,
            causal=False,
        )
        self.stem = built(config.stem, Part, "stem", vocabulary=config.vocabulary, **around)
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
        self.head = None if config.outputs is None else nn.Linear(config.width, config.outputs)
        initialise(self, config.init_std, config.depth, config.width)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        segments: Tensor | None = None,
        mask: Tensor | None = None,
        pairs: Tensor | None = None,
    ) -> Tensor:
        """Scores (B, T, outputs), or without a head the hidden states (B, T, D).

        positions: (B, T), counted from the first real token of each document where None. segments: (B, T) document
        numbers of packed sequences. mask: (B, T), true for real tokens of padded batches; what stands at the others is
        meaningless and is seen by none. pairs: (B or 1, T, T, E) features of pairs of tokens, for parts that read them.
        """
        hidden = self.hidden(tokens, positions, segments, mask, pairs)
        return hidden if self.head is None else self.head(hidden)

    def hidden(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        segments: Tensor | None = None,
        mask: Tensor | None = None,
        pairs: Tensor | None = None,
    ) -> Tensor:
        """The hidden states (B, T, D) behind the last block."""
        if positions is None:
            positions = places(tokens, segments, mask)
        context = Context(positions=positions, segments=segments, mask=mask, pairs=pairs)
        return self.encode(self.embed(tokens, mask), context)

    def embed(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """What enters the stack, without places: tokens to (B, T, D), zero at padding."""
        x: Tensor = self.stem(tokens)
        if self.stem_norm is not None:
            x = self.stem_norm(x)
        return x if mask is None else x * mask[..., None].to(x.dtype)

    def encode(self, x: Tensor, context: Context) -> Tensor:
        """Tokens (B, T, D) of any origin, with their context, through the stack to hidden states (B, T, D)."""
        x, context = enter(x, context, self.position)
        for block in self.blocks:
            x = block(x, context)
        return x if self.norm is None else cast(Tensor, self.norm(x))
