"""The causal language model: a token table, a stack of blocks, a norm, and scores for the next token.

Every paper about decoders is a setting of this one model: its parts are named in the configuration.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from formarium.block import Block, Placement
from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.models.decoding import DecodingState
from formarium.models.model import Model, built, initialise
from formarium.models.stack import build_stack, enter, places, surroundings
from formarium.parts.channel_mixers.feed_forward import SwiGLU
from formarium.parts.linear import linear
from formarium.parts.norms.rms_norm import RMSNorm
from formarium.parts.part import Norm
from formarium.parts.positions.rotary import RoPE
from formarium.parts.stems.token_embedding import TokenEmbedding
from formarium.parts.token_mixers.attention import Attention


def at_least_single(scores: Tensor) -> Tensor:
    """The scores in float32, or in float64 if they are: what a softmax over a vocabulary needs."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


class Decoder(Model):
    """Tokens (B, T) to scores of the next token (B, T, vocabulary).

    The defaults are the strong baseline of today: pre-norm RMSNorm, RoPE, SwiGLU, no biases, tied tables.
    softcap: scores become c tanh(score / c). init_std: see ``initialise``. Raises ConfigError when the parts do not fit
    together.
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
        stem: TokenEmbedding.Config = TokenEmbedding.Config()
        tied: bool = True
        softcap: float | None = None
        dropout: float = 0.0
        init_std: float | None = None

    model_type: ClassVar[str] = "formarium-decoder"

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config: Decoder.Config = config or self.Config()
        config = self.config
        if config.vocabulary < 1:
            raise ConfigError("the vocabulary of a decoder has at least one token")
        around = surroundings(
            config.width,
            config.depth,
            config.heads,
            config.kv_heads,
            config.head_width,
            config.max_length,
            causal=True,
        )
        self.stem = config.stem.build(vocabulary=config.vocabulary, **around)
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
        self.norm = built(config.norm, Norm, "norm", **around)
        self.head = None if config.tied else nn.Linear(config.width, config.vocabulary, bias=False)
        initialise(self, config.init_std, config.depth, config.width)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        segments: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Scores (B, T, vocabulary) of the token after each.

        positions: (B, T), counted from the first real token of each document where None. segments: (B, T) document
        numbers of packed sequences. mask: (B, T), true for real tokens of padded batches.
        """
        return self.scores(self.hidden(tokens, positions, segments, mask))

    def hidden(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        segments: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """What the head reads: tokens (B, T) to (B, T, D)."""
        if positions is None:
            positions = places(tokens, segments, mask)
        return self._run(tokens, Context(positions=positions, segments=segments, mask=mask))

    def scores(self, hidden: Tensor) -> Tensor:
        """Scores of the next token from what ``hidden`` returned: (..., D) to (..., vocabulary)."""
        scores = linear(hidden, self.stem.weight if self.head is None else self.head.weight)
        cap = self.config.softcap
        return scores if cap is None else cap * torch.tanh(scores / cap)

    def new_state(self, batch: int, capacity: int) -> DecodingState:
        """An empty memory for ``batch`` sequences of up to ``capacity`` tokens."""
        like = self.stem.weight
        return DecodingState(
            positions=torch.zeros(batch, capacity, dtype=torch.long, device=like.device),
            mask=None,
            layers=[block.token_mixer.new_state(batch, capacity, like) for block in self._blocks],
        )

    def step(self, tokens: Tensor, state: DecodingState, mask: Tensor | None = None, last_only: bool = False) -> Tensor:
        """Scores (B, T, vocabulary) behind each of the next T tokens, (B, 1, vocabulary) when ``last_only``.

        A prompt is one call with T tokens, padded on the left where ``mask`` (B, T) is false; the state is updated, and
        the scores are those of ``forward`` over all tokens.
        """
        past = state.past
        if past:
            last = state.positions[:, past - 1 : past]
            positions = last + 1 + torch.arange(tokens.shape[1], device=tokens.device)
        else:
            positions = places(tokens, None, mask)
        state.admit(positions, mask)
        total = past + tokens.shape[1]
        context = Context(
            positions=positions,
            key_positions=state.positions[:, :total],
            mask=None if state.mask is None else state.mask[:, :total],
            past=past,
        )
        hidden = self._run(tokens, context, state, last_only)
        state.past = total
        return self.scores(hidden)

    @property
    def _blocks(self) -> Sequence[Block]:
        return cast(Sequence[Block], self.blocks)

    def _run(
        self, tokens: Tensor, context: Context, state: DecodingState | None = None, last_only: bool = False
    ) -> Tensor:
        x, context = enter(self.stem(tokens), context, self.position)
        for index, block in enumerate(self._blocks):
            x = block(x, context, None if state is None else state.layers[index])
        return cast(Tensor, self.norm(x[:, -1:] if last_only else x))
