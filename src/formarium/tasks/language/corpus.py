"""Text from wherever it lies: a named corpus, files of text, JSON lines or Parquet, or the Hugging Face hub.

A corpus is a list of documents in a fixed order. Named corpora: ``stdlib`` (the running Python's own sources and
documentation, on every machine), ``tiny-shakespeare``, ``war-and-peace``, ``wikitext-2``.
"""

import glob
import gzip
import hashlib
import json
import sys
import sysconfig
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from formarium.config import suggestion
from formarium.errors import DataError
from formarium.progress import notice
from formarium.tasks.data import DataFile, locate

_TEXT_COLUMNS = ("text", "content", "document", "story")


@dataclass(frozen=True)
class Document:
    """A piece of text and the split it belongs to; without one, the split follows from the text itself."""

    name: str
    text: str
    split: str | None = None


_RAW = "https://raw.githubusercontent.com"
_SHAKESPEARE = DataFile(
    path="text/tiny_shakespeare.txt",
    url=f"{_RAW}/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    licence="public domain",
)
_WAR_AND_PEACE = DataFile(path="text/war_and_peace.txt", licence="public domain in the USA")
_WIKITEXT = f"{_RAW}/pytorch/examples/77f55b912142e11fcfdf5b530231fb9c52f181e8/word_language_model/data/wikitext-2"
_WIKITEXT_TRAIN = DataFile(path="text/wikitext2_train.txt", url=f"{_WIKITEXT}/train.txt", licence="CC BY-SA 3.0")
_WIKITEXT_VALID = DataFile(
    path="text/wikitext2_valid.txt",
    url=f"{_WIKITEXT}/valid.txt",
    sha256="f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
    licence="CC BY-SA 3.0",
)
_WIKITEXT_TEST = DataFile(
    path="text/wikitext2_test.txt",
    url=f"{_WIKITEXT}/test.txt",
    sha256="d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
    licence="CC BY-SA 3.0",
)


def documents(source: str) -> Iterator[Document]:
    """The documents of a source, in a fixed order; DataError, in a sentence, for one that cannot be read.

    source: a name (see above), a path or pattern of text, .jsonl or .parquet files (text also as .gz), or
    ``hf:owner/set`` (``hf:owner/set/configuration``) for a data set of the Hugging Face hub.
    """
    if source in NAMED:
        yield from NAMED[source]()
    elif source.startswith("hf:"):
        yield from _hub(source.removeprefix("hf:"))
    else:
        for file in files(source):
            yield from _file(file)


def _standard_library() -> Iterator[Document]:
    """The standard library's sources without its tests, and the text of its built-in reference documentation."""
    root = Path(sysconfig.get_paths()["stdlib"])
    skipped = {"site-packages", "dist-packages", "__pycache__", "idlelib", "lib2to3", "turtledemo"}
    for path in sorted(root.rglob("*.py")):
        folders = path.relative_to(root).parts[:-1]
        if any(f in skipped or f in ("test", "tests", "idle_test") for f in folders):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue  # a few files are in other encodings on purpose
        if text.strip():
            yield Document(path.relative_to(root).as_posix(), text)
    from pydoc_data import topics

    for name, text in sorted(topics.topics.items()):
        yield Document(f"topics/{name}", text)


def _war_and_peace() -> Iterator[Document]:
    yield from _ordered(_WAR_AND_PEACE, train=0.9, validation=0.05)


def _tiny_shakespeare() -> Iterator[Document]:
    yield from _ordered(_SHAKESPEARE, train=0.9, validation=0.1)


def _ordered(file: DataFile, train: float, validation: float) -> Iterator[Document]:
    """One text in the customary split by position: first train, then validation, then what is left for test."""
    name, text = Path(file.path).stem, read_text(locate(file))
    ends = (0, int(len(text) * train), int(len(text) * (train + validation) + 0.5), len(text))
    for split, start, end in zip(("train", "validation", "test"), ends, ends[1:], strict=False):
        if end > start:
            yield Document(f"{name}/{split}", text[start:end], split)


def _wikitext() -> Iterator[Document]:
    """WikiText-2 in its official splits (Merity et al. 2016).

    Where the training split is neither at hand nor to be fetched, the validation split is trained on and the test split
    evaluated: for plumbing and relative comparisons, never to be held against published perplexities.
    """
    training = wikitext_training()
    valid, test = read_text(locate(_WIKITEXT_VALID)), read_text(locate(_WIKITEXT_TEST))
    if training is None:
        yield Document("wikitext2/valid", valid, "train")
        yield Document("wikitext2/test", test, "validation")
    else:
        yield Document("wikitext2/train", read_text(training), "train")
        yield Document("wikitext2/valid", valid, "validation")
        yield Document("wikitext2/test", test, "test")


@cache
def wikitext_training() -> Path | None:
    """The training split of WikiText-2, fetched if need be; None, with a notice, where it is not to be had."""
    try:
        return locate(_WIKITEXT_TRAIN)
    except DataError as error:
        notice(f"WikiText-2 without its training split: training on validation, evaluating on test. {error}")
        return None


