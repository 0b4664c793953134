"""Reliable paired comparisons: whether a model that is trained to tell two graphs apart does, by a test that can fail.

The protocol of BREC (Wang and Zhang, ICML 2024, arXiv 2304.07702): for each pair a fresh model is trained to send
relabelled copies of the two graphs in different directions; then a statistic of the paired differences, Hotelling's T^2
over the number of copies, is held against a threshold, and against that of copies of one of the graphs, which must stay
below it.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig, digest
from formarium.errors import DataError
from formarium.files import write_text
from formarium.models.model import Model
from formarium.progress import progress
from formarium.tasks.graphs.batch import GraphBatch, Walks, collate
from formarium.tasks.graphs.brec import Pair
from formarium.tasks.graphs.graph import Graph


@dataclass(frozen=True)
class Protocol(BaseConfig):
    """The settings of a comparison; the defaults are those of PPGT (arXiv 2504.12588).

    copies: q relabellings of each graph. batch: graphs of a training batch, half of them copies of either graph.
    learning_rate falls by a cosine to ``final`` after ``warmup`` epochs. stop_at: training ends where an epoch's mean
    loss is not above it. ridge: see ``paired_statistic``. threshold: of the statistic, as published for q = 32 and 16
    outputs: it is the 95 % quantile of q times the statistic, so that the test is far stricter than that.
    """

    copies: int = 32
    batch: int = 16
    epochs: int = 200
    learning_rate: float = 1e-3
    final: float = 7e-5
    warmup: int = 10
    weight_decay: float = 1e-5
    clip: float = 1.0
    stop_at: float = 0.0
    ridge: float | None = None
    threshold: float = 72.34

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, from 0."""
        if epoch < self.warmup:
            return self.learning_rate * (epoch + 1) / self.warmup
        done = (epoch - self.warmup) / max(1, self.epochs - self.warmup)
        return self.final + (self.learning_rate - self.final) * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Comparison:
    """How one pair came out: the statistics of the two graphs and of copies of one; the loss and epochs of training.

    A diverged training tells nothing apart, and is not reliable: its statistics are no numbers.
    """

    number: int
    family: str
    seed: int
    statistic: float
    reliability: float
    told: bool
    reliable: bool
    loss: float
    epochs: int


def paired_statistic(first: Tensor, second: Tensor, ridge: float | None = None) -> float:
    """d^T (S + ridge I)^-1 d of the differences of paired rows (q, D): their mean d and covariance S, in float64.

    That is Hotelling's T^2 over q; no number where a row holds none.

    Copies of a graph differ by rounding alone, and where they do not differ at all S says nothing of how far two graphs
    are apart. By default the ridge is therefore the variance of one rounding at the size of the outputs. At 0 it is the
    pseudo-inverse, as published: unchanged by any invertible linear map of the outputs, and 0 for S = 0.
    """
    if ridge is None:
        size = torch.cat((first, second)).double().square().mean()
        ridge = float(size) * torch.finfo(first.dtype).eps ** 2
    difference = (first - second).double()
    if not difference.isfinite().all():
        return math.nan
    mean = difference.mean(0)
    spread = torch.cov(difference.t()).reshape(len(mean), len(mean))
    spread = spread + ridge * torch.eye(len(mean), dtype=spread.dtype, device=spread.device)
    return float(mean @ torch.linalg.pinv(spread, hermitian=True) @ mean)


def compare(make: Callable[[], nn.Module], pair: Pair, protocol: Protocol = Protocol(), seed: int = 100) -> Comparison:
    """Trains a model of ``make`` on one pair and tests it; the same numbers for the same seed on the same machine.

    The model maps graphs to (B, D), called with the arrays of a GraphBatch. Raises DataError for a batch that does not
    hold whole pairs. Where there is a GPU, it does the work.
    """
    if protocol.batch < 2 or protocol.batch % 2 or protocol.copies < 2:
        raise DataError("a batch of paired comparisons holds an even number of graphs, and there are at least 2 copies")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = np.random.default_rng((seed, pair.number))
        model = make().to("cuda" if torch.cuda.is_available() else "cpu")
        walks = _walks_of(model)
        one, other, again, twice = (_copies(g, protocol, generator) for g in (pair.first, pair.second) * 2)
        # Reliability is checked on one of the two graphs, drawn by chance.
        checked = [again, _copies(pair.first, protocol, generator)]
        if generator.random() < 0.5:
            checked = [twice, _copies(pair.second, protocol, generator)]
        training = _batches(one, other, protocol, walks)
        epochs, loss = _train(model, training, protocol)
        first, second = _embeddings(model, training)
        statistic = paired_statistic(first, second, protocol.ridge)
        first, second = _embeddings(model, _batches(checked[0], checked[1], protocol, walks))
        reliability = paired_statistic(first, second, protocol.ridge)
    same = math.isclose(statistic, reliability, rel_tol=1e-5, abs_tol=1e-6)
    told, reliable = statistic > protocol.threshold and not same, reliability < protocol.threshold
    return Comparison(pair.number, pair.family, seed, statistic, reliability, told, reliable, loss, epochs)


