"""Image data sets of the Hugging Face hub, or of a folder that ``datasets`` left."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from formarium.config import suggestion
from formarium.errors import DataError
from formarium.tasks.images.pictures import Encoded, Pictures, Source
from formarium.tasks.task import CALLED, Split


def read_hub(name: str, label: str | None = None, size: int = 224) -> Source:
    """The data set ``owner/set``, ``owner/set/configuration`` or a folder; label: its column, where it has several.

    Raises DataError where it cannot be had, and where it has no column of images or of classes.
    """
    import datasets

    path = Path(name).expanduser()
    parts = name.split("/")
    try:
        if path.is_dir():
            loaded: Any = datasets.load_from_disk(str(path))
        else:
            loaded = datasets.load_dataset("/".join(parts[:2]), "/".join(parts[2:]) or None)
    except Exception as error:  # the hub client raises many kinds: absent, private, offline
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"the data set {name!r} of the Hugging Face hub cannot be loaded: {reason}") from None
    tables: dict[str, Any] = dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
    named = {CALLED[part.lower()]: table for part, table in tables.items() if part.lower() in CALLED}
    if "train" not in named:
        raise DataError(f"{name!r} has no training split; it has {', '.join(tables) or 'none'}")
    features = named["train"].features
    image = next((c for c, f in features.items() if isinstance(f, datasets.Image)), None)
    if image is None:
        raise DataError(f"{name!r} has no column of images; its columns are {', '.join(features)}")
    column = _label_column(features, label, name)
    kind = features[column]
    classes = kind.names if isinstance(kind, datasets.ClassLabel) else sorted({*named["train"][column]}, key=str)
    splits: dict[Split, Pictures] = {}
    for split, table in named.items():
        values = table[column]
        if isinstance(kind, datasets.ClassLabel):
            labels = np.asarray(values, dtype=np.int64)
        else:
            number = {value: index for index, value in enumerate(classes)}
            labels = np.array([number.get(value, -1) for value in values], dtype=np.int64)
        if len(labels) and labels.min() < 0:
            if split == "test":
                continue  # as published for many competitions: without answers
            raise DataError(f"the {split} split of {name!r} has rows without a class that the training split knows")
        splits[split] = Encoded(_Column(table.cast_column(image, datasets.Image(decode=False)), image), labels)
    return Source(splits, tuple(str(c) for c in classes), size)


def _label_column(features: Any, label: str | None, name: str) -> str:
    import datasets

    if label is not None:
        if label not in features:
            raise DataError(f"{name!r} has no column {label!r}{suggestion(label, features)}")
        return label
    classes = [c for c, f in features.items() if isinstance(f, datasets.ClassLabel)]
    plain = [c for c in ("label", "labels", "class", "target") if c in features]
    if not classes and not plain:
        raise DataError(f"{name!r} has no column of classes; name one of {', '.join(features)} as label")
    if len(classes) > 1 and "label" not in classes:
        raise DataError(f"{name!r} has several columns of classes; name one of {', '.join(classes)} as label")
    return "label" if "label" in classes or (not classes and "label" in plain) else (classes or plain)[0]


class _Column(Sequence[Any]):
    """The encoded pictures of a table, read row by row."""

    def __init__(self, table: Any, column: str) -> None:
        self.table, self.column = table, column

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: Any) -> Any:
        entry = self.table[int(index)][self.column]
        if entry is None:
            raise DataError(f"row {int(index)} of the data set has no picture")
        return entry["bytes"] if entry.get("bytes") is not None else Path(entry["path"]).read_bytes()
