"""Language modelling: predict each next token of a text."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.config import BaseConfig, ConfigError, digest
from formarium.errors import DataError
from formarium.models.decoder import Decoder, at_least_single
from formarium.models.model import Model
from formarium.progress import tracked
from formarium.tasks.language import corpus as corpora
from formarium.tasks.language import tokenizers
from formarium.tasks.language.token_file import TokenFile, Tokens, folder_of, token_file
from formarium.tasks.language.windows import Windows
from formarium.tasks.task import SPLITS, Metric, Split, Task

Batch = dict[str, Tensor]
_LARGE = 1 << 22  # scores of one evaluation or loss chunk, to bound memory


class Language(Task):
    """Next-token prediction on any text.

    corpus: see ``formarium.tasks.language.corpus``. tokenizer: ``bytes``, ``bpe:4096`` (trained on the training split),
    or a folder, file or Hugging Face name; a trained model is evaluated in the subwords it has. context: tokens a
    training window. validation: share of documents held out, by a hash of their text; of a single document, its end.
    separate: tokens attend only within their document. z_loss: weight of mean(logsumexp^2). evaluation_tokens: how many
    tokens of a split are scored, in fixed windows.

    Metrics: ``loss`` nats a token, ``perplexity``, ``bits_per_byte``, ``accuracy``; behind "@" another context, as in
    ``loss@512`` or ``loss@2x``. ``loss_by_position`` and ``accuracy_by_position`` are lists over the positions of a
    window.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        corpus: str = "stdlib"
        tokenizer: str = "bytes"
        context: int = 128
        validation: float = 0.05
        separate: bool = False
        z_loss: float = 0.0
        evaluation_tokens: int = 131072

    metrics: ClassVar[dict[str, Any]] = {
        "loss": "lower",
        "perplexity": "lower",
        "bits_per_byte": "lower",
        "accuracy": "higher",
        "loss_by_position": "lower",
        "accuracy_by_position": "higher",
    }
    lists: ClassVar[frozenset[str]] = frozenset({"loss_by_position", "accuracy_by_position"})
    used_by: ClassVar[str] = "generate"
    unit: ClassVar[str] = "tokens"

    def __init__(self, config: Config | None = None) -> None:
        self.config = config = config or self.Config()
        self._tokens: Path | None = None  # the tokenizer that a trained model came with
        if config.context < 2:
            raise ConfigError(f"a context of {config.context} tokens leaves nothing to predict; it is at least 2")
        if not 0 < config.validation < 1:
            raise ConfigError(f"the share held out for validation lies between 0 and 1, not at {config.validation:g}")

    def prepare(self) -> None:
        for split in SPLITS[:2]:
            have, need = len(self._split(split)), self.config.context + 1
            if have < need:
                raise DataError(
                    f"the {split} split of {self.config.corpus!r} has {have} tokens, fewer than one context of "
                    f"{self.config.context} and its successor; take more text or a shorter context"
                )

    @cached_property
    def file(self) -> TokenFile:
        """The tokenised corpus, made at first use; behind ``trained``, in that model's subwords."""
        config, name = self.config, self.config.tokenizer
        described: dict[str, Any] = {
            "corpus": config.corpus,
            "state": _state_of(config.corpus),
            "tokenizer": name,
            "tokenizer_state": _state_of_files(_tokenizer_files(name)),
            "validation": config.validation,
        }
        if self._tokens is not None:
            own = self._tokens.read_bytes()
            if _bytes_of(folder_of(digest(described)) / tokenizers.FILE) != own:
                name = str(self._tokens)
                described |= {"tokenizer": "", "tokenizer_state": hashlib.sha256(own).hexdigest()}
        return token_file(
            digest(described),
            described,
            lambda: corpora.documents(config.corpus),
            lambda texts: make_tokenizer(name, texts),
            config.validation,
        )

    @property
    def tokenizer(self) -> tokenizers.Tokenizer:
        return self.file.tokenizer

    def _split(self, split: Split) -> Tokens:
        splits = self.file.splits
        if split not in splits:
            raise DataError(f"{self.config.corpus!r} has no {split} split; it has {', '.join(splits)}")
        return splits[split]

    def baseline(self) -> Decoder.Config:
        return cast(Decoder.Config, self.adapt(Decoder.Config()))

    def adapt(self, model: BaseConfig) -> BaseConfig:
        if not isinstance(model, Decoder.Config):
            raise ConfigError(f"language modelling takes a Decoder, which a {model.name()} is not")
        length = max(model.max_length, self.config.context)
        return model.replace(vocabulary=self.tokenizer.vocabulary, max_length=length)

    def batches_per_epoch(self, batch_size: int) -> int:
        return max(1, self._windows(0).count // batch_size)

    def _windows(self, seed: int) -> Windows:
        return Windows(len(self._split("train")), self.config.context, seed)

    def batches(self, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        windows, tokens = self._windows(seed), self._split("train")
        number = start
        while True:
            first = (number * world + rank) * batch_size
            yield self._batch(tokens, windows.starts(first, batch_size), self.config.context)
            number += 1

    def _batch(self, tokens: Tokens, starts: np.ndarray, context: int) -> Batch:
        rows = tokens.array[starts[:, None] + np.arange(context + 1)].astype(np.int64)
        both = torch.from_numpy(rows)
        batch = {"tokens": both[:, :-1].contiguous(), "targets": both[:, 1:].contiguous()}
        if self.config.separate:
            batch["segments"] = (batch["tokens"] == self.tokenizer.separator).cumsum(dim=1)
        return batch

    def units(self, batch: Batch) -> int:
        return batch["tokens"].numel()

    def loss(self, model: Model, batch: Batch) -> Tensor:
        scores = at_least_single(model(batch["tokens"], segments=batch.get("segments")).flatten(0, 1))
        targets = batch["targets"].flatten()
        loss = F.cross_entropy(scores, targets)
        if self.config.z_loss:
            loss = loss + self.config.z_loss * scores.logsumexp(-1).square().mean()
        return loss

    @torch.no_grad()
    def evaluate(self, model: Model, split: Split = "validation", metrics: Sequence[str] = ()) -> dict[str, Metric]:
        known, made = cast(Decoder, model).config.vocabulary, self.tokenizer.vocabulary
        if known < made:
            raise ConfigError(
                f"the tokenizer {self.config.tokenizer!r} makes {made} different tokens, but the model knows {known}; "
                "give the task the tokenizer that the model was trained with"
            )
        names = list(metrics) or [self.headline]
        results: dict[str, Metric] = {}
        measured: dict[int, dict[str, Metric]] = {}
        self.check(names)
        for name in names:
            kind, _, at = name.partition("@")
            context = self._context(at)
            if context not in measured:
                measured[context] = self._measure(model, split, context)
            results[name] = measured[context][kind]
        return results

    def check(self, metrics: Sequence[str]) -> None:
        super().check(metrics)
        for name in metrics:
            self._context(name.partition("@")[2])

    def _context(self, at: str) -> int:
        """The context that a metric names behind "@": a number of tokens, or "2x" of the training's."""
        try:
            found = int(float(at[:-1]) * self.config.context) if at.endswith("x") else int(at or self.config.context)
        except (ValueError, OverflowError):
            found = 0
        if found < 1:
            raise ConfigError(f"{at!r} is no context: write a number of tokens, as @512, or a multiple, as @2x")
        return found

    def _measure(self, model: Model, split: Split, context: int) -> dict[str, Metric]:
        tokens = self._split(split)
        count = min(max(1, self.config.evaluation_tokens // context), (len(tokens) - 1) // context)
        if count < 1:
            raise DataError(f"the {split} split has {len(tokens)} tokens, too few for a context of {context}")
        device = next(model.parameters()).device
        losses, hits = torch.zeros(context, dtype=torch.float64), torch.zeros(context, dtype=torch.float64)
        rows = max(1, _LARGE // (context * max(self.tokenizer.vocabulary, 512)))
        was_training = model.training
        model.eval()
        for first in tracked(range(0, count, rows), "measuring"):
            starts = np.arange(first, min(first + rows, count)) * context
            batch = {k: v.to(device) for k, v in self._batch(tokens, starts, context).items()}
            scores = at_least_single(model(batch["tokens"], segments=batch.get("segments")))
            loss = F.cross_entropy(scores.transpose(1, 2), batch["targets"], reduction="none")
            losses += loss.sum(0).double().cpu()
            hits += (scores.argmax(-1) == batch["targets"]).sum(0).double().cpu()
        model.train(was_training)
        mean = float(losses.sum()) / (count * context)
        return {
            "loss": mean,
            "perplexity": float(np.exp(min(mean, 700.0))),
            "bits_per_byte": mean / float(np.log(2)) * len(tokens) / max(tokens.text_bytes, 1),
            "accuracy": float(hits.sum()) / (count * context),
            "loss_by_position": (losses / count).tolist(),
            "accuracy_by_position": (hits / count).tolist(),
        }

    def identity(self) -> str:
        return self.file.checksums.get("train", "")

    def trained(self, model: Model, folder: Path) -> None:
        # Trained on another corpus, bpe:4096 has other tokens than the model, whose scores would mean nothing.
        made, own = self.config.tokenizer, folder / tokenizers.FILE
        if (made == "bytes" or made.startswith("bpe:")) and own.is_file():
            self._tokens = None if isinstance(tokenizers.load(own), tokenizers.Bytes) else own

    def save(self, folder: Path) -> None:
        self.tokenizer.save(folder)


def make_tokenizer(name: str, texts: Any) -> tokenizers.Tokenizer:
    """The tokenizer of that name; ``texts()`` are what one that is made on the spot is trained on."""
    if name == "bytes":
        return tokenizers.Bytes()
    if name.startswith("bpe:"):
        try:
            size = int(name.removeprefix("bpe:"))
        except ValueError:
            raise DataError(f"{name!r}: behind 'bpe:' stands a number of tokens, as in bpe:4096") from None
        return tokenizers.train_subwords(texts(), size)
    return tokenizers.load(name)


def _state_of(corpus: str) -> str:
    """What changes when the corpus does: its files' names, sizes and dates, or the version of Python."""
    if corpus == "stdlib":
        return corpora.python_version()
    if corpus == "wikitext-2":
        return "" if corpora.wikitext_training() else "without its training split"
    if corpus in corpora.NAMED:
        return ""
    if corpus.startswith("hf:"):
        folder = Path(corpus.removeprefix("hf:")).expanduser()
        return _state_of_files(corpora.files(str(folder))) if folder.is_dir() else ""
    return _state_of_files(corpora.files(corpus))


def _bytes_of(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def _tokenizer_files(name: str) -> list[Path]:
    path = Path(name).expanduser()
    return [file for file in (path, path / tokenizers.FILE) if file.is_file()]


def _state_of_files(files: Sequence[Path]) -> str:
    found = [f"{path.resolve()}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in files]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16] if found else ""
