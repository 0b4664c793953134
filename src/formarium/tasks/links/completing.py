"""Completing triples with a saved model: answers by name, best first."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from formarium.config import ConfigError
from formarium.errors import DataError
from formarium.models.triple_scorer import TripleScorer
from formarium.tasks.links.graph import with_reciprocals
from formarium.tasks.links.ranking import KnownTails, batch_of_queries
from formarium.tasks.links.task import TRIPLES, triples_beside
from formarium.tasks.links.vocabulary import Vocabulary


@dataclass(frozen=True)
class Answer:
    """One way to complete a triple.

    label, name: of the entity or relation. score: of the model, to be compared within one question only; of a relation
    the logarithm of the probability of the tail by it, plus that of the head by its reciprocal. known: whether the
    completed triple stands in the training data.
    """

    label: str
    name: str
    score: float
    known: bool


def _check(model: TripleScorer, words: Vocabulary) -> None:
    model.check_sizes(len(words.entities), len(words.relations), "the names beside it are of")


class Completer:
    """A model of triples with its vocabulary and, where they were kept, the triples that it was trained on."""

    def __init__(self, model: TripleScorer, vocabulary: Vocabulary, triples: np.ndarray | None = None) -> None:
        _check(model, vocabulary)
        entities, relations = len(vocabulary.entities), len(vocabulary.relations)
        self.model, self.vocabulary, self.triples = model.eval(), vocabulary, triples
        both = with_reciprocals(np.empty((0, 3), np.int64) if triples is None else triples.astype(np.int64), relations)
        self._known = KnownTails(torch.from_numpy(both), entities, 2 * relations)

    @classmethod
    def load(cls, folder: Path) -> "Completer":
        """That of a folder as training leaves it; CheckpointError or DataError where something is missing."""
        model = TripleScorer.from_pretrained(folder)
        words = Vocabulary.load(folder)
        _check(model, words)
        return cls(model, words, triples_beside(folder, words))

    def training_triples(self) -> np.ndarray:
        """The triples (N, 3) of training; DataError where they were not kept."""
        if self.triples is None:
            raise DataError(f"the triples of training were not kept beside the model: there is no {TRIPLES}")
        return self.triples

    @torch.no_grad()
    def complete(
        self, head: str | None, relation: str | None, tail: str | None, top: int = 10, only_new: bool = False
    ) -> list[Answer]:
        """The best ``top`` answers for the one of head, relation and tail that is None, best first.

        only_new: without those that complete a training triple. Raises ConfigError unless exactly one is None, and
        DataError, with the nearest name, for an entity or relation that is not in the graph, and for only_new where the
        triples of training were not kept.
        """
        if [head, relation, tail].count(None) != 1:
            raise ConfigError("name two of head, relation and tail; the third is what is asked for")
        if top < 1:
            raise ConfigError(f"at least one answer is asked for, not {top}")
        if only_new:
            self.training_triples()
        words = self.vocabulary
        count = len(words.relations)
        if relation is None:
            h, t = torch.tensor([words.entity(str(head))]), torch.tensor([words.entity(str(tail))])
            every = torch.arange(count)
            # Scores of one relation are no scores of another: compared is how likely each makes the tail, and the head.
            scores = self._chances(h, every, t) + self._chances(t, every + count, h)
            known = self._known.contain(h, every, t)
            return self._best(scores, known, [(label, label) for label in words.relations], top, only_new)
        asked = torch.tensor([words.relation(relation) + (count if head is None else 0)])
        start = torch.tensor([words.entity(str(tail if head is None else head))])
        scores = self.model(start, asked)[0]
        known = torch.zeros(len(scores), dtype=torch.bool)
        known[self._known.of(start, asked)[1]] = True
        names = [(label, words.names.get(label, label)) for label in words.entities]
        return self._best(scores, known, names, top, only_new)

    def _chances(self, heads: Tensor, relations: Tensor, tails: Tensor) -> Tensor:
        """The logarithm of the probability of a tail among all entities, by each of the relations (R,)."""
        parts = relations.split(batch_of_queries(len(self.vocabulary.entities)))
        scores = [self.model(heads.expand(len(some)), some).float().log_softmax(-1)[:, int(tails)] for some in parts]
        return torch.cat(scores)

    @staticmethod
    def _best(scores: Tensor, known: Tensor, names: list[tuple[str, str]], top: int, only_new: bool) -> list[Answer]:
        order = scores.nan_to_num(nan=-torch.inf, posinf=torch.inf).argsort(descending=True, stable=True)
        if only_new:
            order = order[~known[order]]
        best = order[:top].tolist()
        return [Answer(names[i][0], names[i][1], float(scores[i]), bool(known[i])) for i in best]
