"""Knowledge graphs without a network: a vector for each entity and relation, and a formula that scores triples.

Shapes: B queries, E entities, N candidates, D width.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from formarium.config import ConfigError, check_from_0
from formarium.models.triple_scorer import TripleScorer
from formarium.parts.dropout import check_share, dropout
from formarium.parts.linear import linear
from formarium.parts.stems.token_embedding import TokenEmbedding

_NUMBERS = 1 << 24  # of the differences that are held at once


class KnowledgeEmbedding(TripleScorer):
    """Scores <query(h, r), t>; a subclass says how a relation acts on a head."""

    @dataclass(frozen=True)
    class Config(TripleScorer.Config):
        width: int = 200
        dropout: float = 0.0
        init_std: float = 0.05

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config)
        check_share(config.dropout)
        table = TokenEmbedding.Config(std=config.init_std)
        self.entities = cast(TokenEmbedding, table.build(width=config.width, vocabulary=config.entities))
        self.relations = self.make_relations()

    def make_relations(self) -> TokenEmbedding:
        """The table of relations, reciprocal ones included."""
        table = TokenEmbedding.Config(std=self.config.init_std)
        return cast(TokenEmbedding, table.build(width=self.config.width, vocabulary=2 * self.config.relations))

    def query(self, heads: Tensor, relations: Tensor) -> Tensor:
        """Where a relation leads from a head: vectors (B, D) and (B, D') to (B, D)."""
        raise NotImplementedError

    def against(self, query: Tensor, tails: Tensor | None) -> Tensor:
        """Scores of all entities (B, E), or of the given ones (B, N)."""
        if tails is None:
            return linear(query, self.entities.weight)
        found: Tensor = self.entities(tails) @ query[..., None]
        return found[..., 0]

    def forward(
        self,
        heads: Tensor,
        relations: Tensor,
        tails: Tensor | None = None,
        penalties: list[Tensor] | None = None,
    ) -> Tensor:
        if tails is not None:
            self.check_tails(heads, tails)
        return self.against(self.asked(heads, relations, penalties), tails)

    def products(
        self, heads: Tensor, relations: Tensor, penalties: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None] | None:
        return self.asked(heads, relations, penalties), self.entities.weight, None

    def asked(self, heads: Tensor, relations: Tensor, penalties: list[Tensor] | None = None) -> Tensor:
        """The queries (B, D) of heads and relations by number, with dropout while training."""
        config = self.config
        head, relation = self.entities(heads), self.relations(relations)
        self.regularise(head, relation, penalties)
        query = self.query(dropout(head, config.dropout, self.training), relation)
        return dropout(query, config.dropout, self.training)


class DistMult(KnowledgeEmbedding):
    """sum_i h_i r_i t_i (Yang et al. 2015, arXiv 1412.6575)."""

    model_type: ClassVar[str] = "formarium-distmult"

    def query(self, heads: Tensor, relations: Tensor) -> Tensor:
        return heads * relations


class _Complex(KnowledgeEmbedding):
    """A vector is D / 2 complex numbers, real parts first."""

    def __init__(self, config: KnowledgeEmbedding.Config | None = None) -> None:
        super().__init__(config)
        if self.config.width % 2:
            raise ConfigError(
                f"the width of {type(self).__name__} is even, for complex numbers, not {self.config.width}"
            )

    def moduli(self, vectors: Tensor) -> Tensor:
        real, imaginary = vectors.chunk(2, dim=-1)
        return (real.square() + imaginary.square() + torch.finfo(vectors.dtype).tiny).sqrt()


class ComplEx(_Complex):
    """Re sum_i h_i r_i conj(t_i) over complex numbers (Trouillon et al. 2016, arXiv 1606.06357)."""

    model_type: ClassVar[str] = "formarium-complex"

    def query(self, heads: Tensor, relations: Tensor) -> Tensor:
        return _product(heads, *relations.chunk(2, dim=-1))


class RotatE(_Complex):
    """margin - |h r - t| with relations of modulus 1, which turn the head (Sun et al. 2019, arXiv 1902.10197).

    norm: 1 sums the moduli of the complex differences, as the authors' code; 2 is the length of the whole vector, which
    is scored against all entities by inner products. Vectors start uniform within (margin + 2) / (D / 2).
    """

    @dataclass(frozen=True)
    class Config(KnowledgeEmbedding.Config):
        margin: float = 9.0
        norm: Literal[1, 2] = 1

    config: Config
    model_type: ClassVar[str] = "formarium-rotate"

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        if config.n3:
            raise ConfigError("n3 is for models that score by products, not for RotatE")
        if config.init_std != self.Config().init_std:
            raise ConfigError("init_std is for other models: vectors of RotatE start by its margin, turns by chance")
        check_from_0(config.margin, "the margin of RotatE")
        super().__init__(config)
        half = (config.margin + 2) / max(1, config.width // 2)
        nn.init.uniform_(self.entities.weight, -half, half)

    def make_relations(self) -> TokenEmbedding:
        phases = TokenEmbedding(self.config.width // 2, 2 * self.config.relations)
        nn.init.uniform_(phases.weight, -torch.pi, torch.pi)
        phases.decays = False  # no turn is not more neutral than another
        return phases

    def query(self, heads: Tensor, relations: Tensor) -> Tensor:
        return _product(heads, relations.cos(), relations.sin())

    def products(self, heads: Tensor, relations: Tensor, penalties: list[Tensor] | None = None) -> None:
        return None  # distances are no products

    def against(self, query: Tensor, tails: Tensor | None) -> Tensor:
        table = self.entities.weight
        if tails is not None:
            return self.config.margin - self._length(query[:, None] - self.entities(tails))
        if self.config.norm == 2:
            return self.config.margin - _distances(query, table)
        # All differences at once, or kept for the gradient, would fill the memory: (B, E, D).
        step = max(1, _NUMBERS // max(1, query.numel()))
        parts = [checkpoint(self._lengths, query, part, use_reentrant=False) for part in table.split(step)]
        return self.config.margin - torch.cat(parts, dim=1)

    def _lengths(self, query: Tensor, table: Tensor) -> Tensor:
        return self._length(query[:, None] - table)

    def _length(self, differences: Tensor) -> Tensor:
        if self.config.norm == 2:
            return cast(Tensor, torch.linalg.vector_norm(differences, dim=-1))
        return torch.sum(self.moduli(differences), dim=-1)


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Lengths (B, E) of all differences between rows, by products; in double precision, as their digits cancel."""
    with torch.autocast(a.device.type, enabled=False):
        x, y = a.double(), b.double()
        squares = x.square().sum(-1, keepdim=True) + y.square().sum(-1) - 2 * x @ y.mT
        return squares.clamp(min=torch.finfo(squares.dtype).eps).sqrt().to(a.dtype)


def _product(vectors: Tensor, real: Tensor, imaginary: Tensor) -> Tensor:
    """Complex products of vectors (B, D) with numbers of these real and imaginary parts (B, D / 2)."""
    a, b = vectors.chunk(2, dim=-1)
    return torch.cat((a * real - b * imaginary, a * imaginary + b * real), dim=-1)
