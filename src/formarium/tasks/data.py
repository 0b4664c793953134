"""Finding named data, in the user's data folder, in the cache, or by a checksummed download; and telling data apart."""

import hashlib
import http.client
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from formarium.errors import DataError
from formarium.files import cache_folder, data_folder, replacing
from formarium.progress import progress

_CHUNK = 1 << 20


@dataclass(frozen=True)
class DataFile:
    """A published file of data.

    path: where it lies below ``FORMARIUM_DATA`` and below the cache. url: the canonical source; empty where none can be
    fetched. sha256: of the file as fetched from there (the data folder may hold it compressed; it is trusted).
    """

    path: str
    url: str = ""
    sha256: str = ""
    licence: str = ""


def digest_of_arrays(*arrays: np.ndarray | None) -> str:
    """Hexadecimal digits that change with any number, shape or type of arrays, and with which of them are absent."""
    seen = hashlib.blake2b(digest_size=16)
    for array in arrays:
        seen.update(b"-" if array is None else f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return seen.hexdigest()


def find(file: DataFile) -> Path | None:
    """The file in the data folder or the cache, as it is or with .gz behind its name; None where it is in neither."""
    places = [root for root in (data_folder(), cache_folder("data")) if root is not None]
    for root in places:
        for path in (root / file.path, root / f"{file.path}.gz"):
            if path.is_file():
                return path
    return None


def locate(file: DataFile) -> Path:
    """The file in the data folder or the cache, else fetched from its source into the cache.

    Raises DataError, saying where to put the file by hand, when it cannot be fetched or arrives damaged.
    """
    found = find(file)
    return found if found is not None else _fetch(file)


def _fetch(file: DataFile) -> Path:
    by_hand = f"put it at {file.path} below a folder that the environment variable FORMARIUM_DATA names"
    if not file.url:
        raise DataError(f"{Path(file.path).name} is not on this machine and cannot be fetched; {by_hand}")
    target = cache_folder("data") / file.path

    def unreachable(reason: object) -> DataError:
        return DataError(f"{target.name} could not be fetched from {file.url} ({reason}); {by_hand}")

    try:
        response = urllib.request.urlopen(file.url, timeout=30)
    except (OSError, http.client.HTTPException) as error:
        raise unreachable(getattr(error, "reason", error)) from None
    digest, received = hashlib.sha256(), 0
    with response, replacing(target) as temporary:
        total = int(response.headers.get("Content-Length") or 0) or None
        with temporary.open("wb") as out, progress(f"fetching {target.name}", total) as advance:
            for block in _blocks(response, unreachable):
                digest.update(block)
                out.write(block)
                received += len(block)
                advance(len(block))
        if total is not None and received < total:
            raise unreachable(f"the connection ended after {received:,} of {total:,} bytes")
        if file.sha256 and digest.hexdigest() != file.sha256:
            raise DataError(f"{file.url} arrived damaged or has changed: its checksum is not the known one; {by_hand}")
    return target


def _blocks(response: http.client.HTTPResponse, unreachable: Callable[[object], DataError]) -> Iterator[bytes]:
    while True:
        try:
            block = response.read(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(error) from None
        if not block:
            return
        yield block
