"""Answers about graphs, about their nodes, and about pairs of nodes."""

import math
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
from formarium.progress import notice, progress
from formarium.tasks.graphs.batch import GraphBatch, Walks, collate
from formarium.tasks.graphs.graph import Graph, Level, widths
from formarium.tasks.graphs.predicting import ASKED, Asked, Asking, batches_by_size, fitting, predict
from formarium.tasks.graphs.sources import load, meaning_of, refuse_words
from formarium.tasks.graphs.tables import Columns
from formarium.tasks.task import SPLITS, Metric, Split, Task

_OF_NUMBERS: Mapping[str, Literal["lower", "higher"]] = {
    "loss": "lower",
    "mae": "lower",
    "rmse": "lower",
    "r2": "higher",
}
_OF_CLASSES: Mapping[str, Literal["lower", "higher"]] = {"loss": "lower", "accuracy": "higher", "macro_f1": "higher"}
_OF_TRUTHS: Mapping[str, Literal["lower", "higher"]] = {
    "loss": "lower",
    "accuracy": "higher",
    "rocauc": "higher",
    "average_precision": "higher",
}
# What is asked about, and where a graph and a batch of graphs have the answers.
_ASKED_OF: Mapping[Level, str] = {"pair": "link_targets", "node": "node_targets", "graph": "target"}
_TARGETS: Mapping[Level, str] = {"pair": "link_targets", "node": "node_targets", "graph": "targets"}
_FROM_0, _REAL = "number them from 0", "write numbers with a point, as 1.0"