NAMED: dict[str, Callable[[], Iterator[Document]]] = {
    "stdlib": _standard_library,
    "tiny-shakespeare": _tiny_shakespeare,
    "war-and-peace": _war_and_peace,
    "wikitext-2": _wikitext,
}


def files(source: str) -> list[Path]:
    """The files of a path or pattern, sorted; DataError where there are none."""
    path = Path(source).expanduser()
    if not source.strip():
        found = []
    elif path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.is_file() and not _hidden(p.relative_to(path)))
    elif path.is_file():
        found = [path]
    else:
        found = sorted(Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file())
    if not found and path.is_dir() and source.strip():
        raise DataError(f"no text at {source!r}: the folder holds no files")
    if not found:
        hint = suggestion(source, NAMED) if "/" not in source and "." not in source else ""
        raise DataError(f"no text at {source!r}: no such file, folder or pattern, and no corpus of that name{hint}")
    return found


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _file(path: Path) -> Iterator[Document]:
    kind = path.name.removesuffix(".gz").rsplit(".", 1)[-1]
    if kind in ("jsonl", "ndjson"):
        # Not splitlines: JSON texts may hold other characters that end lines, as U+2028.
        for number, line in enumerate(read_text(path).split("\n"), 1):
            if line.strip():
                text = _field(_json(line, path, number), f"{path}, line {number},")
                if text.strip():
                    yield Document(f"{path.name}:{number}", text)
    elif kind == "parquet":
        yield from _parquet(path)
    else:
        text = read_text(path)
        if text.strip():
            yield Document(str(path), text)


def _json(line: str, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {number}, is not JSON: {error.msg}") from None


def _field(row: Any, where: str) -> str:
    """The text of a row: itself, its entry of a customary name (empty where that is null), or its first text."""
    text = row
    if isinstance(row, dict):
        named = next((column for column in _TEXT_COLUMNS if isinstance(row.get(column, 0), str | None)), None)
        text = row[named] or "" if named else next((value for value in row.values() if isinstance(value, str)), None)
    if not isinstance(text, str):
        raise DataError(f"{where} has no text: expected a string, or an entry {' or '.join(map(repr, _TEXT_COLUMNS))}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{where} is not text: character {error.start} is half of a surrogate pair") from None
    return text


def _parquet(path: Path) -> Iterator[Document]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
        strings = [f.name for f in table.schema_arrow if pyarrow.types.is_string(f.type) or _large(f.type)]
        column = next((c for c in (*_TEXT_COLUMNS, *strings) if c in strings), None)
        if column is None:
            raise DataError(f"{path} has no column of text; its columns are {', '.join(table.schema_arrow.names)}")
        number = 0
        for batch in table.iter_batches(columns=[column]):
            for value in batch.column(0).to_pylist():
                number += 1
                if value and value.strip():
                    yield Document(f"{path.name}:{number}", value)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}") from None


def _large(kind: Any) -> bool:
    import pyarrow

    return bool(pyarrow.types.is_large_string(kind))


def _hub(name: str) -> Iterator[Document]:
    """A data set of the Hugging Face hub, or one that ``datasets`` left in a local folder."""
    import datasets

    path = Path(name).expanduser()
    owner_and_set, configuration = ("/".join(name.split("/")[:2]), "/".join(name.split("/")[2:]) or None)
    try:
        if path.is_dir():
            loaded: Any = datasets.load_from_disk(str(path))
        else:
            loaded = datasets.load_dataset(owner_and_set, configuration)
    except Exception as error:  # the hub client raises many kinds: absent, private, offline
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"the data set {name!r} of the Hugging Face hub cannot be loaded: {reason}") from None
    parts = loaded if isinstance(loaded, dict) else {"": loaded}
    # Without a validation split of its own, one is taken out of the rest.
    divided = {"train", "validation"} <= {_SPLITS.get(part) for part in parts}
    for part, rows in parts.items():
        split = _SPLITS.get(part)
        for number, row in enumerate(rows):
            text = _field(row, f"row {number} of {name}")
            if text.strip():
                yield Document(f"{name}/{part}/{number}", text, split if divided or split == "test" else None)


_SPLITS = {"train": "train", "test": "test"} | dict.fromkeys(("validation", "valid", "val", "dev"), "validation")


def read_text(path: Path) -> str:
    """A text file, decompressed where it ends in .gz; DataError for bytes that are not UTF-8 text."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text: byte {error.start} cannot be read; convert it, or leave it out"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def split_of(document: Document, validation: float) -> str:
    """``train`` or ``validation``: the document's own, else by a hash of its text, so that equals stay together."""
    if document.split is not None:
        return document.split
    digest = hashlib.sha256(document.text.strip().encode()).digest()
    return "validation" if int.from_bytes(digest[:8]) < validation * 2**64 else "train"


def python_version() -> str:
    """What the ``stdlib`` corpus depends on."""
    return f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
