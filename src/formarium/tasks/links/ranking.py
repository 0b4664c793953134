"""Filtered ranks: where the true entity stands among all entities that do not make another known triple.

Bordes et al. 2013 (TransE) for the filter; Berrendorf et al. 2020 (arXiv 2002.06914) for ranks under ties, as PyKEEN
reports them. Shapes: n queries, E entities.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from formarium.progress import progress

RankType = Literal["realistic", "optimistic", "pessimistic"]
# From heads and relations (n,) the scores of all entities (n, E).
Scorer = Callable[[Tensor, Tensor], Tensor]
_SCORES, _QUERIES = 1 << 24, 1 << 12  # of one batch, to bound memory


@dataclass(frozen=True)
class Ranks:
    """Ranks from 1 of n true entities: ties with other entities broken for them (optimistic) or against them."""

    optimistic: Tensor
    pessimistic: Tensor

    @property
    def realistic(self) -> Tensor:
        """The mean of the two, which is the expected rank if ties are broken at random."""
        return (self.optimistic + self.pessimistic).double() / 2

    def of(self, kind: RankType = "realistic") -> Tensor:
        """One of the three, (n,) in double precision."""
        found: Tensor = getattr(self, kind)
        return found.double()

    def mean_reciprocal(self, kind: RankType = "realistic") -> float:
        """Mean of 1 / rank; that of a constant scorer is about 2 / (E + 1)."""
        return float(self.of(kind).reciprocal().mean())

    def hits(self, k: int, kind: RankType = "realistic") -> float:
        """The share of ranks of at most k."""
        return float((self.of(kind) <= k).double().mean())

    def mean(self, kind: RankType = "realistic") -> float:
        """The mean rank."""
        return float(self.of(kind).mean())


def filtered_ranks(scores: Tensor, targets: Tensor, rows: Tensor, columns: Tensor) -> Ranks:
    """Ranks of the targets (n,) by scores (n, E), higher being better.

    rows, columns: pairs of a query and an entity that is known to be true, each pair once; such entities are left out
    of the ranking unless they are the target. A score that is not a number counts as the lowest.
    """
    own = scores.gather(1, targets[:, None])
    unknown, own = own[:, 0].isnan(), own.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    better = (scores > own).sum(1)
    not_worse = torch.where(unknown, scores.shape[1], (scores >= own).sum(1))
    other = columns != targets[rows]
    rows, columns = rows[other], columns[other]
    known, reference = scores[rows, columns], own[rows, 0]
    better = better.index_add(0, rows, -(known > reference).long())
    not_worse = not_worse.index_add(0, rows, -((known >= reference) | unknown[rows]).long())
    return Ranks(better + 1, not_worse)


class KnownTails:
    """For each (head, relation) the tails that are known to be true, as rows of a compressed sparse matrix.

    triples: (N, 3), entities and relations as numbers; duplicates do not matter.
    """

    def __init__(self, triples: Tensor, entities: int, relations: int) -> None:
        self.entities, self.relations = entities, relations
        self._keys = torch.unique((triples[:, 0] * relations + triples[:, 1]) * entities + triples[:, 2])
        self._queries, counts = torch.unique_consecutive(self._keys // entities, return_counts=True)
        self._ends = counts.cumsum(0)

    def to(self, device: torch.device) -> "KnownTails":
        """The same on another device."""
        moved = object.__new__(KnownTails)
        moved.__dict__ = {n: v.to(device) if isinstance(v, Tensor) else v for n, v in self.__dict__.items()}
        return moved

    def of(self, heads: Tensor, relations: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs (row, tail) of every known tail of n queries, (m,) each."""
        if not len(self._queries):
            return heads.new_zeros(0), heads.new_zeros(0)
        wanted = heads * self.relations + relations
        at = torch.searchsorted(self._queries, wanted).clamp(max=len(self._queries) - 1)
        starts = torch.where(at > 0, self._ends[at - 1], 0)
        counts = torch.where(self._queries[at] == wanted, self._ends[at] - starts, 0)
        rows = torch.repeat_interleave(torch.arange(len(heads), device=heads.device), counts)
        within = torch.arange(len(rows), device=heads.device) - (counts.cumsum(0) - counts)[rows]
        return rows, self._keys[starts[rows] + within] % self.entities

    def contain(self, heads: Tensor, relations: Tensor, tails: Tensor) -> Tensor:
        """Which of the triples are known; the three broadcast together."""
        wanted = (heads * self.relations + relations) * self.entities + tails
        if not len(self._keys):
            return torch.zeros_like(wanted, dtype=torch.bool)
        at = torch.searchsorted(self._keys, wanted).clamp(max=len(self._keys) - 1)
        return torch.eq(self._keys[at], wanted)


def batch_of_queries(entities: int) -> int:
    """How many queries are scored against so many entities at a time."""
    return min(_QUERIES, max(1, _SCORES // max(1, entities)))


@torch.no_grad()
def rank_queries(score: Scorer, queries: Tensor, known: KnownTails) -> Ranks:
    """Filtered ranks of the tails of queries (n, 3), heads first, among all entities, a batch at a time."""
    batches = queries.split(batch_of_queries(known.entities))
    found = []
    with progress("ranking", len(queries)) as advance:
        for heads, relations, tails in (batch.unbind(1) for batch in batches):
            found.append(filtered_ranks(score(heads, relations), tails, *known.of(heads, relations)))
            advance(len(heads))
    return Ranks(torch.cat([r.optimistic for r in found]), torch.cat([r.pessimistic for r in found]))
