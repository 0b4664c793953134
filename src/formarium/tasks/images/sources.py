"""Pictures from wherever they lie: a named set, a folder with a folder for each class, or the Hugging Face hub."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from formarium.config import ConfigError, suggestion
from formarium.errors import DataError
from formarium.tasks.images.cifar import read_cifar
from formarium.tasks.images.folder import read_folder
from formarium.tasks.images.hub import read_hub
from formarium.tasks.images.pictures import Source, Stack
from formarium.tasks.images.textures import read_textures


def read_digits() -> Source:
    """The 1797 handwritten digits of scikit-learn, 8 x 8 grey pixels (the test set of the UCI collection of 1998)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images * (255 / 16)).round().astype(np.uint8)[:, None]
    return Source({"train": Stack(images, digits.target)}, tuple("0123456789"), size=8, zoom=1.0, pad=1, flip=False)


NAMED: dict[str, Callable[[str | None], Source]] = {
    "digits": lambda label: read_digits(),
    "textures": lambda label: read_textures(),
    "cifar10": lambda label: read_cifar("cifar10"),
    "cifar100": lambda label: read_cifar("cifar100", label),
}


def open_source(data: str, label: str | None = None) -> Source:
    """The data set of that name; DataError, in a sentence, for one that is not there, ConfigError for a label too many.

    data: ``digits``, ``textures`` (both on every machine), ``cifar10``, ``cifar100``, a folder laid out as ImageNet's,
    or ``hf:owner/set``. label: which labels, where there are several (``fine`` or ``coarse`` of CIFAR-100, a column).
    """
    if label is not None and data != "cifar100" and not data.startswith("hf:"):
        raise ConfigError(
            f"label={label!r} chooses between labels of cifar100 or of a set of the hub; {data!r} has one"
        )
    if data in NAMED:
        return NAMED[data](label)
    if data.startswith("hf:"):
        return read_hub(data.removeprefix("hf:"), label)
    path = Path(data).expanduser()
    if not data.strip() or not path.is_dir():
        hint = suggestion(data, NAMED) if "/" not in data else ""
        raise DataError(f"no pictures at {data!r}: no such folder, and no data set of that name{hint}")
    return read_folder(path)
