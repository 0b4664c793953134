"""Text from wherever it lies, and what a person reads where it cannot be read."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from formarium.errors import DataError
from formarium.tasks.data import DataFile
from formarium.tasks.language import corpus
from formarium.tasks.language.corpus import Document, documents, files, split_of


def texts(source: object) -> list[str]:
    return [document.text for document in documents(str(source))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "a.txt").write_text("first ä")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "c.txt.gz").write_bytes(gzip.compress(b"third"))
    (tmp_path / "inner" / "d.jsonl").write_text('{"text": "fourth"}\n"fifth"\n')
    (tmp_path / "blank.txt").write_text(" \n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "object").write_bytes(b"\xff")
    (tmp_path / ".hidden.txt").write_text("hidden")
    return tmp_path


def test_a_file_a_folder_and_a_pattern(folder: Path) -> None:
    assert texts(folder / "a.txt") == ["first ä"]
    assert texts(folder) == ["first ä", "second", "third", "fourth", "fifth"]
    assert texts(folder / "*.txt") == ["first ä", "second"]
    assert texts(folder / "**" / "*.gz") == ["third"]
    names = [document.name for document in documents(str(folder / "inner"))]
    assert len(set(names)) == 3
    assert all(document.split is None for document in documents(str(folder)))


def test_a_path_from_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert texts("~/a.txt") == ["first ä"]


def test_json_lines_hold_texts_or_rows_with_a_text(tmp_path: Path) -> None:
    rows: list[Any] = [
        "plain",
        {"id": 3, "content": "content", "title": "title"},
        {"title": "title", "text": "text"},
        {"id": 7, "anything": "anything"},
        {"text": None, "title": "not this"},
        {"text": ""},
        "line\u2028separator, form\x0cfeed and \x85 stay in one text",
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (tmp_path / "rows.jsonl").write_text("\r\n".join(lines[:4]) + "\n\n" + "\n".join(lines[4:]))
    expected = ["plain", "content", "text", "anything", rows[-1]]
    assert texts(tmp_path / "rows.jsonl") == expected
    (tmp_path / "rows.ndjson.gz").write_bytes(gzip.compress((tmp_path / "rows.jsonl").read_bytes()))
    assert texts(tmp_path / "rows.ndjson.gz") == expected


def _parquet(path: Path, columns: dict[str, list[Any]]) -> Path:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def test_parquet(tmp_path: Path) -> None:
    named = _parquet(tmp_path / "a.parquet", {"title": ["t", "t"], "text": ["one", "two"], "n": [1, 2]})
    assert texts(named) == ["one", "two"]
    other = _parquet(tmp_path / "b.parquet", {"n": [1, 2, 3, 4], "words": ["three", None, "", "four"]})
    assert texts(other) == ["three", "four"]
    assert texts(tmp_path) == ["one", "two", "three", "four"]
    import pyarrow

    large = _parquet(tmp_path / "c.parquet", {"text": pyarrow.array(["five"], pyarrow.large_string())})
    assert texts(large) == ["five"]


def test_a_data_set_on_disk(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_dict({"text": ["one", "two", " "], "label": [0, 1, 0]})
    rows.save_to_disk(str(tmp_path / "flat"))
    found = list(documents(f"hf:{tmp_path / 'flat'}"))
    assert [(d.text, d.split) for d in found] == [("one", None), ("two", None)]
    parts = {"train": rows, "valid": rows.select([0]), "test": rows.select([1])}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "divided"))
    found = list(documents(f"hf:{tmp_path / 'divided'}"))
    assert [(d.text, d.split) for d in found] == [
        ("one", "train"),
        ("two", "train"),
        ("one", "validation"),
        ("two", "test"),
    ]


def test_a_data_set_without_a_validation_split_is_divided_by_hash(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = datasets.Dataset.from_dict({"content": ["one", "two"]})
    datasets.DatasetDict({"train": rows, "test": rows.select([0])}).save_to_disk(str(tmp_path / "set"))
    found = list(documents(f"hf:{tmp_path / 'set'}"))
    assert [d.split for d in found] == [None, None, "test"]


def test_a_data_set_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    with pytest.raises(DataError, match=r"the data set '.*' of the Hugging Face hub cannot be loaded: .*"):
        list(documents(f"hf:{tmp_path}"))

    def nobody(*_: object) -> None:
        raise ConnectionError("no network\nand a long story")

    monkeypatch.setattr(datasets, "load_dataset", nobody)
    with pytest.raises(DataError) as caught:
        list(documents("hf:owner/set/part"))
    assert str(caught.value) == "the data set 'owner/set/part' of the Hugging Face hub cannot be loaded: no network"


def test_a_set_of_the_hub_is_named_with_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    asked = []

    def loaded(*arguments: object) -> dict[str, list[dict[str, str]]]:
        asked.append(arguments)
        return {"train": [{"story": "once"}]}

    monkeypatch.setattr(datasets, "load_dataset", loaded)
    assert texts("hf:owner/set/part") == texts("hf:owner/set") == ["once"]
    assert asked == [("owner/set", "part"), ("owner/set", None)]


def test_the_standard_library_is_there_without_its_tests() -> None:
    found = list(documents("stdlib"))
    names = [document.name for document in found]
    assert names == [document.name for document in documents("stdlib")]
    assert "json/decoder.py" in names
    assert "topics/assert" in names
    assert not [name for name in names if re.match(r"(.*/)?(test|tests|site-packages|idlelib)/", name)]
    assert sum(len(document.text) for document in found) > 5_000_000


@pytest.fixture
def named(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data folder, with a corpus's training split that nobody can fetch."""
    monkeypatch.setenv("FORMARIUM_DATA", str(data))
    monkeypatch.setattr(corpus, "_WIKITEXT_TRAIN", DataFile("text/wikitext2_train.txt"))
    corpus.wikitext_training.cache_clear()
    yield data
    corpus.wikitext_training.cache_clear()


