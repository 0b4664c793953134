"""CIFAR-10 and CIFAR-100 out of their Python archives, read without trusting them (Krizhevsky 2009)."""

import io
import pickle
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from formarium.errors import DataError
from formarium.files import cache_folder, data_folder
from formarium.tasks.data import DataFile, find, locate
from formarium.tasks.images.pictures import Pictures, Source, Stack
from formarium.tasks.task import Split

_SITE = "https://www.cs.toronto.edu/~kriz"
ARCHIVES = {
    "cifar10": DataFile(
        "images/cifar-10-python.tar.gz",
        f"{_SITE}/cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    "cifar100": DataFile(
        "images/cifar-100-python.tar.gz",
        f"{_SITE}/cifar-100-python.tar.gz",
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    ),
}
_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}


def read_cifar(name: str, kind: str | None = None) -> Source:
    """The pictures of ``cifar10`` or ``cifar100``: 50,000 to train on and 10,000 to test.

    kind: which labels of CIFAR-100, ``fine`` (100 classes, where None) or ``coarse`` (20). The archive, or the folder
    that it unpacks to, may lie in ``images`` of the data folder; else the archive is fetched.
    """
    with _members(name) as read:
        if name == "cifar10":
            batches = [read(f"data_batch_{number}") for number in range(1, 6)]
            test, labels, names = read("test_batch"), b"labels", read("batches.meta")[b"label_names"]
        else:
            if kind not in (None, "fine", "coarse"):
                raise DataError(f"CIFAR-100 has fine and coarse labels, not {kind!r}")
            key = (kind or "fine").encode()
            batches, test, labels = [read("train")], read("test"), key + b"_labels"
            names = read("meta")[key + b"_label_names"]
    try:
        classes = tuple(_text(word) for word in names)
        splits: dict[Split, Pictures] = {"train": _stack(batches, labels), "test": _stack([test], labels)}
        return Source(splits, classes, size=32, zoom=1.0, pad=4)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"the files of {name} do not hold what those of CIFAR hold: {error}") from None


def _stack(batches: list[Any], labels: bytes) -> Stack:
    images = np.concatenate([np.asarray(batch[b"data"], dtype=np.uint8) for batch in batches]).reshape(-1, 3, 32, 32)
    return Stack(images, np.concatenate([np.asarray(batch[labels], dtype=np.int64) for batch in batches]))


def _text(word: Any) -> str:
    return str(word.decode() if isinstance(word, bytes) else word)


@contextmanager
def _members(name: str) -> Iterator[Any]:
    """A function that reads a file of the archive, from the archive itself or the folder that it unpacks to."""
    folder = next((f for f in _places(_FOLDERS[name]) if f.is_dir()), None)
    if folder is not None and find(ARCHIVES[name]) is None:
        yield lambda member: restricted_unpickle(_bytes(folder / member), str(folder / member))
        return
    archive = locate(ARCHIVES[name])
    try:
        with tarfile.open(archive) as tar:

            def read(member: str) -> Any:
                path = f"{_FOLDERS[name]}/{member}"
                try:
                    file = tar.extractfile(path)
                except KeyError:
                    file = None
                if file is None:
                    raise DataError(f"{archive} has no {path}")
                return restricted_unpickle(file.read(), f"{path} of {archive}")

            yield read
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{archive} is damaged or truncated: {error}") from None


def _places(folder: str) -> list[Path]:
    return [root / "images" / folder for root in (data_folder(), cache_folder("data")) if root is not None]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


class _Arrays(pickle.Unpickler):
    """Reads pickles of plain values and numpy arrays, and nothing else.

    A pickle is a program: it may name any function of any module and call it. The archives are published as pickles,
    and whoever hands one on may have put such a call in. What arrays are made of are three names of numpy, none of
    which does anything but allocate; dictionaries, lists, numbers and texts need no name at all. So every other name is
    refused before it is looked up, and no code of the file's choosing runs.
    """

    _ALLOWED = frozenset(
        (module, name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")
        for name in ("_reconstruct", "ndarray", "dtype")
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _bytes_of
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which data have no use for")
        if name == "_reconstruct":
            return _allocated
        return getattr(np, name)


def _allocated(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    """An empty array, which the pickle then fills: what numpy's own function of this place does, for arrays alone."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"it makes an array of the kind {kind!r}")
    return np.ndarray(shape, dtype=np.int8)


def _bytes_of(text: str, encoding: str) -> bytes:
    """The bytes that a pickle of a protocol without bytes has as text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it has bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def restricted_unpickle(data: bytes, name: str) -> Any:
    """The plain values and arrays of a pickle, texts of Python 2 as bytes; DataError for anything else in it."""
    try:
        return _Arrays(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises whatever its program runs into
        raise DataError(f"{name} is no plain pickle of arrays: {error}") from None
