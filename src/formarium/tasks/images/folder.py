"""A folder of pictures with a folder for each class, as ImageNet's: train/tench/1.JPEG, val/tench/2.JPEG."""

from pathlib import Path

import numpy as np

from formarium.errors import DataError
from formarium.tasks.images.pictures import Files, Pictures, Source, picture_files
from formarium.tasks.task import CALLED


def read_folder(root: Path, size: int = 224) -> Source:
    """The splits of a folder; one without folders ``train`` and ``val`` is all for training.

    Classes are the names of the folders of the training split, in alphabetical order. Raises DataError for a folder
    without pictures, with pictures outside the folders of classes, or with classes that training does not know.
    """
    parts = {CALLED[p.name.lower()]: p for p in _folders(root) if p.name.lower() in CALLED}
    if "train" not in parts:
        if parts:
            raise DataError(f"{root} has {', '.join(sorted(p.name for p in parts.values()))}, but no folder 'train'")
        parts = {"train": root}
    classes = tuple(sorted(p.name for p in _folders(parts["train"]) if picture_files(p)))
    if len(classes) < 2:
        raise DataError(
            f"{parts['train']} has pictures of {len(classes)} classes; lay them out with a folder for each class, as "
            "train/cat/1.jpg and train/dog/2.jpg"
        )
    return Source({split: _split(folder, classes) for split, folder in parts.items()}, classes, size)


def _split(folder: Path, classes: tuple[str, ...]) -> Pictures:
    files: list[Path] = []
    labels: list[int] = []
    for path in _folders(folder):
        found = picture_files(path)
        if found and path.name not in classes:
            raise DataError(f"{path} is of a class that the training split does not have")
        files += found
        labels += [classes.index(path.name)] * len(found) if found else []
    if not files:
        raise DataError(f"{folder} has no pictures in folders of classes, as {folder.name}/{classes[0]}/1.jpg")
    return Files(files, np.array(labels))


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
