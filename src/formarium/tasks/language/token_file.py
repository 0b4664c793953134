"""A corpus as token numbers on disk, made once and mapped into memory afterwards.

A folder holds, for each split, ``<split>.bin`` (little-endian uint16, or uint32 for large vocabularies: all documents,
each behind a separator token), and ``index.json`` with the sizes, checksums and the source. Several processes may ask
for the same one at once: the first makes it, the others wait.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from formarium.errors import DataError, FormariumError
from formarium.files import cache_folder, read_object, replacing, write_json
from formarium.progress import notice, progress
from formarium.tasks.language import tokenizers
from formarium.tasks.language.corpus import Document, split_of
from formarium.tasks.language.tokenizers import Tokenizer

_VERSION = 1
_WHOLE_CHECKSUM = 1 << 28  # files up to 256 MiB are checked byte by byte, larger ones at both ends
_BATCH = 64


@dataclass(frozen=True)
class Tokens:
    """One split: ``array`` of token numbers, mapped from disk, and how many bytes of text they stand for."""

    array: np.ndarray
    text_bytes: int

    def __len__(self) -> int:
        return len(self.array)


@dataclass(frozen=True)
class TokenFile:
    """A tokenised corpus: its splits with a checksum of each one's numbers, its tokenizer, and where it lies."""

    splits: dict[str, Tokens]
    checksums: dict[str, str]
    tokenizer: Tokenizer
    folder: Path


def token_file(
    key: str,
    describe: dict[str, Any],
    documents: Callable[[], Iterator[Document]],
    make_tokenizer: Callable[[Callable[[], Iterator[str]]], Tokenizer],
    validation: float,
) -> TokenFile:
    """The token file of that key: opened if it is whole, made (again, if damaged) otherwise.

    documents: the corpus, iterated twice. make_tokenizer: gets the training texts. validation: share of documents.
    Raises DataError for a corpus without text, FormariumError where the cache cannot be written.
    """
    folder = folder_of(key)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"cannot write {folder.parent}: {error.strerror}"
        raise FormariumError(f"{reason}; FORMARIUM_CACHE can name another place") from error
    with FileLock(f"{folder}.lock"):
        if folder.exists():
            try:
                return _opened(folder)
            except DataError as error:
                notice(f"{error}; it is made anew")
        with replacing(folder) as temporary:
            _make(temporary, describe, documents, make_tokenizer, validation)
        return _opened(folder)


def folder_of(key: str) -> Path:
    """Where the token file of that key lies, if there is one."""
    return cache_folder("tokens", key)


def _make(
    folder: Path,
    describe: dict[str, Any],
    documents: Callable[[], Iterator[Document]],
    make_tokenizer: Callable[[Callable[[], Iterator[str]]], Tokenizer],
    validation: float,
) -> None:
    seen: dict[str, str] = {}
    count = characters = 0
    for document in documents():
        seen.setdefault(_fingerprint(document.text), split_of(document, validation))
        count, characters = count + 1, characters + len(document.text)
    if not characters:
        raise DataError(f"the corpus {describe['corpus']!r} holds no text")
    # Where chance left a side empty, as it must with a single document, each is cut in two by position.
    by_position = not {"train", "validation"} <= set(seen.values())

    def unique() -> Iterator[tuple[str, str]]:
        """Each different text once, with its split: a repeated document can then not be on both sides."""
        left = dict(seen)
        for document in documents():
            split = left.pop(_fingerprint(document.text), None)
            if split is None:
                continue
            if by_position and split != "test":
                end = int(len(document.text) * (1 - validation))
                yield "train", document.text[:end]
                yield "validation", document.text[end:]
            else:
                yield split, document.text

    folder.mkdir(parents=True)
    tokenizer = make_tokenizer(lambda: (text for split, text in unique() if split == "train"))
    tokenizer.save(folder)
    dtype = np.dtype("<u2" if tokenizer.vocabulary <= 1 << 16 else "<u4")
    totals: dict[str, dict[str, int]] = {}
    files: dict[str, Any] = {}
    try:
        with progress("tokenising", characters) as advance:
            for batch in _batched(unique(), _BATCH):
                for (split, text), tokens in zip(batch, tokenizer.encode_all([t for _, t in batch]), strict=True):
                    if split not in files:
                        files[split] = (folder / f"{split}.bin").open("wb")
                        totals[split] = {"tokens": 0, "text_bytes": 0, "documents": 0}
                    if isinstance(tokens, bytes):
                        numbers = np.frombuffer(tokens, np.uint8).astype(dtype)
                    else:
                        numbers = np.asarray(tokens, dtype)
                    files[split].write(np.asarray([tokenizer.separator], dtype).tobytes())
                    files[split].write(numbers.tobytes())
                    totals[split]["tokens"] += len(numbers) + 1
                    totals[split]["text_bytes"] += len(text.encode("utf-8"))
                    totals[split]["documents"] += 1
                    advance(len(text))
    finally:
        for file in files.values():
            file.close()
    checksums = {split: _checksum(folder / f"{split}.bin") for split in totals}
    index = {"version": _VERSION, "source": describe, "dtype": dtype.str, "splits": totals, "checksums": checksums}
    write_json(folder / "index.json", index)


def _opened(folder: Path) -> TokenFile:
    index = read_object(folder / "index.json", "token file")
    broken = f"the token file at {folder} is damaged"
    try:
        if index["version"] != _VERSION:
            raise DataError(f"{broken} or of another version")
        splits = {}
        for split, totals in index["splits"].items():
            path = folder / f"{split}.bin"
            if not path.is_file() or _checksum(path) != index["checksums"][split]:
                raise DataError(broken)
            splits[split] = Tokens(np.memmap(path, np.dtype(index["dtype"]), mode="r"), totals["text_bytes"])
        return TokenFile(splits, index["checksums"], tokenizers.load(folder), folder)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(broken) from None


def _checksum(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as file:
        if size <= _WHOLE_CHECKSUM:
            while block := file.read(1 << 22):
                digest.update(block)
        else:
            digest.update(file.read(1 << 24))
            file.seek(-(1 << 24), 2)
            digest.update(file.read())
    return digest.hexdigest()


def _fingerprint(text: str) -> str:
    return hashlib.blake2b(text.strip().encode(), digest_size=16).hexdigest()


def _batched(items: Iterator[tuple[str, str]], size: int) -> Iterator[list[tuple[str, str]]]:
    batch: list[tuple[str, str]] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
