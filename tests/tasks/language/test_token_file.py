"""Token files: made once, used again, made anew when damaged, and never with a text on both sides."""

import json
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formarium.errors import DataError, FormariumError
from formarium.files import cache_folder
from formarium.tasks.language.corpus import Document
from formarium.tasks.language.token_file import TokenFile, _checksum, token_file
from formarium.tasks.language.tokenizers import Bytes, Tokenizer, train_subwords

DESCRIBED = {"corpus": "test"}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMARIUM_CACHE", str(tmp_path / "cache"))


def made(
    documents: Sequence[Document], validation: float = 0.3, key: str = "key", log: list[str] | None = None
) -> TokenFile:
    def tokenizer(texts: Any) -> Tokenizer:
        if log is not None:
            log.append("made")
        return Bytes()

    return token_file(key, DESCRIBED, lambda: iter(documents), tokenizer, validation)


def of(*texts: str, split: str | None = None) -> list[Document]:
    return [Document(str(number), text, split) for number, text in enumerate(texts)]


def sides(file: TokenFile) -> dict[str, list[str]]:
    """The documents of each split, in their order."""
    found = {}
    for split, tokens in file.splits.items():
        starts = np.flatnonzero(tokens.array == file.tokenizer.separator)
        assert starts[0] == 0
        found[split] = [file.tokenizer.decode(piece.tolist()) for piece in np.split(tokens.array, starts[1:])]
    return found


MANY = of(*(f"document {number}" for number in range(40)))


def test_every_document_stands_behind_a_separator() -> None:
    file = made(MANY)
    found = sides(file)
    assert sorted(found["train"] + found["validation"]) == sorted(document.text for document in MANY)
    assert 0 < len(found["validation"]) < 30
    for split, texts in found.items():
        assert file.splits[split].text_bytes == sum(len(text.encode()) for text in texts)
        assert len(file.splits[split]) == file.splits[split].text_bytes + len(texts)
    assert isinstance(file.splits["train"].array, np.memmap)


def test_it_is_made_once_and_used_again() -> None:
    log: list[str] = []
    first = made(MANY, log=log)
    again = made([], log=log)  # nobody reads the documents again
    assert log == ["made"]
    assert sides(first) == sides(again)
    made(MANY, key="other", log=log)
    assert log == ["made", "made"]


def test_large_vocabularies_take_wide_numbers() -> None:
    class Wide(Bytes):
        vocabulary = 70_000
        separator = 69_999

    file = token_file("wide", DESCRIBED, lambda: iter(MANY), lambda texts: Wide(), 0.3)
    assert file.splits["train"].array.dtype == np.dtype("<u4")
    assert file.splits["train"].array[0] == 69_999
    assert made(MANY).splits["train"].array.dtype == np.dtype("<u2")


def test_a_tokenizer_learns_from_training_texts_only() -> None:
    learnt: list[str] = []

    def tokenizer(texts: Any) -> Tokenizer:
        learnt.extend(texts())
        return train_subwords(learnt, 300)

    file = token_file("bpe", DESCRIBED, lambda: iter(MANY), tokenizer, 0.3)
    assert learnt == sides(file)["train"]


# -------------------------------------------------------------------------------------------------------------- splits


@given(
    st.lists(st.tuples(st.sampled_from("abcdefghijkl"), st.sampled_from(["", " ", "\n"])), min_size=1, max_size=30),
    st.floats(0.1, 0.9),
)
def test_no_text_is_on_both_sides(words: list[tuple[str, str]], validation: float) -> None:
    # Longer than any piece that two different documents share.
    documents = of(*(space + letter * 20 + space for letter, space in words))
    with tempfile.TemporaryDirectory() as cache, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORMARIUM_CACHE", cache)
        found = sides(made(documents, validation))
        assert set(found) == {"train", "validation"}
        together = [text.strip() for texts in found.values() for text in texts]
    whole = {document.text.strip() for document in documents}
    if all(text in whole for text in together):
        assert not {t.strip() for t in found["train"]} & {t.strip() for t in found["validation"]}
        assert sorted(together) == sorted(whole)  # each once, however often it came
    else:
        # Chance left a side empty: each document is cut, its end held out.
        cut = [(a + b).strip() for a, b in zip(found["train"], found["validation"], strict=True)]
        assert sorted(cut) == sorted(whole)


def test_a_single_document_is_cut_at_its_end() -> None:
    text = "".join(chr(97 + number % 26) for number in range(1000))
    assert sides(made(of(text), 0.1)) == {"train": [text[:900]], "validation": [text[900:]]}


def test_a_side_that_chance_leaves_empty_is_cut_from_each_document() -> None:
    few = of("a" * 100, "b" * 100, "c" * 100)
    assert sides(made(few, 1e-9)) == {
        "train": ["a" * 99, "b" * 99, "c" * 99],
        "validation": ["a", "b", "c"],
    }
    assert sides(made(few, 1 - 1e-9, key="other"))["validation"] == ["a" * 100, "b" * 100, "c" * 100]


def test_splits_that_documents_name_are_kept() -> None:
    documents = [*of("one", "two", split="train"), *of("three", split="validation"), *of("four", "one", split="test")]
    # What comes again under another name stays where it was first.
    assert sides(made(documents)) == {"train": ["one", "two"], "validation": ["three"], "test": ["four"]}
    tested = [*of("a" * 10, split="train"), *of("b" * 10, split="test")]
    assert sides(made(tested, 0.5, key="other")) == {"train": ["a" * 5], "validation": ["a" * 5], "test": ["b" * 10]}


