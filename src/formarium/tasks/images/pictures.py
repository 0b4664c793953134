"""Labelled pictures, in memory or in files, read as bytes with their shorter side at a wanted length."""

import io
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.errors import DataError
from formarium.tasks.task import Split

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})


class Pictures:
    """Pictures of one split. labels: (n,) integers; channels: 1 or 3 of each."""

    def __init__(self, labels: np.ndarray, channels: int) -> None:
        self.labels, self.channels = labels.astype(np.int64), channels

    def __len__(self) -> int:
        return len(self.labels)

    def reading(self, numbers: np.ndarray, side: int | None) -> Callable[[], list[Tensor]]:
        """Begins to read these pictures; the function waits for them: bytes (C, h, w), the shorter of h, w ``side``.

        side: None leaves each picture as large as it is.
        """
        raise NotImplementedError

    def part(self, numbers: np.ndarray) -> "Pictures":
        """These pictures alone."""
        raise NotImplementedError


class Stack(Pictures):
    """Pictures of one size, in memory: bytes (n, C, H, W)."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        super().__init__(labels, images.shape[1])
        self.images = torch.from_numpy(np.ascontiguousarray(images))

    def reading(self, numbers: np.ndarray, side: int | None) -> Callable[[], list[Tensor]]:
        chosen = self.images[torch.from_numpy(np.asarray(numbers))]
        height, width = chosen.shape[2:]
        if side is not None and side != min(height, width):
            size = shorter_at(side, height, width)
            chosen = F.interpolate(chosen, size=size, mode="bilinear", antialias=True)
        return lambda: list(chosen)

    def part(self, numbers: np.ndarray) -> "Stack":
        return Stack(self.images[torch.from_numpy(numbers)].numpy(), self.labels[numbers])


class Files(Pictures):
    """Encoded pictures, decoded in threads when they are asked for; items are paths, for a subclass other things."""

    def __init__(self, items: Sequence[Any], labels: np.ndarray, channels: int = 3) -> None:
        super().__init__(labels, channels)
        self.items = items

    def encoded(self, item: Any) -> tuple[Any, str]:
        """What Pillow opens (a path or a stream), and the name of it in errors."""
        return item, str(item)

    def reading(self, numbers: np.ndarray, side: int | None) -> Callable[[], list[Tensor]]:
        opened = [self.encoded(self.items[int(number)]) for number in numbers]
        futures = [_threads().submit(_decoded, source, name, self.channels, side) for source, name in opened]
        return lambda: [future.result() for future in futures]

    def part(self, numbers: np.ndarray) -> "Files":
        kept = type(self).__new__(type(self))
        kept.__dict__.update(self.__dict__)
        kept.items = _Chosen(self.items, numbers)
        kept.labels = self.labels[numbers]
        return kept


class Encoded(Files):
    """The same where items are the bytes of files."""

    def encoded(self, item: Any) -> tuple[Any, str]:
        return io.BytesIO(item), "a picture of the data set"


class _Chosen(Sequence[Any]):
    """Some items of a sequence, not copied."""

    def __init__(self, items: Sequence[Any], numbers: np.ndarray) -> None:
        self.items, self.numbers = items, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        return self.items[int(self.numbers[index])]


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="pictures")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)  # a copied process has none of the threads


def shorter_at(side: int, height: int, width: int) -> tuple[int, int]:
    """The size at which the shorter side measures ``side`` and the proportions stay."""
    if height <= width:
        return side, max(side, round(width * side / height))
    return max(side, round(height * side / width)), side


def _decoded(source: Any, name: str, channels: int, side: int | None) -> Tensor:
    """A picture as bytes (C, h, w), turned as its camera says, on black where it is transparent."""
    from PIL import Image, ImageOps

    try:
        with Image.open(source) as opened:
            if side is not None:
                opened.draft("RGB", shorter_at(side, opened.height, opened.width)[::-1])  # a JPEG is decoded smaller
            picture = _plain(ImageOps.exif_transpose(opened)).convert("RGB" if channels == 3 else "L")
            if side is not None and side != min(picture.size):
                height, width = shorter_at(side, picture.height, picture.width)
                picture = picture.resize((width, height), Image.Resampling.BILINEAR)
            pixels = np.asarray(picture, dtype=np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{name} is not a readable image: {reason}") from None
    return torch.from_numpy(pixels.copy()).reshape(*pixels.shape[:2], channels).permute(2, 0, 1).contiguous()


def _plain(picture: Any) -> Any:
    """The picture without what a bare conversion would get wrong: transparency, and grey values of 16 bits."""
    from PIL import Image

    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        return Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture.convert("RGBA"))
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture).clip(0, 65535) // 257).astype(np.uint8))
    return picture


@dataclass(frozen=True)
class Source:
    """A data set, and how it is usually trained on.

    splits: at least ``train``. classes: their names. size: the side of the squares that models see. zoom, pad: in
    training the shorter side is brought to zoom times size, and pad black pixels are put on every side, before a square
    is taken. flip: whether a picture and its mirror image are of one class.
    """

    splits: Mapping[Split, Pictures]
    classes: tuple[str, ...]
    size: int
    zoom: float = 1.1
    pad: int = 0
    flip: bool = True


def with_validation(source: Source, share: float) -> Source:
    """The source with a validation split: its own, else a share of each class of training, always the same one."""
    if "validation" in source.splits:
        return source
    training = source.splits["train"]
    held = held_out(training.labels, share)
    kept = np.setdiff1d(np.arange(len(training)), held)
    if not len(held) or not len(kept):
        raise DataError(f"{len(training)} pictures are too few to hold {share:.0%} of each class out for validation")
    splits: dict[Split, Pictures] = {**source.splits, "train": training.part(kept), "validation": training.part(held)}
    return replace(source, splits=splits)


def held_out(labels: np.ndarray, share: float) -> np.ndarray:
    """The numbers of a share of each class (rounded, at least one of two or more), sorted."""
    random = np.random.default_rng(0)
    chosen = []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        count = min(max(1, round(share * len(members))), len(members) - 1)
        chosen.append(members[:count])
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, dtype=np.int64)


def picture_files(folder: Path) -> list[Path]:
    """The pictures anywhere below a folder, sorted, hidden ones left out."""
    found = (p for p in folder.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))
