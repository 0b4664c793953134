"""What all models of knowledge graphs share: a head and a relation in, a score for every entity as tail out.

Shapes: B queries, E entities, R relations, N candidates, D width.
"""

from dataclasses import dataclass

from torch import Tensor

from formarium.config import BaseConfig, ConfigError, check_from_0
from formarium.errors import DataError
from formarium.models.model import Model


class TripleScorer(Model):
    """Heads and relations (B,) to scores (B, E) of all entities as tails, higher for likelier triples.

    n3: weight of the nuclear 3-norm, the mean over triples of sum |h|^3 + |r|^3 + |t|^3 (Lacroix et al. 2018, arXiv
    1806.07297). Every triple is trained in both directions, so the tail's share is that of the head of the other one.
    relations: R as in the data. A model knows 2 R of them: number r + R is the reciprocal of r, which leads from tails
    to heads (Lacroix et al. 2018, arXiv 1806.07297), so that (?, r, t) is asked as (t, r + R, ?).
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        entities: int = 100
        relations: int = 10
        width: int = 64
        n3: float = 0.0

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        if min(config.entities, config.relations, config.width) < 1:
            raise ConfigError("the entities, the relations and the width of a model of triples are at least 1")
        check_from_0(config.n3, "n3")

    def check_sizes(self, entities: int, relations: int, whose: str) -> None:
        """DataError, saying ``whose`` they are, unless these are the numbers of entities and relations it knows."""
        own = self.config.entities, self.config.relations
        if own != (entities, relations):
            raise DataError(
                f"the model has {own[0]} entities and {own[1]} relations, {whose} {entities} and {relations}"
            )

    def moduli(self, vectors: Tensor) -> Tensor:
        """The magnitudes that n3 counts, of vectors (B, D)."""
        return vectors.abs()

    def regularise(self, head: Tensor, relation: Tensor, penalties: list[Tensor] | None) -> None:
        """Adds what ``n3`` asks of the vectors of heads and relations, each (B, D)."""
        if penalties is not None and self.config.n3:
            cubes = (2 * self.moduli(head) ** 3).sum(-1) + (self.moduli(relation) ** 3).sum(-1)
            penalties.append(self.config.n3 * cubes.mean())

    def forward(
        self,
        heads: Tensor,
        relations: Tensor,
        tails: Tensor | None = None,
        penalties: list[Tensor] | None = None,
    ) -> Tensor:
        """Scores (B, E), or (B, N) of the given tails (B, N).

        penalties: a list to which the model adds scalars that it asks to be added to the training loss.
        """
        raise NotImplementedError

    def check_tails(self, heads: Tensor, tails: Tensor) -> None:
        """DataError unless there are candidates (B, N) for queries (B,)."""
        if tails.dim() != 2 or len(tails) != len(heads):
            raise DataError(
                f"tails are candidates for each head, {len(heads)} rows of them, not {tuple(tails.shape)}: of triples, "
                "give tails[:, None]"
            )

    def products(
        self, heads: Tensor, relations: Tensor, penalties: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None] | None:
        """Queries (B, D), the table (E, D) and biases (E) or None, where query . row + bias is the score; else None."""
        return None