# ------------------------------------------------------------------------------------------------------------- trouble


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "train.bin").write_bytes((folder / "train.bin").read_bytes()[:-2]),
        lambda folder: (folder / "train.bin").write_bytes(b"\1\1" + (folder / "train.bin").read_bytes()[2:]),
        lambda folder: (folder / "validation.bin").unlink(),
        lambda folder: (folder / "index.json").unlink(),
        lambda folder: (folder / "index.json").write_text("{"),
        lambda folder: (folder / "index.json").write_text("[]"),
        lambda folder: (folder / "index.json").write_text('{"version": 1, "splits": []}'),
        lambda folder: (folder / "index.json").write_text('{"version": 0}'),
        lambda folder: (folder / "index.json").write_text('{"version": 1, "splits": {"train": {}}, "checksums": {}}'),
        lambda folder: (folder / "tokenizer.json").write_text("{"),
        lambda folder: (folder / "tokenizer.json").unlink(),
    ],
    ids=range(11),
)
def test_a_damaged_file_is_made_anew_with_a_notice(damage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    log: list[str] = []
    whole = sides(made(MANY, log=log))
    folder = cache_folder("tokens", "key")
    damage(folder)
    assert sides(made(MANY, log=log)) == whole
    assert log == ["made", "made"]
    said = capsys.readouterr().err
    assert str(folder) in said
    assert said.endswith("; it is made anew\n")
    made([], log=log)
    assert log == ["made", "made"]


def test_changes_at_the_ends_of_large_files_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate((1 << 28) + 5)  # holds nothing: no space is taken
    sums = [_checksum(path)]
    for place in (0, (1 << 28) + 4):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"x")
        sums.append(_checksum(path))
    with path.open("r+b") as file:
        file.truncate((1 << 28) + 6)
    assert len({*sums, _checksum(path)}) == 4


@pytest.mark.parametrize("documents", [[], of(""), of("", "")])
def test_a_corpus_without_text_is_refused_and_leaves_nothing(documents: list[Document]) -> None:
    with pytest.raises(DataError, match="the corpus 'test' holds no text"):
        made(documents)
    assert [path.name for path in cache_folder("tokens").iterdir()] == ["key.lock"]


def test_a_corpus_that_fails_half_way_leaves_nothing() -> None:
    def documents() -> Iterator[Document]:
        nonlocal passes
        passes += 1
        yield from MANY
        if passes == 2:
            raise DataError("broken")

    passes = 0
    with pytest.raises(DataError, match="broken"):
        token_file("key", DESCRIBED, documents, lambda texts: Bytes(), 0.3)
    assert [path.name for path in cache_folder("tokens").iterdir()] == ["key.lock"]


_MAKE = """
import pathlib, sys, time
from formarium.tasks.language.corpus import Document
from formarium.tasks.language.token_file import token_file
from formarium.tasks.language.tokenizers import Bytes
folder, own = pathlib.Path(sys.argv[1]), sys.argv[2]
documents = [Document(str(n), f"document {n}") for n in range(40)]
def tokenizer(texts):
    with (folder / "log").open("a") as log:
        log.write(own + "\\n")
    time.sleep(0.3)
    return Bytes()
(folder / own).touch()
while not all((folder / name).exists() for name in ("one", "other")):
    time.sleep(0.01)
print(len(token_file("key", {"corpus": "test"}, lambda: iter(documents), tokenizer, 0.3).splits["train"]))
"""


def test_two_processes_at_once_make_it_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MAKE, str(tmp_path)]
    both = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in ("one", "other")]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1] == f"{len(made(MANY).splits['train'])}\n"
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_a_killed_maker_leaves_nothing_half_written(tmp_path: Path) -> None:
    program = _MAKE.replace("time.sleep(0.3)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    (tmp_path / "other").touch()
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path), "one"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not cache_folder("tokens", "key").exists()
    log: list[str] = []
    assert set(sides(made(MANY, log=log))) == {"train", "validation"}
    assert log == ["made"]


def _small_files_only() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    program = (
        "from formarium.errors import FormariumError\n"
        "from formarium.tasks.language.corpus import Document\n"
        "from formarium.tasks.language.token_file import token_file\n"
        "from formarium.tasks.language.tokenizers import Bytes\n"
        "documents = [Document(str(n), 'much text ' * 1000 + str(n)) for n in range(9)]\n"
        "try: token_file('key', {'corpus': 'test'}, lambda: iter(documents), lambda texts: Bytes(), 0.3)\n"
        "except FormariumError as error: print(error)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, preexec_fn=_small_files_only, capture_output=True, text=True, check=True)
    folder = cache_folder("tokens", "key")
    assert done.stdout == f"cannot write {folder}: File too large; nothing was changed there\n"
    assert [path.name for path in folder.parent.iterdir()] == ["key.lock"]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FORMARIUM_CACHE", str(tmp_path / "file"))
    with pytest.raises(FormariumError, match=r"cannot write .*file/tokens: Not a directory; FORMARIUM_CACHE can name"):
        made(MANY)


def test_the_index_says_what_it_was_made_from() -> None:
    made(MANY)
    index = json.loads((cache_folder("tokens", "key") / "index.json").read_text())
    assert index["source"] == DESCRIBED
    assert index["splits"]["train"]["documents"] + index["splits"]["validation"]["documents"] == 40
