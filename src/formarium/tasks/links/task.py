"""Link prediction: which entity completes a triple of a knowledge graph, for any model that scores triples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.config import BaseConfig, ConfigError, check_from_0, digest
from formarium.errors import DataError
from formarium.files import replacing
from formarium.models.knowledge_embeddings import ComplEx
from formarium.models.model import Model
from formarium.models.triple_scorer import TripleScorer
from formarium.parts.linear import plain_training
from formarium.progress import notice
from formarium.tasks.data import digest_of_arrays
from formarium.tasks.links.cross_entropy import cross_entropy_of_products
from formarium.tasks.links.datasets import load
from formarium.tasks.links.graph import KnowledgeGraph, Unseen, renumbered, with_reciprocals
from formarium.tasks.links.ranking import KnownTails, Ranks, RankType, rank_queries
from formarium.tasks.links.synthetic import Geometries
from formarium.tasks.links.vocabulary import ENTITIES, Vocabulary
from formarium.tasks.task import Metric, Split, Task

Batch = dict[str, Tensor]
TRIPLES = "triples.npy"


class Links(Task):
    """Completes (h, r, ?) and, asked as (t, r^-1, ?), also (?, r, t), out of all entities.

    data, names, unseen, held_out, entities: see ``formarium.tasks.links.datasets.load``. objective: ``cross_entropy``
    of each triple's tail among all entities; ``binary`` cross-entropy of every entity for each (h, r), all its training
    tails being right; or ``negatives``, the sigmoid loss against that many random tails for each triple, training
    triples among them left out, weighed by softmax(adversarial * score) (Sun et al. 2019, arXiv 1902.10197).
    smoothing: of the labels, for the first two. ranks: how ties count. evaluation_triples: at most so many of a split,
    evenly spread.

    Metrics are filtered (all other known triples of the three splits left out) and over both directions: ``mrr``, the
    mean reciprocal rank; ``hits@10``, the share of ranks up to 10 (or any number); ``mean_rank``.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        data: str | Geometries = Geometries()
        names: str | None = None
        unseen: Unseen = "keep"
        held_out: float = 0.1
        entities: int | None = None
        objective: Literal["cross_entropy", "binary", "negatives"] = "cross_entropy"
        smoothing: float = 0.1
        negatives: int = 64
        adversarial: float = 1.0
        ranks: RankType = "realistic"
        evaluation_triples: int | None = None

    metrics: ClassVar[dict[str, Any]] = {"mrr": "higher", "hits": "higher", "mean_rank": "lower"}
    usual: ClassVar[tuple[str, ...]] = ("mrr", "hits@1", "hits@3", "hits@10", "mean_rank")
    headline: ClassVar[str] = "mrr"
    unit: ClassVar[str] = "triples"
    used_by: ClassVar[str] = "predict-links"
    # An entity is an answer once in hundreds of steps: a shorter memory of squares forgets it and lets noise move it.
    training: ClassVar[Mapping[str, Any]] = {
        "batch_size": 256,
        "learning_rate": 0.01,
        "weight_decay": 0.01,
        "beta2": 0.999,
    }

    def __init__(self, config: Config | None = None) -> None:
        self.config = config = config or self.Config()
        if not 0 < config.held_out < 0.5:
            raise ConfigError(
                f"the share held out for each of validation and test lies in (0, 0.5), not at {config.held_out:g}"
            )
        if not 0 <= config.smoothing < 1:
            raise ConfigError(f"label smoothing lies in [0, 1), not at {config.smoothing:g}")
        if config.entities is not None and config.entities < 2:
            raise ConfigError(f"a graph has at least 2 entities, not {config.entities}")
        check_from_0(config.adversarial, "adversarial")
        if config.negatives < 1 or (config.evaluation_triples is not None and config.evaluation_triples < 1):
            raise ConfigError("negatives and evaluation_triples are at least 1")
        self._words: Vocabulary | None = None
        self._learned = np.empty((0, 3), dtype=np.int64)  # triples that a trained model was trained on
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def prepare(self) -> None:
        if self._words is None and not len(self.graph.splits["validation"]):
            # Held out is only what leaves every entity and relation in training.
            raise DataError(
                f"{self.config.data!r} has no triples for validation: too few, or each is the only one of an entity or "
                "relation, or none lie within the part that 'entities' takes"
            )

    @cached_property
    def graph(self) -> KnowledgeGraph:
        """The knowledge graph, read at first use; by the numbers of a trained model, of what that knows alone."""
        words = self._words
        return self._read if words is None else renumbered(self._read, words.entities, words.relations, "drop")

    @cached_property
    def _read(self) -> KnowledgeGraph:
        """The knowledge graph by its own numbers."""
        config = self.config
        unseen = config.unseen if self._words is None else None
        return load(config.data, config.names, unseen, config.held_out, config.entities)

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.of(self.graph)

    def queries(self, split: Split) -> Tensor:
        """A split's triples in both directions (2 N, 3), forward first, head first."""
        return torch.from_numpy(with_reciprocals(self.graph.splits[split], len(self.graph.relations)))

    @cached_property
    def known(self) -> KnownTails:
        """Every triple of the three splits, and those that a trained model learned from, in both directions."""
        learned = with_reciprocals(self._learned, len(self.graph.relations))
        return self._index(*(self.queries(split) for split in self.graph.splits), torch.from_numpy(learned))

    @cached_property
    def _trained(self) -> KnownTails:
        return self._index(self._training)

    @cached_property
    def _training(self) -> Tensor:
        return self.queries("train")

    def _index(self, *triples: Tensor) -> KnownTails:
        return KnownTails(torch.cat(triples), len(self.graph.entities), 2 * len(self.graph.relations))

    @cached_property
    def _examples(self) -> Tensor:
        """What a pass goes through once: all training triples, or with ``binary`` the pairs (h, r) in them."""
        if self.config.objective != "binary":
            return self._training
        pairs: Tensor = torch.unique(self._training[:, :2], dim=0)
        return pairs

    def baseline(self) -> ComplEx.Config:
        return cast(ComplEx.Config, self.adapt(ComplEx.Config(n3=1e-3)))

    def adapt(self, model: BaseConfig) -> BaseConfig:
        if not isinstance(model, TripleScorer.Config):
            raise ConfigError(
                f"link prediction takes a model of triples, as LinkPredictor, which a {model.name()} is not"
            )
        return model.replace(entities=len(self.graph.entities), relations=len(self.graph.relations))

    def batches_per_epoch(self, batch_size: int) -> int:
        return max(1, len(self._examples) // batch_size)

    def batches(self, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        count = len(self._examples)
        number = start
        while True:
            first = (number * world + rank) * batch_size
            passes, within = np.divmod(np.arange(first, first + batch_size), count)
            orders = {int(p): self._order(seed, int(p)) for p in np.unique(passes)}
            rows = np.array([orders[p][w] for p, w in zip(passes.tolist(), within.tolist(), strict=True)])
            yield self._batch(self._examples[torch.from_numpy(rows)], [seed, number, rank])
            number += 1

    def _shuffled(self, seed: int, number: int) -> np.ndarray:
        return np.random.default_rng([seed, number]).permutation(len(self._examples))

    def _batch(self, examples: Tensor, seed: Sequence[int]) -> Batch:
        heads, relations = examples[:, 0], examples[:, 1]
        batch = {"heads": heads, "relations": relations}
        if self.config.objective == "binary":
            batch["rows"], batch["columns"] = self._trained.of(heads, relations)
            return batch
        batch["tails"] = examples[:, 2]
        if self.config.objective == "negatives":
            shape = (len(examples), self.config.negatives)
            drawn = np.random.default_rng([1, *seed]).integers(len(self.graph.entities), size=shape)
            batch["negatives"] = torch.from_numpy(drawn)
            batch["true"] = self._trained.contain(heads[:, None], relations[:, None], batch["negatives"])
        return batch

    def units(self, batch: Batch) -> int:
        return len(batch["heads"])

    def loss(self, model: Model, batch: Batch) -> Tensor:
        penalties: list[Tensor] = []
        fast = self._by_products(model, batch, penalties)
        if fast is not None:
            loss = fast
        elif self.config.objective == "negatives":
            tails = torch.cat((batch["tails"][:, None], batch["negatives"]), dim=1)
            loss = self._against_negatives(model(batch["heads"], batch["relations"], tails, penalties), batch["true"])
        else:
            loss = self._against_all(model(batch["heads"], batch["relations"], penalties=penalties).float(), batch)
        return loss + sum(penalties) if penalties else loss

    def _by_products(self, model: Model, batch: Batch, penalties: list[Tensor]) -> Tensor | None:
        """The cross-entropy without all scores at once, where the model allows it and it is the faster way."""
        if self.config.objective != "cross_entropy" or not isinstance(model, TripleScorer):
            return None
        # Sharded weights are gathered by the model's own call only.
        if hasattr(model, "unshard") or not plain_training(*model.parameters()):
            return None
        found = model.products(batch["heads"], batch["relations"], penalties)
        return None if found is None else cross_entropy_of_products(*found, batch["tails"], self.config.smoothing)

    def _against_all(self, scores: Tensor, batch: Batch) -> Tensor:
        smoothing = self.config.smoothing
        if self.config.objective == "cross_entropy":
            return F.cross_entropy(scores, batch["tails"], label_smoothing=smoothing)
        targets = torch.full_like(scores, smoothing / scores.shape[1])
        targets[batch["rows"], batch["columns"]] += 1 - smoothing
        return F.binary_cross_entropy_with_logits(scores, targets)

    def _against_negatives(self, scores: Tensor, true: Tensor) -> Tensor:
        right, wrong = scores[:, 0].float(), scores[:, 1:].float()
        # A row whose negatives all happen to be true has no weights, and no loss from them.
        weights = (self.config.adversarial * wrong.detach()).masked_fill(true, -torch.inf).softmax(-1).nan_to_num(0.0)
        return (-F.logsigmoid(right) - (weights * F.logsigmoid(-wrong)).sum(-1)).mean() / 2

    def evaluate(self, model: Model, split: Split = "validation", metrics: Sequence[str] = ()) -> dict[str, Metric]:
        names = list(metrics) or [self.headline]
        cutoffs = {name: self._cutoff(name) for name in names}
        ranks, kind = self.rank(model, split), self.config.ranks
        measures = {"mrr": ranks.mean_reciprocal, "mean_rank": ranks.mean}
        return {n: ranks.hits(k, kind) if k is not None else measures[n](kind) for n, k in cutoffs.items()}

    def _cutoff(self, name: str) -> int | None:
        """The k of hits@k, 10 where none is written; None for other metrics."""
        kind, at, k = name.partition("@")
        if kind not in self.metrics or (at and kind != "hits"):
            raise ConfigError(
                f"link prediction measures no {name!r}; it measures mrr, mean_rank, and hits@1, hits@10 ..."
            )
        if kind != "hits":
            return None
        if at and not (k.isdecimal() and int(k) > 0):
            raise ConfigError(f"behind 'hits@' stands a rank from 1 on, not {k!r}")
        return int(k) if at else 10

    def rank(self, model: Model, split: Split) -> Ranks:
        """Filtered ranks of a split's triples, first of all tails, then of all heads, in the order of the triples."""
        triples = self.graph.splits[split]
        sizes = len(self.graph.entities), len(self.graph.relations)
        cast(TripleScorer, model).check_sizes(*sizes, f"and {self.config.data!r} has")
        self._tell_of_unknown(split)
        if not len(triples):
            raise DataError(f"{self.config.data!r} has no {split} triples")
        limit = self.config.evaluation_triples
        if limit is not None and limit < len(triples):
            triples = triples[np.linspace(0, len(triples) - 1, limit).round().astype(np.int64)]
        self._tell_of_learned(triples, split)
        device = next(model.parameters()).device
        queries = torch.from_numpy(with_reciprocals(triples, len(self.graph.relations))).to(device)
        was_training = model.training
        model.eval()
        ranks = rank_queries(lambda heads, relations: model(heads, relations).float(), queries, self.known.to(device))
        model.train(was_training)
        return ranks

    def _tell_of_unknown(self, split: Split) -> None:
        """A notice of triples that name what a trained model does not know, or DataError, by ``unseen``."""
        if self._words is None:
            return
        every, known = len(self._read.splits[split]), len(self.graph.splits[split])
        if known == every:
            return
        if self.config.unseen != "drop":
            own = replace(self._read, splits={split: self._read.splits[split]})
            renumbered(own, self._words.entities, self._words.relations)  # refuses them
        if not known:
            raise DataError(f"the model knows what none of the {every} {split} triples of {self.config.data!r} name")
        notice(f"{every - known} of {every} {split} triples name what the model does not know: they are left out")

    def _tell_of_learned(self, triples: np.ndarray, split: Split) -> None:
        """A notice of evaluation triples that a trained model learned from, where these data do not tell."""
        if split == "train" or np.array_equal(self._learned, self.graph.splits["train"]):
            return
        learned = set(map(tuple, self._learned.tolist()))
        if known := sum(tuple(triple) in learned for triple in triples.tolist()):
            notice(f"{known} of {len(triples)} {split} triples of {self.config.data!r} stood in the model's training")

    def trained(self, model: Model, folder: Path) -> None:
        if isinstance(model, TripleScorer) and (folder / ENTITIES).is_file():
            self._words = Vocabulary.load(folder)
            if (triples := triples_beside(folder, self._words)) is not None:
                self._learned = triples.astype(np.int64)

    def identity(self) -> str:
        graph = self.graph
        return digest([graph.entities, graph.relations, digest_of_arrays(*graph.splits.values())])

    def save(self, folder: Path) -> None:
        self.vocabulary.save(folder)
        with replacing(folder / TRIPLES) as temporary, temporary.open("wb") as file:
            np.save(file, self.graph.splits["train"].astype(np.int32))


def triples_beside(folder: Path, words: Vocabulary) -> np.ndarray | None:
    """The training triples (N, 3) that ``save`` left beside a model; None without, DataError where they are damaged."""
    file = folder / TRIPLES
    try:
        triples: np.ndarray | None = np.load(file) if file.is_file() else None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file} is damaged: {error}") from None
    if triples is None:
        return None
    if triples.dtype.kind not in "iu" or triples.ndim != 2 or triples.shape[1] != 3:
        raise DataError(f"{file} is damaged: it holds no triples")
    counts = len(words.entities), len(words.relations), len(words.entities)
    if len(triples) and ((triples < 0) | (triples >= counts)).any():
        raise DataError(f"{file} is damaged, or of another model: it names what {ENTITIES} beside it does not")
    return triples
