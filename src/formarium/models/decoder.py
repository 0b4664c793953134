"""The causal language model: a token table, a stack of blocks, a norm, and scores for the next token.

Every paper about decoders is a setting of this one model: its parts are named in the configuration.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.block import Block, Placement
from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.models.decoding import DecodingState
from formarium.models.model import Model, built, initialise
from formarium.parts.channel_mixers.feed_forward import SwiGLU
from formarium.parts.norms.rms_norm import RMSNorm
from formarium.parts.part import ChannelMixer, Norm, Part, Position, TokenMixer
from formarium.parts.positions.rotary import RoPE
from formarium.parts.stems.token_embedding import TokenEmbedding
from formarium.parts.token_mixers.attention import Attention


class Decoder(Model):
    """Tokens (B, T) to scores of the next token (B, T, vocabulary).

    The defaults are the strong baseline of today: pre-norm RMSNorm, RoPE, SwiGLU, no biases, tied tables.
    softcap: scores become c tanh(score / c). Raises ConfigError when the parts do not fit together.
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
        init_std: float = 0.02

    model_type: ClassVar[str] = "formarium-decoder"

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config: Decoder.Config = config or self.Config()
        config = self.config
        if min(config.vocabulary, config.width, config.depth, config.heads, config.max_length) < 1:
            raise ConfigError("vocabulary, width, depth, heads and max_length of a decoder are at least 1")
        if config.head_width is None and config.width % config.heads:
            raise ConfigError(f"a width of {config.width} cannot be split among {config.heads} heads")
        around = {
            "width": config.width,
            "depth": config.depth,
            "heads": config.heads,
            "kv_heads": config.kv_heads or config.heads,
            "head_width": config.head_width or config.width // config.heads,
            "max_length": config.max_length,
            "causal": True,
        }
        self.stem = config.stem.build(vocabulary=config.vocabulary, **around)
        position = built(config.position, Position, "position", **around)
        self.position = position if position.shared else None
        blocks = []
        for layer in range(config.depth):
            here = {**around, "layer": layer}
            if not position.shared and layer:
                position = built(config.position, Position, "position", **here)
            blocks.append(
                Block(
                    built(config.token_mixer, TokenMixer, "token_mixer", position=position, **here),
                    built(config.channel_mixer, ChannelMixer, "channel_mixer", **here),
                    (built(config.norm, Norm, "norm", **here), built(config.norm, Norm, "norm", **here)),
                    between=None if config.between is None else built(config.between, Part, "between", **here),
                    placement=config.placement,
                    dropout=config.dropout,
                )
            )
        self.blocks = nn.ModuleList(blocks)
        self.norm = built(config.norm, Norm, "norm", **around)
        self.head = None if config.tied else nn.Linear(config.width, config.vocabulary, bias=False)
        initialise(self, config.init_std, config.depth)

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
        scores = F.linear(hidden, self.stem.weight if self.head is None else self.head.weight)
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
        x = self.stem(tokens)
        if self.position is not None:
            x = self.position.add(x, context)
        context = context.with_embeddings(x)
        if self.position is not None:
            context.shared = self.position.prepare(context)
        for index, block in enumerate(self._blocks):
            x = block(x, context, None if state is None else state.layers[index])
        return cast(Tensor, self.norm(x[:, -1:] if last_only else x))


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
