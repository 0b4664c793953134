"""Link prediction by a Transformer: head and relation as a sequence of two or three tokens, all entities as answers.

The scoring of CAT (Lin, Ojha and Bai 2025, arXiv 2510.01634) as reconstructed from the usual form of it (HittER, Chen
et al. 2021, arXiv 2008.12813): the paper names the data, not the head.
"""

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from formarium.block import Placement
from formarium.config import BaseConfig
from formarium.context import Context
from formarium.models.model import built, initialise, start_spread
from formarium.models.stack import build_stack, enter, surroundings
from formarium.models.triple_scorer import TripleScorer
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.dropout import dropout
from formarium.parts.linear import linear
from formarium.parts.norms.layer_norm import LayerNorm
from formarium.parts.part import Norm
from formarium.parts.positions.learned import Learned
from formarium.parts.stems.token_embedding import TokenEmbedding
from formarium.parts.token_mixers.mixture import Mixture


class LinkPredictor(TripleScorer):
    """score(t) = <z, e_t> + b_t, with z what the first of the tokens [relation, head] becomes.

    cls: one more trained token stands before them, and z is what that one becomes: [cls, head, relation]. The position
    tells the roles of tokens apart. dropout: of the embedded tokens, of what each block adds and of z. init_std: see
    ``initialise``. The defaults are those of CAT at a small width; single geometries and other mixtures are settings of
    ``token_mixer``.
    """

    @dataclass(frozen=True)
    class Config(TripleScorer.Config):
        width: int = 64
        depth: int = 2
        heads: int = 4
        token_mixer: BaseConfig = Mixture.Config()
        channel_mixer: BaseConfig = FeedForward.Config(bias=True)
        norm: BaseConfig = LayerNorm.Config()
        position: BaseConfig = Learned.Config()
        placement: Placement = "pre"
        cls: bool = False
        dropout: float = 0.0
        init_std: float | None = None

    config: Config
    model_type: ClassVar[str] = "formarium-link-predictor"
    head_token: ClassVar[int] = 1  # which of the tokens is the head entity

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config)
        around = surroundings(config.width, config.depth, config.heads, None, None, 2 + config.cls, causal=False)
        table = TokenEmbedding.Config()
        self.entities = cast(TokenEmbedding, table.build(vocabulary=config.entities, **around))
        self.relations = cast(TokenEmbedding, table.build(vocabulary=2 * config.relations, **around))
        spread = start_spread(config.init_std, config.width)
        self.cls = nn.Parameter(spread * torch.randn(config.width)) if config.cls else None
        self.position, self.blocks = build_stack(
            around,
            config.depth,
            position=config.position,
            token_mixer=config.token_mixer,
            channel_mixer=config.channel_mixer,
            norm=config.norm,
            placement=config.placement,
            dropout=config.dropout,
        )
        self.norm = built(config.norm, Norm, "norm", **around) if config.placement == "pre" else None
        self.bias = nn.Parameter(torch.zeros(config.entities))
        initialise(self, spread, config.depth, config.width)

    def forward(
        self,
        heads: Tensor,
        relations: Tensor,
        tails: Tensor | None = None,
        penalties: list[Tensor] | None = None,
    ) -> Tensor:
        query = self.query(heads, relations, penalties)
        if tails is None:
            return linear(query, self.entities.weight, self.bias)
        self.check_tails(heads, tails)
        scores: Tensor = self.entities(tails) @ query[..., None]
        return scores[..., 0] + self.bias[tails]

    def products(
        self, heads: Tensor, relations: Tensor, penalties: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        return self.query(heads, relations, penalties), self.entities.weight, self.bias

    def query(self, heads: Tensor, relations: Tensor, penalties: list[Tensor] | None = None) -> Tensor:
        """z (B, D), with which entities are compared."""
        head, relation = self.entities(heads), self.relations(relations)
        self.regularise(head, relation, penalties)
        tokens = (relation, head) if self.cls is None else (self.cls.expand_as(head), head, relation)
        x = dropout(torch.stack(tokens, dim=1), self.config.dropout, self.training)
        context = Context(positions=torch.arange(x.shape[1], device=x.device)[None], penalties=penalties)
        x, context = enter(x, context, self.position)
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            x = block(x, context, keep=1 if index == last else None)
        z: Tensor = x[:, 0] if self.norm is None else self.norm(x[:, 0])
        return dropout(z, self.config.dropout, self.training)