def compare_all(
    make: Callable[[], nn.Module],
    chosen: Iterable[Pair],
    protocol: Protocol = Protocol(),
    seed: int = 100,
    kept: Path | None = None,
) -> list[Comparison]:
    """Compares pair after pair; with a file ``kept``, what is done is kept there, and the same call goes on from it.

    Raises DataError for a file that another model, protocol or seed left.
    """
    chosen = tuple(chosen)
    key, done = "", {}
    if kept is not None:
        key = digest({"protocol": protocol.to_dict(), "seed": seed, "model": _described(make)})
        done = _read(kept, key)
    asked = [_graphs_of(pair) for pair in chosen]
    with progress("paired comparisons", len(chosen), start=sum(graphs in done for graphs in asked)) as advance:
        for pair, graphs in zip(chosen, asked, strict=True):
            if graphs in done:
                continue
            done[graphs] = compare(make, pair, protocol, seed)
            if kept is not None:
                rows = [{"graphs": of, **asdict(comparison)} for of, comparison in done.items()]
                write_text(kept, "\n".join(json.dumps(row) for row in ({"run": key}, *rows)) + "\n")
            told = sum(comparison.told for comparison in done.values())
            advance(1, note=f"{told} of {len(done)} told apart")
    return [done[graphs] for graphs in asked]


def _described(make: Callable[[], nn.Module]) -> str:
    with torch.random.fork_rng(devices=[]):
        model = make()
    config = getattr(model, "config", None)
    return repr((type(model).__name__, config.to_dict()) if isinstance(config, BaseConfig) else model)


def _graphs_of(pair: Pair) -> str:
    """A digest of all that training and test see of a pair."""
    return digest([pair.number, pair.family, pair.first.fingerprint(), pair.second.fingerprint()])


def _read(kept: Path, key: str) -> dict[str, Comparison]:
    if not kept.exists():
        return {}
    try:
        head, *rows = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
        if head["run"] != key:
            raise DataError(f"{kept} holds comparisons of another model, protocol or seed; name another file")
        return {row.pop("graphs"): Comparison(**row) for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{kept} is not a file of paired comparisons: {error}") from None


def _walks_of(model: nn.Module) -> Walks | None:
    return Walks.read_by(model.config) if isinstance(model, Model) else None


def _copies(graph: Graph, protocol: Protocol, generator: np.random.Generator) -> list[Graph]:
    return [graph.relabelled(generator.permutation(graph.nodes)) for _ in range(protocol.copies)]


def _batches(
    first: Sequence[Graph], second: Sequence[Graph], protocol: Protocol, walks: Walks | None
) -> list[GraphBatch]:
    """Copies of the two graphs by turns: a, b, a, b, ..."""
    turns = [graph for both in zip(first, second, strict=True) for graph in both]
    return [collate(turns[i : i + protocol.batch], walks) for i in range(0, len(turns), protocol.batch)]


def _train(model: nn.Module, batches: Sequence[GraphBatch], protocol: Protocol) -> tuple[int, float]:
    """How many epochs it took, and the mean loss of the last."""
    device = next(model.parameters()).device
    batches = [batch.to(device) for batch in batches]
    optimiser = torch.optim.AdamW(model.parameters(), lr=protocol.learning_rate, weight_decay=protocol.weight_decay)
    model.train()
    loss = math.inf
    for epoch in range(protocol.epochs):
        for group in optimiser.param_groups:
            group["lr"] = protocol.rate(epoch)
        losses = []
        for batch in batches:
            out: Tensor = model(**batch.inputs())
            value = F.cosine_similarity(out[0::2], out[1::2]).clamp(min=0).mean()
            optimiser.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), protocol.clip)
            optimiser.step()
            losses.append(value.item())
        loss = sum(losses) / len(losses)
        if not loss > protocol.stop_at:  # or no number
            return epoch + 1, loss
    return protocol.epochs, loss


@torch.no_grad()
def _embeddings(model: nn.Module, batches: Sequence[GraphBatch]) -> tuple[Tensor, Tensor]:
    model.eval()
    device = next(model.parameters()).device
    out = torch.cat([model(**batch.to(device).inputs()) for batch in batches]).cpu()
    return out[0::2], out[1::2]