@pytest.mark.parametrize(
    ("name", "shares"),
    [("tiny-shakespeare", {"train": 0.9, "validation": 0.1}), ("war-and-peace", {"train": 0.9, "validation": 0.05})],
)
def test_single_texts_are_divided_in_their_order(named: Path, name: str, shares: dict[str, float]) -> None:
    found = list(documents(name))
    total = sum(len(document.text) for document in found)
    assert total > 1_000_000
    for document in found:
        assert document.split is not None
        assert len(document.text) / total == pytest.approx(shares.get(document.split, 0.05), abs=1e-3)
    order = [document.split for document in found]
    assert order == ["train", "validation", "test"][: len(order)]
    file = {"tiny-shakespeare": corpus._SHAKESPEARE, "war-and-peace": corpus._WAR_AND_PEACE}[name]
    assert "".join(texts(name)) == corpus.read_text(corpus.locate(file))


def test_wikitext_says_when_its_training_split_is_missing(named: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = list(documents("wikitext-2"))
    assert [(d.name, d.split) for d in found] == [("wikitext2/valid", "train"), ("wikitext2/test", "validation")]
    list(documents("wikitext-2"))
    said = capsys.readouterr().err
    assert said.count("WikiText-2 without its training split: training on validation, evaluating on test.") == 1


def test_wikitext_in_its_official_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text").mkdir()
    for split in ("train", "valid", "test"):
        (tmp_path / "text" / f"wikitext2_{split}.txt").write_text(f"of {split}")
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path))
    corpus.wikitext_training.cache_clear()
    found = [(d.split, d.text) for d in documents("wikitext-2")]
    corpus.wikitext_training.cache_clear()
    assert found == [("train", "of train"), ("validation", "of valid"), ("test", "of test")]


# ------------------------------------------------------------------------------------------------------------- splits


def test_equal_texts_fall_on_the_same_side() -> None:
    for number in range(50):
        one, other = Document("a", f" text {number}\n"), Document("b", f"text {number}")
        assert split_of(one, 0.5) == split_of(other, 0.5)
    assert split_of(Document("c", "text", "test"), 0.5) == "test"


def test_the_share_held_out_is_the_one_asked_for() -> None:
    held = [split_of(Document("", str(number)), 0.2) for number in range(4000)]
    assert set(held) == {"train", "validation"}
    assert held.count("validation") / 4000 == pytest.approx(0.2, abs=0.02)
    wider = [split_of(Document("", str(number)), 0.4) for number in range(4000)]
    assert all(w == "validation" for h, w in zip(held, wider, strict=True) if h == "validation")


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere/at-all", "no text at 'nowhere/at-all': no such file, folder or pattern, and no corpus of that name"),
        ("*.nothing", "no text at '*.nothing'"),
        ("", "no text at ''"),
        ("tiny-shakespear", "no corpus of that name; did you mean 'tiny-shakespeare'?"),
        ("zzz", "there are: stdlib, tiny-shakespeare, war-and-peace, wikitext-2"),
    ],
)
def test_no_text_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        texts(source)
    assert message in str(caught.value)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text at"):
        files(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"good \xff bad", r"a\.txt is not UTF-8 text: byte 5 cannot be read; convert it, or leave it out"),
        ("a.txt.gz", b"no gzip", r"a\.txt\.gz cannot be read: Not a gzipped file"),
        ("a.txt.gz", gzip.compress(b"text" * 99, mtime=0)[:-12], r"a\.txt\.gz cannot be read: Compressed file ended"),
        ("a.txt.gz", gzip.compress(b"text", mtime=0)[:10] + b"\xff" * 20, r"a\.txt\.gz cannot be read: Error -3"),
        ("a.txt.gz", gzip.compress(b"\xff", mtime=0), r"a\.txt\.gz is not UTF-8 text: byte 0"),
        ("a.jsonl", b'"x"\n{"text": \n', r"a\.jsonl, line 2, is not JSON: Expecting value"),
        (
            "a.jsonl",
            b'"x"\n\n3\n',
            r"a\.jsonl, line 3, has no text: expected a string, or an entry 'text' or 'content'",
        ),
        ("a.jsonl", b'{"n": 3}', r"a\.jsonl, line 1, has no text"),
        ("a.jsonl", b"[]", r"a\.jsonl, line 1, has no text"),
        ("a.jsonl", b'"ab\\ud800"', r"a\.jsonl, line 1, is not text: character 2 is half of a surrogate pair"),
        ("a.parquet", b"", r"a\.parquet is not a readable Parquet file"),
        ("a.parquet", b"PAR1 and then nothing that is PAR1", r"a\.parquet is not a readable Parquet file"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        texts(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_truncated_parquet_file(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "a.parquet", {"text": ["one " * 50, "two " * 50]})
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a readable Parquet file"):
        texts(path)


def test_parquet_without_a_column_of_text(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "a.parquet", {"n": [1], "x": [0.5]})
    with pytest.raises(DataError, match=r"a\.parquet has no column of text; its columns are n, x"):
        texts(path)


def test_a_folder_in_place_of_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        corpus.read_text(tmp_path)
