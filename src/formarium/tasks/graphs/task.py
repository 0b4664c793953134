"""Answers about graphs, about their nodes, and about pairs of nodes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.config import BaseConfig, ConfigError, digest
from formarium.errors import DataError
from formarium.models.graph_transformer import GraphTransformer
from formarium.models.message_passing import MessagePassing
from formarium.models.model import Model
from formarium.tasks.graphs.batch import GraphBatch, Walks, collate
from formarium.tasks.graphs.files import Columns
from formarium.tasks.graphs.graph import Graph, Level, widths
from formarium.tasks.graphs.predicting import ASKED, Asked, batches_by_size, fitting, predict
from formarium.tasks.graphs.sources import SPLITS, load, meaning_of, refuse_words
from formarium.tasks.task import Metric, Split, Task

_OF_NUMBERS: Mapping[str, Literal["lower", "higher"]] = {
    "loss": "lower",
    "mae": "lower",
    "rmse": "lower",
    "r2": "higher",
}
_OF_CLASSES: Mapping[str, Literal["lower", "higher"]] = {"loss": "lower", "accuracy": "higher", "macro_f1": "higher"}
_TARGETS = {"graph": "targets", "node": "node_targets", "pair": "link_targets"}  # of a batch, by what is asked about


class Graphs(Task):
    """Regression on, or classification of, graphs, nodes or pairs of nodes.

    data, target, held_out: see ``formarium.tasks.graphs.sources.load``. Whole-number targets are classes (-1: unknown),
    others are regressed on (NaN: unknown), with the ``objective`` ``l1`` (where None) or ``mse`` in units of the
    standard deviation in training. Of one graph alone, nodes or pairs are held out instead. pool: training batches are
    cut from so many batches at a time sorted by size, so that little is spent on filling graphs up; 1 for batches by
    chance alone.

    Metrics: ``loss``; of regression ``mae``, ``rmse`` and ``r2`` in the target's own units; of classification
    ``accuracy`` and ``macro_f1``. Of several targets ``r2`` is the mean of each one's.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        data: str = "atlas"
        target: str | None = None
        objective: Literal["l1", "mse"] | None = None
        held_out: float = 0.1
        pool: int = 16

    unit: ClassVar[str] = "graphs"
    training: ClassVar[Mapping[str, Any]] = {"batch_size": 32, "learning_rate": 0.005, "weight_decay": 1e-5}

    def __init__(self, config: Config | None = None) -> None:
        self.config = config = config or self.Config()
        if not 0 < config.held_out < 0.5:
            raise ConfigError(
                f"the share held out for each of validation and test lies in (0, 0.5), not at {config.held_out:g}"
            )
        if config.pool < 1:
            raise ConfigError("a pool is at least one batch")
        self._asked: Asked | None = None
        self._reader: BaseConfig | None = None
        self._walks: Walks | None = None
        self._order = lru_cache(maxsize=2)(self._permuted)

    @property
    def metrics(self) -> Mapping[str, Literal["lower", "higher"]]:  # type: ignore[override]
        """What is measured of these targets, and the better direction of each."""
        return _OF_CLASSES if self.classes else _OF_NUMBERS

    def prepare(self) -> None:
        if self._asked is not None:
            self._as_asked(self._asked)
        if self.classes and self.config.objective is not None:
            raise ConfigError(f"classes are learned by cross-entropy, not by objective={self.config.objective}")
        _ = self._scale

    @cached_property
    def graphs(self) -> dict[str, list[Graph]]:
        """The graphs of each split, read at first use."""
        source, target, held_out = self.config.data, self.config.target, self.config.held_out
        if self._asked is None:
            return load(source, target, held_out)
        refuse_words(source, self._asked.columns)
        found = load(source, target, held_out, self._asked.columns)
        alike = {id(some): fitting(some, self._reader, source) for some in found.values()}
        return {split: alike[id(some)] for split, some in found.items()}

    @cached_property
    def _meaning(self) -> dict[str, Columns] | None:
        """What the columns of tables mean, where the data are such."""
        return meaning_of(self.config.data)

    @cached_property
    def level(self) -> Level:
        """What is asked about."""
        first = self.graphs["train"][0]
        if first.link_targets is not None:
            return "pair"
        return "graph" if first.node_targets is None else "node"

    def _within(self, graph: Graph) -> np.ndarray:
        """Targets of the nodes or pairs of a graph."""
        return cast(np.ndarray, getattr(graph, _TARGETS[self.level]))

    @cached_property
    def _split_within(self) -> np.ndarray | None:
        """Of one graph alone, the number of each node's, or pair's, split."""
        graphs = self.graphs["train"]
        if self.level == "graph" or len(graphs) > 1 or self.graphs["test"][0] is not graphs[0]:
            return None
        if self.level == "node" and graphs[0].node_splits is not None:
            return graphs[0].node_splits
        rows = self._within(graphs[0])
        known = rows >= 0 if np.issubdtype(rows.dtype, np.integer) else ~np.isnan(rows)
        places = np.flatnonzero(known.reshape(len(rows), -1).any(-1))
        size = max(1, round(self.config.held_out * len(places)))
        if len(places) < 2 * size + 1:
            raise DataError(f"of {self.config.data!r} {len(places)} {self.level}s are known, too few to hold some out")
        held = np.random.default_rng(0).permutation(places)[: 2 * size]
        splits = np.zeros(len(rows), dtype=np.int64)
        splits[held[:size]], splits[held[size:]] = 1, 2
        return splits

    def _targets(self, split: Split) -> np.ndarray:
        """All targets of a split, (rows,) or (rows, O)."""
        graphs = self.graphs[split]
        try:
            if self.level == "graph":
                return np.stack([np.asarray(graph.target) for graph in graphs])
            rows = np.concatenate([self._within(graph) for graph in graphs])
        except (TypeError, ValueError):
            raise DataError(f"the graphs of {self.config.data!r} have not all a target of one shape") from None
        within = self._split_within
        return rows if within is None else rows[within == SPLITS.index(split)]

    @cached_property
    def classes(self) -> int | None:
        """How many classes there are; None where a number is asked for."""
        targets = self._targets("train")
        if targets.dtype == object:
            raise DataError(
                f"{self.config.data!r} asks for nothing: nothing is asked of the graphs, their nodes or pairs; give "
                "one of these a target (in tables, a column 'label' or one whose name begins with 'target')"
            )
        if not np.issubdtype(targets.dtype, np.integer):
            if not np.isfinite(targets).any():
                raise DataError(f"no target of {self.config.data!r} is a finite number")
            return None
        if targets.ndim > 1:
            raise DataError("classes are one whole number for each graph, node or pair")
        splits: tuple[Split, ...] = ("train", "validation", "test")
        found = np.unique(np.concatenate([self._targets(split) for split in splits]))
        highest, known = int(found.max(initial=-1)), int((found >= 0).sum())
        if highest >= 2 * known + 100:  # each number up to the highest has a class in the model
            raise DataError(f"{self.config.data!r} has {known} classes, numbered up to {highest:,}: number them from 0")
        return highest + 1

    @cached_property
    def _scale(self) -> tuple[Tensor, Tensor]:
        targets = self._targets("train").astype(np.float64)
        if self._asked is not None:
            shape = targets.shape[1:]
            mean, spread = (torch.tensor(numbers).reshape(shape) for numbers in (self._asked.mean, self._asked.spread))
            return mean, spread
        spread = np.nanstd(targets, axis=0)
        mean = np.nanmean(targets, axis=0)
        return torch.as_tensor(mean).float(), torch.as_tensor(np.where(spread > 0, spread, 1.0)).float()

    def baseline(self) -> GraphTransformer.Config:
        small = GraphTransformer.Config(width=32, depth=4, heads=4, init_std=None)
        stem = small.stem.replace(steps=16, hidden=64)
        return cast(GraphTransformer.Config, self.adapt(replace(small, stem=stem)))

    def adapt(self, model: BaseConfig) -> BaseConfig:
        if not isinstance(model, GraphTransformer.Config | MessagePassing.Config):
            raise ConfigError(
                f"a task on graphs takes a GraphTransformer or MessagePassing, which a {model.name()} is not"
            )
        found = widths([graph for split in SPLITS for graph in self.graphs[split]])
        # The batches that come now are most likely for this model.
        if _walks_read(model) != _walks_made(self._walks):
            self._walks = None if (read := _walks_read(model)) is None else Walks(*read)
        return model.replace(
            node_types=found.node_types,
            node_features=found.node_features,
            edge_types=found.edge_types,
            edge_features=found.edge_features,
            level=self.level,
            outputs=self.classes or self._columns,
        )

    def batches_per_epoch(self, batch_size: int) -> int:
        return max(1, len(self.graphs["train"]) // batch_size)

    def batches(
        self, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[GraphBatch]:
        graphs, whole, size = self.graphs["train"], batch_size * world, self.config.pool
        if len(graphs) < whole:  # as of one graph alone: each is in a batch once, not several times
            whole, size = max(1, len(graphs) // world) * world, 1
        number = start
        while True:
            pool, place = divmod(number, size)
            drawn = self._drawn(pool * size * whole, size * whole, seed)
            by_size = drawn[np.argsort([graphs[i].nodes for i in drawn], kind="stable")]
            turn = np.random.default_rng((seed, 1, pool)).permutation(size)[place]
            own = by_size[turn * whole : (turn + 1) * whole][rank::world]
            yield self._batch([graphs[i] for i in own], "train")
            number += 1

    def _drawn(self, first: int, count: int, seed: int) -> np.ndarray:
        """Numbers of training graphs from place ``first`` on in an endless row of shuffled epochs."""
        size = len(self.graphs["train"])
        epochs = range(first // size, (first + count - 1) // size + 1)
        row = np.concatenate([self._order(seed, epoch) for epoch in epochs])
        return row[first - epochs[0] * size :][:count]

    def _permuted(self, seed: int, epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, 0, epoch)).permutation(len(self.graphs["train"]))

    def _batch(self, graphs: Sequence[Graph], split: Split) -> GraphBatch:
        batch = collate(graphs, self._walks)
        within = self._split_within
        if within is None:
            return batch
        name = _TARGETS[self.level]
        targets = cast(Tensor, getattr(batch, name))
        # A batch is so many times the one graph; only targets of nodes have an axis of graphs.
        held = torch.from_numpy(within != SPLITS.index(split)).expand(len(graphs), -1)
        held = held.flatten() if self.level == "pair" else held
        held = held.reshape(*held.shape, *[1] * (targets.dim() - held.dim()))
        return replace(batch, **{name: targets.masked_fill(held, -1 if self.classes else float("nan"))})

    def units(self, batch: GraphBatch) -> int:
        return len(batch)

    def loss(self, model: Model, batch: GraphBatch) -> Tensor:
        answers, targets, _ = self._answers(model, batch)
        if not len(targets):  # none of this batch is known: nothing to learn from it
            return answers.sum() * 0.0
        return self._losses(answers, targets).mean()

    def _answers(self, model: Model, batch: GraphBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Answers and the targets that are known, in rows; beside these, of several targets the number of each.

        Numbers are in units of the standard deviation in training.
        """
        if _walks_read(model.config) != _walks_made(self._walks):
            batch = replace(batch, walks=None, kinds=None, samples=None)
        answers: Tensor = model(**batch.inputs())
        targets: Tensor | None = getattr(batch, _TARGETS[self.level])
        if targets is None:
            raise DataError("this batch of graphs has no targets")
        if self.level == "node":
            real = torch.ones_like(answers[..., 0], dtype=torch.bool) if batch.mask is None else batch.mask
            answers, targets = answers[real], targets[real]
        if self.classes:
            known = targets >= 0
            return answers[known], targets[known], targets[known]
        mean, spread = (s.to(answers.device) for s in self._scale)
        targets = (targets.to(answers.dtype) - mean) / spread
        targets = targets.reshape(answers.shape)
        known = ~targets.isnan()
        number = torch.arange(answers.shape[-1], device=answers.device).expand(answers.shape)
        return answers[known], targets[known], number[known]

    def _losses(self, answers: Tensor, targets: Tensor) -> Tensor:
        if self.classes:
            return F.cross_entropy(answers.float(), targets, reduction="none")
        error = (answers - targets).float()
        return error.square() if self.config.objective == "mse" else error.abs()

    @torch.no_grad()
    def evaluate(self, model: Model, split: Split = "validation", metrics: Sequence[str] = ()) -> dict[str, Metric]:
        names = list(metrics) or [self.headline]
        device = next(model.parameters()).device
        was_training = model.training
        model.eval()
        parts = [self._answers(model, batch.to(device)) for batch in self._whole(split)]
        model.train(was_training)
        answers, targets, number = (torch.cat(rows).cpu() for rows in zip(*parts, strict=True))
        if not len(targets):
            raise DataError(f"the {split} split has no known targets")
        measured: dict[str, Metric] = {"loss": float(self._losses(answers, targets).double().mean())}
        measured |= (
            _of_classes(answers, targets)
            if self.classes
            else _of_numbers(answers, targets, number, self._scale[1].reshape(-1))
        )
        unknown = [name for name in names if name not in measured]
        if unknown:
            raise ConfigError(f"{unknown[0]!r} is not measured of these targets; there are: {', '.join(measured)}")
        return {name: measured[name] for name in names}

    def _whole(self, split: Split) -> Iterator[GraphBatch]:
        """All graphs of a split once, by size."""
        graphs = self.graphs[split]
        for numbers in batches_by_size(graphs):
            yield self._batch([graphs[i] for i in numbers], split)

    def identity(self) -> str:
        meaning = {kind: asdict(columns) for kind, columns in (self._meaning or {}).items()}
        return digest(
            [meaning, {split: [graph.fingerprint() for graph in some] for split, some in self.graphs.items()}]
        )

    def trained(self, model: Model, folder: Path) -> None:
        if (folder / ASKED).is_file():  # absent beside models of before
            self._asked, self._reader = Asked.load(folder), model.config

    def _as_asked(self, asked: Asked) -> None:
        """DataError where the data ask for something else than the model was asked."""
        have = "numbers" if self.classes is None else "classes"
        want = "numbers" if asked.classes is None else "classes"
        count, columns = self._columns, len(asked.mean)
        if (self.level, have, count) != (asked.level, want, columns):
            raise DataError(
                f"the model was asked for {columns} {want} of each {asked.level}, and {self.config.data!r} asks for "
                f"{count} {have} of each {self.level}"
            )
        known = len(asked.classes or ())
        if self.classes and self.classes > known:
            raise DataError(f"{self.config.data!r} has a class {self.classes - 1}; training knew 0 to {known - 1}")

    @property
    def _columns(self) -> int:
        """How many numbers are asked of each graph, node or pair."""
        shape = self._targets("train").shape
        return shape[1] if len(shape) > 1 else 1

    def save(self, folder: Path) -> None:
        meaning = self._meaning
        mean, spread = self._scale
        outputs = mean.numel()
        asked = meaning["link" if self.level == "pair" else self.level].asked if meaning else {}
        names, classes = list(asked), None
        if self.classes:
            names, words = [], asked.get("label")
            classes = [str(number) for number in range(self.classes)] if words is None else words
        elif len(names) != outputs:
            names = ["answer"] if outputs == 1 else [f"answer_{number}" for number in range(outputs)]
        Asked(self.level, names, classes, mean.reshape(-1).tolist(), spread.reshape(-1).tolist(), meaning).save(folder)

    def predict(self, model: Model, folder: Path, data: str, every_class: bool = False) -> Iterator[dict[str, Any]]:
        return predict(model, Asked.load(folder), data, every_class)


def _walks_read(model: BaseConfig) -> tuple[int, bool] | None:
    """Steps and symmetry of the walks that a model reads."""
    return (model.stem.steps, model.stem.symmetric) if isinstance(model, GraphTransformer.Config) else None


def _walks_made(walks: Walks | None) -> tuple[int, bool] | None:
    return None if walks is None else (walks.steps, walks.symmetric)


def _of_numbers(answers: Tensor, targets: Tensor, number: Tensor, units: Tensor) -> dict[str, float]:
    error = (answers - targets).double()
    own = error * units[number]
    explained = []
    for one in number.unique():  # each target around its own mean, whatever sets several apart
        around = targets[number == one].double()
        rest = error[number == one].square().sum() / (around - around.mean()).square().sum().clamp(min=1e-12)
        explained.append(1 - float(rest))
    return {
        "mae": float(own.abs().mean()),
        "rmse": float(own.square().mean().sqrt()),
        "r2": sum(explained) / len(explained),
    }


def _of_classes(answers: Tensor, targets: Tensor) -> dict[str, float]:
    said = answers.argmax(-1)
    scores = []
    for kind in targets.unique():
        right = ((said == kind) & (targets == kind)).sum()
        scores.append(2 * right / ((said == kind).sum() + (targets == kind).sum()))
    return {"accuracy": float((said == targets).double().mean()), "macro_f1": float(torch.stack(scores).mean())}
