"""Which tokens go to which branch: the shares that the routers of a model give to each entity, relation or word.

An entity's shares are means over the questions of training in which it is the head, both directions taken; only in the
first layer do they depend on the entity alone.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from formarium.config import BaseConfig
from formarium.errors import DataError
from formarium.models.link_predictor import LinkPredictor
from formarium.parts.token_mixers.attention import Attention
from formarium.parts.token_mixers.hyperbolic_attention import HyperbolicAttention
from formarium.parts.token_mixers.mixture import Mixture, recorded_shares
from formarium.parts.token_mixers.spherical_attention import SphericalAttention
from formarium.tasks.links.graph import with_reciprocals
from formarium.tasks.links.vocabulary import Vocabulary

_QUESTIONS = 4096  # at a time
_GEOMETRIES = {
    Attention.Config: "Euclidean",
    HyperbolicAttention.Config: "hyperbolic",
    SphericalAttention.Config: "spherical",
}


@dataclass(frozen=True, eq=False)
class Shares:
    """Mean shares of tokens, each row summing to 1.

    branches: n names. kinds, labels: of each token, what it is (entity, relation, token) and what it is called.
    by_layer: (layers, tokens, n). counts: over how many questions each mean goes.
    """

    branches: tuple[str, ...]
    kinds: tuple[str, ...]
    labels: tuple[str, ...]
    by_layer: np.ndarray
    counts: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Over layers: (tokens, n)."""
        found: np.ndarray = self.by_layer.mean(0)
        return found

    def of(self, kind: str) -> np.ndarray:
        """The numbers of the tokens of a kind."""
        return np.flatnonzero(np.array(self.kinds) == kind)


def branch_names(model: nn.Module) -> tuple[str, ...]:
    """What the branches of a model's mixtures are called; DataError for a model without a router."""
    mixture = next((m for m in model.modules() if isinstance(m, Mixture) and m.router is not None), None)
    if mixture is None:
        raise DataError("this model has no router that chooses among branches; there are no shares to picture")
    names = [_name(branch) for branch in mixture.config.branches]
    several = {name for name, count in Counter(names).items() if count > 1}
    return tuple(
        f"{name} {names[: index + 1].count(name)}" if name in several else name for index, name in enumerate(names)
    )


def _name(branch: BaseConfig) -> str:
    return _GEOMETRIES.get(type(branch), branch.name())


@torch.no_grad()
def graph_shares(model: LinkPredictor, triples: np.ndarray, vocabulary: Vocabulary) -> Shares:
    """The shares of every entity and relation that the triples (N, 3), asked in both directions, name.

    Reciprocal relations are called after their relation, "(back)" behind it. Raises DataError for a model without a
    router and where there are no triples.
    """
    branches = branch_names(model)
    if not len(triples):
        raise DataError("there are no triples to ask the model about")
    entities, relations = len(vocabulary.entities), len(vocabulary.relations)
    questions = torch.from_numpy(with_reciprocals(triples.astype(np.int64), relations)[:, :2])
    device = model.bias.device
    at = (model.head_token, 2 if model.cls is not None else 0)
    totals: list[Tensor] = []
    counts = torch.zeros(entities + 2 * relations, dtype=torch.float64)
    model.eval()
    for part in questions.split(_QUESTIONS):
        with recorded_shares(model) as recorded:
            model.query(part[:, 0].to(device), part[:, 1].to(device))
        rows = torch.cat((part[:, 0], part[:, 1] + entities))
        counts.index_add_(0, rows, torch.ones(len(rows), dtype=torch.float64))
        found = [torch.cat([shares[:, i] for i in at]).double().cpu() for shares in recorded]
        totals = totals or [torch.zeros(len(counts), len(branches), dtype=torch.float64) for _ in found]
        for total, layer in zip(totals, found, strict=True):
            total.index_add_(0, rows, layer)
    total = torch.stack(totals)
    asked = counts > 0
    means = (total[:, asked] / counts[asked, None]).numpy()
    back = [f"{label} (back)" for label in vocabulary.relations]
    labels = [*map(vocabulary.name, range(entities)), *vocabulary.relations, *back]
    kinds = ["entity"] * entities + ["relation"] * 2 * relations
    kept = asked.nonzero()[:, 0].tolist()
    return Shares(
        branches,
        tuple(kinds[i] for i in kept),
        tuple(labels[i] for i in kept),
        means,
        counts[asked].long().numpy(),
    )


@torch.no_grad()
def sequence_shares(model: nn.Module, tokens: Tensor, labels: Sequence[str]) -> Shares:
    """The shares of each token of one sequence (1, T) that a model of sequences reads, under the labels given."""
    branches = branch_names(model)
    model.eval()
    with recorded_shares(model) as recorded:
        model(tokens)
    by_layer = torch.stack(recorded)[:, 0].double().cpu().numpy()
    return Shares(branches, ("token",) * len(labels), tuple(labels), by_layer, np.ones(len(labels), dtype=np.int64))
