"""Classification of images, at the resolution of training and at others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.config import BaseConfig, ConfigError, digest
from formarium.errors import DataError
from formarium.files import read_object, write_json
from formarium.models.model import Model
from formarium.models.vision import Vision
from formarium.parts.stems.patch_embedding import PatchEmbedding
from formarium.progress import progress
from formarium.tasks.answers import of_classes
from formarium.tasks.images.pictures import Files, Pictures, Source, picture_files, with_validation
from formarium.tasks.images.sources import open_source
from formarium.tasks.images.views import view
from formarium.tasks.task import Metric, Split, Task

Batch = dict[str, Tensor]
_KEPT = "images.json"
_NUMBERS = 1 << 22  # pixel values of one evaluation batch, to bound memory


class Images(Task):
    """Classes of images.

    data, label: see ``formarium.tasks.images.sources``. size: the side of the squares that models are trained on; that
    of the data where None. zoom: in training the shorter side is brought to zoom times size and a random square taken
    of it, in tests to the size and the middle taken. flip: a random half of the training images is mirrored; where
    None, if the classes allow it. validation: share of each class held out where the data have no validation split.
    evaluation_images: at most so many, evenly spread; all where None.

    Metrics: ``loss`` (cross-entropy, nats), ``accuracy``; behind "@" another side, as in ``accuracy@448`` or
    ``accuracy@2x``; ``kept@2x``, the accuracy at that side over the one at the side of training (0 where that is 0).
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        data: str = "digits"
        label: str | None = None
        size: int | None = None
        zoom: float | None = None
        pad: int | None = None
        flip: bool | None = None
        validation: float = 0.1
        evaluation_images: int | None = None

    metrics: ClassVar[dict[str, Any]] = {"loss": "lower", "accuracy": "higher", "kept": "higher"}
    headline: ClassVar[str] = "accuracy"
    unit: ClassVar[str] = "images"
    training: ClassVar[Mapping[str, Any]] = {"batch_size": 32, "learning_rate": 1e-3, "weight_decay": 0.05}

    def __init__(self, config: Config | None = None) -> None:
        self.config = config = config or self.Config()
        self._learned: tuple[str, ...] | None = None
        if config.size is not None and config.size < 1:
            raise ConfigError("the side of an image is at least one pixel")
        if config.zoom is not None and not 1 <= config.zoom <= 4:
            raise ConfigError(f"zoom is how much larger than the square an image is, from 1 to 4, not {config.zoom:g}")
        if config.pad is not None and config.pad < 0:
            raise ConfigError(f"pad is a number of pixels and cannot be {config.pad}")
        if not 0 < config.validation < 1:
            raise ConfigError(f"the share held out for validation lies between 0 and 1, not at {config.validation:g}")
        if config.evaluation_images is not None and config.evaluation_images < 1:
            raise ConfigError("evaluation takes at least one image")

    def prepare(self) -> None:
        self._split("train")
        self._split("validation")

    @cached_property
    def source(self) -> Source:
        """The data, opened at first use."""
        return with_validation(open_source(self.config.data, self.config.label), self.config.validation)

    @property
    def size(self) -> int:
        """The side of the squares that models are trained on."""
        return self.config.size or self.source.size

    def _split(self, split: Split) -> Pictures:
        found = self.source.splits.get(split)
        if found is None or not len(found):
            raise DataError(f"{self.config.data!r} has no {split} split; it has {', '.join(self.source.splits)}")
        return found

    def baseline(self) -> Vision.Config:
        # Some eight patches a side, and from 128 pixels on those of the usual vision Transformers.
        wanted = 16 if self.size >= 128 else max(2, self.size // 8)
        patch = next(p for p in range(wanted, 0, -1) if self.size % p == 0)
        return cast(Vision.Config, self.adapt(Vision.Config(stem=PatchEmbedding.Config(patch=patch))))

    def adapt(self, model: BaseConfig) -> BaseConfig:
        if not isinstance(model, Vision.Config):
            raise ConfigError(f"classifying images takes a Vision model, which a {model.name()} is not")
        if model.frames is not None:
            raise ConfigError("these data are images, not videos: leave frames out")
        channels = self._split("train").channels
        return model.replace(classes=len(self.source.classes), channels=channels, size=self.size)

    def batches_per_epoch(self, batch_size: int) -> int:
        return max(1, len(self._split("train")) // batch_size)

    def batches(self, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        pictures, size, source, config = self._split("train"), self.size, self.source, self.config
        flip = source.flip if config.flip is None else config.flip
        pad = source.pad if config.pad is None else config.pad
        side = round((config.zoom or source.zoom) * size)
        count = len(pictures)

        @lru_cache(maxsize=2)
        def drawn(epoch: int) -> tuple[np.ndarray, np.ndarray]:
            """The order of an epoch, and three random numbers for each of its images."""
            random = np.random.default_rng([seed, epoch])
            return random.permutation(count), random.random((count, 3), dtype=np.float32)

        def begun(number: int) -> Any:
            examples = (number * world + rank) * batch_size + np.arange(batch_size)
            parts = [(drawn(int(e)), examples[examples // count == e] % count) for e in np.unique(examples // count)]
            chosen = np.concatenate([order[within] for (order, _), within in parts])
            numbers = np.concatenate([random[within] for (_, random), within in parts])
            return pictures.reading(chosen, side), pictures.labels[chosen], numbers

        number, ahead = start, begun(start)
        while True:
            images, labels, numbers = ahead
            ahead = begun(number + 1)  # files of the next batch are decoded while this one is learned from
            mirrored = numbers[:, 2] < 0.5 if flip else None
            yield {"images": view(images(), size, numbers[:, :2], mirrored, pad), "labels": torch.from_numpy(labels)}
            number += 1

    def units(self, batch: Batch) -> int:
        return len(batch["labels"])

    def loss(self, model: Model, batch: Batch) -> Tensor:
        return F.cross_entropy(model(batch["images"]).float(), batch["labels"])

    @torch.no_grad()
    def evaluate(self, model: Model, split: Split = "validation", metrics: Sequence[str] = ()) -> dict[str, Metric]:
        classes = cast(Vision, model).config.classes
        if classes != len(self.source.classes):
            raise ConfigError(f"the data have {len(self.source.classes)} classes, but the model tells {classes} apart")
        if self._learned is not None and self._learned != self.source.classes:
            both = list(zip(self._learned, self.source.classes, strict=True))
            place = next(number for number, (mine, theirs) in enumerate(both) if mine != theirs)
            mine, theirs = both[place]
            raise DataError(f"class {place} of the model is {mine!r}, and {self.config.data!r} has {theirs!r} there")
        names = list(metrics) or [self.headline]
        self.check(names)
        results: dict[str, Metric] = {}
        measured: dict[int, dict[str, float]] = {}

        def at_side(size: int) -> dict[str, float]:
            if size not in measured:
                measured[size] = self._measure(model, split, size)
            return measured[size]

        for name in names:
            kind, _, at = name.partition("@")
            found = at_side(self._size(at))
            if kind == "kept":
                own = at_side(self.size)["accuracy"]
                results[name] = found["accuracy"] / own if own else 0.0
            else:
                results[name] = found[kind]
        return results

    def check(self, metrics: Sequence[str]) -> None:
        super().check(metrics)
        for name in metrics:
            self._size(name.partition("@")[2])

    def _size(self, at: str) -> int:
        """The side that a metric names behind "@": a number of pixels, or "2x" of the training's."""
        try:
            found = round(float(at[:-1]) * self.size) if at.endswith("x") else int(at or self.size)
        except (ValueError, OverflowError):
            found = 0
        if found < 1:
            raise ConfigError(f"{at!r} is no side: write a number of pixels, as @448, or a multiple, as @2x")
        return found

    def examples(
        self, split: Split, size: int | None = None, batch: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """What models are measured on, in order: images (n, C, size, size) and their classes (n,), batch by batch.

        size: the side, where None that of training. batch: at most so many; where None as many as memory allows.
        """
        pictures, size = self._split(split), size or self.size
        numbers = np.linspace(0, len(pictures) - 1, self._measured(split)).round().astype(np.int64)
        for chunk, images in _viewed(pictures, numbers, size, batch):
            yield images, torch.from_numpy(pictures.labels[chunk])

    def _measured(self, split: Split) -> int:
        """How many images of a split models are measured on."""
        every = len(self._split(split))
        return min(self.config.evaluation_images or every, every)

    def _measure(self, model: Model, split: Split, size: int) -> dict[str, float]:
        device = next(model.parameters()).device
        loss = hits = count = 0.0
        was_training = model.training
        model.eval()
        try:
            with progress("measuring", self._measured(split)) as advance:
                for images, classes in self.examples(split, size):
                    labels = classes.to(device)
                    scores = model(images.to(device)).float()
                    loss += float(F.cross_entropy(scores, labels, reduction="sum"))
                    hits += float((scores.argmax(-1) == labels).sum())
                    count += len(labels)
                    advance(len(labels))
        finally:
            model.train(was_training)
        return {"loss": loss / count, "accuracy": hits / count}

    def identity(self) -> str:
        return digest(self.source.classes)

    def trained(self, model: Model, folder: Path) -> None:
        if (folder / _KEPT).is_file():
            self._learned = _learned(folder)[0]

    def save(self, folder: Path) -> None:
        pixels = {"size": self.size, "mean": 0.5, "deviation": 0.5}
        write_json(Path(folder) / _KEPT, {"classes": list(self.source.classes), "pixels": pixels})

    @torch.no_grad()
    def predict(self, model: Model, folder: Path, data: str, every_class: bool = False) -> Iterator[dict[str, Any]]:
        classes, size = _learned(folder)
        path = Path(data).expanduser()
        files = picture_files(path) if path.is_dir() else [path]
        if not files or not path.exists():
            raise DataError(f"there {'are no pictures in' if path.is_dir() else 'is no picture'} {data}")
        pictures = Files(files, np.zeros(len(files)), cast(Vision, model).config.channels)
        device = next(model.parameters()).device
        model.eval()
        with progress("answering", len(files)) as advance:
            for chunk, images in _viewed(pictures, np.arange(len(files)), size):
                said = of_classes(model(images.to(device)).float().cpu(), classes, every_class)
                for row, number in enumerate(chunk):
                    yield {"file": str(files[number]), **{name: column[row] for name, column in said.items()}}
                advance(len(chunk))


def _learned(folder: Path) -> tuple[tuple[str, ...], int]:
    """The classes that a model was taught, and the side of the squares; DataError where they were not kept whole."""
    kept = read_object(folder / _KEPT, "account of the classes of a model of images")
    try:
        return tuple(map(str, kept["classes"])), int(kept["pixels"]["size"])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{folder / _KEPT} is damaged or of another version") from None


def _viewed(
    pictures: Pictures, numbers: np.ndarray, size: int, batch: int | None = None
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Some pictures as models see them outside of training, with their numbers, batch by batch, read one ahead."""
    batch = min(batch or 256, max(1, min(256, _NUMBERS // (pictures.channels * size**2))))
    chunks = [numbers[first : first + batch] for first in range(0, len(numbers), batch)]
    ahead = pictures.reading(chunks[0], size)
    for index, chunk in enumerate(chunks):
        images = ahead
        if index + 1 < len(chunks):
            ahead = pictures.reading(chunks[index + 1], size)
        yield chunk, view(images(), size)