class Graphs(Task):
    """Regression on, or classification of, graphs, nodes or pairs of nodes.

    data, target, held_out: see ``formarium.tasks.graphs.sources.load``. Whole-number targets are classes (-1: unknown),
    others are regressed on (NaN: unknown), with the ``objective`` ``l1`` (where None) or ``mse`` in units of the
    standard deviation in training; with ``binary``, each target is 0 or 1, learned by its own cross-entropy. Of one
    graph alone, nodes or pairs are held out instead. pool: training batches are cut from so many batches at a time
    sorted by size, so that little is spent on filling graphs up; 1 for batches by chance alone.

    Metrics: ``loss``; of regression ``mae``, ``rmse`` and ``r2`` in the target's own units; of classification
    ``accuracy`` and ``macro_f1``; of ``binary`` targets ``accuracy``, ``rocauc`` and ``average_precision``. Of several
    targets ``r2`` and the last two are the mean of each one's, the last two of those that come as 0 and as 1.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        data: str = "atlas"
        target: str | None = None
        objective: Literal["l1", "mse", "binary"] | None = None
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
        return {"classes": _OF_CLASSES, "truths": _OF_TRUTHS, "numbers": _OF_NUMBERS}[self.kind]

    def prepare(self) -> None:
        if self._asked is not None:
            self._as_asked(self._asked)
        if self.classes and self.config.objective is not None:
            raise ConfigError(f"classes are learned by cross-entropy, not by objective={self.config.objective}")
        _ = self._scale
        if self._asked is None:
            self._can_learn()

    def _can_learn(self) -> None:
        """DataError where there is nothing to learn from, or nothing to measure it by."""
        data = self.config.data
        if self.level == "graph" and self.graphs["train"] is self.graphs["test"]:
            raise DataError(
                f"{data!r} is one graph, of which something is asked as a whole: to learn that takes several graphs"
            )
        for split in SPLITS[:2]:
            if not _known(self._targets(split)).any():
                raise DataError(f"nothing of what {data!r} asks is known in the {split} split")

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
        return meaning_of(self.config.data, self.config.target)

    @cached_property
    def level(self) -> Level:
        """What is asked about."""
        graphs = self.graphs["train"]
        found = [level for level, name in _ASKED_OF.items() if any(getattr(g, name) is not None for g in graphs)]
        if self._asked is not None and self._asked.level in found:
            return self._asked.level
        if not found:
            raise DataError(
                f"{self.config.data!r} asks for nothing: nothing is asked of the graphs, their nodes or pairs; give "
                "one of these a target (in tables, a column 'label' or one whose name begins with 'target'; of "
                "molecules in SMILES any column, named by the setting target)"
            )
        if len(found) > 1:
            raise DataError(f"{self.config.data!r} asks about each {' and each '.join(found)}: leave one of them")
        return found[0]

    def _asked_of(self, graph: Graph) -> np.ndarray:
        """Targets of a graph, or of its nodes or pairs."""
        found: np.ndarray | None = getattr(graph, _ASKED_OF[self.level])
        if found is None:
            called = f" {graph.name!r}" if graph.name else ""
            raise DataError(
                f"a graph{called} of {self.config.data!r} has no target, and others have; a number that is not known "
                "is nan, a class -1"
            )
        return found

    @cached_property
    def _split_within(self) -> np.ndarray | None:
        """Of one graph alone, the number of each node's, or pair's, split."""
        graphs = self.graphs["train"]
        if self.level == "graph" or len(graphs) > 1 or self.graphs["test"][0] is not graphs[0]:
            return None
        rows = self._asked_of(graphs[0])
        given = graphs[0].node_splits if self.level == "node" else None
        if given is not None and (given == 1).any():
            return given
        splits = np.zeros(len(rows), dtype=np.int64) if given is None else given.copy()
        drawn = (1, 2) if given is None else (1,)  # of masks without one for validation, that alone is drawn
        places = np.flatnonzero(_known(rows).reshape(len(rows), -1).any(-1) & (splits == 0))
        size = max(1, round(self.config.held_out * len(places)))
        if len(places) < len(drawn) * size + 1:
            raise DataError(f"of {self.config.data!r} {len(places)} {self.level}s are known, too few to hold some out")
        held = np.random.default_rng(0).permutation(places)
        for turn, number in enumerate(drawn):
            splits[held[turn * size : (turn + 1) * size]] = number
        if given is not None:
            notice(f"{self.config.data!r} keeps no nodes for validation: {size} of those to learn from are held out")
        return splits

    def _targets(self, split: Split) -> np.ndarray:
        """All targets of a split, (rows,) or (rows, O)."""
        found = [self._asked_of(graph) for graph in self.graphs[split]]
        try:
            if self.level == "graph":
                return np.stack(found)
            rows = np.concatenate(found)
        except ValueError:
            raise DataError(f"the graphs of {self.config.data!r} have not all a target of one shape") from None
        within = self._split_within
        return rows if within is None else rows[within == SPLITS.index(split)]

    @property
    def kind(self) -> Asking:
        """Whether a class, truths (0 or 1 each) or numbers are asked for."""
        return "classes" if self.classes else "truths" if self.config.objective == "binary" else "numbers"

    @cached_property
    def classes(self) -> int | None:
        """How many classes there are; None where truths or numbers are asked for."""
        data, rows = self.config.data, [self._targets(split) for split in SPLITS]
        if self.config.objective == "binary":
            for own in rows:
                strange = own[_known(own) & (own != 0) & (own != 1)]
                if strange.size:
                    raise DataError(f"objective=binary asks for 0 or 1, and a target of {data!r} is {strange[0]:g}")
            return None
        if not all(np.issubdtype(own.dtype, np.integer) for own in rows):
            if not _known(rows[0]).any():
                raise DataError(f"no target of {data!r} is a finite number")
            return None
        if rows[0].ndim > 1:
            raise DataError(
                "classes are one whole number for each graph, node or pair; several of 0 or 1 each are objective=binary"
            )
        every = np.concatenate(rows)
        found = np.unique(every[every >= 0])
        unknown, lowest = int((every < 0).sum()), int(every.min(initial=0))
        if lowest < -1:
            raise DataError(
                f"classes are numbered from 0, and one of {data!r} is {lowest}; to be regressed on, {_REAL}"
            )
        if not len(found):
            raise DataError(f"no class of {data!r} is known: all are -1, which stands for unknown ones")
        if unknown and len(found) == 1 and self._asked is None:
            raise DataError(f"the classes of {data!r} are -1, which stands for unknown ones, and {found[0]}; {_FROM_0}")
        if found[-1] >= 2 * len(found) + 100:  # each number up to the highest has a class in the model
            raise DataError(f"{data!r} has {len(found)} classes, numbered up to {found[-1]:,}: {_FROM_0}; or {_REAL}")
        if unknown:
            notice(f"of {len(every):,} {self.level}s of {data!r} the class of {unknown:,} is not known")
        return int(found[-1]) + 1

    @cached_property
    def _scale(self) -> tuple[Tensor, Tensor]:
        targets = self._targets("train").astype(np.float64)
        if self._asked is not None:
            shape = targets.shape[1:]
            mean, spread = (torch.tensor(numbers).reshape(shape) for numbers in (self._asked.mean, self._asked.spread))
            return mean, spread
        if self.kind == "truths":
            return torch.zeros(targets.shape[1:]), torch.ones(targets.shape[1:])
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
        read = Walks.read_by(model)
        if read is None or not read.alike(self._walks):
            self._walks = read
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
        unknown = float("nan") if targets.is_floating_point() else -1
        return replace(batch, **{name: targets.masked_fill(held, unknown)})

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
        read = Walks.read_by(model.config)
        if read is None or not read.alike(self._walks):
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
        if not targets.is_floating_point():
            targets = targets.to(answers.dtype).masked_fill(targets < 0, float("nan"))
        mean, spread = (s.to(answers.device) for s in self._scale)
        targets = (targets.to(answers.dtype) - mean) / spread
        targets = targets.reshape(answers.shape)
        known = ~targets.isnan()
        number = torch.arange(answers.shape[-1], device=answers.device).expand(answers.shape)
        return answers[known], targets[known], number[known]

    def _losses(self, answers: Tensor, targets: Tensor) -> Tensor:
        if self.classes:
            return F.cross_entropy(answers.float(), targets, reduction="none")
        if self.kind == "truths":
            return F.binary_cross_entropy_with_logits(answers.float(), targets.float(), reduction="none")
        error = (answers - targets).float()
        return error.square() if self.config.objective == "mse" else error.abs()

    @torch.no_grad()
    def evaluate(self, model: Model, split: Split = "validation", metrics: Sequence[str] = ()) -> dict[str, Metric]:
        names = list(metrics) or [self.headline]
        device = next(model.parameters()).device
        was_training = model.training
        model.eval()
        with progress("measuring", len(self.graphs[split])) as advance:
            parts = []
            for batch in self._whole(split):
                parts.append(self._answers(model, batch.to(device)))
                advance(len(batch))
        model.train(was_training)
        answers, targets, number = (torch.cat(rows).cpu() for rows in zip(*parts, strict=True))
        if not len(targets):
            raise DataError(f"the {split} split has no known targets")
        measured: dict[str, Metric] = {"loss": float(self._losses(answers, targets).double().mean())}
        if self.kind == "classes":
            measured |= _of_classes(answers, targets)
        elif self.kind == "truths":
            measured |= _of_truths(answers, targets, number)
        else:
            measured |= _of_numbers(answers, targets, number, self._scale[1].reshape(-1))
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
        have, want = self.kind, asked.kind
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
        scale = mean.reshape(-1).tolist(), spread.reshape(-1).tolist()
        Asked(self.level, names, classes, *scale, meaning, truths=self.kind == "truths").save(folder)

    def predict(self, model: Model, folder: Path, data: str, every_class: bool = False) -> Iterator[dict[str, Any]]:
        return predict(model, Asked.load(folder), data, every_class)


def _known(targets: np.ndarray) -> np.ndarray:
    """Which targets are known."""
    return targets >= 0 if np.issubdtype(targets.dtype, np.integer) else np.isfinite(targets)


def _of_numbers(answers: Tensor, targets: Tensor, number: Tensor, units: Tensor) -> dict[str, float]:
    error = (answers - targets).double()
    own = error * units[number]
    explained = []
    for one in number.unique():  # each target around its own mean, whatever sets several apart
        around = targets[number == one].double()
        spread = float((around - around.mean()).square().sum())
        rest = float(error[number == one].square().sum())
        # Of targets that are all the same there is nothing to explain, as scikit-learn counts it.
        explained.append(1 - rest / spread if around.min() < around.max() else float(rest == 0))
    return {
        "mae": float(own.abs().mean()),
        "rmse": float(own.square().mean().sqrt()),
        "r2": sum(explained) / len(explained),
    }


def _of_truths(answers: Tensor, targets: Tensor, number: Tensor) -> dict[str, float]:
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    truths = targets.long()
    found: dict[str, list[float]] = {"rocauc": [], "average_precision": []}
    for one in number.unique():
        said, true = answers[number == one].float(), truths[number == one]
        if true.min() < true.max():  # else there is nothing to put in order
            found["rocauc"].append(float(binary_auroc(said, true)))
            found["average_precision"].append(float(binary_average_precision(said, true)))
    means = {name: sum(values) / len(values) if values else math.nan for name, values in found.items()}
    return {"accuracy": float(((answers > 0) == truths.bool()).double().mean()), **means}


def _of_classes(answers: Tensor, targets: Tensor) -> dict[str, float]:
    said = answers.argmax(-1)
    scores = []
    for kind in targets.unique():
        right = ((said == kind) & (targets == kind)).sum()
        scores.append(2 * right / ((said == kind).sum() + (targets == kind).sum()))
    return {"accuracy": float((said == targets).double().mean()), "macro_f1": float(torch.stack(scores).mean())}
