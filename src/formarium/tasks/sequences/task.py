"""What tasks on made-up sequences have in common: random tokens, one answer for each, all drawn when needed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.models.decoder import Decoder
from formarium.models.encoder import Encoder
from formarium.models.model import Model
from formarium.progress import tracked
from formarium.tasks.task import Metric, Split, Task

Batch = dict[str, Tensor]
UNASKED = -100  # the target of a token of which nothing is asked
_LARGE = 1 << 22  # scores of one piece of an evaluation, to bound memory
_STREAMS: dict[str, int] = {"train": 0, "validation": 1, "test": 2}


class SequenceTask(Task):
    """A class for every token of a sequence of random tokens, to be given by an ``Encoder``, or by a ``Decoder``.

    Of a decoder, which sees nothing of what follows, the first scores are those of the classes. A subclass has the
    number of ``classes`` and makes the ``targets`` of random tokens, or draws both. vocabulary: different tokens.
    length: tokens of a sequence. start_token: one more token, the same everywhere, stands in front, and nothing is
    asked of it. evaluated: sequences of the validation and test splits, which are fixed; those of the training never
    come twice.

    Metrics: ``accuracy``, the share of right answers; ``loss``, nats an answer; ``accuracy_by_position``, a list.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        vocabulary: int = 100
        length: int = 16
        start_token: bool = False
        evaluated: int = 1000

    metrics: ClassVar[dict[str, Any]] = {"accuracy": "higher", "loss": "lower", "accuracy_by_position": "higher"}
    headline: ClassVar[str] = "accuracy"
    unit: ClassVar[str] = "sequences"

    def __init__(self, config: Config | None = None) -> None:
        self.config = config = config or self.Config()
        if config.vocabulary < 2 or config.length < 2 or config.evaluated < 1:
            raise ConfigError(
                "sequences have at least 2 tokens out of a vocabulary of at least 2, and at least 1 is evaluated"
            )

    @property
    def classes(self) -> int:
        """How many answers there are."""
        raise NotImplementedError

    @property
    def symbols(self) -> int:
        """How many different tokens there are, the start token apart."""
        return self.config.vocabulary

    def targets(self, tokens: Tensor) -> Tensor:
        """The answers (B, T), classes or ``UNASKED``, for tokens (B, T) without the start token."""
        raise NotImplementedError

    def draw(self, random: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """So many sequences (B, T), without the start token, and their answers (B, T)."""
        tokens = torch.from_numpy(random.integers(self.config.vocabulary, size=(count, self.config.length)))
        return tokens, self.targets(tokens)

    def baseline(self) -> BaseConfig:
        from formarium.parts import Learned

        return self.adapt(Encoder.Config(width=64, depth=2, position=Learned.Config()))

    def adapt(self, model: BaseConfig) -> BaseConfig:
        extra = int(self.config.start_token)
        known = {"vocabulary": self.symbols + extra, "max_length": self.config.length + extra}
        if isinstance(model, Encoder.Config):
            return model.replace(outputs=self.classes, **known)
        if not isinstance(model, Decoder.Config):
            raise ConfigError(
                "questions about every token of a sequence are put to an Encoder or a Decoder, "
                f"which a {model.name()} is not"
            )
        return model.replace(**{**known, "vocabulary": max(known["vocabulary"], self.classes)})

    def batches_per_epoch(self, batch_size: int) -> int:
        """Those of as many sequences as the validation split has, since no training sequence comes twice."""
        return max(1, self.config.evaluated // batch_size)

    def batches(self, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        number = start * world + rank
        while True:
            yield self._batch("train", batch_size, seed, number)
            number += world

    def _batch(self, split: Split, count: int, *entropy: int) -> Batch:
        random = np.random.default_rng([_STREAMS[split], *entropy])
        tokens, targets = self.draw(random, count)
        if self.config.start_token:
            tokens = F.pad(tokens, (1, 0), value=self.symbols)
            targets = F.pad(targets, (1, 0), value=UNASKED)
        return {"tokens": tokens, "targets": targets}

    def units(self, batch: Batch) -> int:
        return len(batch["tokens"])

    def loss(self, model: Model, batch: Batch) -> Tensor:
        scores = self._scores(model, batch["tokens"])
        return F.cross_entropy(scores.flatten(0, 1), batch["targets"].flatten())

    def _scores(self, model: Model, tokens: Tensor) -> Tensor:
        """The scores of the classes, (B, T, classes)."""
        scores: Tensor = model(tokens)
        return scores[..., : self.classes].float()

    @torch.no_grad()
    def evaluate(self, model: Model, split: Split = "validation", metrics: Sequence[str] = ()) -> dict[str, Metric]:
        unknown = [name for name in metrics if name not in self.metrics]
        if unknown:
            raise ConfigError(f"this task measures no {unknown[0]!r}; it measures {', '.join(self.metrics)}")
        device = next(model.parameters()).device
        batch = {k: v.to(device) for k, v in self._batch(split, self.config.evaluated).items()}
        asked = batch["targets"] != UNASKED
        rows = max(1, _LARGE // (batch["tokens"].shape[1] * max(self.classes, 512)))
        was_training = model.training
        model.eval()
        right, loss = torch.zeros(asked.shape[1], device=device), 0.0
        parts = list(zip(batch["tokens"].split(rows), batch["targets"].split(rows), strict=True))
        for tokens, targets in tracked(parts, "measuring"):
            scores = self._scores(model, tokens)
            right += (scores.argmax(-1) == targets).sum(0)
            loss += float(F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="sum"))
        model.train(was_training)
        each = asked.sum(0)
        found: dict[str, Metric] = {
            "accuracy": float(right.sum() / each.sum()),
            "loss": loss / int(each.sum()),
            "accuracy_by_position": (right[each > 0] / each[each > 0]).tolist(),
        }
        return {name: found[name] for name in metrics or [self.headline]}
